//! The accepting side.

use std::fmt;

use subtle::ConstantTimeEq;

use super::client::max_buffer;
use super::digest::{DIGEST_URI, Exchange, NONCE_COUNT, REALM, SessionHash, in_lines, nonce};
use super::directives::Directives;
use super::session::{CIPHER, Keys, Protection, SaslError, SaslSession};
use crate::Secret;
use crate::entropy::Entropy;

/// A server that has sent its challenge and waits for the client's response.
pub struct SaslServer {
    user: String,
    secret: Secret,
    least: Protection,
    nonce: String,
}

impl SaslServer {
    /// Takes a client's first token and returns the challenge to send.
    ///
    /// `user` is the only one whose response is accepted. With `least` being [`Protection::Encryption`] nothing weaker
    /// is offered or accepted (`spark.network.sasl.serverAlwaysEncrypt`); else the client chooses.
    ///
    /// # Errors
    ///
    /// [`SaslError::InitialResponse`] and [`SaslError::Randomness`].
    pub fn start(
        initial: &[u8],
        user: &str,
        secret: &Secret,
        least: Protection,
    ) -> Result<(Self, Vec<u8>), SaslError> {
        Self::start_with(initial, user, secret, least, &mut Entropy::System)
    }

    pub(super) fn start_with(
        initial: &[u8],
        user: &str,
        secret: &Secret,
        least: Protection,
        entropy: &mut Entropy,
    ) -> Result<(Self, Vec<u8>), SaslError> {
        if !initial.is_empty() {
            return Err(SaslError::InitialResponse { bytes: initial.len() });
        }
        let nonce = nonce(entropy)?;
        let offer = match least {
            Protection::Authentication => "auth-conf,auth",
            Protection::Encryption => "auth-conf",
        };
        let challenge = format!(
            "realm=\"{REALM}\",nonce=\"{nonce}\",qop=\"{offer}\",charset=utf-8,cipher=\"{CIPHER}\",algorithm=md5-sess"
        );
        let server = Self {
            user: in_lines(user.as_bytes()),
            secret: secret.clone(),
            least,
            nonce,
        };
        Ok((server, challenge.into_bytes()))
    }

    /// Checks the client's response, and returns the session and the last token to send.
    ///
    /// That token goes out in the clear; with [`Protection::Encryption`] everything after it is encrypted.
    ///
    /// # Errors
    ///
    /// [`SaslError`]; [`SaslError::Mismatch`] if the client does not know the secret, or is somebody else.
    pub fn finish(self, response: &[u8]) -> Result<(SaslSession, Vec<u8>), SaslError> {
        let response = Directives::parse(response)?;
        let protection = self.protection(&response)?;
        for (name, expected) in [("realm", REALM), ("nonce", &*self.nonce), ("nc", NONCE_COUNT)] {
            if response.require(name)? != expected {
                return Err(SaslError::Unexpected(name));
            }
        }
        if !response.require("digest-uri")?.eq_ignore_ascii_case(DIGEST_URI) {
            return Err(SaslError::Unexpected("digest-uri"));
        }
        if response.get("authzid").is_some() {
            return Err(SaslError::Unexpected("authzid"));
        }
        let peer_limit = max_buffer(&response)?;
        let exchange = Exchange {
            realm: REALM,
            nonce: &self.nonce,
            cnonce: response.require("cnonce")?,
            protection,
        };
        let hash = SessionHash::new(&self.user, &self.secret, &exchange);
        // Another user is told nothing else than somebody with another secret.
        let user = response
            .require("username")?
            .as_bytes()
            .ct_eq(self.user.as_bytes());
        let proof = response
            .require("response")?
            .as_bytes()
            .ct_eq(hash.response(&exchange).as_bytes());
        if !bool::from(user & proof) {
            return Err(SaslError::Mismatch);
        }
        let token = format!("rspauth={}", hash.server_proof(&exchange)).into_bytes();
        let keys = (protection == Protection::Encryption).then(|| {
            let [incoming, outgoing] = hash.privacy_keys();
            Keys {
                outgoing,
                incoming,
                peer_limit,
            }
        });
        Ok((SaslSession { keys }, token))
    }

    /// What the client has chosen, if it was on offer.
    fn protection(&self, response: &Directives) -> Result<Protection, SaslError> {
        let auth = Protection::Authentication;
        let chosen = match response.get("qop").unwrap_or(auth.name()) {
            name if name == auth.name() => auth,
            name if name == Protection::Encryption.name() => Protection::Encryption,
            _ => return Err(SaslError::Unexpected("qop")),
        };
        if self.least == Protection::Encryption && chosen == auth {
            return Err(SaslError::Protection {
                wanted: Protection::Encryption,
            });
        }
        if chosen == Protection::Encryption && response.require("cipher")? != CIPHER {
            return Err(SaslError::Unexpected("cipher"));
        }
        Ok(chosen)
    }
}

impl fmt::Debug for SaslServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslServer")
            .field("least", &self.least)
            .finish_non_exhaustive()
    }
}
