//! Connections that fall silent.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

use spark_rpc_testkit::Link;
use spark_rpc_transport::{ConnectionError, Flow, RequestError, TransportConf};
use spark_rpc_wire::OneWayMessage;
use tokio::time::Instant;

use crate::support::{
    Handlers, connect, connect_scripted, context, expect_request, hosts, millis, response, secs, settle, soon,
};

fn ten_seconds() -> TransportConf {
    TransportConf {
        connection_timeout: Some(secs(10)),
        ..TransportConf::default()
    }
}

/// Checks that a moment is about there, a latency later at most.
#[track_caller]
fn assert_about(took: std::time::Duration, expected: std::time::Duration) {
    assert!(
        took >= expected && took < expected + millis(100),
        "{took:?}, not {expected:?}"
    );
}

/// TIMEOUT-01
#[tokio::test(start_paused = true)]
async fn an_unanswered_request_fails_after_the_connections_time() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory_with(ten_seconds());
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let (first, ()) = tokio::join!(client.send_rpc(b"one", None), async {
        let request = expect_request(&mut peer).await;
        peer.send(response(request.request_id, "answer")).await;
    });
    assert_eq!(first.unwrap(), "answer");

    tokio::time::sleep(secs(60)).await;
    assert!(client.is_active(), "nothing was outstanding meanwhile");
    let asked = Instant::now();
    let error = soon(client.send_rpc(b"two", None)).await.unwrap_err();
    assert_about(asked.elapsed(), secs(10));
    let RequestError::Connection(cause) = &error else {
        panic!("{error}");
    };
    assert!(
        matches!(**cause, ConnectionError::Quiet { quiet, .. } if quiet == secs(10)),
        "{cause:?}"
    );
    assert_eq!(
        error.to_string(),
        "Connection to server:7077 has been quiet for 10000 ms while there are outstanding requests. Assuming it is \
         dead; this limit is set by spark.rpc.io.connectionTimeout"
    );
}

/// TIMEOUT-02
#[tokio::test(start_paused = true)]
async fn after_the_connections_time_it_is_closed_and_a_new_one_works() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory_with(ten_seconds());
    let (client, mut silent) = connect_scripted(&factory, &mut *listener).await;
    soon(client.send_rpc(b"one", None)).await.unwrap_err();
    assert!(!client.is_active());
    expect_request(&mut silent).await;
    silent.expect_close().await;

    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let (second, ()) = tokio::join!(client.send_rpc(b"two", None), async {
        let request = expect_request(&mut peer).await;
        peer.send(response(request.request_id, "answer")).await;
    });
    assert_eq!(second.unwrap(), "answer");
}

/// TIMEOUT-03
#[tokio::test(start_paused = true)]
async fn the_time_counts_from_the_last_request_and_all_fail_together() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::silent()).await;
    let factory = hosts.factory_with(ten_seconds());
    let client = connect(&factory).await;
    let ask = |body: &'static [u8]| {
        let client = client.clone();
        tokio::spawn(async move {
            let error = client.send_rpc(body, None).await.unwrap_err();
            (error.to_string(), Instant::now())
        })
    };
    let first = ask(b"one");
    tokio::time::sleep(secs(6)).await;
    let asked = Instant::now();
    let second = ask(b"two");
    tokio::time::sleep(secs(6)).await;
    assert!(!first.is_finished(), "twelve seconds old, but the second is not");

    let (first, second) = (soon(first).await.unwrap(), soon(second).await.unwrap());
    assert_eq!(first, second);
    assert_about(second.1 - asked, secs(10));
}

#[tokio::test(start_paused = true)]
async fn traffic_of_any_kind_postpones_the_end() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory_with(ten_seconds());
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.send_rpc(b"question", None).await }
    });
    let request = expect_request(&mut peer).await;
    for _ in 0..5 {
        tokio::time::sleep(secs(8)).await;
        peer.send(spark_rpc_wire::OneWayMessage {
            body: "patience".into(),
        })
        .await;
    }
    for _ in 0..5 {
        tokio::time::sleep(secs(8)).await;
        client.send(b"taking mine").unwrap();
    }
    peer.send(response(request.request_id, "answer")).await;
    assert_eq!(soon(asking).await.unwrap().unwrap(), "answer");
}

#[tokio::test(start_paused = true)]
async fn a_long_message_on_a_slow_link_is_not_silence_in_either_direction() {
    let hosts = hosts();
    let slow = Link {
        bytes_per_second: Some(10_000),
        ..Link::fixed(millis(1))
    };
    hosts.net.set_link("client", "server", slow);
    let _server = hosts.serve_with(ten_seconds(), &Handlers::echo()).await;
    let factory = hosts.factory_with(ten_seconds());
    let client = connect(&factory).await;
    let body = vec![7; 500_000];
    let asked = Instant::now();
    let answer = soon(client.send_rpc(&body, None)).await.unwrap();
    assert!(answer == body);
    assert!(asked.elapsed() > secs(90), "fifty seconds in each direction");
}

/// FACTORY-05
#[tokio::test(start_paused = true)]
async fn where_idle_connections_are_closed_one_ends_after_its_time_without_any_request() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory_with(TransportConf {
        connection_timeout: Some(secs(1)),
        close_idle_connections: true,
        ..TransportConf::default()
    });
    let connected = Instant::now();
    let client = connect(&factory).await;
    let cause = soon(client.closed()).await;
    assert_about(connected.elapsed(), secs(1));
    assert!(matches!(*cause, ConnectionError::Idle { .. }), "{cause}");
    assert!(cause.is_orderly());
    assert!(!client.is_active());
}

#[tokio::test(start_paused = true)]
async fn being_handed_out_keeps_an_idle_connection_for_its_time_again() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory_with(TransportConf {
        close_idle_connections: true,
        ..ten_seconds()
    });
    let client = connect(&factory).await;
    for _ in 0..3 {
        tokio::time::sleep(secs(8)).await;
        assert_eq!(connect(&factory).await, client);
    }
    let touched = Instant::now();
    soon(client.closed()).await;
    assert_about(touched.elapsed(), secs(10));
}

#[tokio::test(start_paused = true)]
async fn by_default_an_idle_connection_lives_on_and_so_does_one_without_a_limit() {
    for conf in [
        ten_seconds(),
        TransportConf {
            connection_timeout: None,
            ..TransportConf::default()
        },
    ] {
        let hosts = hosts();
        let unlimited = conf.connection_timeout.is_none();
        let handlers = if unlimited {
            Handlers::silent()
        } else {
            Handlers::echo()
        };
        let _server = hosts.serve(&handlers).await;
        let factory = hosts.factory_with(conf);
        let client = connect(&factory).await;
        let asking = tokio::spawn({
            let client = client.clone();
            async move { client.send_rpc(b"question", None).await }
        });
        tokio::time::sleep(secs(3600)).await;
        assert!(client.is_active());
        assert_eq!(asking.is_finished(), !unlimited);
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_noticed_only_by_those_who_wait_for_something() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory_with(ten_seconds());
    let client = connect(&factory).await;
    settle().await;
    hosts.net.partition(&["client"], &["server"]);
    tokio::time::sleep(secs(60)).await;
    assert!(client.is_active());
    let asked = Instant::now();
    soon(client.send_rpc(b"question", None)).await.unwrap_err();
    assert_about(asked.elapsed(), secs(10));
}

/// While its handler waits, a connection reads nothing: the answer has been there for long.
#[tokio::test(start_paused = true)]
async fn silence_does_not_count_while_this_side_does_not_listen() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let handlers = Handlers::new(|_, _, _| Flow::Wait(Box::pin(tokio::time::sleep(secs(25)))));
    let factory = context(&hosts.client, ten_seconds(), &handlers).create_client_factory(Vec::new());
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.send_rpc(b"question", None).await }
    });
    let request = expect_request(&mut peer).await;
    peer.send(OneWayMessage {
        body: "this takes long".into(),
    })
    .await;
    peer.send(response(request.request_id, "answer")).await;
    assert_eq!(soon(asking).await.unwrap().unwrap(), "answer");

    // It listens again, so that silence counts as before.
    let asked = Instant::now();
    soon(client.send_rpc(b"question", None)).await.unwrap_err();
    assert_about(asked.elapsed(), secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_messages_to_be_read_is_not_idle() {
    let hosts = hosts();
    let handlers = Handlers::new(|_, _, _| Flow::Wait(Box::pin(tokio::time::sleep(secs(25)))));
    let conf = TransportConf {
        close_idle_connections: true,
        ..ten_seconds()
    };
    let _server = hosts.serve_with(conf, &handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    for body in [b"one", b"two"] {
        client.send(body).unwrap();
    }
    let cause = soon(client.closed()).await;
    assert!(matches!(*cause, ConnectionError::ClosedByPeer { .. }), "{cause}");
    assert_eq!(handlers.record.one_ways(), [b"one", b"two"]);
}
