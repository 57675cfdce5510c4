//! The connecting side.

use std::fmt;

use subtle::ConstantTimeEq;

use super::digest::{DIGEST_URI, Exchange, NONCE_COUNT, SessionHash, in_lines, nonce};
use super::directives::{Directives, quoted};
use super::session::{CIPHER, Keys, Protection, SaslError, SaslSession};
use crate::Secret;
use crate::entropy::Entropy;

/// A client that has said that it begins, with an empty token, and waits for the challenge.
pub struct SaslClient {
    user: String,
    secret: Secret,
    protection: Protection,
    entropy: Entropy,
}

impl SaslClient {
    /// Begins as `user`, which is `sparkSaslUser` between `RpcEnv`s. The first token to send is empty.
    ///
    /// Exactly this `protection` is asked for; a server that does not offer it is refused.
    #[must_use]
    pub fn new(user: &str, secret: &Secret, protection: Protection) -> Self {
        Self {
            user: in_lines(user.as_bytes()),
            secret: secret.clone(),
            protection,
            entropy: Entropy::System,
        }
    }

    #[cfg(test)]
    pub(super) fn script(&mut self, bytes: Vec<u8>) {
        self.entropy = Entropy::Scripted(bytes);
    }

    /// Takes the server's challenge and returns the token to send.
    ///
    /// # Errors
    ///
    /// [`SaslError`]; above all [`SaslError::Protection`] when the server, or somebody in between, leaves out what this
    /// client wants.
    pub fn respond(mut self, challenge: &[u8]) -> Result<(SaslClientProof, Vec<u8>), SaslError> {
        let challenge = Directives::parse(challenge)?;
        if !challenge.require("algorithm")?.eq_ignore_ascii_case("md5-sess") {
            return Err(SaslError::Unexpected("algorithm"));
        }
        let wanted = self.protection;
        if !challenge.offers("qop", wanted.name(), Protection::Authentication.name()) {
            return Err(SaslError::Protection { wanted });
        }
        if wanted == Protection::Encryption && !challenge.offers("cipher", CIPHER, "") {
            return Err(SaslError::Unexpected("cipher"));
        }
        let peer_limit = max_buffer(&challenge)?;
        let cnonce = nonce(&mut self.entropy)?;
        let exchange = Exchange {
            realm: challenge.require("realm")?,
            nonce: challenge.require("nonce")?,
            cnonce: &cnonce,
            protection: wanted,
        };
        let hash = SessionHash::new(&self.user, &self.secret, &exchange);
        let mut token = format!(
            "charset=utf-8,username={},realm={},nonce={},nc={NONCE_COUNT},cnonce={},digest-uri={},maxbuf=65536,\
             response={},qop={}",
            quoted(&self.user),
            quoted(exchange.realm),
            quoted(exchange.nonce),
            quoted(&cnonce),
            quoted(DIGEST_URI),
            hash.response(&exchange),
            wanted.name(),
        );
        if wanted == Protection::Encryption {
            token += &format!(",cipher={}", quoted(CIPHER));
        }
        let proof = SaslClientProof {
            expected: hash.server_proof(&exchange),
            keys: (wanted == Protection::Encryption).then(|| {
                let [outgoing, incoming] = hash.privacy_keys();
                Keys {
                    outgoing,
                    incoming,
                    peer_limit,
                }
            }),
        };
        Ok((proof, token.into_bytes()))
    }
}

impl fmt::Debug for SaslClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslClient")
            .field("protection", &self.protection)
            .finish_non_exhaustive()
    }
}

/// A client that has proved itself and waits for the server to do the same.
pub struct SaslClientProof {
    expected: String,
    keys: Option<Keys>,
}

impl SaslClientProof {
    /// Takes the server's last token.
    ///
    /// # Errors
    ///
    /// [`SaslError::Mismatch`] if the server does not know the secret.
    pub fn finish(self, token: &[u8]) -> Result<SaslSession, SaslError> {
        let token = Directives::parse(token)?;
        let found = token.require("rspauth")?;
        if !bool::from(found.as_bytes().ct_eq(self.expected.as_bytes())) {
            return Err(SaslError::Mismatch);
        }
        Ok(SaslSession { keys: self.keys })
    }
}

impl fmt::Debug for SaslClientProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslClientProof").finish_non_exhaustive()
    }
}

/// The longest block that the peer takes; RFC 2831 has a default for peers that do not say.
pub(super) fn max_buffer(token: &Directives) -> Result<usize, SaslError> {
    match token.get("maxbuf") {
        None => Ok(65_536),
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (64..1 << 24).contains(limit))
            .ok_or(SaslError::Unexpected("maxbuf")),
    }
}
