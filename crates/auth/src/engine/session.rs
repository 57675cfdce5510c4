//! What a handshake leaves behind.

use std::fmt;
use std::str::FromStr;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::cipher::{Decryptor, Encryptor};

/// How the session key is made (`spark.network.crypto.authEngineVersion`). Not negotiated: both sides must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineVersion {
    /// The bare result of the key exchange is the key. Spark's default; only for peers that insist.
    V1,
    /// The key is derived from the result and from both messages.
    V2,
}

impl FromStr for EngineVersion {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "1" => Ok(Self::V1),
            "2" => Ok(Self::V2),
            _ => Err(UnknownName("an auth engine version: 1 or 2")),
        }
    }
}

/// How the bytes of a session are encrypted (`spark.network.crypto.cipher`). Not negotiated: both sides must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionCipher {
    /// AES in counter mode: one key stream per direction, and nothing that notices a flipped bit. Spark's default; only
    /// for peers that insist.
    AesCtr,
    /// AES-GCM in messages of segments. Notices every change within a message, but not the loss, repetition or
    /// reordering of whole messages.
    AesGcm,
}

impl SessionCipher {
    /// The name of the cipher in Spark's settings.
    #[must_use]
    pub fn spark_name(self) -> &'static str {
        match self {
            Self::AesCtr => "AES/CTR/NoPadding",
            Self::AesGcm => "AES/GCM/NoPadding",
        }
    }
}

impl FromStr for SessionCipher {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [Self::AesCtr, Self::AesGcm]
            .into_iter()
            .find(|cipher| cipher.spark_name().eq_ignore_ascii_case(text))
            .ok_or(UnknownName("a cipher: AES/GCM/NoPadding or AES/CTR/NoPadding"))
    }
}

/// A setting's value that names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct UnknownName(&'static str);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// The keys of an authenticated connection, seen from one side.
pub struct EngineSession {
    key: Zeroizing<Vec<u8>>,
    iv_to_client: Zeroizing<[u8; 16]>,
    iv_to_server: Zeroizing<[u8; 16]>,
    side: Side,
    version: EngineVersion,
}

impl EngineSession {
    pub(super) fn derive(shared: &[u8; 32], transcript: &[u8], side: Side, version: EngineVersion) -> Self {
        let expand = Hkdf::<Sha256>::new(Some(transcript), shared);
        let derive = |info: &[u8]| {
            let mut out = Zeroizing::new([0; 16]);
            expand
                .expand(info, &mut *out)
                .expect("16 bytes are less than HKDF can give");
            out
        };
        let key = match version {
            EngineVersion::V1 => shared.to_vec(),
            EngineVersion::V2 => derive(b"derivedKey").to_vec(),
        };
        Self {
            key: Zeroizing::new(key),
            // The names are seen from the client: what it reads is its input.
            iv_to_client: derive(b"inputIv"),
            iv_to_server: derive(b"outputIv"),
            side,
            version,
        }
    }

    /// How the key was made.
    #[must_use]
    pub fn version(&self) -> EngineVersion {
        self.version
    }

    /// Returns what encrypts this side's bytes and what decrypts the peer's.
    #[must_use]
    pub fn into_ciphers(self, cipher: SessionCipher) -> (Encryptor, Decryptor) {
        let (iv_out, iv_in) = match self.side {
            Side::Client => (&self.iv_to_server, &self.iv_to_client),
            Side::Server => (&self.iv_to_client, &self.iv_to_server),
        };
        match cipher {
            SessionCipher::AesCtr => (
                Encryptor::ctr(&self.key, iv_out),
                Decryptor::ctr(&self.key, iv_in),
            ),
            SessionCipher::AesGcm => (Encryptor::gcm(&self.key), Decryptor::gcm(&self.key)),
        }
    }

    #[cfg(test)]
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    #[cfg(test)]
    pub(super) fn ivs(&self) -> [&[u8; 16]; 2] {
        [&self.iv_to_client, &self.iv_to_server]
    }
}

impl fmt::Debug for EngineSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineSession")
            .field("side", &self.side)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
