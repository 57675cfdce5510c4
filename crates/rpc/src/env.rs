//! The env: endpoints, connections, and their life together.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use spark_rpc_engine::{Bounds, Delivery};
use spark_rpc_transport::{
    ConnectError, MAX_TIME, TransportClient, TransportClientFactory, TransportContext, TransportCounters,
    TransportServer, security::TlsWatch,
};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use crate::address::{RpcAddress, RpcEndpointAddress};
use crate::codec::{Codecs, PeerMemory};
use crate::config::{RpcConf, RpcTimeout};
use crate::dispatcher::{Dispatcher, LoopTask};
use crate::endpoint::{ConcurrentRpcEndpoint, EndpointContext, Inbound, RpcEndpoint};
use crate::endpoint_ref::RpcEndpointRef;
use crate::error::{LookupError, SetupError};
use crate::file_client::{Downloads, FileChannel, FileError};
use crate::file_server::{FileServer, ServedFiles};
use crate::mailbox::{ConnectionEvent, EndpointMailbox, EndpointStats, Mailbox};
use crate::message_loop::{Seat, run_lane, run_serial};
use crate::outbox::Peer;
use crate::security::SecurityManager;
use crate::timers::Timers;
use crate::tls_task::{TlsStats, TlsTask};
use crate::verifier::{CheckExistence, RpcEndpointVerifier};

/// A place where endpoints live and from where others are reached (Spark's `RpcEnv`).
///
/// Made by [`RpcEnv::builder`] or a [`RpcEnvFactory`](crate::RpcEnvFactory). Clones are handles of the same env. Several
/// envs may live in one process. Dropping the last handle ends the env at once: endpoints are not told, and messages that
/// were sent but still wait for their connection or socket are lost. To let all of it finish, call
/// [`shutdown`](Self::shutdown).
///
/// # Examples
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use spark_rpc::{RpcEnv, RpcMessage, rpc_endpoint};
///
/// #[derive(Debug, Serialize, Deserialize, RpcMessage)]
/// #[rpc(reply = String)]
/// struct SayHi { name: String }
///
/// struct Hello;
///
/// #[rpc_endpoint]
/// impl Hello {
///     async fn say_hi(&mut self, hi: SayHi) -> String {
///         format!("hi {}", hi.name)
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = RpcEnv::builder("server").bind("127.0.0.1:0").start().await?;
/// server.setup_endpoint("hello", Hello)?;
///
/// let client = RpcEnv::builder("client").client_mode().start().await?;
/// let hello = client.setup_endpoint_ref_at(server.address().unwrap(), "hello").await?;
/// assert_eq!(hello.ask(SayHi { name: "spafka".into() }).await?, "hi spafka");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RpcEnv {
    owner: Arc<Owner>,
}

/// Ends the env when the last handle goes.
struct Owner {
    shared: Arc<EnvShared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.abort();
    }
}

/// A handle that does not keep the env alive.
#[derive(Clone)]
pub struct WeakRpcEnv {
    owner: Weak<Owner>,
}

impl WeakRpcEnv {
    /// The env, if a handle of it is left.
    #[must_use]
    pub fn upgrade(&self) -> Option<RpcEnv> {
        self.owner.upgrade().map(|owner| RpcEnv { owner })
    }
}

impl fmt::Debug for WeakRpcEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakRpcEnv")
    }
}

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
    endpoint_threads: Mutex<Option<Runtime>>,
    endpoint_runtime: Handle,
    address: OnceLock<RpcAddress>,
    context: TransportContext,
    factory: TransportClientFactory,
    downloads: Arc<Downloads>,
    server: Mutex<Option<TransportServer>>,
    tls: Option<TlsTask>,
    peers: Mutex<BTreeMap<RpcAddress, Arc<Peer>>>,
    /// Counts accepted connections, from 1.
    strangers: AtomicU64,
    tasks: Mutex<Vec<AbortHandle>>,
    stopped: AtomicBool,
    report: watch::Sender<Option<ShutdownReport>>,
    dropped: AtomicU64,
    unreadable: AtomicU64,
    /// Missing endpoints that have been logged, a few.
    said_missing: Mutex<Vec<String>>,
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

/// How an env ended, see [`RpcEnv::shutdown`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How long it took.
    pub took: Duration,
    /// Endpoints that had not finished within the limit and were ended as they were, their handlers dropped.
    pub endpoints_aborted: Vec<String>,
    /// Messages that those endpoints had taken and not begun to handle. Of these, asks have been failed.
    pub messages_unhandled: u64,
    /// Connections that had not written everything within the limit.
    pub connections_aborted: usize,
    /// One-way messages that waited for a connection and were dropped.
    pub messages_dropped: u64,
}

impl ShutdownReport {
    /// Whether everything came to its end by itself.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.endpoints_aborted.is_empty() && self.connections_aborted == 0 && self.messages_dropped == 0
    }
}

/// What an env has done so far.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EnvStats {
    /// Its endpoints, in the order of their registration.
    pub endpoints: Vec<EndpointStats>,
    /// One-way messages dropped: no such endpoint, no handler, no room, no connection.
    pub dropped: u64,
    /// Messages whose envelope or content could not be read at all.
    pub unreadable: u64,
    /// Connections made again to an address that had been connected before.
    pub reconnects: u64,
    /// Bytes, frames and connections.
    pub transport: Arc<TransportCounters>,
    /// Certificates and their files, where TLS is on.
    pub tls: Option<TlsStats>,
}

impl RpcEnv {
    pub(crate) fn new(shared: Arc<EnvShared>) -> Self {
        Self {
            owner: Arc::new(Owner { shared }),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<EnvShared> {
        &self.owner.shared
    }

    /// A handle that does not keep the env alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakRpcEnv {
        WeakRpcEnv {
            owner: Arc::downgrade(&self.owner),
        }
    }

    /// The env's name, for logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared().name
    }

    /// The address under which others reach this env; `None` in client mode.
    #[must_use]
    pub fn address(&self) -> Option<&RpcAddress> {
        self.shared().address()
    }

    /// The settings.
    #[must_use]
    pub fn conf(&self) -> &RpcConf {
        &self.shared().conf
    }

    /// Registers a serial endpoint and starts it: one message at a time (Spark's `ThreadSafeRpcEndpoint`).
    ///
    /// Returns at once; `on_start` runs on the endpoint's own loop.
    ///
    /// # Errors
    ///
    /// [`SetupError`]; the endpoint is dropped then.
    pub fn setup_endpoint<E: RpcEndpoint>(
        &self,
        name: &str,
        endpoint: E,
    ) -> Result<RpcEndpointRef, SetupError> {
        self.register::<E::Inbound>(name, Delivery::Serial, E::CONNECTION_EVENTS, |setup| {
            let work = run_serial(setup.seat(setup.env.ends(setup.id)), endpoint);
            Ok(vec![setup.env.spawn(work)])
        })
    }

    /// Registers an endpoint whose handlers may overlap, on all threads of the runtime (Spark's plain `RpcEndpoint`).
    ///
    /// # Errors
    ///
    /// [`SetupError`]; the endpoint is dropped then.
    pub fn setup_concurrent_endpoint<E: ConcurrentRpcEndpoint>(
        &self,
        name: &str,
        endpoint: E,
    ) -> Result<RpcEndpointRef, SetupError> {
        let endpoint = Arc::new(endpoint);
        self.register::<E::Inbound>(name, Delivery::Concurrent, E::CONNECTION_EVENTS, |setup| {
            let lanes = setup
                .env
                .endpoint_runtime
                .metrics()
                .num_workers()
                .clamp(1, MOST_LANES);
            let limit = setup.env.conf.concurrent_handlers.div_ceil(lanes);
            let ended = Arc::new(setup.env.ends(setup.id));
            let spawn_lane = |_| {
                let seat = setup.seat(Arc::clone(&ended));
                setup.env.spawn(run_lane(seat, Arc::clone(&endpoint), limit))
            };
            Ok((0..lanes).map(spawn_lane).collect())
        })
    }

    /// Registers a serial endpoint with a thread of its own, where handlers may block (Spark's
    /// `IsolatedThreadSafeRpcEndpoint`).
    ///
    /// # Errors
    ///
    /// [`SetupError`]; the endpoint is dropped then.
    pub fn setup_isolated_endpoint<E: RpcEndpoint>(
        &self,
        name: &str,
        endpoint: E,
    ) -> Result<RpcEndpointRef, SetupError> {
        self.register::<E::Inbound>(name, Delivery::Serial, E::CONNECTION_EVENTS, |setup| {
            let work = run_serial(setup.seat(setup.env.ends(setup.id)), endpoint);
            Ok(vec![setup.env.spawn_thread(name, work)?])
        })
    }

    /// Registers an endpoint with `threads` threads of its own, whose handlers may block and overlap (Spark's
    /// `IsolatedRpcEndpoint`).
    ///
    /// # Errors
    ///
    /// [`SetupError`]; the endpoint is dropped then.
    ///
    /// # Panics
    ///
    /// Panics if `threads` is 0.
    pub fn setup_isolated_concurrent_endpoint<E: ConcurrentRpcEndpoint>(
        &self,
        name: &str,
        threads: usize,
        endpoint: E,
    ) -> Result<RpcEndpointRef, SetupError> {
        assert!(threads > 0, "an isolated endpoint needs a thread");
        let endpoint = Arc::new(endpoint);
        self.register::<E::Inbound>(name, Delivery::Concurrent, E::CONNECTION_EVENTS, |setup| {
            let ended = Arc::new(setup.env.ends(setup.id));
            let limit = setup.env.conf.concurrent_handlers.div_ceil(threads);
            (0..threads)
                .map(|_| {
                    let lane = run_lane(setup.seat(Arc::clone(&ended)), Arc::clone(&endpoint), limit);
                    setup.env.spawn_thread(name, lane)
                })
                .collect()
        })
    }

    /// Looks up an endpoint by its URI, `spark://NAME@HOST:PORT`, and makes sure that it exists
    /// (`setupEndpointRefByURI`).
    ///
    /// # Errors
    ///
    /// [`LookupError`]; the time limit is `spark.rpc.lookupTimeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn setup_endpoint_ref(&self, uri: &str) -> Result<RpcEndpointRef, LookupError> {
        self.lookup(uri.parse()?).await
    }

    /// Looks up the endpoint `name` of the env at `address` and makes sure that it exists.
    ///
    /// # Errors
    ///
    /// [`LookupError`]; the time limit is `spark.rpc.lookupTimeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn setup_endpoint_ref_at(
        &self,
        address: &RpcAddress,
        name: &str,
    ) -> Result<RpcEndpointRef, LookupError> {
        self.lookup(RpcEndpointAddress::new(name, Some(address.clone())))
            .await
    }

    /// Makes a reference without asking whether the endpoint exists.
    #[must_use]
    pub fn endpoint_ref(&self, address: RpcEndpointAddress) -> RpcEndpointRef {
        RpcEndpointRef::at(self.shared(), address)
    }

    async fn lookup(&self, uri: RpcEndpointAddress) -> Result<RpcEndpointRef, LookupError> {
        let shared = self.shared();
        if uri.address() == shared.address() {
            return match shared.dispatcher.contains(uri.name()) {
                true => Ok(RpcEndpointRef::at(shared, uri)),
                false => Err(LookupError::NotFound { uri }),
            };
        }
        let verifier = RpcEndpointAddress::new(RpcEndpointVerifier::NAME, uri.address().cloned());
        let verifier = RpcEndpointRef::at(shared, verifier);
        let check = CheckExistence {
            name: uri.name().to_owned(),
        };
        match verifier
            .ask_within(check, shared.conf.lookup_timeout.clone())
            .await
        {
            Ok(true) => Ok(RpcEndpointRef::at(shared, uri)),
            Ok(false) => Err(LookupError::NotFound { uri }),
            Err(source) => Err(LookupError::Ask { uri, source }),
        }
    }

    /// Offers files to other envs.
    #[must_use]
    pub fn file_server(&self) -> FileServer {
        let shared = self.shared();
        let address = shared.address().cloned();
        FileServer::new(Arc::clone(&shared.served), address, shared.runtime.clone())
    }

    /// Opens a file that an env serves, such as `spark://HOST:PORT/files/NAME`, over a connection of its own
    /// (Spark's `openChannel`).
    ///
    /// # Errors
    ///
    /// [`FileError`]; a file that does not exist is noticed here, not by the first read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection that it has begun to use.
    pub async fn open_channel(&self, uri: &str) -> Result<FileChannel, FileError> {
        self.shared().downloads.open(uri).await
    }

    /// Fetches a file that an env serves, and puts it at `path`, in place of a file that is there; returns its length.
    ///
    /// The bytes are written to a file of another name in the same folder, which is renamed when it is whole and on the
    /// disk: under the final name there is never a part. After an error the other file is removed.
    ///
    /// # Errors
    ///
    /// [`FileError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future removes what has come, unless it is just being renamed.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use spark_rpc::RpcEnv;
    /// # let folder = tempfile::tempdir()?;
    /// # let (original, copy) = (folder.path().join("some words.txt"), folder.path().join("copy.txt"));
    /// # std::fs::write(&original, "some words")?;
    /// let server = RpcEnv::builder("server").bind("127.0.0.1:0").start().await?;
    /// let uri = server.file_server().add_file(&original).await?;
    /// assert!(uri.ends_with("/files/some%20words.txt"));
    ///
    /// let client = RpcEnv::builder("client").client_mode().start().await?;
    /// assert_eq!(client.fetch_file(&uri, &copy).await?, 10);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn fetch_file(&self, uri: &str, path: impl AsRef<Path>) -> Result<u64, FileError> {
        self.fetch_file_with(uri, path, |_, _| {}).await
    }

    /// Like [`fetch_file`](Self::fetch_file), and calls `progress` with the bytes written so far and the length of the
    /// file: first with 0, last with the length.
    ///
    /// # Errors
    ///
    /// [`FileError`].
    ///
    /// # Cancel safety
    ///
    /// As [`fetch_file`](Self::fetch_file).
    pub async fn fetch_file_with(
        &self,
        uri: &str,
        path: impl AsRef<Path>,
        progress: impl FnMut(u64, u64) + Send,
    ) -> Result<u64, FileError> {
        self.shared().downloads.fetch(uri, path.as_ref(), progress).await
    }

    /// Whether an endpoint of this name is registered here.
    #[must_use]
    pub fn has_endpoint(&self, name: &str) -> bool {
        self.shared().dispatcher.contains(name)
    }

    /// Stops an endpoint of this env. Its name is free at once; messages queued so far are still handled, then `on_stop`
    /// runs. Without effect for one that is stopped already or is in another env.
    pub fn stop(&self, endpoint: &RpcEndpointRef) {
        if endpoint.is_local() {
            self.shared().dispatcher.stop(endpoint.name());
        }
    }

    /// Waits until the env has been shut down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn await_termination(&self) {
        let mut report = self.shared().report.subscribe();
        // The sender lives as long as the env, which this handle keeps.
        let _ = report.wait_for(Option::is_some).await;
    }

    /// Ends the env in order, within the limit `spark.rpc.shutdown.drainLimit`; see
    /// [`shutdown_within`](Self::shutdown_within).
    ///
    /// # Cancel safety
    ///
    /// As [`shutdown_within`](Self::shutdown_within).
    pub async fn shutdown(&self) -> ShutdownReport {
        self.shutdown_within(self.conf().drain_limit).await
    }

    /// Ends the env in order: accepts no further connections, endpoints and messages; lets endpoints handle what is
    /// queued and stop; writes what is queued for sockets and closes them. What has not finished within `limit` is ended
    /// as it is, and named in the report. Endpoints do not see the end of their own env's connections.
    ///
    /// The first call counts; later ones wait for the same end. A handler that awaits this waits for itself, and is cut
    /// off at the limit: it should spawn it instead.
    ///
    /// # Cancel safety
    ///
    /// The env is stopped from the first poll on; if the future is dropped, the shutdown goes on without it.
    pub async fn shutdown_within(&self, limit: Duration) -> ShutdownReport {
        self.shared().shutdown(limit.min(MAX_TIME)).await
    }

    /// What the env has done so far.
    #[must_use]
    pub fn stats(&self) -> EnvStats {
        self.shared().stats()
    }

    /// Sets the gauges of the [`metrics`] facade to what they are now: queue lengths, connections, bytes, drops, how
    /// long certificates are still valid. Call it before each scrape.
    pub fn publish_metrics(&self) {
        let env = self.name().to_owned();
        let stats = self.stats();
        for endpoint in &stats.endpoints {
            let labels = [("env", env.clone()), ("endpoint", endpoint.name.clone())];
            metrics::gauge!("spark_rpc_queue_length", &labels).set(endpoint.queued as f64);
            metrics::gauge!("spark_rpc_queue_bytes", &labels).set(endpoint.queued_bytes as f64);
            metrics::counter!("spark_rpc_posted_total", &labels).absolute(endpoint.posted);
            metrics::counter!("spark_rpc_rejected_total", &labels).absolute(endpoint.rejected);
            metrics::counter!("spark_rpc_unreadable_total", &labels).absolute(endpoint.unreadable);
            metrics::counter!("spark_rpc_errors_total", &labels).absolute(endpoint.errors);
        }
        let labels = [("env", env)];
        let transport = &stats.transport;
        metrics::gauge!("spark_rpc_connections", &labels).set(transport.connections_open() as f64);
        metrics::counter!("spark_rpc_connections_opened_total", &labels)
            .absolute(transport.connections_opened());
        metrics::counter!("spark_rpc_connections_refused_total", &labels)
            .absolute(transport.connections_refused());
        metrics::counter!("spark_rpc_handshakes_failed_total", &labels)
            .absolute(transport.handshakes_failed());
        metrics::counter!("spark_rpc_handshakes_refused_total", &labels)
            .absolute(transport.handshakes_refused());
        metrics::counter!("spark_rpc_weak_sessions_total", &labels).absolute(transport.weak_sessions());
        if let Some(tls) = &stats.tls {
            tls.publish(&labels);
        }
        metrics::counter!("spark_rpc_files_unopened_total", &labels).absolute(transport.files_unopened());
        metrics::counter!("spark_rpc_reconnects_total", &labels).absolute(stats.reconnects);
        metrics::counter!("spark_rpc_bytes_read_total", &labels).absolute(transport.bytes_read());
        metrics::counter!("spark_rpc_bytes_written_total", &labels).absolute(transport.bytes_written());
        metrics::counter!("spark_rpc_dropped_total", &labels).absolute(stats.dropped);
        metrics::counter!("spark_rpc_late_replies_total", &labels).absolute(transport.late_replies());
        metrics::counter!("spark_rpc_frames_unwritten_total", &labels).absolute(transport.frames_unwritten());
    }

    fn register<I: Inbound>(
        &self,
        name: &str,
        delivery: Delivery,
        events: bool,
        start: impl FnOnce(Setup<I>) -> Result<Vec<LoopTask>, SetupError>,
    ) -> Result<RpcEndpointRef, SetupError> {
        if name.is_empty() || name.len() > usize::from(u16::MAX) {
            return Err(SetupError::BadName { len: name.len() });
        }
        let env = Arc::clone(self.shared());
        let bounds = Bounds {
            max_items: env.conf.inbox.max_messages,
            max_bytes: env.conf.inbox.max_bytes,
        };
        let name: Arc<str> = name.into();
        let observed_as = env.conf.metrics.then_some(&*env.name);
        let mailbox = EndpointMailbox::new(Arc::clone(&name), delivery, bounds, events, observed_as);
        let mailbox = Arc::new(mailbox);
        let context = Arc::new(EndpointContext::new(Arc::clone(&name), self.downgrade()));
        let known: Arc<dyn Mailbox> = Arc::clone(&mailbox) as _;
        let reference = RpcEndpointRef::local(Arc::clone(&env), &name, Some(Arc::clone(&known)));
        context.set_self_ref(reference.clone());
        env.dispatcher.register(&known, events, |id| {
            start(Setup {
                id,
                env: Arc::clone(&env),
                mailbox,
                context,
            })
        })?;
        tracing::debug!(env = self.name(), endpoint = %name, "endpoint registered");
        Ok(reference)
    }
}

impl fmt::Debug for RpcEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcEnv")
            .field("name", &self.name())
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// What a new endpoint's loop needs.
struct Setup<I> {
    id: u64,
    env: Arc<EnvShared>,
    mailbox: Arc<EndpointMailbox<I>>,
    context: Arc<EndpointContext>,
}

impl<I: Inbound> Setup<I> {
    fn seat<G>(&self, ended: G) -> Seat<I, G> {
        Seat {
            mailbox: Arc::clone(&self.mailbox),
            context: Arc::clone(&self.context),
            ended,
        }
    }
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
            served: Arc::new(ServedFiles::new(Arc::clone(&security))),
            security,
            dispatcher: Dispatcher::default(),
            timers: Timers::new(),
            connecting: Semaphore::new(conf.max_connecting),
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

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
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
        if self.is_stopped() {
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
    fn ends(self: &Arc<Self>, id: u64) -> EndsLoop {
        EndsLoop {
            env: Arc::downgrade(self),
            id,
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> LoopTask {
        LoopTask::Task(self.endpoint_runtime.spawn(work).abort_handle())
    }

    /// Runs a loop on a thread of its own, which uses the env's runtime for timers and sockets.
    fn spawn_thread(
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

    async fn shutdown(self: &Arc<Self>, limit: Duration) -> ShutdownReport {
        let mut done = self.report.subscribe();
        if !self.stopped.swap(true, Ordering::AcqRel) {
            // A task of its own: whoever began it may be cut off with its endpoint, or wait no longer.
            let env = Arc::clone(self);
            self.runtime.spawn(async move { env.run_shutdown(limit).await });
        }
        match done.wait_for(Option::is_some).await {
            Ok(report) => report.clone().unwrap_or_default(),
            Err(_) => ShutdownReport::default(),
        }
    }

    async fn run_shutdown(&self, limit: Duration) {
        let began = tokio::time::Instant::now();
        let until = began + limit;
        tracing::debug!(env = %self.name, limit_ms = limit.as_millis(), "shutting down");
        if let Some(server) = &*lock(&self.server) {
            server.stop_accepting();
        }
        let dropped_before = self.dropped.load(Ordering::Relaxed);

        self.dispatcher.stop_all();
        let mut endpoints_aborted = Vec::new();
        let mut messages_unhandled = 0;
        for mailbox in self.dispatcher.running() {
            let stopped = std::future::poll_fn(|cx| mailbox.poll_stopped(cx));
            if tokio::time::timeout_at(until, stopped).await.is_err() {
                let stats = mailbox.stats();
                messages_unhandled += stats.posted.saturating_sub(stats.handled);
                endpoints_aborted.push(stats.name);
            }
        }
        self.dispatcher.abort_all();

        for peer in lock(&self.peers).values() {
            peer.close();
        }
        let left = until
            .saturating_duration_since(tokio::time::Instant::now())
            .max(SHORTEST_FLUSH);
        let server = lock(&self.server).take();
        let closing_server = async {
            match &server {
                Some(server) => server.close(left).await,
                None => 0,
            }
        };
        let (incoming, outgoing, downloads) = futures_util::future::join3(
            closing_server,
            self.factory.close(left),
            self.downloads.close(left),
        )
        .await;
        if let Some(tls) = &self.tls {
            // A disk that hangs holds no shutdown up; the task then ends by itself.
            let _ = tokio::time::timeout(left, tls.stop()).await;
        }
        self.end_tasks();

        let report = ShutdownReport {
            took: began.elapsed(),
            endpoints_aborted,
            messages_unhandled,
            connections_aborted: incoming + outgoing + downloads,
            messages_dropped: self.dropped.load(Ordering::Relaxed) - dropped_before,
        };
        if report.is_clean() {
            tracing::debug!(env = %self.name, took_ms = report.took.as_millis(), "shut down");
        } else {
            tracing::warn!(env = %self.name, ?report, "shut down, but not everything had finished");
        }
        self.report.send_replace(Some(report));
    }

    /// Ends everything at once.
    fn abort(&self) {
        self.stopped.store(true, Ordering::Release);
        self.dispatcher.abort_all();
        for peer in lock(&self.peers).values() {
            peer.close();
        }
        if let Some(server) = lock(&self.server).take() {
            server.abort();
        }
        self.factory.abort();
        self.downloads.abort();
        self.end_tasks();
        self.report.send_if_modified(|report| {
            let first = report.is_none();
            report.get_or_insert_default();
            first
        });
    }

    fn end_tasks(&self) {
        self.timers.stop();
        if let Some(tls) = &self.tls {
            tls.abort();
        }
        for task in std::mem::take(&mut *lock(&self.tasks)) {
            task.abort();
        }
        if let Some(threads) = lock(&self.endpoint_threads).take() {
            threads.shutdown_background();
        }
    }

    fn stats(&self) -> EnvStats {
        let reconnects = lock(&self.peers)
            .values()
            .map(|peer| peer.connects().saturating_sub(1))
            .sum();
        EnvStats {
            endpoints: self.dispatcher.stats(),
            dropped: self.dropped.load(Ordering::Relaxed),
            unreadable: self.unreadable.load(Ordering::Relaxed),
            reconnects,
            transport: Arc::clone(self.context.counters()),
            tls: self.tls.as_ref().map(|tls| TlsStats::of(&tls.watch)),
        }
    }
}

/// Reports when the loop that holds it has ended, or the last of several that share it; also when its task is aborted.
struct EndsLoop {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// More loops than this for one concurrent endpoint would only meet at its lock.
const MOST_LANES: usize = 16;
/// With more addresses than this, those that nobody uses are forgotten.
const PEERS_BEFORE_CLEANING: usize = 4096;
/// Messages to so many missing endpoints are logged; later ones are only counted.
const MOST_MISSING_LOGGED: usize = 64;
/// Even when the limit has passed, sockets get this long to write what is queued.
const SHORTEST_FLUSH: Duration = Duration::from_millis(100);
