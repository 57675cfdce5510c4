//! From settings to an env.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use spark_rpc_net::{Network, TcpNetwork, is_address_collision};
use spark_rpc_transport::{ClientBootstrap, ServerBootstrap, TransportContext, TransportServer};

use crate::address::RpcAddress;
use crate::codec::{Codec, Codecs, JavaCodec};
use crate::config::RpcConf;
use crate::env::{EnvParts, EnvShared, RpcEnv};
use crate::error::StartError;
use crate::file_client::Downloads;
use crate::rpc_handler::{EnvHandlers, SharedHandlers};
use crate::security::{Protection, Secret, SecurityManager, check_exposure};
use crate::verifier::RpcEndpointVerifier;

/// Everything that makes one env differ from another (Spark's `RpcEnvConfig`).
#[derive(Clone, Debug)]
pub struct RpcEnvConfig {
    /// For logs; not part of any address.
    pub name: String,
    /// What the server binds to, such as `127.0.0.1`. Without effect in client mode.
    pub bind_address: String,
    /// The host that others are told; the bind address if `None`.
    pub advertise_address: Option<String>,
    /// The port to bind; 0 for any free one. A taken port makes the next ones be tried.
    pub port: u16,
    /// Whether the env does without a listener: it has no address then, and is reached only over connections that it has
    /// opened.
    pub client_mode: bool,
    /// The settings.
    pub conf: RpcConf,
}

impl RpcEnvConfig {
    /// The config of an env in server mode on a free port of 127.0.0.1.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            bind_address: "127.0.0.1".to_owned(),
            advertise_address: None,
            port: 0,
            client_mode: false,
            conf: RpcConf::default(),
        }
    }
}

/// Makes envs from configs (Spark's `RpcEnvFactory`). It holds what is not a setting: the network, codecs, bootstraps.
#[derive(Clone)]
pub struct RpcEnvFactory {
    network: Arc<dyn Network>,
    codecs: Vec<Arc<dyn Codec>>,
    java: Arc<JavaCodec>,
    server_bootstraps: Vec<Arc<dyn ServerBootstrap>>,
    client_bootstraps: Vec<Arc<dyn ClientBootstrap>>,
    security: Option<Arc<dyn SecurityManager>>,
}

impl Default for RpcEnvFactory {
    fn default() -> Self {
        Self {
            network: Arc::new(TcpNetwork),
            codecs: Vec::new(),
            java: Arc::default(),
            server_bootstraps: Vec::new(),
            client_bootstraps: Vec::new(),
            security: None,
        }
    }
}

impl RpcEnvFactory {
    /// A factory of envs over TCP with the native and the Java codec.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses another network: Unix sockets, or one in memory for tests.
    #[must_use]
    pub fn network(mut self, network: Arc<dyn Network>) -> Self {
        self.network = network;
        self
    }

    /// Adds a codec. The first one added writes what the envs ask and send; all of them are read.
    #[must_use]
    pub fn codec(mut self, codec: Arc<dyn Codec>) -> Self {
        self.codecs.push(codec);
        self
    }

    /// Reads Java content, and answers it, with this codec, without preferring it as [`codec`](Self::codec) would do.
    #[must_use]
    pub fn java(mut self, java: JavaCodec) -> Self {
        self.java = Arc::new(java);
        self
    }

    /// Adds a hook that runs on every accepted connection.
    #[must_use]
    pub fn server_bootstrap(mut self, bootstrap: Arc<dyn ServerBootstrap>) -> Self {
        self.server_bootstraps.push(bootstrap);
        self
    }

    /// Adds a hook that runs on every connection opened.
    #[must_use]
    pub fn client_bootstrap(mut self, bootstrap: Arc<dyn ClientBootstrap>) -> Self {
        self.client_bootstraps.push(bootstrap);
        self
    }

    /// Lets `manager` decide who may connect, and which endpoints those may use.
    #[must_use]
    pub fn security_manager(mut self, manager: Arc<dyn SecurityManager>) -> Self {
        self.security = Some(manager);
        self
    }

    /// Makes an env and, in server mode, binds it and registers its verifier.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing is left running then.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with timers and sockets enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing running.
    pub async fn create(&self, config: RpcEnvConfig) -> Result<RpcEnv, StartError> {
        let RpcEnvConfig {
            name,
            bind_address,
            advertise_address,
            port,
            client_mode,
            conf,
        } = config;
        conf.validate()?;
        if !client_mode && port != 0 && port < LOWEST_PORT {
            return Err(StartError::Port { port });
        }
        let mut protection = Protection::new(&conf.security, self.security.clone(), !client_mode)?;
        protection.clients.extend(self.client_bootstraps.iter().cloned());
        protection.servers.extend(self.server_bootstraps.iter().cloned());
        if !client_mode {
            check_exposure(&conf.security, &protection.servers, &*self.network, &bind_address)?;
        }
        let threads = conf.dispatcher_threads.map(endpoint_threads).transpose()?;
        let handlers = Arc::new(EnvHandlers::default());
        let context = TransportContext::new(
            conf.transport.clone(),
            Arc::clone(&self.network),
            Arc::new(SharedHandlers(Arc::clone(&handlers))),
        )?;
        let network = Arc::clone(&self.network);
        let downloads = Downloads::new(
            network,
            protection.clients.clone(),
            conf.file_transport(),
            conf.file_checksums,
        );
        let factory = context.create_client_factory(protection.clients);
        let shared = Arc::new(EnvShared::new(EnvParts {
            name,
            conf,
            codecs: Codecs::new(self.codecs.clone(), Arc::clone(&self.java)),
            context: context.clone(),
            factory,
            downloads,
            endpoint_threads: threads,
            security: protection.manager,
            tls: protection.tls,
        }));
        handlers.set_env(&shared);
        let env = RpcEnv::new(Arc::clone(&shared));
        shared.start_timers();
        for warning in env.conf().warnings() {
            tracing::warn!(env = env.name(), %warning, "a setting may not do what it says");
        }
        if !client_mode {
            // Before anybody can ask. Only a stopped env or a taken name could refuse it, and this env is new.
            let _ = env.setup_endpoint(RpcEndpointVerifier::NAME, RpcEndpointVerifier::new());
            let server = bind(&env, &context, &protection.servers, (&bind_address, port)).await?;
            let address = RpcAddress::new(advertise_address.unwrap_or(bind_address), server.port());
            if leads_nowhere(address.host()) {
                tracing::warn!(env = env.name(), %address, "others are told an address that leads to themselves; advertise a host");
            }
            tracing::info!(env = env.name(), %address, "listening");
            shared.set_server(server, address);
        }
        Ok(env)
    }
}

/// Tries ports as Spark's `Utils.startServiceOnPort` does.
async fn bind(
    env: &RpcEnv,
    context: &TransportContext,
    bootstraps: &[Arc<dyn ServerBootstrap>],
    (host, port): (&str, u16),
) -> Result<TransportServer, StartError> {
    let retries = env.conf().port_max_retries;
    let mut attempt = 0;
    loop {
        let candidate = port_of_attempt(port, attempt);
        match context.create_server(host, candidate, bootstraps.to_vec()).await {
            Ok(server) => return Ok(server),
            Err(source) if is_address_collision(&source) && attempt < retries => {
                attempt += 1;
                let next = port_of_attempt(port, attempt);
                tracing::warn!(service = env.name(), port = candidate, next, %source, "could not bind; trying the next port");
            }
            Err(source) => {
                return Err(StartError::Bind {
                    service: env.name().to_owned(),
                    port,
                    retries: attempt,
                    source,
                });
            }
        }
    }
}

impl fmt::Debug for RpcEnvFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcEnvFactory")
            .field("network", &self.network)
            .field("codecs", &self.codecs)
            .finish_non_exhaustive()
    }
}

/// The port that attempt number `attempt` tries: wraps from 65535 to 1024, never below.
fn port_of_attempt(start: u16, attempt: u32) -> u16 {
    if start == 0 {
        return 0;
    }
    let range = u32::from(u16::MAX) + 1 - u32::from(LOWEST_PORT);
    let port = (u32::from(start) - u32::from(LOWEST_PORT) + attempt) % range + u32::from(LOWEST_PORT);
    u16::try_from(port).expect("the remainder keeps it below 65536")
}

/// Whether this is an address that means all of a machine's own, so that for others it leads to themselves.
fn leads_nowhere(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>()
        .is_ok_and(|address| address.is_unspecified())
}

fn endpoint_threads(threads: usize) -> Result<tokio::runtime::Runtime, StartError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("dispatcher-event-loop")
        .enable_all()
        .build()
        .map_err(StartError::Threads)
}

/// The lowest port that may be asked for by number.
const LOWEST_PORT: u16 = 1024;

/// Makes an env step by step; see [`RpcEnv::builder`]. The order of the steps does not matter: a
/// [`secret`](Self::secret) stays, whatever settings are given before or after it.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct RpcEnvBuilder {
    factory: RpcEnvFactory,
    config: RpcEnvConfig,
    bind: Option<String>,
    secret: Option<Secret>,
    network: Option<Arc<dyn Network>>,
    security: Option<Arc<dyn SecurityManager>>,
}

impl RpcEnv {
    /// Begins to make an env: server mode, 127.0.0.1, a free port, default settings.
    pub fn builder(name: impl Into<String>) -> RpcEnvBuilder {
        RpcEnvBuilder {
            factory: RpcEnvFactory::new(),
            config: RpcEnvConfig::new(name),
            bind: None,
            secret: None,
            network: None,
            security: None,
        }
    }
}

impl RpcEnvBuilder {
    /// Binds to `HOST:PORT`; port 0 takes a free one. Others are told this host: where it means every address of the
    /// machine, such as `0.0.0.0`, say with [`advertise`](Self::advertise) which one they shall use.
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.bind = Some(address.into());
        self
    }

    /// Tells others this host instead of the one bound to.
    pub fn advertise(mut self, host: impl Into<String>) -> Self {
        self.config.advertise_address = Some(host.into());
        self
    }

    /// Does without a listener.
    pub fn client_mode(mut self) -> Self {
        self.config.client_mode = true;
        self
    }

    /// Uses these settings.
    pub fn conf(mut self, conf: RpcConf) -> Self {
        self.config.conf = conf;
        self
    }

    /// Makes envs with this factory.
    pub fn factory(mut self, factory: RpcEnvFactory) -> Self {
        self.factory = factory;
        self
    }

    /// Uses another network than TCP.
    pub fn network(mut self, network: Arc<dyn Network>) -> Self {
        self.network = Some(network);
        self
    }

    /// Lets `manager` decide who may connect, and which endpoints those may use.
    pub fn security_manager(mut self, manager: Arc<dyn SecurityManager>) -> Self {
        self.security = Some(manager);
        self
    }

    /// Lets in only who knows `secret`, and encrypts with AES-GCM.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Makes the env.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing is left running then.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with timers and sockets enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing running.
    pub async fn start(self) -> Result<RpcEnv, StartError> {
        let Self {
            mut factory,
            mut config,
            bind,
            secret,
            network,
            security,
        } = self;
        if let Some(bind) = bind {
            let address: RpcAddress = bind.parse()?;
            config.bind_address = address.host().to_owned();
            config.port = address.port();
        }
        if let Some(secret) = secret {
            config.conf = config.conf.with_secret(secret);
        }
        if let Some(network) = network {
            factory = factory.network(network);
        }
        if let Some(manager) = security {
            factory = factory.security_manager(manager);
        }
        factory.create(config).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_wrap_from_the_highest_to_1024_and_0_stays_0() {
        assert_eq!(port_of_attempt(65535, 0), 65535);
        assert_eq!(port_of_attempt(65535, 1), 1024);
        assert_eq!(port_of_attempt(7077, 3), 7080);
        assert_eq!(port_of_attempt(0, 3), 0);
    }

    #[test]
    fn an_address_that_means_all_of_a_machine_leads_nowhere_for_others() {
        for host in ["0.0.0.0", "[::]", "::"] {
            assert!(leads_nowhere(RpcAddress::new(host, 1).host()), "{host}");
        }
        for host in ["127.0.0.1", "[::1]", "10.0.0.1", "worker-1"] {
            assert!(!leads_nowhere(host), "{host}");
        }
    }
}
