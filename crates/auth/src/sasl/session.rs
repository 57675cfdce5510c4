//! What an exchange leaves behind, and what can go wrong in it.

use std::fmt;

use crate::cipher::{Decryptor, Encryptor, PrivacyKeys};
use crate::entropy::NoRandomness;

/// What protects a connection after the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// `auth`: nothing. Everything that follows goes in the clear and unsigned.
    Authentication,
    /// `auth-conf`: blocks encrypted with 3DES, with an HMAC and a number.
    Encryption,
}

impl Protection {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Authentication => "auth",
            Self::Encryption => "auth-conf",
        }
    }
}

/// The one cipher that is offered and accepted: the strongest of the JDK's, and the one that it chooses itself.
pub(super) const CIPHER: &str = "3des";

/// An authenticated connection, seen from one side.
pub struct SaslSession {
    pub(super) keys: Option<Keys>,
}

pub(super) struct Keys {
    pub(super) outgoing: PrivacyKeys,
    pub(super) incoming: PrivacyKeys,
    /// The longest block that the peer takes, by its own words.
    pub(super) peer_limit: usize,
}

impl SaslSession {
    /// The most plaintext in one block when nothing else is set (`spark.network.sasl.maxEncryptedBlockSize`).
    pub const DEFAULT_BLOCK: usize = 64 * 1024;

    /// The most plaintext that a peer may put into one block when nothing else is set. Peers that are set to use longer
    /// blocks than usual need a higher limit here.
    pub const DEFAULT_MAX_PEER_BLOCK: usize = 1024 * 1024;

    /// What was agreed on.
    #[must_use]
    pub fn protection(&self) -> Protection {
        match self.keys {
            Some(_) => Protection::Encryption,
            None => Protection::Authentication,
        }
    }

    /// Returns the two ciphers, or `None` if the connection goes on in the clear.
    ///
    /// At most `block` bytes go into one block, fewer if the peer asked for that, and one at least. The peer may put
    /// `max_peer_block` bytes into one of its own.
    #[must_use]
    pub fn into_ciphers(self, block: usize, max_peer_block: usize) -> Option<(Encryptor, Decryptor)> {
        let keys = self.keys?;
        // What a block adds to its text, by the JDK's own reckoning.
        let most = keys.peer_limit.saturating_sub(26);
        Some((
            Encryptor::privacy(&keys.outgoing, block.min(most).max(1)),
            Decryptor::privacy(&keys.incoming, max_peer_block),
        ))
    }
}

impl fmt::Debug for SaslSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslSession")
            .field("protection", &self.protection())
            .finish_non_exhaustive()
    }
}

/// Why an exchange failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// A token is no list of directives.
    #[error("DIGEST-MD5: cannot read the peer's token: {0}")]
    Syntax(&'static str),
    /// A directive is missing or empty.
    #[error("DIGEST-MD5: the peer's token has no {0}")]
    Missing(&'static str),
    /// A directive has a value that it must not have.
    #[error("DIGEST-MD5: the peer's token has an unexpected {0}")]
    Unexpected(&'static str),
    /// The peer does not offer, or does not accept, the protection that this side wants.
    #[error(
        "DIGEST-MD5: the peer does not agree to the protection {}; compare spark.authenticate.enableSaslEncryption and \
         spark.network.sasl.serverAlwaysEncrypt of both sides",
        wanted.name()
    )]
    Protection {
        /// What this side wants.
        wanted: Protection,
    },
    /// The peer has another secret, or a token was altered.
    #[error("DIGEST-MD5: Mismatched response: the peer has another secret, or a token was altered")]
    Mismatch,
    /// A client sent something where it must only say that it begins.
    #[error("DIGEST-MD5 has no initial response, but {bytes} bytes came")]
    InitialResponse {
        /// How many.
        bytes: usize,
    },
    /// No random bytes for a nonce.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}
