//! The way back for the answer to one request.

use spark_rpc_engine::Lane;
use spark_rpc_wire::{EncodeError, Message, OpenFrame, RequestId, RpcFailure};

use crate::buffers::with_frame_buffer;
use crate::client::TransportClient;
use crate::managed_buffer::ManagedBuffer;
use crate::outgoing::{Head, Outgoing, Transfer};

/// Answers one request, once (Spark's `RpcResponseCallback` on the server's side).
///
/// It can be kept and used later, from any thread. Dropped unanswered, it fails the request at once, so that the asker
/// does not wait for its timeout. An answer for a connection that has ended is discarded.
#[derive(Debug)]
#[must_use = "dropping a responder fails the request"]
pub struct Responder {
    client: TransportClient,
    id: RequestId,
    lane: Lane,
    answered: bool,
    after_upload: bool,
}

impl Responder {
    pub(crate) fn new(client: TransportClient, id: RequestId) -> Self {
        Self {
            client,
            id,
            lane: Lane::Normal,
            answered: false,
            after_upload: false,
        }
    }

    /// Lets the text of a failure say that an upload had come to its last byte.
    pub(crate) fn after_upload(mut self) -> Self {
        self.after_upload = true;
        self
    }

    /// Lets the answer pass others in the write queue.
    pub fn urgent(mut self) -> Self {
        self.lane = Lane::Control;
        self
    }

    /// The connection that the request came on.
    #[must_use]
    pub fn client(&self) -> &TransportClient {
        &self.client
    }

    /// The request's id.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.id
    }

    /// Answers with `body`.
    pub fn success(self, body: &[u8]) {
        self.success_with(|out| out.extend_from_slice(body));
    }

    /// Answers with what `write` appends to the buffer that it gets; it must not change what is already there. An answer
    /// too long for a frame becomes a failure.
    pub fn success_with(self, write: impl FnOnce(&mut Vec<u8>)) {
        let written = self.try_success_with(|out| {
            write(out);
            Ok::<(), std::convert::Infallible>(())
        });
        match written {
            Ok(()) => {}
            Err((_, never)) => match never {},
        }
    }

    /// Like [`success_with`](Self::success_with), for a `write` that can fail.
    ///
    /// # Errors
    ///
    /// Gives the responder back with the error of `write`; nothing has been sent.
    pub fn try_success_with<E>(
        self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), (Self, E)> {
        with_frame_buffer(|out| {
            let frame = OpenFrame::rpc_response(out, self.id);
            if let Err(error) = write(out) {
                return Err((self, error));
            }
            match frame.finish(out) {
                Ok(()) => self.answer(out),
                Err(error) => self.failure(&too_long(&error)),
            }
            Ok(())
        })
    }

    /// Answers with a failure of the transport (Spark's `RpcFailure` message); `text` is all that the asker gets.
    pub fn failure(self, text: &str) {
        let mut out = Vec::new();
        let preface = if self.after_upload {
            AFTER_THE_LAST_BYTE
        } else {
            ""
        };
        let message: Message<&[u8]> = Message::RpcFailure(RpcFailure {
            request_id: self.id,
            error: format!("{preface}{text}"),
        });
        if message.encode(&mut out).is_ok() {
            self.answer(&mut out);
        }
    }

    fn answer(mut self, frame: &mut Vec<u8>) {
        self.answered = true;
        self.client.shared().push_answer(self.lane, frame);
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if !self.answered {
            let again = Responder {
                client: self.client.clone(),
                id: self.id,
                lane: self.lane,
                answered: true,
                after_upload: self.after_upload,
            };
            // What the panic said is for this side's log.
            again.failure(if std::thread::panicking() {
                "the handler panicked before it answered"
            } else {
                "the request was dropped without an answer"
            });
        }
    }
}

/// Answers one question about a merged block, once; otherwise like a [`Responder`].
#[derive(Debug)]
#[must_use = "dropping a responder fails the request"]
pub struct MergedMetaResponder(Responder);

impl MergedMetaResponder {
    pub(crate) fn new(client: TransportClient, id: RequestId) -> Self {
        Self(Responder::new(client, id))
    }

    /// Answers with the bitmaps of `chunk_count` chunks, back to back.
    pub fn success(mut self, chunk_count: i32, bitmaps: impl Into<ManagedBuffer>) {
        let head = Head::MergedMeta {
            id: self.0.id,
            chunk_count,
        };
        self.0.answered = true;
        let shared = self.0.client.shared();
        let transfer = Transfer::begin(&shared.counters);
        shared.push_body(Outgoing::answer(head, bitmaps.into(), transfer));
    }

    /// Answers with a failure.
    pub fn failure(self, text: &str) {
        self.0.failure(text);
    }
}

fn too_long(error: &EncodeError) -> String {
    format!("the answer cannot be sent: {error}")
}

const AFTER_THE_LAST_BYTE: &str =
    "Failure post-processing complete stream; failing this rpc and leaving channel active: ";
