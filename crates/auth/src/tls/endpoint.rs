//! What all connections of a server or client have in common, and loading it anew.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use sha2::{Digest, Sha256};

use super::certificate::CertificateInfo;
use super::connection::{TlsConnection, TlsConnectionError};
use super::error::TlsError;
use super::material::{IdentitySource, TrustSource};
use super::verifier::{NameCheck, ServerVerifier};
use super::{MaterialError, TlsProtocol};

/// Whether clients must show a certificate.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// They are not asked for one, as Spark does not.
    NotAsked,
    /// They must show one that this vouches for; [`TrustSource::Anybody`] is refused here.
    Required(TrustSource),
}

/// What a server needs.
#[derive(Clone, Debug)]
pub struct TlsServerOptions {
    /// Who the server is.
    pub identity: IdentitySource,
    /// Who the clients may be.
    pub clients: ClientAuth,
    /// What is spoken.
    pub protocol: TlsProtocol,
}

/// The accepting side. Cheap to share; makes one [`TlsConnection`] for each connection.
pub struct TlsServer {
    options: TlsServerOptions,
    reloading: Reloading<ServerConfig>,
}

impl TlsServer {
    /// Loads everything once.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub fn new(options: TlsServerOptions) -> Result<Self, TlsError> {
        let reloading = Reloading::new(load_server(&options)?);
        Ok(Self { options, reloading })
    }

    /// Begins a connection, with what is loaded now.
    ///
    /// # Errors
    ///
    /// [`TlsConnectionError`].
    pub fn accept(&self) -> Result<TlsConnection, TlsConnectionError> {
        let config = Arc::clone(&self.reloading.current().config);
        Ok(TlsConnection::new(ServerConnection::new(config)?.into()))
    }

    /// Reads all files again, and tells whether new connections get something new. Connections that are open stay as
    /// they are. To be called from time to time; nothing here has a clock.
    ///
    /// # Errors
    ///
    /// [`TlsError`]: what was loaded before stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        Ok(self.reloading.replace(load_server(&self.options)?))
    }

    /// How often something new was loaded.
    #[must_use]
    pub fn reloads(&self) -> u64 {
        self.reloading.count.load(Ordering::Relaxed)
    }

    /// The certificates in use, the own one first.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateInfo> {
        self.reloading.current().certificates.clone()
    }

    /// When the first of the certificates in use expires, for a metric and a warning in time.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.reloading.current().expires_at()
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer")
            .field("certificates", &self.certificates())
            .field("clients", &self.options.clients)
            .field("protocol", &self.options.protocol)
            .finish_non_exhaustive()
    }
}

/// What a client needs.
#[derive(Clone, Debug)]
pub struct TlsClientOptions {
    /// Which servers may be talked to.
    pub trust: TrustSource,
    /// Whether their certificates must name them.
    pub names: NameCheck,
    /// Who the client is, for servers that ask.
    pub identity: Option<IdentitySource>,
    /// What is spoken.
    pub protocol: TlsProtocol,
}

/// The connecting side. Cheap to share; makes one [`TlsConnection`] for each connection.
pub struct TlsClient {
    options: TlsClientOptions,
    reloading: Reloading<ClientConfig>,
}

impl TlsClient {
    /// Loads everything once.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub fn new(options: TlsClientOptions) -> Result<Self, TlsError> {
        let reloading = Reloading::new(load_client(&options)?);
        Ok(Self { options, reloading })
    }

    /// Begins a connection to `host`, a name or an address, with what is loaded now.
    ///
    /// # Errors
    ///
    /// [`TlsConnectionError::Host`] if names are checked and this is none.
    pub fn connect(&self, host: &str) -> Result<TlsConnection, TlsConnectionError> {
        let name = match (ServerName::try_from(host.to_owned()), self.options.names) {
            (Ok(name), _) => name,
            // Nobody looks at the name then, and it is not sent either.
            (Err(_), NameCheck::Off) => ServerName::from(std::net::IpAddr::from([127, 0, 0, 1])),
            (Err(_), NameCheck::Host) => {
                return Err(TlsConnectionError::Host {
                    host: host.to_owned(),
                });
            }
        };
        let config = Arc::clone(&self.reloading.current().config);
        Ok(TlsConnection::new(ClientConnection::new(config, name)?.into()))
    }

    /// Reads all files again, as [`TlsServer::reload`] does.
    ///
    /// # Errors
    ///
    /// [`TlsError`]: what was loaded before stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        Ok(self.reloading.replace(load_client(&self.options)?))
    }

    /// How often something new was loaded.
    #[must_use]
    pub fn reloads(&self) -> u64 {
        self.reloading.count.load(Ordering::Relaxed)
    }

    /// When the first of the client's own certificates expires, if it has any.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.reloading.current().expires_at()
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient")
            .field("trust", &self.options.trust)
            .field("names", &self.options.names)
            .field("protocol", &self.options.protocol)
            .finish_non_exhaustive()
    }
}

/// What was loaded at one moment.
struct Loaded<C> {
    config: Arc<C>,
    certificates: Vec<CertificateInfo>,
    /// Says whether a file has changed, however it was replaced.
    seen: [u8; 32],
}

impl<C> Loaded<C> {
    fn expires_at(&self) -> Option<SystemTime> {
        self.certificates
            .iter()
            .map(|certificate| certificate.not_after)
            .min()
    }
}

struct Reloading<C> {
    current: RwLock<Arc<Loaded<C>>>,
    count: AtomicU64,
}

impl<C> Reloading<C> {
    fn new(loaded: Loaded<C>) -> Self {
        Self {
            current: RwLock::new(Arc::new(loaded)),
            count: AtomicU64::new(0),
        }
    }

    fn current(&self) -> Arc<Loaded<C>> {
        // Nothing can panic while the lock is held, so that a poisoned one is as good as any.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, loaded: Loaded<C>) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.seen == loaded.seen {
            return false;
        }
        *current = Arc::new(loaded);
        self.count.fetch_add(1, Ordering::Relaxed);
        true
    }
}

fn load_server(options: &TlsServerOptions) -> Result<Loaded<ServerConfig>, TlsError> {
    let mut seen = Sha256::new();
    let identity = options.identity.load(&mut seen)?;
    let provider = options.protocol.provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(options.protocol.versions())?;
    let builder = match &options.clients {
        ClientAuth::NotAsked => builder.with_no_client_auth(),
        ClientAuth::Required(trust) => {
            let trusted = trust.load(&mut seen)?.ok_or(MaterialError::Format(
                "clients that must show a certificate need a trust that it is checked against",
            ))?;
            let mut roots = RootCertStore::empty();
            for certificate in trusted {
                roots.add(certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key())));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Loaded {
        config: Arc::new(config),
        certificates: identity.certificates().to_vec(),
        seen: seen.finalize().into(),
    })
}

fn load_client(options: &TlsClientOptions) -> Result<Loaded<ClientConfig>, TlsError> {
    let mut seen = Sha256::new();
    let trust = options.trust.load(&mut seen)?;
    let identity = options
        .identity
        .as_ref()
        .map(|identity| identity.load(&mut seen))
        .transpose()?;
    let provider = options.protocol.provider();
    let verifier = ServerVerifier::new(Arc::clone(&provider), trust, options.names)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(options.protocol.versions())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key()))),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config.enable_sni = options.names == NameCheck::Host;
    Ok(Loaded {
        config: Arc::new(config),
        certificates: identity.map_or_else(Vec::new, |identity| identity.certificates().to_vec()),
        seen: seen.finalize().into(),
    })
}
