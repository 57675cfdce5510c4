//! Type 6: asks for a stream.

use crate::{
    DecodeError, EncodeError, MessageType,
    primitive::{Reader, put_string},
};

/// Asks for a stream by its name.
///
/// Answers have no ids: they come in the order of the requests on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRequest {
    /// The name, such as `/files/data.txt`.
    pub stream_id: String,
}

impl StreamRequest {
    pub(super) fn header_len(&self) -> u64 {
        4 + self.stream_id.len() as u64
    }

    pub(super) fn encode_header(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_string(out, &self.stream_id)
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(MessageType::StreamRequest.name(), content);
        Ok(Self {
            stream_id: reader.string("stream_id")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{assert_layout, assert_truncations};

    use super::*;

    #[test]
    fn header_and_body_lie_as_spark_puts_them() {
        let message = StreamRequest {
            stream_id: "/a".into(),
        };
        assert_layout(&message.into(), "000000000000000f 06 00000002 2f61");
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        assert_truncations(
            &StreamRequest {
                stream_id: "/a".into(),
            }
            .into(),
            6,
        );
    }
}
