//! Who may connect to an env, and what those may do.

use std::fmt;
use std::sync::Arc;

use spark_rpc_net::Network;
pub use spark_rpc_transport::auth::engine::{EngineVersion, SessionCipher};
pub use spark_rpc_transport::auth::tls::{CertificateInfo, SslSettings, SslSettingsError, TlsError};
use spark_rpc_transport::auth::tls::{ClientAuth, NameCheck, TlsClient, TlsServer, TrustSource};
pub use spark_rpc_transport::auth::{Secret, SecretError};
use spark_rpc_transport::security::{
    AuthClientBootstrap, AuthServerBootstrap, SecretKeyHolder, TlsClientBootstrap, TlsServerBootstrap,
    TlsWatch, TlsWatchOptions,
};
pub use spark_rpc_transport::security::{AuthOptions, EngineOptions, PeerIdentity, SaslOptions};
use spark_rpc_transport::{ClientBootstrap, ServerBootstrap};

use crate::config::SecurityConf;
use crate::error::StartError;
pub use crate::tls_task::TlsStats;

/// Decides who may connect to an env and which endpoints a peer may use (Spark's `SecurityManager`).
///
/// What an implementation does not say is no: without a secret nobody comes in, and nobody uses an endpoint or reads a
/// file. An env
/// without a manager of its own lets in whoever knows [`SecurityConf::secret`], to everything.
///
/// # Examples
///
/// ```
/// use spark_rpc::security::{PeerIdentity, Secret, SecurityManager};
///
/// /// The master may do everything, workers only report.
/// #[derive(Debug)]
/// struct Roles { master: Secret, worker: Secret }
///
/// impl SecurityManager for Roles {
///     fn secret(&self, user: &str) -> Option<Secret> {
///         match user {
///             "master" => Some(self.master.clone()),
///             "worker" => Some(self.worker.clone()),
///             _ => None,
///         }
///     }
///
///     fn may_use(&self, peer: &PeerIdentity, endpoint: &str) -> bool {
///         match peer.user.as_deref() {
///             Some("master") => true,
///             Some("worker") => endpoint == "reports",
///             _ => false,
///         }
///     }
/// }
/// ```
pub trait SecurityManager: fmt::Debug + Send + Sync + 'static {
    /// The secret of `user`. On connections that are opened it is asked for [`SecurityConf::user`], on those that are
    /// accepted for whatever a stranger claims to be.
    fn secret(&self, user: &str) -> Option<Secret> {
        let _ = user;
        None
    }

    /// Whether `peer` may send to `endpoint` and ask it. Asked once for each connection and endpoint; calls within the
    /// env are not asked about. The endpoint that tells whether others exist is open to every peer that has come in.
    fn may_use(&self, peer: &PeerIdentity, endpoint: &str) -> bool {
        let _ = (peer, endpoint);
        false
    }

    /// Whether `peer` may read what the env's [`FileServer`](crate::FileServer) has under `path`, such as `/files/NAME`.
    /// Asked before it is known whether there is such a file. A path has one form: it begins with a slash, and contains
    /// neither `.` nor `..` nor an empty segment. A file system that takes large letters for small ones, and links within
    /// a folder, may still give a file several, so say what may be read rather than what may not.
    fn may_fetch(&self, peer: &PeerIdentity, path: &str) -> bool {
        let _ = (peer, path);
        false
    }

    /// Whether peers prove themselves by secrets. Where TLS certificates alone decide, this says no.
    fn uses_secrets(&self) -> bool {
        true
    }
}

/// What an env does without a manager of its own: one secret, and all for those who know it.
#[derive(Debug)]
struct OneSecret {
    user: String,
    secret: Option<Secret>,
}

impl SecurityManager for OneSecret {
    fn secret(&self, user: &str) -> Option<Secret> {
        self.secret.clone().filter(|_| user == self.user)
    }

    fn may_use(&self, _: &PeerIdentity, _: &str) -> bool {
        true
    }

    fn may_fetch(&self, _: &PeerIdentity, _: &str) -> bool {
        true
    }

    fn uses_secrets(&self) -> bool {
        self.secret.is_some()
    }
}

/// Lets the transport ask the manager.
#[derive(Debug)]
struct Secrets(Arc<dyn SecurityManager>);

impl SecretKeyHolder for Secrets {
    fn secret(&self, user: &str) -> Option<Secret> {
        self.0.secret(user)
    }
}

/// For whoever uses the bare [`transport`](crate::transport) beside an env, to serve blocks for instance, and wants the
/// same protection there. Files of certificates are read once, here, and not watched.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// use spark_rpc::TcpNetwork;
/// use spark_rpc::config::RpcConf;
/// use spark_rpc::security::Secret;
/// use spark_rpc::transport::{NoRpcHandler, TransportContext};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let conf = RpcConf::default().with_secret(Secret::new("swordfish")?);
/// let context = TransportContext::new(conf.transport, Arc::new(TcpNetwork), Arc::new(NoRpcHandler))?;
/// let guards = conf.security.server_bootstraps()?;
/// let server = context.create_server("127.0.0.1", 0, guards).await?;
///
/// let factory = context.create_client_factory(conf.security.client_bootstraps()?);
/// let client = factory.create_client("127.0.0.1", server.port()).await?;
/// assert_eq!(client.client_id(), Some("sparkSaslUser"));
/// # Ok(())
/// # }
/// ```
impl SecurityConf {
    /// What a server lets those who connect pass: nothing without a secret and TLS, and then it must not listen beyond
    /// loopback, which nobody checks here.
    ///
    /// # Errors
    ///
    /// [`StartError`], for keys and certificates that cannot be read.
    pub fn server_bootstraps(&self) -> Result<Vec<Arc<dyn ServerBootstrap>>, StartError> {
        Ok(Protection::new(self, None, true)?.servers)
    }

    /// The other end of [`server_bootstraps`](Self::server_bootstraps).
    ///
    /// # Errors
    ///
    /// As [`server_bootstraps`](Self::server_bootstraps).
    pub fn client_bootstraps(&self) -> Result<Vec<Arc<dyn ClientBootstrap>>, StartError> {
        Ok(Protection::new(self, None, false)?.clients)
    }
}

/// What settings and manager come to.
pub(crate) struct Protection {
    pub(crate) manager: Arc<dyn SecurityManager>,
    pub(crate) clients: Vec<Arc<dyn ClientBootstrap>>,
    pub(crate) servers: Vec<Arc<dyn ServerBootstrap>>,
    pub(crate) tls: Option<TlsWatch>,
}

impl Protection {
    pub(crate) fn new(
        conf: &SecurityConf,
        manager: Option<Arc<dyn SecurityManager>>,
        serves: bool,
    ) -> Result<Self, StartError> {
        let manager = manager.unwrap_or_else(|| {
            Arc::new(OneSecret {
                user: conf.user.clone(),
                secret: conf.secret.clone(),
            })
        });
        let mut clients: Vec<Arc<dyn ClientBootstrap>> = Vec::new();
        let mut servers: Vec<Arc<dyn ServerBootstrap>> = Vec::new();
        let mut tls = None;
        if let Some(ssl) = &conf.ssl {
            let server = serves.then(|| tls_server(conf, ssl).map(Arc::new)).transpose()?;
            if let Some(server) = &server {
                servers.push(Arc::new(TlsServerBootstrap::new(Arc::clone(server))));
            }
            let client = Arc::new(tls_client(conf, ssl)?);
            clients.push(Arc::new(TlsClientBootstrap::new(
                Arc::clone(&client),
                conf.auth.timeout,
            )));
            tls = Some(TlsWatch::new(server, Some(client), watch_options(conf, ssl)));
        }
        if manager.uses_secrets() {
            let secrets = Arc::new(Secrets(Arc::clone(&manager)));
            let client = AuthClientBootstrap::new(conf.user.clone(), secrets.clone(), conf.auth.clone());
            clients.push(Arc::new(client));
            servers.push(Arc::new(AuthServerBootstrap::new(secrets, conf.auth.clone())));
        }
        Ok(Self {
            manager,
            clients,
            servers,
            tls,
        })
    }
}

fn tls_server(conf: &SecurityConf, ssl: &SslSettings) -> Result<TlsServer, StartError> {
    let mut options = ssl.server_options().map_err(StartError::Ssl)?;
    if conf.client_certificates {
        options.clients = ClientAuth::Required(trust(ssl)?);
    }
    TlsServer::new(options).map_err(StartError::Tls)
}

fn tls_client(conf: &SecurityConf, ssl: &SslSettings) -> Result<TlsClient, StartError> {
    let mut options = ssl.client_options(false).map_err(StartError::Ssl)?;
    options.trust = trust(ssl)?;
    if conf.check_names {
        options.names = NameCheck::Host;
    }
    // Shown to servers that ask for it.
    options.identity = ssl.server_options().ok().map(|options| options.identity);
    TlsClient::new(options).map_err(StartError::Tls)
}

/// The trust store, else what Spark's clients trust: the own certificates.
fn trust(ssl: &SslSettings) -> Result<TrustSource, StartError> {
    match &ssl.trust_store {
        Some(path) => Ok(TrustSource::File {
            path: path.clone(),
            password: ssl.trust_store_password.clone(),
        }),
        None => Ok(ssl.client_options(false).map_err(StartError::Ssl)?.trust),
    }
}

fn watch_options(conf: &SecurityConf, ssl: &SslSettings) -> TlsWatchOptions {
    TlsWatchOptions {
        identity: conf.reload_interval,
        trust: match &ssl.trust_store {
            Some(_) => ssl.reloading.then_some(ssl.reload_interval),
            // The own certificates are the trust then.
            None => conf.reload_interval,
        },
    }
}

/// Refuses to let everybody in who reaches the address.
pub(crate) fn check_exposure(
    conf: &SecurityConf,
    servers: &[Arc<dyn ServerBootstrap>],
    network: &dyn Network,
    host: &str,
) -> Result<(), StartError> {
    let protected = servers.iter().any(|bootstrap| bootstrap.gate().is_some());
    if protected || conf.allow_unprotected || network.is_private(host) {
        return Ok(());
    }
    Err(StartError::Unprotected {
        host: host.to_owned(),
    })
}
