//! Type 0: asks for a chunk.

use crate::{DecodeError, EncodeError, MessageType, StreamChunkId, primitive::Reader};

/// Asks for one chunk of a stream that the other side has registered.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct ChunkFetchRequest {
    /// The chunk that is wanted.
    pub chunk: StreamChunkId,
}

impl ChunkFetchRequest {
    pub(super) fn header_len(&self) -> u64 {
        StreamChunkId::ENCODED_LEN
    }

    pub(super) fn encode_header(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.chunk.encode(out);
        Ok(())
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(MessageType::ChunkFetchRequest.name(), content);
        Ok(Self {
            chunk: StreamChunkId::decode(&mut reader)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{assert_layout, assert_truncations};

    use super::*;

    #[test]
    fn header_and_body_lie_as_spark_puts_them() {
        let message = ChunkFetchRequest {
            chunk: StreamChunkId {
                stream_id: 1,
                chunk_index: 2,
            },
        };
        assert_layout(&message.into(), "0000000000000015 00 0000000000000001 00000002");
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        assert_truncations(
            &ChunkFetchRequest {
                chunk: StreamChunkId {
                    stream_id: 1,
                    chunk_index: 2,
                },
            }
            .into(),
            12,
        );
    }
}
