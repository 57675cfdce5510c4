//! Why the bytes of a frame are no message.

use crate::BitmapError;

/// A frame whose bytes are no message. The peer's doing; Spark closes the connection.
///
/// `message` is the message type's name and `field` the part of it that was being read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No message has this type id.
    #[error("unknown message type {message_type}")]
    UnknownMessageType {
        /// The type id as received.
        message_type: i8,
    },
    /// The type id −1, which Spark reserves for messages that never travel.
    #[error("messages of the user type (-1) are never sent")]
    UserMessage,
    /// The bytes end inside a field.
    #[error("{message} ends inside {field}: {needed} bytes needed, {available} available")]
    Truncated {
        /// The message type.
        message: &'static str,
        /// The field that is cut off.
        field: &'static str,
        /// Bytes which the field needs.
        needed: usize,
        /// Bytes which are left.
        available: usize,
    },
    /// A length or count is negative, or larger than the rest of the frame allows.
    #[error("{message}: {field} announces {length}, with {available} bytes available")]
    LengthOutOfBounds {
        /// The message type.
        message: &'static str,
        /// The field with the length or count.
        field: &'static str,
        /// The length in bytes, or the count of elements, as received.
        length: i32,
        /// Bytes which are left behind the length.
        available: usize,
    },
    /// A string is not UTF-8. (A JVM would put replacement characters and go on.)
    #[error("{message}: {field} is not UTF-8")]
    NotUtf8 {
        /// The message type.
        message: &'static str,
        /// The string's name.
        field: &'static str,
    },
    /// A bitmap is not in RoaringBitmap's portable form.
    #[error("{message}: {field} is no bitmap: {source}")]
    Bitmap {
        /// The message type.
        message: &'static str,
        /// The bitmap's name.
        field: &'static str,
        /// What is wrong with it.
        source: BitmapError,
    },
}
