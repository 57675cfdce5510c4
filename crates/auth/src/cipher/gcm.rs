//! AES-GCM in messages of segments: the layout of Tink's `AesGcmHkdfStreaming`, behind a length.
//!
//! ```text
//! i64 length of all of this │ u8 header length │ salt │ 7 bytes of nonce │ segment │ segment │ …
//! ```
//!
//! Each message has a key of its own, made from the session's key, the salt and the length. A segment's nonce says its
//! number and whether it is the last, so that segments cannot be moved, dropped or repeated within a message. Nothing
//! binds the messages of a connection to each other: Spark's protocol has no place for it.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::CipherError;
use crate::entropy::Entropy;

pub(super) const NAME: &str = "AES/GCM/NoPadding";

const TAG: usize = 16;
const PREFIX: usize = 7;
const LENGTH: usize = 8;
/// A whole segment as it is sent.
const SEGMENT: usize = 32 * 1024;
/// The most plaintext that a segment holds.
pub(super) const SEGMENT_PLAIN: usize = SEGMENT - TAG;
/// A segment's number has 32 bits.
const MAX_CIPHERTEXT: u64 = (SEGMENT as u64) << 32;

/// One direction's key, which is the other's too.
struct Key(Zeroizing<Vec<u8>>);

impl Key {
    fn new(key: &[u8]) -> Self {
        assert!(matches!(key.len(), 16 | 32), "a session key has 16 or 32 bytes");
        Self(Zeroizing::new(key.to_vec()))
    }

    /// The length of the header that stands behind a message's length, itself included.
    fn header_len(&self) -> u8 {
        if self.0.len() == 16 { 24 } else { 40 }
    }

    /// All that stands before the first segment.
    fn preamble_len(&self) -> usize {
        LENGTH + usize::from(self.header_len())
    }

    /// The cipher of the message with this preamble.
    fn message_cipher(&self, preamble: &[u8]) -> MessageCipher {
        let (length, rest) = preamble.split_at(LENGTH);
        let (salt, prefix) = rest[1..].split_at(self.0.len());
        let prefix = prefix
            .try_into()
            .expect("the preamble ends with the nonce's prefix");
        let mut space = Zeroizing::new([0; 32]);
        let key = &mut space[..self.0.len()];
        Hkdf::<Sha256>::new(Some(salt), &self.0)
            .expand(length, key)
            .expect("32 bytes are less than HKDF can give");
        let algorithm = if key.len() == 16 {
            &AES_128_GCM
        } else {
            &AES_256_GCM
        };
        let key = UnboundKey::new(algorithm, key).expect("the key is as long as the algorithm says");
        MessageCipher {
            aes: LessSafeKey::new(key),
            prefix,
        }
    }
}

struct MessageCipher {
    /// Called less safe because the nonces are ours to keep apart: the segments' numbers do.
    aes: LessSafeKey,
    prefix: [u8; PREFIX],
}

impl MessageCipher {
    fn nonce(&self, segment: u32, last: bool) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..PREFIX].copy_from_slice(&self.prefix);
        nonce[PREFIX..11].copy_from_slice(&segment.to_be_bytes());
        nonce[11] = u8::from(last);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts `text` in place and returns its tag.
    fn seal(&self, segment: u32, last: bool, text: &mut [u8]) -> [u8; TAG] {
        let nonce = self.nonce(segment, last);
        let tag = self.aes.seal_in_place_separate_tag(nonce, Aad::empty(), text);
        let tag = tag.expect("a segment is far below the longest text of AES-GCM");
        tag.as_ref().try_into().expect("its tags have 16 bytes")
    }

    /// Appends the plaintext of the sealed `segment` to `plain`, if its tag fits.
    fn open(&self, number: u32, last: bool, segment: &[u8], plain: &mut Vec<u8>) -> Result<(), CipherError> {
        let nonce = self.nonce(number, last);
        let (text, tag) = segment.split_last_chunk::<TAG>().ok_or(CipherError::Tag)?;
        let start = plain.len();
        plain.extend_from_slice(text);
        let text = &mut plain[start..];
        let opened = self
            .aes
            .open_in_place_separate_tag(nonce, Aad::empty(), tag, text)
            .map(|_| ());
        opened.map_err(|_| {
            plain.truncate(start);
            CipherError::Tag
        })
    }
}

/// The number of bytes that `plain` bytes of plaintext become behind the preamble.
fn ciphertext_len(plain: u64) -> u64 {
    plain + plain.div_ceil(SEGMENT_PLAIN as u64) * TAG as u64
}

pub(super) struct GcmEncryptor {
    key: Key,
    entropy: Entropy,
}

impl GcmEncryptor {
    pub(super) fn new(key: &[u8]) -> Self {
        Self {
            key: Key::new(key),
            entropy: Entropy::System,
        }
    }

    /// Makes one message of `plain`.
    pub(super) fn encrypt(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CipherError> {
        let body = ciphertext_len(plain.len() as u64);
        let length = self.key.preamble_len() as u64 + body;
        if body > MAX_CIPHERTEXT {
            return Err(CipherError::Length {
                announced: length as i64,
                limit: MAX_CIPHERTEXT,
            });
        }
        let mut preamble = [0; LENGTH + 40];
        let preamble = &mut preamble[..self.key.preamble_len()];
        preamble[..LENGTH].copy_from_slice(&length.to_be_bytes());
        preamble[LENGTH] = self.key.header_len();
        self.entropy.fill(&mut preamble[LENGTH + 1..])?;

        let cipher = self.key.message_cipher(preamble);
        out.reserve(length as usize);
        out.extend_from_slice(preamble);
        let segments = plain.len().div_ceil(SEGMENT_PLAIN);
        for (number, segment) in plain.chunks(SEGMENT_PLAIN).enumerate() {
            let start = out.len();
            out.extend_from_slice(segment);
            // The body's limit keeps the number within 32 bits.
            let tag = cipher.seal(number as u32, number + 1 == segments, &mut out[start..]);
            out.extend_from_slice(&tag);
        }
        Ok(())
    }

    /// Uses these bytes as salts and nonces, to replay a recording.
    #[cfg(test)]
    pub(super) fn script(&mut self, bytes: Vec<u8>) {
        self.entropy = Entropy::Scripted(bytes);
    }
}

pub(super) struct GcmDecryptor {
    key: Key,
    state: State,
    /// The beginning of a preamble or segment that is not yet whole.
    partial: Vec<u8>,
}

enum State {
    Preamble,
    Segments {
        cipher: MessageCipher,
        next: u32,
        /// Bytes of the message that follow the segments already opened; never 0.
        left: u64,
    },
}

impl GcmDecryptor {
    pub(super) fn new(key: &[u8]) -> Self {
        Self {
            key: Key::new(key),
            state: State::Preamble,
            partial: Vec::new(),
        }
    }

    pub(super) fn held(&self) -> usize {
        self.partial.len()
    }

    pub(super) fn in_message(&self) -> bool {
        matches!(self.state, State::Segments { .. })
    }

    pub(super) fn decrypt(
        &mut self,
        input: &mut &[u8],
        plain: &mut Vec<u8>,
        room: usize,
    ) -> Result<(), CipherError> {
        let start = plain.len();
        while !input.is_empty() && plain.len() - start < room {
            match &mut self.state {
                State::Preamble => self.take_preamble(input)?,
                State::Segments { cipher, next, left } => {
                    let wanted = (*left).min(SEGMENT as u64) as usize;
                    let last = *left == wanted as u64;
                    // A segment that lies in the input as a whole is not copied before it is opened.
                    let whole = if self.partial.is_empty() && input.len() >= wanted {
                        input.split_off(..wanted).expect("as many bytes are there")
                    } else {
                        fill(&mut self.partial, input, wanted);
                        if self.partial.len() < wanted {
                            return Ok(());
                        }
                        &self.partial
                    };
                    cipher.open(*next, last, whole, plain)?;
                    self.partial.clear();
                    if last {
                        self.state = State::Preamble;
                    } else {
                        *left -= wanted as u64;
                        *next += 1;
                    }
                }
            }
        }
        Ok(())
    }

    fn take_preamble(&mut self, input: &mut &[u8]) -> Result<(), CipherError> {
        // Length and header length are looked at as soon as they are there: a peer without the key learns early.
        fill(&mut self.partial, input, LENGTH + 1);
        let Some((length, [header_len])) = self
            .partial
            .get(..=LENGTH)
            .and_then(|start| start.split_first_chunk::<LENGTH>())
        else {
            return Ok(());
        };
        let left = self.check(i64::from_be_bytes(*length), *header_len)?;
        fill(&mut self.partial, input, self.key.preamble_len());
        if self.partial.len() == self.key.preamble_len() {
            if left > 0 {
                self.state = State::Segments {
                    cipher: self.key.message_cipher(&self.partial),
                    next: 0,
                    left,
                };
            }
            self.partial.clear();
        }
        Ok(())
    }

    /// Checks what a message says about itself, and returns the length of its segments.
    fn check(&self, length: i64, header_len: u8) -> Result<u64, CipherError> {
        let preamble = self.key.preamble_len() as u64;
        let bad = CipherError::Length {
            announced: length,
            limit: preamble + MAX_CIPHERTEXT,
        };
        let body = u64::try_from(length)
            .ok()
            .and_then(|length| length.checked_sub(preamble))
            .ok_or_else(|| bad.clone())?;
        let rest = body % SEGMENT as u64;
        // The last segment has a tag and at least one byte: nothing writes an empty one.
        if body > MAX_CIPHERTEXT || (1..=TAG as u64).contains(&rest) {
            return Err(bad);
        }
        if header_len != self.key.header_len() {
            return Err(CipherError::Header {
                announced: header_len,
                expected: self.key.header_len(),
            });
        }
        Ok(body)
    }
}

/// Moves bytes from the front of `input` until `partial` has `wanted` of them.
pub(super) fn fill(partial: &mut Vec<u8>, input: &mut &[u8], wanted: usize) {
    let missing = wanted.saturating_sub(partial.len()).min(input.len());
    if let Some(taken) = input.split_off(..missing) {
        partial.extend_from_slice(taken);
    }
}
