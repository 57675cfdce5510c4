//! Frames whose body is written in place.

use crate::{
    EncodeError, LARGEST_FRAME, LENGTH_FIELD, MessageType, RequestId,
    primitive::{put_i32, put_i64},
};

/// A frame that was begun at the end of a buffer and whose body is still being appended there.
///
/// Saves a busy sender the copy of the body behind its header:
///
/// ```
/// use spark_rpc_wire::{OpenFrame, RequestId};
///
/// let mut out = Vec::new();
/// let frame = OpenFrame::rpc_request(&mut out, RequestId(7));
/// out.extend_from_slice(b"the body");
/// frame.finish(&mut out)?;
/// # Ok::<(), spark_rpc_wire::EncodeError>(())
/// ```
#[derive(Debug)]
#[must_use = "the lengths in the buffer are wrong until the frame is finished"]
pub struct OpenFrame {
    /// Where in the buffer the frame begins.
    start: usize,
    /// Bytes from there to the body. The last four are the `bodySize` field.
    header: usize,
}

impl OpenFrame {
    /// Where the request id stands in the frames that have one.
    const REQUEST_ID: usize = LENGTH_FIELD + 1;
    /// The most that one of these headers takes; room to reserve.
    const LONGEST_HEADER: usize = LENGTH_FIELD + 1 + 8 + 4;

    /// Begins an `RpcRequest` at the end of `out`. The body is whatever is appended until [`finish`](Self::finish).
    #[inline]
    pub fn rpc_request(out: &mut Vec<u8>, id: RequestId) -> OpenFrame {
        Self::begin(out, MessageType::RpcRequest, Some(id))
    }

    /// Begins an `RpcResponse` at the end of `out`.
    #[inline]
    pub fn rpc_response(out: &mut Vec<u8>, id: RequestId) -> OpenFrame {
        Self::begin(out, MessageType::RpcResponse, Some(id))
    }

    /// Begins a `OneWayMessage` at the end of `out`.
    #[inline]
    pub fn one_way(out: &mut Vec<u8>) -> OpenFrame {
        Self::begin(out, MessageType::OneWayMessage, None)
    }

    /// Ends the body and writes the lengths which are known now.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::FrameTooLong`] if the frame would be longer than [`LARGEST_FRAME`]; the whole frame
    /// is then removed from `out` again.
    ///
    /// # Panics
    ///
    /// Panics if `out` is shorter than when the frame was begun: it is another buffer, or was cut.
    #[inline]
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let body = self.start + self.header;
        assert!(
            body <= out.len(),
            "the buffer in which the frame was begun still holds its header"
        );
        let length = out.len() - self.start;
        let framed = (length - LENGTH_FIELD) as u64;
        if framed > u64::from(LARGEST_FRAME) {
            out.truncate(self.start);
            return Err(EncodeError::FrameTooLong {
                length: framed,
                limit: LARGEST_FRAME,
            });
        }
        let body_size = (out.len() - body) as u32;
        out[self.start..self.start + LENGTH_FIELD].copy_from_slice(&(length as u64).to_be_bytes());
        out[body - 4..body].copy_from_slice(&body_size.to_be_bytes());
        Ok(())
    }

    /// Removes the frame from `out` again, for instance because its body could not be made.
    pub fn abandon(self, out: &mut Vec<u8>) {
        out.truncate(self.start);
    }

    /// Returns how many bytes the body has so far.
    pub fn body_len(&self, out: &[u8]) -> usize {
        out.len().saturating_sub(self.start + self.header)
    }

    /// Writes `id` into a whole frame which has a request id, such as an `RpcRequest` that was encoded before its
    /// connection was known. `frame` begins with the length field.
    ///
    /// # Panics
    ///
    /// Panics if `frame` is not the beginning of a message with a request id.
    #[inline]
    pub fn set_request_id(frame: &mut [u8], id: RequestId) {
        let kind = MessageType::from_id(frame[LENGTH_FIELD] as i8);
        assert!(
            kind.is_some_and(MessageType::has_request_id),
            "{kind:?} has no request id"
        );
        frame[Self::REQUEST_ID..Self::REQUEST_ID + 8].copy_from_slice(&id.0.to_be_bytes());
    }

    #[inline]
    fn begin(out: &mut Vec<u8>, kind: MessageType, id: Option<RequestId>) -> OpenFrame {
        let start = out.len();
        out.reserve(Self::LONGEST_HEADER);
        put_i64(out, 0);
        out.push(kind.id() as u8);
        if let Some(id) = id {
            put_i64(out, id.0);
        }
        put_i32(out, 0);
        OpenFrame {
            start,
            header: out.len() - start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, OneWayMessage, RpcRequest, RpcResponse};

    fn encoded(message: &Message<&[u8]>) -> Vec<u8> {
        let mut out = b"before".to_vec();
        message.encode(&mut out).unwrap();
        out
    }

    #[test]
    fn frames_with_bodies_in_place_equal_encoded_messages() {
        for body in [&b""[..], b"x", &[7; 1000]] {
            let request_id = RequestId(-3);
            let mut out = b"before".to_vec();
            let frame = OpenFrame::rpc_request(&mut out, request_id);
            out.extend_from_slice(body);
            assert_eq!(frame.body_len(&out), body.len());
            frame.finish(&mut out).unwrap();
            assert_eq!(out, encoded(&RpcRequest { request_id, body }.into()));

            let mut out = b"before".to_vec();
            let frame = OpenFrame::rpc_response(&mut out, request_id);
            out.extend_from_slice(body);
            frame.finish(&mut out).unwrap();
            assert_eq!(out, encoded(&RpcResponse { request_id, body }.into()));

            let mut out = b"before".to_vec();
            let frame = OpenFrame::one_way(&mut out);
            out.extend_from_slice(body);
            frame.finish(&mut out).unwrap();
            assert_eq!(out, encoded(&OneWayMessage { body }.into()));
        }
    }

    #[test]
    fn an_abandoned_frame_leaves_nothing_behind() {
        let mut out = b"before".to_vec();
        let frame = OpenFrame::rpc_request(&mut out, RequestId(1));
        out.extend_from_slice(b"half a body");
        frame.abandon(&mut out);
        assert_eq!(out, b"before");
    }

    #[test]
    fn the_request_id_can_be_filled_in_later() {
        let mut frame = Vec::new();
        Message::from(RpcRequest {
            request_id: RequestId(0),
            body: b"x",
        })
        .encode(&mut frame)
        .unwrap();
        OpenFrame::set_request_id(&mut frame, RequestId(77));
        let mut expected = Vec::new();
        Message::from(RpcRequest {
            request_id: RequestId(77),
            body: b"x",
        })
        .encode(&mut expected)
        .unwrap();
        assert_eq!(frame, expected);
    }

    #[test]
    #[should_panic(expected = "has no request id")]
    fn a_frame_without_a_request_id_is_not_patched() {
        let mut frame = Vec::new();
        Message::from(OneWayMessage { body: b"12345678" })
            .encode(&mut frame)
            .unwrap();
        OpenFrame::set_request_id(&mut frame, RequestId(77));
    }
}
