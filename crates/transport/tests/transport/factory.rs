//! The pool of connections.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use spark_rpc_net::TcpNetwork;
use spark_rpc_testkit::{Crash, Link};
use spark_rpc_transport::{
    ConnectError, ConnectionError, NoRpcHandler, RequestError, SendError, TransportClient,
    TransportClientFactory, TransportConf, TransportContext,
};
use tokio::time::Instant;

use crate::support::{Handlers, Hosts, PORT, connect, context, hosts, millis, secs, settle, soon};

fn per_peer(connections_per_peer: usize) -> TransportConf {
    TransportConf {
        connections_per_peer,
        ..TransportConf::default()
    }
}

/// Begins to connect, and reports the outcome and when it came.
fn connecting(
    factory: &Arc<TransportClientFactory>,
) -> tokio::task::JoinHandle<(Result<TransportClient, ConnectError>, Instant)> {
    let factory = Arc::clone(factory);
    tokio::spawn(async move { (factory.create_client("server", PORT).await, Instant::now()) })
}

/// FACTORY-01
#[tokio::test(start_paused = true)]
async fn connections_are_reused_up_to_the_number_for_each_peer() {
    for n in 1..=4 {
        let hosts = hosts();
        let server = hosts.serve(&Handlers::echo()).await;
        let factory = hosts.factory_with(per_peer(n));
        let mut ids = BTreeSet::new();
        for _ in 0..10 * n {
            let client = connect(&factory).await;
            assert!(client.is_active());
            ids.insert(client.id());
        }
        settle().await;
        assert_eq!(
            (ids.len(), server.connections(), factory.connections()),
            (n, n, n)
        );
    }
}

/// FACTORY-01
#[tokio::test(start_paused = true)]
async fn callers_at_the_same_time_share_the_same_attempts() {
    for n in 1..=4 {
        let hosts = hosts();
        let server = hosts.serve(&Handlers::echo()).await;
        let factory = Arc::new(hosts.factory_with(per_peer(n)));
        let calls: Vec<_> = (0..10 * n).map(|_| connecting(&factory)).collect();
        let mut ids = BTreeSet::new();
        for call in calls {
            let client = soon(call).await.unwrap().0.unwrap();
            assert!(client.is_active());
            ids.insert(client.id());
        }
        assert_eq!((ids.len(), server.connections()), (n, n));
    }
}

/// FACTORY-02
#[tokio::test(start_paused = true)]
async fn different_peers_have_different_connections() {
    let hosts = hosts();
    let _one = hosts.serve(&Handlers::echo()).await;
    let other = context(&hosts.server, TransportConf::default(), &Handlers::echo());
    let _other = other.create_server("server", PORT + 1, Vec::new()).await.unwrap();
    let factory = hosts.factory();
    let one = connect(&factory).await;
    let other = soon(factory.create_client("server", PORT + 1)).await.unwrap();
    assert_ne!(one, other);
    assert_eq!(one.peer().to_string(), "server:7077");
    assert_eq!(other.peer().to_string(), "server:7078");
}

/// FACTORY-03
#[tokio::test(start_paused = true)]
async fn a_dead_connection_is_never_handed_out_and_replaced() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory();
    let first = connect(&factory).await;
    first.close();
    let second = connect(&factory).await;
    assert_ne!(first, second);
    assert!(second.is_active() && !first.is_active());

    hosts.net.cut("client", "server");
    soon(second.closed()).await;
    let third = connect(&factory).await;
    assert!(third.is_active());
    assert_eq!(soon(third.send_rpc(b"works", None)).await.unwrap(), "works");
}

/// FACTORY-04
#[tokio::test(start_paused = true)]
async fn closing_the_pool_closes_its_connections_behind_what_is_queued() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let server = hosts.serve(&handlers).await;
    let factory = hosts.factory_with(per_peer(2));
    let clients = [connect(&factory).await, connect(&factory).await];
    let unmanaged = soon(factory.create_unmanaged_client("server", PORT))
        .await
        .unwrap();
    for client in &clients {
        client.send(&[1; 100_000]).unwrap();
    }
    assert_eq!(soon(factory.close(secs(5))).await, 0);
    for client in clients.iter().chain([&unmanaged]) {
        assert!(!client.is_active());
        let cause = client.closed().await;
        assert!(matches!(*cause, ConnectionError::ClosedHere { .. }), "{cause}");
    }
    assert_eq!(handlers.record.one_ways().len(), 2);
    settle().await;
    assert_eq!((server.connections(), hosts.net.open_connections()), (0, 0));
}

/// FACTORY-06
#[tokio::test(start_paused = true)]
async fn a_closed_pool_opens_nothing() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory();
    assert_eq!(factory.close(secs(5)).await, 0);
    for result in [
        factory.create_client("server", PORT).await,
        factory.create_client_fast_fail("server", PORT).await,
        factory.create_unmanaged_client("server", PORT).await,
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, ConnectError::FactoryClosed { .. }), "{error}");
        assert!(!error.is_network());
    }
    settle().await;
    assert_eq!(server.connections(), 0);
}

/// FACTORY-07
#[tokio::test(start_paused = true)]
async fn a_peer_that_just_refused_is_refused_at_once_to_those_who_want_that() {
    let hosts = hosts();
    let factory = hosts.factory();
    let first = factory.create_client_fast_fail("server", PORT).await.unwrap_err();
    assert!(matches!(first, ConnectError::Network { .. }), "{first}");
    tokio::time::sleep(secs(4)).await;
    let error = factory.create_client_fast_fail("server", PORT).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Connecting to server:7077 failed in the last 4750 ms, fail this connection directly"
    );

    let _server = hosts.serve(&Handlers::echo()).await;
    factory.create_client_fast_fail("server", PORT).await.unwrap_err();
    tokio::time::sleep(secs(1)).await;
    factory
        .create_client_fast_fail("server", PORT)
        .await
        .expect("the window is over");
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_want_to_fail_fast_connects_within_the_window() {
    let hosts = hosts();
    let factory = hosts.factory();
    factory.create_client_fast_fail("server", PORT).await.unwrap_err();
    let _server = hosts.serve(&Handlers::echo()).await;
    let client = connect(&factory).await;
    assert_eq!(
        factory.create_client_fast_fail("server", PORT).await.unwrap(),
        client
    );
}

/// FACTORY-08
#[tokio::test(start_paused = true)]
async fn without_any_time_limit_connections_live_and_refusals_are_noticed() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory_with(TransportConf {
        connection_timeout: None,
        connection_creation_timeout: None,
        ..TransportConf::default()
    });
    let client = connect(&factory).await;
    tokio::time::sleep(secs(5)).await;
    assert!(client.is_active());

    let error = factory.create_client("server", PORT + 1).await.unwrap_err();
    let ConnectError::Network { source, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(
        error
            .to_string()
            .starts_with("Failed to connect to server:7078: "),
        "{error}"
    );
}

/// FACTORY-09
#[test]
fn a_connection_whose_runtime_has_ended_is_dead_and_a_new_one_is_refused() {
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).enable_all().build().unwrap()
    };
    let serving = runtime();
    let server = serving.block_on(async {
        let context = TransportContext::new(
            TransportConf::default(),
            Arc::new(TcpNetwork),
            Arc::new(NoRpcHandler),
        );
        context
            .unwrap()
            .create_server("127.0.0.1", 0, Vec::new())
            .await
            .unwrap()
    });
    let driving = runtime();
    let (factory, client) = driving.block_on(async {
        let context = TransportContext::new(
            TransportConf::default(),
            Arc::new(TcpNetwork),
            Arc::new(NoRpcHandler),
        );
        let factory = context.unwrap().create_client_factory(Vec::new());
        let client = factory.create_client("127.0.0.1", server.port()).await.unwrap();
        assert!(client.is_active());
        (factory, client)
    });
    driving.shutdown_timeout(secs(10));

    assert!(!client.is_active());
    assert!(matches!(client.send(b"lost"), Err(SendError::Closed(_))));
    serving.block_on(async {
        let error = client.send_rpc(b"lost", None).await.unwrap_err();
        assert!(
            matches!(error, RequestError::NotSent(SendError::Closed(_))),
            "{error}"
        );
        let again = factory
            .create_client("127.0.0.1", server.port())
            .await
            .unwrap_err();
        assert!(matches!(again, ConnectError::FactoryClosed { .. }), "{again}");
    });
    assert_eq!(factory.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_takes_too_long_fails_with_the_setting_for_all_who_wait() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo()).await;
    hosts.net.partition(&["client"], &["server"]);
    let factory = Arc::new(hosts.factory_with(TransportConf {
        connection_creation_timeout: Some(secs(10)),
        ..TransportConf::default()
    }));
    let began = Instant::now();
    let calls: Vec<_> = (0..20).map(|_| connecting(&factory)).collect();
    for call in calls {
        let (result, at) = soon(call).await.unwrap();
        let error = result.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Connecting to server:7077 timed out (10000 ms); this limit is set by \
             spark.rpc.io.connectionCreationTimeout"
        );
        assert!(
            at - began < secs(11),
            "{:?}: one attempt is enough for all",
            at - began
        );
    }
    hosts.net.heal();
    settle().await;
    assert_eq!(hosts.net.open_connections(), 0, "nothing is left of the attempts");
    connect(&factory).await;
}

#[tokio::test(start_paused = true)]
async fn when_the_one_who_connects_gives_up_another_takes_over() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::echo()).await;
    hosts.net.set_link("client", "server", Link::fixed(secs(1)));
    let factory = Arc::new(hosts.factory());
    let first = connecting(&factory);
    tokio::time::sleep(millis(100)).await;
    let second = connecting(&factory);
    tokio::time::sleep(millis(100)).await;
    first.abort();
    let client = soon(second).await.unwrap().0.unwrap();
    assert!(client.is_active());
    tokio::time::sleep(secs(10)).await;
    assert_eq!((server.connections(), hosts.net.open_connections()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_unmanaged_connection_is_given_to_nobody_else() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory();
    let unmanaged = soon(factory.create_unmanaged_client("server", PORT))
        .await
        .unwrap();
    let shared = connect(&factory).await;
    assert_ne!(unmanaged, shared);
    assert_eq!(connect(&factory).await, shared);
    unmanaged.close();
    soon(unmanaged.closed()).await;
    assert!(shared.is_active());
}

#[tokio::test(start_paused = true)]
async fn addresses_that_went_away_are_forgotten_and_live_connections_are_not() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    for port in 10_000..12_000 {
        factory.create_client("server", port).await.unwrap_err();
    }
    let peers = format!("{factory:?}");
    let known = peers
        .split("peers: ")
        .nth(1)
        .and_then(|rest| rest.split(',').next())
        .unwrap();
    assert!(known.parse::<usize>().unwrap() <= 1024, "{peers}");
    assert_eq!(connect(&factory).await, client);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_and_comes_back_is_reached_again() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    hosts.net.crash("server", Crash::PROCESS);
    soon(client.closed()).await;
    drop(server);
    let refused = factory.create_client("server", PORT).await.unwrap_err();
    assert!(refused.is_network(), "{refused}");

    let hosts = Hosts {
        server: hosts.net.restart("server"),
        ..hosts
    };
    let _server = hosts.serve(&Handlers::echo()).await;
    let client = connect(&factory).await;
    assert_eq!(soon(client.send_rpc(b"again", None)).await.unwrap(), "again");
}

/// A pool with one caller that connects in vain and one that waits for it.
async fn stuck() -> (
    Hosts,
    Arc<TransportClientFactory>,
    Vec<tokio::task::JoinHandle<(Option<ConnectError>, Instant)>>,
) {
    let hosts = hosts();
    // Never accepts; and without a limit, nothing but the pool's end could end the attempt.
    hosts.net.partition(&["client"], &["server"]);
    let factory = Arc::new(hosts.factory_with(TransportConf {
        connection_creation_timeout: None,
        ..TransportConf::default()
    }));
    let unmanaged = tokio::spawn({
        let factory = Arc::clone(&factory);
        async move {
            (
                factory.create_unmanaged_client("server", PORT).await.err(),
                Instant::now(),
            )
        }
    });
    let mut calls = vec![unmanaged];
    for _ in 0..2 {
        let call = connecting(&factory);
        calls.push(tokio::spawn(async move {
            let (result, at) = call.await.unwrap();
            (result.err(), at)
        }));
    }
    tokio::time::sleep(secs(1)).await;
    (hosts, factory, calls)
}

async fn assert_cancelled(
    hosts: &Hosts,
    calls: Vec<tokio::task::JoinHandle<(Option<ConnectError>, Instant)>>,
    closed: Instant,
) {
    for call in calls {
        let (error, at) = soon(call).await.unwrap();
        assert_eq!(
            error.expect("the pool was closed").to_string(),
            "Connecting to server:7077 cancelled: the client factory is closed"
        );
        assert_eq!(at, closed);
    }
    hosts.net.heal();
    settle().await;
    assert_eq!(hosts.net.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn closing_the_pool_ends_attempts_under_way_at_once() {
    let (hosts, factory, calls) = stuck().await;
    let closed = Instant::now();
    assert_eq!(factory.close(secs(5)).await, 0);
    assert_cancelled(&hosts, calls, closed).await;
}

#[tokio::test(start_paused = true)]
async fn aborting_the_pool_ends_attempts_under_way_at_once() {
    let (hosts, factory, calls) = stuck().await;
    let closed = Instant::now();
    assert_eq!(factory.abort(), 0);
    assert_cancelled(&hosts, calls, closed).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_pool_ends_its_connections() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    drop(factory);
    let cause = soon(client.closed()).await;
    assert!(cause.is_orderly(), "{cause}");
    settle().await;
    assert_eq!(server.connections(), 0);
    assert_eq!(
        tokio::time::timeout(Duration::ZERO, client.closed())
            .await
            .unwrap()
            .to_string(),
        cause.to_string()
    );
}
