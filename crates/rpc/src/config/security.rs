//! Who may connect to an env, and how its connections are protected.

use std::time::Duration;

use spark_rpc_transport::auth::Secret;
use spark_rpc_transport::auth::tls::SslSettings;
use spark_rpc_transport::security::AuthOptions;

use super::error::{ConfError, REDACTED, Written};

/// Settings of authentication and encryption.
///
/// By default nothing is protected, and an env in server mode then listens on loopback only. With a
/// [`secret`](Self::secret) both sides of each connection prove that they know it and encrypt with AES-GCM.
///
/// Printing it shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityConf {
    /// The secret that all envs share; `None` does without authentication by secrets.
    ///
    /// Default `None`. Spark key `spark.authenticate`, with the secret itself from the environment variable
    /// `_SPARK_AUTH_SECRET`, `spark.authenticate.secret` or `spark.authenticate.secret.file`, in this order.
    pub secret: Option<Secret>,

    /// The user whose secret it is. Spark's envs are all called the same.
    ///
    /// Default `sparkSaslUser`. Key `spark.rpc.security.user`, not Spark's.
    pub user: String,

    /// Which mechanisms are used, and how.
    ///
    /// Default: the auth engine, version 2, with AES-GCM, and nothing else. Spark keys `spark.network.crypto.*`,
    /// `spark.network.sasl.*`, `spark.authenticate.enableSaslEncryption`, `spark.network.auth.rpcTimeout`; where they are
    /// not set, key `spark.rpc.security.defaults`, not Spark's, decides whether Spark's own defaults count.
    pub auth: AuthOptions,

    /// TLS around everything; `None` does without.
    ///
    /// Default `None`. Spark keys `spark.ssl.rpc.*`.
    pub ssl: Option<SslSettings>,

    /// Whether the certificate of a server must name the host that was connected to. Spark does not look.
    ///
    /// Default `false`. Key `spark.rpc.security.checkNames`, not Spark's.
    pub check_names: bool,

    /// Whether clients must show a certificate that the trust store vouches for. Spark does not ask.
    ///
    /// Default `false`. Key `spark.rpc.security.clientCertificates`, not Spark's.
    pub client_certificates: bool,

    /// How often the files of the own key and certificates are looked at; `None` reads them at start only. How often the
    /// trust store is looked at is for [`SslSettings::reloading`] to say.
    ///
    /// Default 10 s. Key `spark.rpc.security.reloadInterval`, not Spark's.
    pub reload_interval: Option<Duration>,

    /// Whether an env may listen beyond loopback with neither a secret nor TLS.
    ///
    /// Default `false`. Key `spark.rpc.security.allowUnprotected`, not Spark's.
    pub allow_unprotected: bool,
}

impl Default for SecurityConf {
    fn default() -> Self {
        Self {
            secret: None,
            user: SPARK_USER.to_owned(),
            auth: AuthOptions::default(),
            ssl: None,
            check_names: false,
            client_certificates: false,
            reload_interval: Some(SslSettings::DEFAULT_RELOAD_INTERVAL),
            allow_unprotected: false,
        }
    }
}

impl SecurityConf {
    /// Checks the fields against each other.
    pub(super) fn check(&self) -> Result<(), ConfError> {
        let contradiction = |setting: &str, value: &str, other: &str, other_value: &str, why| {
            Err(ConfError::Contradiction {
                setting: Box::new(Written::new(setting, value)),
                other: Box::new(Written::new(other, other_value)),
                why,
            })
        };
        if self.user.is_empty() || self.user.len() > LONGEST_USER {
            return Err(ConfError::OutOfRange {
                setting: "spark.rpc.security.user".to_owned(),
                value: self.user.clone(),
                expected: "1 to 1024 bytes",
                origin: None,
            });
        }
        let limit = self.auth.timeout;
        if limit.is_zero() || limit > spark_rpc_transport::MAX_TIME {
            return Err(ConfError::OutOfRange {
                setting: AUTH_TIMEOUT.to_owned(),
                value: format!("{limit:?}"),
                expected: "more than 0, at most 100 years",
                origin: None,
            });
        }
        let interval = self.reload_interval;
        if interval
            .is_some_and(|interval| interval < SHORTEST_RELOAD || interval > spark_rpc_transport::MAX_TIME)
        {
            return Err(ConfError::OutOfRange {
                setting: RELOAD_INTERVAL.to_owned(),
                value: format!("{:?}", interval.unwrap_or_default()),
                expected: "0, or 1ms to 100 years",
                origin: None,
            });
        }
        if self.secret.is_some() && self.auth.engine.is_none() && self.auth.sasl.is_none() {
            return contradiction(
                CRYPTO,
                "false",
                "spark.authenticate.secret",
                REDACTED,
                "there is a secret, and no mechanism that would use it",
            );
        }
        if let Some(sasl) = &self.auth.sasl {
            if sasl.always_encrypt && !sasl.encrypt {
                return contradiction(
                    SASL_ALWAYS,
                    "true",
                    SASL_ENCRYPTION,
                    "false",
                    "its own clients would not be let in",
                );
            }
            if !(1..=LARGEST_BLOCK).contains(&sasl.max_block) {
                return Err(ConfError::OutOfRange {
                    setting: SASL_BLOCK.to_owned(),
                    value: sasl.max_block.to_string(),
                    expected: "1 byte to 16m",
                    origin: None,
                });
            }
        }
        let cipher = self.auth.engine.and_then(|engine| engine.cipher);
        if self.ssl.is_some() && self.secret.is_some() && cipher.is_some() {
            return contradiction(SSL, "true", CRYPTO, "true", "everything would be encrypted twice");
        }
        if self.client_certificates && self.ssl.is_none() {
            return contradiction(
                "spark.rpc.security.clientCertificates",
                "true",
                SSL,
                "false",
                "certificates are shown within TLS only",
            );
        }
        Ok(())
    }
}

/// As which user all envs of Spark authenticate.
pub(super) const SPARK_USER: &str = "sparkSaslUser";
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const AUTHENTICATE: &str = "spark.authenticate";
pub(super) const CRYPTO: &str = "spark.network.crypto.enabled";
pub(super) const ENGINE_VERSION: &str = "spark.network.crypto.authEngineVersion";
pub(super) const CIPHER: &str = "spark.network.crypto.cipher";
/// What counts where a key of authentication or encryption is not set: our own defaults, or Spark's.
pub(super) const DEFAULTS: &str = "spark.rpc.security.defaults";
pub(super) const SASL_FALLBACK: &str = "spark.network.crypto.saslFallback";
pub(super) const SASL_ENCRYPTION: &str = "spark.authenticate.enableSaslEncryption";
pub(super) const SASL_ALWAYS: &str = "spark.network.sasl.serverAlwaysEncrypt";
pub(super) const SASL_BLOCK: &str = "spark.network.sasl.maxEncryptedBlockSize";
pub(super) const AUTH_TIMEOUT: &str = "spark.network.auth.rpcTimeout";
pub(super) const SSL: &str = "spark.ssl.rpc.enabled";
pub(super) const RELOAD_INTERVAL: &str = "spark.rpc.security.reloadInterval";
const SHORTEST_RELOAD: Duration = Duration::from_millis(1);
const LONGEST_USER: usize = 1024;
const LARGEST_BLOCK: usize = 16 << 20;
