//! How servers and connections end.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

use spark_rpc_net::is_address_collision;
use spark_rpc_testkit::Ending;
use spark_rpc_transport::{ConnectError, ConnectionError, RequestError, TransportConf};
use spark_rpc_wire::{RequestId, RpcRequest};
use tokio::time::Instant;

use crate::log::Log;
use crate::support::{
    Handlers, PORT, Seen, connect, connect_scripted, context, hosts, millis, response, secs, settle, soon,
};

fn request(id: i64) -> RpcRequest<bytes::Bytes> {
    RpcRequest {
        request_id: RequestId(id),
        body: "question".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn closing_a_server_writes_what_is_queued_and_then_ends_its_connections() {
    let hosts = hosts();
    let (handlers, kept) = Handlers::keeping();
    let server = hosts.serve(&handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.send_rpc(b"question", None).await }
    });
    handlers
        .record
        .until_seen(Seen::Request(b"question".to_vec()))
        .await;
    kept.take_first().success(&[7; 1_000_000]);
    assert_eq!(server.close(secs(5)).await, 0);
    assert_eq!(soon(asking).await.unwrap().unwrap().len(), 1_000_000);
    let cause = soon(client.closed()).await;
    assert!(matches!(*cause, ConnectionError::ClosedByPeer { .. }), "{cause}");
    assert_eq!(hosts.net.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_closed_server_accepts_nothing_and_its_port_is_free_at_once() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::echo()).await;
    let context = context(&hosts.server, TransportConf::default(), &Handlers::echo());
    let taken = context
        .create_server("server", PORT, Vec::new())
        .await
        .unwrap_err();
    assert!(is_address_collision(&taken), "{taken}");

    assert_eq!(server.close(secs(5)).await, 0);
    let again = context
        .create_server("server", PORT, Vec::new())
        .await
        .expect("the port is free");
    assert_eq!(again.close(secs(5)).await, 0);
    let refused = hosts.factory().create_client("server", PORT).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Network { .. }), "{refused}");
    assert_eq!(again.close(secs(5)).await, 0, "closing again does nothing");
}

#[tokio::test(start_paused = true)]
async fn connections_that_take_longer_than_the_limit_are_aborted_and_counted() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let server = hosts.serve(&handlers).await;
    // These never end their side.
    let mut stuck = [hosts.raw_client().await, hosts.raw_client().await];
    let factory = hosts.factory();
    let client = connect(&factory).await;
    settle().await;
    let began = Instant::now();
    assert_eq!(server.close(secs(3)).await, 2);
    assert_eq!(began.elapsed(), secs(3));
    assert!(!client.is_active());
    for peer in &mut stuck {
        peer.expect_close().await;
    }
    settle().await;
    assert_eq!(handlers.record.count(|seen| *seen == Seen::Inactive), 3);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_the_peers_end_and_not_for_ever() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory_with(TransportConf {
        close_timeout: secs(7),
        ..TransportConf::default()
    });
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let began = Instant::now();
    client.close();
    assert_eq!(
        peer.expect_close().await,
        Ending::Closed,
        "our direction ends at once"
    );
    let cause = soon(client.closed()).await;
    assert!(matches!(*cause, ConnectionError::ClosedHere { .. }), "{cause}");
    assert_eq!(began.elapsed(), secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_cannot_hold_up_a_close() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, _peer) = connect_scripted(&factory, &mut *listener).await;
    client.send(&[1; 1_000_000]).unwrap();
    let began = Instant::now();
    client.close();
    soon(client.closed()).await;
    assert_eq!(began.elapsed(), secs(10));
}

#[tokio::test(start_paused = true)]
async fn closing_fails_the_requests_of_both_sides_with_who_did_it() {
    let hosts = hosts();
    let (handlers, _kept) = Handlers::keeping();
    let server = hosts.serve(&handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    let asking = |client: &spark_rpc_transport::TransportClient| {
        let client = client.clone();
        tokio::spawn(async move {
            match client.send_rpc(b"question", None).await {
                Err(RequestError::Connection(cause)) => cause.to_string(),
                other => panic!("{other:?}"),
            }
        })
    };
    let first = asking(&client);
    settle().await;
    client.close();
    let refused = client.send_rpc(b"question", None).await.unwrap_err();
    assert!(matches!(refused, RequestError::NotSent(_)), "{refused}");
    assert_eq!(
        soon(first).await.unwrap(),
        "Connection to server:7077 closed by this side"
    );

    let second = asking(&connect(&factory).await);
    settle().await;
    server.close(secs(1)).await;
    assert_eq!(soon(second).await.unwrap(), "Connection from server:7077 closed");
}

#[tokio::test(start_paused = true)]
async fn aborting_a_server_ends_everything_at_once() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    let mut peer = hosts.raw_client().await;
    settle().await;
    assert_eq!(server.abort(), 2);
    assert_eq!(server.connections(), 0);
    soon(client.closed()).await;
    peer.expect_close().await;
    assert!(factory.create_client("server", PORT).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn dropping_a_server_ends_its_connections_and_frees_its_port() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    drop(server);
    soon(client.closed()).await;
    let _again = hosts.serve(&Handlers::echo()).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_accepting_keeps_what_it_has() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    server.stop_accepting();
    settle().await;
    assert!(hosts.factory().create_client("server", PORT).await.is_err());
    assert_eq!(
        soon(client.send_rpc(b"still there", None)).await.unwrap(),
        "still there"
    );
}

#[tokio::test(start_paused = true)]
async fn a_close_that_nobody_waits_for_goes_on() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::echo()).await;
    let _peer = hosts.raw_client().await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    let given_up = tokio::time::timeout(millis(1), server.close(secs(60))).await;
    assert!(given_up.is_err(), "the silent peer holds it up");
    soon(client.closed()).await;
    tokio::time::sleep(secs(11)).await;
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_the_close_is_discarded_and_no_error() {
    let hosts = hosts();
    let (handlers, kept) = Handlers::keeping();
    let server = hosts.serve(&handlers).await;
    let mut peer = hosts.raw_client().await;
    peer.send(request(1)).await;
    handlers
        .record
        .until_seen(Seen::Request(b"question".to_vec()))
        .await;
    let log = Log::begin();
    let closing = server.close(secs(5));
    let meanwhile = async {
        assert_eq!(peer.expect_close().await, Ending::Closed);
        kept.take_first().success(b"too late");
        settle().await;
        peer.close();
    };
    let (aborted, ()) = tokio::join!(closing, meanwhile);
    assert_eq!(aborted, 0);
    let ended = [
        Seen::Active,
        Seen::Request(b"question".to_vec()),
        Seen::Terminated,
        Seen::Inactive,
    ];
    assert_eq!(handlers.record.all(), ended);
    assert_eq!(log.with("WARN"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_bound_are_refused_and_counted_until_there_is_room() {
    let hosts = hosts();
    let conf = TransportConf {
        max_connections: Some(2),
        ..TransportConf::default()
    };
    let context = context(&hosts.server, conf, &Handlers::echo());
    let server = context.create_server("server", PORT, Vec::new()).await.unwrap();
    let log = Log::begin();
    let (first, mut second) = (hosts.raw_client().await, hosts.raw_client().await);
    settle().await;
    for _ in 0..3 {
        hosts.raw_client().await.expect_close().await;
    }
    assert_eq!(
        (server.connections(), context.counters().connections_refused()),
        (2, 3)
    );
    let said = log.with("refusing connections");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("spark.rpc.io.maxConnections"), "{said:?}");

    first.close();
    settle().await;
    for peer in [&mut hosts.raw_client().await, &mut second] {
        peer.send(request(1)).await;
        assert_eq!(
            peer.expect_frame().await,
            response(RequestId(1), "question").into()
        );
    }
    assert_eq!(context.counters().connections_refused(), 3);
}
