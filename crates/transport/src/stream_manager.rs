//! What serves chunks and streams.

use spark_rpc_wire::StreamChunkId;

use crate::client::TransportClient;
use crate::managed_buffer::ManagedBuffer;

/// Serves chunks and streams (Spark's `StreamManager`).
///
/// Its methods run on the connection's own task and must not block; a buffer that must be opened is opened
/// [later](ManagedBuffer::lazy), elsewhere. Every error is the text that the asker gets.
pub trait StreamManager: Send + Sync {
    /// Decides whether `client` may read the chunks of a stream. Called before [`get_chunk`](Self::get_chunk), which is
    /// not called on an error. The default allows everybody everything.
    ///
    /// # Errors
    ///
    /// The text that the asker gets in its `ChunkFetchFailure`.
    fn check_authorization(&self, client: &TransportClient, stream_id: i64) -> Result<(), String> {
        let _ = (client, stream_id);
        Ok(())
    }

    /// Returns one chunk of a registered stream.
    ///
    /// # Errors
    ///
    /// The text that the asker gets in its `ChunkFetchFailure`.
    fn get_chunk(&self, client: &TransportClient, id: StreamChunkId) -> Result<ManagedBuffer, String> {
        let _ = (client, id);
        Err("java.lang.UnsupportedOperationException: chunks are not served here".into())
    }

    /// Decides whether `client` may open a stream. Called before [`open_stream`](Self::open_stream), which is not
    /// called on an error. The default allows everybody everything.
    ///
    /// # Errors
    ///
    /// The text that the asker gets in its `StreamFailure`.
    fn check_stream_authorization(&self, client: &TransportClient, stream_id: &str) -> Result<(), String> {
        let _ = (client, stream_id);
        Ok(())
    }

    /// Opens a stream by its name.
    ///
    /// # Errors
    ///
    /// The text that the asker gets in its `StreamFailure`.
    fn open_stream(&self, client: &TransportClient, stream_id: &str) -> Result<ManagedBuffer, String> {
        let _ = client;
        Err(not_found(stream_id))
    }

    /// The connection has ended; streams bound to it can be forgotten. Called before
    /// [`RpcHandler::channel_inactive`](crate::RpcHandler::channel_inactive).
    fn connection_terminated(&self, client: &TransportClient) {
        let _ = client;
    }
}

/// A [`StreamManager`] that has no streams.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStreams;

impl StreamManager for NoStreams {}

/// Spark's words for a stream that is not there.
pub(crate) fn not_found(stream_id: &str) -> String {
    format!("Stream '{stream_id}' was not found.")
}
