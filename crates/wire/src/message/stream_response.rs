//! Type 7: a stream.

use crate::{
    DecodeError, EncodeError, MessageType,
    primitive::{Reader, put_i64, put_string},
};

/// The good answer to a [`StreamRequest`](super::StreamRequest). The stream's bytes follow the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamResponse {
    /// The name that was asked for.
    pub stream_id: String,
    /// How many raw bytes follow the frame. Zero or less means none.
    pub byte_count: i64,
}

impl StreamResponse {
    pub(super) fn header_len(&self) -> u64 {
        12 + self.stream_id.len() as u64
    }

    pub(super) fn encode_header(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_string(out, &self.stream_id)?;
        put_i64(out, self.byte_count);
        Ok(())
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(MessageType::StreamResponse.name(), content);
        let stream_id = reader.string("stream_id")?.to_owned();
        let byte_count = reader.i64("byte_count")?;
        Ok(Self {
            stream_id,
            byte_count,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{assert_layout, assert_truncations};

    use super::*;

    #[test]
    fn header_and_body_lie_as_spark_puts_them() {
        let message = StreamResponse {
            stream_id: "/a".into(),
            byte_count: 3,
        };
        assert_layout(
            &message.into(),
            "0000000000000017 07 00000002 2f61 0000000000000003",
        );
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        assert_truncations(
            &StreamResponse {
                stream_id: "/a".into(),
                byte_count: 3,
            }
            .into(),
            14,
        );
    }
}
