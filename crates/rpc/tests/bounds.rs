//! Every queue has a bound and an answer to "full", and nothing accepted is lost without a word.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

mod support;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use spark_rpc::config::{OutboxBounds, QueueBounds, RpcConf, WhenFull};
use spark_rpc::{
    AskError, AskPhase, BoxFuture, Handled, RpcEndpointRef, RpcEnv, RpcEnvFactory, SendError, TransportClient,
};
use spark_rpc_testkit::MemoryNetwork;
use spark_rpc_transport::ClientBootstrap;
use support::lab::Lab;
use support::messages::*;
use support::{Pair, client, network, server, settle};

/// A pair whose inboxes take three messages, with the lab's handler blocked.
async fn blocked(when_full: WhenFull) -> (Pair, Lab, RpcEndpointRef, RpcEndpointRef) {
    let bounds = QueueBounds {
        max_messages: 3,
        when_full,
        ..QueueBounds::default()
    };
    let pair = Pair::with_conf(RpcConf::default().with_inbox(bounds)).await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    far.ask(Sum()).await.unwrap();
    near.send(Block()).unwrap();
    lab.log.has("blocked").await;
    (pair, lab, near, far)
}

fn lab_stats(env: &RpcEnv) -> spark_rpc::EndpointStats {
    let stats = env.stats();
    stats
        .endpoints
        .into_iter()
        .find(|endpoint| endpoint.name == "lab")
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_refuses_a_local_send_by_count_and_takes_it_when_there_is_room() {
    let (pair, lab, near, _) = blocked(WhenFull::Reject).await;
    near.send(Note(1)).unwrap();
    near.send(Note(2)).unwrap();
    let error = near.send(Note(3)).unwrap_err();
    let SendError::Full { endpoint, reason } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(endpoint.to_string(), "spark://lab@server:7077");
    assert!(reason.starts_with("inbox") && reason.contains('3'), "{reason}");
    let stats = lab_stats(&pair.server);
    assert_eq!((stats.queued, stats.rejected), (3, 1));

    lab.gate.open(1);
    lab.log.has("note 2").await;
    settle().await;
    near.send(Note(4)).unwrap();
    lab.log.has("note 4").await;
    assert_eq!(lab.log.count("note 3"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_refuses_by_bytes_and_lets_a_long_message_in_when_nothing_else_waits() {
    let bounds = QueueBounds {
        max_bytes: 1000,
        when_full: WhenFull::Reject,
        ..QueueBounds::default()
    };
    let pair = Pair::with_conf(RpcConf::default().with_inbox(bounds)).await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    far.send(Bulk(vec![0; 5000])).unwrap();
    lab.log.has("bulk 5000").await;

    far.send(Block()).unwrap();
    lab.log.has("blocked").await;
    far.send(Bulk(vec![0; 600])).unwrap();
    far.send(Bulk(vec![0; 601])).unwrap();
    settle().await;
    let stats = lab_stats(&pair.server);
    assert_eq!((stats.queued, stats.rejected), (2, 1));
    assert!(stats.queued_bytes > 600 && stats.queued_bytes < 700, "{stats:?}");
    assert_eq!(
        pair.server.stats().dropped,
        1,
        "a one-way message that found no room"
    );
    let error = far.ask(Echo("x".repeat(500))).await.unwrap_err();
    let AskError::Rejected { endpoint, reason } = &error else {
        panic!("{error:?}");
    };
    assert!(
        endpoint == "lab" && reason.starts_with("inbox") && reason.contains("1000"),
        "{error}"
    );
    assert_eq!(error.handled(), Handled::No);
}

#[tokio::test(start_paused = true)]
async fn a_sender_can_wait_for_room() {
    let (pair, lab, near, _) = blocked(WhenFull::Reject).await;
    near.send(Note(1)).unwrap();
    near.send(Note(2)).unwrap();
    let waiting = tokio::spawn({
        let near = near.clone();
        async move { near.send_wait(Note(3)).await }
    });
    settle().await;
    assert!(!waiting.is_finished());
    lab.gate.open(1);
    waiting.await.unwrap().unwrap();
    lab.log.has("note 3").await;
    assert_eq!(lab_stats(&pair.server).rejected, 0, "it was let in");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_room_ends_with_the_ask_timeout() {
    let (pair, _lab, near, _) = blocked(WhenFull::Reject).await;
    near.send(Note(1)).unwrap();
    near.send(Note(2)).unwrap();
    let began = tokio::time::Instant::now();
    let error = near.send_wait(Note(3)).await.unwrap_err();
    assert!(matches!(error, SendError::Full { .. }), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 120);
    assert_eq!(
        lab_stats(&pair.server).rejected,
        1,
        "one message, however often it was tried"
    );

    let error = near.ask_within(Sum(), Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(error.handled(), Handled::No);
    let AskError::Timeout(timeout) = error else {
        panic!("{error:?}");
    };
    assert_eq!(timeout.reached(), AskPhase::WaitingForRoom);
    assert_eq!(lab_stats(&pair.server).rejected, 2, "an ask counts as well");
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_refuses_counts_for_it_whichever_reference_it_was_sent_by() {
    let (pair, old, reference, _) = blocked(WhenFull::Reject).await;
    pair.server.stop(&reference);
    old.gate.open(1);
    let next = Lab::default();
    pair.server.setup_endpoint("lab", next.clone()).unwrap();
    reference.send(Block()).unwrap();
    next.log.has("blocked").await;
    reference.send(Note(1)).unwrap();
    reference.send(Note(2)).unwrap();
    reference.send(Note(3)).unwrap_err();
    assert_eq!(lab_stats(&pair.server).rejected, 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_tells_the_wait_for_room_from_the_wait_in_the_queue() {
    let (_pair, lab, near, _) = blocked(WhenFull::Reject).await;
    near.send(Block()).unwrap();
    near.send(Note(2)).unwrap();
    let ask = near.ask_within(Sum(), Duration::from_secs(5));
    let gate = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        lab.gate.open(1);
    };
    let (result, ()) = tokio::join!(ask, gate);
    let Err(AskError::Timeout(timeout)) = result else {
        panic!("{result:?}");
    };
    let phases: Vec<_> = timeout
        .phases
        .iter()
        .map(|(phase, took)| (*phase, took.as_secs()))
        .collect();
    assert_eq!(
        phases,
        [(AskPhase::WaitingForRoom, 2), (AskPhase::Queued, 3)],
        "{timeout}"
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_for_room_ends_when_the_endpoint_or_the_env_does() {
    let (pair, _lab, near, _) = blocked(WhenFull::Reject).await;
    near.send(Note(1)).unwrap();
    near.send(Note(2)).unwrap();
    let (sender, asker) = (near.clone(), near.clone());
    let waiting = tokio::spawn(async move { sender.send_wait(Note(3)).await });
    let asking = tokio::spawn(async move { asker.ask(Sum()).await });
    settle().await;
    pair.server.stop(&near);
    assert!(matches!(
        waiting.await.unwrap(),
        Err(SendError::EndpointNotFound { .. })
    ));
    assert!(matches!(
        asking.await.unwrap(),
        Err(AskError::EndpointNotFound { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn an_ask_near_waits_for_room_by_itself() {
    let (_pair, lab, near, _) = blocked(WhenFull::Reject).await;
    near.send(Note(1)).unwrap();
    near.send(Note(2)).unwrap();
    let ask = tokio::spawn(near.ask(Echo("patient".into())));
    settle().await;
    lab.gate.open(1);
    assert_eq!(ask.await.unwrap().unwrap(), "patient");
}

/// Counts, by its references, who may still wake it.
struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_waiting_for_room_leaves_nothing_behind() {
    let (_pair, _lab, near, _) = blocked(WhenFull::Reject).await;
    near.send(Note(1)).unwrap();
    near.send(Note(2)).unwrap();
    let nobody = Arc::new(Nobody);
    let waker = Waker::from(Arc::clone(&nobody));
    let mut ask = Box::pin(near.ask(Sum()));
    for _ in 0..100 {
        assert!(ask.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(waker);
    let references = Arc::strong_count(&nobody);
    assert!(references < 10, "{references} after a hundred looks");
    drop(ask);
    assert_eq!(Arc::strong_count(&nobody), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_handler_has_behind_it_is_room_again() {
    let (pair, lab, near, _) = blocked(WhenFull::Reject).await;
    near.send(Note(1)).unwrap();
    near.send(Block()).unwrap();
    lab.gate.open(1);
    lab.log
        .until(|entries| entries.iter().filter(|entry| *entry == "blocked").count() == 2)
        .await;
    assert_eq!(lab_stats(&pair.server).queued, 1, "the one that is being handled");
    near.send(Note(2)).unwrap();
    near.send(Note(3)).unwrap();
    near.send(Note(4)).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_can_make_the_readers_of_connections_wait() {
    let up_to = Duration::from_secs(5);
    let (pair, lab, _, far) = blocked(WhenFull::Wait { up_to }).await;
    for number in 0..10 {
        far.send(Note(number)).unwrap();
    }
    let ask = tokio::spawn(far.ask(Sum()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(lab_stats(&pair.server).queued, 3);
    lab.gate.open(1);
    assert_eq!(
        ask.await.unwrap().unwrap(),
        45,
        "nothing was lost, nothing came out of order"
    );
    assert_eq!(pair.server.stats().dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_no_longer_than_its_setting_then_the_message_is_refused() {
    let up_to = Duration::from_secs(5);
    let (pair, lab, near, far) = blocked(WhenFull::Wait { up_to }).await;
    near.send(Note(1)).unwrap();
    near.send(Note(2)).unwrap();
    let began = tokio::time::Instant::now();
    let error = far.ask(Sum()).await.unwrap_err();
    assert!(matches!(error, AskError::Rejected { .. }), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 5);
    far.send(Note(3)).unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(pair.server.stats().dropped, 1);
    assert_eq!(lab_stats(&pair.server).rejected, 2);
    lab.gate.open(1);
    assert_eq!(far.ask(Sum()).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_for_room_finds_the_next_endpoint_of_the_name() {
    let up_to = Duration::from_secs(5);
    let (pair, _old, near, far) = blocked(WhenFull::Wait { up_to }).await;
    pair.server.stop(&near);
    let next = Lab::default();
    let near = pair.server.setup_endpoint("lab", next.clone()).unwrap();
    near.send(Block()).unwrap();
    next.log.has("blocked").await;
    near.send(Note(1)).unwrap();
    near.send(Note(2)).unwrap();
    let ask = tokio::spawn(far.ask(Sum()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    next.gate.open(1);
    assert_eq!(ask.await.unwrap().unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_still_takes_control_messages_and_connection_events() {
    let (pair, lab, near, far) = blocked(WhenFull::Reject).await;
    near.send(Note(1)).unwrap();
    near.send(Note(2)).unwrap();
    near.send(Note(3)).unwrap_err();
    near.send(Urgent(4)).unwrap();
    far.send(Urgent(5)).unwrap();
    let other = client(&pair.net.host("other"), RpcConf::default()).await;
    other.setup_endpoint_ref("spark://lab@server:7077").await.unwrap();
    settle().await;
    lab.gate.open(1);
    lab.log.has("note 2").await;
    settle().await;
    let entries = lab.log.entries();
    let after = entries.iter().position(|entry| entry == "unblocked").unwrap();
    assert_eq!(
        entries[after + 1..after + 5],
        ["urgent 4", "urgent 5", "note 1", "note 2"]
    );
    assert!(
        entries.iter().any(|entry| entry.starts_with("connected other:")),
        "{entries:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_outbox_is_bounded_by_count_and_by_bytes() {
    for (outbox, first) in [
        (
            OutboxBounds {
                max_messages: 2,
                ..OutboxBounds::default()
            },
            10,
        ),
        (
            OutboxBounds {
                max_bytes: 1000,
                ..OutboxBounds::default()
            },
            600,
        ),
    ] {
        let pair = Pair::with_conf(RpcConf::default().with_outbox(outbox)).await;
        let lab = Lab::default();
        pair.server.setup_endpoint("lab", lab.clone()).unwrap();
        pair.net.partition(&["client"], &["server"]);
        let far = pair
            .client
            .endpoint_ref("spark://lab@server:7077".parse().unwrap());
        far.send(Bulk(vec![0; first])).unwrap();
        far.send(Note(1)).unwrap();
        let error = far.send(Bulk(vec![0; 500])).unwrap_err();
        let SendError::Full { reason, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(reason.starts_with("outbox"), "{reason}");
        let error = far.ask(Echo("x".repeat(500))).await.unwrap_err();
        assert!(
            matches!(&error, AskError::Rejected { reason, .. } if reason.starts_with("outbox")),
            "{error:?}"
        );

        let waiting = tokio::spawn({
            let far = far.clone();
            async move { far.send_wait(Bulk(vec![0; 501])).await }
        });
        settle().await;
        pair.net.heal();
        waiting.await.unwrap().unwrap();
        let entries = lab.log.has("bulk 501").await;
        assert!(entries.contains(&format!("bulk {first}")) && entries.contains(&"note 1".to_owned()));
        assert!(!entries.contains(&"bulk 500".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_is_withdrawn_makes_room_in_the_outbox() {
    let outbox = OutboxBounds {
        max_messages: 1,
        ..OutboxBounds::default()
    };
    let pair = Pair::with_conf(RpcConf::default().with_outbox(outbox)).await;
    pair.net.partition(&["client"], &["server"]);
    let far = pair
        .client
        .endpoint_ref("spark://lab@server:7077".parse().unwrap());
    let ask = far.ask(Sum());
    far.send(Note(1)).unwrap_err();
    drop(ask);
    far.send(Note(1)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_write_queue_refuses_and_takes_again_when_the_peer_reads() {
    let mut conf = RpcConf::default();
    conf.transport.write_queue_max_bytes = 100_000;
    let pair = Pair::with_conf(conf).await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    pair.net.partition(&["client"], &["server"]);
    let mut sent = 0;
    let error = loop {
        match far.send(Bulk(vec![0; 10_000])) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        tokio::task::yield_now().await;
        assert!(sent < 1000, "it never fills");
    };
    assert!(
        matches!(&error, SendError::Full { reason, .. } if reason.starts_with("write queue")),
        "{error:?}"
    );
    let ask = tokio::spawn(far.ask(Echo("later".into())));
    settle().await;
    pair.net.heal();
    assert_eq!(ask.await.unwrap().unwrap(), "later");
    assert_eq!(lab.log.count("bulk 10000"), sent);
}

#[tokio::test(start_paused = true)]
async fn an_ask_waits_for_a_place_among_the_outstanding_ones_and_no_longer_than_its_limit() {
    let mut conf = RpcConf::default();
    conf.transport.max_pending_requests = 1;
    let pair = Pair::with_conf(conf).await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    let first = far.ask(Keep(1));
    lab.log.has("keep 1").await;
    let error = far.ask_within(Sum(), Duration::from_secs(2)).await.unwrap_err();
    assert_eq!(error.handled(), Handled::No);
    assert!(matches!(&error, AskError::Timeout(timeout) if timeout.reached() == AskPhase::WaitingForRoom));

    let waiting = tokio::spawn(far.ask(Echo("patient".into())));
    settle().await;
    lab.kept.lock().unwrap().remove(0).send(1);
    assert_eq!(first.await.unwrap(), 1);
    assert_eq!(waiting.await.unwrap().unwrap(), "patient");
}

#[tokio::test(start_paused = true)]
async fn one_way_messages_that_wait_for_a_connection_that_fails_are_counted() {
    let pair = Pair::new().await;
    let far = pair
        .client
        .endpoint_ref("spark://lab@server:7078".parse().unwrap());
    far.send(Note(1)).unwrap();
    far.send(Note(2)).unwrap();
    let ask = far.ask(Sum());
    let error = ask.await.unwrap_err();
    assert!(matches!(error, AskError::Connect(_)), "{error:?}");
    assert_eq!(pair.client.stats().dropped, 2);
}

/// Ends every connection before it is used.
struct Spoiler;

impl ClientBootstrap for Spoiler {
    fn name(&self) -> &'static str {
        "spoiler"
    }

    fn bootstrap<'a>(&'a self, client: &'a TransportClient) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            client.abort();
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn one_way_messages_that_meet_a_dead_connection_are_counted_all() {
    let net = MemoryNetwork::new(1);
    let _server = server(&net.host("server"), 7077, RpcConf::default()).await;
    let factory = RpcEnvFactory::new()
        .network(network(&net.host("client")))
        .client_bootstrap(Arc::new(Spoiler));
    let client = RpcEnv::builder("client")
        .factory(factory)
        .client_mode()
        .start()
        .await
        .unwrap();
    let far = client.endpoint_ref("spark://lab@server:7077".parse().unwrap());
    far.send(Note(1)).unwrap();
    far.send(Note(2)).unwrap();
    let error = far.ask(Sum()).await.unwrap_err();
    assert!(matches!(error, AskError::Disconnected(_)), "{error:?}");
    assert_eq!(client.stats().dropped, 2);
}
