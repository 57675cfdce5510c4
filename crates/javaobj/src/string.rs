//! Java's strings and the form in which streams hold them.

use std::borrow::Cow;
use std::fmt;

/// A Java string: any sequence of UTF-16 units, so possibly half a surrogate pair.
///
/// Nearly all are plain text, which [`as_str`](Self::as_str) lends. The others keep their units, so that a stream
/// can be written again as it was.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JavaString(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Text(Box<str>),
    /// Never valid UTF-16, so that equal strings are equal here.
    Units(Box<[u16]>),
}

impl JavaString {
    /// Makes a string of any units.
    pub fn from_units(units: &[u16]) -> Self {
        match String::from_utf16(units) {
            Ok(text) => Self(Repr::Text(text.into())),
            Err(_) => Self(Repr::Units(units.into())),
        }
    }

    /// Returns the text, unless the string has half a surrogate pair.
    pub fn as_str(&self) -> Option<&str> {
        match &self.0 {
            Repr::Text(text) => Some(text),
            Repr::Units(_) => None,
        }
    }

    /// Returns the text, with U+FFFD in place of halves of surrogate pairs.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Text(text) => Cow::Borrowed(text),
            Repr::Units(units) => Cow::Owned(String::from_utf16_lossy(units)),
        }
    }

    /// Reads modified UTF-8; says where the first byte is that does not belong there.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, usize> {
        // Four-byte sequences are the one thing that UTF-8 has and Java's form has not.
        if let Ok(text) = std::str::from_utf8(bytes)
            && bytes.iter().all(|byte| *byte < 0xf0)
        {
            return Ok(Self(Repr::Text(text.into())));
        }
        Ok(Self::from_units(&units_of(bytes)?))
    }

    /// Returns how many bytes [`encode`](Self::encode) appends.
    pub(crate) fn encoded_len(&self) -> usize {
        match &self.0 {
            Repr::Text(text) => encoded_len(text),
            Repr::Units(units) => units.iter().map(|unit| unit_len(*unit)).sum(),
        }
    }

    /// Appends the string in modified UTF-8.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Text(text) => encode(text, out),
            Repr::Units(units) => units.iter().for_each(|unit| encode_unit(*unit, out)),
        }
    }
}

impl From<&str> for JavaString {
    fn from(text: &str) -> Self {
        Self(Repr::Text(text.into()))
    }
}

impl From<String> for JavaString {
    fn from(text: String) -> Self {
        Self(Repr::Text(text.into()))
    }
}

impl PartialEq<str> for JavaString {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl fmt::Debug for JavaString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.to_string_lossy(), f)
    }
}

impl fmt::Display for JavaString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string_lossy())
    }
}

/// Returns how many bytes [`encode`] appends.
pub(crate) fn encoded_len(text: &str) -> usize {
    // What takes four bytes in UTF-8 takes six here.
    text.bytes()
        .map(|byte| match byte {
            0 => 2,
            0xf0.. => 3,
            _ => 1,
        })
        .sum()
}

/// Appends `text` in modified UTF-8: NUL takes two bytes, characters beyond U+FFFF are two surrogates of three bytes each.
pub(crate) fn encode(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|byte| byte != 0 && byte < 0xf0) {
        out.extend_from_slice(text.as_bytes());
    } else {
        text.encode_utf16().for_each(|unit| encode_unit(unit, out));
    }
}

fn unit_len(unit: u16) -> usize {
    match unit {
        1..=0x7f => 1,
        0 | 0x80..=0x7ff => 2,
        0x800.. => 3,
    }
}

fn encode_unit(unit: u16, out: &mut Vec<u8>) {
    let low = 0x80 | (unit & 0x3f) as u8;
    match unit_len(unit) {
        1 => out.push(unit as u8),
        2 => out.extend_from_slice(&[0xc0 | (unit >> 6) as u8, low]),
        _ => out.extend_from_slice(&[0xe0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3f) as u8, low]),
    }
}

/// As lenient as Java's `readUTF`: NUL may be a single byte and units may take more bytes than they need.
fn units_of(bytes: &[u8]) -> Result<Vec<u16>, usize> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&first) = bytes.get(at) {
        let length = match first >> 4 {
            0..=7 => 1,
            12 | 13 => 2,
            14 => 3,
            _ => return Err(at),
        };
        let Some(rest) = bytes.get(at + 1..at + length) else {
            return Err(at);
        };
        let mut unit = match length {
            1 => u16::from(first),
            2 => u16::from(first & 0x1f),
            _ => u16::from(first & 0x0f),
        };
        for byte in rest {
            if byte >> 6 != 0b10 {
                return Err(at);
            }
            unit = unit << 6 | u16::from(byte & 0x3f);
        }
        units.push(unit);
        at += length;
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(string: &JavaString) -> Vec<u8> {
        let mut bytes = Vec::new();
        string.encode(&mut bytes);
        assert_eq!(bytes.len(), string.encoded_len());
        bytes
    }

    #[test]
    fn text_beyond_plain_utf_8_survives() {
        for (text, bytes) in [
            ("héllo", &b"h\xc3\xa9llo"[..]),
            ("\0", b"\xc0\x80"),
            ("\u{1f980}", b"\xed\xa0\xbe\xed\xb6\x80"),
            ("\u{ffff}", b"\xef\xbf\xbf"),
        ] {
            let string = JavaString::from(text);
            assert_eq!(encoded(&string), bytes);
            assert_eq!(JavaString::decode(bytes), Ok(string));
        }
    }

    #[test]
    fn half_a_surrogate_pair_survives_but_is_no_text() {
        let string = JavaString::decode(b"a\xed\xa0\xbeb").unwrap();
        assert_eq!(string.as_str(), None);
        assert_eq!(string.to_string_lossy(), "a\u{fffd}b");
        assert_eq!(encoded(&string), b"a\xed\xa0\xbeb");
    }

    #[test]
    fn longer_forms_are_read_and_wrong_bytes_are_located() {
        assert_eq!(JavaString::decode(b"\xc1\x81").unwrap().as_str(), Some("A"));
        assert_eq!(JavaString::decode(b"ab\xff"), Err(2));
        assert_eq!(JavaString::decode(b"a\xc3"), Err(1));
        assert_eq!(JavaString::decode("\u{1f980}".as_bytes()), Err(0));
        assert_eq!(JavaString::decode(b"\xe0a\x80"), Err(0));
    }
}
