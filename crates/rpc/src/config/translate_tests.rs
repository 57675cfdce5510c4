//! Tests of `translate.rs`, in a file of their own for their length.

use super::*;
use crate::config::{OutboxBounds, QueueBounds};

fn conf(text: &str) -> Result<RpcConf, ConfError> {
    RpcConf::from_spark(&SparkConf::from_properties_str(text).expect("well-formed properties"))
}

fn refused(text: &str) -> String {
    conf(text).expect_err("these settings are wrong").to_string()
}

fn warnings(text: &str) -> Vec<String> {
    conf(text)
        .unwrap()
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn nothing_set_gives_the_defaults() {
    assert_eq!(conf("").unwrap(), RpcConf::default());
}

#[test]
fn every_key_reaches_its_field() {
    let translated = conf(
        "spark.rpc.askTimeout 31s
         spark.rpc.lookupTimeout 32
         spark.rpc.numRetries 5
         spark.rpc.retry.wait 1500
         spark.port.maxRetries 17
         spark.rpc.connect.threads 65
         spark.rpc.netty.dispatcher.numThreads 3
         spark.rpc.message.maxSize 129
         spark.rpc.concurrentHandlers 33
         spark.rpc.inbox.maxMessages 34
         spark.rpc.inbox.maxBytes 35m
         spark.rpc.inbox.waitLimit 250ms
         spark.rpc.outbox.maxMessages 36
         spark.rpc.outbox.maxBytes 37m
         spark.rpc.shutdown.drainLimit 38
         spark.rpc.files.checksum false
         spark.rpc.metrics.enabled TRUE
         spark.rpc.seed 18446744073709551615
         spark.rpc.io.connectionTimeout 39
         spark.rpc.io.connectionCreationTimeout 2min
         spark.rpc.io.backLog 41
         spark.rpc.io.receiveBuffer 42
         spark.rpc.io.sendBuffer 43
         spark.rpc.io.enableTcpKeepAlive true
         spark.rpc.io.congestion bbr
         spark.rpc.io.retryWait 44
         spark.rpc.io.closeIdleConnections true
         spark.rpc.io.maxFrameSize 1m
         spark.rpc.io.writeQueue.maxBytes 2m
         spark.rpc.io.writeQueue.maxFrames 45
         spark.rpc.io.readBuffer 64k
         spark.rpc.io.maxPendingRequests 46
         spark.rpc.io.wakeupsPerBatch 47
         spark.rpc.io.busyPoll 48
         spark.rpc.io.maxConnections 49
         spark.shuffle.maxChunksBeingTransferred 54
         spark.rpc.io.maxBytesInTransfer 56m
         spark.rpc.io.streamWindow 55k
         spark.rpc.io.zeroCopy false
         spark.rpc.io.closeTimeout 50
         spark.rpc.io.handshakeTimeout 51
         spark.rpc.io.maxUnauthenticated 52
         spark.rpc.io.maxUnauthenticatedPerAddress 53",
    );
    let expected = RpcConf {
        ask_timeout: RpcTimeout::new(seconds(31), "spark.rpc.askTimeout"),
        lookup_timeout: RpcTimeout::new(seconds(32), "spark.rpc.lookupTimeout"),
        num_retries: 5,
        retry_wait: Duration::from_millis(1500),
        port_max_retries: 17,
        max_connecting: 65,
        dispatcher_threads: Some(3),
        concurrent_handlers: 33,
        inbox: QueueBounds {
            max_messages: 34,
            max_bytes: 35 << 20,
            when_full: WhenFull::Wait {
                up_to: Duration::from_millis(250),
            },
        },
        outbox: OutboxBounds {
            max_messages: 36,
            max_bytes: 37 << 20,
        },
        drain_limit: seconds(38),
        file_checksums: false,
        metrics: true,
        seed: Some(u64::MAX),
        task_message_max_bytes: 129 << 20,
        transport: TransportConf {
            module: "rpc".to_owned(),
            connection_timeout: Some(seconds(39)),
            connection_creation_timeout: Some(seconds(120)),
            connections_per_peer: 1,
            backlog: Some(41),
            receive_buffer: Some(42),
            send_buffer: Some(43),
            keep_alive: true,
            congestion: Some("bbr".to_owned()),
            retry_wait: seconds(44),
            close_idle_connections: true,
            max_frame_bytes: 1 << 20,
            write_queue_max_bytes: 2 << 20,
            write_queue_max_frames: 45,
            read_buffer: 64 << 10,
            max_pending_requests: 46,
            wakeups_per_batch: 47,
            busy_poll: Duration::from_micros(48),
            max_connections: Some(49),
            max_bodies_in_transfer: Some(54),
            max_bytes_in_transfer: Some(56 << 20),
            stream_window: 55 << 10,
            zero_copy: false,
            close_timeout: seconds(50),
            handshake_timeout: seconds(51),
            max_unauthenticated: 52,
            max_unauthenticated_per_address: 53,
        },
        ..RpcConf::default()
    };
    let translated = translated.unwrap();
    assert_eq!(translated, expected);
    assert_eq!(translated.warnings(), []);
}

#[test]
fn the_network_timeout_is_the_default_of_four_limits() {
    let network = conf("spark.network.timeout 200s").unwrap();
    assert_eq!(
        network.ask_timeout,
        RpcTimeout::new(seconds(200), "spark.network.timeout")
    );
    assert_eq!(
        network.lookup_timeout,
        RpcTimeout::new(seconds(200), "spark.network.timeout")
    );
    assert_eq!(network.transport.connection_timeout, Some(seconds(200)));
    assert_eq!(network.transport.connection_creation_timeout, Some(seconds(200)));

    let apart = conf("spark.network.timeout 200s\nspark.rpc.io.connectionTimeout 300").unwrap();
    assert_eq!(apart.ask_timeout.duration, seconds(200));
    assert_eq!(apart.transport.connection_timeout, Some(seconds(300)));
    assert_eq!(
        apart.transport.connection_creation_timeout,
        Some(seconds(300)),
        "it follows the one above"
    );
}

#[test]
fn nothing_and_less_switch_a_limit_off() {
    for off in ["0", "-1", "-5s"] {
        let conf = conf(&format!("spark.rpc.io.connectionTimeout {off}")).unwrap();
        assert_eq!(conf.transport.connection_timeout, None, "{off}");
        assert_eq!(conf.transport.connection_creation_timeout, None, "{off}");
    }
    let conf = conf("spark.rpc.io.connectionCreationTimeout 0\nspark.rpc.io.maxConnections -1").unwrap();
    assert_eq!(conf.transport.connection_timeout, Some(seconds(120)));
    assert_eq!(conf.transport.connection_creation_timeout, None);
    assert_eq!(conf.transport.max_connections, None);
}

#[test]
fn fractions_of_a_second_are_told_when_they_do_not_count() {
    assert_eq!(
        warnings("spark.network.timeout 200500ms"),
        ["spark.network.timeout = 200500ms counts as 200s: only whole seconds count"],
        "once, though three limits depend on it"
    );
    assert_eq!(
        warnings("spark.rpc.io.connectionTimeout 999ms"),
        ["spark.rpc.io.connectionTimeout = 999ms counts as 0, which is off: only whole seconds count"]
    );
    assert_eq!(
        refused("spark.rpc.askTimeout 999ms"),
        "spark.rpc.askTimeout is 0s, expected more than 0 (of a setting in text only whole seconds count) (line 1)"
    );
}

#[test]
fn sockets_take_the_systems_choice_for_zero_and_less() {
    let text = "spark.rpc.io.backLog -1\nspark.rpc.io.receiveBuffer 0\nspark.rpc.io.sendBuffer -7";
    assert_eq!(conf(text).unwrap(), RpcConf::default());
}

#[test]
fn more_ports_are_tried_in_tests_unless_their_number_is_set() {
    assert_eq!(conf("spark.testing").unwrap().port_max_retries, 100);
    assert_eq!(
        conf("spark.testing false").unwrap().port_max_retries,
        100,
        "set to whatever"
    );
    assert_eq!(
        conf("spark.testing true\nspark.port.maxRetries 2")
            .unwrap()
            .port_max_retries,
        2
    );
    assert!(refused("spark.port.maxRetries -1").starts_with("spark.port.maxRetries is \"-1\""));
}

#[test]
fn threads_depend_on_the_role() {
    let keys = "spark.rpc.netty.dispatcher.numThreads 2
        spark.driver.rpc.netty.dispatcher.numThreads 3
        spark.executor.rpc.netty.dispatcher.numThreads 4\n";
    let threads = |id: &str| conf(&format!("{keys}{id}")).unwrap().dispatcher_threads;
    assert_eq!(threads(""), Some(2));
    assert_eq!(threads("spark.executor.id driver"), Some(3));
    assert_eq!(threads("spark.executor.id 17"), Some(4));
    let general = conf("spark.executor.id 17\nspark.rpc.netty.dispatcher.numThreads 2").unwrap();
    assert_eq!(general.dispatcher_threads, Some(2));
    assert!(refused("spark.rpc.netty.dispatcher.numThreads 0").contains("expected 1 to 4096"));
}

#[test]
fn the_mode_of_io_is_checked_and_has_no_effect() {
    for mode in ["NIO", "epoll", "KQueue", "AUTO"] {
        let conf = conf(&format!("spark.io.mode.default {mode}\nspark.rpc.io.mode {mode}")).unwrap();
        let told: Vec<_> = conf.ignored().iter().map(|ignored| ignored.key).collect();
        assert_eq!(told, ["spark.io.mode.default", "spark.rpc.io.mode"]);
    }
    assert_eq!(
        refused("spark.rpc.io.mode IOCP"),
        "spark.rpc.io.mode is \"IOCP\", expected NIO, EPOLL, KQUEUE or AUTO (line 1)"
    );
}

#[test]
fn a_frame_size_that_is_set_widens_the_write_queue() {
    let size = |text| conf(text).unwrap().transport.write_queue_max_bytes;
    assert_eq!(size("spark.rpc.io.maxFrameSize 128m"), 128 << 20);
    assert_eq!(size("spark.rpc.io.maxFrameSize 1m"), 64 << 20);
    assert_eq!(
        size("spark.rpc.io.maxFrameSize 2147483646"),
        64 << 20,
        "that says nothing about frames"
    );
}

#[test]
fn contradictions_name_both_keys_and_where_they_were_written() {
    assert_eq!(
        refused("spark.rpc.io.maxFrameSize 2m\nspark.rpc.io.writeQueue.maxBytes 1m"),
        "spark.rpc.io.writeQueue.maxBytes = 1048576 (line 2) contradicts \
         spark.rpc.io.maxFrameSize = 2097152 (line 1): \
         the write queue could not hold one frame of the largest size"
    );
    assert_eq!(
        refused("spark.rpc.inbox.waitLimit 1s\nspark.rpc.inbox.whenFull Reject"),
        "spark.rpc.inbox.waitLimit = 1s (line 1) contradicts spark.rpc.inbox.whenFull = reject (line 2): \
         a message that is rejected does not wait"
    );
    assert_eq!(
        refused("spark.rpc.io.closeIdleConnections true\nspark.rpc.io.connectionTimeout 0"),
        "spark.rpc.io.closeIdleConnections = true (line 1) contradicts \
         spark.rpc.io.connectionTimeout = none (line 2): without that limit no connection ever counts as idle"
    );
}

#[test]
fn what_to_do_when_an_inbox_is_full_can_be_chosen() {
    let when_full = |text| conf(text).unwrap().inbox.when_full;
    assert_eq!(when_full("spark.rpc.inbox.whenFull reject"), WhenFull::Reject);
    assert_eq!(when_full("spark.rpc.inbox.whenFull wait"), WhenFull::default());
    assert!(refused("spark.rpc.inbox.whenFull drop").contains("expected wait or reject"));
}

#[test]
fn values_out_of_range_are_refused_with_their_line() {
    let ranges = [
        ("spark.rpc.askTimeout 36501d", "at most 100 years"),
        ("spark.rpc.askTimeout -1", "a time like"),
        ("spark.rpc.message.maxSize 2048", "at most 2047 MiB"),
        ("spark.rpc.io.maxFrameSize 2g", "1024 to 2147483646 bytes"),
        ("spark.rpc.io.maxFrameSize 4g", "a size from 1k to 2147483646"),
        ("spark.rpc.io.maxConnections 0", "at least 1"),
        ("spark.rpc.io.maxConnections -2", "or -1 for no bound"),
        ("spark.rpc.io.congestion", "the name of a congestion control"),
        ("spark.rpc.seed -1", "a whole number from 0"),
        ("spark.rpc.io.busyPoll 2s", "at most 1 s"),
    ];
    for (text, expected) in ranges {
        let refused = refused(&format!("# settings\n{text}"));
        assert!(
            refused.contains(expected) && refused.ends_with("(line 2)"),
            "{refused}"
        );
    }
}

#[test]
fn unknown_keys_of_the_rpc_layer_are_told_and_others_are_left_alone() {
    let text = "spark.rpc.asktimeout 1\nspark.rpc.nonsense.of.mine 1\nspark.app.name x\nspark.sql.rpc 1";
    assert_eq!(
        warnings(text),
        [
            "spark.rpc.asktimeout is not a known key; did you mean spark.rpc.askTimeout?",
            "spark.rpc.nonsense.of.mine is not a known key",
        ]
    );
}

#[test]
fn the_download_client_inherits_what_it_does_not_set() {
    let spark = SparkConf::from_properties_str(
        "spark.rpc.io.connectionTimeout 30\nspark.rpc.io.retryWait 2\nspark.files.io.retryWait 3
         spark.rpc.io.closeIdleConnections false\nspark.files.io.numConnectionsPerPeer 4",
    );
    let files = transport_from_spark(&spark.unwrap(), "files").unwrap();
    assert_eq!(files.module, "files");
    assert_eq!(files.connection_timeout, Some(seconds(30)));
    assert_eq!(files.retry_wait, seconds(3));
    assert_eq!(files.connections_per_peer, 4);
    assert!(files.close_idle_connections, "it is the nature of the module");
}

#[test]
fn other_modules_have_keys_of_their_own() {
    let spark = SparkConf::from_pairs([
        ("spark.rpc.io.retryWait", "2"),
        ("spark.shuffle.io.sendBuffer", "9"),
    ]);
    let shuffle = transport_from_spark(&spark, "shuffle").unwrap();
    assert_eq!((shuffle.retry_wait, shuffle.send_buffer), (seconds(5), Some(9)));
    assert!(!shuffle.close_idle_connections);

    let wrong = SparkConf::from_pairs([("spark.shuffle.io.wakeupsPerBatch", "0")]);
    let error = transport_from_spark(&wrong, "shuffle").unwrap_err();
    assert_eq!(
        error.to_string(),
        "spark.shuffle.io.wakeupsPerBatch is 0, expected at least 1"
    );
}

#[test]
fn the_largest_number_of_chunks_in_transfer_is_no_bound() {
    let none = conf("spark.shuffle.maxChunksBeingTransferred 9223372036854775807").unwrap();
    assert_eq!(none.transport.max_bodies_in_transfer, None);
    let zero = conf("spark.shuffle.maxChunksBeingTransferred 0").unwrap_err();
    assert!(
        zero.to_string()
            .contains("spark.shuffle.maxChunksBeingTransferred"),
        "{zero}"
    );
}
