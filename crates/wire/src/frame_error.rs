//! Why a stream of bytes cannot be cut into frames any further.

use crate::ForeignProtocol;

/// The end of a byte stream's use: where the next frame begins is no longer known. The connection should be closed.
///
/// "Announced" values count the bytes after the length field, as in Spark's own messages: eight less than the field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The peer announced a frame that is longer than allowed (Spark: "Too large frame").
    #[error("a frame of {announced} bytes was announced, the limit is {limit}")]
    FrameTooLong {
        /// Bytes announced.
        announced: i64,
        /// The decoder's limit.
        limit: u32,
    },
    /// The peer announced a frame without a type byte (Spark: "Frame length should be positive").
    #[error("a frame length must be positive, {announced} was announced")]
    FrameLengthNotPositive {
        /// Bytes announced.
        announced: i64,
    },
    /// The connection's first bytes belong to another protocol.
    #[error("the peer speaks {protocol}, not Spark's protocol")]
    ForeignProtocol {
        /// The protocol that they belong to.
        protocol: ForeignProtocol,
    },
    /// A raw body was expected while another was. The caller's doing (Spark: "Already have an interceptor").
    #[error("a raw body is already expected")]
    BodyAlreadyExpected,
    /// A raw body was expected although no frame had just been returned. The caller's doing.
    #[error("a raw body can only be expected right after a frame")]
    BodyWithoutFrame,
}
