//! Bodies that follow their frames, and the answers to what has no request id.

use std::sync::Arc;

use bytes::Bytes;
use spark_rpc_engine::AskId;
use spark_rpc_wire::{
    Body, ChunkFetchRequest, FrameDecoder, MergedBlockMetaRequest, StreamChunkId, StreamFailure,
    StreamRequest, StreamResponse, UploadStream,
};

use crate::client::TransportClient;
use crate::error::ConnectionError;
use crate::guard::guarded;
use crate::handler::{Flow, RpcHandler};
use crate::link::{Reply, TransportCounters};
use crate::outgoing::{Head, Outgoing, Transfer};
use crate::responder::{MergedMetaResponder, Responder};
use crate::stream_body::{BodySender, Taken, stream_body};
use crate::upload::UploadSink;

/// Where the body that is arriving goes.
#[derive(Default)]
pub(crate) enum Incoming {
    #[default]
    Nothing,
    Stream(BodySender),
    Upload {
        sink: Box<dyn UploadSink>,
        responder: Responder,
    },
    Skipped,
}

/// Why nothing more is taken from a connection.
pub(crate) enum Stop {
    /// The connection closes once what is queued has been written.
    Closing,
    /// The protocol is lost, or its rules are broken.
    Failed(ConnectionError),
}

impl Incoming {
    /// Takes the next piece of the body, after which `remaining` bytes are missing.
    pub(crate) fn take(
        &mut self,
        client: &TransportClient,
        data: Body<'_>,
        remaining: u64,
    ) -> Result<Flow, Stop> {
        let flow = match self {
            Incoming::Nothing | Incoming::Skipped => Flow::Continue,
            Incoming::Stream(sender) => match sender.send(data.into_bytes()) {
                Taken::Room => Flow::Continue,
                Taken::Full if remaining > 0 => Flow::Wait(sender.room()),
                Taken::Full => Flow::Continue,
                Taken::Abandoned => {
                    check_worth_skipping(client, remaining)?;
                    *self = Incoming::Skipped;
                    Flow::Continue
                }
            },
            Incoming::Upload { sink, .. } => match guarded(client.peer(), "upload", || sink.data(data)) {
                Some(Ok(flow)) => flow,
                Some(Err(text)) => return Err(self.refuse_upload(client, Some(&text))),
                None => return Err(self.refuse_upload(client, None)),
            },
        };
        if remaining == 0 {
            self.complete(client);
        }
        Ok(flow)
    }

    /// Whether whoever takes a body, on this side, is what the connection waits for when it pauses.
    pub(crate) fn waits_for_reader(&self) -> bool {
        matches!(self, Incoming::Stream(_) | Incoming::Upload { .. })
    }

    /// The connection has ended.
    pub(crate) fn fail(&mut self, client: &TransportClient, cause: &Arc<ConnectionError>) {
        match std::mem::take(self) {
            Incoming::Nothing | Incoming::Skipped => {}
            Incoming::Stream(sender) => sender.fail(cause),
            Incoming::Upload { sink, responder } => {
                guarded(client.peer(), "upload", || sink.failed(cause));
                drop(responder);
            }
        }
    }

    /// An answer announces a stream; returns who gets it.
    pub(crate) fn begin_stream(
        &mut self,
        decoder: &mut FrameDecoder,
        client: &TransportClient,
        response: &StreamResponse,
    ) -> Result<Option<(AskId, Reply)>, Stop> {
        let count = expect_body(
            decoder,
            client,
            response.byte_count,
            "a stream of negative length",
        )?;
        let Some(id) = asked_for_stream(client, &response.stream_id)? else {
            unasked(client);
            return Ok(None);
        };
        let waited_for = client.shared().link().pending.is_waiting(id);
        if !waited_for {
            TransportCounters::add(&client.shared().counters.late_replies, 1);
            check_worth_skipping(client, count)?;
            return Ok(None);
        }
        let (sender, body) = stream_body(client, count);
        if count > 0 {
            *self = Incoming::Stream(sender);
            client.shared().link().arriving = true;
        }
        Ok(Some((id, Reply::Stream(Box::new(body)))))
    }

    /// A request announces an upload.
    pub(crate) fn begin_upload(
        &mut self,
        decoder: &mut FrameDecoder,
        client: &TransportClient,
        handler: &mut dyn RpcHandler,
        upload: UploadStream,
    ) -> Result<(), Stop> {
        let count = expect_body(decoder, client, upload.byte_count, "an upload of negative length")?;
        let responder = Responder::new(client.clone(), upload.request_id);
        let sink = guarded(client.peer(), "receive_stream", || {
            handler.receive_stream(client, upload.meta, count)
        });
        let sink = match sink.unwrap_or_else(|| Err("the handler panicked".to_owned())) {
            Ok(sink) => sink,
            Err(text) => {
                // As in Spark: without a taker the body cannot be skipped reliably, so the connection closes.
                responder.failure(&text);
                client.close();
                return Err(Stop::Closing);
            }
        };
        *self = Incoming::Upload { sink, responder };
        if count == 0 {
            self.complete(client);
        } else {
            let mut link = client.shared().link();
            link.arriving = true;
            // Silence in the middle of a body has a limit.
            link.timer_stale = true;
        }
        Ok(())
    }

    fn complete(&mut self, client: &TransportClient) {
        client.shared().link().arriving = false;
        if let Incoming::Upload { sink, responder } = std::mem::take(self) {
            let responder = responder.after_upload();
            guarded(client.peer(), "upload", || sink.complete(responder));
        }
    }

    /// `None` stands for a sink that panicked and is not to be called again.
    fn refuse_upload(&mut self, client: &TransportClient, text: Option<&str>) -> Stop {
        if let Incoming::Upload { sink, responder } = std::mem::take(self) {
            if text.is_some() {
                let cause = ConnectionError::ClosedHere {
                    peer: client.peer().clone(),
                };
                guarded(client.peer(), "upload", || sink.failed(&cause));
            }
            let text = text.unwrap_or("it panicked");
            responder.failure(&format!("Destination failed while reading stream: {text}"));
        }
        client.close();
        Stop::Closing
    }
}

/// Answers a request for a chunk.
pub(crate) fn answer_chunk(
    client: &TransportClient,
    handler: &dyn RpcHandler,
    request: &ChunkFetchRequest,
) -> Result<(), Stop> {
    check_transfers(client)?;
    let chunk = request.chunk;
    let streams = handler.stream_manager();
    let buffer = streams
        .check_authorization(client, chunk.stream_id)
        .and_then(|()| streams.get_chunk(client, chunk));
    let shared = client.shared();
    let answer = match buffer {
        Ok(buffer) => Outgoing::answer(Head::Chunk(chunk), buffer, Transfer::begin(&shared.counters)),
        Err(error) => Outgoing::frame(Head::Chunk(chunk).failure(&error).unwrap_or_default()),
    };
    // Chunks are told by their ids, so small ones need not keep their place among the bodies.
    match answer.into_small_frame(GATHERED) {
        Ok(mut frame) => shared.push_answer(spark_rpc_engine::Lane::Normal, &mut frame),
        Err(large) => shared.push_body(large),
    }
    Ok(())
}

/// Answers a request for a stream. Answers keep the order of the requests, which is all that tells them apart.
pub(crate) fn answer_stream(
    client: &TransportClient,
    handler: &dyn RpcHandler,
    request: StreamRequest,
) -> Result<(), Stop> {
    check_transfers(client)?;
    let StreamRequest { stream_id } = request;
    let streams = handler.stream_manager();
    let buffer = streams
        .check_stream_authorization(client, &stream_id)
        .and_then(|()| streams.open_stream(client, &stream_id));
    let shared = client.shared();
    let head = Head::Stream(stream_id);
    let answer = match buffer {
        Ok(buffer) => Outgoing::answer(head, buffer, Transfer::begin(&shared.counters)),
        Err(error) => Outgoing::frame(head.failure(&error).unwrap_or_default()),
    };
    let answer = answer.into_small_frame(GATHERED);
    shared.push_body(answer.map_or_else(|large| large, Outgoing::frame));
    Ok(())
}

pub(crate) fn answer_merged_meta(
    client: &TransportClient,
    handler: &mut dyn RpcHandler,
    request: MergedBlockMetaRequest,
) {
    let responder = MergedMetaResponder::new(client.clone(), request.request_id);
    guarded(client.peer(), "receive_merged_meta_request", || {
        handler.receive_merged_meta_request(client, request, responder);
    });
}

/// Who asked for a chunk that has come, or its failure.
pub(crate) fn asked_for_chunk(client: &TransportClient, chunk: StreamChunkId) -> Option<AskId> {
    let id = client.shared().link().expected.chunk(chunk);
    if id.is_none() {
        unasked(client);
    }
    id
}

/// The failure of a stream has come; returns who gets it.
pub(crate) fn stream_failed(
    client: &TransportClient,
    failure: StreamFailure,
) -> Result<Option<(AskId, Reply)>, Stop> {
    let id = asked_for_stream(client, &failure.stream_id)?;
    if id.is_none() {
        unasked(client);
    }
    Ok(id.map(|id| (id, Reply::Failure(failure.error))))
}

/// A chunk's bytes for the one who asked: those of a large one on their own, so that they do not keep others, or where they
/// lie in an input that is kept for chunks of so many bytes.
pub(crate) fn own_large<'a>(body: Body<'a>, kept: Option<(&Bytes, usize)>) -> Result<Bytes, Body<'a>> {
    match (body, kept) {
        (Body::Owned(bytes), _) => Ok(bytes),
        (Body::Borrowed(part), Some((kept, large)))
            // It may lie in the decoder's own buffer.
            if part.len() >= large && kept.as_ptr_range().contains(&part.as_ptr()) =>
        {
            Ok(kept.slice_ref(part))
        }
        (Body::Borrowed(bytes), _) if bytes.len() >= OWNED => Ok(Bytes::copy_from_slice(bytes)),
        (small, _) => Err(small),
    }
}

/// Who asked for the stream that the next answer is about.
fn asked_for_stream(client: &TransportClient, stream_id: &str) -> Result<Option<AskId>, Stop> {
    let Some((name, id)) = client.shared().link().expected.stream() else {
        return Ok(None);
    };
    if name == stream_id {
        return Ok(Some(id));
    }
    // Whoever waits hears of the connection's end, like everybody else.
    tracing::warn!(peer = %client.peer(), asked = %name, got = %stream_id, "streams are out of step");
    Err(refused(
        client,
        "an answer about another stream than the one whose turn it is",
    ))
}

/// Counted like late replies, and no louder: a peer can send such as often as it likes.
fn unasked(client: &TransportClient) {
    TransportCounters::add(&client.shared().counters.late_replies, 1);
    tracing::debug!(peer = %client.peer(), "ignoring an answer that nobody asked for");
}

fn expect_body(
    decoder: &mut FrameDecoder,
    client: &TransportClient,
    count: i64,
    negative: &'static str,
) -> Result<u64, Stop> {
    let Ok(count) = u64::try_from(count) else {
        return Err(refused(client, negative));
    };
    let expected = decoder.expect_body(count);
    expected.map_err(|source| {
        Stop::Failed(ConnectionError::Frame {
            peer: client.peer().clone(),
            source,
        })
    })?;
    Ok(count)
}

/// As Spark does, closes the connection when more is asked for than may be under way.
fn check_transfers(client: &TransportClient) -> Result<(), Stop> {
    let shared = client.shared();
    let in_transfer = shared.counters.bodies_in_transfer();
    match shared.conf.max_bodies_in_transfer {
        Some(most) if in_transfer >= most as u64 => Err(Stop::Failed(ConnectionError::TooManyTransfers {
            peer: client.peer().clone(),
            most,
        })),
        _ => match shared.conf.max_bytes_in_transfer {
            Some(most) if shared.counters.bytes_in_transfer() >= most => {
                Err(Stop::Failed(ConnectionError::TooManyBytes {
                    peer: client.peer().clone(),
                    most,
                }))
            }
            _ => Ok(()),
        },
    }
}

fn check_worth_skipping(client: &TransportClient, remaining: u64) -> Result<(), Stop> {
    if remaining <= SKIPPED {
        return Ok(());
    }
    Err(Stop::Failed(ConnectionError::StreamAbandoned {
        peer: client.peer().clone(),
        remaining,
    }))
}

fn refused(client: &TransportClient, reason: &'static str) -> Stop {
    Stop::Failed(ConnectionError::Refused {
        peer: client.peer().clone(),
        reason,
    })
}

/// How Spark begins the text when an upload fails after its last byte.
/// Bodies up to this size are copied behind their frame.
const GATHERED: usize = 32 * 1024;
/// Received chunks of this size do not share memory with others.
const OWNED: usize = 16 * 1024;
/// A rest of this size is rather received than the connection given up.
const SKIPPED: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_chunk_is_not_copied_where_its_surroundings_may_be_kept() {
        let input = Bytes::from(vec![7; 100_000]);
        let stays = |part: &[u8], kept| {
            let owned = own_large(Body::Borrowed(part), kept).unwrap();
            assert_eq!(owned, part);
            owned.as_ptr() == part.as_ptr()
        };
        assert!(stays(&input[10..60_010], Some((&input, 60_000))));
        assert!(
            !stays(&input[10..60_009], Some((&input, 60_000))),
            "it would keep too much"
        );
        assert!(!stays(&input[10..60_010], None));
        let elsewhere = vec![7; 70_000];
        assert!(!stays(&elsewhere, Some((&input, 60_000))));
        assert!(own_large(Body::Borrowed(&input[..10]), Some((&input, 60_000))).is_err());
    }
}
