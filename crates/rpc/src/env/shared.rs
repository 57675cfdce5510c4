//! What references, handlers and tasks of an env share.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use spark_rpc_engine::Bounds;
use spark_rpc_transport::{
    ConnectError, TransportClient, TransportClientFactory, TransportContext, TransportServer,
    security::TlsWatch,
};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use super::ShutdownReport;
use crate::address::RpcAddress;
use crate::codec::{Codecs, PeerMemory};
use crate::config::{RpcConf, RpcTimeout};
use crate::dispatcher::{Dispatcher, LoopTask};
use crate::error::SetupError;
use crate::file_client::Downloads;
use crate::file_server::ServedFiles;
use crate::mailbox::ConnectionEvent;
use crate::outbox::Peer;
use crate::security::SecurityManager;
use crate::timers::Timers;
use crate::tls_task::TlsTask;

/// What references, handlers and tasks of an env share.
pub(crate) struct EnvShared {
    /// Tells envs apart that have no address.
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) conf: RpcConf,
    pub(crate) ask_timeout: Arc<RpcTimeout>,
    pub(crate) codecs: Codecs,
    pub(crate) security: Arc<dyn SecurityManager>,
    pub(crate) served: Arc<ServedFiles>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) timers: Timers,
    pub(crate) runtime: Handle,
    pub(crate) connecting: Semaphore,
    /// Threads of this env's own for endpoints.
    pub(super) endpoint_threads: Mutex<Option<Runtime>>,
    pub(super) endpoint_runtime: Handle,
    pub(super) address: OnceLock<RpcAddress>,
    pub(super) context: TransportContext,
    pub(super) factory: TransportClientFactory,
    pub(super) downloads: Arc<Downloads>,
    pub(super) server: Mutex<Option<TransportServer>>,
    pub(super) tls: Option<TlsTask>,
    pub(super) peers: Mutex<BTreeMap<RpcAddress, Arc<Peer>>>,
    /// Counts accepted connections, from 1.
    pub(super) strangers: AtomicU64,
    pub(super) tasks: Mutex<Vec<AbortHandle>>,
    pub(super) stopped: AtomicBool,
    /// Nothing goes to other envs any more. Set after `stopped`, when the endpoints have ended: until then they may say
    /// goodbye.
    sealed: AtomicBool,
    pub(super) report: watch::Sender<Option<ShutdownReport>>,
    pub(super) dropped: AtomicU64,
    pub(super) unreadable: AtomicU64,
    /// Missing endpoints that have been logged, a few.
    pub(super) said_missing: Mutex<Vec<String>>,
}

/// What [`EnvShared::new`] needs.
pub(crate) struct EnvParts {
    pub(crate) name: String,
    pub(crate) conf: RpcConf,
    pub(crate) codecs: Codecs,
    pub(crate) context: TransportContext,
    pub(crate) factory: TransportClientFactory,
    pub(crate) downloads: Arc<Downloads>,
    pub(crate) endpoint_threads: Option<Runtime>,
    pub(crate) security: Arc<dyn SecurityManager>,
    pub(crate) tls: Option<TlsWatch>,
}
impl EnvShared {
    pub(crate) fn new(parts: EnvParts) -> Self {
        let EnvParts {
            name,
            conf,
            codecs,
            context,
            factory,
            downloads,
            endpoint_threads,
            security,
            tls,
        } = parts;
        let runtime = Handle::current();
        let endpoint_runtime = endpoint_threads
            .as_ref()
            .map_or_else(|| runtime.clone(), |own| own.handle().clone());
        Self {
            id: env_id(&name, conf.seed),
            ask_timeout: Arc::new(conf.ask_timeout.clone()),
            codecs,
            served: Arc::new(ServedFiles::new(Arc::clone(&security), conf.file_checksums)),
            security,
            dispatcher: Dispatcher::default(),
            timers: Timers::new(),
            connecting: Semaphore::new(conf.max_connecting.min(Semaphore::MAX_PERMITS)),
            endpoint_threads: Mutex::new(endpoint_threads),
            endpoint_runtime,
            tls: tls.map(|watch| TlsTask::start(watch, &runtime)),
            runtime,
            address: OnceLock::new(),
            context,
            factory,
            downloads,
            server: Mutex::new(None),
            peers: Mutex::default(),
            strangers: AtomicU64::new(1),
            tasks: Mutex::default(),
            stopped: AtomicBool::new(false),
            sealed: AtomicBool::new(false),
            report: watch::Sender::new(None),
            dropped: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            said_missing: Mutex::default(),
            name,
            conf,
        }
    }

    pub(crate) fn start_timers(self: &Arc<Self>) {
        let env = Arc::downgrade(self);
        let task = self.runtime.spawn(async move {
            // The task is aborted with the env, so holding it here keeps nothing alive for longer.
            if let Some(env) = env.upgrade() {
                env.timers.run().await;
            }
        });
        lock(&self.tasks).push(task.abort_handle());
    }

    pub(crate) fn set_server(&self, server: TransportServer, address: RpcAddress) {
        let _ = self.address.set(address);
        *lock(&self.server) = Some(server);
    }

    pub(crate) fn address(&self) -> Option<&RpcAddress> {
        self.address.get()
    }

    /// Whether messages to other envs are refused.
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Lets nothing more go to other envs; what waits for a connection fails.
    pub(super) fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
        for peer in lock(&self.peers).values() {
            peer.close();
        }
    }

    pub(crate) fn outbox_bounds(&self) -> Bounds {
        Bounds {
            max_items: self.conf.outbox.max_messages,
            max_bytes: self.conf.outbox.max_bytes,
        }
    }

    pub(crate) async fn create_client(&self, address: &RpcAddress) -> Result<TransportClient, ConnectError> {
        self.factory.create_client(address.host(), address.port()).await
    }

    pub(crate) fn peer(self: &Arc<Self>, address: &RpcAddress) -> Arc<Peer> {
        let mut peers = lock(&self.peers);
        if let Some(peer) = peers.get(address) {
            return Arc::clone(peer);
        }
        if peers.len() >= PEERS_BEFORE_CLEANING {
            peers.retain(|_, peer| Arc::strong_count(peer) > 1 || !peer.is_idle());
        }
        let peer = Arc::new(Peer::new(
            address.clone(),
            Arc::downgrade(self),
            self.outbox_bounds(),
        ));
        if self.is_sealed() {
            peer.close();
        }
        peers.insert(address.clone(), Arc::clone(&peer));
        peer
    }

    /// What is remembered of the peer at the other end of a connection.
    pub(crate) fn memory_of(&self, socket: &RpcAddress) -> Arc<PeerMemory> {
        match lock(&self.peers).get(socket) {
            Some(peer) => Arc::clone(&peer.memory),
            None => {
                let number = self.strangers.fetch_add(1, Ordering::Relaxed);
                Arc::new(PeerMemory::new(number, None))
            }
        }
    }

    pub(crate) fn connection_ended(&self, client: &TransportClient, address: &RpcAddress) {
        let peer = lock(&self.peers).get(address).cloned();
        if let Some(peer) = peer {
            peer.lost(client);
        }
    }

    pub(crate) fn post_to_all(&self, event: &ConnectionEvent) {
        tracing::debug!(env = %self.name, ?event, "connection event");
        self.dispatcher.post_to_all(event);
    }

    pub(crate) fn count_dropped(&self, n: u64) {
        self.dropped.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn count_unreadable(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a message to a missing endpoint; returns whether that should be logged.
    pub(crate) fn unknown_endpoint(&self, name: &str) -> bool {
        let mut said = lock(&self.said_missing);
        if said.len() >= MOST_MISSING_LOGGED || said.iter().any(|known| known == name) {
            return false;
        }
        said.push(name.to_owned());
        true
    }

    /// What a loop holds to report its end.
    pub(super) fn ends(self: &Arc<Self>, id: u64) -> EndsLoop {
        EndsLoop {
            env: Arc::downgrade(self),
            id,
        }
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> LoopTask {
        LoopTask::Task(self.endpoint_runtime.spawn(work).abort_handle())
    }

    /// Runs a loop on a thread of its own, which uses the env's runtime for timers and sockets.
    pub(super) fn spawn_thread(
        self: &Arc<Self>,
        name: &str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Result<LoopTask, SetupError> {
        let runtime = self.runtime.clone();
        let (work, abort) = futures_util::future::abortable(work);
        std::thread::Builder::new()
            .name(format!("dispatcher-{name}"))
            .spawn(move || {
                // An aborted loop fails what it had in hand when it is dropped.
                let _ = runtime.block_on(work);
            })
            .map_err(|source| SetupError::Thread {
                name: name.to_owned(),
                source,
            })?;
        Ok(LoopTask::Thread(abort))
    }
}

/// Reports when the loop that holds it has ended, or the last of several that share it; also when its task is aborted.
pub(super) struct EndsLoop {
    env: Weak<EnvShared>,
    id: u64,
}

impl Drop for EndsLoop {
    fn drop(&mut self) {
        if let Some(env) = self.env.upgrade() {
            env.dispatcher.ended(self.id);
        }
    }
}
/// A number for the env, from the seed if there is one. Never 0.
fn env_id(name: &str, seed: Option<u64>) -> u64 {
    let id = match seed {
        Some(seed) => {
            // DefaultHasher has fixed keys, so equal seeds give equal numbers.
            let mut hasher = std::hash::DefaultHasher::new();
            hasher.write_u64(seed);
            hasher.write(name.as_bytes());
            hasher.finish()
        }
        None => std::hash::RandomState::new().hash_one(name),
    };
    id.max(1)
}
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
/// With more addresses than this, those that nobody uses are forgotten.
const PEERS_BEFORE_CLEANING: usize = 4096;
/// Messages to so many missing endpoints are logged; later ones are only counted.
const MOST_MISSING_LOGGED: usize = 64;
