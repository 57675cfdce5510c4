//! The message that is sent and asked.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use spark_rpc::{OneWay, Request, RpcMessage};

/// Some bytes: up to 64 inside the message itself, more behind a shared pointer.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Inside { len: u8, bytes: [u8; INSIDE] },
    Shared(bytes::Bytes),
}

impl Payload {
    /// A payload of `size` bytes that are not all the same.
    pub(crate) fn of_size(size: usize) -> Self {
        let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        Self::from(bytes.as_slice())
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inside { len, bytes } => &bytes[..usize::from(*len)],
            Self::Shared(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Payload {
    fn from(from: &[u8]) -> Self {
        let mut bytes = [0; INSIDE];
        match bytes.get_mut(..from.len()) {
            Some(place) => {
                place.copy_from_slice(from);
                let len = from.len() as u8;
                Self::Inside { len, bytes }
            }
            None => Self::Shared(bytes::Bytes::copy_from_slice(from)),
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
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Payload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            #[inline]
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Payload, E> {
                Ok(bytes.into())
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

impl RpcMessage for Payload {
    const NAME: &'static str = "Payload";
}

impl Request for Payload {
    type Reply = Payload;
}

impl OneWay for Payload {}

/// The size that the baselines use.
const INSIDE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_have_the_size_asked_for_wherever_they_are_kept() {
        for size in [0, 1, 64, 65, 1000] {
            let payload = Payload::of_size(size);
            assert_eq!(payload.as_slice().len(), size);
            assert_eq!(matches!(payload, Payload::Inside { .. }), size <= 64);
        }
    }
}
