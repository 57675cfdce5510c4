//! Type 2: no chunk.

use crate::{
    DecodeError, EncodeError, MessageType, StreamChunkId,
    primitive::{Reader, put_string},
};

/// The bad answer to a [`ChunkFetchRequest`](super::ChunkFetchRequest).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkFetchFailure {
    /// The chunk that was asked for.
    pub chunk: StreamChunkId,
    /// What went wrong; from Spark, a whole stack trace.
    pub error: String,
}

impl ChunkFetchFailure {
    pub(super) fn header_len(&self) -> u64 {
        StreamChunkId::ENCODED_LEN + 4 + self.error.len() as u64
    }

    pub(super) fn encode_header(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.chunk.encode(out);
        put_string(out, &self.error)
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(MessageType::ChunkFetchFailure.name(), content);
        let chunk = StreamChunkId::decode(&mut reader)?;
        let error = reader.string("error")?.to_owned();
        Ok(Self { chunk, error })
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{assert_layout, assert_truncations};

    use super::*;

    #[test]
    fn header_and_body_lie_as_spark_puts_them() {
        let message = ChunkFetchFailure {
            chunk: StreamChunkId {
                stream_id: 1,
                chunk_index: 2,
            },
            error: "no".into(),
        };
        assert_layout(
            &message.into(),
            "000000000000001b 02 0000000000000001 00000002 00000002 6e6f",
        );
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        assert_truncations(
            &ChunkFetchFailure {
                chunk: StreamChunkId {
                    stream_id: 1,
                    chunk_index: 2,
                },
                error: "no".into(),
            }
            .into(),
            18,
        );
    }
}
