//! What stands behind a connection: the seams for messages and for streams.

use std::sync::Arc;

use bytes::Bytes;
use spark_rpc_net::BoxFuture;
use spark_rpc_wire::{Body, MergedBlockMetaRequest};

use crate::client::TransportClient;
use crate::error::ConnectionError;
use crate::responder::{MergedMetaResponder, Responder};
use crate::stream_manager::{NoStreams, StreamManager};
use crate::upload::UploadSink;

/// Takes what arrives on one connection (Spark's `RpcHandler`).
///
/// Every connection has a handler of its own, made by a [`HandlerFactory`], so it may keep what it knows of the peer in
/// plain fields. Its methods run on the connection's own task: they must not block, and they hand work on. Bodies are
/// borrowed from the read buffer; what is to be kept is copied or decoded.
///
/// A panic in [`receive`](Self::receive) or [`receive_one_way`](Self::receive_one_way) costs that message: its responder
/// fails the request and the next message follows. A panic anywhere else closes the connection.
pub trait RpcHandler: Send + 'static {
    /// Takes a request. The answer goes through `responder`, now or later, from anywhere.
    fn receive(&mut self, client: &TransportClient, request: Body<'_>, responder: Responder) -> Flow;

    /// Takes a one-way message.
    fn receive_one_way(&mut self, client: &TransportClient, message: Body<'_>) -> Flow;

    /// Serves chunks and streams. The default refuses them all.
    fn stream_manager(&self) -> &dyn StreamManager {
        &NoStreams
    }

    /// Takes an upload that is about to arrive: a request with `meta`, which `byte_count` raw bytes follow. The answer
    /// is given by the sink when it is complete.
    ///
    /// # Errors
    ///
    /// The text that the uploader gets. The connection is then closed, as in Spark, since the body cannot be skipped
    /// reliably. The default takes no uploads.
    fn receive_stream(
        &mut self,
        client: &TransportClient,
        meta: Bytes,
        byte_count: u64,
    ) -> Result<Box<dyn UploadSink>, String> {
        let _ = (client, meta, byte_count);
        Err("java.lang.UnsupportedOperationException: uploads are not taken here".into())
    }

    /// Takes a question about a merged block. The default refuses it, so that nobody waits for an answer; Spark's own
    /// handlers leave it unanswered.
    fn receive_merged_meta_request(
        &mut self,
        client: &TransportClient,
        request: MergedBlockMetaRequest,
        responder: MergedMetaResponder,
    ) {
        let _ = (client, request);
        responder.failure("java.lang.UnsupportedOperationException: merged blocks are not served here");
    }

    /// The connection is there; nothing has arrived yet.
    fn channel_active(&mut self, client: &TransportClient) {
        let _ = client;
    }

    /// Everything that one read has brought has been handed in. Consumers that were only queued for can be woken now.
    fn batch_ended(&mut self) {}

    /// The connection fails with `cause`; [`channel_inactive`](Self::channel_inactive) follows.
    fn exception_caught(&mut self, client: &TransportClient, cause: &ConnectionError) {
        let _ = (client, cause);
    }

    /// The connection has ended. Called once, last, also when the connection's task was aborted.
    fn channel_inactive(&mut self, client: &TransportClient) {
        let _ = client;
    }
}

/// Makes the [`RpcHandler`] of each new connection.
pub trait HandlerFactory: Send + Sync + 'static {
    /// Makes the handler of the connection that `client` stands for.
    fn handler(&self, client: &TransportClient) -> Box<dyn RpcHandler>;
}

impl<F> HandlerFactory for F
where
    F: Fn(&TransportClient) -> Box<dyn RpcHandler> + Send + Sync + 'static,
{
    fn handler(&self, client: &TransportClient) -> Box<dyn RpcHandler> {
        self(client)
    }
}

/// Whether a connection's reader may go on.
pub enum Flow {
    /// Hand in the next message.
    Continue,
    /// Read nothing more from this connection until the future is done. The future must be bounded in time.
    Wait(BoxFuture<'static, ()>),
}

/// A handler for sides that only ask: it refuses every request and counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRpcHandler;

impl RpcHandler for NoRpcHandler {
    fn receive(&mut self, _client: &TransportClient, _request: Body<'_>, responder: Responder) -> Flow {
        responder.failure("java.lang.UnsupportedOperationException: Cannot handle messages");
        Flow::Continue
    }

    fn receive_one_way(&mut self, client: &TransportClient, _message: Body<'_>) -> Flow {
        tracing::warn!(peer = %client.peer(), "one-way message dropped: this side handles no messages");
        Flow::Continue
    }
}

impl HandlerFactory for NoRpcHandler {
    fn handler(&self, _client: &TransportClient) -> Box<dyn RpcHandler> {
        Box::new(*self)
    }
}

/// Shares a factory.
pub(crate) type SharedHandlerFactory = Arc<dyn HandlerFactory>;
