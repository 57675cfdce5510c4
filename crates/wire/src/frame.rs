//! One whole frame, and the way from there to a message.

use std::fmt;

use bytes::Bytes;

use crate::{Body, DecodeError, Message, MessageType, body::Brief, message};

/// One whole frame: its type, header and body, without the length field.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Never empty: the decoder refuses lengths that are not positive.
    data: Body<'a>,
}

impl<'a> Frame<'a> {
    pub(crate) fn new(data: Body<'a>) -> Frame<'a> {
        debug_assert!(!data.is_empty(), "a frame has a type byte");
        Frame { data }
    }

    /// Makes a frame of what follows a length field, where another than a [`FrameDecoder`](crate::FrameDecoder) has cut it out;
    /// `None` if that is nothing, since a frame has a type byte.
    pub fn from_body(data: Body<'a>) -> Option<Frame<'a>> {
        (!data.is_empty()).then_some(Frame { data })
    }

    /// Makes a message of the frame. Its body keeps the frame's bytes, borrowed or shared, without a copy.
    ///
    /// Bytes behind the header of a type without a body are ignored, and so is the `bodySize` that three types carry, as
    /// in Spark's `MessageDecoder`: the body is the rest of the frame.
    ///
    /// # Errors
    ///
    /// Returns a [`DecodeError`] if the type is unknown or the header is not whole or not sound.
    #[inline]
    pub fn decode(self) -> Result<Message<Body<'a>>, DecodeError> {
        let Some(kind) = MessageType::from_id(self.message_type()) else {
            return Err(match self.message_type() {
                MessageType::USER_ID => DecodeError::UserMessage,
                message_type => DecodeError::UnknownMessageType { message_type },
            });
        };
        message::decode(kind, self.data.slice_from(1))
    }

    /// Returns the type id, which need not be a known one.
    #[inline]
    pub fn message_type(&self) -> i8 {
        self.data[0] as i8
    }

    /// Returns how many bytes follow the length field. At least one.
    #[allow(clippy::len_without_is_empty, reason = "a frame is never empty")]
    #[inline]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Returns how many bytes the frame takes on the wire, length field included: the value of that field.
    pub fn wire_len(&self) -> u64 {
        self.data.len() as u64 + crate::LENGTH_FIELD as u64
    }

    /// Returns the bytes that follow the length field, with an owner of their own. Copies only when they are borrowed.
    pub fn into_bytes(self) -> Bytes {
        self.data.into_bytes()
    }

    /// Returns the bytes that follow the length field.
    pub fn as_bytes(&self) -> &[u8] {
        &self.data
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("data", &Brief(&self.data)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(data: &[u8]) -> Result<Message<Body<'_>>, DecodeError> {
        Frame::new(Body::Borrowed(data)).decode()
    }

    #[test]
    fn unknown_types_are_refused_by_number() {
        assert_eq!(
            decode(&[13, 0]),
            Err(DecodeError::UnknownMessageType { message_type: 13 })
        );
        assert_eq!(
            decode(&[0x80]),
            Err(DecodeError::UnknownMessageType { message_type: -128 })
        );
    }

    #[test]
    fn the_user_type_is_never_legal() {
        assert_eq!(decode(&[0xff, 1, 2]), Err(DecodeError::UserMessage));
    }
}
