//! Where bytes come from: TCP, Unix sockets and anything else behind one trait.
//!
//! Everything above this crate asks a [`Network`] for connections and never names a kind of socket. A whole env
//! therefore runs unchanged over [`TcpNetwork`], over [`UnixNetwork`], or over an in-memory network in tests.
//! Addresses are always a host and a port, as in `spark://host:port`; what they stand for is the network's business.
//!
//! Reads and writes go through a `Box<dyn Stream>`: one indirect call beside a system call is not measurable, and
//! it keeps type parameters out of every layer above.
//!
//! # Examples
//!
//! ```
//! use spark_rpc_net::{Network, SocketOptions, TcpNetwork};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let options = SocketOptions::default();
//! let mut listener = TcpNetwork.bind("127.0.0.1", 0, &options).await?;
//! let mut client = TcpNetwork.connect("127.0.0.1", listener.port(), &options).await?;
//! let mut server = listener.accept().await?;
//!
//! client.write_all(b"hello").await?;
//! client.shutdown().await?;
//! let mut received = Vec::new();
//! server.read_to_end(&mut received).await?;
//! assert_eq!(received, b"hello");
//! # Ok(())
//! # }
//! ```

mod error;
mod network;
mod options;
#[cfg(target_os = "linux")]
mod pipe;
#[cfg(target_os = "linux")]
mod send;
mod tcp;
#[cfg(unix)]
mod unix;

pub use error::is_address_collision;
pub use network::{BoxFuture, Listener, Network, SocketName, Stream};
pub use options::SocketOptions;
#[cfg(target_os = "linux")]
pub use pipe::Pipe;
#[cfg(target_os = "linux")]
pub use send::{is_paced, send_bytes, send_file, wait_for_room};
pub use tcp::TcpNetwork;
#[cfg(unix)]
pub use unix::UnixNetwork;
