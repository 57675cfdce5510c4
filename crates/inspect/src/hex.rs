//! Bytes as hexadecimal digits.

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// Tells whether this can only be bytes written as digits: no frame, and no object stream begins like that.
pub(crate) fn is_hex(text: &[u8]) -> bool {
    let mut begin = text
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .take(8)
        .peekable();
    begin.peek().is_some() && begin.all(u8::is_ascii_hexdigit)
}

/// Reads digits, with blanks and line ends anywhere.
///
/// # Errors
///
/// Returns where the first byte stands that is neither, or the length if half a byte is left.
pub fn from_hex(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut half = None;
    for (at, byte) in text.iter().enumerate() {
        if byte.is_ascii_whitespace() {
            continue;
        }
        let digit = char::from(*byte).to_digit(16).ok_or(at)? as u8;
        match half.take() {
            None => half = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    half.map_or(Ok(bytes), |_| Err(text.len()))
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_hex(bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = from_hex(text.as_bytes());
    let bytes = bytes.map_err(|at| D::Error::custom(format!("no hexadecimal digit at {at}")))?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_back_and_what_is_none_is_told_by_its_place() {
        assert_eq!(from_hex(b"00 fF\n7a"), Ok(vec![0, 255, 0x7a]));
        assert_eq!(from_hex(to_hex(&[1, 254]).as_bytes()), Ok(vec![1, 254]));
        assert_eq!(from_hex(b"00x"), Err(2));
        assert_eq!(from_hex(b"000"), Err(3));
    }

    #[test]
    fn frames_and_streams_are_not_taken_for_digits() {
        assert!(is_hex(b"0000 0000\n"));
        assert!(!is_hex(&[0, 0, 0, 0, 0, 0, 0, 21]));
        assert!(!is_hex(&[0xac, 0xed, 0, 5]));
        assert!(!is_hex(b" \n"));
    }
}
