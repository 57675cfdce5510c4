//! Type 3: a request.

use std::fmt;

use crate::{
    Body, DecodeError, EncodeError, MessageType, RequestId,
    body::Brief,
    primitive::{Reader, put_i32, put_i64},
};

use super::body_size;

/// A request that wants one answer: [`RpcResponse`](super::RpcResponse) or [`RpcFailure`](super::RpcFailure).
#[derive(Clone, PartialEq, Eq)]
pub struct RpcRequest<B> {
    /// Which answer will belong to it.
    pub request_id: RequestId,
    /// For an `RpcEnv`: an [`Envelope`](crate::Envelope) and the content.
    pub body: B,
}

impl<B: AsRef<[u8]>> RpcRequest<B> {
    pub(super) fn header_len(&self) -> u64 {
        12
    }

    pub(super) fn encode_header(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_i64(out, self.request_id.0);
        put_i32(out, body_size(self.body.as_ref())?);
        Ok(())
    }
}

impl<'a> RpcRequest<Body<'a>> {
    #[inline]
    pub(super) fn decode(content: Body<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(MessageType::RpcRequest.name(), &content);
        let request_id = RequestId(reader.i64("request_id")?);
        reader.i32("body_size")?;
        let header = reader.position();
        Ok(Self {
            request_id,
            body: content.slice_from(header),
        })
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for RpcRequest<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcRequest")
            .field("request_id", &self.request_id)
            .field("body", &Brief(self.body.as_ref()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{assert_layout, assert_truncations};

    use super::*;

    #[test]
    fn header_and_body_lie_as_spark_puts_them() {
        let message = RpcRequest {
            request_id: RequestId(0x0102_0304_0506_0708),
            body: &b"ab"[..],
        };
        assert_layout(
            &message.into(),
            "000000000000 0017 03 0102030405060708 00000002 6162",
        );
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        assert_truncations(
            &RpcRequest {
                request_id: RequestId(0x0102_0304_0506_0708),
                body: &b"ab"[..],
            }
            .into(),
            12,
        );
    }

    /// The reader takes the rest of the frame, whatever `bodySize` says.
    #[test]
    fn the_body_size_is_ignored_on_reading() {
        for size in [0, -1, 1, i32::MAX] {
            let mut content = 5_i64.to_be_bytes().to_vec();
            put_i32(&mut content, size);
            content.extend_from_slice(b"abc");
            let message = RpcRequest::decode(Body::Borrowed(&content)).unwrap();
            assert_eq!(
                message,
                RpcRequest {
                    request_id: RequestId(5),
                    body: Body::Borrowed(b"abc")
                }
            );
        }
    }
}
