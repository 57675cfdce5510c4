//! AES in counter mode: one key stream for the whole of a direction.

use ::ctr::Ctr128BE;
use ::ctr::cipher::{KeyIvInit, StreamCipher};
use aes::{Aes128, Aes256};

use super::CipherError;

pub(super) const NAME: &str = "AES/CTR/NoPadding";

/// A direction's key stream. Encrypting and decrypting are the same.
pub(super) enum KeyStream {
    Aes128(Box<Ctr128BE<Aes128>>),
    Aes256(Box<Ctr128BE<Aes256>>),
}

impl KeyStream {
    /// Begins the stream; `key` has 16 or 32 bytes.
    pub(super) fn new(key: &[u8], iv: &[u8; 16]) -> Self {
        match <&[u8; 16]>::try_from(key) {
            Ok(key) => Self::Aes128(Box::new(Ctr128BE::new(key.into(), iv.into()))),
            Err(_) => {
                let key = <&[u8; 32]>::try_from(key).expect("a session key has 16 or 32 bytes");
                Self::Aes256(Box::new(Ctr128BE::new(key.into(), iv.into())))
            }
        }
    }

    pub(super) fn apply(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CipherError> {
        let start = out.len();
        out.extend_from_slice(input);
        let applied = match self {
            Self::Aes128(stream) => stream.try_apply_keystream(&mut out[start..]),
            Self::Aes256(stream) => stream.try_apply_keystream(&mut out[start..]),
        };
        applied.map_err(|_| {
            out.truncate(start);
            CipherError::Exhausted
        })
    }
}
