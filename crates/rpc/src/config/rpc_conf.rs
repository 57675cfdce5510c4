//! The settings of one env.

use std::time::Duration;

use spark_rpc_transport::TransportConf;

use super::bounds::{OutboxBounds, QueueBounds};
use super::notes::{ConfNotes, ConfWarning, IgnoredKey};
use super::relations;
use super::security::SecurityConf;
use super::timeout::RpcTimeout;

/// Settings of one `RpcEnv`.
///
/// The fields are public; start from [`RpcConf::default`] and change what differs, directly or with the
/// `with_*` methods. [`RpcConf::from_spark`] reads them from Spark's keys. An env checks them once, with
/// [`validate`](Self::validate), when it starts.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use spark_rpc::config::RpcConf;
///
/// let conf = RpcConf::default().with_ask_timeout(Duration::from_secs(30)).with_metrics(true);
/// conf.validate()?;
/// assert_eq!(conf.ask_timeout.setting, "spark.rpc.askTimeout");
/// # Ok::<(), spark_rpc::config::ConfError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcConf {
    /// Time limit of an ask; travels inside references. More than 0.
    ///
    /// Default 120 s. Spark key `spark.rpc.askTimeout`, else `spark.network.timeout`.
    pub ask_timeout: RpcTimeout,

    /// Time limit of looking an endpoint up. More than 0.
    ///
    /// Default 120 s. Spark key `spark.rpc.lookupTimeout`, else `spark.network.timeout`.
    pub lookup_timeout: RpcTimeout,

    /// Attempts of an `ask_with_retry`, the first one included; at least 1.
    ///
    /// Default 3. Key `spark.rpc.numRetries` of Spark up to 2.2.
    pub num_retries: u32,

    /// Pause between two attempts of an `ask_with_retry`.
    ///
    /// Default 3 s. Key `spark.rpc.retry.wait` of Spark up to 2.2.
    pub retry_wait: Duration,

    /// Further ports tried when the wanted one is taken.
    ///
    /// Default 16. Spark key `spark.port.maxRetries`, whose default is 100 where `spark.testing` is set.
    pub port_max_retries: u32,

    /// Outboxes that may be connecting at once, at least 1; further ones wait their turn.
    ///
    /// Default 64. Spark key `spark.rpc.connect.threads`.
    pub max_connecting: usize,

    /// Own threads for endpoints, 1 to 4096; `None` runs them on the runtime that started the env.
    ///
    /// Default `None`. Spark key `spark.rpc.netty.dispatcher.numThreads`, or the same with `spark.driver.` or
    /// `spark.executor.` in front, depending on `spark.executor.id`.
    pub dispatcher_threads: Option<usize>,

    /// Handlers of one concurrent endpoint that may run at once, at least 1.
    ///
    /// Default 1024. Key `spark.rpc.concurrentHandlers`, not Spark's.
    pub concurrent_handlers: usize,

    /// Bounds of each endpoint's inbox.
    pub inbox: QueueBounds,

    /// Bounds of what waits for a connection, per remote address.
    pub outbox: OutboxBounds,

    /// How long a shutdown waits for handlers and answers before it cuts them off.
    ///
    /// Default 10 s. Key `spark.rpc.shutdown.drainLimit`, not Spark's.
    pub drain_limit: Duration,

    /// Whether [`fetch_file`](crate::RpcEnv::fetch_file) asks for the checksum of what it fetches, and whether peers that
    /// ask for the checksum of what they were sent are given one. Without it, only lengths are checked; what that saves is
    /// one computation on each side, and on the server one more reading of the file.
    ///
    /// Default `true`. Key `spark.rpc.files.checksum`, not Spark's.
    pub file_checksums: bool,

    /// Whether metrics are recorded.
    ///
    /// Default `false`. Key `spark.rpc.metrics.enabled`, not Spark's.
    pub metrics: bool,

    /// Start of all randomness of the env, for simulation; `None` takes it from the system.
    ///
    /// Default `None`. Key `spark.rpc.seed`, not Spark's.
    pub seed: Option<u64>,

    /// Largest serialized task or map status that a scheduler should send, in bytes. Not a limit of the
    /// transport: nothing in this crate looks at it.
    ///
    /// Default 128 MiB. Spark key `spark.rpc.message.maxSize`, at most 2047 MiB.
    pub task_message_max_bytes: u64,

    /// Sockets, connections and frames.
    pub transport: TransportConf,

    /// The connections that files are downloaded over; `None` takes [`transport`](Self::transport), and closes idle
    /// connections.
    ///
    /// Default `None`. Spark keys `spark.files.io.*`.
    pub files: Option<TransportConf>,

    /// Who may connect, and how connections are protected.
    pub security: SecurityConf,

    /// What translating Spark's keys has to tell; empty where none were translated. Read it through
    /// [`ignored`](Self::ignored) and [`warnings`](Self::warnings).
    pub notes: ConfNotes,
}

impl RpcConf {
    /// The settings of downloads, written out.
    pub(crate) fn file_transport(&self) -> TransportConf {
        let like_messages = || TransportConf {
            module: FILES.to_owned(),
            close_idle_connections: self.transport.connection_timeout.is_some(),
            ..self.transport.clone()
        };
        self.files.clone().unwrap_or_else(like_messages)
    }

    /// Returns the keys that were set but have no effect here, each with the reason. Empty unless the
    /// settings come from [`from_spark`](Self::from_spark).
    pub fn ignored(&self) -> &[IgnoredKey] {
        &self.notes.ignored
    }

    /// Returns what is allowed but probably not meant: unknown keys, and settings that get in each other's
    /// way as they are now.
    pub fn warnings(&self) -> Vec<ConfWarning> {
        let mut warnings = self.notes.warnings.clone();
        warnings.extend(relations::warnings(self));
        warnings
    }
}

impl Default for RpcConf {
    fn default() -> Self {
        Self {
            ask_timeout: RpcTimeout::new(NETWORK_TIMEOUT, "spark.rpc.askTimeout"),
            lookup_timeout: RpcTimeout::new(NETWORK_TIMEOUT, "spark.rpc.lookupTimeout"),
            num_retries: 3,
            retry_wait: Duration::from_secs(3),
            port_max_retries: 16,
            max_connecting: 64,
            dispatcher_threads: None,
            concurrent_handlers: 1024,
            inbox: QueueBounds::default(),
            outbox: OutboxBounds::default(),
            drain_limit: Duration::from_secs(10),
            file_checksums: true,
            metrics: false,
            seed: None,
            task_message_max_bytes: 128 << 20,
            transport: TransportConf::default(),
            files: None,
            security: SecurityConf::default(),
            notes: ConfNotes::default(),
        }
    }
}

/// The module of downloads.
pub(super) const FILES: &str = "files";
/// Spark's default of `spark.network.timeout`.
pub(super) const NETWORK_TIMEOUT: Duration = Duration::from_secs(120);
