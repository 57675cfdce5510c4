//! The settings of one transport module, as plain values.
//!
//! Nothing here knows how settings are written down: Spark's keys are translated by the crate above. The key
//! that belongs to a field is named in its documentation with `<m>` for the module, as in Spark's
//! `TransportConf`.

use std::time::Duration;

/// The largest frame that Spark's decoder takes, in bytes: `i32::MAX - 1`.
pub const MAX_FRAME_BYTES: u32 = 2_147_483_646;

/// The longest time a setting may name: 100 years of 365 days.
///
/// Far beyond any use, and small enough that adding it to the present never overflows a clock.
pub const MAX_TIME: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Settings of one transport module: its sockets, its queues and its time limits.
///
/// The fields are public; start from [`TransportConf::default`] and change what differs. Whoever builds a
/// server or a client from it calls [`validate`](Self::validate) once.
///
/// # Examples
///
/// ```
/// use spark_rpc_transport::TransportConf;
///
/// let conf = TransportConf { max_connections: Some(100), ..TransportConf::default() };
/// assert_eq!(conf.validate(), Ok(()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportConf {
    /// Name of the module, the `<m>` of its keys. Default `rpc`.
    pub module: String,

    /// How long a connection may be silent while requests are outstanding; `None` never cuts it.
    ///
    /// Default 120 s. Spark key `spark.<m>.io.connectionTimeout`, where 0 and less mean `None`.
    pub connection_timeout: Option<Duration>,

    /// Time limit for establishing a connection; `None` leaves it to the operating system.
    ///
    /// Default 120 s. Spark key `spark.<m>.io.connectionCreationTimeout`, where 0 and less mean `None`.
    pub connection_creation_timeout: Option<Duration>,

    /// Pooled connections per remote address, at least 1. An RPC env always uses 1, which keeps the order of
    /// its messages.
    ///
    /// Default 1. Spark key `spark.<m>.io.numConnectionsPerPeer`.
    pub connections_per_peer: usize,

    /// Connections that may wait for being accepted; `None` takes the system's choice.
    ///
    /// Default `None`. Spark key `spark.<m>.io.backLog`, where 0 and less mean `None`.
    pub backlog: Option<u32>,

    /// Size of the socket's receive buffer in bytes; `None` takes the system's choice.
    ///
    /// Default `None`. Spark key `spark.<m>.io.receiveBuffer`, where 0 and less mean `None`.
    pub receive_buffer: Option<u32>,

    /// Size of the socket's send buffer in bytes; `None` takes the system's choice.
    ///
    /// Default `None`. Spark key `spark.<m>.io.sendBuffer`, where 0 and less mean `None`.
    pub send_buffer: Option<u32>,

    /// Whether accepted connections use TCP keep-alive. Connections that this side opens always do.
    ///
    /// Default `false`. Spark key `spark.<m>.io.enableTcpKeepAlive`.
    pub keep_alive: bool,

    /// Name of the TCP congestion control, such as `bbr`; `None` takes the system's choice.
    ///
    /// Default `None`. Key `spark.<m>.io.congestion`, not Spark's.
    pub congestion: Option<String>,

    /// Pause between two attempts at the same peer. A caller that asks for it fails at once within
    /// [`fast_fail_window`](Self::fast_fail_window) after a failed connect.
    ///
    /// Default 5 s. Spark key `spark.<m>.io.retryWait`.
    pub retry_wait: Duration,

    /// Whether connections with nothing outstanding are closed after
    /// [`connection_timeout`](Self::connection_timeout) too. RPC connections live on, downloads do not.
    ///
    /// Default `false`. Key `spark.<m>.io.closeIdleConnections`; in Spark a flag of `TransportContext` without
    /// a key.
    pub close_idle_connections: bool,

    /// Largest frame accepted from a peer, in bytes, header included; 1 KiB to [`MAX_FRAME_BYTES`].
    ///
    /// Default [`MAX_FRAME_BYTES`], which is what Spark accepts. Key `spark.<m>.io.maxFrameSize`, not Spark's.
    pub max_frame_bytes: u32,

    /// Bytes that may wait for one connection's socket, at least 1.
    ///
    /// A single frame longer than this is let in when nothing else waits; it could never be sent otherwise. Answers are
    /// never refused: when they alone exceed this, nothing more is read from the peer.
    ///
    /// Default 64 MiB. Key `spark.<m>.io.writeQueue.maxBytes`, not Spark's.
    pub write_queue_max_bytes: usize,

    /// Frames that may wait for one connection's socket, at least 1.
    ///
    /// Default 1 048 576. Key `spark.<m>.io.writeQueue.maxFrames`, not Spark's.
    pub write_queue_max_frames: usize,

    /// Bytes that one read asks of the socket, 1 KiB to 64 MiB.
    ///
    /// Default 256 KiB. Key `spark.<m>.io.readBuffer`, not Spark's.
    pub read_buffer: usize,

    /// Requests that may be outstanding on one connection, at least 1.
    ///
    /// Default 1 048 576. Key `spark.<m>.io.maxPendingRequests`, not Spark's.
    pub max_pending_requests: usize,

    /// Waiting tasks that a reader wakes before it lets them run, at least 1.
    ///
    /// Default 128. Key `spark.<m>.io.wakeupsPerBatch`, not Spark's.
    pub wakeups_per_batch: usize,

    /// How long a connection keeps trying to read before it waits for the system to wake it; up to 1 s.
    /// Costs processor time and saves latency.
    ///
    /// Default 0, which is off. Key `spark.<m>.io.busyPoll`, not Spark's.
    pub busy_poll: Duration,

    /// Accepted connections that may be open at once; `None` sets no bound.
    ///
    /// Default 65 536. Key `spark.<m>.io.maxConnections`, not Spark's, where -1 means `None`.
    pub max_connections: Option<usize>,

    /// Chunks and streams that this side may be sending at once, over all connections of a context; a peer that asks for
    /// one more loses its connection. `None` sets no bound. Bodies of up to 32 KiB are copied into the write queue and
    /// count there instead.
    ///
    /// Default `None`. Spark key `spark.shuffle.maxChunksBeingTransferred`.
    pub max_bodies_in_transfer: Option<usize>,

    /// Bytes of chunks and streams that this side may be sending at once, over all connections of a context; a peer that
    /// asks while so many are under way loses its connection. A body counts whole until it has left whole; one that is
    /// opened or computed when its turn comes counts from then on. `None` sets no bound.
    ///
    /// Default `None`. Key `spark.<m>.io.maxBytesInTransfer`, not Spark's.
    pub max_bytes_in_transfer: Option<u64>,

    /// Bytes of an arriving stream that may wait for its reader before the connection stops reading, at least 1.
    ///
    /// Default 4 MiB. Key `spark.<m>.io.streamWindow`, not Spark's.
    pub stream_window: usize,

    /// Whether the system sends files by itself where it can (`sendfile`, `splice`). That costs a fraction of the processor
    /// time. But what is on its way is then still the file's: if a file is cut short in place, that is sent as zeros
    /// before the connection ends. Files that are replaced by renaming are safe either way.
    ///
    /// Default `true`. Key `spark.<m>.io.zeroCopy`, not Spark's.
    pub zero_copy: bool,

    /// How long closing waits for what is already queued, and for the peer, before the socket is dropped.
    ///
    /// Default 10 s, the time that Spark's `TransportClient.close` waits. Key `spark.<m>.io.closeTimeout`, not
    /// Spark's.
    pub close_timeout: Duration,

    /// How long an accepted connection may take to authenticate; more than 0.
    ///
    /// Default 30 s. Key `spark.<m>.io.handshakeTimeout`, not Spark's.
    pub handshake_timeout: Duration,

    /// Accepted connections that may be about to authenticate at once, at least 1; further ones are closed. Counted
    /// where there is something to pass.
    ///
    /// Default 4096. Key `spark.<m>.io.maxUnauthenticated`, not Spark's.
    pub max_unauthenticated: usize,

    /// The same for those from one address.
    ///
    /// Default 1024. Key `spark.<m>.io.maxUnauthenticatedPerAddress`, not Spark's.
    pub max_unauthenticated_per_address: usize,
}

impl TransportConf {
    /// Returns the key of one of this module's settings: `spark.<m>.io.<name>`.
    ///
    /// For errors that tell the user which setting to change.
    pub fn key(&self, name: &str) -> String {
        format!("spark.{}.io.{name}", self.module)
    }

    /// Returns for how long after a failed connect a caller that asked for it fails at once: 95 % of
    /// [`retry_wait`](Self::retry_wait), as in Spark's `TransportClientFactory`.
    pub fn fast_fail_window(&self) -> Duration {
        let window = self.retry_wait.as_nanos() * 95 / 100;
        // Saturates only far beyond `MAX_TIME`, which `validate` has refused.
        Duration::from_nanos(u64::try_from(window).unwrap_or(u64::MAX))
    }

    /// Checks every field, and the fields against each other.
    ///
    /// # Errors
    ///
    /// Returns the first [`InvalidConf`] found, in the order of the fields; contradictions come last.
    pub fn validate(&self) -> Result<(), InvalidConf> {
        let ok = !self.module.is_empty() && self.module.bytes().all(|b| b.is_ascii_alphanumeric());
        check("module", &self.module, ok, "a name of letters and digits")?;
        check_limit("connection_timeout", self.connection_timeout)?;
        check_limit("connection_creation_timeout", self.connection_creation_timeout)?;
        check_positive("connections_per_peer", self.connections_per_peer)?;
        for (field, value) in [
            ("backlog", self.backlog),
            ("receive_buffer", self.receive_buffer),
            ("send_buffer", self.send_buffer),
        ] {
            let value = value.unwrap_or(1);
            let ok = value > 0 && i32::try_from(value).is_ok();
            check(
                field,
                value,
                ok,
                "1 to 2147483647, or none for the system's choice",
            )?;
        }
        if let Some(name) = &self.congestion {
            // The kernel's names are at most 15 bytes long (TCP_CA_NAME_MAX counts the final zero).
            let ok = matches!(name.len(), 1..=15) && name.bytes().all(|b| b.is_ascii_graphic());
            check(
                "congestion",
                name,
                ok,
                "the name of a congestion control, 1 to 15 characters",
            )?;
        }
        check_time("retry_wait", self.retry_wait)?;
        let ok = (MIN_FRAME_BYTES..=MAX_FRAME_BYTES).contains(&self.max_frame_bytes);
        check(
            "max_frame_bytes",
            self.max_frame_bytes,
            ok,
            "1024 to 2147483646 bytes",
        )?;
        check_positive("write_queue_max_bytes", self.write_queue_max_bytes)?;
        check_positive("write_queue_max_frames", self.write_queue_max_frames)?;
        let ok = (READ_BUFFER_MIN..=READ_BUFFER_MAX).contains(&self.read_buffer);
        check("read_buffer", self.read_buffer, ok, "1024 to 67108864 bytes")?;
        check_positive("max_pending_requests", self.max_pending_requests)?;
        check_positive("wakeups_per_batch", self.wakeups_per_batch)?;
        let ok = self.busy_poll <= BUSY_POLL_MAX;
        check(
            "busy_poll",
            format_args!("{:?}", self.busy_poll),
            ok,
            "at most 1 s",
        )?;
        if let Some(most) = self.max_connections {
            check_positive("max_connections", most)?;
        }
        if let Some(most) = self.max_bodies_in_transfer {
            check_positive("max_bodies_in_transfer", most)?;
        }
        if let Some(most) = self.max_bytes_in_transfer {
            check_positive(
                "max_bytes_in_transfer",
                usize::try_from(most).unwrap_or(usize::MAX),
            )?;
        }
        check_positive("stream_window", self.stream_window)?;
        check_time("close_timeout", self.close_timeout)?;
        check_limit("handshake_timeout", Some(self.handshake_timeout))?;
        check_positive("max_unauthenticated", self.max_unauthenticated)?;
        check_positive(
            "max_unauthenticated_per_address",
            self.max_unauthenticated_per_address,
        )?;
        self.check_relations()
    }

    fn check_relations(&self) -> Result<(), InvalidConf> {
        // At Spark's own ceiling nobody has said how long frames get, so there is nothing to contradict.
        let frame_chosen = self.max_frame_bytes < MAX_FRAME_BYTES;
        let frame = usize::try_from(self.max_frame_bytes).unwrap_or(usize::MAX);
        if frame_chosen && self.write_queue_max_bytes < frame {
            return Err(InvalidConf::Contradiction {
                field: "write_queue_max_bytes",
                value: self.write_queue_max_bytes.to_string(),
                other: "max_frame_bytes",
                other_value: self.max_frame_bytes.to_string(),
                why: "the write queue could not hold one frame of the largest size",
            });
        }
        if self.close_idle_connections && self.connection_timeout.is_none() {
            return Err(InvalidConf::Contradiction {
                field: "close_idle_connections",
                value: "true".to_owned(),
                other: "connection_timeout",
                other_value: "none".to_owned(),
                why: "without that limit no connection ever counts as idle",
            });
        }
        Ok(())
    }
}

impl Default for TransportConf {
    fn default() -> Self {
        Self {
            module: "rpc".to_owned(),
            connection_timeout: Some(Duration::from_secs(120)),
            connection_creation_timeout: Some(Duration::from_secs(120)),
            connections_per_peer: 1,
            backlog: None,
            receive_buffer: None,
            send_buffer: None,
            keep_alive: false,
            congestion: None,
            retry_wait: Duration::from_secs(5),
            close_idle_connections: false,
            max_frame_bytes: MAX_FRAME_BYTES,
            write_queue_max_bytes: 64 << 20,
            write_queue_max_frames: 1 << 20,
            read_buffer: 256 << 10,
            max_pending_requests: 1 << 20,
            wakeups_per_batch: 128,
            busy_poll: Duration::ZERO,
            max_connections: Some(65_536),
            max_bodies_in_transfer: None,
            max_bytes_in_transfer: None,
            stream_window: 4 << 20,
            zero_copy: true,
            close_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(30),
            max_unauthenticated: 4096,
            max_unauthenticated_per_address: 1024,
        }
    }
}

/// Why a [`TransportConf`] cannot be used. Always the doing of whoever made the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConf {
    /// One field has a value outside its range.
    #[error("{field} is {value}, expected {expected}")]
    OutOfRange {
        /// Name of the field in [`TransportConf`].
        field: &'static str,
        /// Its value.
        value: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// Two fields cannot both have the values they have.
    #[error("{field} = {value} contradicts {other} = {other_value}: {why}")]
    Contradiction {
        /// Name of the first field in [`TransportConf`].
        field: &'static str,
        /// Its value.
        value: String,
        /// Name of the field that it contradicts.
        other: &'static str,
        /// The value of that one.
        other_value: String,
        /// What would go wrong.
        why: &'static str,
    },
}

fn check(
    field: &'static str,
    value: impl std::fmt::Display,
    ok: bool,
    expected: &'static str,
) -> Result<(), InvalidConf> {
    if ok {
        return Ok(());
    }
    Err(InvalidConf::OutOfRange {
        field,
        value: value.to_string(),
        expected,
    })
}

fn check_positive(field: &'static str, value: usize) -> Result<(), InvalidConf> {
    check(field, value, value > 0, "at least 1")
}

fn check_time(field: &'static str, value: Duration) -> Result<(), InvalidConf> {
    check(
        field,
        format_args!("{value:?}"),
        value <= MAX_TIME,
        "at most 100 years",
    )
}

fn check_limit(field: &'static str, value: Option<Duration>) -> Result<(), InvalidConf> {
    let Some(value) = value else { return Ok(()) };
    let expected = "more than 0 (none switches the limit off)";
    check(field, format_args!("{value:?}"), !value.is_zero(), expected)?;
    check_time(field, value)
}

/// Below this not even a frame that only carries an error text would pass.
const MIN_FRAME_BYTES: u32 = 1024;

const READ_BUFFER_MIN: usize = 1 << 10;
const READ_BUFFER_MAX: usize = 64 << 20;

const BUSY_POLL_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(change: impl FnOnce(&mut TransportConf)) -> Result<(), InvalidConf> {
        let mut conf = TransportConf::default();
        change(&mut conf);
        conf.validate()
    }

    fn refused_field(change: impl FnOnce(&mut TransportConf)) -> &'static str {
        match changed(change).expect_err("this value is out of range") {
            InvalidConf::OutOfRange { field, .. } => field,
            other => panic!("expected a range, got {other}"),
        }
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(TransportConf::default().validate(), Ok(()));
    }

    #[test]
    fn a_value_out_of_range_is_refused_by_the_name_of_its_field() {
        let too_long = MAX_TIME + Duration::from_nanos(1);
        assert_eq!(refused_field(|c| c.module.clear()), "module");
        assert_eq!(refused_field(|c| c.module = "a.b".into()), "module");
        assert_eq!(
            refused_field(|c| c.connection_timeout = Some(Duration::ZERO)),
            "connection_timeout"
        );
        assert_eq!(
            refused_field(|c| c.connection_timeout = Some(too_long)),
            "connection_timeout"
        );
        assert_eq!(
            refused_field(|c| c.connection_creation_timeout = Some(Duration::ZERO)),
            "connection_creation_timeout"
        );
        assert_eq!(
            refused_field(|c| c.connections_per_peer = 0),
            "connections_per_peer"
        );
        assert_eq!(refused_field(|c| c.backlog = Some(0)), "backlog");
        assert_eq!(
            refused_field(|c| c.receive_buffer = Some(1 << 31)),
            "receive_buffer"
        );
        assert_eq!(refused_field(|c| c.send_buffer = Some(0)), "send_buffer");
        assert_eq!(
            refused_field(|c| c.congestion = Some(String::new())),
            "congestion"
        );
        assert_eq!(
            refused_field(|c| c.congestion = Some("x".repeat(16))),
            "congestion"
        );
        assert_eq!(refused_field(|c| c.retry_wait = too_long), "retry_wait");
        assert_eq!(refused_field(|c| c.max_frame_bytes = 1023), "max_frame_bytes");
        assert_eq!(
            refused_field(|c| c.max_frame_bytes = MAX_FRAME_BYTES + 1),
            "max_frame_bytes"
        );
        assert_eq!(
            refused_field(|c| c.write_queue_max_bytes = 0),
            "write_queue_max_bytes"
        );
        assert_eq!(
            refused_field(|c| c.write_queue_max_frames = 0),
            "write_queue_max_frames"
        );
        assert_eq!(refused_field(|c| c.read_buffer = 1), "read_buffer");
        assert_eq!(
            refused_field(|c| c.max_pending_requests = 0),
            "max_pending_requests"
        );
        assert_eq!(refused_field(|c| c.wakeups_per_batch = 0), "wakeups_per_batch");
        assert_eq!(
            refused_field(|c| c.busy_poll = Duration::from_secs(2)),
            "busy_poll"
        );
        assert_eq!(refused_field(|c| c.max_connections = Some(0)), "max_connections");
        assert_eq!(
            refused_field(|c| c.max_bodies_in_transfer = Some(0)),
            "max_bodies_in_transfer"
        );
        assert_eq!(
            refused_field(|c| c.max_bytes_in_transfer = Some(0)),
            "max_bytes_in_transfer"
        );
        assert_eq!(refused_field(|c| c.stream_window = 0), "stream_window");
        assert_eq!(refused_field(|c| c.close_timeout = too_long), "close_timeout");
    }

    #[test]
    fn limits_may_be_switched_off() {
        assert_eq!(
            changed(|c| {
                c.connection_timeout = None;
                c.connection_creation_timeout = None;
                c.max_connections = None;
            }),
            Ok(())
        );
    }

    #[test]
    fn a_write_queue_that_cannot_hold_the_largest_frame_is_refused() {
        let refused = changed(|c| {
            c.max_frame_bytes = 1 << 20;
            c.write_queue_max_bytes = 1 << 19;
        });
        let text = refused.expect_err("half a frame").to_string();
        assert!(
            text.starts_with("write_queue_max_bytes = 524288 contradicts max_frame_bytes = 1048576"),
            "{text}"
        );

        let fits = changed(|c| {
            c.max_frame_bytes = 1 << 20;
            c.write_queue_max_bytes = 1 << 20;
        });
        assert_eq!(fits, Ok(()));
    }

    #[test]
    fn closing_idle_connections_needs_a_limit_for_being_idle() {
        let refused = changed(|c| {
            c.close_idle_connections = true;
            c.connection_timeout = None;
        });
        let text = refused.expect_err("nothing measures idleness").to_string();
        assert!(
            text.starts_with("close_idle_connections = true contradicts connection_timeout = none"),
            "{text}"
        );
        assert_eq!(changed(|c| c.close_idle_connections = true), Ok(()));
    }

    #[test]
    fn the_fast_fail_window_is_95_percent_of_the_retry_wait() {
        assert_eq!(
            TransportConf::default().fast_fail_window(),
            Duration::from_millis(4750)
        );
    }

    #[test]
    fn a_key_carries_the_name_of_the_module() {
        let conf = TransportConf {
            module: "files".to_owned(),
            ..TransportConf::default()
        };
        assert_eq!(conf.key("connectionTimeout"), "spark.files.io.connectionTimeout");
    }
}
