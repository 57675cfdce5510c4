//! The ids by which answers find their requests.

use std::fmt;

use crate::{
    DecodeError,
    primitive::{Reader, put_i32, put_i64},
};

/// Id of a request on one connection; its answer carries the same id.
///
/// `RpcRequest`, `UploadStream` and `MergedBlockMetaRequest` share one id space per connection. Spark makes the absolute
/// value of random bits; a receiver takes any value, also negative ones.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Ord, PartialOrd, Debug)]
pub struct RequestId(pub i64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one chunk of a registered stream (Spark's `StreamChunkId`).
#[derive(Copy, Clone, Eq, PartialEq, Hash, Ord, PartialOrd, Debug)]
pub struct StreamChunkId {
    /// The stream, as numbered by the side that registered it.
    pub stream_id: i64,
    /// The chunk's place in the stream, counted from 0.
    pub chunk_index: i32,
}

impl StreamChunkId {
    /// Bytes on the wire.
    pub(crate) const ENCODED_LEN: u64 = 12;

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        put_i64(out, self.stream_id);
        put_i32(out, self.chunk_index);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<StreamChunkId, DecodeError> {
        Ok(StreamChunkId {
            stream_id: reader.i64("stream_id")?,
            chunk_index: reader.i32("chunk_index")?,
        })
    }
}

impl fmt::Display for StreamChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stream_id, self.chunk_index)
    }
}
