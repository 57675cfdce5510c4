//! The end of an env: in order, within a limit, and nothing lost without a word.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use spark_rpc::config::RpcConf;
use spark_rpc::{
    AskError, BoxError, EndpointContext, Handled, LookupError, RpcCallContext, RpcEndpoint, RpcEndpointRef,
    RpcEnv, SendError, SetupError, ShutdownReport,
};
use support::lab::{Lab, LabInbound};
use support::messages::*;
use support::{Log, Pair, settle};

#[tokio::test(start_paused = true)]
async fn an_idle_env_ends_cleanly_and_at_once() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    pair.far("lab").await.ask(Sum()).await.unwrap();
    let report = pair.server.shutdown().await;
    assert!(report.is_clean(), "{report:?}");
    assert!(report.took < Duration::from_secs(1));
    assert_eq!(lab.log.count("stop nobody"), 1);
    assert_eq!(pair.server.stats().transport.connections_open(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_is_handled_and_answered_before_the_end() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    far.send(Block()).unwrap();
    lab.log.has("blocked").await;
    near.send(Note(1)).unwrap();
    far.send(Note(2)).unwrap();
    let asks = [near.ask(Echo("near".into())), far.ask(Echo("far".into()))];
    settle().await;

    let open = async {
        // tidy: allow(sleep): virtual time; the shutdown must wait for just so long.
        tokio::time::sleep(Duration::from_secs(2)).await;
        lab.gate.open(1);
    };
    let (report, ()) = tokio::join!(pair.server.shutdown(), open);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.took.as_secs(), 2);
    for (ask, expected) in asks.into_iter().zip(["near", "far"]) {
        assert_eq!(ask.await.unwrap(), expected);
    }
    let entries = lab.log.entries();
    assert_eq!(
        entries[entries.len() - 4..],
        ["unblocked", "note 1", "note 2", "stop nobody"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_holds_the_end_up_is_cut_off_at_the_limit_and_named() {
    let pair = Pair::new().await;
    let (stuck, quick) = (Lab::default(), Lab::default());
    let near = pair.server.setup_endpoint("stuck", stuck.clone()).unwrap();
    pair.server.setup_endpoint("quick", quick.clone()).unwrap();
    let far = pair.far("stuck").await;
    near.send(Block()).unwrap();
    stuck.log.has("blocked").await;
    near.send(Note(1)).unwrap();
    let asks = [near.ask(Sum()), far.ask(Sum())];
    settle().await;

    let report = pair.server.shutdown_within(Duration::from_secs(3)).await;
    assert_eq!(report.endpoints_aborted, ["stuck"]);
    assert_eq!(report.messages_unhandled, 3);
    assert!(!report.is_clean());
    assert_eq!(report.took.as_secs(), 3);
    assert_eq!(quick.log.count("stop nobody"), 1);
    assert_eq!(stuck.log.count("stop nobody"), 0);
    for ask in asks {
        let error = tokio::time::timeout(Duration::from_secs(1), ask)
            .await
            .expect("at once")
            .unwrap_err();
        assert!(matches!(error, AskError::Unanswered { .. }), "{error:?}");
        assert_eq!(error.handled(), Handled::Unknown);
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_comes_from_its_setting() {
    let pair = Pair::with_conf(RpcConf::default().with_drain_limit(Duration::from_secs(7))).await;
    let lab = Lab::default();
    pair.server
        .setup_endpoint("lab", lab.clone())
        .unwrap()
        .send(Block())
        .unwrap();
    lab.log.has("blocked").await;
    assert_eq!(pair.server.shutdown().await.took.as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_env_that_has_ended_takes_nothing_more() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    pair.server.shutdown().await;
    pair.client.shutdown().await;

    let error = pair.server.setup_endpoint("late", Lab::default()).unwrap_err();
    assert!(matches!(error, SetupError::EnvStopped));
    assert_eq!(error.to_string(), "RpcEnv has been stopped");
    for env in [&pair.server, &pair.client] {
        let error = env
            .setup_endpoint_ref("spark://lab@server:7077")
            .await
            .unwrap_err();
        let stopped = matches!(
            error,
            LookupError::Ask {
                source: AskError::EnvStopped,
                ..
            }
        );
        assert!(stopped, "{error:?}");
    }
    for reference in [near, far] {
        assert!(matches!(
            reference.send(Note(1)).unwrap_err(),
            SendError::EnvStopped
        ));
        let error = reference.ask(Sum()).await.unwrap_err();
        assert!(matches!(error, AskError::EnvStopped), "{error:?}");
        assert_eq!(error.to_string(), "RpcEnv already stopped.");
    }
    assert_eq!(lab.log.entries().last().unwrap(), "stop nobody");
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_while_an_env_ends_are_answered_or_counted() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    near.send(Block()).unwrap();
    lab.log.has("blocked").await;

    let server = pair.server.clone();
    let ending = tokio::spawn(async move { server.shutdown().await });
    settle().await;
    assert!(matches!(near.send(Note(1)).unwrap_err(), SendError::EnvStopped));
    assert!(matches!(near.ask(Sum()).await.unwrap_err(), AskError::EnvStopped));
    far.send(Note(2)).unwrap();
    assert!(matches!(far.ask(Sum()).await.unwrap_err(), AskError::EnvStopped));
    let newcomer = support::client(&pair.net.host("newcomer"), RpcConf::default()).await;
    let refused = newcomer
        .setup_endpoint_ref("spark://lab@server:7077")
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("Failed to connect"), "{refused}");
    lab.gate.open(1);

    let report = ending.await.unwrap();
    assert_eq!(pair.server.stats().dropped, 1, "the far one-way message");
    assert_eq!(report.messages_dropped, 1);
    assert!(report.endpoints_aborted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_for_a_connection_fail_with_the_env_and_are_counted() {
    let pair = Pair::new().await;
    pair.net.partition(&["client"], &["server"]);
    let far = pair
        .client
        .endpoint_ref("spark://lab@server:7077".parse().unwrap());
    far.send(Note(1)).unwrap();
    far.send(Note(2)).unwrap();
    let ask = far.ask(Sum());
    let report = pair.client.shutdown().await;
    assert_eq!(report.messages_dropped, 2);
    assert_eq!(pair.client.stats().dropped, 2);
    assert!(matches!(ask.await.unwrap_err(), AskError::EnvStopped));
}

#[tokio::test(start_paused = true)]
async fn messages_sent_just_before_the_end_still_leave() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    for number in 0..1000 {
        far.send(Note(number)).unwrap();
    }
    assert!(pair.client.shutdown().await.is_clean());
    lab.log.has("note 999").await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_take_what_is_queued_is_cut_off_and_counted() {
    let pair = Pair::new().await;
    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let far = pair.far("lab").await;
    pair.net.partition(&["client"], &["server"]);
    far.send(Bulk(vec![0; 1 << 20])).unwrap();
    let report = pair.client.shutdown_within(Duration::from_secs(2)).await;
    assert_eq!(report.connections_aborted, 1);
    assert!(report.took.as_secs() <= 3, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_shutdown_counts_and_later_ones_wait_for_it() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server
        .setup_endpoint("lab", lab.clone())
        .unwrap()
        .send(Block())
        .unwrap();
    lab.log.has("blocked").await;
    let (first, second) = tokio::join!(
        pair.server.shutdown_within(Duration::from_secs(2)),
        pair.server.shutdown_within(Duration::from_secs(60)),
    );
    assert_eq!(first, second);
    assert_eq!(first.took.as_secs(), 2);
    assert_eq!(pair.server.shutdown().await, first);
}

#[tokio::test(start_paused = true)]
async fn awaiting_the_termination_returns_when_the_env_has_ended() {
    let pair = Pair::new().await;
    let log = Log::default();
    let (waiting, told) = (pair.server.clone(), log.clone());
    let waiter = tokio::spawn(async move {
        waiting.await_termination().await;
        told.push("ended");
    });
    settle().await;
    assert_eq!(log.entries(), [""; 0]);
    pair.server.shutdown().await;
    waiter.await.unwrap();
    pair.server.await_termination().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_nobody_waits_for_any_more_ends_all_the_same() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server
        .setup_endpoint("lab", lab.clone())
        .unwrap()
        .send(Block())
        .unwrap();
    lab.log.has("blocked").await;
    let impatient = tokio::time::timeout(
        Duration::from_secs(1),
        pair.server.shutdown_within(Duration::from_secs(3)),
    );
    impatient.await.unwrap_err();
    let limit = Duration::from_secs(60);
    let ended = tokio::time::timeout(limit, pair.server.await_termination()).await;
    ended.expect("nobody waits without a limit");
    assert_eq!(pair.server.shutdown().await.endpoints_aborted, ["lab"]);
}

/// Ends its own env from inside a handler.
struct Suicidal(Arc<Mutex<Option<ShutdownReport>>>);

impl RpcEndpoint for Suicidal {
    type Inbound = LabInbound;

    async fn handle(&mut self, _: LabInbound, call: &RpcCallContext) -> Result<(), BoxError> {
        let Some(env) = call.env() else { return Ok(()) };
        let report = env.shutdown_within(Duration::from_secs(2)).await;
        *self.0.lock().unwrap() = Some(report);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_awaits_the_end_of_its_env_is_what_holds_it_up() {
    let pair = Pair::new().await;
    let endpoint = Suicidal(Arc::default());
    pair.server.setup_endpoint("suicidal", endpoint).unwrap();
    pair.far("suicidal").await.send(Note(1)).unwrap();
    let limit = Duration::from_secs(60);
    let ended = tokio::time::timeout(limit, pair.server.await_termination()).await;
    ended.expect("the handler is cut off, the shutdown is not");
    let report = pair.server.shutdown().await;
    assert_eq!(report.endpoints_aborted, ["suicidal"]);
    let error = pair
        .client
        .setup_endpoint_ref("spark://x@server:7077")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Failed to connect"), "{error}");
}

/// Says goodbye to somebody in another env when it stops.
struct Polite(RpcEndpointRef, Arc<Mutex<Option<Result<String, AskError>>>>);

impl RpcEndpoint for Polite {
    type Inbound = LabInbound;

    async fn handle(&mut self, _: LabInbound, _: &RpcCallContext) -> Result<(), BoxError> {
        Ok(())
    }

    async fn on_stop(&mut self, _: &EndpointContext) -> Result<(), BoxError> {
        self.0.send(Note(7))?;
        let answer = self.0.ask(Echo("goodbye".into())).await;
        *self.1.lock().unwrap() = Some(answer);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_stops_with_its_env_can_still_say_goodbye_to_others() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    // One way leads over a connection that is there, the other over one that has to be made first.
    let known = pair.far("lab").await;
    let new = pair.net.host("other");
    let other = support::server(&new, 7078, RpcConf::default()).await;
    let lab_there = Lab::default();
    other.setup_endpoint("lab", lab_there.clone()).unwrap();
    let unknown = pair
        .client
        .endpoint_ref("spark://lab@other:7078".parse().unwrap());

    let answers = [Arc::default(), Arc::default()];
    for (name, reference, answer) in [("one", known, &answers[0]), ("two", unknown, &answers[1])] {
        let polite = Polite(reference, Arc::clone(answer));
        pair.client.setup_endpoint(name, polite).unwrap();
    }
    let report = pair.client.shutdown().await;
    assert!(report.is_clean(), "{report:?}");
    for answer in &answers {
        let answer = answer.lock().unwrap().take();
        assert_eq!(answer.unwrap().unwrap(), "goodbye");
    }
    assert_eq!((lab.log.count("note 7"), lab_there.log.count("note 7")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_port_is_free_again_after_the_end() {
    let pair = Pair::new().await;
    pair.server.shutdown().await;
    let next = support::server(&pair.net.host("server"), 7077, RpcConf::default()).await;
    assert_eq!(next.address().unwrap().port(), 7077);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_an_env_without_telling_its_endpoints() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    far.ask(Sum()).await.unwrap();
    let asks = [near.ask(Keep(1)), far.ask(Keep(2))];
    settle().await;
    let weak = pair.server.downgrade();
    let second = pair.server.clone();
    drop(pair.server);
    assert_eq!(near.ask(Sum()).await.unwrap(), 0, "a handle is left");
    drop(second);
    settle().await;

    assert!(weak.upgrade().is_none());
    assert_eq!(lab.log.count("stop nobody"), 0);
    for ask in asks {
        let limit = Duration::from_secs(1);
        tokio::time::timeout(limit, ask)
            .await
            .expect("at once")
            .unwrap_err();
    }
    assert!(matches!(near.send(Note(1)).unwrap_err(), SendError::EnvStopped));
    assert!(matches!(far.ask(Sum()).await.unwrap_err(), AskError::Connect(_)));
    assert_eq!(pair.net.open_connections(), 0);
}

#[tokio::test]
async fn an_isolated_endpoint_that_blocks_its_thread_is_named_and_left_behind() {
    struct Blocks(std::sync::mpsc::Receiver<()>);
    // A receiver may be used by one thread at a time, which is what `&mut self` gives.
    struct Isolated(Mutex<Blocks>);
    impl RpcEndpoint for Isolated {
        type Inbound = LabInbound;

        async fn handle(&mut self, _: LabInbound, _: &RpcCallContext) -> Result<(), BoxError> {
            let _ = self.0.get_mut().unwrap().0.recv();
            Ok(())
        }
    }
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let (open, latch) = std::sync::mpsc::channel();
    let isolated = env
        .setup_isolated_endpoint("isolated", Isolated(Mutex::new(Blocks(latch))))
        .unwrap();
    isolated.send(Note(1)).unwrap();
    let waiting = isolated.ask(Sum());
    let report = env.shutdown_within(Duration::from_millis(200)).await;
    assert_eq!(report.endpoints_aborted, ["isolated"]);
    open.send(()).unwrap();
    assert!(matches!(waiting.await.unwrap_err(), AskError::Unanswered { .. }));
}

/// INBOX-03
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_message_is_lost_uncounted_when_many_send_while_an_endpoint_stops() {
    for _ in 0..20 {
        let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
        let lab = Lab::default();
        let reference = env.setup_endpoint("lab", lab.clone()).unwrap();
        let senders: Vec<_> = (0..10)
            .map(|_| {
                let reference = reference.clone();
                tokio::spawn(async move {
                    let mut refused = 0;
                    for _ in 0..100 {
                        refused += usize::from(reference.send(Note(1)).is_err());
                        tokio::task::yield_now().await;
                    }
                    refused
                })
            })
            .collect();
        lab.log.has("note 1").await;
        env.stop(&reference);
        let mut refused = 0;
        for sender in senders {
            refused += sender.await.unwrap();
        }
        lab.log.has("stop nobody").await;
        assert_eq!(lab.log.count("note 1") + refused, 1000);
        assert_eq!(lab.log.entries().last().unwrap(), "stop nobody");
        assert_eq!(lab.log.count("stop nobody"), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_ask_ends_when_many_ask_while_an_env_ends() {
    for _ in 0..10 {
        let server = RpcEnv::builder("server")
            .bind("127.0.0.1:0")
            .start()
            .await
            .unwrap();
        let near = server.setup_endpoint("lab", Lab::default()).unwrap();
        let client = RpcEnv::builder("client").client_mode().start().await.unwrap();
        let far = client.setup_endpoint_ref(&near.to_string()).await.unwrap();
        let askers: Vec<_> = [near, far]
            .into_iter()
            .cycle()
            .take(8)
            .map(|reference| {
                tokio::spawn(async move {
                    let mut answered = 0;
                    for _ in 0..100 {
                        answered += usize::from(reference.ask(Sum()).await.is_ok());
                    }
                    answered
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let report = server.shutdown().await;
        assert!(report.endpoints_aborted.is_empty(), "{report:?}");
        for asker in askers {
            let limit = Duration::from_secs(20);
            tokio::time::timeout(limit, asker)
                .await
                .expect("each ask ends")
                .unwrap();
        }
    }
}
