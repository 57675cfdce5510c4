//! From bytes to calls of the handler and replies for those who wait.

use std::task::Waker;
use std::time::Instant;

use bytes::{BufMut, Bytes};
use spark_rpc_engine::AskId;
use spark_rpc_net::BoxFuture;
use spark_rpc_wire::{
    Body, ChunkFetchFailure, ChunkFetchRequest, ChunkFetchSuccess, Event, FrameDecoder, Message, RequestId,
    StreamFailure, StreamRequest, StreamResponse,
};

use crate::client::TransportClient;
use crate::error::ConnectionError;
use crate::guard::guarded;
use crate::handler::{Flow, ManagedBuffer, RpcHandler};
use crate::link::{Reply, Shared, TransportCounters};
use crate::responder::Responder;

/// Decodes what was read and deals it out.
///
/// Requests go to the handler at once, borrowed from the input. Replies are gathered and completed together after the
/// whole input has been decoded, under one lock and with one allocation for all their bodies.
pub(crate) struct Intake {
    decoder: FrameDecoder,
    replies: Vec<(RequestId, GatheredReply)>,
    bodies: Vec<u8>,
}

enum GatheredReply {
    /// A part of `bodies`.
    Gathered {
        start: usize,
        end: usize,
    },
    Whole(Reply),
}

/// Why [`Intake::take`] returned.
pub(crate) enum IntakeEnd<'a> {
    /// The input is used up.
    UsedUp,
    /// The handler wants to read nothing more until `wait` is done; `rest` is not decoded yet.
    Paused {
        wait: BoxFuture<'static, ()>,
        rest: &'a [u8],
    },
    /// Answers fill the write queue beyond its bounds; `rest` is not decoded yet.
    Over { rest: &'a [u8] },
    /// The connection closes once what is queued has been written.
    Closing,
    /// The protocol is lost.
    Failed(ConnectionError),
}

impl Intake {
    pub(crate) fn new(decoder: FrameDecoder) -> Self {
        Self {
            decoder,
            replies: Vec::new(),
            bodies: Vec::new(),
        }
    }

    /// Room for the missing part of a large frame, if one is being collected.
    pub(crate) fn space(&mut self) -> Option<impl BufMut + '_> {
        self.decoder.read_space(MOST_AT_ONCE)
    }

    pub(crate) fn take<'a>(
        &mut self,
        mut input: &'a [u8],
        client: &TransportClient,
        handler: &mut dyn RpcHandler,
    ) -> IntakeEnd<'a> {
        let mut frames = 0;
        let end = loop {
            let event = match self.decoder.next(&mut input) {
                Ok(Some(event)) => event,
                Ok(None) => break IntakeEnd::UsedUp,
                Err(source) => {
                    break IntakeEnd::Failed(ConnectionError::Frame {
                        peer: client.peer().clone(),
                        source,
                    });
                }
            };
            let Event::Frame(frame) = event else { continue };
            frames += 1;
            let message = match frame.decode() {
                Ok(message) => message,
                Err(source) => {
                    break IntakeEnd::Failed(ConnectionError::Message {
                        peer: client.peer().clone(),
                        source,
                    });
                }
            };
            let flow = match message {
                Message::RpcRequest(request) => {
                    let responder = Responder::new(client.clone(), request.request_id);
                    guarded(client.peer(), "receive", || {
                        handler.receive(client, request.body, responder)
                    })
                    .unwrap_or(Flow::Continue)
                }
                Message::OneWayMessage(message) => guarded(client.peer(), "receive_one_way", || {
                    handler.receive_one_way(client, message.body)
                })
                .unwrap_or(Flow::Continue),
                Message::RpcResponse(response) => {
                    gather(
                        &mut self.replies,
                        &mut self.bodies,
                        response.request_id,
                        response.body,
                    );
                    Flow::Continue
                }
                Message::RpcFailure(failure) => {
                    let reply = GatheredReply::Whole(Reply::Failure(failure.error));
                    self.replies.push((failure.request_id, reply));
                    Flow::Continue
                }
                // A few bytes ask for any amount of bulk, so these are counted one by one.
                Message::ChunkFetchRequest(request) => {
                    if answer_chunk(client, handler, &request) {
                        break IntakeEnd::Over { rest: input };
                    }
                    Flow::Continue
                }
                Message::StreamRequest(request) => {
                    if answer_stream(client, handler, request) {
                        break IntakeEnd::Over { rest: input };
                    }
                    Flow::Continue
                }
                Message::MergedBlockMetaRequest(request) => {
                    // Spark's own handlers leave this unanswered; a failure does no harm and ends the wait.
                    Responder::new(client.clone(), request.request_id).failure(
                        "java.lang.UnsupportedOperationException: merged blocks are not served here",
                    );
                    Flow::Continue
                }
                Message::UploadStream(upload) => {
                    // As in Spark: without a taker the body cannot be skipped reliably, so the connection closes.
                    Responder::new(client.clone(), upload.request_id)
                        .failure("java.lang.UnsupportedOperationException: uploads are not taken here");
                    client.close();
                    break IntakeEnd::Closing;
                }
                Message::StreamResponse(response) => match self.skip_body(client, &response) {
                    Ok(()) => Flow::Continue,
                    Err(cause) => break IntakeEnd::Failed(cause),
                },
                Message::ChunkFetchSuccess(_)
                | Message::ChunkFetchFailure(_)
                | Message::StreamFailure(_)
                | Message::MergedBlockMetaSuccess(_) => {
                    tracing::warn!(peer = %client.peer(), "ignoring an answer that nobody asked for");
                    Flow::Continue
                }
            };
            if let Flow::Wait(wait) = flow {
                break IntakeEnd::Paused { wait, rest: input };
            }
        };
        TransportCounters::add(&client.shared().counters.frames_read, frames);
        end
    }

    /// Hands the gathered replies to those who wait for them, and pushes whom to wake.
    pub(crate) fn complete_requests(&mut self, shared: &Shared, now: Instant, wakers: &mut Vec<Waker>) {
        let bodies = if self.bodies.is_empty() {
            Bytes::new()
        } else {
            Bytes::from(std::mem::take(&mut self.bodies))
        };
        let mut late = 0;
        let mut link = shared.link();
        link.idle.traffic(now);
        for (id, reply) in self.replies.drain(..) {
            let reply = match reply {
                GatheredReply::Gathered { start, end } => Reply::Response(bodies.slice(start..end)),
                GatheredReply::Whole(reply) => reply,
            };
            match link.pending.complete(AskId::from_wire(id.0), reply) {
                Ok(waker) => wakers.extend(waker),
                Err(_) => late += 1,
            }
        }
        link.want_request.take_all(wakers);
        drop(link);
        if self.replies.capacity() > KEPT_REPLIES {
            self.replies = Vec::new();
        }
        if late > 0 {
            TransportCounters::add(&shared.counters.late_replies, late);
            tracing::debug!(peer = %shared.peer, late, "ignoring replies that are not outstanding");
        }
    }

    fn skip_body(
        &mut self,
        client: &TransportClient,
        response: &StreamResponse,
    ) -> Result<(), ConnectionError> {
        let peer = client.peer();
        tracing::warn!(%peer, stream = %response.stream_id, "skipping a stream that nobody asked for");
        let Ok(count) = u64::try_from(response.byte_count) else {
            return Err(ConnectionError::Refused {
                peer: peer.clone(),
                reason: "a stream of negative length",
            });
        };
        self.decoder
            .expect_body(count)
            .map_err(|source| ConnectionError::Frame {
                peer: peer.clone(),
                source,
            })
    }
}

fn gather(
    replies: &mut Vec<(RequestId, GatheredReply)>,
    bodies: &mut Vec<u8>,
    id: RequestId,
    body: Body<'_>,
) {
    let reply = match body {
        Body::Borrowed(body) => {
            let start = bodies.len();
            bodies.extend_from_slice(body);
            GatheredReply::Gathered {
                start,
                end: bodies.len(),
            }
        }
        Body::Owned(body) => GatheredReply::Whole(Reply::Response(body)),
    };
    replies.push((id, reply));
}

/// Returns whether the write queue exceeds its bounds now.
fn answer_chunk(client: &TransportClient, handler: &dyn RpcHandler, request: &ChunkFetchRequest) -> bool {
    let chunk = request.chunk;
    let message = match handler.stream_manager().get_chunk(client, chunk) {
        Ok(ManagedBuffer::Bytes(body)) => Message::ChunkFetchSuccess(ChunkFetchSuccess { chunk, body }),
        Err(error) => Message::ChunkFetchFailure(ChunkFetchFailure { chunk, error }),
    };
    push(client, &message, &[])
}

/// Returns whether the write queue exceeds its bounds now.
fn answer_stream(client: &TransportClient, handler: &dyn RpcHandler, request: StreamRequest) -> bool {
    let StreamRequest { stream_id } = request;
    match handler.stream_manager().open_stream(client, &stream_id) {
        Ok(ManagedBuffer::Bytes(body)) => {
            let byte_count = body.len() as i64;
            push(
                client,
                &Message::StreamResponse(StreamResponse {
                    stream_id,
                    byte_count,
                }),
                &body,
            )
        }
        Err(error) => push(
            client,
            &Message::StreamFailure(StreamFailure { stream_id, error }),
            &[],
        ),
    }
}

fn push(client: &TransportClient, message: &Message<Bytes>, follows: &[u8]) -> bool {
    let mut out = Vec::new();
    match message.encode(&mut out) {
        Ok(()) => {
            out.extend_from_slice(follows);
            client
                .shared()
                .push_answer(spark_rpc_engine::Lane::Normal, &mut out)
        }
        Err(error) => {
            let cause = ConnectionError::Refused {
                peer: client.peer().clone(),
                reason: "an answer too long to send",
            };
            tracing::warn!(peer = %client.peer(), %error, "closing: an answer cannot be encoded");
            client.shared().close(crate::link::Closing::Now(cause));
            false
        }
    }
}

/// The most that is read into a large frame's own buffer at once.
const MOST_AT_ONCE: usize = 1024 * 1024;
/// What a busy reader keeps of its list of replies.
const KEPT_REPLIES: usize = 256;
