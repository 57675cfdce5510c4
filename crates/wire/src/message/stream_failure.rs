//! Type 8: no stream.

use crate::{
    DecodeError, EncodeError, MessageType,
    primitive::{Reader, put_string},
};

/// The bad answer to a [`StreamRequest`](super::StreamRequest).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFailure {
    /// The name that was asked for.
    pub stream_id: String,
    /// What went wrong; from Spark, a message or a whole stack trace.
    pub error: String,
}

impl StreamFailure {
    pub(super) fn header_len(&self) -> u64 {
        8 + self.stream_id.len() as u64 + self.error.len() as u64
    }

    pub(super) fn encode_header(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_string(out, &self.stream_id)?;
        put_string(out, &self.error)
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(MessageType::StreamFailure.name(), content);
        let stream_id = reader.string("stream_id")?.to_owned();
        let error = reader.string("error")?.to_owned();
        Ok(Self { stream_id, error })
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{assert_layout, assert_truncations};

    use super::*;

    #[test]
    fn header_and_body_lie_as_spark_puts_them() {
        let message = StreamFailure {
            stream_id: "/a".into(),
            error: "no".into(),
        };
        assert_layout(&message.into(), "0000000000000015 08 00000002 2f61 00000002 6e6f");
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        assert_truncations(
            &StreamFailure {
                stream_id: "/a".into(),
                error: "no".into(),
            }
            .into(),
            12,
        );
    }
}
