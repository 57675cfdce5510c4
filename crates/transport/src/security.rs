//! Who may connect, and how the bytes of a connection are protected.
//!
//! A connection passes its gates before anything else: before a driver reads from it, before there is a handler, before a
//! [`TransportClient`](crate::TransportClient) stands for it. So nothing needs to ask whether a peer has
//! authenticated: whatever is served is served to somebody who has, and there is no second way in.
//!
//! ```text
//! stream ──> ServerGate (TLS) ──> ServerGate (auth engine or SASL) ──> handler, driver
//! ```
//!
//! A gate takes the bare stream, speaks with the peer, and hands out another stream: the same one, or one that encrypts.
//! It reads exactly the bytes of the handshake, so that the first byte behind it is the first one of what follows.

mod client;
mod gate;
mod identity;
mod options;
mod sealed;
mod server;
mod session;
mod talk;
mod tls;
mod tls_watch;

pub use client::AuthClientBootstrap;
pub use gate::{ClientGate, GateError, Passed, ServerGate};
pub use identity::PeerIdentity;
pub use options::{AuthOptions, EngineOptions, SaslOptions, SecretKeyHolder};
pub use server::AuthServerBootstrap;
pub use tls::{TlsClientBootstrap, TlsServerBootstrap};
pub use tls_watch::{TlsWatch, TlsWatchOptions};
