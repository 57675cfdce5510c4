//! What waits in the bulk lane: bodies, and the frames that announce them.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, Bytes};
use spark_rpc_engine::AskId;
use spark_rpc_wire::{
    ChunkFetchFailure, ChunkFetchSuccess, EncodeError, MergedBlockMetaSuccess, Message, RequestId,
    RpcFailure, StreamChunkId, StreamFailure, StreamResponse, UploadStream,
};

use crate::link::TransportCounters;
use crate::managed_buffer::{Compute, Data, FileSegment, ManagedBuffer, OpenFile, Release};

/// One entry of the bulk lane.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// A frame and the body in memory that follows it or lies in its end; the body may be empty.
    Ready { head: Vec<u8>, body: Bytes, hold: Hold },
    /// A body that must be read from a file.
    File(FileBody),
}

#[derive(Debug)]
pub(crate) struct FileBody {
    pub(crate) head: Head,
    pub(crate) source: FileSource,
    pub(crate) hold: Hold,
}

pub(crate) enum FileSource {
    Open(FileSegment),
    Lazy(OpenFile),
    Computed(Compute),
}

/// What a source was found to be when its turn came.
#[derive(Debug)]
pub(crate) enum Opened {
    Segment(FileSegment),
    Bytes(Bytes),
}

/// What ends with a transfer, when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    _release: Release,
    transfer: Option<Transfer>,
}

/// Counts one body in transfer, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Transfer {
    counters: Arc<TransportCounters>,
    bytes: u64,
}

/// The message that announces a body, once its length is known.
#[derive(Clone, Debug)]
pub(crate) enum Head {
    Chunk(StreamChunkId),
    Stream(String),
    MergedMeta { id: RequestId, chunk_count: i32 },
    Upload { id: AskId, meta: Bytes },
}

impl Outgoing {
    /// A whole frame, which keeps its place among the bodies.
    pub(crate) fn frame(frame: Vec<u8>) -> Self {
        Outgoing::Ready {
            head: frame,
            body: Bytes::new(),
            hold: Hold::default(),
        }
    }

    /// A body in answer to a request. One that is too long for its message becomes that message's failure.
    pub(crate) fn answer(head: Head, buffer: ManagedBuffer, mut transfer: Transfer) -> Self {
        let length = buffer.length();
        transfer.count(length.unwrap_or_default());
        let (data, release) = buffer.into_parts();
        let hold = Hold {
            _release: release,
            transfer: Some(transfer),
        };
        Self::new(head, data, hold).unwrap_or_else(|(head, error)| {
            let text = format!("{} bytes cannot be sent: {error}", length.unwrap_or_default());
            Self::frame(head.failure(&text).unwrap_or_default())
        })
    }

    pub(crate) fn upload(id: AskId, meta: Bytes, buffer: ManagedBuffer) -> Result<Self, EncodeError> {
        let (data, release) = buffer.into_parts();
        let hold = Hold {
            _release: release,
            transfer: None,
        };
        Self::new(Head::Upload { id, meta }, data, hold).map_err(|(_, error)| error)
    }

    fn new(head: Head, data: Data, hold: Hold) -> Result<Self, (Head, EncodeError)> {
        let source = match data {
            Data::Bytes(body) => {
                let mut encoded = Vec::new();
                return match head.encode(body.len() as u64, &mut encoded) {
                    Ok(()) => Ok(Outgoing::Ready {
                        head: encoded,
                        body,
                        hold,
                    }),
                    Err(error) => Err((head, error)),
                };
            }
            Data::Open(segment) => FileSource::Open(segment),
            Data::Lazy(open) => FileSource::Lazy(open),
            Data::Computed(compute) => FileSource::Computed(compute),
        };
        Ok(Outgoing::File(FileBody { head, source, hold }))
    }

    /// The memory that it holds while it waits.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Outgoing::Ready { head, body, .. } => head.len() + body.len(),
            Outgoing::File(file) => FILE_WEIGHT + file.head.held(),
        }
    }

    /// A small body goes into the frame itself, so that frames can be gathered.
    pub(crate) fn into_small_frame(self, at_most: usize) -> Result<Vec<u8>, Self> {
        match self {
            Outgoing::Ready { mut head, body, .. } if head.len() + body.len() <= at_most => {
                head.put_slice(&body);
                Ok(head)
            }
            large => Err(large),
        }
    }
}

impl Head {
    /// The memory behind it, of which the peer chooses the name.
    fn held(&self) -> usize {
        match self {
            Head::Stream(stream_id) => stream_id.len(),
            Head::Upload { meta, .. } => meta.len(),
            Head::Chunk(_) | Head::MergedMeta { .. } => 0,
        }
    }

    /// Appends the frame that announces `length` bytes.
    pub(crate) fn encode(&self, length: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let byte_count = i64::try_from(length).unwrap_or(i64::MAX);
        match self.clone() {
            Head::Chunk(chunk) => encode_head_of(
                ChunkFetchSuccess {
                    chunk,
                    body: Bytes::new(),
                },
                length,
                out,
            ),
            Head::MergedMeta { id, chunk_count } => {
                let message = MergedBlockMetaSuccess {
                    request_id: id,
                    chunk_count,
                    body: Bytes::new(),
                };
                encode_head_of(message, length, out)
            }
            Head::Stream(stream_id) => encode_head_of(
                StreamResponse {
                    stream_id,
                    byte_count,
                },
                0,
                out,
            ),
            Head::Upload { id, meta } => {
                let message = UploadStream {
                    request_id: RequestId(id.to_wire()),
                    meta,
                    byte_count,
                };
                encode_head_of(message, 0, out)
            }
        }
    }

    /// The frame that tells the asker why there is no body; `None` where the peer has not asked.
    pub(crate) fn failure(self, error: &str) -> Option<Vec<u8>> {
        let error = error.to_owned();
        let message: Message<Bytes> = match self {
            Head::Chunk(chunk) => ChunkFetchFailure { chunk, error }.into(),
            Head::Stream(stream_id) => StreamFailure { stream_id, error }.into(),
            Head::MergedMeta { id, .. } => RpcFailure {
                request_id: id,
                error,
            }
            .into(),
            Head::Upload { .. } => return None,
        };
        let mut frame = Vec::new();
        // The texts are this side's own, and short.
        message.encode(&mut frame).ok()?;
        Some(frame)
    }
}

fn encode_head_of(
    message: impl Into<Message<Bytes>>,
    body_len: u64,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    message.into().encode_head_of(out, body_len)
}

impl FileSource {
    /// Opens the file. May wait for a disk.
    pub(crate) fn open(self) -> io::Result<Opened> {
        match self {
            FileSource::Open(segment) => Ok(Opened::Segment(segment)),
            FileSource::Lazy(open) => open().map(Opened::Segment),
            FileSource::Computed(compute) => compute().map(Opened::Bytes),
        }
    }
}

impl Opened {
    pub(crate) fn length(&self) -> u64 {
        match self {
            Opened::Segment(segment) => segment.length,
            Opened::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

impl Transfer {
    pub(crate) fn begin(counters: &Arc<TransportCounters>) -> Self {
        TransportCounters::add(&counters.bodies_in_transfer, 1);
        Self {
            counters: Arc::clone(counters),
            bytes: 0,
        }
    }

    /// Its length is known to be `bytes`.
    fn count(&mut self, bytes: u64) {
        let gauge: &AtomicU64 = &self.counters.bytes_in_transfer;
        gauge.fetch_add(bytes, Ordering::Relaxed);
        gauge.fetch_sub(std::mem::replace(&mut self.bytes, bytes), Ordering::Relaxed);
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.count(0);
        let gauge: &AtomicU64 = &self.counters.bodies_in_transfer;
        gauge.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hold {
    /// The body has turned out to have so many bytes.
    pub(crate) fn count(&mut self, bytes: u64) {
        if let Some(transfer) = &mut self.transfer {
            transfer.count(bytes);
        }
    }
}

impl fmt::Debug for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileSource::Open(segment) => segment.fmt(f),
            FileSource::Lazy(_) => f.write_str("to be opened"),
            FileSource::Computed(_) => f.write_str("to be computed"),
        }
    }
}

/// What a file counts in the write queue: about what its entry takes, but for its name.
const FILE_WEIGHT: usize = 256;
