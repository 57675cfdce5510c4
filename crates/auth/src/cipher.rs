//! What encrypts a connection after its handshake: one value per direction, bytes in, bytes out.

mod ctr;
mod gcm;
#[cfg(test)]
mod gcm_tests;
mod privacy;
#[cfg(test)]
mod privacy_tests;

use std::fmt;

pub(crate) use privacy::PrivacyKeys;

use crate::entropy::NoRandomness;

/// Encrypts what goes out over one connection, in the order in which it goes out.
pub struct Encryptor(Outgoing);

enum Outgoing {
    Ctr(ctr::KeyStream),
    Gcm(Box<gcm::GcmEncryptor>),
    Privacy(Box<privacy::PrivacyEncryptor>),
}

impl Encryptor {
    pub(crate) fn ctr(key: &[u8], iv: &[u8; 16]) -> Self {
        Self(Outgoing::Ctr(ctr::KeyStream::new(key, iv)))
    }

    pub(crate) fn gcm(key: &[u8]) -> Self {
        Self(Outgoing::Gcm(Box::new(gcm::GcmEncryptor::new(key))))
    }

    pub(crate) fn privacy(keys: &PrivacyKeys, block: usize) -> Self {
        Self(Outgoing::Privacy(Box::new(privacy::PrivacyEncryptor::new(
            keys, block,
        ))))
    }

    /// Appends the encrypted form of `plain` to `out`.
    ///
    /// Borders between calls need not be those of frames. Ciphers with records make one or more of each call, so a few
    /// large calls cost less than many small ones. Nothing is made of nothing.
    ///
    /// # Errors
    ///
    /// [`CipherError`]; `out` is then as it was, and the direction is dead.
    pub fn encrypt(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CipherError> {
        if plain.is_empty() {
            return Ok(());
        }
        match &mut self.0 {
            Outgoing::Ctr(stream) => stream.apply(plain, out),
            Outgoing::Gcm(gcm) => gcm.encrypt(plain, out),
            Outgoing::Privacy(privacy) => privacy.encrypt(plain, out),
        }
    }

    /// Gives a cipher that needs salts these bytes instead of random ones.
    #[cfg(test)]
    pub(crate) fn script(&mut self, bytes: Vec<u8>) {
        match &mut self.0 {
            Outgoing::Gcm(gcm) => gcm.script(bytes),
            Outgoing::Ctr(_) | Outgoing::Privacy(_) => panic!("a cipher without salts"),
        }
    }

    /// The name of the cipher, for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Outgoing::Ctr(_) => ctr::NAME,
            Outgoing::Gcm(_) => gcm::NAME,
            Outgoing::Privacy(_) => privacy::NAME,
        }
    }
}

impl fmt::Debug for Encryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encryptor({})", self.name())
    }
}

/// Decrypts what comes in over one connection, in the order in which it comes in.
///
/// After an error the direction is dead: every further call fails with [`CipherError::Dead`].
pub struct Decryptor {
    cipher: Incoming,
    dead: bool,
}

enum Incoming {
    Ctr(ctr::KeyStream),
    Gcm(Box<gcm::GcmDecryptor>),
    Privacy(Box<privacy::PrivacyDecryptor>),
}

impl Decryptor {
    fn new(cipher: Incoming) -> Self {
        Self { cipher, dead: false }
    }

    pub(crate) fn ctr(key: &[u8], iv: &[u8; 16]) -> Self {
        Self::new(Incoming::Ctr(ctr::KeyStream::new(key, iv)))
    }

    pub(crate) fn gcm(key: &[u8]) -> Self {
        Self::new(Incoming::Gcm(Box::new(gcm::GcmDecryptor::new(key))))
    }

    pub(crate) fn privacy(keys: &PrivacyKeys, block: usize) -> Self {
        Self::new(Incoming::Privacy(Box::new(privacy::PrivacyDecryptor::new(
            keys, block,
        ))))
    }

    /// Takes bytes from the front of `input` and appends what they decrypt to to `plain`.
    ///
    /// Returns when `input` is used up, or when `room` bytes or more have come out; a cipher with records hands these
    /// out whole, so that up to [`max_record`](Self::max_record) bytes more may appear. The start of a record that is
    /// not yet complete is kept inside, which never holds more than one record. With a cipher that has tags, nothing
    /// comes out before its tag has been checked.
    ///
    /// # Errors
    ///
    /// [`CipherError`]: the peer misbehaves, has other keys, or somebody is in between. Records that were whole before
    /// the bad one are in `plain`.
    pub fn decrypt(
        &mut self,
        input: &mut &[u8],
        plain: &mut Vec<u8>,
        room: usize,
    ) -> Result<(), CipherError> {
        if self.dead {
            return Err(CipherError::Dead);
        }
        let result = match &mut self.cipher {
            Incoming::Ctr(stream) => input
                .split_off(..input.len().min(room))
                .map_or(Ok(()), |taken| stream.apply(taken, plain)),
            Incoming::Gcm(gcm) => gcm.decrypt(input, plain, room),
            Incoming::Privacy(privacy) => privacy.decrypt(input, plain, room),
        };
        self.dead = result.is_err();
        result
    }

    /// Says that the peer sends no more.
    ///
    /// # Errors
    ///
    /// [`CipherError::Truncated`] if a record has begun and not ended. Between two records only the protocol above can
    /// tell whether something is missing.
    pub fn finish(&self) -> Result<(), CipherError> {
        let held = self.held();
        if held == 0 && !self.in_record() {
            return Ok(());
        }
        Err(CipherError::Truncated { held })
    }

    /// How many bytes of an incomplete record are kept inside.
    #[must_use]
    pub fn held(&self) -> usize {
        match &self.cipher {
            Incoming::Ctr(_) => 0,
            Incoming::Gcm(gcm) => gcm.held(),
            Incoming::Privacy(privacy) => privacy.held(),
        }
    }

    /// The most plaintext that one record holds; 0 for a cipher without records.
    #[must_use]
    pub fn max_record(&self) -> usize {
        match &self.cipher {
            // One that is cut anywhere: nothing ever comes out beyond the room.
            Incoming::Ctr(_) => 0,
            Incoming::Gcm(_) => gcm::SEGMENT_PLAIN,
            Incoming::Privacy(privacy) => privacy.max_plain(),
        }
    }

    /// The name of the cipher, for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.cipher {
            Incoming::Ctr(_) => ctr::NAME,
            Incoming::Gcm(_) => gcm::NAME,
            Incoming::Privacy(_) => privacy::NAME,
        }
    }

    /// Whether more of a record must come, although nothing of it is held.
    fn in_record(&self) -> bool {
        match &self.cipher {
            Incoming::Ctr(_) | Incoming::Privacy(_) => false,
            Incoming::Gcm(gcm) => gcm.in_message(),
        }
    }
}

impl fmt::Debug for Decryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decryptor")
            .field("cipher", &self.name())
            .field("held", &self.held())
            .field("dead", &self.dead)
            .finish()
    }
}

/// Why bytes cannot be encrypted or decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CipherError {
    /// A record's tag does not fit: it was altered, moved, or made with another key.
    #[error("a record's tag is wrong: it was altered on the way, or the keys differ")]
    Tag,
    /// A record cannot have the length that it announces.
    #[error("a record cannot be {announced} bytes long (limit {limit})")]
    Length {
        /// What the record says.
        announced: i64,
        /// The most that is allowed.
        limit: u64,
    },
    /// A record's own header has a length that does not belong to this cipher.
    #[error(
        "a record's header of {announced} bytes does not belong to this cipher and key, which need {expected}"
    )]
    Header {
        /// What the record says.
        announced: u8,
        /// What this cipher needs.
        expected: u8,
    },
    /// A block's trailer does not say what must come next: one was lost, repeated or moved.
    #[error("a block with version {version} and number {found} came instead of number {expected}")]
    Sequence {
        /// The format's version; always 1.
        version: u16,
        /// The number of the block.
        found: u32,
        /// The number that is next.
        expected: u32,
    },
    /// The connection ended within a record.
    #[error("the connection ended within an encrypted record, {held} bytes of which are here")]
    Truncated {
        /// How many bytes of it have come and not been used.
        held: usize,
    },
    /// The key has been used for as much as is safe.
    #[error("the key of this direction is used up")]
    Exhausted,
    /// No random bytes for a record's salt.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// An earlier error has ended this direction.
    #[error("this direction was ended by an earlier error")]
    Dead,
}
