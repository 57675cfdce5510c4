//! Why a message cannot become a frame.

/// A message that cannot be put on the wire. The caller's doing; the output is left as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// More bytes than a frame may have.
    #[error("a frame of {length} bytes is longer than the {limit} allowed")]
    FrameTooLong {
        /// Bytes that would follow the length field.
        length: u64,
        /// The most that may: [`LARGEST_FRAME`](crate::LARGEST_FRAME).
        limit: u32,
    },
    /// A string or array longer than its length field can say.
    #[error("a length or count of {length} does not fit into 31 bits")]
    LengthTooLarge {
        /// The length in bytes, or the count of elements.
        length: usize,
    },
}
