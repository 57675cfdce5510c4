//! From Spark's keys to typed settings.

use std::time::Duration;

use spark_rpc_transport::{MAX_FRAME_BYTES, TransportConf};

use super::bounds::WhenFull;
use super::error::{ConfError, Written};
use super::keys::{Effect, known_keys};
use super::notes::{ConfWarning, IgnoredKey};
use super::rpc_conf::{FILES, NETWORK_TIMEOUT, RpcConf};
use super::spark_conf::SparkConf;
use super::suggest;
use super::timeout::RpcTimeout;
use super::translate_security::security;
use super::units::{self, SignedTime, SizeUnit, TimeUnit};
use super::validate;

impl RpcConf {
    /// Translates Spark's keys, and the additional ones listed in `docs/configuration.md`, and checks the
    /// result. What is not set keeps its default.
    ///
    /// Keys of Spark's without effect here are accepted and told by [`ignored`](Self::ignored); keys under
    /// `spark.rpc.` that nobody knows are told by [`warnings`](Self::warnings). Everything else in `spark` is
    /// left alone.
    ///
    /// Where authentication is switched on, the secret may also come from the environment variable
    /// `_SPARK_AUTH_SECRET`, by which Spark hands it to the processes that it starts.
    ///
    /// # Errors
    ///
    /// [`ConfError::Unreadable`] for the first value that is not of the form its key takes; otherwise as
    /// [`validate`](Self::validate). Both name the file and the line if the value was read from a file.
    pub fn from_spark(spark: &SparkConf) -> Result<Self, ConfError> {
        let mut reader = Reader {
            spark,
            warnings: Vec::new(),
        };
        let mut conf = Self {
            ask_timeout: reader.timeout("spark.rpc.askTimeout")?,
            lookup_timeout: reader.timeout("spark.rpc.lookupTimeout")?,
            transport: reader.transport("rpc")?,
            ..Self::default()
        };
        set(&mut conf.num_retries, spark.integer("spark.rpc.numRetries"))?;
        set(
            &mut conf.retry_wait,
            spark.time("spark.rpc.retry.wait", TimeUnit::Milliseconds),
        )?;
        if spark.contains("spark.testing") {
            conf.port_max_retries = 100;
        }
        set(&mut conf.port_max_retries, spark.integer("spark.port.maxRetries"))?;
        set(
            &mut conf.max_connecting,
            spark.integer("spark.rpc.connect.threads"),
        )?;
        conf.dispatcher_threads = reader.dispatcher_threads()?;
        set(
            &mut conf.concurrent_handlers,
            spark.integer("spark.rpc.concurrentHandlers"),
        )?;
        set(
            &mut conf.inbox.max_messages,
            spark.integer("spark.rpc.inbox.maxMessages"),
        )?;
        set(
            &mut conf.inbox.max_bytes,
            reader.bytes("spark.rpc.inbox.maxBytes"),
        )?;
        set(&mut conf.inbox.when_full, reader.when_full())?;
        set(
            &mut conf.outbox.max_messages,
            spark.integer("spark.rpc.outbox.maxMessages"),
        )?;
        set(
            &mut conf.outbox.max_bytes,
            reader.bytes("spark.rpc.outbox.maxBytes"),
        )?;
        set(
            &mut conf.drain_limit,
            spark.time("spark.rpc.shutdown.drainLimit", TimeUnit::Seconds),
        )?;
        set(
            &mut conf.file_checksums,
            spark.boolean("spark.rpc.files.checksum"),
        )?;
        set(&mut conf.metrics, spark.boolean("spark.rpc.metrics.enabled"))?;
        conf.seed = spark.read("spark.rpc.seed", "a whole number from 0 up to 2^64 - 1", |text| {
            text.trim().parse().ok()
        })?;
        set(
            &mut conf.task_message_max_bytes,
            spark.size("spark.rpc.message.maxSize", SizeUnit::MiB),
        )?;
        reader.check_io_mode()?;
        if spark.keys().any(|key| key.starts_with("spark.files.io.")) {
            conf.files = Some(transport_from_spark(spark, FILES)?);
        }
        conf.security = security(spark, |name| std::env::var_os(name), &mut reader.warnings)?;
        conf.validate().map_err(|error| error.located_in(spark))?;

        reader.warn_of_unknown();
        conf.notes.ignored = ignored(spark);
        conf.notes.warnings = reader.warnings;
        Ok(conf)
    }
}

/// Translates the keys `spark.<module>.io.*` of another transport module than `rpc`, and checks the result.
///
/// For the module `files`, of the client that downloads files, keys that are not set are taken from
/// `spark.rpc.io.*`, and idle connections are closed unless `spark.files.io.closeIdleConnections` says no.
/// Spark's `NettyRpcEnv.downloadClient`.
///
/// # Errors
///
/// As [`RpcConf::from_spark`].
pub fn transport_from_spark(spark: &SparkConf, module: &str) -> Result<TransportConf, ConfError> {
    let conf = Reader {
        spark,
        warnings: Vec::new(),
    }
    .transport(module)?;
    validate::check_transport(&conf).map_err(|error| error.located_in(spark))?;
    Ok(conf)
}

/// Reads keys and collects what is doubtful about them.
struct Reader<'c> {
    spark: &'c SparkConf,
    warnings: Vec<ConfWarning>,
}

impl Reader<'_> {
    fn timeout(&mut self, key: &'static str) -> Result<RpcTimeout, ConfError> {
        let timeout = RpcTimeout::from_first_set(self.spark, &[key, NETWORK_KEY], NETWORK_TIMEOUT)?;
        self.whole_seconds(&timeout.setting)?;
        Ok(timeout)
    }

    fn transport(&mut self, module: &str) -> Result<TransportConf, ConfError> {
        let spark = self.spark;
        let key = |name| io_key(spark, module, name);
        let mut conf = TransportConf {
            module: module.to_owned(),
            ..TransportConf::default()
        };

        set(&mut conf.connection_timeout, self.limit(NETWORK_KEY))?;
        set(
            &mut conf.connection_timeout,
            self.limit(&key("connectionTimeout")),
        )?;
        conf.connection_creation_timeout = conf.connection_timeout;
        set(
            &mut conf.connection_creation_timeout,
            self.limit(&key("connectionCreationTimeout")),
        )?;
        if module != "rpc" {
            set(
                &mut conf.connections_per_peer,
                spark.integer(&key("numConnectionsPerPeer")),
            )?;
        }
        set(&mut conf.backlog, self.unless_system(&key("backLog")))?;
        set(
            &mut conf.receive_buffer,
            self.unless_system(&key("receiveBuffer")),
        )?;
        set(&mut conf.send_buffer, self.unless_system(&key("sendBuffer")))?;
        set(&mut conf.keep_alive, spark.boolean(&key("enableTcpKeepAlive")))?;
        conf.congestion = spark.get(&key("congestion")).map(|name| name.trim().to_owned());
        if let Some(wait) = self.whole_seconds(&key("retryWait"))? {
            conf.retry_wait = wait;
        }
        conf.close_idle_connections = module == FILES && conf.connection_timeout.is_some();
        // A property of the module, so that `files` does not inherit it.
        let close_idle = format!("spark.{module}.io.closeIdleConnections");
        set(&mut conf.close_idle_connections, spark.boolean(&close_idle))?;
        set(&mut conf.max_frame_bytes, self.frame_size(&key("maxFrameSize")))?;
        if conf.max_frame_bytes < MAX_FRAME_BYTES {
            let frame = usize::try_from(conf.max_frame_bytes).unwrap_or(usize::MAX);
            conf.write_queue_max_bytes = conf.write_queue_max_bytes.max(frame);
        }
        set(
            &mut conf.write_queue_max_bytes,
            self.bytes(&key("writeQueue.maxBytes")),
        )?;
        set(
            &mut conf.write_queue_max_frames,
            spark.integer(&key("writeQueue.maxFrames")),
        )?;
        set(&mut conf.read_buffer, self.bytes(&key("readBuffer")))?;
        set(
            &mut conf.max_pending_requests,
            spark.integer(&key("maxPendingRequests")),
        )?;
        set(
            &mut conf.wakeups_per_batch,
            spark.integer(&key("wakeupsPerBatch")),
        )?;
        set(
            &mut conf.busy_poll,
            spark.time(&key("busyPoll"), TimeUnit::Microseconds),
        )?;
        set(
            &mut conf.max_connections,
            self.most_connections(&key("maxConnections")),
        )?;
        if let Some(most) = spark.integer::<i64>("spark.shuffle.maxChunksBeingTransferred")? {
            // Spark's default, the largest number there is, means no bound; so do all that no machine reaches.
            let bound = usize::try_from(most.max(0)).ok();
            conf.max_bodies_in_transfer = bound.filter(|_| most < i64::MAX);
        }
        if let Some(most) = self.bytes(&key("maxBytesInTransfer"))? {
            conf.max_bytes_in_transfer = Some(most as u64);
        }
        set(&mut conf.stream_window, self.bytes(&key("streamWindow")))?;
        set(&mut conf.zero_copy, spark.boolean(&key("zeroCopy")))?;
        set(
            &mut conf.close_timeout,
            spark.time(&key("closeTimeout"), TimeUnit::Seconds),
        )?;
        set(
            &mut conf.handshake_timeout,
            spark.time(&key("handshakeTimeout"), TimeUnit::Seconds),
        )?;
        set(
            &mut conf.max_unauthenticated,
            spark.integer(&key("maxUnauthenticated")),
        )?;
        set(
            &mut conf.max_unauthenticated_per_address,
            spark.integer(&key("maxUnauthenticatedPerAddress")),
        )?;
        Ok(conf)
    }

    /// Reads a time of which only whole seconds count, and warns if that makes a difference.
    fn whole_seconds(&mut self, key: &str) -> Result<Option<Duration>, ConfError> {
        let Some(time) = self.spark.time(key, TimeUnit::Seconds)? else {
            return Ok(None);
        };
        let whole = Duration::from_secs(time.as_secs());
        if whole != time {
            self.warn_of_fraction(key, format!("{whole:?}"));
        }
        Ok(Some(whole))
    }

    /// Reads a limit of whole seconds, where nothing and less than nothing switch it off.
    fn limit(&mut self, key: &str) -> Result<Option<Option<Duration>>, ConfError> {
        let time = match self.spark.signed_time(key, TimeUnit::Seconds)? {
            None => return Ok(None),
            Some(SignedTime::Negative) => return Ok(Some(None)),
            Some(SignedTime::Positive(time)) => time,
        };
        let whole = Duration::from_secs(time.as_secs());
        let limit = (!whole.is_zero()).then_some(whole);
        if whole != time {
            let counts_as = limit.map_or("0, which is off".to_owned(), |whole| format!("{whole:?}"));
            self.warn_of_fraction(key, counts_as);
        }
        Ok(Some(limit))
    }

    fn warn_of_fraction(&mut self, key: &str, counts_as: String) {
        let value = self.spark.get(key).unwrap_or_default().to_owned();
        let warning = ConfWarning::Truncated {
            key: key.to_owned(),
            value,
            counts_as,
        };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Reads a number of which 0 and less leave the choice to the system.
    fn unless_system(&self, key: &str) -> Result<Option<Option<u32>>, ConfError> {
        let number: Option<i32> = self.spark.integer(key)?;
        Ok(number.map(|number| u32::try_from(number).ok().filter(|number| *number > 0)))
    }

    fn bytes(&self, key: &str) -> Result<Option<usize>, ConfError> {
        let expected = "a size like 512b, 64k, 2m or 1g (a bare number means bytes)";
        self.spark.read(key, expected, |text| {
            usize::try_from(units::parse_size(text, SizeUnit::Bytes)?).ok()
        })
    }

    fn frame_size(&self, key: &str) -> Result<Option<u32>, ConfError> {
        let expected = "a size from 1k to 2147483646, like 64m (a bare number means bytes)";
        self.spark.read(key, expected, |text| {
            u32::try_from(units::parse_size(text, SizeUnit::Bytes)?).ok()
        })
    }

    fn most_connections(&self, key: &str) -> Result<Option<Option<usize>>, ConfError> {
        self.spark.read(
            key,
            "a whole number of at least 1, or -1 for no bound",
            |text| match text.trim() {
                "-1" => Some(None),
                number => Some(Some(number.parse().ok()?)),
            },
        )
    }

    fn dispatcher_threads(&self) -> Result<Option<usize>, ConfError> {
        let general = "spark.rpc.netty.dispatcher.numThreads";
        let of_role = match self.spark.get("spark.executor.id") {
            None => None,
            Some("driver") => self
                .spark
                .integer("spark.driver.rpc.netty.dispatcher.numThreads")?,
            Some(_) => self
                .spark
                .integer("spark.executor.rpc.netty.dispatcher.numThreads")?,
        };
        match of_role {
            Some(threads) => Ok(Some(threads)),
            None => self.spark.integer(general),
        }
    }

    fn when_full(&self) -> Result<Option<WhenFull>, ConfError> {
        let (mode, limit) = ("spark.rpc.inbox.whenFull", "spark.rpc.inbox.waitLimit");
        let reject = self
            .spark
            .read(mode, "wait or reject", |text| match text.trim() {
                text if text.eq_ignore_ascii_case("reject") => Some(true),
                text if text.eq_ignore_ascii_case("wait") => Some(false),
                _ => None,
            })?;
        let up_to = self.spark.time(limit, TimeUnit::Seconds)?;
        match (reject, up_to) {
            (Some(true), Some(_)) => {
                let contradiction = ConfError::Contradiction {
                    setting: Box::new(Written::new(limit, self.spark.get(limit).unwrap_or_default())),
                    other: Box::new(Written::new(mode, "reject")),
                    why: "a message that is rejected does not wait",
                };
                Err(contradiction.located_in(self.spark))
            }
            (Some(true), None) => Ok(Some(WhenFull::Reject)),
            (_, Some(up_to)) => Ok(Some(WhenFull::Wait { up_to })),
            (_, None) => Ok(None),
        }
    }

    /// Refuses what Spark would refuse, although nothing depends on it.
    fn check_io_mode(&self) -> Result<(), ConfError> {
        for key in ["spark.io.mode.default", "spark.rpc.io.mode"] {
            self.spark.read(key, "NIO, EPOLL, KQUEUE or AUTO", |text| {
                let known = ["NIO", "EPOLL", "KQUEUE", "AUTO"];
                known
                    .iter()
                    .any(|mode| text.trim().eq_ignore_ascii_case(mode))
                    .then_some(())
            })?;
        }
        Ok(())
    }

    fn warn_of_unknown(&mut self) {
        let names = || known_keys().iter().map(|key| key.name);
        for key in self.spark.keys() {
            let ours = ["spark.rpc.", "spark.driver.rpc.", "spark.executor.rpc."];
            if ours.iter().any(|prefix| key.starts_with(prefix)) && !names().any(|name| name == key) {
                let suggestion = suggest::closest(key, names());
                self.warnings.push(ConfWarning::UnknownKey {
                    key: key.to_owned(),
                    suggestion,
                });
            }
        }
    }
}

/// Puts a value into its field if it was set.
fn set<T>(field: &mut T, read: Result<Option<T>, ConfError>) -> Result<(), ConfError> {
    if let Some(value) = read? {
        *field = value;
    }
    Ok(())
}

/// Returns the key under which a module's setting is to be read.
fn io_key(spark: &SparkConf, module: &str, name: &str) -> String {
    let own = format!("spark.{module}.io.{name}");
    if module == FILES && !spark.contains(&own) {
        return format!("spark.rpc.io.{name}");
    }
    own
}

fn ignored(spark: &SparkConf) -> Vec<IgnoredKey> {
    let set = known_keys()
        .iter()
        .filter(|key| key.effect == Effect::Ignored && spark.contains(key.name));
    set.map(|key| IgnoredKey {
        key: key.name,
        reason: key.meaning,
    })
    .collect()
}

const NETWORK_KEY: &str = "spark.network.timeout";

#[cfg(test)]
#[path = "translate_tests.rs"]
mod tests;
