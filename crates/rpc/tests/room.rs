//! Waiting for room: neither busily, nor for longer than an ask may take, nor for less room than is needed.

mod support;

use std::time::Duration;

use spark_rpc::config::RpcConf;
use spark_rpc::{AskError, AskPhase, Handled};
use spark_rpc_testkit::{MemoryNetwork, MemorySettings};
use support::lab::Lab;
use support::messages::*;
use support::{Pair, client, server, settle};

/// Settings with which one request at a time may wait for its answer.
fn one_request() -> RpcConf {
    let mut conf = RpcConf::default();
    conf.transport.max_pending_requests = 1;
    conf
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

// Virtual time stands still while a task is busy: these tests do not end if one looks for room again and again.

#[tokio::test(start_paused = true)]
async fn asks_beyond_the_allowed_number_wait_until_others_have_their_answers() {
    let pair = Pair::with_conf(one_request()).await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    let first = tokio::spawn(far.ask(Keep(1)));
    let second = tokio::spawn(far.ask(Echo("second".into())));
    settle().await;
    assert!(
        !second.is_finished(),
        "the first one has the only place until it is answered"
    );
    lab.kept.lock().unwrap().remove(0).send(1);
    assert_eq!(first.await.unwrap().unwrap(), 1);
    assert_eq!(second.await.unwrap().unwrap(), "second");
}

#[tokio::test(start_paused = true)]
async fn asks_beyond_the_allowed_number_wait_until_others_are_given_up() {
    let pair = Pair::with_conf(one_request()).await;
    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let far = pair.far("lab").await;
    let dropped = far.ask(Keep(1));
    let second = tokio::spawn(far.ask(Keep(2)));
    settle().await;
    drop(dropped);
    settle().await;
    let third = tokio::spawn(far.ask(Echo("third".into())));
    settle().await;
    assert!(!third.is_finished(), "the second one has the place now");
    second.abort();
    assert_eq!(third.await.unwrap().unwrap(), "third");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_connection_goes_out_request_by_request() {
    let net = MemoryNetwork::new(1);
    let server = server(&net.host("server"), 7077, RpcConf::default()).await;
    server.setup_endpoint("lab", Lab::default()).unwrap();
    let client = client(&net.host("client"), one_request()).await;
    let far = client.endpoint_ref("spark://lab@server:7077".parse().unwrap());
    let asks: Vec<_> = (0..5).map(|n| far.ask(Echo(n.to_string()))).collect();
    let asks: Vec<_> = asks.into_iter().map(tokio::spawn).collect();
    for (n, ask) in asks.into_iter().enumerate() {
        assert_eq!(ask.await.unwrap().unwrap(), n.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_for_an_ask_includes_its_wait_for_room() {
    let pair = Pair::with_conf(one_request()).await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    let began = tokio::time::Instant::now();
    let first = tokio::spawn(far.ask_within(Keep(1), ms(300)));
    let second = far.ask_within(Keep(2), ms(500)).await;
    assert!(
        began.elapsed() >= ms(500) && began.elapsed() < ms(520),
        "{:?}",
        began.elapsed()
    );
    assert!(first.await.unwrap().is_err());
    let Err(AskError::Timeout(timeout)) = second else {
        panic!("nobody answered: {second:?}");
    };
    assert_eq!(timeout.reached(), AskPhase::AwaitingReply);
}

#[tokio::test(start_paused = true)]
async fn a_large_message_waits_for_as_much_room_as_it_needs() {
    let settings = MemorySettings {
        send_buffer: 256,
        ..MemorySettings::default()
    };
    let net = MemoryNetwork::with_settings(1, settings);
    let mut conf = RpcConf::default();
    conf.transport.write_queue_max_bytes = 4_096;
    let server = server(&net.host("server"), 7077, conf.clone()).await;
    let lab = Lab::default();
    server.setup_endpoint("lab", lab.clone()).unwrap();
    let client = client(&net.host("client"), conf).await;
    let far = client
        .setup_endpoint_ref("spark://lab@server:7077")
        .await
        .unwrap();

    net.partition(&["server"], &["client"]);
    far.send(Bulk(vec![0; 3_000])).unwrap();
    far.send(Bulk(vec![0; 3_000]))
        .expect_err("it is full for this one");
    far.send(Note(1)).expect("a small one still fits");
    let asked = tokio::spawn(far.ask(Echo("x".repeat(2_000))));
    let waiting = far.clone();
    let sent = tokio::spawn(async move { waiting.send_wait(Bulk(vec![0; 2_000])).await });
    settle().await;
    assert!(
        !sent.is_finished() && !asked.is_finished(),
        "there is room, but not enough"
    );
    net.heal();
    sent.await.unwrap().unwrap();
    assert_eq!(asked.await.unwrap().unwrap().len(), 2_000);
    lab.log.has("bulk 2000").await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_what_has_waited_for_it_keeps_nobody_from_connecting() {
    let settings = MemorySettings {
        send_buffer: 256,
        ..MemorySettings::default()
    };
    let net = MemoryNetwork::with_settings(1, settings);
    let mut crowded = RpcConf::default();
    crowded.inbox.max_messages = 1;
    let slow = server(&net.host("slow"), 7077, crowded).await;
    let lab = Lab::default();
    let near = slow.setup_endpoint("lab", lab.clone()).unwrap();
    near.send(Block()).unwrap();
    lab.log.has("blocked").await;
    let quick = server(&net.host("quick"), 7077, RpcConf::default()).await;
    quick.setup_endpoint("lab", Lab::default()).unwrap();

    let mut conf = RpcConf::default().with_max_connecting(1);
    conf.transport.write_queue_max_bytes = 4_096;
    let client = client(&net.host("client"), conf).await;
    let to_slow = client.endpoint_ref("spark://lab@slow:7077".parse().unwrap());
    for _ in 0..5 {
        to_slow.send(Bulk(vec![0; 3_000])).unwrap();
    }
    settle().await;
    let to_quick = client.endpoint_ref("spark://lab@quick:7077".parse().unwrap());
    let answer = to_quick.ask_within(Echo("here".into()), ms(1_000)).await;
    assert_eq!(answer.unwrap(), "here");
    lab.gate.open(1);
    lab.log
        .until(|entries| entries.iter().filter(|entry| *entry == "bulk 3000").count() == 5)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_for_room_in_the_endpoint_that_has_the_name_now() {
    let mut conf = RpcConf::default();
    conf.inbox.max_messages = 1;
    let pair = Pair::with_conf(conf).await;
    let first = Lab::default();
    let near = pair.server.setup_endpoint("lab", first.clone()).unwrap();
    let far = pair.far("lab").await;
    far.send(Note(1)).unwrap();
    first.log.has("note 1").await;

    pair.server.stop(&near);
    let second = Lab::default();
    let near = pair.server.setup_endpoint("lab", second.clone()).unwrap();
    near.send(Block()).unwrap();
    second.log.has("blocked").await;
    far.send(Note(2)).unwrap();
    settle().await;
    second.gate.open(1);
    second.log.has("note 2").await;
}

#[tokio::test(start_paused = true)]
async fn a_retried_ask_whose_first_attempt_may_have_been_handled_never_ends_as_not_handled() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    let retried = tokio::spawn(async move { far.ask_with_retry(Keep(1), ms(100)).await });
    lab.log.has("keep 1").await;
    // Past the first attempt, and before the second.
    settle().await;
    settle().await;
    assert_eq!(
        lab.log.count("keep 1"),
        1,
        "the first attempt was handled, and not answered"
    );
    pair.client.shutdown().await;
    let error = retried.await.unwrap().unwrap_err();
    assert!(
        matches!(error, AskError::RetriesExhausted { attempts: 2, .. }),
        "{error:?}"
    );
    assert_eq!(error.handled(), Handled::Unknown);
}
