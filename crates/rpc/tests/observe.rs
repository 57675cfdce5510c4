//! What those who watch are told: spans, events, metrics, counters.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

mod support;

use std::time::Duration;

use metrics_util::debugging::DebuggingRecorder;
use spark_rpc::config::{QueueBounds, RpcConf, WhenFull};
use spark_rpc::{RpcEnv, SendError};
use support::lab::Lab;
use support::messages::*;
use support::observe::{Metrics, capture};
use support::{Pair, settle};

#[tokio::test(start_paused = true)]
async fn a_handler_runs_in_a_span_with_endpoint_message_and_sender() {
    let (events, _guard) = capture();
    let pair = Pair::new().await;
    let near = pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    near.ask(Sum()).await.unwrap();
    let line = events.line("SPAN rpc.handle endpoint=\"lab\"");
    assert_eq!(line, "SPAN rpc.handle endpoint=\"lab\" message=\"Sum\"");

    pair.far("lab").await.ask(Echo("x".into())).await.unwrap();
    let line = events.line("message=\"Echo\"");
    assert!(
        line.starts_with("SPAN rpc.handle endpoint=\"lab\" message=\"Echo\" sender=client:"),
        "{line}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_life_of_an_env_is_logged_at_levels_for_operators() {
    let (events, _guard) = capture();
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server
        .setup_endpoint("lab", lab.clone())
        .unwrap()
        .send(Block())
        .unwrap();
    pair.far("lab").await;
    lab.log.has("blocked").await;
    let listening = events.line("INFO listening");
    assert!(
        listening.starts_with("INFO") && listening.contains("address=server:7077"),
        "{listening}"
    );
    assert!(events.line("connection event").starts_with("DEBUG"));
    pair.server.shutdown_within(Duration::from_secs(1)).await;
    let ended = events.line("not everything had finished");
    assert!(ended.starts_with("WARN") && ended.contains("lab"), "{ended}");
    let errors: Vec<_> = events
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("ERROR"))
        .collect();
    assert_eq!(errors, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_fails_without_an_asker_is_logged_by_default() {
    use spark_rpc::{BoxError, RpcCallContext, RpcEndpoint};
    struct Failing;
    impl RpcEndpoint for Failing {
        type Inbound = support::lab::LabInbound;

        async fn handle(&mut self, _: Self::Inbound, _: &RpcCallContext) -> Result<(), BoxError> {
            Err("Oops!".into())
        }
    }
    let (events, _guard) = capture();
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let failing = env.setup_endpoint("failing", Failing).unwrap();
    failing.send(Note(1)).unwrap();
    settle().await;
    let line = events.line("callback failed");
    assert!(
        line.starts_with("ERROR") && line.contains("failing") && line.contains("Note"),
        "{line}"
    );
}

#[tokio::test(start_paused = true)]
async fn refused_messages_are_logged_once_and_counted_each() {
    let (events, _guard) = capture();
    let bounds = QueueBounds {
        max_messages: 1,
        when_full: WhenFull::Reject,
        ..QueueBounds::default()
    };
    let pair = Pair::with_conf(RpcConf::default().with_inbox(bounds)).await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    settle().await;
    near.send(Block()).unwrap();
    lab.log.has("blocked").await;
    for _ in 0..5 {
        assert!(matches!(near.send(Note(1)), Err(SendError::Full { .. })));
    }
    assert_eq!(events.count("the inbox refuses messages"), 1);
    let stats = pair.server.stats();
    let lab = stats
        .endpoints
        .iter()
        .find(|endpoint| endpoint.name == "lab")
        .unwrap();
    assert_eq!(lab.rejected, 5);
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_waiting_and_handling_for_each_endpoint_and_message() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let pair = Pair::with_conf(RpcConf::default().with_metrics(true)).await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    settle().await;
    near.send(Block()).unwrap();
    lab.log.has("blocked").await;
    let asks = [near.ask(Sum()), far.ask(Sum())];
    tokio::time::sleep(Duration::from_secs(3)).await;
    lab.gate.open(1);
    for ask in asks {
        ask.await.unwrap();
    }

    let seen = Metrics::of(&snapshotter);
    assert_eq!(
        seen.counter("spark_rpc_messages_total", &["server", "lab", "Sum"]),
        2
    );
    assert_eq!(
        seen.counter("spark_rpc_messages_total", &["server", "lab", "Block"]),
        1
    );
    assert_eq!(
        seen.counter(
            "spark_rpc_messages_total",
            &["server", "endpoint-verifier", "CheckExistence"]
        ),
        1
    );
    let waits = seen.histogram("spark_rpc_queue_wait_seconds", &["server", "lab", "Sum"]);
    assert!(
        waits.len() == 2 && waits.iter().all(|wait| *wait > 2.9 && *wait < 3.1),
        "{waits:?}"
    );
    let handling = seen.histogram("spark_rpc_handling_seconds", &["server", "lab", "Block"]);
    assert!(
        handling.len() == 1 && handling[0] > 2.9 && handling[0] < 3.1,
        "{handling:?}"
    );
    let handling = seen.histogram("spark_rpc_handling_seconds", &["server", "lab", "Sum"]);
    assert!(handling.iter().all(|time| *time < 0.1), "{handling:?}");
}

#[tokio::test(start_paused = true)]
async fn gauges_and_counters_are_published_on_demand() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let pair = Pair::with_conf(RpcConf::default().with_metrics(true)).await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    settle().await;
    near.send(Block()).unwrap();
    lab.log.has("blocked").await;
    near.send(Note(1)).unwrap();
    far.send(Note(2)).unwrap();
    far.send(NobodyListens()).unwrap();
    settle().await;
    pair.server.publish_metrics();
    let seen = Metrics::of(&snapshotter);
    assert_eq!(seen.gauge("spark_rpc_queue_length", &["server", "lab"]), 3.0);
    assert!(seen.gauge("spark_rpc_queue_bytes", &["server", "lab"]) > 0.0);
    assert_eq!(seen.counter("spark_rpc_posted_total", &["server", "lab"]), 3);
    assert_eq!(seen.counter("spark_rpc_unreadable_total", &["server", "lab"]), 1);
    assert_eq!(seen.counter("spark_rpc_rejected_total", &["server", "lab"]), 0);
    assert_eq!(seen.gauge("spark_rpc_connections", &["server"]), 1.0);
    assert_eq!(seen.counter("spark_rpc_dropped_total", &["server"]), 1);
    assert!(seen.counter("spark_rpc_bytes_read_total", &["server"]) > 0);

    pair.net.cut("client", "server");
    settle().await;
    far.send(Note(3)).unwrap();
    settle().await;
    pair.client.publish_metrics();
    pair.server.publish_metrics();
    let seen = Metrics::of(&snapshotter);
    assert_eq!(seen.counter("spark_rpc_reconnects_total", &["client"]), 1);
    assert_eq!(seen.counter("spark_rpc_connections_opened_total", &["server"]), 2);
}

#[tokio::test(start_paused = true)]
async fn without_the_setting_nothing_is_recorded_for_messages() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let pair = Pair::new().await;
    let near = pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    near.ask(Sum()).await.unwrap();
    assert!(snapshotter.snapshot().into_vec().is_empty());
}

#[tokio::test(start_paused = true)]
async fn counters_of_endpoints_tell_what_is_posted_handled_and_waiting() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    near.send(Block()).unwrap();
    lab.log.has("blocked").await;
    near.send(Note(1)).unwrap();
    near.send(Note(2)).unwrap();
    let stats = || {
        let stats = pair.server.stats();
        let names: Vec<_> = stats
            .endpoints
            .iter()
            .map(|endpoint| endpoint.name.as_str())
            .collect();
        assert_eq!(
            names,
            ["endpoint-verifier", "lab"],
            "in the order of their registration"
        );
        let lab = stats.endpoints.into_iter().nth(1).unwrap();
        (lab.posted, lab.handled, lab.queued)
    };
    assert_eq!(stats(), (3, 1, 3));
    lab.gate.open(1);
    lab.log.has("note 2").await;
    settle().await;
    assert_eq!(stats(), (3, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn counters_outlive_their_endpoints() {
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let gone = env.setup_endpoint("gone", Lab::default()).unwrap();
    let lab = Lab::default();
    let aborted = env.setup_endpoint("aborted", lab.clone()).unwrap();
    gone.send(Note(1)).unwrap();
    gone.ask(Sum()).await.unwrap();
    env.stop(&gone);
    settle().await;
    let ended = env.stats().ended;
    assert_eq!((ended.endpoints, ended.posted, ended.handled), (1, 2, 2));

    aborted.send(Block()).unwrap();
    lab.log.has("blocked").await;
    aborted.send(Note(1)).unwrap();
    env.shutdown_within(Duration::from_secs(1)).await;
    let ended = env.stats().ended;
    assert_eq!((ended.endpoints, ended.posted, ended.handled), (2, 4, 3));
}
