//! The native codec: postcard behind a message name.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, Opened, PeerMemory};
use crate::error::{DecodeError, EncodeError, Failure};
use crate::message::{Decodable, Encodable};

/// Postcard behind a message name.
///
/// ```text
/// u8      1, the version of this form
/// varint  length of the name
/// utf-8   the message's name; empty for a reply, "!" for a failed one
/// ...     the value in postcard form, to the end of the content
/// ```
///
/// [Postcard](https://postcard.jamesmunns.com/wire-format) has a published, stable wire format. It is not
/// self-describing: both sides must have the same fields in the same order.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeCodec;

impl Codec for NativeCodec {
    fn name(&self) -> &'static str {
        "native"
    }

    #[inline]
    fn recognizes(&self, content: &[u8]) -> bool {
        content.first() == Some(&VERSION)
    }

    #[inline]
    fn encode(&self, value: &dyn Encodable, _: &PeerMemory, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_head(value.name(), out);
        value.write_postcard(out)
    }

    fn encode_failure(&self, failure: &Failure, _: &PeerMemory, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        write_head(FAILURE, out);
        let written = write(FAILURE, failure, out).is_ok();
        if !written {
            out.truncate(start);
        }
        written
    }

    #[inline]
    fn open<'a>(&self, content: &'a [u8], _: &PeerMemory) -> Result<Opened<'a>, DecodeError> {
        let rest = content.get(1..).ok_or(DecodeError::Truncated)?;
        let (len, rest) = read_varint(rest)?;
        if rest.len() < len {
            return Err(DecodeError::Truncated);
        }
        let (name, body) = rest.split_at(len);
        let name = std::str::from_utf8(name).map_err(|_| DecodeError::NameNotUtf8)?;
        Ok(Opened::new(name, body))
    }

    #[inline]
    fn decode(&self, opened: &Opened<'_>, place: &mut dyn Decodable) -> Result<(), DecodeError> {
        place.read_postcard(opened.body())
    }

    #[inline]
    fn decode_failure(&self, opened: &Opened<'_>) -> Result<Option<Failure>, DecodeError> {
        if opened.name() == FAILURE {
            read(opened.body()).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// Appends `value` in postcard form; `name` is for the error.
pub(crate) fn write<T: Serialize + ?Sized>(
    name: &str,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    postcard::serialize_with_flavor(value, Append(out)).map_err(|error| EncodeError {
        name: name.to_owned(),
        reason: error.to_string(),
    })
}

/// Reads one value in postcard form, and nothing after it.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|error| DecodeError::Value {
        reason: error.to_string(),
    })?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(DecodeError::TrailingBytes { count: rest.len() })
    }
}

fn write_head(name: &str, out: &mut Vec<u8>) {
    out.push(VERSION);
    let mut len = name.len();
    while len >= 0x80 {
        out.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(name.as_bytes());
}

#[inline]
fn read_varint(bytes: &[u8]) -> Result<(usize, &[u8]), DecodeError> {
    let mut value = 0_usize;
    for (index, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[index + 1..]));
        }
    }
    Err(DecodeError::Truncated)
}

/// Lets postcard append to a vector that already holds something.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// The first byte of native content.
const VERSION: u8 = 1;
/// The name that marks a failed reply.
const FAILURE: &str = "!";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Place, ReplyEncodable};

    #[test]
    fn a_reply_comes_back_equal_and_is_no_failure() {
        let mut content = Vec::new();
        let peer = PeerMemory::default();
        let reply = "hello".to_owned();
        NativeCodec
            .encode(&ReplyEncodable(&reply, None), &peer, &mut content)
            .unwrap();
        assert!(NativeCodec.recognizes(&content));
        let opened = NativeCodec.open(&content, &peer).unwrap();
        assert_eq!(opened.name(), "");
        assert_eq!(NativeCodec.decode_failure(&opened), Ok(None));
        let mut place = Place::<String>::new(None);
        NativeCodec.decode(&opened, &mut place).unwrap();
        assert_eq!(place.value.as_deref(), Some("hello"));
    }

    #[test]
    fn a_failure_comes_back_equal() {
        let failure = Failure::EndpointNotFound {
            endpoint: "lab".into(),
        };
        let mut content = Vec::new();
        let peer = PeerMemory::default();
        assert!(NativeCodec.encode_failure(&failure, &peer, &mut content));
        let opened = NativeCodec.open(&content, &peer).unwrap();
        assert_eq!(NativeCodec.decode_failure(&opened), Ok(Some(failure)));
    }

    #[test]
    fn broken_content_is_an_error() {
        for content in [
            &[1][..],
            &[1, 5, b'a'],
            &[1, 0x80, 0x80, 0x80, 0x80, 1],
            &[1, 1, 0xff],
        ] {
            let opened = NativeCodec.open(content, &PeerMemory::default());
            assert!(opened.is_err(), "{content:?}");
        }
        let mut place = Place::<u8>::new(None);
        let opened = Opened::new("", &[1, 2]);
        assert_eq!(
            NativeCodec.decode(&opened, &mut place),
            Err(DecodeError::TrailingBytes { count: 1 })
        );
    }

    #[test]
    fn names_longer_than_127_bytes_survive() {
        let name = "n".repeat(300);
        let mut content = Vec::new();
        write_head(&name, &mut content);
        let opened = NativeCodec.open(&content, &PeerMemory::default()).unwrap();
        assert_eq!(opened.name(), name);
    }
}
