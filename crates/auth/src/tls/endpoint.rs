//! What all connections of a server or client have in common, and loading it anew.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::certificate::CertificateInfo;
use super::connection::{TlsConnection, TlsConnectionError};
use super::error::TlsError;
use super::material::{Digest, IdentitySource, Loaded, TlsIdentity, TrustSource, Trusted};
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
        let parts = options.sources().load()?;
        let reloading = Reloading::new(server_config(&options, &parts)?, parts);
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

    /// Reads files again, and tells whether new connections get something new. Connections that are open stay as they are.
    /// To be called from time to time; nothing here has a clock.
    ///
    /// # Errors
    ///
    /// [`TlsError`]: what was loaded before stays in use.
    pub fn reload(&self, what: Material) -> Result<bool, TlsError> {
        let sources = self.options.sources();
        self.reloading
            .reload(&sources, what, |parts| server_config(&self.options, parts))
    }

    /// The certificates in use, the own one first.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateInfo> {
        let current = self.reloading.current();
        let identity = current.parts.identity.as_ref();
        identity.map_or_else(Vec::new, |identity| identity.value.certificates().to_vec())
    }

    /// The first of the certificates in use to expire, for a metric and a warning in time.
    #[must_use]
    pub fn first_to_expire(&self) -> Option<CertificateInfo> {
        self.reloading.current().parts.first_to_expire()
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
        let parts = options.sources().load()?;
        let reloading = Reloading::new(client_config(&options, &parts)?, parts);
        Ok(Self { options, reloading })
    }

    /// Begins a connection to `host`, a name or an address (of IPv6 also in brackets), with what is loaded now.
    ///
    /// # Errors
    ///
    /// [`TlsConnectionError::Host`] if names are checked and this is none.
    pub fn connect(&self, host: &str) -> Result<TlsConnection, TlsConnectionError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let name = ServerName::try_from(bare.unwrap_or(host).to_owned());
        let name = match (name, self.options.names) {
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

    /// Reads files again, as [`TlsServer::reload`] does.
    ///
    /// # Errors
    ///
    /// [`TlsError`]: what was loaded before stays in use.
    pub fn reload(&self, what: Material) -> Result<bool, TlsError> {
        let sources = self.options.sources();
        self.reloading
            .reload(&sources, what, |parts| client_config(&self.options, parts))
    }

    /// The first of the client's own certificates to expire, if it has any.
    #[must_use]
    pub fn first_to_expire(&self) -> Option<CertificateInfo> {
        self.reloading.current().parts.first_to_expire()
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

/// What can be loaded anew by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Material {
    /// The own key and its certificates.
    Identity,
    /// The certificates that peers are checked against.
    Trust,
}

impl TlsServerOptions {
    fn sources(&self) -> Sources<'_> {
        Sources {
            identity: Some(&self.identity),
            trust: match &self.clients {
                ClientAuth::NotAsked => None,
                ClientAuth::Required(trust) => Some(trust),
            },
        }
    }
}

impl TlsClientOptions {
    fn sources(&self) -> Sources<'_> {
        Sources {
            identity: self.identity.as_ref(),
            trust: Some(&self.trust),
        }
    }
}

/// Where the parts come from.
struct Sources<'a> {
    identity: Option<&'a IdentitySource>,
    trust: Option<&'a TrustSource>,
}

/// What was loaded at one moment.
#[derive(Clone, Default)]
struct Parts {
    identity: Option<Loaded<TlsIdentity>>,
    trust: Option<Loaded<Trusted>>,
}

impl Sources<'_> {
    fn load(&self) -> Result<Parts, TlsError> {
        let mut parts = Parts::default();
        self.renew(&mut parts, Material::Identity)?;
        self.renew(&mut parts, Material::Trust)?;
        Ok(parts)
    }

    /// Loads one of the parts anew if its files have changed.
    fn renew(&self, parts: &mut Parts, what: Material) -> Result<bool, TlsError> {
        match what {
            Material::Identity => renew(&mut parts.identity, |seen| {
                self.identity.map_or(Ok(None), |source| source.load(seen))
            }),
            Material::Trust => renew(&mut parts.trust, |seen| {
                self.trust.map_or(Ok(None), |source| source.load(seen))
            }),
        }
    }
}

fn renew<T>(
    part: &mut Option<Loaded<T>>,
    load: impl FnOnce(Option<&Digest>) -> Result<Option<Loaded<T>>, TlsError>,
) -> Result<bool, TlsError> {
    let changed = load(part.as_ref().map(|part| &part.seen))?;
    let is_new = changed.is_some();
    if is_new {
        *part = changed;
    }
    Ok(is_new)
}

impl Parts {
    fn first_to_expire(&self) -> Option<CertificateInfo> {
        let identity = self.identity.as_ref()?;
        Some(identity.value.first_to_expire().clone())
    }
}

/// A configuration, and the parts that it was made of.
struct Current<C> {
    config: Arc<C>,
    parts: Parts,
}

struct Reloading<C> {
    current: RwLock<Arc<Current<C>>>,
    /// One at a time: each begins with what the last one has left.
    reloading: Mutex<()>,
}

impl<C> Reloading<C> {
    fn new(config: C, parts: Parts) -> Self {
        let config = Arc::new(config);
        Self {
            current: RwLock::new(Arc::new(Current { config, parts })),
            reloading: Mutex::new(()),
        }
    }

    fn current(&self) -> Arc<Current<C>> {
        // Nothing can panic while the lock is held, so that a poisoned one is as good as any.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn reload(
        &self,
        sources: &Sources<'_>,
        what: Material,
        configure: impl FnOnce(&Parts) -> Result<C, TlsError>,
    ) -> Result<bool, TlsError> {
        let _alone = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut parts = self.current().parts.clone();
        if !sources.renew(&mut parts, what)? {
            return Ok(false);
        }
        let config = Arc::new(configure(&parts)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Current { config, parts });
        Ok(true)
    }
}

fn server_config(options: &TlsServerOptions, parts: &Parts) -> Result<ServerConfig, TlsError> {
    let provider = options.protocol.provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(options.protocol.versions())?;
    let builder = match &parts.trust {
        None => builder.with_no_client_auth(),
        Some(trust) => {
            let trusted = trust.value.as_ref().ok_or(MaterialError::Format(
                "clients that must show a certificate need a trust that it is checked against",
            ))?;
            let mut roots = RootCertStore::empty();
            for certificate in trusted {
                roots.add(certificate.clone())?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let identity = parts.identity.as_ref().ok_or(MaterialError::NoKey)?;
    let key = SingleCertAndKey::from(identity.value.key());
    let mut config = builder.with_cert_resolver(Arc::new(key));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client_config(options: &TlsClientOptions, parts: &Parts) -> Result<ClientConfig, TlsError> {
    let provider = options.protocol.provider();
    let trust = parts.trust.as_ref().and_then(|trust| trust.value.clone());
    let verifier = ServerVerifier::new(Arc::clone(&provider), trust, options.names)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(options.protocol.versions())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &parts.identity {
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.value.key())))
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config.enable_sni = options.names == NameCheck::Host;
    Ok(config)
}
