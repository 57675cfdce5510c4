//! Accepts connections.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use spark_rpc_net::{Listener, Stream};
use tokio::task::JoinHandle;

use crate::admission::Admission;
use crate::bootstrap::ServerBootstrap;
use crate::connections::Connections;
use crate::context::ContextParts;
use crate::link::TransportCounters;

/// Listens on one port (Spark's `TransportServer`). Dropping it ends it and its connections at once.
pub struct TransportServer {
    host: String,
    port: u16,
    connections: Arc<Connections>,
    /// `None` once somebody waits for its end.
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl TransportServer {
    pub(crate) async fn bind(
        parts: &Arc<ContextParts>,
        host: &str,
        port: u16,
        bootstraps: Vec<Arc<dyn ServerBootstrap>>,
    ) -> io::Result<Self> {
        let listener = parts.network.bind(host, port, &parts.socket_options()).await?;
        let port = listener.port();
        let connections = Connections::new(Arc::clone(parts));
        let acceptor = Acceptor {
            parts: Arc::clone(parts),
            listener,
            admission: Admission::new(parts, bootstraps, &connections),
            connections: Arc::clone(&connections),
            refusing: false,
        };
        let accepting = parts.runtime.spawn(acceptor.run());
        tracing::debug!(host, port, module = %parts.conf.module, "listening");
        Ok(Self {
            host: host.to_owned(),
            port,
            connections,
            accepting: Mutex::new(Some(accepting)),
        })
    }

    /// The host that it was bound to.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that connections arrive on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Accepts no further connections.
    pub fn stop_accepting(&self) {
        self.accepting().iter().for_each(JoinHandle::abort);
    }

    /// Accepts no further connections, lets those that are open write what is queued, and closes them. Those that take
    /// longer than `limit` are aborted; returns how many those were. The port is free afterwards.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the connections closing.
    pub async fn close(&self, limit: Duration) -> usize {
        self.stop_accepting();
        let count = self.connections.close(limit).await;
        let accepting = self.accepting().take();
        if let Some(accepting) = accepting {
            // It has been aborted and never blocks: this waits until its listener is gone.
            let _ = accepting.await;
        }
        count
    }

    /// Ends everything at once; returns how many connections were open.
    pub fn abort(&self) -> usize {
        self.stop_accepting();
        self.connections.abort()
    }

    fn accepting(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.accepting
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for TransportServer {
    fn drop(&mut self) {
        self.abort();
    }
}

impl fmt::Debug for TransportServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportServer")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

struct Acceptor {
    parts: Arc<ContextParts>,
    listener: Box<dyn Listener>,
    admission: Admission,
    connections: Arc<Connections>,
    /// The last connection was refused; said once until there is room again.
    refusing: bool,
}

impl Acceptor {
    async fn run(mut self) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            match self.listener.accept().await {
                Ok(stream) => {
                    pause = SHORTEST_PAUSE;
                    self.take(stream);
                }
                Err(error) => {
                    // Such as no free descriptors: it repeats at once while it lasts.
                    tracing::warn!(%error, pause_ms = pause.as_millis(), "cannot accept connections");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn take(&mut self, stream: Box<dyn Stream>) {
        if let Some(max) = self.parts.conf.max_connections
            && self.connections.len() + self.admission.waiting() >= max
        {
            TransportCounters::add(&self.parts.counters.connections_refused, 1);
            if !std::mem::replace(&mut self.refusing, true) {
                let setting = self.parts.conf.key("maxConnections");
                tracing::warn!(peer = %stream.peer(), max, setting, "refusing connections: too many are open");
            }
            return;
        }
        self.refusing = false;
        self.admission.take(stream);
    }
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
