//! The encodings of which message headers are made (Spark's `Encoders`).
//!
//! Integers are big-endian. Strings, arrays of bytes, strings, `i32` and `i64`, and arrays of bitmaps begin with an `i32`
//! length or count; a bitmap does not, it is RoaringBitmap's portable form (see [`Bitmap`]). Strings are real UTF-8, not
//! Java's modified form.
//!
//! [`Reader`] compares each length with the bytes at hand before it allocates, as Spark does since 4.1; Spark 3.5
//! did not.

use crate::{Bitmap, DecodeError, EncodeError};

/// Reads primitives off the front of some bytes.
///
/// `field` in the methods is the name which an error will give.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    message: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Begins at the front of `bytes`, which belong to a message called `message` in errors.
    pub fn new(message: &'static str, bytes: &'a [u8]) -> Reader<'a> {
        Reader {
            message,
            bytes,
            at: 0,
        }
    }

    /// Returns how many bytes have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Returns how many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Reads one byte.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::Truncated`] if none is left.
    pub fn i8(&mut self, field: &'static str) -> Result<i8, DecodeError> {
        self.array::<1>(field).map(i8::from_be_bytes)
    }

    /// Reads an `i32`.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::Truncated`] if fewer than 4 bytes are left.
    #[inline]
    pub fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.array(field).map(i32::from_be_bytes)
    }

    /// Reads an `i64`.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::Truncated`] if fewer than 8 bytes are left.
    #[inline]
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// Reads a string.
    ///
    /// # Errors
    ///
    /// As [`byte_array`](Self::byte_array), and [`DecodeError::NotUtf8`].
    pub fn string(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let bytes = self.byte_array(field)?;
        std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8 {
            message: self.message,
            field,
        })
    }

    /// Reads an array of bytes.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::Truncated`] if its length is cut off, and [`DecodeError::LengthOutOfBounds`] if the length
    /// is negative or larger than what is left.
    pub fn byte_array(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.count(1, field)?;
        let bytes = &self.bytes[self.at..self.at + length];
        self.at += length;
        Ok(bytes)
    }

    /// Reads an array of strings.
    ///
    /// # Errors
    ///
    /// As [`string`](Self::string), for the count and for each string.
    pub fn string_array(&mut self, field: &'static str) -> Result<Vec<&'a str>, DecodeError> {
        let count = self.count(4, field)?;
        (0..count).map(|_| self.string(field)).collect()
    }

    /// Reads an array of `i32`s.
    ///
    /// # Errors
    ///
    /// As [`byte_array`](Self::byte_array).
    pub fn int_array(&mut self, field: &'static str) -> Result<Vec<i32>, DecodeError> {
        let count = self.count(4, field)?;
        (0..count).map(|_| self.i32(field)).collect()
    }

    /// Reads an array of `i64`s.
    ///
    /// # Errors
    ///
    /// As [`byte_array`](Self::byte_array).
    pub fn long_array(&mut self, field: &'static str) -> Result<Vec<i64>, DecodeError> {
        let count = self.count(8, field)?;
        (0..count).map(|_| self.i64(field)).collect()
    }

    /// Reads a bitmap.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::Bitmap`] if the bytes are not RoaringBitmap's portable form.
    pub fn bitmap(&mut self, field: &'static str) -> Result<Bitmap, DecodeError> {
        let (bitmap, length) =
            Bitmap::decode(&self.bytes[self.at..]).map_err(|source| DecodeError::Bitmap {
                message: self.message,
                field,
                source,
            })?;
        self.at += length;
        Ok(bitmap)
    }

    /// Reads a count and that many bitmaps.
    ///
    /// # Errors
    ///
    /// As [`byte_array`](Self::byte_array) for the count and [`bitmap`](Self::bitmap) for each.
    pub fn bitmap_array(&mut self, field: &'static str) -> Result<Vec<Bitmap>, DecodeError> {
        let count = self.count(Bitmap::SHORTEST, field)?;
        self.bitmaps(count, field)
    }

    /// Reads `count` bitmaps that stand back to back. Grows with the bitmaps that are there, not with `count`.
    pub(crate) fn bitmaps(&mut self, count: usize, field: &'static str) -> Result<Vec<Bitmap>, DecodeError> {
        let mut bitmaps = Vec::new();
        for _ in 0..count {
            bitmaps.push(self.bitmap(field)?);
        }
        Ok(bitmaps)
    }

    /// Reads a count of elements that take at least `least` bytes each.
    fn count(&mut self, least: usize, field: &'static str) -> Result<usize, DecodeError> {
        let length = self.i32(field)?;
        let available = self.remaining();
        match usize::try_from(length) {
            Ok(count) if count <= available / least => Ok(count),
            _ => Err(DecodeError::LengthOutOfBounds {
                message: self.message,
                field,
                length,
                available,
            }),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        match self.bytes[self.at..].first_chunk::<N>() {
            Some(array) => {
                self.at += N;
                Ok(*array)
            }
            None => Err(DecodeError::Truncated {
                message: self.message,
                field,
                needed: N,
                available: self.remaining(),
            }),
        }
    }
}

/// Appends an `i32`.
pub fn put_i32(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends an `i64`.
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a string.
///
/// # Errors
///
/// Returns [`EncodeError::LengthTooLarge`] if it has 2 GiB or more.
pub fn put_string(out: &mut Vec<u8>, value: &str) -> Result<(), EncodeError> {
    put_byte_array(out, value.as_bytes())
}

/// Appends an array of bytes.
///
/// # Errors
///
/// Returns [`EncodeError::LengthTooLarge`] if it has 2 GiB or more.
pub fn put_byte_array(out: &mut Vec<u8>, value: &[u8]) -> Result<(), EncodeError> {
    put_count(out, value.len())?;
    out.extend_from_slice(value);
    Ok(())
}

/// Appends an array of strings.
///
/// # Errors
///
/// Returns [`EncodeError::LengthTooLarge`] for 2³¹ strings or a string of 2 GiB; what was appended before it stays.
pub fn put_string_array<S: AsRef<str>>(out: &mut Vec<u8>, values: &[S]) -> Result<(), EncodeError> {
    put_count(out, values.len())?;
    values
        .iter()
        .try_for_each(|value| put_string(out, value.as_ref()))
}

/// Appends an array of `i32`s.
///
/// # Errors
///
/// Returns [`EncodeError::LengthTooLarge`] if there are 2³¹ or more.
pub fn put_int_array(out: &mut Vec<u8>, values: &[i32]) -> Result<(), EncodeError> {
    put_count(out, values.len())?;
    values.iter().for_each(|value| put_i32(out, *value));
    Ok(())
}

/// Appends an array of `i64`s.
///
/// # Errors
///
/// Returns [`EncodeError::LengthTooLarge`] if there are 2³¹ or more.
pub fn put_long_array(out: &mut Vec<u8>, values: &[i64]) -> Result<(), EncodeError> {
    put_count(out, values.len())?;
    values.iter().for_each(|value| put_i64(out, *value));
    Ok(())
}

/// Appends a count and the bitmaps.
///
/// # Errors
///
/// Returns [`EncodeError::LengthTooLarge`] if there are 2³¹ or more.
pub fn put_bitmap_array(out: &mut Vec<u8>, bitmaps: &[Bitmap]) -> Result<(), EncodeError> {
    put_count(out, bitmaps.len())?;
    bitmaps.iter().for_each(|bitmap| bitmap.encode(out));
    Ok(())
}

fn put_count(out: &mut Vec<u8>, count: usize) -> Result<(), EncodeError> {
    let field = i32::try_from(count).map_err(|_| EncodeError::LengthTooLarge { length: count })?;
    put_i32(out, field);
    Ok(())
}
