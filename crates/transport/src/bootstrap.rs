//! Hooks that run on a new connection before anybody uses it.

use spark_rpc_net::BoxFuture;

use crate::client::TransportClient;
use crate::handler::RpcHandler;
use crate::security::{ClientGate, ServerGate};

/// Runs on a connection that this side has opened, before it is handed out (Spark's `TransportClientBootstrap`).
///
/// The [gates](Self::gate) of all bootstraps come first, in order, then [`bootstrap`](Self::bootstrap) of each.
pub trait ClientBootstrap: Send + Sync + 'static {
    /// A name for error texts.
    fn name(&self) -> &'static str;

    /// What the bare connection must pass before anything is read from it or written to it: authentication, encryption.
    fn gate(&self) -> Option<&dyn ClientGate> {
        None
    }

    /// Does what must be done first, usually by asking the peer on `client`.
    ///
    /// # Errors
    ///
    /// A text that says what failed. The connection is closed then, and the caller that wanted it gets
    /// [`ConnectError::Bootstrap`](crate::ConnectError::Bootstrap).
    fn bootstrap<'a>(&'a self, client: &'a TransportClient) -> BoxFuture<'a, Result<(), String>> {
        let _ = client;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Runs on a connection that this side has accepted, before anything is read from it (Spark's
/// `TransportServerBootstrap`).
pub trait ServerBootstrap: Send + Sync + 'static {
    /// What a stranger must pass before there is a handler: authentication, encryption. Gates are passed in the order of
    /// their bootstraps, before any handler is wrapped.
    fn gate(&self) -> Option<&dyn ServerGate> {
        None
    }

    /// Returns the handler to use, such as one that keeps `handler` until the peer has said a word.
    fn wrap(&self, client: &TransportClient, handler: Box<dyn RpcHandler>) -> Box<dyn RpcHandler> {
        let _ = client;
        handler
    }
}
