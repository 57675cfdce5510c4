//! What servers and clients of one transport module have in common.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spark_rpc_net::{Network, SocketOptions};
use tokio::runtime::Handle;

use crate::admission::SaidWeak;
use crate::bootstrap::{ClientBootstrap, ServerBootstrap};
use crate::buffers::BufferPool;
use crate::factory::TransportClientFactory;
use crate::handler::{HandlerFactory, SharedHandlerFactory};
use crate::link::TransportCounters;
use crate::server::TransportServer;
use crate::{InvalidConf, TransportConf};

/// Makes servers and client factories that share settings, a network, and what stands behind their connections (Spark's
/// `TransportContext`).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use spark_rpc_net::TcpNetwork;
/// use spark_rpc_transport::{NoRpcHandler, TransportConf, TransportContext};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let context = TransportContext::new(TransportConf::default(), Arc::new(TcpNetwork), Arc::new(NoRpcHandler))?;
/// let server = context.create_server("127.0.0.1", 0, Vec::new()).await?;
/// let factory = context.create_client_factory(Vec::new());
/// let client = factory.create_client("127.0.0.1", server.port()).await?;
/// assert!(client.is_active());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TransportContext {
    parts: Arc<ContextParts>,
}

pub(crate) struct ContextParts {
    pub(crate) conf: Arc<TransportConf>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) handlers: SharedHandlerFactory,
    pub(crate) runtime: Handle,
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) counters: Arc<TransportCounters>,
    pub(crate) said_weak: SaidWeak,
    next_id: AtomicU64,
}

impl TransportContext {
    /// Makes a context whose connections are driven by the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`InvalidConf`] names the setting that cannot be.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub fn new(
        conf: TransportConf,
        network: Arc<dyn Network>,
        handlers: Arc<dyn HandlerFactory>,
    ) -> Result<Self, InvalidConf> {
        conf.validate()?;
        Ok(Self {
            parts: Arc::new(ContextParts {
                conf: Arc::new(conf),
                network,
                handlers,
                runtime: Handle::current(),
                pool: Arc::default(),
                counters: Arc::default(),
                said_weak: SaidWeak::default(),
                next_id: AtomicU64::new(1),
            }),
        })
    }

    /// Listens on `host:port`; port 0 lets the system choose one.
    ///
    /// # Errors
    ///
    /// What the network said; its text names host and port.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing bound.
    pub async fn create_server(
        &self,
        host: &str,
        port: u16,
        bootstraps: Vec<Arc<dyn ServerBootstrap>>,
    ) -> io::Result<TransportServer> {
        TransportServer::bind(&self.parts, host, port, bootstraps).await
    }

    /// Makes a factory of connections, which run `bootstraps` in order before they are handed out.
    #[must_use]
    pub fn create_client_factory(&self, bootstraps: Vec<Arc<dyn ClientBootstrap>>) -> TransportClientFactory {
        TransportClientFactory::new(&self.parts, bootstraps)
    }

    /// The settings.
    #[must_use]
    pub fn conf(&self) -> &TransportConf {
        &self.parts.conf
    }

    /// What all connections of this context have done so far.
    #[must_use]
    pub fn counters(&self) -> &Arc<TransportCounters> {
        &self.parts.counters
    }
}

impl ContextParts {
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn socket_options(&self) -> SocketOptions {
        SocketOptions {
            receive_buffer: self.conf.receive_buffer,
            send_buffer: self.conf.send_buffer,
            keep_alive: self.conf.keep_alive,
            backlog: self.conf.backlog,
            congestion: self.conf.congestion.clone(),
            ..SocketOptions::default()
        }
    }
}

impl fmt::Debug for TransportContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportContext")
            .field("module", &self.parts.conf.module)
            .field("network", &self.parts.network)
            .finish_non_exhaustive()
    }
}
