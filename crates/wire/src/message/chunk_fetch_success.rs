//! Type 1: a chunk.

use std::fmt;

use crate::{Body, DecodeError, EncodeError, MessageType, StreamChunkId, body::Brief, primitive::Reader};

/// The good answer to a [`ChunkFetchRequest`](super::ChunkFetchRequest).
#[derive(Clone, PartialEq, Eq)]
pub struct ChunkFetchSuccess<B> {
    /// The chunk that was asked for.
    pub chunk: StreamChunkId,
    /// The bytes of the chunk.
    pub body: B,
}

impl<B: AsRef<[u8]>> ChunkFetchSuccess<B> {
    pub(super) fn header_len(&self) -> u64 {
        StreamChunkId::ENCODED_LEN
    }

    pub(super) fn encode_header(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.chunk.encode(out);
        Ok(())
    }
}

impl<'a> ChunkFetchSuccess<Body<'a>> {
    #[inline]
    pub(super) fn decode(content: Body<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(MessageType::ChunkFetchSuccess.name(), &content);
        let chunk = StreamChunkId::decode(&mut reader)?;
        let header = reader.position();
        Ok(Self {
            chunk,
            body: content.slice_from(header),
        })
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for ChunkFetchSuccess<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkFetchSuccess")
            .field("chunk", &self.chunk)
            .field("body", &Brief(self.body.as_ref()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{assert_layout, assert_truncations};
    use crate::{LARGEST_FRAME, Message};

    use super::*;

    #[test]
    fn header_and_body_lie_as_spark_puts_them() {
        let message = ChunkFetchSuccess {
            chunk: StreamChunkId {
                stream_id: 1,
                chunk_index: 2,
            },
            body: &b"ab"[..],
        };
        assert_layout(
            &message.into(),
            "0000000000000017 01 0000000000000001 00000002 6162",
        );
    }

    #[test]
    fn the_head_can_announce_a_body_that_is_not_in_memory() {
        let chunk = StreamChunkId {
            stream_id: 1,
            chunk_index: 2,
        };
        let (mut whole, mut head) = (Vec::new(), Vec::new());
        let message = |body| Message::ChunkFetchSuccess(ChunkFetchSuccess { chunk, body });
        message(&b"abc"[..]).encode(&mut whole).unwrap();
        message(&b""[..]).encode_head_of(&mut head, 3).unwrap();
        assert_eq!(whole, [&head[..], b"abc"].concat());

        let too_long = message(&b""[..]).encode_head_of(&mut head, u64::MAX);
        assert!(
            matches!(
                too_long,
                Err(EncodeError::FrameTooLong {
                    limit: LARGEST_FRAME,
                    ..
                })
            ),
            "{too_long:?}"
        );
        assert_eq!(head.len(), 21, "nothing is left behind");
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        assert_truncations(
            &ChunkFetchSuccess {
                chunk: StreamChunkId {
                    stream_id: 1,
                    chunk_index: 2,
                },
                body: &b"ab"[..],
            }
            .into(),
            12,
        );
    }
}
