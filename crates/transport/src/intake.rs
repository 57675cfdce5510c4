//! From bytes to calls of the handler and replies for those who wait.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use bytes::{BufMut, Bytes};
use spark_rpc_engine::AskId;
use spark_rpc_net::BoxFuture;
use spark_rpc_wire::{Body, Event, FrameDecoder, Message, RequestId};

use crate::client::TransportClient;
use crate::error::ConnectionError;
use crate::guard::guarded;
use crate::handler::{Flow, RpcHandler};
use crate::incoming::{self, Incoming, Stop, asked_for_chunk, own_large};
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
    incoming: Incoming,
    /// Chunks of so many bytes are handed out where they lie in the input, if they may be.
    large: usize,
    /// The last input brought such chunks.
    brought_large: bool,
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
    /// With chunks of `large` bytes it is worth while to keep all of the input that they lie in.
    pub(crate) fn new(decoder: FrameDecoder, large: usize) -> Self {
        Self {
            decoder,
            replies: Vec::new(),
            bodies: Vec::new(),
            incoming: Incoming::default(),
            large,
            brought_large: false,
        }
    }

    /// Room for the missing part of a large frame, if one is being collected.
    pub(crate) fn space(&mut self) -> Option<impl BufMut + '_> {
        self.decoder.read_space(MOST_AT_ONCE)
    }

    /// Whether chunks come that need not be copied if the next input may be kept.
    pub(crate) fn brings_large(&self) -> bool {
        self.brought_large
    }

    /// Takes `input`, which is all of `kept` if parts of it may be kept.
    pub(crate) fn take<'a>(
        &mut self,
        mut input: &'a [u8],
        kept: Option<&Bytes>,
        client: &TransportClient,
        handler: &mut dyn RpcHandler,
    ) -> IntakeEnd<'a> {
        let mut frames = 0;
        self.brought_large = false;
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
            let frame = match event {
                Event::Frame(frame) => frame,
                Event::Body { data, remaining } => match self.incoming.take(client, data, remaining) {
                    Ok(Flow::Continue) => continue,
                    Ok(Flow::Wait(wait)) => break IntakeEnd::Paused { wait, rest: input },
                    Err(stop) => break stop.into(),
                },
            };
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
                    continue;
                }
                Message::RpcFailure(failure) => {
                    let reply = GatheredReply::Whole(Reply::Failure(failure.error));
                    self.replies.push((failure.request_id, reply));
                    continue;
                }
                Message::ChunkFetchSuccess(fetched) => {
                    if let Some(id) = asked_for_chunk(client, fetched.chunk) {
                        self.brought_large |= fetched.body.len() >= self.large;
                        match own_large(fetched.body, kept.map(|kept| (kept, self.large))) {
                            Ok(body) => self.replies.push(whole((id, Reply::Response(body)))),
                            Err(body) => {
                                gather(&mut self.replies, &mut self.bodies, RequestId(id.to_wire()), body);
                            }
                        }
                    }
                    continue;
                }
                rare => {
                    let rare = rare.into_owned();
                    match self.take_rare(rare, client, handler) {
                        Ok(()) => Flow::Continue,
                        Err(stop) => break stop.into(),
                    }
                }
            };
            if let Flow::Wait(wait) = flow {
                break IntakeEnd::Paused { wait, rest: input };
            }
            // A few bytes ask for any amount of bulk, so this is not left to the end of the input.
            if client.shared().is_over() {
                break IntakeEnd::Over { rest: input };
            }
        };
        TransportCounters::add(&client.shared().counters.frames_read, frames);
        end
    }

    /// Takes a message of the rarer kinds.
    fn take_rare(
        &mut self,
        message: Message<Bytes>,
        client: &TransportClient,
        handler: &mut dyn RpcHandler,
    ) -> Result<(), Stop> {
        match message {
            Message::ChunkFetchRequest(request) => incoming::answer_chunk(client, handler, &request)?,
            Message::StreamRequest(request) => incoming::answer_stream(client, handler, request)?,
            Message::MergedBlockMetaRequest(request) => {
                incoming::answer_merged_meta(client, handler, request);
            }
            Message::UploadStream(upload) => {
                self.incoming
                    .begin_upload(&mut self.decoder, client, handler, upload)?;
            }
            Message::StreamResponse(response) => {
                let reply = self.incoming.begin_stream(&mut self.decoder, client, &response)?;
                self.replies.extend(reply.map(whole));
            }
            Message::StreamFailure(failure) => {
                let reply = incoming::stream_failed(client, failure)?;
                self.replies.extend(reply.map(whole));
            }
            Message::ChunkFetchFailure(failure) => {
                let asked = asked_for_chunk(client, failure.chunk);
                let reply = asked.map(|id| (id, Reply::Failure(failure.error)));
                self.replies.extend(reply.map(whole));
            }
            Message::MergedBlockMetaSuccess(meta) => {
                let reply = Reply::MergedMeta(Box::new((meta.chunk_count, meta.body)));
                self.replies.push((meta.request_id, GatheredReply::Whole(reply)));
            }
            Message::RpcRequest(_)
            | Message::OneWayMessage(_)
            | Message::RpcResponse(_)
            | Message::RpcFailure(_)
            | Message::ChunkFetchSuccess(_) => unreachable!("the caller takes these itself"),
        }
        Ok(())
    }

    /// The connection has ended: whatever was arriving will not.
    pub(crate) fn fail(&mut self, client: &TransportClient, cause: &Arc<ConnectionError>) {
        self.incoming.fail(client, cause);
    }

    /// Whether a pause is the doing of whoever takes a body.
    pub(crate) fn waits_for_reader(&self) -> bool {
        self.incoming.waits_for_reader()
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
}

impl From<Stop> for IntakeEnd<'_> {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Closing => IntakeEnd::Closing,
            Stop::Failed(cause) => IntakeEnd::Failed(cause),
        }
    }
}

fn whole((id, reply): (AskId, Reply)) -> (RequestId, GatheredReply) {
    (RequestId(id.to_wire()), GatheredReply::Whole(reply))
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

/// The most that is read into a large frame's own buffer at once.
const MOST_AT_ONCE: usize = 1024 * 1024;
/// What a busy reader keeps of its list of replies.
const KEPT_REPLIES: usize = 256;
