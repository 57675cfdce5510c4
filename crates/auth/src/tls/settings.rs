//! Spark's settings for TLS under RPC: `spark.ssl.rpc.*`, with `spark.ssl.*` behind them.

use std::path::PathBuf;
use std::time::Duration;

use super::endpoint::{ClientAuth, TlsClientOptions, TlsServerOptions};
use super::material::{IdentitySource, TrustSource};
use super::verifier::NameCheck;
use super::{TlsProtocol, TlsVersions};
use crate::Secret;

/// What Spark's keys say (`SSLOptions`, namespace `rpc`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SslSettings {
    /// `enabled`; the only key that `spark.ssl.*` does not stand in for.
    pub enabled: bool,
    /// `keyStore`: a PKCS#12 file.
    pub key_store: Option<PathBuf>,
    /// `keyStorePassword`.
    pub key_store_password: Option<Secret>,
    /// `keyPassword`, else the store's.
    pub key_password: Option<Secret>,
    /// `privateKey`: a PEM file.
    pub private_key: Option<PathBuf>,
    /// `privateKeyPassword`.
    pub private_key_password: Option<Secret>,
    /// `certChain`: a PEM file.
    pub cert_chain: Option<PathBuf>,
    /// `trustStore`: a PKCS#12 or PEM file.
    pub trust_store: Option<PathBuf>,
    /// `trustStorePassword`.
    pub trust_store_password: Option<Secret>,
    /// `trustStoreReloadingEnabled`.
    pub reloading: bool,
    /// `trustStoreReloadIntervalMs`.
    pub reload_interval: Duration,
    /// `protocol` and `enabledAlgorithms`.
    pub protocol: TlsProtocol,
}

impl SslSettings {
    /// Reads the settings. `get` looks up a key of Spark's configuration, `environment` a variable, by which Spark
    /// hands passwords to the processes it starts.
    ///
    /// # Errors
    ///
    /// [`SslSettingsError::Value`].
    pub fn from_spark(
        get: impl Fn(&str) -> Option<String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SslSettingsError> {
        let enabled = match get("spark.ssl.rpc.enabled") {
            Some(text) => flag("enabled", &text)?,
            None => false,
        };
        let find = |name: &str| {
            ["spark.ssl.rpc.", "spark.ssl."]
                .iter()
                .find_map(|prefix| get(&format!("{prefix}{name}")))
                .filter(|value| !value.is_empty())
        };
        let password = |name: &str, variable: &str| {
            find(name)
                .or_else(|| environment(&format!("_SPARK_SSL_RPC_{variable}_PASSWORD")))
                .and_then(|text| Secret::new(text).ok())
        };
        let key_store_password = password("keyStorePassword", "KEY_STORE");
        let reload_interval = match find("trustStoreReloadIntervalMs") {
            Some(text) => text
                .parse()
                .ok()
                .filter(|interval| *interval > 0)
                .map(Duration::from_millis)
                .ok_or(SslSettingsError::Value {
                    key: "trustStoreReloadIntervalMs",
                    expected: "a number of milliseconds",
                })?,
            None => Self::DEFAULT_RELOAD_INTERVAL,
        };
        let reloading = match find("trustStoreReloadingEnabled") {
            Some(text) => flag("trustStoreReloadingEnabled", &text)?,
            None => false,
        };
        Ok(Self {
            enabled,
            key_store: find("keyStore").map(PathBuf::from),
            key_password: password("keyPassword", "KEY").or_else(|| key_store_password.clone()),
            key_store_password,
            private_key: find("privateKey").map(PathBuf::from),
            private_key_password: password("privateKeyPassword", "PRIVATE_KEY"),
            cert_chain: find("certChain").map(PathBuf::from),
            trust_store: find("trustStore").map(PathBuf::from),
            trust_store_password: password("trustStorePassword", "TRUST_STORE"),
            reloading,
            reload_interval,
            protocol: TlsProtocol {
                versions: versions(find("protocol").as_deref())?,
                cipher_suites: find("enabledAlgorithms")
                    .iter()
                    .flat_map(|list| list.split(','))
                    .map(|name| name.trim().to_owned())
                    .filter(|name| !name.is_empty())
                    .collect(),
            },
        })
    }

    /// How often Spark looks at its trust store when nothing else is set.
    pub const DEFAULT_RELOAD_INTERVAL: Duration = Duration::from_millis(10_000);

    /// What a server needs. As with Spark, PEM files win over a key store, and clients are not asked for a certificate.
    ///
    /// # Errors
    ///
    /// [`SslSettingsError::NoKeys`] and [`SslSettingsError::KeyPassword`].
    pub fn server_options(&self) -> Result<TlsServerOptions, SslSettingsError> {
        let identity = match (&self.private_key, &self.cert_chain, &self.key_store) {
            (Some(key), Some(chain), _) => IdentitySource::Pem {
                chain: chain.clone(),
                key: key.clone(),
                password: self.private_key_password.clone(),
            },
            (_, _, Some(path)) => IdentitySource::KeyStore {
                path: path.clone(),
                password: self.store_password()?,
            },
            _ => return Err(SslSettingsError::NoKeys),
        };
        Ok(TlsServerOptions {
            identity,
            clients: ClientAuth::NotAsked,
            protocol: self.protocol.clone(),
        })
    }

    /// What a client needs. As with Spark, one with PEM files trusts exactly its own `certChain`, and host names are
    /// not checked. `anybody` allows what Spark does without a trust store: to talk to any server.
    ///
    /// # Errors
    ///
    /// [`SslSettingsError::NoTrust`] if there is no trust store and `anybody` does not make up for it.
    pub fn client_options(&self, anybody: bool) -> Result<TlsClientOptions, SslSettingsError> {
        let trust = match (&self.private_key, &self.cert_chain, &self.trust_store) {
            (Some(_), Some(chain), _) => TrustSource::File {
                path: chain.clone(),
                password: None,
            },
            (_, _, Some(path)) => TrustSource::File {
                path: path.clone(),
                password: self.trust_store_password.clone(),
            },
            _ if anybody => TrustSource::Anybody,
            _ => return Err(SslSettingsError::NoTrust),
        };
        Ok(TlsClientOptions {
            trust,
            names: NameCheck::Off,
            identity: None,
            protocol: self.protocol.clone(),
        })
    }

    /// PKCS#12 has one password for the store and its keys.
    fn store_password(&self) -> Result<Secret, SslSettingsError> {
        let store = self
            .key_store_password
            .as_ref()
            .ok_or(SslSettingsError::KeyPassword)?;
        if self.key_password.as_ref().is_some_and(|key| key != store) {
            return Err(SslSettingsError::KeyPassword);
        }
        Ok(store.clone())
    }
}

fn flag(key: &'static str, text: &str) -> Result<bool, SslSettingsError> {
    text.trim()
        .to_ascii_lowercase()
        .parse()
        .map_err(|_| SslSettingsError::Value {
            key,
            expected: "true or false",
        })
}

fn versions(protocol: Option<&str>) -> Result<TlsVersions, SslSettingsError> {
    match protocol {
        None | Some("TLSv1.3") => Ok(TlsVersions::Only13),
        Some("TLSv1.2") => Ok(TlsVersions::Only12),
        Some(_) => Err(SslSettingsError::Value {
            key: "protocol",
            expected: "TLSv1.3 or TLSv1.2",
        }),
    }
}

/// What is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SslSettingsError {
    /// A value cannot be read.
    #[error("spark.ssl.rpc.{key} must be {expected}")]
    Value {
        /// The key, without its prefix.
        key: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// There is neither a pair of PEM files nor a key store.
    #[error("RPC SSL encryption enabled but keys not found: set privateKey and certChain, or keyStore")]
    NoKeys,
    /// The key store has no password, or its key has another one.
    #[error("keyStorePassword must be set, and keyPassword must be the same: a PKCS#12 store has only one")]
    KeyPassword,
    /// A client has nothing to check servers against.
    #[error("there is no trustStore: any server would be accepted; set spark.ssl.rpc.trustStore")]
    NoTrust,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<SslSettings, SslSettingsError> {
        let find = |list: &[(&str, &str)], wanted: &str| {
            list.iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| (*value).to_owned())
        };
        SslSettings::from_spark(|key| find(pairs, key), |name| find(environment, name))
    }

    /// SSL-03
    #[test]
    fn settings_of_the_rpc_namespace_are_read() {
        let settings = read(
            &[
                ("spark.ssl.rpc.enabled", "true"),
                ("spark.ssl.rpc.keyStore", "/k/store.p12"),
                ("spark.ssl.rpc.keyStorePassword", "store-secret"),
                ("spark.ssl.rpc.privateKey", "/k/key.pem"),
                ("spark.ssl.rpc.privateKeyPassword", "pem-secret"),
                ("spark.ssl.rpc.certChain", "/k/chain.pem"),
                ("spark.ssl.rpc.trustStore", "/k/trust.p12"),
                ("spark.ssl.rpc.trustStorePassword", "trust-secret"),
                ("spark.ssl.rpc.trustStoreReloadingEnabled", "true"),
                ("spark.ssl.rpc.protocol", "TLSv1.2"),
                ("spark.ssl.rpc.enabledAlgorithms", "TLS_A, TLS_B"),
            ],
            &[],
        )
        .unwrap();
        let path = |text: &str| Some(PathBuf::from(text));
        let secret = |text: &str| Some(Secret::new(text).unwrap());
        let expected = SslSettings {
            enabled: true,
            key_store: path("/k/store.p12"),
            key_store_password: secret("store-secret"),
            key_password: secret("store-secret"),
            private_key: path("/k/key.pem"),
            private_key_password: secret("pem-secret"),
            cert_chain: path("/k/chain.pem"),
            trust_store: path("/k/trust.p12"),
            trust_store_password: secret("trust-secret"),
            reloading: true,
            reload_interval: Duration::from_millis(10_000),
            protocol: TlsProtocol {
                versions: TlsVersions::Only12,
                cipher_suites: vec!["TLS_A".to_owned(), "TLS_B".to_owned()],
            },
        };
        assert_eq!(settings, expected);
        let printed = format!("{settings:?}");
        assert!(!printed.contains("-secret"), "{printed}");
    }

    /// SSL-03
    #[test]
    fn the_general_settings_stand_in_for_all_but_the_switch() {
        let settings = read(
            &[
                ("spark.ssl.enabled", "true"),
                ("spark.ssl.keyStore", "general"),
                ("spark.ssl.trustStore", "general"),
                ("spark.ssl.trustStoreReloadIntervalMs", "5"),
                ("spark.ssl.rpc.trustStore", "own"),
            ],
            &[
                ("_SPARK_SSL_RPC_KEY_STORE_PASSWORD", "a"),
                ("_SPARK_SSL_RPC_KEY_PASSWORD", "b"),
                ("_SPARK_SSL_RPC_PRIVATE_KEY_PASSWORD", "c"),
                ("_SPARK_SSL_RPC_TRUST_STORE_PASSWORD", "d"),
            ],
        )
        .unwrap();
        assert!(!settings.enabled);
        assert_eq!(settings.key_store, Some(PathBuf::from("general")));
        assert_eq!(settings.trust_store, Some(PathBuf::from("own")));
        assert_eq!(settings.reload_interval, Duration::from_millis(5));
        let secret = |text: &str| Some(Secret::new(text).unwrap());
        assert_eq!(settings.key_store_password, secret("a"));
        assert_eq!(settings.key_password, secret("b"));
        assert_eq!(settings.private_key_password, secret("c"));
        assert_eq!(settings.trust_store_password, secret("d"));
        assert_eq!(
            settings.server_options().unwrap_err(),
            SslSettingsError::KeyPassword
        );
    }

    /// SSL-03
    #[test]
    fn values_that_mean_nothing_are_refused_by_name() {
        for (key, value) in [
            ("enabled", "yes"),
            ("trustStoreReloadingEnabled", "1"),
            ("trustStoreReloadIntervalMs", "10s"),
            ("trustStoreReloadIntervalMs", "0"),
            ("protocol", "SSLv3"),
        ] {
            let error = read(&[(&format!("spark.ssl.rpc.{key}"), value)], &[]).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn pem_files_win_over_a_key_store() {
        let mut pairs = vec![
            ("spark.ssl.rpc.keyStore", "store"),
            ("spark.ssl.rpc.keyStorePassword", "x"),
            ("spark.ssl.rpc.privateKey", "key"),
        ];
        let settings = read(&pairs, &[]).unwrap();
        assert!(matches!(
            settings.server_options().unwrap().identity,
            IdentitySource::KeyStore { .. }
        ));
        pairs.push(("spark.ssl.rpc.certChain", "chain"));
        let settings = read(&pairs, &[]).unwrap();
        assert!(matches!(
            settings.server_options().unwrap().identity,
            IdentitySource::Pem { .. }
        ));
        let client = settings.client_options(false).unwrap();
        assert!(matches!(client.trust, TrustSource::File { path, .. } if path.ends_with("chain")));
    }

    #[test]
    fn neither_keys_nor_trust_is_made_up() {
        let settings = read(&[("spark.ssl.rpc.enabled", "true")], &[]).unwrap();
        assert_eq!(settings.server_options().unwrap_err(), SslSettingsError::NoKeys);
        assert_eq!(
            settings.client_options(false).unwrap_err(),
            SslSettingsError::NoTrust
        );
        assert!(matches!(
            settings.client_options(true).unwrap().trust,
            TrustSource::Anybody
        ));
    }
}
