//! What a handler is told about its connection, and when.

use spark_rpc_testkit::Ending;
use spark_rpc_transport::{ConnectionError, TransportConf};

use crate::support::{Handlers, Seen, connect, context, hosts, secs, soon};

/// HANDLER-01
#[tokio::test(start_paused = true)]
async fn a_new_connection_is_announced_once_and_before_its_first_message() {
    let hosts = hosts();
    let handlers = Handlers::hello();
    let _server = hosts.serve(&handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    client.send(b"one").unwrap();
    client.send(b"two").unwrap();
    handlers.record.until_seen(Seen::OneWay(b"two".to_vec())).await;
    assert_eq!(
        handlers.record.all(),
        [
            Seen::Active,
            Seen::OneWay(b"one".to_vec()),
            Seen::OneWay(b"two".to_vec())
        ]
    );
}

/// HANDLER-02
#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_in_order_is_announced_once_at_both_ends() {
    let hosts = hosts();
    let at_server = Handlers::hello();
    let server = hosts.serve(&at_server).await;
    let at_client = Handlers::hello();
    let factory =
        context(&hosts.client, TransportConf::default(), &at_client).create_client_factory(Vec::new());
    let client = connect(&factory).await;
    client.send(b"last words").unwrap();
    client.close();
    assert!(!client.is_active());
    let cause = soon(client.closed()).await;
    assert!(matches!(*cause, ConnectionError::ClosedHere { .. }), "{cause}");
    at_server.record.until_seen(Seen::Inactive).await;

    let words = Seen::OneWay(b"last words".to_vec());
    assert_eq!(
        at_server.record.all(),
        [Seen::Active, words, Seen::Terminated, Seen::Inactive]
    );
    assert_eq!(
        at_client.record.all(),
        [Seen::Active, Seen::Terminated, Seen::Inactive]
    );
    assert_eq!((server.connections(), factory.connections()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_an_error_first_and_an_end_after_it() {
    let hosts = hosts();
    let at_server = Handlers::hello();
    let _server = hosts.serve(&at_server).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    at_server.record.until_seen(Seen::Active).await;
    hosts.net.cut("client", "server");
    at_server.record.until_seen(Seen::Inactive).await;
    let seen = at_server.record.all();
    let [
        Seen::Active,
        Seen::Caught(cause),
        Seen::Terminated,
        Seen::Inactive,
    ] = &seen[..]
    else {
        panic!("{seen:?}");
    };
    assert!(cause.contains(&client.local().to_string()), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn an_aborted_connection_is_announced_too() {
    let hosts = hosts();
    let at_server = Handlers::hello();
    let server = hosts.serve(&at_server).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    at_server.record.until_seen(Seen::Active).await;
    assert_eq!(server.abort(), 1);
    at_server.record.until_seen(Seen::Inactive).await;
    assert_eq!(
        at_server.record.all(),
        [Seen::Active, Seen::Terminated, Seen::Inactive]
    );
    soon(client.closed()).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_its_sending_half_counts_as_gone() {
    let hosts = hosts();
    let (handlers, kept) = Handlers::keeping();
    let server = hosts.serve(&handlers).await;
    let mut peer = hosts.raw_client().await;
    let request = spark_rpc_wire::RpcRequest {
        request_id: spark_rpc_wire::RequestId(1),
        body: "never answered".into(),
    };
    peer.send(request).await;
    handlers.record.until(|seen| seen.len() == 2).await;
    peer.half_close().await;
    assert_eq!(peer.expect_close().await, Ending::Closed);
    kept.take_first().success(b"too late to send");
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_counters_follow_what_happens() {
    let hosts = hosts();
    let server_context = context(&hosts.server, TransportConf::default(), &Handlers::echo());
    let _server = server_context
        .create_server("server", 7077, Vec::new())
        .await
        .unwrap();
    let client_context = context(&hosts.client, TransportConf::default(), &Handlers::hello());
    let factory = client_context.create_client_factory(Vec::new());
    let client = connect(&factory).await;
    for _ in 0..3 {
        soon(client.send_rpc(&[7; 100], Some(secs(1)))).await.unwrap();
    }
    let (there, here) = (server_context.counters(), client_context.counters());
    for counters in [there, here] {
        assert_eq!((counters.frames_read(), counters.frames_written()), (3, 3));
        assert_eq!((counters.bytes_read(), counters.bytes_written()), (363, 363));
        assert_eq!(
            (counters.connections_opened(), counters.connections_open()),
            (1, 1)
        );
    }
    client.close();
    soon(client.closed()).await;
    assert_eq!((here.connections_opened(), here.connections_open()), (1, 0));
}
