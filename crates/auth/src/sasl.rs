//! SASL DIGEST-MD5 (RFC 2831) as the JDK and Spark speak it.
//!
//! ```text
//! client ── nothing, only that it wants to begin ──> server
//! client <── challenge: a nonce, what is on offer ── server
//! client ── response: its own nonce, its choice, proof that it knows the secret ──> server
//! client <── proof that the server knows it too ── server
//! ```
//!
//! This is for JVM peers that know nothing better. The digest is MD5; with the protection `auth` nothing protects the
//! connection after the exchange; with `auth-conf` it is 3DES. Who is not forced to it should not offer it.
//!
//! Each token of the client travels in a [`SaslMessage`], those of the server travel bare. Names and secrets are used in
//! Base64, broken into lines, as Spark does.

mod client;
mod digest;
mod directives;
#[cfg(test)]
mod golden_tests;
mod message;
mod server;
mod session;
#[cfg(test)]
mod tests;

pub use client::{SaslClient, SaslClientProof};
pub use message::{SaslMessage, SaslMessageError};
pub use server::SaslServer;
pub use session::{Protection, SaslError, SaslSession};
