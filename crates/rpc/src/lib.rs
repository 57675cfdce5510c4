//! Apache Spark's RPC layer in Rust: named endpoints with mailboxes, references that work the same near and far.
//!
//! An [`RpcEnv`] is a place where endpoints live. An endpoint has a name, a mailbox and handlers, one for each type of
//! message; it runs one message at a time unless it says otherwise. An [`RpcEndpointRef`] leads to an endpoint, in the
//! same env or across the network, and can itself be sent inside a message.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use spark_rpc::{RpcCallContext, RpcEnv, RpcMessage, rpc_endpoint};
//!
//! #[derive(Debug, Serialize, Deserialize, RpcMessage)]
//! #[rpc(reply = String)]
//! struct SayHi { name: String }
//!
//! #[derive(Debug, Serialize, Deserialize, RpcMessage)] // no reply: one-way
//! struct SayBye { name: String }
//!
//! struct Hello { greeted: u64 }
//!
//! #[rpc_endpoint]
//! impl Hello {
//!     async fn say_hi(&mut self, hi: SayHi, call: &RpcCallContext) -> Result<String, std::fmt::Error> {
//!         self.greeted += 1;
//!         Ok(format!("hi {}, from {}", hi.name, call.name()))
//!     }
//!
//!     async fn say_bye(&mut self, bye: SayBye) {
//!         println!("bye {} after {} greetings", bye.name, self.greeted);
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In one process:
//! let server = RpcEnv::builder("greeter").bind("127.0.0.1:0").start().await?;
//! let uri = server.setup_endpoint("hello", Hello { greeted: 0 })?.to_string();
//!
//! // In another one, which needs no listener of its own:
//! let client = RpcEnv::builder("client").client_mode().start().await?;
//! let hello = client.setup_endpoint_ref(&uri).await?;
//! let reply: String = hello.ask(SayHi { name: "spafka".into() }).await?;
//! assert_eq!(reply, "hi spafka, from hello");
//! hello.send(SayBye { name: "spafka".into() })?;
//! # client.shutdown().await;
//! # server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is where
//!
//! - Write: [`RpcMessage`] and [`rpc_endpoint`](macro@rpc_endpoint); by hand [`RpcEndpoint`], [`ConcurrentRpcEndpoint`]
//!   and [`Inbound`].
//! - Run: [`RpcEnv`], its [builder](RpcEnv::builder), and [`config`]; end it with [`RpcEnv::shutdown`].
//! - Protect: [`security`]. Without a secret or TLS an env listens on loopback only.
//! - Call: [`RpcEndpointRef`], [`Ask`], and the errors, which say whether a message may have been handled:
//!   [`AskError`], [`SendError`], [`LookupError`].
//! - Answer: by returning, or later through a [`Reply`].
//! - Hand out files: [`RpcEnv::file_server`]; get them: [`RpcEnv::fetch_file`] and [`RpcEnv::open_channel`].
//! - Watch: [`RpcEnv::stats`], [`RpcEnv::publish_metrics`], and `tracing`.
//! - Wire: [`codec`]; without envs and endpoints, as for blocks of bulk data: [`transport`].

// The macros write `::spark_rpc::...`, also when they are used in here.
#[allow(unused_extern_crates, reason = "used by the code that the macros write")]
extern crate self as spark_rpc;

pub mod codec;
pub use spark_rpc_javaobj as javaobj;
pub use spark_rpc_transport as transport;
pub mod config;
pub mod security;

mod address;
mod ask;
mod checksum;
mod decoding;
mod dispatcher;
mod endpoint;
mod endpoint_ref;
mod env;
mod error;
mod factory;
mod file_client;
mod file_server;
mod file_uri;
mod mailbox;
mod message;
mod message_loop;
mod observe;
mod outbox;
mod parcel;
mod reply;
mod rpc_handler;
mod sent_file;
mod slot;
mod timers;
mod tls_task;
mod verifier;

pub use address::{InvalidAddress, RpcAddress, RpcEndpointAddress};
pub use ask::{AbortHandle, Ask};
pub use checksum::FileChecksum;
pub use endpoint::{ConcurrentRpcEndpoint, EndpointContext, Inbound, RpcCallContext, RpcEndpoint};
pub use endpoint_ref::RpcEndpointRef;
pub use env::{EnvStats, RpcEnv, ShutdownReport, WeakRpcEnv};
pub use error::{
    AskError, AskPhase, AskTimeout, BoxError, DecodeError, EncodeError, EndpointError, Failure, Handled,
    LookupError, RemoteFailure, SendError, SetupError, StartError,
};
pub use factory::{RpcEnvBuilder, RpcEnvConfig, RpcEnvFactory};
pub use file_client::{Fetched, FileChannel, FileError};
pub use file_server::{FileServer, FileServerError};
pub use mailbox::{EndedEndpoints, EndpointStats};
pub use message::{Decodable, Encodable, OneWay, ReplyValue, Request, RpcMessage};
pub use parcel::{Parcel, Raw};
pub use reply::{RawReply, Reply};
pub use spark_rpc_macros::{RpcMessage, rpc_endpoint};
#[cfg(unix)]
pub use spark_rpc_net::UnixNetwork;
pub use spark_rpc_net::{BoxFuture, Listener, Network, SocketName, SocketOptions, Stream, TcpNetwork};
pub use spark_rpc_transport::{ConnectError, ConnectionError, TransportClient, TransportCounters};
pub use verifier::{CheckExistence, RpcEndpointVerifier, VerifierInbound};
