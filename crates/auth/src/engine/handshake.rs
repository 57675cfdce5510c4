//! The two sides of the exchange.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::message::{AuthMessage, AuthMessageError};
use super::seal::{open, seal};
use super::session::{EngineSession, EngineVersion, Side};
use crate::Secret;
use crate::entropy::{Entropy, NoRandomness};

/// A client that has sent its challenge and waits for the response.
pub struct ClientHandshake {
    private: StaticSecret,
    app_id: String,
    secret: Secret,
    version: EngineVersion,
    challenge: Vec<u8>,
}

impl ClientHandshake {
    /// Begins, and returns the challenge to send.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::AppIdTooLong`] and [`HandshakeError::Randomness`].
    pub fn start(
        app_id: &str,
        secret: &Secret,
        version: EngineVersion,
    ) -> Result<(Self, Vec<u8>), HandshakeError> {
        Self::start_with(app_id, secret, version, &mut Entropy::System)
    }

    pub(super) fn start_with(
        app_id: &str,
        secret: &Secret,
        version: EngineVersion,
        entropy: &mut Entropy,
    ) -> Result<(Self, Vec<u8>), HandshakeError> {
        if app_id.len() > AuthMessage::MAX_APP_ID_LEN {
            return Err(HandshakeError::AppIdTooLong { bytes: app_id.len() });
        }
        let private = ephemeral(entropy)?;
        let public = PublicKey::from(&private);
        let challenge = seal(public.as_bytes(), app_id, secret, &[], entropy)?.encode();
        let client = Self {
            private,
            app_id: app_id.to_owned(),
            secret: secret.clone(),
            version,
            challenge: challenge.clone(),
        };
        Ok((client, challenge))
    }

    /// A client that once sent `challenge`, to replay a recording.
    #[cfg(test)]
    pub(super) fn recorded(
        private: [u8; 32],
        app_id: &str,
        secret: &Secret,
        version: EngineVersion,
        challenge: &[u8],
    ) -> Self {
        Self {
            private: StaticSecret::from(private),
            app_id: app_id.to_owned(),
            secret: secret.clone(),
            version,
            challenge: challenge.to_vec(),
        }
    }

    /// Takes the server's response. From then on everything is encrypted.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]; the connection is of no use then.
    pub fn finish(self, response: &[u8]) -> Result<EngineSession, HandshakeError> {
        let message = AuthMessage::decode(response)?;
        if message.app_id != self.app_id {
            return Err(HandshakeError::WrongAppId {
                expected: self.app_id,
                found: message.app_id,
            });
        }
        let public = open(&message, &self.secret, &self.challenge).ok_or(HandshakeError::Refused)?;
        agree(
            &self.private,
            public,
            Side::Client,
            self.version,
            &self.challenge,
            response,
        )
    }
}

impl std::fmt::Debug for ClientHandshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientHandshake")
            .field("app_id", &self.app_id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A client's first message at the server: read, not yet believed.
#[derive(Clone, Debug)]
pub struct Challenge {
    message: AuthMessage,
    bytes: Vec<u8>,
}

impl Challenge {
    /// Reads a challenge.
    ///
    /// # Errors
    ///
    /// [`AuthMessageError`]. Only then may a server that is told to go on with SASL.
    pub fn decode(bytes: &[u8]) -> Result<Self, AuthMessageError> {
        Ok(Self {
            message: AuthMessage::decode(bytes)?,
            bytes: bytes.to_vec(),
        })
    }

    /// The application that the client names, by which a server finds the secret. Anybody can claim anything.
    #[must_use]
    pub fn app_id(&self) -> &str {
        &self.message.app_id
    }

    /// Checks that the client knows `secret`, and returns the session and the response to send.
    ///
    /// The response goes out in the clear; everything after it is encrypted.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]. The peer must not be told more than that authentication failed.
    pub fn accept(
        &self,
        secret: &Secret,
        version: EngineVersion,
    ) -> Result<(EngineSession, Vec<u8>), HandshakeError> {
        self.accept_with(secret, version, &mut Entropy::System)
    }

    pub(super) fn accept_with(
        &self,
        secret: &Secret,
        version: EngineVersion,
        entropy: &mut Entropy,
    ) -> Result<(EngineSession, Vec<u8>), HandshakeError> {
        let client = open(&self.message, secret, &[]).ok_or(HandshakeError::Refused)?;
        let private = ephemeral(entropy)?;
        let public = PublicKey::from(&private);
        let response = seal(public.as_bytes(), self.app_id(), secret, &self.bytes, entropy)?.encode();
        let session = agree(&private, client, Side::Server, version, &self.bytes, &response)?;
        Ok((session, response))
    }
}

fn ephemeral(entropy: &mut Entropy) -> Result<StaticSecret, NoRandomness> {
    let mut bytes = Zeroizing::new([0; 32]);
    entropy.fill(&mut *bytes)?;
    Ok(StaticSecret::from(*bytes))
}

fn agree(
    private: &StaticSecret,
    peer: [u8; 32],
    side: Side,
    version: EngineVersion,
    challenge: &[u8],
    response: &[u8],
) -> Result<EngineSession, HandshakeError> {
    let shared = private.diffie_hellman(&PublicKey::from(peer));
    // A point of low order would make the key the same for every session.
    if !shared.was_contributory() {
        return Err(HandshakeError::LowOrderKey);
    }
    let transcript = [challenge, response].concat();
    Ok(EngineSession::derive(
        shared.as_bytes(),
        &transcript,
        side,
        version,
    ))
}

/// Why a handshake of the auth engine failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer's message is none.
    #[error(transparent)]
    Message(#[from] AuthMessageError),
    /// The response is for another application.
    #[error("the response is for the application {found:?}, not for {expected:?}")]
    WrongAppId {
        /// The application of the challenge.
        expected: String,
        /// The one in the response.
        found: String,
    },
    /// The peer has another secret, or its message was changed on the way.
    #[error("the peer's key cannot be opened: it has another secret, or its message was altered")]
    Refused,
    /// The peer's key is one that makes the session key predictable.
    #[error("the peer's public key is of low order")]
    LowOrderKey,
    /// The application id does not fit into a message.
    #[error("an app id of {bytes} bytes is longer than {}", AuthMessage::MAX_APP_ID_LEN)]
    AppIdTooLong {
        /// Its length.
        bytes: usize,
    },
    /// No random bytes for an ephemeral key.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}
