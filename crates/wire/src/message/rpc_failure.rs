//! Type 5: a failed request.

use crate::{
    DecodeError, EncodeError, MessageType, RequestId,
    primitive::{Reader, put_i64, put_string},
};

/// The bad answer to an [`RpcRequest`](super::RpcRequest), an [`UploadStream`](super::UploadStream) or a
/// [`MergedBlockMetaRequest`](super::MergedBlockMetaRequest).
///
/// The request did not reach its endpoint, or there was no answer to be had from it. (A failure which an endpoint reports
/// on purpose travels as an [`RpcResponse`](super::RpcResponse).)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcFailure {
    /// The request that is answered.
    pub request_id: RequestId,
    /// What went wrong; from Spark, a whole stack trace.
    pub error: String,
}

impl RpcFailure {
    pub(super) fn header_len(&self) -> u64 {
        12 + self.error.len() as u64
    }

    pub(super) fn encode_header(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_i64(out, self.request_id.0);
        put_string(out, &self.error)
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(MessageType::RpcFailure.name(), content);
        let request_id = RequestId(reader.i64("request_id")?);
        let error = reader.string("error")?.to_owned();
        Ok(Self { request_id, error })
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{assert_layout, assert_truncations};

    use super::*;

    #[test]
    fn header_and_body_lie_as_spark_puts_them() {
        let message = RpcFailure {
            request_id: RequestId(5),
            error: "no".into(),
        };
        assert_layout(
            &message.into(),
            "0000000000000017 05 0000000000000005 00000002 6e6f",
        );
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        assert_truncations(
            &RpcFailure {
                request_id: RequestId(5),
                error: "no".into(),
            }
            .into(),
            14,
        );
    }

    /// PROTO-04
    #[test]
    fn an_error_text_with_an_impossible_length_is_refused() {
        for length in [-1, 3, i32::MAX] {
            let mut content = 5_i64.to_be_bytes().to_vec();
            content.extend_from_slice(&length.to_be_bytes());
            content.extend_from_slice(b"no");
            let refused = DecodeError::LengthOutOfBounds {
                message: "RpcFailure",
                field: "error",
                length,
                available: 2,
            };
            assert_eq!(RpcFailure::decode(&content), Err(refused));
        }
    }

    #[test]
    fn an_error_text_that_is_not_utf8_is_refused() {
        let mut content = 5_i64.to_be_bytes().to_vec();
        content.extend_from_slice(&[0, 0, 0, 1, 0xff]);
        let refused = DecodeError::NotUtf8 {
            message: "RpcFailure",
            field: "error",
        };
        assert_eq!(RpcFailure::decode(&content), Err(refused));
    }

    #[test]
    fn bytes_behind_the_header_are_ignored() {
        let mut content = 5_i64.to_be_bytes().to_vec();
        content.extend_from_slice(&[0, 0, 0, 0, 1, 2, 3]);
        assert_eq!(
            RpcFailure::decode(&content),
            Ok(RpcFailure {
                request_id: RequestId(5),
                error: String::new()
            })
        );
    }
}
