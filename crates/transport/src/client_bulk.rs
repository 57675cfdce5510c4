//! Chunks, streams and uploads, from the side that asks.

use std::time::Duration;

use bytes::Bytes;
use spark_rpc_engine::AskId;
use spark_rpc_wire::{
    ChunkFetchRequest, MergedBlockMetaRequest, MergedBlockMetaSuccess, Message, RequestId, StreamChunkId,
    StreamRequest,
};

use crate::buffers::with_frame_buffer;
use crate::client::{Outstanding, TransportClient};
use crate::error::{RequestError, SendError};
use crate::link::{Answered, Reply, Timing, now};
use crate::managed_buffer::ManagedBuffer;
use crate::outgoing::Outgoing;
use crate::stream_body::StreamBody;

impl TransportClient {
    /// Fetches one chunk of a stream that the peer has registered, and waits for it at most for `timeout`.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; [`Failed`](RequestError::Failed) is the peer's word that it does not hand the chunk out.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the chunk, which still arrives and is discarded.
    pub async fn fetch_chunk(
        &self,
        chunk: StreamChunkId,
        timeout: Option<Duration>,
    ) -> Result<Bytes, RequestError> {
        match self.begin_chunk(chunk, timeout)?.await? {
            Reply::Response(chunk) => Ok(chunk),
            _ => Err(self.wrong_answer()),
        }
    }

    /// Asks for the stream called `name` and waits for its beginning at most for `timeout`.
    ///
    /// Streams of one connection arrive one after the other, in the order in which they were asked for, and other
    /// messages of the peer wait meanwhile; see [`StreamBody`].
    ///
    /// # Errors
    ///
    /// [`RequestError`]; [`Failed`](RequestError::Failed) is the peer's word that it does not serve the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the stream. It still arrives, and is discarded if it is short; for a long one the
    /// connection is closed.
    pub async fn open_stream(
        &self,
        name: &str,
        timeout: Option<Duration>,
    ) -> Result<StreamBody, RequestError> {
        match self.begin_stream(name, timeout)?.await? {
            Reply::Stream(body) => Ok(*body),
            _ => Err(self.wrong_answer()),
        }
    }

    /// Sends a request with `meta`, which `body` follows, and waits for the answer at most for `timeout`.
    ///
    /// Messages sent later may pass the body while it waits; nothing passes it once it has begun to leave.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; with [`BodyUnreadable`](RequestError::BodyUnreadable) nothing has been sent. A file that fails
    /// half-way costs the connection, since the peer expects the rest.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the answer, not the upload.
    pub async fn upload(
        &self,
        meta: impl Into<Bytes>,
        body: impl Into<ManagedBuffer>,
        timeout: Option<Duration>,
    ) -> Result<Bytes, RequestError> {
        match self.begin_upload(meta.into(), body.into(), timeout)?.await? {
            Reply::Response(answer) => Ok(answer),
            _ => Err(self.wrong_answer()),
        }
    }

    /// Asks what a merged block is made of; the request's id is chosen here.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the answer.
    pub async fn merged_block_meta(
        &self,
        request: MergedBlockMetaRequest,
        timeout: Option<Duration>,
    ) -> Result<MergedBlockMetaSuccess<Bytes>, RequestError> {
        let request: Message<Bytes> = request.into();
        let pending = with_frame_buffer(|out| {
            request.encode(out).map_err(SendError::TooLong)?;
            self.request_frame(spark_rpc_engine::Lane::Normal, out, timeout)
        })?;
        let pending = pending.into_outstanding();
        let id = pending.id();
        match pending.await? {
            Reply::MergedMeta(meta) => Ok(MergedBlockMetaSuccess {
                request_id: RequestId(id.to_wire()),
                chunk_count: meta.0,
                body: meta.1,
            }),
            _ => Err(self.wrong_answer()),
        }
    }

    pub(crate) fn begin_chunk(
        &self,
        chunk: StreamChunkId,
        timeout: Option<Duration>,
    ) -> Result<Outstanding, SendError> {
        let request = ChunkFetchRequest { chunk }.into();
        self.ask(&request, Answered::Chunk(chunk), timeout)
    }

    pub(crate) fn begin_stream(
        &self,
        name: &str,
        timeout: Option<Duration>,
    ) -> Result<Outstanding, SendError> {
        let stream_id = name.to_owned();
        let answered = Answered::Stream(stream_id.clone());
        self.ask(&StreamRequest { stream_id }.into(), answered, timeout)
    }

    pub(crate) fn begin_upload(
        &self,
        meta: Bytes,
        body: ManagedBuffer,
        timeout: Option<Duration>,
    ) -> Result<Outstanding, SendError> {
        let id = self.shared().begin_upload(timing(timeout), |id| {
            Outgoing::upload(id, meta, body).map_err(SendError::TooLong)
        })?;
        Ok(self.outstanding_request(id, timeout))
    }

    fn ask(
        &self,
        request: &Message<Bytes>,
        answered: Answered,
        timeout: Option<Duration>,
    ) -> Result<Outstanding, SendError> {
        let timing = timing(timeout);
        let id: AskId = with_frame_buffer(|out| {
            request.encode(out).map_err(SendError::TooLong)?;
            self.shared().begin_expecting(out, answered, timing)
        })?;
        Ok(self.outstanding_request(id, timeout))
    }
}

/// A moment that the clock cannot name is never reached.
pub(crate) fn timing(timeout: Option<Duration>) -> Timing {
    let now = now();
    let deadline = timeout.and_then(|timeout| now.checked_add(timeout));
    Timing { now, deadline }
}
