//! Bytes of a frame or a body, borrowed from the read buffer or shared.

use std::{fmt, ops::Deref};

use bytes::Bytes;

/// Bytes of a message body: borrowed from the read buffer, or shared.
///
/// Small frames are borrowed, so that decoding them costs neither a copy nor an allocation; a large frame that had to be
/// collected is handed out as [`Owned`](Body::Owned), so that keeping it costs nothing either. Two bodies are equal when
/// their bytes are.
#[derive(Clone)]
pub enum Body<'a> {
    /// Bytes that live in a buffer of the reader or of the decoder.
    Borrowed(&'a [u8]),
    /// Bytes with an owner of their own.
    Owned(Bytes),
}

impl<'a> Body<'a> {
    /// Returns the bytes with an owner of their own. Copies only when they are borrowed.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Body::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Body::Owned(bytes) => bytes,
        }
    }

    /// Drops the first `n` bytes without copying the others.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer than `n` bytes.
    #[must_use]
    pub fn slice_from(self, n: usize) -> Body<'a> {
        match self {
            Body::Borrowed(bytes) => Body::Borrowed(&bytes[n..]),
            Body::Owned(mut bytes) => {
                bytes::Buf::advance(&mut bytes, n);
                Body::Owned(bytes)
            }
        }
    }

    /// Returns `part`, which must lie inside this body, with an owner: shared if the body is, copied otherwise.
    pub(crate) fn share(&self, part: &[u8]) -> Bytes {
        match self {
            Body::Borrowed(_) => Bytes::copy_from_slice(part),
            Body::Owned(bytes) => bytes.slice_ref(part),
        }
    }
}

impl Deref for Body<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Body::Borrowed(bytes) => bytes,
            Body::Owned(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Body<'_> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Body<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Body<'_> {}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Body::Borrowed(bytes)
    }
}

impl From<Bytes> for Body<'_> {
    fn from(bytes: Bytes) -> Self {
        Body::Owned(bytes)
    }
}

/// Prints the length and the first bytes; bodies may be huge, and secret.
impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Brief(self).fmt(f)
    }
}

/// Prints bytes as their length and a short hex prefix.
pub(crate) struct Brief<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        write!(f, "[{} bytes", self.0.len())?;
        if !self.0.is_empty() {
            f.write_str(": ")?;
        }
        for byte in self.0.iter().take(SHOWN) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(if self.0.len() > SHOWN { "..]" } else { "]" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn into_bytes_shares_an_owned_body() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        let at = bytes.as_ptr();
        assert_eq!(Body::Owned(bytes).into_bytes().as_ptr(), at);
    }

    #[test]
    fn slice_from_drops_a_prefix_of_either_kind_without_copying() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        let at = bytes.as_ptr();
        let owned = Body::Owned(bytes.clone()).slice_from(2);
        assert_eq!(owned.as_ptr(), at.wrapping_add(2));
        let borrowed = Body::Borrowed(&bytes).slice_from(2);
        assert_eq!(borrowed.as_ptr(), at.wrapping_add(2));
        assert_eq!(owned, borrowed);
    }

    #[test]
    fn debug_shows_the_length_and_a_prefix_only() {
        assert_eq!(format!("{:?}", Body::Borrowed(&[])), "[0 bytes]");
        assert_eq!(format!("{:?}", Body::Borrowed(&[1, 0xab])), "[2 bytes: 01ab]");
        assert_eq!(
            format!("{:?}", Body::Borrowed(&[7; 100])),
            "[100 bytes: 0707070707070707..]"
        );
    }
}
