//! The tokio shell around the engine: transport servers, clients, the client pool and bootstraps.
//!
//! A [`TransportContext`] holds settings, a [`Network`](spark_rpc_net::Network) and a [`HandlerFactory`]; it makes
//! [`TransportServer`]s and [`TransportClientFactory`]s. Either end of a connection is a [`TransportClient`], on which
//! both sides may send and ask. Each connection is driven by one task, which decodes everything that one read brought
//! before it wakes anybody, and writes everything that was queued meanwhile with one system call.
//!
//! Endpoints, addresses of envs and user messages are unknown here: bodies are bytes.

mod bootstrap;
mod buffers;
mod client;
mod conf;
mod connections;
mod context;
mod driver;
mod error;
mod factory;
mod guard;
mod handler;
mod intake;
mod link;
mod responder;
mod server;
mod waiters;

pub use bootstrap::{ClientBootstrap, ServerBootstrap};
pub use buffers::with_frame_buffer;
pub use client::{PendingRequest, TransportClient};
pub use conf::{InvalidConf, MAX_FRAME_BYTES, MAX_TIME, TransportConf};
pub use context::TransportContext;
pub use error::{ConnectError, ConnectionError, RequestError, SendError};
pub use factory::TransportClientFactory;
pub use handler::{Flow, HandlerFactory, ManagedBuffer, NoRpcHandler, NoStreams, RpcHandler, StreamManager};
pub use link::TransportCounters;
pub use responder::Responder;
pub use server::TransportServer;
pub use spark_rpc_engine::{Full, Lane};
