//! Bootstraps: what runs on a connection before anybody uses it.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use spark_rpc_net::BoxFuture;
use spark_rpc_transport::{
    ClientBootstrap, ConnectError, Flow, NoStreams, Responder, RpcHandler, ServerBootstrap, StreamManager,
    TransportClient, TransportClientFactory, TransportConf, TransportServer,
};
use spark_rpc_wire::Body;
use tokio::time::Instant;

use crate::support::{Handlers, Hosts, PORT, Seen, connect, context, hosts, millis, secs, settle, soon};

/// Says a word and expects a friendly answer.
struct Says(&'static str);

impl ClientBootstrap for Says {
    fn name(&self) -> &'static str {
        "password"
    }

    fn bootstrap<'a>(&'a self, client: &'a TransportClient) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let answer = client.send_rpc(self.0.as_bytes(), None).await;
            answer.map(drop).map_err(|error| error.to_string())
        })
    }
}

/// Lets nothing through before the word has been said.
struct Wants(&'static str);

impl ServerBootstrap for Wants {
    fn wrap(&self, _: &TransportClient, handler: Box<dyn RpcHandler>) -> Box<dyn RpcHandler> {
        Box::new(Guard {
            word: self.0,
            passed: false,
            behind: handler,
        })
    }
}

struct Guard {
    word: &'static str,
    passed: bool,
    behind: Box<dyn RpcHandler>,
}

impl RpcHandler for Guard {
    fn receive(&mut self, client: &TransportClient, request: Body<'_>, responder: Responder) -> Flow {
        if self.passed {
            return self.behind.receive(client, request, responder);
        }
        self.passed = *request == *self.word.as_bytes();
        if self.passed {
            // Set once: the first to be convinced names the peer.
            let _ = client.set_client_id(self.word.to_owned());
            self.behind.channel_active(client);
            responder.success(b"welcome");
        } else {
            responder.failure("wrong word");
            client.close();
        }
        Flow::Continue
    }

    fn receive_one_way(&mut self, client: &TransportClient, message: Body<'_>) -> Flow {
        if self.passed {
            return self.behind.receive_one_way(client, message);
        }
        client.abort();
        Flow::Continue
    }

    fn stream_manager(&self) -> &dyn StreamManager {
        if self.passed {
            self.behind.stream_manager()
        } else {
            &NoStreams
        }
    }

    fn channel_inactive(&mut self, client: &TransportClient) {
        if self.passed {
            self.behind.channel_inactive(client);
        }
    }
}

async fn serve(hosts: &Hosts, handlers: &Handlers, words: &[&'static str]) -> TransportServer {
    let bootstraps = words.iter().map(|word| Arc::new(Wants(word)) as _).collect();
    let context = context(&hosts.server, TransportConf::default(), handlers);
    context.create_server("server", PORT, bootstraps).await.unwrap()
}

fn factory(hosts: &Hosts, bootstraps: Vec<Arc<dyn ClientBootstrap>>) -> TransportClientFactory {
    let conf = TransportConf {
        connection_creation_timeout: Some(secs(10)),
        ..TransportConf::default()
    };
    context(&hosts.client, conf, &Handlers::hello()).create_client_factory(bootstraps)
}

#[tokio::test(start_paused = true)]
async fn whoever_knows_the_word_gets_through_to_the_handler() {
    let hosts = hosts();
    let handlers = Handlers::new(|client, _, responder| {
        let known = client.client_id().unwrap_or("nobody");
        responder.unwrap().success(known.as_bytes());
        Flow::Continue
    });
    let _server = serve(&hosts, &handlers, &["sesame"]).await;
    let factory = factory(&hosts, vec![Arc::new(Says("sesame"))]);
    let client = connect(&factory).await;
    let answer = soon(client.send_rpc(b"who am I?", None)).await.unwrap();
    assert_eq!(answer, "sesame");
    assert_eq!(
        handlers.record.all(),
        [Seen::Active, Seen::Request(b"who am I?".to_vec())]
    );
}

#[tokio::test(start_paused = true)]
async fn bootstraps_run_in_order_at_both_ends() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    // The last one stands in front, as each wraps what was there before it.
    let _server = serve(&hosts, &handlers, &["inner", "outer"]).await;
    let wrong_order = factory(&hosts, vec![Arc::new(Says("inner")), Arc::new(Says("outer"))]);
    soon(wrong_order.create_client("server", PORT)).await.unwrap_err();
    let right_order = factory(&hosts, vec![Arc::new(Says("outer")), Arc::new(Says("inner"))]);
    let client = connect(&right_order).await;
    assert_eq!(soon(client.send_rpc(b"through", None)).await.unwrap(), "through");
    assert_eq!(
        handlers
            .record
            .count(|seen| *seen == Seen::Request(b"through".to_vec())),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_know_it_is_told_so_and_gets_no_connection() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let server = serve(&hosts, &handlers, &["sesame"]).await;
    let factory = factory(&hosts, vec![Arc::new(Says("barley"))]);
    let error = soon(factory.create_client("server", PORT)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Bootstrap password of the connection to server:7077 failed: wrong word"
    );
    settle().await;
    assert_eq!(
        (
            server.connections(),
            factory.connections(),
            hosts.net.open_connections()
        ),
        (0, 0, 0)
    );
    assert_eq!(handlers.record.all(), [], "the handler behind never heard of it");

    let again = soon(factory.create_client_fast_fail("server", PORT))
        .await
        .unwrap_err();
    assert!(
        matches!(again, ConnectError::Bootstrap { .. }),
        "only networks fail fast: {again}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_user_message_before_the_word_ends_the_connection_unread() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let server = serve(&hosts, &handlers, &["sesame"]).await;
    let mut peer = hosts.raw_client().await;
    peer.send(spark_rpc_wire::OneWayMessage {
        body: "user bytes".into(),
    })
    .await;
    peer.expect_close().await;
    settle().await;
    assert_eq!(server.connections(), 0);
    assert_eq!(handlers.record.all(), []);
}

#[tokio::test(start_paused = true)]
async fn a_bootstrap_that_gets_no_answer_is_given_up_after_the_time_for_connecting() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::silent()).await;
    let factory = factory(&hosts, vec![Arc::new(Says("anybody?"))]);
    let began = Instant::now();
    let error = soon(factory.create_client("server", PORT)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Connecting to server:7077 timed out (10000 ms); this limit is set by spark.rpc.io.connectionCreationTimeout"
    );
    assert!(began.elapsed() < secs(11));
    settle().await;
    assert_eq!((server.connections(), factory.connections()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn giving_up_during_a_bootstrap_closes_the_connection() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::silent()).await;
    let factory = factory(&hosts, vec![Arc::new(Says("anybody?"))]);
    let given_up = tokio::time::timeout(secs(1), factory.create_client("server", PORT)).await;
    assert!(given_up.is_err());
    settle().await;
    assert_eq!((server.connections(), factory.connections()), (0, 0));
}

/// Needs nothing from the peer, only time.
struct Dawdles {
    runs: AtomicUsize,
}

impl ClientBootstrap for Dawdles {
    fn name(&self) -> &'static str {
        "dawdling"
    }

    fn bootstrap<'a>(&'a self, _: &'a TransportClient) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            self.runs.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(secs(5)).await;
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn closing_the_pool_during_a_bootstrap_hands_out_nothing_and_leaves_nothing() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::echo()).await;
    let dawdles = Arc::new(Dawdles {
        runs: AtomicUsize::new(0),
    });
    let factory = Arc::new(factory(&hosts, vec![dawdles.clone()]));
    let call = tokio::spawn({
        let factory = Arc::clone(&factory);
        async move { factory.create_client("server", PORT).await }
    });
    tokio::time::sleep(secs(1)).await;
    assert_eq!(
        (dawdles.runs.load(Ordering::Relaxed), server.connections()),
        (1, 1)
    );

    assert_eq!(factory.close(millis(100)).await, 0);
    let error = soon(call).await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectError::FactoryClosed { .. }), "{error}");
    settle().await;
    assert_eq!((server.connections(), hosts.net.open_connections()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_given_a_connection_before_its_bootstraps_are_done() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo()).await;
    let dawdles = Arc::new(Dawdles {
        runs: AtomicUsize::new(0),
    });
    let factory = factory(&hosts, vec![dawdles.clone()]);
    let began = Instant::now();
    let (first, second) = tokio::join!(connect(&factory), connect(&factory));
    assert_eq!(first, second);
    assert!(began.elapsed() >= secs(5));
    assert_eq!(
        dawdles.runs.load(Ordering::Relaxed),
        1,
        "once for each connection"
    );
}
