//! The tokio shell around the engine: transport servers, clients, the client pool and bootstraps.
//!
//! A [`TransportContext`] holds settings, a [`Network`](spark_rpc_net::Network) and a [`HandlerFactory`]; it makes
//! [`TransportServer`]s and [`TransportClientFactory`]s. Either end of a connection is a [`TransportClient`], on which
//! both sides may send and ask. Each connection is driven by one task, which decodes everything that one read brought
//! before it wakes anybody, and writes everything that was queued meanwhile with one system call.
//!
//! Endpoints, addresses of envs and user messages are unknown here: bodies are bytes.

mod admission;
mod bootstrap;
mod buffers;
mod bulk_write;
mod callbacks;
mod client;
mod client_bulk;
mod conf;
mod connections;
mod context;
mod driver;
mod error;
mod factory;
mod file_job;
mod guard;
mod handler;
mod incoming;
mod intake;
mod link;
mod managed_buffer;
mod one_for_one;
mod outgoing;
#[cfg(target_os = "linux")]
mod pipes;
mod responder;
pub mod security;
mod server;
mod stream_body;
mod stream_manager;
mod upload;
mod waiters;

pub use spark_rpc_auth as auth;
pub use spark_rpc_wire as wire;

pub use bootstrap::{ClientBootstrap, ServerBootstrap};
pub use buffers::with_frame_buffer;
pub use callbacks::StreamSink;
pub use client::{PendingRequest, TransportClient};
pub use conf::{InvalidConf, MAX_FRAME_BYTES, MAX_TIME, TransportConf};
pub use context::TransportContext;
pub use error::{ConnectError, ConnectionError, Fault, RequestError, SendError};
pub use factory::TransportClientFactory;
pub use handler::{Flow, HandlerFactory, NoRpcHandler, RpcHandler};
pub use link::TransportCounters;
pub use managed_buffer::{FileSegment, ManagedBuffer};
pub use one_for_one::{Chunks, OneForOneStreamManager};
pub use responder::{MergedMetaResponder, Responder};
pub use server::TransportServer;
pub use spark_rpc_engine::{Full, Lane};
pub use stream_body::StreamBody;
pub use stream_manager::{NoStreams, StreamManager};
pub use upload::UploadSink;
