//! TLS by rustls, with aws-lc-rs as its one provider.
//!
//! A [`TlsServer`] or [`TlsClient`] holds keys and trust, loads them anew when their files have changed, and makes a
//! [`TlsConnection`] for each connection: bytes in, bytes out. Connections that are already open keep what they began
//! with. Sessions are never resumed: every connection proves itself under the trust of its day.
//!
//! [`SslSettings`] are Spark's own keys for this, `spark.ssl.rpc.*`.

mod certificate;
mod connection;
#[cfg(test)]
mod connection_tests;
mod endpoint;
#[cfg(test)]
mod endpoint_tests;
mod error;
mod expiry;
pub(crate) mod material;
#[cfg(test)]
mod material_tests;
mod settings;
#[cfg(test)]
mod testing;
mod verifier;

pub use certificate::CertificateInfo;
pub use connection::{TlsConnection, TlsConnectionError};
pub use endpoint::{ClientAuth, Material, TlsClient, TlsClientOptions, TlsServer, TlsServerOptions};
pub use error::{MaterialError, TlsError};
pub use expiry::{Expiry, ExpiryWatch};
pub use material::{IdentitySource, TlsIdentity, TrustSource};
pub use settings::{SslSettings, SslSettingsError};
pub use verifier::NameCheck;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// Which versions of TLS may be negotiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// TLS 1.3 and nothing else.
    #[default]
    Only13,
    /// TLS 1.3, and TLS 1.2 with a peer that has nothing newer.
    From12,
    /// TLS 1.2 and nothing else, for peers that were told so.
    Only12,
}

/// Which versions and cipher suites may be negotiated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsProtocol {
    /// The versions.
    pub versions: TlsVersions,
    /// The names of the cipher suites to allow, as the JDK spells them; all good ones if there is none.
    pub cipher_suites: Vec<String>,
}

impl TlsProtocol {
    fn versions(&self) -> &'static [&'static rustls::SupportedProtocolVersion] {
        use rustls::version::{TLS12, TLS13};
        match self.versions {
            TlsVersions::Only13 => const { &[&TLS13] },
            TlsVersions::From12 => const { &[&TLS13, &TLS12] },
            TlsVersions::Only12 => const { &[&TLS12] },
        }
    }

    /// The provider with the allowed cipher suites. A list in which nothing is known leaves none, which is an error
    /// when a configuration is made.
    fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        if !self.cipher_suites.is_empty() {
            provider.cipher_suites.retain(|suite| {
                let name = jdk_name(suite.suite());
                self.cipher_suites
                    .iter()
                    .any(|allowed| allowed.eq_ignore_ascii_case(&name))
            });
        }
        Arc::new(provider)
    }
}

/// The name of a cipher suite as the JDK and the RFCs spell it.
fn jdk_name(suite: rustls::CipherSuite) -> String {
    suite
        .as_str()
        .map_or_else(String::new, |name| name.replace("TLS13_", "TLS_"))
}
