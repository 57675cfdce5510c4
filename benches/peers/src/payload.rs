//! The content that is sent and asked.

use std::fmt;

use bytes::Bytes;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Some bytes: up to 64 inside the message itself, more behind a shared pointer.
///
/// All peers whose messages are Rust values carry this one, so none of them pays for an allocation that another saves.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Inside { len: u8, bytes: [u8; INSIDE] },
    Shared(Bytes),
}

impl Payload {
    /// A payload of `size` bytes that are not all the same.
    pub(crate) fn of_size(size: usize) -> Self {
        let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        Self::from(bytes.as_slice())
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inside { len, bytes } => &bytes[..usize::from(*len)],
            Self::Shared(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Payload {
    #[inline]
    fn from(from: &[u8]) -> Self {
        let mut bytes = [0; INSIDE];
        match bytes.get_mut(..from.len()) {
            Some(place) => {
                place.copy_from_slice(from);
                let len = from.len() as u8;
                Self::Inside { len, bytes }
            }
            None => Self::Shared(Bytes::copy_from_slice(from)),
        }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Serialize for Payload {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_slice())
    }
}

impl<'de> Deserialize<'de> for Payload {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsBytes;

        impl Visitor<'_> for AsBytes {
            type Value = Payload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            #[inline]
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Payload, E> {
                Ok(bytes.into())
            }
        }

        deserializer.deserialize_bytes(AsBytes)
    }
}

/// The size that is usually measured.
const INSIDE: usize = 64;
