//! The bytes under the reader: numbers, texts and lengths, each compared with what is there and what is allowed.

use bytes::Bytes;

use super::Reader;
use crate::limits::Limit;
use crate::read_error::ReadError;
use crate::string::JavaString;

impl<'a> Reader<'a> {
    pub(super) fn name(&mut self) -> Result<String, ReadError> {
        let at = self.at;
        let length = usize::from(self.u16()?);
        let name = self.utf(length)?;
        name.as_str().map(str::to_owned).ok_or(ReadError::BadName { at })
    }

    pub(super) fn utf(&mut self, length: usize) -> Result<JavaString, ReadError> {
        let begin = self.at;
        let bytes = self.take(length)?;
        // Twice, since what is no plain UTF-8 is spread out into units on the way.
        self.charge(length.saturating_mul(2))?;
        JavaString::decode(bytes).map_err(|at| ReadError::BadString { at: begin + at })
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<Bytes, ReadError> {
        // Short ones are copied: sharing them would keep the whole buffer alive for a few bytes.
        const SHARE_FROM: usize = 4096;
        let slice = self.take(length)?;
        self.charge(length)?;
        Ok(match self.shared {
            Some(shared) if length >= SHARE_FROM => shared.slice_ref(slice),
            _ => Bytes::copy_from_slice(slice),
        })
    }

    pub(super) fn length(&mut self) -> Result<usize, ReadError> {
        let at = self.at;
        let length = i32::from_be_bytes(self.array()?);
        usize::try_from(length).map_err(|_| ReadError::NegativeLength {
            at,
            length: length.into(),
        })
    }

    pub(super) fn long_length(&mut self) -> Result<usize, ReadError> {
        let at = self.at;
        let length = i64::from_be_bytes(self.array()?);
        usize::try_from(length).map_err(|_| ReadError::NegativeLength { at, length })
    }

    pub(super) fn peek(&self) -> Result<u8, ReadError> {
        self.need(1)?;
        Ok(self.input[self.at])
    }

    pub(super) fn u8(&mut self) -> Result<u8, ReadError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, ReadError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let bytes = self.take(N)?;
        Ok(*bytes.first_chunk().expect("just taken"))
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], ReadError> {
        self.need(length)?;
        let bytes = &self.input[self.at..self.at + length];
        self.at += length;
        Ok(bytes)
    }

    /// Checks that `length` more bytes are there.
    pub(super) fn need(&self, length: usize) -> Result<(), ReadError> {
        let left = self.input.len() - self.at;
        if length > left {
            return Err(ReadError::Truncated {
                at: self.input.len(),
                needed: length - left,
            });
        }
        Ok(())
    }

    /// Counts memory that is about to be taken.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), ReadError> {
        match self.memory.checked_sub(bytes) {
            Some(left) => {
                self.memory = left;
                Ok(())
            }
            None => Err(self.exceeded(Limit::Memory, self.limits.memory)),
        }
    }

    #[cold]
    pub(super) fn exceeded(&self, limit: Limit, max: usize) -> ReadError {
        ReadError::LimitExceeded {
            at: self.at,
            limit,
            max,
        }
    }
}
