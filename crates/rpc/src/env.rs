//! The env: endpoints, connections, and their life together.

mod shared;
mod shutdown;
mod stats;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use spark_rpc_engine::{Bounds, Delivery};
use spark_rpc_transport::MAX_TIME;

pub(crate) use self::shared::{EnvParts, EnvShared};
pub use self::shutdown::ShutdownReport;
pub use self::stats::EnvStats;
use crate::address::{RpcAddress, RpcEndpointAddress};
use crate::config::RpcConf;
use crate::dispatcher::{DispatchError, LoopTask};
use crate::endpoint::{ConcurrentRpcEndpoint, EndpointContext, Inbound, RpcEndpoint};
use crate::endpoint_ref::RpcEndpointRef;
use crate::error::{AskError, LookupError, SetupError};
use crate::file_client::{Fetched, FileChannel, FileError};
use crate::file_server::FileServer;
use crate::mailbox::{EndpointMailbox, Mailbox};
use crate::message_loop::{Seat, run_lane, run_serial};
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
            return match shared.dispatcher.find(uri.name()) {
                Ok(_) => Ok(RpcEndpointRef::at(shared, uri)),
                Err(DispatchError::EnvStopped) => {
                    let source = AskError::EnvStopped;
                    Err(LookupError::Ask { uri, source })
                }
                Err(_) => Err(LookupError::NotFound { uri }),
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

    /// Fetches a file that an env serves, and puts it at `path`, in place of a file that is there.
    ///
    /// The bytes are written to a file of another name in the same folder, which is renamed when it is whole and on the
    /// disk: under the final name there is never a part. After an error the other file is removed.
    ///
    /// A server that is no JVM gives a checksum of what it has sent, by which damage on the way and a file that was changed
    /// meanwhile are found; [`Fetched::checksum`] says whether that was done. The setting
    /// [`file_checksums`](RpcConf::file_checksums) switches it off.
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
    /// let fetched = client.fetch_file(&uri, &copy).await?;
    /// assert_eq!(fetched.length, 10);
    /// assert!(fetched.checksum.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn fetch_file(&self, uri: &str, path: impl AsRef<Path>) -> Result<Fetched, FileError> {
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
    ) -> Result<Fetched, FileError> {
        self.shared().downloads.fetch(uri, path.as_ref(), progress).await
    }

    /// Whether an endpoint of this name is registered here.
    #[must_use]
    pub fn has_endpoint(&self, name: &str) -> bool {
        self.shared().dispatcher.contains(name)
    }

    /// Stops the endpoint of this env that has the reference's name. The name is free at once; messages queued so far
    /// are still handled, then `on_stop` runs. Without effect for one that is stopped already or is in another env.
    pub fn stop(&self, endpoint: &RpcEndpointRef) {
        if endpoint.is_local() && endpoint.env().is_some_and(|env| Arc::ptr_eq(env, self.shared())) {
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

/// More loops than this for one concurrent endpoint would only meet at its lock.
const MOST_LANES: usize = 16;
