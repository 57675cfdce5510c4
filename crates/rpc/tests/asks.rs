//! Asking: answers, failures, timeouts, giving up.

// tidy: allow-file(sleep): those that sleep run on virtual time, where it costs nothing and says when.

mod support;

use std::error::Error as _;
use std::time::Duration;

use spark_rpc::config::{RpcConf, RpcTimeout, SparkConf};
use spark_rpc::{AskError, AskPhase, Handled, RpcEndpointRef, RpcEnv};
use spark_rpc_testkit::{Crash, MemoryNetwork};
use support::lab::Lab;
use support::messages::*;
use support::{Pair, client, eventually, server, settle};

/// The same endpoint of the pair's server, near and far.
async fn near_and_far(pair: &Pair, lab: &Lab) -> [RpcEndpointRef; 2] {
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    [near, pair.far("lab").await]
}

/// ENV-03, INBOX-02
#[tokio::test(start_paused = true)]
async fn an_ask_is_answered_near_and_far() {
    let pair = Pair::new().await;
    for reference in near_and_far(&pair, &Lab::default()).await {
        assert_eq!(reference.ask(Echo("hello".into())).await.unwrap(), "hello");
    }
    let stats = pair.server.stats();
    let lab = stats
        .endpoints
        .iter()
        .find(|endpoint| endpoint.name == "lab")
        .unwrap();
    assert_eq!(
        (lab.posted, lab.handled, lab.queued),
        (2, 2, 0),
        "each reached the handler once"
    );
}

/// RPC-01
#[tokio::test(start_paused = true)]
async fn one_request_and_then_two_at_once_over_one_connection() {
    let pair = Pair::new().await;
    let [_, far] = near_and_far(&pair, &Lab::default()).await;
    assert_eq!(far.ask(Echo("one".into())).await.unwrap(), "one");
    let (two, three) = (far.ask(Echo("two".into())), far.ask(Echo("three".into())));
    assert_eq!(
        three.await.unwrap(),
        "three",
        "answers can be awaited in any order"
    );
    assert_eq!(two.await.unwrap(), "two");
    assert_eq!(pair.client.stats().transport.connections_opened(), 1);
}

/// ENV-12
#[tokio::test(start_paused = true)]
async fn a_reply_that_is_given_later_from_elsewhere_arrives() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    for reference in near_and_far(&pair, &lab).await {
        let ask = reference.ask(Keep(1));
        lab.log
            .until(|entries| entries.iter().any(|entry| entry == "keep 1"))
            .await;
        assert_eq!(
            reference.ask(Sum()).await.unwrap(),
            0,
            "the endpoint goes on meanwhile"
        );
        eventually("it is kept", || !lab.kept.lock().unwrap().is_empty()).await;
        let reply = lab.kept.lock().unwrap().remove(0);
        std::thread::spawn(move || reply.send(42)).join().unwrap();
        assert_eq!(ask.await.unwrap(), 42);
    }
}

/// ENV-13, RPC-02
#[tokio::test(start_paused = true)]
async fn a_failure_that_is_given_explicitly_arrives_with_its_cause() {
    let pair = Pair::new().await;
    let [near, far] = near_and_far(&pair, &Lab::default()).await;
    for reference in [&near, &far] {
        let error = reference.ask(Misbehave(How::Error)).await.unwrap_err();
        assert_eq!(error.handled(), Handled::Yes);
        assert_eq!(error.to_string(), "Oops!");
        let AskError::Remote(failure) = error else {
            panic!("{error:?}");
        };
        assert_eq!(failure.local_error().is_some(), reference.is_local());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_handle_that_is_dropped_fails_the_asker_at_once() {
    let pair = Pair::new().await;
    for reference in near_and_far(&pair, &Lab::default()).await {
        let began = tokio::time::Instant::now();
        let error = reference.ask(Misbehave(How::Drop)).await.unwrap_err();
        assert!(
            matches!(&error, AskError::Unanswered { endpoint } if endpoint == "lab"),
            "{error:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(1));
        assert_eq!(error.handled(), Handled::Unknown);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_reply_handle_that_is_dropped_later_fails_the_asker_then() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    for reference in near_and_far(&pair, &lab).await {
        let ask = reference.ask(Keep(1));
        eventually("it is kept", || !lab.kept.lock().unwrap().is_empty()).await;
        drop(lab.kept.lock().unwrap().remove(0));
        let error = ask.await.unwrap_err();
        assert!(matches!(error, AskError::Unanswered { .. }), "{error:?}");
    }
}

/// ENV-14
#[tokio::test(start_paused = true)]
async fn a_reply_that_cannot_be_written_fails_the_ask() {
    let pair = Pair::new().await;
    let [_, far] = near_and_far(&pair, &Lab::default()).await;
    let began = tokio::time::Instant::now();
    let error = far.ask(Unwritable()).await.unwrap_err();
    assert!(
        error.to_string().contains("the reply cannot be encoded"),
        "{error}"
    );
    assert_eq!(error.handled(), Handled::Yes);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_written_is_not_sent() {
    let pair = Pair::new().await;
    let [_, far] = near_and_far(&pair, &Lab::default()).await;
    let error = far.ask(BrokenAsk(Broken)).await.unwrap_err();
    let AskError::Unencodable(encode) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(encode.name, "BrokenAsk");
    assert_eq!(error.handled(), Handled::No);
    far.send(BrokenNote(Broken)).unwrap_err();
    assert_eq!(far.ask(Sum()).await.unwrap(), 0, "the connection is as it was");
}

/// RPC-03
#[tokio::test(start_paused = true)]
async fn good_and_bad_requests_mix_on_one_connection() {
    let pair = Pair::new().await;
    let [_, far] = near_and_far(&pair, &Lab::default()).await;
    let good = [far.ask(Echo("a".into())), far.ask(Echo("b".into()))];
    let bad = [far.ask(Misbehave(How::Panic)), far.ask(Misbehave(How::Error))];
    for (ask, expected) in good.into_iter().zip(["a", "b"]) {
        assert_eq!(ask.await.unwrap(), expected);
    }
    for ask in bad {
        ask.await.unwrap_err();
    }
    assert_eq!(pair.client.stats().transport.connections_open(), 1);
}

/// RPC-04
#[tokio::test(start_paused = true)]
async fn a_one_way_message_arrives_once_and_leaves_nothing_outstanding() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let [_, far] = near_and_far(&pair, &lab).await;
    far.send(Note(7)).unwrap();
    lab.log.has("note 7").await;
    settle().await;
    assert_eq!(lab.log.count("note 7"), 1);
    let stats = pair.client.stats();
    assert_eq!(stats.transport.frames_read(), 1, "one answer, to the lookup");
}

/// ENV-04, TIMEOUT-01
#[tokio::test(start_paused = true)]
async fn an_ask_that_takes_too_long_fails_and_names_the_setting() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    for reference in near_and_far(&pair, &lab).await {
        let timeout = RpcTimeout::new(Duration::from_millis(1500), "spark.rpc.short.timeout");
        let began = tokio::time::Instant::now();
        let error = reference.ask_within(Keep(1), timeout).await.unwrap_err();
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(1500) && took < Duration::from_millis(1600),
            "{took:?}"
        );
        assert_eq!(error.handled(), Handled::Unknown);
        let text = error.to_string();
        let setting = "in 1500 milliseconds. This timeout is controlled by spark.rpc.short.timeout";
        assert!(text.contains(setting), "{text}");
        assert_eq!(text.matches("This timeout is controlled by").count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_of_its_own_an_ask_takes_that_of_the_env() {
    let spark = SparkConf::from_pairs([("spark.network.timeout", "33s")]);
    let pair = Pair::with_conf(RpcConf::from_spark(&spark).unwrap()).await;
    for reference in near_and_far(&pair, &Lab::default()).await {
        let began = tokio::time::Instant::now();
        let error = reference.ask(Keep(1)).await.unwrap_err();
        // The same key bounds a connection's silence, so the far one may end by that.
        assert_eq!(began.elapsed().as_secs(), 33, "{error}");
        assert!(error.to_string().contains("33"), "{error}");
        let said = error.to_string();
        assert!(
            said.contains("spark.network.timeout") || said.contains("connectionTimeout"),
            "{said}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_near_says_whether_the_message_waited_or_was_being_handled() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let [near, _] = near_and_far(&pair, &lab).await;
    let limit = Duration::from_secs(2);

    near.send(Block()).unwrap();
    let queued = timeout_of(near.ask_within(Sum(), limit).await);
    assert_eq!(queued.reached(), AskPhase::Queued);
    assert_eq!(queued.phases.len(), 1);
    assert_eq!(queued.peer, None);
    assert_eq!(queued.message, "Sum");
    assert_eq!(queued.endpoint.to_string(), "spark://lab@server:7077");

    lab.gate.open(1);
    settle().await;
    let handled = timeout_of(near.ask_within(Keep(1), limit).await);
    assert_eq!(handled.reached(), AskPhase::Handling);
    let [(AskPhase::Queued, waited), (AskPhase::Handling, worked)] = handled.phases[..] else {
        panic!("{handled:?}");
    };
    assert!(
        waited < Duration::from_millis(10) && worked > Duration::from_millis(1900),
        "{handled}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_far_says_how_long_connecting_took_and_names_peer_and_endpoint() {
    let pair = Pair::new().await;
    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let far = pair
        .client
        .endpoint_ref("spark://lab@server:7077".parse().unwrap());
    let limit = Duration::from_secs(2);

    pair.net.partition(&["client"], &["server"]);
    let connecting = far.ask_within(Keep(1), limit).await.unwrap_err();
    assert_eq!(connecting.handled(), Handled::No, "it never left");
    let connecting = timeout_of(Err::<u64, _>(connecting));
    assert_eq!(connecting.reached(), AskPhase::Connecting);
    assert_eq!(connecting.peer.as_ref().unwrap().to_string(), "server:7077");

    let ask = far.ask_within(Keep(2), limit);
    tokio::time::sleep(Duration::from_secs(1)).await;
    pair.net.heal();
    let waiting = timeout_of(ask.await);
    let [
        (AskPhase::Connecting, connected),
        (AskPhase::AwaitingReply, waited),
    ] = waiting.phases[..]
    else {
        panic!("{waiting:?}");
    };
    assert!(
        connected >= Duration::from_secs(1) && connected < Duration::from_millis(1100),
        "{waiting}"
    );
    assert!(waited > Duration::from_millis(900) && connected + waited <= limit + Duration::from_millis(10));
    let text = waiting.to_string();
    let start = "Cannot receive any reply from server:7077 in 2 seconds. This timeout is controlled by";
    assert!(text.starts_with(start), "{text}");
    assert!(
        text.contains("[message Keep to spark://lab@server:7077; connecting 10"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_ask_whose_time_is_up_before_it_has_left_is_never_sent() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair
        .client
        .endpoint_ref("spark://lab@server:7077".parse().unwrap());
    pair.net.partition(&["client"], &["server"]);
    far.ask_within(Keep(1), Duration::from_secs(1)).await.unwrap_err();
    drop(far.ask(Keep(2)));
    let last = far.ask(Sum());
    pair.net.heal();
    last.await.unwrap();
    settle().await;
    assert_eq!(lab.log.count("keep 1") + lab.log.count("keep 2"), 0);
}

#[tokio::test(start_paused = true)]
async fn giving_up_an_ask_whose_connection_failed_takes_nobody_elses_message_back() {
    let net = MemoryNetwork::new(1);
    let host = net.host("server");
    let client = client(&net.host("client"), RpcConf::default()).await;
    let far = client.endpoint_ref("spark://lab@server:7077".parse().unwrap());
    let refused = far.ask(Sum());
    settle().await;

    let server = server(&host, 7077, RpcConf::default()).await;
    let lab = Lab::default();
    server.setup_endpoint("lab", lab.clone()).unwrap();
    far.send(Note(1)).unwrap();
    drop(refused);
    lab.log.has("note 1").await;
}

/// NENV-05
#[tokio::test(start_paused = true)]
async fn a_timeout_on_a_clients_reference_names_the_connection() {
    let pair = Pair::new().await;
    let register = Lab::default();
    pair.server.setup_endpoint("register", register.clone()).unwrap();
    let own = pair.client.setup_endpoint("own", Lab::default()).unwrap();
    pair.far("register").await.send(Remember(own)).unwrap();
    register.log.has("remembered").await;

    let back = register.remembered.lock().unwrap().remove(0);
    let error = back
        .ask_within(Keep(1), Duration::from_secs(1))
        .await
        .unwrap_err();
    let text = error.to_string();
    let timeout = timeout_of(Err::<u64, _>(error));
    let peer = timeout.peer.unwrap();
    assert_eq!(peer.host(), "client");
    assert!(text.contains(&format!("from {peer} in 1 second")), "{text}");
    assert!(text.contains("spark-client://own"), "{text}");
}

/// ENV-05
#[tokio::test(start_paused = true)]
async fn an_ask_can_be_given_up_from_elsewhere_with_a_reason() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    for reference in near_and_far(&pair, &lab).await {
        let (ask, handle) = reference.ask_abortable(Keep(1), Duration::from_secs(10));
        let abort = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            handle.abort("TestAbort");
            handle.abort("too late");
        };
        let began = tokio::time::Instant::now();
        let (result, ()) = tokio::join!(ask, abort);
        let error = result.unwrap_err();
        assert!(
            matches!(&error, AskError::Aborted { reason } if reason == "TestAbort"),
            "{error:?}"
        );
        assert_eq!(began.elapsed().as_millis(), 100);
        assert_eq!(error.handled(), Handled::Unknown);
    }
}

#[tokio::test(start_paused = true)]
async fn an_abort_before_the_first_look_and_one_after_the_answer() {
    let pair = Pair::new().await;
    for reference in near_and_far(&pair, &Lab::default()).await {
        let (ask, handle) = reference.ask_abortable(Keep(1), Duration::from_secs(10));
        handle.abort("early");
        assert!(matches!(ask.await.unwrap_err(), AskError::Aborted { .. }));

        let (ask, handle) = reference.ask_abortable(Echo("kept".into()), Duration::from_secs(10));
        assert_eq!(ask.await.unwrap(), "kept");
        handle.abort("late");
    }
}

/// RESP-03
#[tokio::test(start_paused = true)]
async fn a_late_answer_counts_for_nobody() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let [_, far] = near_and_far(&pair, &lab).await;
    far.ask_within(Keep(1), Duration::from_secs(1)).await.unwrap_err();
    let kept = far.ask(Keep(2));
    eventually("both are kept", || lab.kept.lock().unwrap().len() == 2).await;
    lab.kept.lock().unwrap().remove(0).send(1);
    settle().await;
    assert_eq!(pair.client.stats().transport.late_replies(), 1);
    lab.kept.lock().unwrap().remove(0).send(2);
    assert_eq!(kept.await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn dropping_an_ask_frees_its_place_at_once() {
    let mut conf = RpcConf::default();
    conf.transport.max_pending_requests = 2;
    let pair = Pair::with_conf(conf).await;
    let lab = Lab::default();
    let [near, far] = near_and_far(&pair, &lab).await;
    for _ in 0..10 {
        let asks = (far.ask(Keep(1)), far.ask(Keep(2)));
        settle().await;
        drop(asks);
    }
    assert_eq!(far.ask(Sum()).await.unwrap(), 0, "there is a place left");

    // The far side learns nothing of it: its handles still answer, into the void.
    let kept = std::mem::take(&mut *lab.kept.lock().unwrap());
    assert_eq!(kept.len(), 20);
    kept.into_iter().for_each(|reply| reply.send(0));
    settle().await;
    assert_eq!(pair.client.stats().transport.late_replies(), 20);

    let ask = near.ask(Keep(3));
    settle().await;
    drop(ask);
    lab.kept.lock().unwrap().remove(0).send(0);
    assert_eq!(near.ask(Sum()).await.unwrap(), 0);
}

/// RESP-02, RESP-05
#[tokio::test(start_paused = true)]
async fn a_broken_connection_fails_everything_outstanding() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let [_, far] = near_and_far(&pair, &lab).await;
    assert_eq!(far.ask(Echo("answered".into())).await.unwrap(), "answered");
    let outstanding = [far.ask(Keep(1)), far.ask(Keep(2))];
    settle().await;
    pair.net.cut("client", "server");
    for ask in outstanding {
        let error = ask.await.unwrap_err();
        assert!(matches!(error, AskError::Disconnected(_)), "{error:?}");
        assert_eq!(error.handled(), Handled::Unknown);
        assert!(
            error.to_string().contains("Connection from server:7077"),
            "{error}"
        );
    }
    assert_eq!(far.ask(Sum()).await.unwrap(), 0, "the next ask connects anew");
    assert_eq!(pair.client.stats().reconnects, 1);
}

/// TIMEOUT-02
#[tokio::test(start_paused = true)]
async fn a_connection_that_falls_silent_is_closed_and_a_new_one_works() {
    let mut conf = RpcConf::default();
    conf.transport.connection_timeout = Some(Duration::from_secs(10));
    let pair = Pair::with_conf(conf).await;
    let lab = Lab::default();
    let [_, far] = near_and_far(&pair, &lab).await;
    let began = tokio::time::Instant::now();
    let error = far.ask(Keep(1)).await.unwrap_err();
    assert!(matches!(error, AskError::Disconnected(_)), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 10);
    assert!(
        error.to_string().contains("spark.rpc.io.connectionTimeout"),
        "{error}"
    );
    assert_eq!(far.ask(Echo("again".into())).await.unwrap(), "again");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_loses_its_power_is_noticed_by_the_timeout() {
    let pair = Pair::new().await;
    let [_, far] = near_and_far(&pair, &Lab::default()).await;
    pair.net.crash("server", Crash::POWER_LOSS);
    let timeout = timeout_of(far.ask_within(Sum(), Duration::from_secs(5)).await);
    assert_eq!(timeout.reached(), AskPhase::AwaitingReply);
}

#[tokio::test(start_paused = true)]
async fn an_ask_to_nobody_fails_at_once_near_and_far() {
    let pair = Pair::new().await;
    let address = "spark://nobody@server:7077"
        .parse::<spark_rpc::RpcEndpointAddress>()
        .unwrap();
    for env in [&pair.server, &pair.client] {
        let error = env.endpoint_ref(address.clone()).ask(Sum()).await.unwrap_err();
        assert!(matches!(&error, AskError::EndpointNotFound { endpoint } if endpoint == "nobody"));
        assert_eq!(error.to_string(), "Could not find nobody.");
        assert_eq!(error.handled(), Handled::No);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retried_ask_tries_as_often_as_the_settings_say_with_pauses() {
    let pair = Pair::with_conf(RpcConf::default().with_retries(3, Duration::from_secs(3))).await;
    let lab = Lab::default();
    for reference in near_and_far(&pair, &lab).await {
        let before = lab.kept.lock().unwrap().len();
        let began = tokio::time::Instant::now();
        let error = reference
            .ask_with_retry(Keep(1), Duration::from_secs(2))
            .await
            .unwrap_err();
        assert_eq!(began.elapsed().as_secs(), 3 * 2 + 2 * 3);
        assert_eq!(lab.kept.lock().unwrap().len() - before, 3);
        let AskError::RetriesExhausted {
            message: "Keep",
            attempts: 3,
            last,
        } = &error
        else {
            panic!("{error:?}");
        };
        assert!(matches!(**last, AskError::Timeout(_)));
        assert!(error.source().is_some());
        assert!(
            error
                .to_string()
                .starts_with("Error sending message [message = Keep]"),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_retried_ask_ends_with_the_first_answer() {
    let pair = Pair::with_conf(RpcConf::default().with_retries(3, Duration::from_secs(3))).await;
    let lab = Lab::default();
    for reference in near_and_far(&pair, &lab).await {
        let reply = async {
            eventually("the second attempt", || lab.kept.lock().unwrap().len() == 2).await;
            lab.kept
                .lock()
                .unwrap()
                .drain(..)
                .for_each(|reply| reply.send(42));
        };
        let (answer, ()) = tokio::join!(reference.ask_with_retry(Keep(1), Duration::from_secs(2)), reply);
        assert_eq!(answer.unwrap(), 42);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_would_repeat_is_not_tried_again() {
    let pair = Pair::new().await;
    for reference in near_and_far(&pair, &Lab::default()).await {
        let began = tokio::time::Instant::now();
        let error = reference
            .ask_with_retry(NobodyAnswers(), Duration::from_secs(2))
            .await
            .unwrap_err();
        assert!(matches!(error, AskError::UnknownMessage { .. }), "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_sender_arrive_in_order_asks_and_sends_alike() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    // The first ones wait for the connection, the others pass straight through.
    let far = pair
        .client
        .endpoint_ref("spark://lab@server:7077".parse().unwrap());
    let mut asks = Vec::new();
    let mut expected = Vec::new();
    for number in 0..300 {
        if number % 3 == 0 {
            asks.push(far.ask(Keep(number)));
            expected.push(format!("keep {number}"));
        } else {
            far.send(Note(number)).unwrap();
            expected.push(format!("note {number}"));
        }
        if number % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let connected = |entries: &[String]| entries.iter().filter(|e| e.contains("connected")).count();
    let entries = lab
        .log
        .until(|entries| entries.len() - connected(entries) > 300)
        .await;
    let messages: Vec<_> = entries[1..]
        .iter()
        .filter(|entry| !entry.contains("connected"))
        .collect();
    assert!(messages.into_iter().eq(&expected));
}

#[tokio::test(start_paused = true)]
async fn a_control_message_passes_those_that_wait() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    for reference in near_and_far(&pair, &lab).await {
        let before = lab.log.entries().len();
        reference.send(Block()).unwrap();
        settle().await;
        reference.send(Note(1)).unwrap();
        reference.send(Note(2)).unwrap();
        reference.send(Urgent(3)).unwrap();
        settle().await;
        lab.gate.open(1);
        let entries = lab.log.len(before + 5).await;
        assert_eq!(
            entries[before + 1..],
            ["unblocked", "urgent 3", "note 1", "note 2"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_control_message_passes_those_that_the_endpoint_has_already_taken() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let [near, _] = near_and_far(&pair, &lab).await;
    settle().await;
    // These are queued together and so are taken together.
    near.send(Block()).unwrap();
    near.send(Note(1)).unwrap();
    near.send(Block()).unwrap();
    near.send(Note(2)).unwrap();
    let before = lab.log.has("blocked").await.len();
    near.send(Urgent(3)).unwrap();
    near.send(Urgent(4)).unwrap();
    lab.gate.open(1);
    let entries = lab.log.len(before + 5).await;
    assert_eq!(
        entries[before..],
        ["unblocked", "urgent 3", "urgent 4", "note 1", "blocked"]
    );
    near.send(Urgent(5)).unwrap();
    lab.gate.open(1);
    let entries = lab.log.len(before + 8).await;
    assert_eq!(entries[before + 5..], ["unblocked", "urgent 5", "note 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_nothing_and_one_beyond_all_clocks() {
    let pair = Pair::new().await;
    for reference in near_and_far(&pair, &Lab::default()).await {
        timeout_of(reference.ask_within(Keep(1), Duration::ZERO).await);
        let answer = reference.ask_within(Echo("at last".into()), Duration::MAX).await;
        assert_eq!(answer.unwrap(), "at last");
    }
}

#[tokio::test(start_paused = true)]
async fn an_env_that_ends_fails_its_asks_instead_of_forgetting_them() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let [near, far] = near_and_far(&pair, &lab).await;
    // Its reply handle is kept beyond the endpoint's end, and nobody answers.
    let near = near.ask_within(Keep(1), Duration::from_secs(20));
    let far = far.ask_within(Keep(2), Duration::from_secs(20));
    settle().await;
    pair.server.shutdown().await;
    let limit = Duration::from_secs(60);
    let near = tokio::time::timeout(limit, near)
        .await
        .expect("no wait is without a limit");
    near.unwrap_err();
    let far = tokio::time::timeout(limit, far)
        .await
        .expect("no wait is without a limit");
    assert!(matches!(far.unwrap_err(), AskError::Disconnected(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_askers_over_tcp_get_their_own_answers() {
    let server = RpcEnv::builder("server")
        .bind("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let lab = server.setup_endpoint("lab", Lab::default()).unwrap();
    let client = RpcEnv::builder("client").client_mode().start().await.unwrap();
    let far = client.setup_endpoint_ref(&lab.to_string()).await.unwrap();
    let askers: Vec<_> = (0..50)
        .map(|asker| {
            let far = far.clone();
            tokio::spawn(async move {
                for number in 0..50 {
                    let text = format!("{asker}/{number}");
                    assert_eq!(far.ask(Echo(text.clone())).await.unwrap(), text);
                }
            })
        })
        .collect();
    for asker in askers {
        asker.await.unwrap();
    }
    assert_eq!(client.stats().transport.connections_opened(), 1);
}

fn timeout_of<R: std::fmt::Debug>(result: Result<R, AskError>) -> spark_rpc::AskTimeout {
    match result {
        Err(AskError::Timeout(timeout)) => *timeout,
        other => panic!("expected a timeout, got {other:?}"),
    }
}
