//! The encrypted blocks of DIGEST-MD5 (`auth-conf`, RFC 2831 section 2.4) with 3DES, each behind a length.
//!
//! ```text
//! i64 length of all of this │ 3DES-CBC( plaintext │ padding │ 10 bytes of HMAC-MD5 ) │ u16 version 1 │ u32 number
//! ```
//!
//! A block's number is part of what the HMAC covers, so that blocks cannot be lost, repeated or moved.

use cbc::cipher::array::Array;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use des::TdesEde2;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::CipherError;

pub(super) const NAME: &str = "DIGEST-MD5 auth-conf with 3DES";

const LENGTH: usize = 8;
const MAC: usize = 10;
const TRAILER: usize = 2 + 4;
const DES_BLOCK: usize = 8;
const VERSION: u16 = 1;

/// The two keys of one direction.
pub(crate) struct PrivacyKeys {
    /// For the HMAC.
    pub(crate) integrity: Zeroizing<[u8; 16]>,
    /// Key and initial vector of the cipher are made from it.
    pub(crate) confidentiality: Zeroizing<[u8; 16]>,
}

impl PrivacyKeys {
    fn mac(&self) -> Hmac<Md5> {
        Hmac::new_from_slice(&*self.integrity).expect("an HMAC takes keys of any length")
    }

    /// Two DES keys, each from seven bytes; 3DES uses the first one twice.
    fn des_key(&self) -> Zeroizing<[u8; 16]> {
        let mut key = Zeroizing::new([0; 16]);
        for (half, bytes) in key.chunks_mut(8).zip(self.confidentiality.chunks(7)) {
            half.copy_from_slice(&*spread(bytes.try_into().expect("seven of sixteen bytes, twice")));
        }
        key
    }

    fn initial_vector(&self) -> &[u8; 8] {
        self.confidentiality.last_chunk().expect("eight of sixteen bytes")
    }
}

/// Spreads 56 bits over eight bytes, seven in each; the lowest bit is DES's parity, which nobody looks at.
fn spread(bytes: &[u8; 7]) -> Zeroizing<[u8; 8]> {
    let mut wide = Zeroizing::new([0; 8]);
    wide[1..].copy_from_slice(bytes);
    let bits = Zeroizing::new(u64::from_be_bytes(*wide));
    for (at, out) in wide.iter_mut().enumerate() {
        *out = ((*bits >> (49 - 7 * at)) as u8) << 1;
    }
    wide
}

pub(super) struct PrivacyEncryptor {
    cipher: cbc::Encryptor<TdesEde2>,
    mac: Hmac<Md5>,
    /// The most plaintext that goes into one block.
    block: usize,
    /// The number of the next block; `None` after the last.
    next: Option<u32>,
}

impl PrivacyEncryptor {
    pub(super) fn new(keys: &PrivacyKeys, block: usize) -> Self {
        assert!(block > 0, "a block holds something");
        Self {
            cipher: cbc::Encryptor::new((&*keys.des_key()).into(), keys.initial_vector().into()),
            mac: keys.mac(),
            block,
            next: Some(0),
        }
    }

    pub(super) fn encrypt(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CipherError> {
        let before = out.len();
        for block in plain.chunks(self.block) {
            let Some(number) = self.next else {
                out.truncate(before);
                return Err(CipherError::Exhausted);
            };
            self.next = number.checked_add(1);
            self.wrap(number, block, out);
        }
        Ok(())
    }

    fn wrap(&mut self, number: u32, block: &[u8], out: &mut Vec<u8>) {
        let mut mac = self.mac.clone();
        mac.update(&number.to_be_bytes());
        mac.update(block);
        let mac = mac.finalize().into_bytes();

        let padding = DES_BLOCK - (block.len() + MAC) % DES_BLOCK;
        let body = block.len() + padding + MAC;
        out.extend_from_slice(&((LENGTH + body + TRAILER) as u64).to_be_bytes());
        let start = out.len();
        out.extend_from_slice(block);
        out.extend(std::iter::repeat_n(padding as u8, padding));
        out.extend_from_slice(&mac[..MAC]);
        let (blocks, rest) = Array::slice_as_chunks_mut(&mut out[start..]);
        debug_assert!(rest.is_empty());
        self.cipher.encrypt_blocks(blocks);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&number.to_be_bytes());
    }
}

pub(super) struct PrivacyDecryptor {
    cipher: cbc::Decryptor<TdesEde2>,
    mac: Hmac<Md5>,
    /// The longest block that is taken, its length and trailer included.
    limit: usize,
    next: Option<u32>,
    /// The beginning of a block that is not yet whole.
    partial: Vec<u8>,
}

impl PrivacyDecryptor {
    /// `block` is the most plaintext that a block may hold.
    pub(super) fn new(keys: &PrivacyKeys, block: usize) -> Self {
        Self {
            cipher: cbc::Decryptor::new((&*keys.des_key()).into(), keys.initial_vector().into()),
            mac: keys.mac(),
            limit: block.saturating_add(LENGTH + DES_BLOCK + MAC + TRAILER),
            next: Some(0),
            partial: Vec::new(),
        }
    }

    pub(super) fn held(&self) -> usize {
        self.partial.len()
    }

    pub(super) fn max_plain(&self) -> usize {
        self.limit
    }

    pub(super) fn decrypt(
        &mut self,
        input: &mut &[u8],
        plain: &mut Vec<u8>,
        room: usize,
    ) -> Result<(), CipherError> {
        let start = plain.len();
        while !input.is_empty() && plain.len() - start < room {
            super::gcm::fill(&mut self.partial, input, LENGTH);
            let Some(length) = self.partial.first_chunk::<LENGTH>() else {
                return Ok(());
            };
            let length = self.check(i64::from_be_bytes(*length))?;
            super::gcm::fill(&mut self.partial, input, length);
            if self.partial.len() < length {
                return Ok(());
            }
            self.unwrap_partial(plain)?;
            self.partial.clear();
        }
        Ok(())
    }

    /// Checks an announced length: whole DES blocks, of which padding and HMAC fill two at least.
    fn check(&self, announced: i64) -> Result<usize, CipherError> {
        usize::try_from(announced)
            .ok()
            .filter(|length| *length <= self.limit)
            .filter(|length| {
                length
                    .checked_sub(LENGTH + TRAILER)
                    .is_some_and(|body| body >= 2 * DES_BLOCK && body.is_multiple_of(DES_BLOCK))
            })
            .ok_or(CipherError::Length {
                announced,
                limit: self.limit as u64,
            })
    }

    /// Decrypts the block in `partial` and appends what it holds.
    fn unwrap_partial(&mut self, plain: &mut Vec<u8>) -> Result<(), CipherError> {
        let expected = self.next.ok_or(CipherError::Exhausted)?;
        let (body, trailer) = self.partial[LENGTH..]
            .split_last_chunk::<TRAILER>()
            .expect("the length was checked");
        let [v0, v1, number @ ..] = *trailer;
        let (version, found) = (u16::from_be_bytes([v0, v1]), u32::from_be_bytes(number));
        if version != VERSION || found != expected {
            return Err(CipherError::Sequence {
                version,
                found,
                expected,
            });
        }
        let start = plain.len();
        plain.extend_from_slice(body);
        let (blocks, rest) = Array::slice_as_chunks_mut(&mut plain[start..]);
        debug_assert!(rest.is_empty());
        self.cipher.decrypt_blocks(blocks);
        match verify(&self.mac, found, &plain[start..]) {
            Some(length) => {
                plain.truncate(start + length);
                self.next = found.checked_add(1);
                Ok(())
            }
            None => {
                plain.truncate(start);
                Err(CipherError::Tag)
            }
        }
    }
}

/// Returns the length of the plaintext at the front of a decrypted body, if its padding and HMAC are right.
///
/// The HMAC is computed whatever the padding says, and one answer covers both: who alters a block cannot ask which of
/// the two was wrong.
fn verify(mac: &Hmac<Md5>, number: u32, body: &[u8]) -> Option<usize> {
    let (padded, tag) = body.split_last_chunk::<MAC>()?;
    let padding = usize::from(*padded.last()?);
    let plausible = (1..=DES_BLOCK.min(padded.len())).contains(&padding);
    let length = padded.len() - if plausible { padding } else { 1 };
    let (text, pad) = padded.split_at(length);
    let uniform = pad.ct_eq(&[padding as u8; DES_BLOCK][..pad.len()]);
    let mut mac = mac.clone();
    mac.update(&number.to_be_bytes());
    mac.update(text);
    let genuine = mac.verify_truncated_left(tag).is_ok();
    (plausible & bool::from(uniform) & genuine).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_must_be_whole_and_uniform_even_when_the_tag_fits() {
        let mac = Hmac::<Md5>::new_from_slice(b"key").unwrap();
        let verdict = |text: &[u8], padding: &[u8]| {
            let mut tag = mac.clone();
            tag.update(&[0; 4]);
            tag.update(text);
            let tag = tag.finalize().into_bytes();
            verify(&mac, 0, &[text, padding, &tag[..MAC]].concat())
        };
        assert_eq!(verdict(b"text", &[2, 2]), Some(4));
        assert_eq!(verdict(b"", &[6; 6]), Some(0));
        assert_eq!(verdict(b"text", &[1, 2]), None, "not uniform");
        assert_eq!(verdict(b"text", &[0]), None, "none");
        assert_eq!(verdict(b"text", &[9; 9]), None, "more than a block of the cipher");
        assert_eq!(verdict(b"", &[7; 6]), None, "more than there is");
    }
}
