//! What the two sides of an authentication are told.

use std::fmt;
use std::time::Duration;

use spark_rpc_auth::Secret;
use spark_rpc_auth::engine::{EngineVersion, SessionCipher};
use spark_rpc_auth::sasl::SaslSession;

/// Knows the secrets (Spark's `SecretKeyHolder`).
pub trait SecretKeyHolder: fmt::Debug + Send + Sync + 'static {
    /// The secret of `user`, in Spark's words the application id; `None` keeps everybody out who claims to be it.
    ///
    /// Called on the server with what a stranger claims.
    fn secret(&self, user: &str) -> Option<Secret>;
}

/// Which mechanisms are used, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthOptions {
    /// Spark's auth engine; `None` does without.
    pub engine: Option<EngineOptions>,
    /// SASL DIGEST-MD5: alone, or beside the engine for peers that do not know it. `None`, the default, does without.
    pub sasl: Option<SaslOptions>,
    /// How long a client waits for each answer. The server's limit is
    /// [`TransportConf::handshake_timeout`](crate::TransportConf::handshake_timeout).
    pub timeout: Duration,
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self {
            engine: Some(EngineOptions::default()),
            sasl: None,
            timeout: Duration::from_secs(30),
        }
    }
}

/// How the auth engine is used. None of it is on the wire: both sides must be told the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// How the key is made.
    pub version: EngineVersion,
    /// What encrypts the connection; `None` leaves that to TLS around it.
    pub cipher: Option<SessionCipher>,
}

impl Default for EngineOptions {
    /// Version 2 with AES-GCM.
    fn default() -> Self {
        Self {
            version: EngineVersion::V2,
            cipher: Some(SessionCipher::AesGcm),
        }
    }
}

/// How SASL DIGEST-MD5 is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaslOptions {
    /// Whether a client asks for encryption.
    pub encrypt: bool,
    /// Whether a server takes nothing less.
    pub always_encrypt: bool,
    /// The most plaintext in one encrypted block.
    pub max_block: usize,
}

impl Default for SaslOptions {
    fn default() -> Self {
        Self {
            encrypt: true,
            always_encrypt: true,
            max_block: SaslSession::DEFAULT_BLOCK,
        }
    }
}
