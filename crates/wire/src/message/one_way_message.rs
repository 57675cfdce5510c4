//! Type 9: a message without an answer.

use std::fmt;

use crate::{
    Body, DecodeError, EncodeError, MessageType,
    body::Brief,
    primitive::{Reader, put_i32},
};

use super::body_size;

/// A message that gets no answer, not even a failure.
#[derive(Clone, PartialEq, Eq)]
pub struct OneWayMessage<B> {
    /// For an `RpcEnv`: an [`Envelope`](crate::Envelope) and the content.
    pub body: B,
}

impl<B: AsRef<[u8]>> OneWayMessage<B> {
    pub(super) fn header_len(&self) -> u64 {
        4
    }

    pub(super) fn encode_header(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_i32(out, body_size(self.body.as_ref())?);
        Ok(())
    }
}

impl<'a> OneWayMessage<Body<'a>> {
    #[inline]
    pub(super) fn decode(content: Body<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(MessageType::OneWayMessage.name(), &content);
        reader.i32("body_size")?;
        let header = reader.position();
        Ok(Self {
            body: content.slice_from(header),
        })
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for OneWayMessage<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneWayMessage")
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
        let message = OneWayMessage { body: &b"ab"[..] };
        assert_layout(&message.into(), "000000000000000f 09 00000002 6162");
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        assert_truncations(&OneWayMessage { body: &b"ab"[..] }.into(), 4);
    }

    /// The reader takes the rest of the frame, whatever `bodySize` says.
    #[test]
    fn the_body_size_is_ignored_on_reading() {
        for size in [0, -1, 1, i32::MAX] {
            let mut content = size.to_be_bytes().to_vec();
            content.extend_from_slice(b"abc");
            let message = OneWayMessage::decode(Body::Borrowed(&content)).unwrap();
            assert_eq!(
                message,
                OneWayMessage {
                    body: Body::Borrowed(b"abc")
                }
            );
        }
    }
}
