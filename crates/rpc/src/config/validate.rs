//! Every field checked, and the fields against each other.

use std::fmt::Display;
use std::time::Duration;

use spark_rpc_transport::{InvalidConf, MAX_TIME, TransportConf};

use super::bounds::WhenFull;
use super::error::{ConfError, Written};
use super::rpc_conf::RpcConf;
use super::timeout::RpcTimeout;

impl RpcConf {
    /// Checks every field, and the fields against each other. Whatever needs settings calls this once, at its
    /// start. What is allowed but doubtful is told by [`warnings`](Self::warnings) instead.
    ///
    /// # Errors
    ///
    /// The first [`ConfError::OutOfRange`] or [`ConfError::Contradiction`] found. Both name Spark's keys, also
    /// for settings made in code.
    pub fn validate(&self) -> Result<(), ConfError> {
        check_timeout(&self.ask_timeout)?;
        check_timeout(&self.lookup_timeout)?;
        check_positive("spark.rpc.numRetries", self.num_retries as usize)?;
        check_time("spark.rpc.retry.wait", self.retry_wait)?;
        check_positive("spark.rpc.connect.threads", self.max_connecting)?;
        if let Some(threads) = self.dispatcher_threads {
            let ok = (1..=MAX_THREADS).contains(&threads);
            check("spark.rpc.netty.dispatcher.numThreads", threads, ok, "1 to 4096")?;
        }
        check_positive("spark.rpc.concurrentHandlers", self.concurrent_handlers)?;
        check_positive("spark.rpc.inbox.maxMessages", self.inbox.max_messages)?;
        check_positive("spark.rpc.inbox.maxBytes", self.inbox.max_bytes)?;
        if let WhenFull::Wait { up_to } = self.inbox.when_full {
            let ok = !up_to.is_zero();
            check(
                "spark.rpc.inbox.waitLimit",
                shown(up_to),
                ok,
                "more than 0 (or whenFull = reject)",
            )?;
            check_time("spark.rpc.inbox.waitLimit", up_to)?;
        }
        check_positive("spark.rpc.outbox.maxMessages", self.outbox.max_messages)?;
        check_positive("spark.rpc.outbox.maxBytes", self.outbox.max_bytes)?;
        check_time("spark.rpc.shutdown.drainLimit", self.drain_limit)?;
        let bytes = self.task_message_max_bytes;
        check(
            "spark.rpc.message.maxSize",
            bytes,
            bytes <= MAX_TASK_MESSAGE,
            "at most 2047 MiB",
        )?;
        check_transport(&self.transport)?;
        check_transport(&self.file_transport())?;
        self.security.check()?;
        // More connections to one peer would let a later message overtake an earlier one.
        let per_peer = self.transport.connections_per_peer;
        let key = self.transport.key("numConnectionsPerPeer");
        check(
            &key,
            per_peer,
            per_peer == 1,
            "1, which keeps the messages of an env in order",
        )
    }
}

/// Checks transport settings and names their keys in the error.
pub(super) fn check_transport(conf: &TransportConf) -> Result<(), ConfError> {
    let named = |field| transport_key(conf, field);
    conf.validate().map_err(|invalid| match invalid {
        InvalidConf::Contradiction {
            field,
            value,
            other,
            other_value,
            why,
        } => ConfError::Contradiction {
            setting: Box::new(Written::new(named(field), value)),
            other: Box::new(Written::new(named(other), other_value)),
            why,
        },
        InvalidConf::OutOfRange {
            field,
            value,
            expected,
        } => ConfError::OutOfRange {
            setting: named(field),
            value,
            expected,
            origin: None,
        },
        // The enum may grow; until this names the new fact's keys, its own sentence does.
        other => ConfError::OutOfRange {
            setting: format!("spark.{}.io", conf.module),
            value: other.to_string(),
            expected: "valid transport settings",
            origin: None,
        },
    })
}

/// Returns the key of a field of [`TransportConf`], or the field's own name if it has no key.
fn transport_key(conf: &TransportConf, field: &str) -> String {
    match TRANSPORT_KEYS.iter().find(|(known, _)| *known == field) {
        Some((_, name)) if name.starts_with("spark.") => (*name).to_owned(),
        Some((_, name)) => conf.key(name),
        None => field.to_owned(),
    }
}

fn check(setting: &str, value: impl Display, ok: bool, expected: &'static str) -> Result<(), ConfError> {
    if ok {
        return Ok(());
    }
    Err(ConfError::OutOfRange {
        setting: setting.to_owned(),
        value: value.to_string(),
        expected,
        origin: None,
    })
}

fn check_positive(setting: &str, value: usize) -> Result<(), ConfError> {
    check(setting, value, value > 0, "at least 1")
}

fn check_time(setting: &str, value: Duration) -> Result<(), ConfError> {
    check(setting, shown(value), value <= MAX_TIME, "at most 100 years")
}

fn check_timeout(timeout: &RpcTimeout) -> Result<(), ConfError> {
    let ok = !timeout.duration.is_zero();
    let expected = "more than 0 (of a setting in text only whole seconds count)";
    check(&timeout.setting, shown(timeout.duration), ok, expected)?;
    check_time(&timeout.setting, timeout.duration)
}

fn shown(value: Duration) -> String {
    if value.is_zero() {
        "0s".to_owned()
    } else {
        format!("{value:?}")
    }
}

/// The fields of [`TransportConf`] that have a key, with the last part of it, or with all of it if it belongs to no module.
const TRANSPORT_KEYS: [(&str, &str); 26] = [
    ("connection_timeout", "connectionTimeout"),
    ("connection_creation_timeout", "connectionCreationTimeout"),
    ("connections_per_peer", "numConnectionsPerPeer"),
    ("backlog", "backLog"),
    ("receive_buffer", "receiveBuffer"),
    ("send_buffer", "sendBuffer"),
    ("keep_alive", "enableTcpKeepAlive"),
    ("congestion", "congestion"),
    ("retry_wait", "retryWait"),
    ("close_idle_connections", "closeIdleConnections"),
    ("max_frame_bytes", "maxFrameSize"),
    ("write_queue_max_bytes", "writeQueue.maxBytes"),
    ("write_queue_max_frames", "writeQueue.maxFrames"),
    ("read_buffer", "readBuffer"),
    ("max_pending_requests", "maxPendingRequests"),
    ("wakeups_per_batch", "wakeupsPerBatch"),
    ("busy_poll", "busyPoll"),
    ("max_connections", "maxConnections"),
    (
        "max_bodies_in_transfer",
        "spark.shuffle.maxChunksBeingTransferred",
    ),
    ("max_bytes_in_transfer", "maxBytesInTransfer"),
    ("stream_window", "streamWindow"),
    ("zero_copy", "zeroCopy"),
    ("close_timeout", "closeTimeout"),
    ("handshake_timeout", "handshakeTimeout"),
    ("max_unauthenticated", "maxUnauthenticated"),
    ("max_unauthenticated_per_address", "maxUnauthenticatedPerAddress"),
];

/// Far more threads than serve any purpose, far fewer than exhaust a machine.
const MAX_THREADS: usize = 4096;

/// Spark's bound: the size in bytes has to fit a Java `int`.
const MAX_TASK_MESSAGE: u64 = 2047 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(change: impl FnOnce(&mut RpcConf)) -> Result<(), ConfError> {
        let mut conf = RpcConf::default();
        change(&mut conf);
        conf.validate()
    }

    fn refused(change: impl FnOnce(&mut RpcConf)) -> String {
        match changed(change).expect_err("this value is out of range") {
            ConfError::OutOfRange { setting, .. } => setting,
            other => panic!("expected a range, got {other}"),
        }
    }

    #[test]
    fn the_defaults_are_valid() {
        RpcConf::default().validate().unwrap();
    }

    #[test]
    fn a_value_out_of_range_is_refused_by_the_name_of_its_key() {
        let too_long = MAX_TIME + Duration::from_nanos(1);
        assert_eq!(
            refused(|c| c.ask_timeout.duration = Duration::ZERO),
            "spark.rpc.askTimeout"
        );
        assert_eq!(
            refused(|c| c.ask_timeout.duration = too_long),
            "spark.rpc.askTimeout"
        );
        assert_eq!(
            refused(|c| c.lookup_timeout = RpcTimeout::new(Duration::ZERO, "spark.network.timeout")),
            "spark.network.timeout"
        );
        assert_eq!(refused(|c| c.num_retries = 0), "spark.rpc.numRetries");
        assert_eq!(refused(|c| c.retry_wait = too_long), "spark.rpc.retry.wait");
        assert_eq!(refused(|c| c.max_connecting = 0), "spark.rpc.connect.threads");
        assert_eq!(
            refused(|c| c.dispatcher_threads = Some(0)),
            "spark.rpc.netty.dispatcher.numThreads"
        );
        assert_eq!(
            refused(|c| c.dispatcher_threads = Some(4097)),
            "spark.rpc.netty.dispatcher.numThreads"
        );
        assert_eq!(
            refused(|c| c.concurrent_handlers = 0),
            "spark.rpc.concurrentHandlers"
        );
        assert_eq!(
            refused(|c| c.inbox.max_messages = 0),
            "spark.rpc.inbox.maxMessages"
        );
        assert_eq!(refused(|c| c.inbox.max_bytes = 0), "spark.rpc.inbox.maxBytes");
        let wait = |up_to| refused(|c| c.inbox.when_full = WhenFull::Wait { up_to });
        assert_eq!(wait(Duration::ZERO), "spark.rpc.inbox.waitLimit");
        assert_eq!(wait(too_long), "spark.rpc.inbox.waitLimit");
        assert_eq!(
            refused(|c| c.outbox.max_messages = 0),
            "spark.rpc.outbox.maxMessages"
        );
        assert_eq!(refused(|c| c.outbox.max_bytes = 0), "spark.rpc.outbox.maxBytes");
        assert_eq!(
            refused(|c| c.drain_limit = too_long),
            "spark.rpc.shutdown.drainLimit"
        );
        assert_eq!(
            refused(|c| c.task_message_max_bytes = 2 << 30),
            "spark.rpc.message.maxSize"
        );
        assert_eq!(
            refused(|c| c.transport.connections_per_peer = 2),
            "spark.rpc.io.numConnectionsPerPeer"
        );
    }

    #[test]
    fn a_fault_of_the_transport_is_named_by_its_key() {
        assert_eq!(
            refused(|c| c.transport.wakeups_per_batch = 0),
            "spark.rpc.io.wakeupsPerBatch"
        );
        assert_eq!(refused(|c| c.transport.module.clear()), "module", "it has no key");

        let error = changed(|c| {
            c.transport.max_frame_bytes = 1 << 20;
            c.transport.write_queue_max_bytes = 1 << 10;
        });
        let error = error.expect_err("the write queue holds no frame").to_string();
        assert!(
            error.starts_with(
                "spark.rpc.io.writeQueue.maxBytes = 1024 contradicts spark.rpc.io.maxFrameSize = 1048576"
            ),
            "{error}"
        );
    }

    #[test]
    fn every_field_of_the_transport_but_its_name_has_a_key() {
        let printed = format!("{:#?}", TransportConf::default());
        // Fields of the struct itself are indented by one step.
        let fields = printed
            .lines()
            .filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
        let fields: Vec<_> = fields
            .map(|(field, _)| field)
            .filter(|f| !f.starts_with(' '))
            .collect();
        let keyed: Vec<_> = TRANSPORT_KEYS.iter().map(|(field, _)| *field).collect();
        assert_eq!(fields, [&["module"], keyed.as_slice()].concat());
    }
}
