//! The native codec: postcard behind a message name.

use std::cell::Cell;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::depth::{Limited, MAX_DEPTH};
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
/// self-describing: both sides must have the same fields in the same order. A value nested deeper than 128 levels, each of
/// which is an optional value, an enum, a sequence or a map, is refused where it is read.
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
///
/// A value nested deeper than [`MAX_DEPTH`] is refused. Each level takes a byte at least, so a short one cannot be, and is
/// read without counting.
#[inline]
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let exceeded = Cell::new(false);
    let mut input = postcard::Deserializer::from_bytes(bytes);
    let value = if bytes.len() <= MAX_DEPTH as usize {
        T::deserialize(&mut input)
    } else {
        T::deserialize(Limited::new(&mut input, &exceeded))
    };
    let rest = value.and_then(|value| Ok((value, input.finalize()?)));
    let (value, rest) = rest.map_err(|error| DecodeError::Value {
        reason: if exceeded.get() {
            format!("it is nested deeper than {MAX_DEPTH} levels")
        } else {
            error.to_string()
        },
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

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    enum Tree {
        Leaf,
        Option(Option<Box<Tree>>),
        Many(Vec<Tree>),
        Named { left: Box<Tree>, right: (u8, Box<Tree>) },
        Map(std::collections::BTreeMap<u8, Tree>),
        Struct(Holder),
    }

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Holder {
        text: String,
        tree: Box<Tree>,
    }

    fn written<T: Serialize>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        write("value", value, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn long_values_of_all_kinds_come_back_equal() {
        let leaf = || Box::new(Tree::Leaf);
        let tree = Tree::Many(vec![
            Tree::Option(None),
            Tree::Option(Some(leaf())),
            Tree::Named {
                left: leaf(),
                right: (7, leaf()),
            },
            Tree::Map((0..9).map(|key| (key, Tree::Option(Some(leaf())))).collect()),
            Tree::Struct(Holder {
                text: "long enough that levels are counted ".repeat(9),
                tree: leaf(),
            }),
        ]);
        assert_eq!(read(&written(&tree)), Ok(tree));
        let integers = (
            (-1_i8, -2_i16, -3_i32, -4_i64, -5_i128),
            (1_u8, 2_u16, 3_u32, 4_u64, 5_u128),
        );
        let leaves = (integers, true, 'x', 0.5_f32, 0.25_f64, (), "text".repeat(99));
        assert_eq!(read(&written(&leaves)), Ok(leaves));
    }

    /// As bytes, since writing such a value takes a stack as well.
    #[test]
    fn a_value_is_read_down_to_its_limit_and_not_below() {
        // One way into each kind: a level for the enum, and one for what it holds.
        let ways: [(&str, &[u8], u32); 5] = [
            ("option", &[1, 1], 2),
            ("sequence", &[2, 1], 2),
            ("fields", &[3], 1),
            ("map", &[4, 1, 9], 2),
            ("struct", &[5, 0], 1),
        ];
        for (kind, step, levels) in ways {
            let nested = |steps: u32| {
                let mut bytes = step.repeat(steps as usize);
                bytes.push(0);
                // What else the fields hold: the right one's number, and a leaf.
                bytes.extend(if kind == "fields" {
                    [7, 0].repeat(steps as usize)
                } else {
                    Vec::new()
                });
                bytes
            };
            let most = (MAX_DEPTH - 1) / levels;
            let padded = |steps| [nested(steps), vec![0; 128]].concat();
            assert!(read::<Tree>(&nested(most)).is_ok(), "{kind}");
            assert!(read::<(Tree, [[u8; 32]; 4])>(&padded(most)).is_ok(), "{kind}");
            for steps in [most + 1, 1_000_000] {
                let refused = read::<Tree>(&padded(steps)).unwrap_err();
                assert_eq!(
                    refused,
                    DecodeError::Value {
                        reason: "it is nested deeper than 128 levels".into()
                    },
                    "{kind}"
                );
            }
        }
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
