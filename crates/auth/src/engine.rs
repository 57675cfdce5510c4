//! Spark's auth engine: an X25519 key exchange under a shared secret.
//!
//! ```text
//! client ── challenge: its public key, sealed under a key made from the secret ──> server
//! client <── response: the server's, sealed in the same way and bound to the challenge ── server
//! ```
//!
//! Whoever can open the other's message knows the secret. The session key comes from the two ephemeral keys, so that a
//! recorded session stays closed when the secret becomes known later, and a replayed challenge gains nothing.
//!
//! Neither the version nor the cipher of the session is on the wire: both sides must be told the same. Two that differ
//! authenticate, and then read garbage.

mod handshake;
mod message;
mod seal;
mod session;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod tests;

pub use handshake::{Challenge, ClientHandshake, HandshakeError};
pub use message::{AuthMessage, AuthMessageError};
pub use session::{EngineSession, EngineVersion, SessionCipher, UnknownName};

/// A challenge for any `public` key, by somebody who knows the secret.
pub(crate) fn seal_for_fuzzing(public: &[u8; 32], app_id: &str, secret: &crate::Secret) -> Vec<u8> {
    seal::seal(public, app_id, secret, &[], &mut crate::entropy::Entropy::System)
        .expect("randomness")
        .encode()
}
