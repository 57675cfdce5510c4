//! Java's modified UTF-8, as `java.io.DataOutput.writeUTF` makes it.
//!
//! It differs from UTF-8 twice: NUL is the two bytes `c0 80`, and a character beyond U+FFFF is a pair of
//! surrogates of three bytes each. In front stands the length in bytes as a `u16`, which this module leaves to its caller.

use std::borrow::Cow;

/// The most bytes that the length in front can announce.
pub const MAX_LEN: usize = u16::MAX as usize;

/// Bytes that are no modified UTF-8, or mean something that a Rust string cannot hold (half a surrogate pair).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not modified UTF-8 at byte {at}")]
pub struct NotModifiedUtf8 {
    /// Where in the string the first wrong character begins.
    pub at: usize,
}

/// Decodes a string; borrows it when the bytes mean the same in UTF-8.
///
/// As lenient as Java's `readUTF`: a NUL may be a single byte, and characters may take more bytes than they need.
///
/// # Errors
///
/// Returns [`NotModifiedUtf8`] for other byte sequences, for those of four bytes that real UTF-8 has, and for a
/// surrogate without its partner. (Java keeps the last; no text has one.)
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, NotModifiedUtf8> {
    const FOUR_BYTES_FROM: u8 = 0xf0;
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() || bytes.iter().all(|byte| *byte < FOUR_BYTES_FROM) => {
            Ok(Cow::Borrowed(text))
        }
        _ => decode_slowly(bytes).map(Cow::Owned),
    }
}

/// Appends `text` to `out`.
pub fn encode(text: &str, out: &mut Vec<u8>) {
    if is_plain(text) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for character in text.chars() {
        match character {
            '\0' => out.extend_from_slice(&[0xc0, 0x80]),
            '\u{1}'..='\u{ffff}' => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let unit = *unit;
                    out.extend_from_slice(&[
                        0xe0 | (unit >> 12) as u8,
                        0x80 | (unit >> 6 & 0x3f) as u8,
                        0x80 | (unit & 0x3f) as u8,
                    ]);
                }
            }
        }
    }
}

/// Returns how many bytes [`encode`] appends.
pub fn encoded_len(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            // NUL takes one byte more; what takes four bytes in UTF-8 takes six here, and its first byte is told apart.
            0 => 2,
            0xf0.. => 3,
            _ => 1,
        })
        .sum()
}

/// Tells whether `text` has the same bytes in both forms.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte != 0 && byte < 0xf0)
}

fn decode_slowly(bytes: &[u8]) -> Result<String, NotModifiedUtf8> {
    let mut text = String::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let wrong = NotModifiedUtf8 { at };
        let (unit, length) = unit(&bytes[at..]).ok_or(wrong)?;
        at += length;
        let character = match unit {
            0xd800..=0xdbff => {
                let (low, length) = self::unit(&bytes[at..]).ok_or(wrong)?;
                at += length;
                char::decode_utf16([unit, low])
                    .next()
                    .and_then(Result::ok)
                    .ok_or(wrong)?
            }
            _ => char::from_u32(u32::from(unit)).ok_or(wrong)?,
        };
        text.push(character);
    }
    Ok(text)
}

/// Decodes one UTF-16 code unit of one to three bytes.
fn unit(bytes: &[u8]) -> Option<(u16, usize)> {
    let continuation = |at: usize| {
        bytes
            .get(at)
            .filter(|byte| **byte & 0xc0 == 0x80)
            .map(|byte| u16::from(byte & 0x3f))
    };
    let first = *bytes.first()?;
    match first {
        0..=0x7f => Some((u16::from(first), 1)),
        0xc0..=0xdf => Some((u16::from(first & 0x1f) << 6 | continuation(1)?, 2)),
        0xe0..=0xef => Some((
            u16::from(first & 0x0f) << 12 | continuation(1)? << 6 | continuation(2)?,
            3,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        encode(text, &mut out);
        out
    }

    #[test]
    fn nul_and_supplementary_characters_take_javas_form() {
        assert_eq!(encoded("a\0é€"), [b'a', 0xc0, 0x80, 0xc3, 0xa9, 0xe2, 0x82, 0xac]);
        assert_eq!(encoded("😀"), [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]);
    }

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(
            decode(b"endpoint-verifier"),
            Ok(Cow::Borrowed("endpoint-verifier"))
        ));
        assert!(matches!(decode("größe".as_bytes()), Ok(Cow::Borrowed("größe"))));
        assert!(matches!(decode(b""), Ok(Cow::Borrowed(""))));
    }

    #[test]
    fn a_single_zero_byte_is_read_as_nul() {
        assert_eq!(decode(b"a\0"), Ok("a\0".into()));
    }

    #[test]
    fn what_java_refuses_is_refused_with_its_place() {
        for (bytes, at) in [
            (&[b'a', 0x80][..], 1),                     // a continuation alone
            (&[0xc3], 0),                               // cut off
            (&[b'a', b'b', 0xe2, 0x82], 2),             // cut off
            (&[0xc3, 0x41], 0),                         // no continuation
            (&[0xf0, 0x9f, 0x98, 0x80], 0),             // four bytes, as in real UTF-8
            (&[0xed, 0xa0, 0xbd], 0),                   // half a pair
            (&[0xed, 0xa0, 0xbd, b'x'], 0),             // half a pair
            (&[0xed, 0xb8, 0x80, 0xed, 0xa0, 0xbd], 0), // a pair the wrong way round
        ] {
            assert_eq!(decode(bytes), Err(NotModifiedUtf8 { at }), "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn every_string_survives(text in any::<String>()) {
            let bytes = encoded(&text);
            prop_assert_eq!(bytes.len(), encoded_len(&text));
            prop_assert_eq!(decode(&bytes), Ok(text.as_str().into()));
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in any::<Vec<u8>>()) {
            if let Ok(text) = decode(&bytes) {
                let again = encoded(&text);
                prop_assert_eq!(decode(&again), Ok(text));
            }
        }
    }
}
