//! Hooks that run on a new connection before anybody uses it, such as authentication.

use spark_rpc_net::BoxFuture;

use crate::client::TransportClient;
use crate::handler::RpcHandler;

/// Runs on a connection that this side has opened, before it is handed out (Spark's `TransportClientBootstrap`).
pub trait ClientBootstrap: Send + Sync + 'static {
    /// A name for error texts.
    fn name(&self) -> &'static str;

    /// Does what must be done first, usually by asking the peer on `client`.
    ///
    /// # Errors
    ///
    /// A text that says what failed. The connection is closed then, and the caller that wanted it gets
    /// [`ConnectError::Bootstrap`](crate::ConnectError::Bootstrap).
    fn bootstrap<'a>(&'a self, client: &'a TransportClient) -> BoxFuture<'a, Result<(), String>>;
}

/// Runs on a connection that this side has accepted, before anything is read from it (Spark's
/// `TransportServerBootstrap`).
pub trait ServerBootstrap: Send + Sync + 'static {
    /// Returns the handler to use: usually one that keeps `handler` until the peer has shown who it is.
    fn wrap(&self, client: &TransportClient, handler: Box<dyn RpcHandler>) -> Box<dyn RpcHandler>;
}
