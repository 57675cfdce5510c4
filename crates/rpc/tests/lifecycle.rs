//! What an endpoint goes through, and what its errors do.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spark_rpc::config::RpcConf;
use spark_rpc::{
    AskError, BoxError, ConcurrentRpcEndpoint, EndpointContext, EndpointError, RpcCallContext, RpcEndpoint,
    RpcEnv,
};
use support::lab::{Gate, Lab};
use support::messages::*;
use support::{Log, Pair, settle};
use tokio::sync::Barrier;

/// ENV-01
#[tokio::test(start_paused = true)]
async fn a_sent_message_arrives_near_and_far() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    near.send(Note(1)).unwrap();
    lab.log.has("note 1").await;
    pair.far("lab").await.send(Note(2)).unwrap();
    lab.log.has("note 2").await;
}

/// ENV-06
#[tokio::test(start_paused = true)]
async fn start_comes_first_and_stop_comes_last_once_each() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let reference = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    reference.send(Note(1)).unwrap();
    reference.send(Note(2)).unwrap();
    pair.server.stop(&reference);
    settle().await;
    let expected = ["start spark://lab@server:7077", "note 1", "note 2", "stop nobody"];
    assert_eq!(lab.log.entries(), expected);
}

#[tokio::test(start_paused = true)]
async fn setting_up_returns_before_the_endpoint_has_started() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    assert_eq!(lab.log.entries(), [""; 0], "nothing has been awaited yet");
    lab.log.len(1).await;
}

/// INBOX-01
#[tokio::test(start_paused = true)]
async fn what_was_queued_before_a_stop_is_handled_and_later_messages_find_nobody() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    near.send(Block()).unwrap();
    let before = lab.log.has("blocked").await.len();
    near.send(Note(1)).unwrap();
    let queued = near.ask(Echo("queued".into()));

    pair.server.stop(&near);
    let error = near.send(Note(2)).unwrap_err();
    assert_eq!(error.to_string(), "Could not find lab.");
    for late in [near.ask(Sum()).await, far.ask(Sum()).await] {
        let error = late.unwrap_err();
        assert!(matches!(error, AskError::EndpointNotFound { .. }), "{error:?}");
    }

    lab.gate.open(1);
    assert_eq!(queued.await.unwrap(), "queued");
    let entries = lab.log.has("stop nobody").await;
    assert_eq!(entries[before..], ["unblocked", "note 1", "stop nobody"]);
}

/// ENV-11
#[tokio::test(start_paused = true)]
async fn stopping_twice_stops_once() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let reference = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    pair.server.stop(&reference);
    pair.server.stop(&reference);
    settle().await;
    pair.server.stop(&reference);
    settle().await;
    assert_eq!(lab.log.count("stop nobody"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_far_reference_stops_nothing() {
    let pair = Pair::new().await;
    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let far = pair.far("lab").await;
    pair.client.stop(&far);
    assert_eq!(far.ask(Sum()).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reference_of_another_env_of_the_same_process_stops_nothing() {
    let one = RpcEnv::builder("one").client_mode().start().await.unwrap();
    let two = RpcEnv::builder("two").client_mode().start().await.unwrap();
    let (here, there) = (
        one.setup_endpoint("lab", Lab::default()).unwrap(),
        two.setup_endpoint("lab", Lab::default()).unwrap(),
    );
    one.stop(&there);
    assert_eq!(here.ask(Sum()).await.unwrap(), 0);
    assert_eq!(there.ask(Sum()).await.unwrap(), 0);
}

/// ENV-07
#[tokio::test(start_paused = true)]
async fn an_error_or_panic_of_a_callback_goes_to_on_error_and_ends_nothing() {
    for (how, said) in [(How::Error, "failed: Oops!"), (How::Panic, "panicked: Oops!")] {
        let pair = Pair::new().await;
        let lab = Lab {
            failing: vec![("on_start", how), ("on_stop", how), ("on_connected", how)],
            ..Lab::default()
        };
        let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
        lab.log.has(&format!("error on_start {said}")).await;
        pair.far("lab").await;
        lab.log.has(&format!("error on_connected {said}")).await;

        near.send(Fail(how)).unwrap();
        let of_handler = match how {
            How::Panic => "error Fail panicked: Oops!",
            _ => "error the handler of Fail failed: Oops!",
        };
        lab.log.has(of_handler).await;
        assert_eq!(near.ask(Sum()).await.unwrap(), 0, "it goes on");
        let stats = pair.server.stats();
        let stats = stats
            .endpoints
            .iter()
            .find(|endpoint| endpoint.name == "lab")
            .unwrap();
        assert_eq!(stats.errors, 3);

        pair.server.stop(&near);
        lab.log.has(&format!("error on_stop {said}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_on_error_is_survived_too() {
    let pair = Pair::new().await;
    let near = pair
        .server
        .setup_endpoint("lab", Lab::failing("on_error", How::Panic))
        .unwrap();
    near.send(Fail(How::Error)).unwrap();
    near.send(Fail(How::Panic)).unwrap();
    assert_eq!(near.ask(Sum()).await.unwrap(), 0);
}

/// NENV-04, INBOX-05
#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_fails_its_ask_and_leaves_the_env_usable() {
    let pair = Pair::new().await;
    let near = pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let far = pair.far("lab").await;
    for reference in [&near, &far] {
        for _ in 0..2 {
            let error = reference.ask(Misbehave(How::Panic)).await.unwrap_err();
            assert!(matches!(error, AskError::Panicked { .. }), "{error:?}");
        }
        assert_eq!(reference.ask(Echo("100".into())).await.unwrap(), "100");
    }
    pair.server.stop(&near);
    settle().await;
    assert!(
        pair.server.shutdown().await.is_clean(),
        "nothing counts as running any more"
    );
}

/// ENV-08
#[tokio::test(start_paused = true)]
async fn the_own_reference_is_there_while_starting_and_while_handling() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let me = near.ask(WhoAmI()).await.unwrap();
    assert_eq!(me, near);
    assert_eq!(lab.log.entries()[0], "start spark://lab@server:7077");
}

/// ENV-09
#[tokio::test(start_paused = true)]
async fn the_own_reference_is_gone_while_stopping() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    pair.server.stop(&near);
    lab.log.has("stop nobody").await;
}

/// ENV-10
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_serial_endpoint_handles_one_message_at_a_time() {
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let inside = Arc::new(AtomicUsize::new(0));
    let counter = env
        .setup_endpoint(
            "counter",
            Crowded {
                inside: Arc::clone(&inside),
                most: Arc::default(),
                sum: Mutex::default(),
                rounds: 1,
            },
        )
        .unwrap();
    let senders: Vec<_> = (0..10)
        .map(|_| {
            let counter = counter.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    counter.send(Note(1)).unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    assert_eq!(counter.ask(Sum()).await.unwrap(), 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_of_a_concurrent_endpoint_meet() {
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let meeting = env.setup_concurrent_endpoint("meeting", Meeting::of(4)).unwrap();
    let asks: Vec<_> = (0..4).map(|_| meeting.ask(Sum())).collect();
    for ask in asks {
        ask.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_of_a_concurrent_endpoint_meet_on_one_thread_too() {
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let meeting = env.setup_concurrent_endpoint("meeting", Meeting::of(3)).unwrap();
    let asks = [meeting.ask(Sum()), meeting.ask(Sum()), meeting.ask(Sum())];
    for ask in asks {
        ask.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_handlers_of_one_endpoint_overlap_than_the_setting_says() {
    let conf = RpcConf::default().with_concurrent_handlers(2);
    let env = RpcEnv::builder("env")
        .client_mode()
        .conf(conf)
        .start()
        .await
        .unwrap();
    let most = Arc::new(AtomicUsize::new(0));
    let crowd = Crowded {
        inside: Arc::default(),
        most: Arc::clone(&most),
        sum: Mutex::default(),
        rounds: 3,
    };
    let crowded = env.setup_concurrent_endpoint("crowd", crowd).unwrap();
    for _ in 0..10 {
        crowded.send(Note(1)).unwrap();
    }
    settle().await;
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert_eq!(crowded.ask(Sum()).await.unwrap(), 10);
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_beside_start_and_stop_of_a_concurrent_endpoint() {
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let slow = Slow::default();
    let (log, gate) = (slow.log.clone(), slow.gate.clone());
    let reference = env.setup_concurrent_endpoint("slow", slow).unwrap();
    reference.send(Note(1)).unwrap();
    reference.send(Note(2)).unwrap();
    settle().await;
    assert_eq!(log.entries(), ["starting"]);

    gate.open(1);
    log.has("begin 2").await;
    env.stop(&reference);
    settle().await;
    assert_eq!(log.entries(), ["starting", "started", "begin 1", "begin 2"]);

    gate.open(2);
    let entries = log.has("stop").await;
    assert_eq!(entries[4..], ["end 1", "end 2", "stop"]);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_whose_start_failed_stays_and_is_never_concurrent() {
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let slow = Slow {
        fails: true,
        ..Slow::default()
    };
    let (log, gate) = (slow.log.clone(), slow.gate.clone());
    let reference = env.setup_concurrent_endpoint("slow", slow).unwrap();
    reference.send(Note(1)).unwrap();
    reference.send(Note(2)).unwrap();
    gate.open(1);
    log.has("error on_start failed: Oops!").await;
    settle().await;
    assert!(
        !log.entries().contains(&"begin 2".to_owned()),
        "the first still runs"
    );
    gate.open(1);
    log.has("begin 2").await;
    assert!(env.has_endpoint("slow"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_concurrent_handler_is_an_error_of_that_message() {
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let slow = Slow::default();
    let (log, gate) = (slow.log.clone(), slow.gate.clone());
    gate.open(3);
    let reference = env.setup_concurrent_endpoint("slow", slow).unwrap();
    reference.send(Note(666)).unwrap();
    log.has("error Note panicked: Oops!").await;
    reference.send(Note(1)).unwrap();
    log.has("end 1").await;
}

/// Panics before it has a future to return, which only an impl by hand can.
struct Hasty;

impl ConcurrentRpcEndpoint for Hasty {
    type Inbound = support::lab::LabInbound;

    fn handle(
        &self,
        message: Self::Inbound,
        _: &RpcCallContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        if let support::lab::LabInbound::Sum(_, reply) = message {
            reply.send(1);
        } else {
            panic!("Oops!");
        }
        std::future::ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_concurrent_handler_that_panics_without_a_future_fails_its_ask_and_nothing_else() {
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let hasty = env.setup_concurrent_endpoint("hasty", Hasty).unwrap();
    let error = hasty.ask(Echo("x".into())).await.unwrap_err();
    assert!(matches!(error, AskError::Panicked { .. }), "{error:?}");
    assert_eq!(hasty.ask(Sum()).await.unwrap(), 1);
    assert!(env.shutdown().await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_serial_handler_that_panics_without_a_future_ends_its_endpoint_and_holds_nothing_up() {
    struct Hastier(Gate);
    impl RpcEndpoint for Hastier {
        type Inbound = support::lab::LabInbound;

        fn handle(
            &mut self,
            message: Self::Inbound,
            _: &RpcCallContext,
        ) -> impl Future<Output = Result<(), BoxError>> + Send {
            if !matches!(message, support::lab::LabInbound::Block(_)) {
                panic!("Oops!");
            }
            let gate = self.0.clone();
            async move {
                gate.0.acquire().await?.forget();
                Ok(())
            }
        }
    }
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let gate = Gate::default();
    let hastier = env.setup_endpoint("hastier", Hastier(gate.clone())).unwrap();
    hastier.send(Block()).unwrap();
    hastier.send(Note(1)).unwrap();
    let waiting = hastier.ask(Sum());
    settle().await;
    let ending = tokio::spawn({
        let env = env.clone();
        async move { env.shutdown().await }
    });
    settle().await;
    gate.open(1);
    waiting.await.unwrap_err();
    let report = ending.await.unwrap();
    assert!(report.took < Duration::from_secs(1), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_concurrent_endpoint_can_be_set_up_as_a_serial_one() {
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let slow = Slow::default();
    let (log, gate) = (slow.log.clone(), slow.gate.clone());
    let reference = env.setup_endpoint("slow", slow).unwrap();
    reference.send(Note(1)).unwrap();
    reference.send(Note(2)).unwrap();
    gate.open(1);
    log.has("begin 1").await;
    settle().await;
    assert!(!log.entries().contains(&"begin 2".to_owned()));
}

/// ENV-26
#[tokio::test]
async fn a_blocked_isolated_endpoint_does_not_hold_up_the_others() {
    let conf = RpcConf::default().with_dispatcher_threads(1);
    let env = RpcEnv::builder("env")
        .client_mode()
        .conf(conf)
        .start()
        .await
        .unwrap();
    let (open, latch) = std::sync::mpsc::channel();
    let blocking = Blocking(Mutex::new(latch));
    let isolated = env.setup_isolated_endpoint("isolated", blocking).unwrap();
    let normal = env.setup_endpoint("normal", Lab::default()).unwrap();

    let blocked = isolated.ask(Echo("isolated".into()));
    let answer = normal
        .ask_within(Echo("normal".into()), Duration::from_secs(5))
        .await;
    assert_eq!(answer.unwrap(), "normal");
    open.send(()).unwrap();
    assert_eq!(blocked.await.unwrap(), "dispatcher-isolated");
}

#[tokio::test]
async fn the_threads_of_an_isolated_endpoint_may_all_block() {
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let meeting = BlockingMeeting(std::sync::Barrier::new(3));
    let isolated = env
        .setup_isolated_concurrent_endpoint("isolated", 3, meeting)
        .unwrap();
    let asks = [isolated.ask(Sum()), isolated.ask(Sum()), isolated.ask(Sum())];
    for ask in asks {
        ask.await.unwrap();
    }
    env.stop(&isolated);
    assert!(env.shutdown().await.is_clean());
}

#[tokio::test]
async fn an_isolated_endpoint_has_the_same_life_cycle() {
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let lab = Lab::default();
    let isolated = env.setup_isolated_endpoint("lab", lab.clone()).unwrap();
    isolated.send(Note(1)).unwrap();
    isolated.send(Fail(How::Panic)).unwrap();
    env.stop(&isolated);
    let entries = lab.log.has("stop nobody").await;
    let expected = [
        "start spark-client://lab",
        "note 1",
        "error Fail panicked: Oops!",
        "stop nobody",
    ];
    assert_eq!(entries, expected);
}

#[tokio::test]
async fn endpoints_run_on_as_many_own_threads_as_the_setting_says() {
    let conf = RpcConf::default().with_dispatcher_threads(2);
    let env = RpcEnv::builder("env")
        .client_mode()
        .conf(conf)
        .start()
        .await
        .unwrap();
    let mut names = std::collections::BTreeSet::new();
    for number in 0..2 {
        let barrier = BlockingMeeting(std::sync::Barrier::new(1));
        let name = format!("meeting-{number}");
        let meeting = env.setup_concurrent_endpoint(&name, barrier).unwrap();
        names.insert(meeting.ask(Echo(String::new())).await.unwrap());
    }
    assert!(
        names.iter().all(|name| name == "dispatcher-event-loop"),
        "{names:?}"
    );

    // Two handlers that block at the same time need two threads; they would wait for ever on one.
    let meeting = BlockingMeeting(std::sync::Barrier::new(2));
    let meeting = env.setup_concurrent_endpoint("meeting", meeting).unwrap();
    let asks = [meeting.ask(Sum()), meeting.ask(Sum())];
    for ask in asks {
        ask.await.unwrap();
    }
    env.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_can_stop_itself() {
    struct Once(Log);
    impl RpcEndpoint for Once {
        type Inbound = support::lab::LabInbound;

        async fn handle(&mut self, _: Self::Inbound, call: &RpcCallContext) -> Result<(), BoxError> {
            call.stop();
            call.stop();
            self.0.push("handled");
            Ok(())
        }

        async fn on_stop(&mut self, context: &EndpointContext) -> Result<(), BoxError> {
            context.stop();
            self.0.push("stopped");
            Ok(())
        }
    }
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let log = Log::default();
    let once = env.setup_endpoint("once", Once(log.clone())).unwrap();
    once.send(Note(1)).unwrap();
    assert_eq!(log.len(2).await, ["handled", "stopped"]);
    assert!(!env.has_endpoint("once"));
    assert!(once.send(Note(2)).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_stops_itself_late_does_not_stop_the_next_one_of_its_name() {
    /// Waits at its gate, then stops itself.
    struct Slow(Log, Gate);
    impl RpcEndpoint for Slow {
        type Inbound = support::lab::LabInbound;

        async fn handle(&mut self, _: Self::Inbound, call: &RpcCallContext) -> Result<(), BoxError> {
            self.1.0.acquire().await?.forget();
            call.stop();
            self.0.push("stopped itself");
            Ok(())
        }
    }
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let (log, gate) = (Log::default(), Gate::default());
    let reference = env
        .setup_endpoint("lab", Slow(log.clone(), gate.clone()))
        .unwrap();
    reference.send(Note(1)).unwrap();
    settle().await;
    env.stop(&reference);
    env.setup_endpoint("lab", Lab::default()).unwrap();
    gate.open(1);
    log.has("stopped itself").await;
    assert_eq!(reference.ask(Sum()).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_free_again_can_be_taken_again_and_old_references_lead_there() {
    let env = RpcEnv::builder("env").client_mode().start().await.unwrap();
    let (old, new) = (Lab::default(), Lab::default());
    let reference = env.setup_endpoint("lab", old.clone()).unwrap();
    env.stop(&reference);
    env.setup_endpoint("lab", new.clone()).unwrap();
    reference.send(Note(1)).unwrap();
    new.log.has("note 1").await;
    assert_eq!(old.log.count("note 1"), 0);
}

/// Counts with a pause in the middle, so that overlapping handlers would be seen.
struct Crowded {
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    sum: Mutex<u64>,
    rounds: usize,
}

impl ConcurrentRpcEndpoint for Crowded {
    type Inbound = support::lab::LabInbound;

    async fn handle(&self, message: Self::Inbound, _: &RpcCallContext) -> Result<(), BoxError> {
        use support::lab::LabInbound;
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        let sum = *self.sum.lock().unwrap();
        for _ in 0..self.rounds {
            tokio::task::yield_now().await;
        }
        match message {
            // Written as an increment that another handler in between would undo.
            LabInbound::Note(Note(number)) if self.rounds == 1 => *self.sum.lock().unwrap() = sum + number,
            LabInbound::Note(Note(number)) => *self.sum.lock().unwrap() += number,
            LabInbound::Sum(_, reply) => reply.send(*self.sum.lock().unwrap()),
            _ => {}
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Answers when so many handlers run at once.
struct Meeting(Barrier);

impl Meeting {
    fn of(handlers: usize) -> Self {
        Self(Barrier::new(handlers))
    }
}

impl ConcurrentRpcEndpoint for Meeting {
    type Inbound = support::lab::LabInbound;

    async fn handle(&self, message: Self::Inbound, _: &RpcCallContext) -> Result<(), BoxError> {
        self.0.wait().await;
        if let support::lab::LabInbound::Sum(_, reply) = message {
            reply.send(0);
        }
        Ok(())
    }
}

/// Blocks its threads until so many handlers run at once.
struct BlockingMeeting(std::sync::Barrier);

impl ConcurrentRpcEndpoint for BlockingMeeting {
    type Inbound = support::lab::LabInbound;

    async fn handle(&self, message: Self::Inbound, _: &RpcCallContext) -> Result<(), BoxError> {
        match message {
            support::lab::LabInbound::Sum(_, reply) => {
                self.0.wait();
                reply.send(0);
            }
            support::lab::LabInbound::Echo(_, reply) => reply.send(thread_name()),
            _ => {}
        }
        Ok(())
    }
}

/// Blocks its thread until it is let go.
struct Blocking(Mutex<std::sync::mpsc::Receiver<()>>);

impl RpcEndpoint for Blocking {
    type Inbound = support::lab::LabInbound;

    async fn handle(&mut self, message: Self::Inbound, _: &RpcCallContext) -> Result<(), BoxError> {
        let _ = self.0.get_mut().unwrap().recv();
        if let support::lab::LabInbound::Echo(_, reply) = message {
            reply.send(thread_name());
        }
        Ok(())
    }
}

fn thread_name() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

/// Waits at its gate in `on_start` and in every handler.
#[derive(Default)]
struct Slow {
    log: Log,
    gate: Gate,
    fails: bool,
}

impl ConcurrentRpcEndpoint for Slow {
    type Inbound = support::lab::LabInbound;

    async fn handle(&self, message: Self::Inbound, _: &RpcCallContext) -> Result<(), BoxError> {
        let support::lab::LabInbound::Note(Note(number)) = message else {
            return Ok(());
        };
        self.log.push(format!("begin {number}"));
        self.gate.0.acquire().await?.forget();
        if number == 666 {
            panic!("Oops!");
        }
        self.log.push(format!("end {number}"));
        Ok(())
    }

    async fn on_start(&self, _: &EndpointContext) -> Result<(), BoxError> {
        self.log.push("starting");
        self.gate.0.acquire().await?.forget();
        self.log.push("started");
        if self.fails { Err("Oops!".into()) } else { Ok(()) }
    }

    async fn on_stop(&self, _: &EndpointContext) -> Result<(), BoxError> {
        self.log.push("stop");
        Ok(())
    }

    async fn on_error(&self, error: EndpointError, _: &EndpointContext) {
        let text = error.to_string();
        self.log
            .push(format!("error {}", text.lines().next().unwrap_or_default()));
    }
}
