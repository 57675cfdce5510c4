//! Type 10: a request with a stream.

use std::fmt;

use bytes::Bytes;

use crate::{
    Body, DecodeError, EncodeError, MessageType, RequestId,
    body::Brief,
    primitive::{Reader, put_byte_array, put_i64},
};

/// A request whose large part follows the frame as raw bytes. Answered like an [`RpcRequest`](super::RpcRequest).
#[derive(Clone, PartialEq, Eq)]
pub struct UploadStream {
    /// Which answer will belong to it.
    pub request_id: RequestId,
    /// What the receiver needs to know before the stream begins.
    pub meta: Bytes,
    /// How many raw bytes follow the frame. Zero or less means none.
    pub byte_count: i64,
}

impl UploadStream {
    pub(super) fn header_len(&self) -> u64 {
        20 + self.meta.len() as u64
    }

    pub(super) fn encode_header(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_i64(out, self.request_id.0);
        put_byte_array(out, &self.meta)?;
        put_i64(out, self.byte_count);
        Ok(())
    }

    pub(super) fn decode(content: &Body<'_>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(MessageType::UploadStream.name(), content);
        let request_id = RequestId(reader.i64("request_id")?);
        let meta = content.share(reader.byte_array("meta")?);
        let byte_count = reader.i64("byte_count")?;
        Ok(Self {
            request_id,
            meta,
            byte_count,
        })
    }
}

impl fmt::Debug for UploadStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadStream")
            .field("request_id", &self.request_id)
            .field("meta", &Brief(&self.meta))
            .field("byte_count", &self.byte_count)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{assert_layout, assert_truncations};

    use super::*;

    #[test]
    fn header_and_body_lie_as_spark_puts_them() {
        let message = UploadStream {
            request_id: RequestId(5),
            meta: Bytes::from_static(b"m"),
            byte_count: 3,
        };
        assert_layout(
            &message.into(),
            "000000000000001e 0a 0000000000000005 00000001 6d 0000000000000003",
        );
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        assert_truncations(
            &UploadStream {
                request_id: RequestId(5),
                meta: Bytes::from_static(b"m"),
                byte_count: 3,
            }
            .into(),
            21,
        );
    }

    /// PROTO-04
    #[test]
    fn a_meta_part_with_an_impossible_length_is_refused() {
        for length in [-1, 13, i32::MAX] {
            let mut content = 5_i64.to_be_bytes().to_vec();
            content.extend_from_slice(&length.to_be_bytes());
            content.extend_from_slice(&[0; 12]);
            let refused = DecodeError::LengthOutOfBounds {
                message: "UploadStream",
                field: "meta",
                length,
                available: 12,
            };
            assert_eq!(UploadStream::decode(&Body::Borrowed(&content)), Err(refused));
        }
    }
}
