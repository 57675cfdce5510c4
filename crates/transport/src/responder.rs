//! The way back for the answer to one request.

use spark_rpc_engine::Lane;
use spark_rpc_wire::{EncodeError, Message, OpenFrame, RequestId, RpcFailure};

use crate::buffers::with_frame_buffer;
use crate::client::TransportClient;

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
}

impl Responder {
    pub(crate) fn new(client: TransportClient, id: RequestId) -> Self {
        Self {
            client,
            id,
            lane: Lane::Normal,
            answered: false,
        }
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
        let message: Message<&[u8]> = Message::RpcFailure(RpcFailure {
            request_id: self.id,
            error: text.to_owned(),
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

fn too_long(error: &EncodeError) -> String {
    format!("the answer cannot be sent: {error}")
}
