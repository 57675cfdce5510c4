//! Handlers that panic: whom it hurts and whom it does not.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use spark_rpc_testkit::Ending;
use spark_rpc_transport::{
    Flow, ManagedBuffer, NoRpcHandler, RequestError, Responder, RpcHandler, StreamManager, TransportClient,
    TransportConf, TransportContext,
};
use spark_rpc_wire::{Body, RequestId, RpcRequest, StreamRequest};

use crate::support::{Handlers, PORT, Seen, connect, hosts, millis, secs, soon};

/// RPC-02: what is thrown in the JVM is a panic here.
#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_fails_that_request_and_no_other() {
    let hosts = hosts();
    let handlers = Handlers::hello();
    let server = hosts.serve(&handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    let (bad, good) = tokio::join!(
        client.send_rpc(b"throw error/uh-oh", None),
        client.send_rpc(b"hello/Bob", None)
    );
    let error = bad.unwrap_err();
    assert!(matches!(error, RequestError::Failed { .. }), "{error}");
    assert_eq!(error.to_string(), "the handler panicked before it answered");
    assert_eq!(good.unwrap(), "Hello, Bob!");
    assert!(client.is_active());
    assert_eq!((client.outstanding(), server.connections()), (0, 1));
    assert_eq!(handlers.record.count(|seen| matches!(seen, Seen::Caught(_))), 0);
}

#[tokio::test(start_paused = true)]
async fn a_one_way_message_whose_handler_panics_is_lost_alone() {
    let hosts = hosts();
    let handlers = Handlers::new(|_, body, _| {
        assert_ne!(&*body, b"bad", "the panic of this test");
        Flow::Continue
    });
    let _server = hosts.serve(&handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    for body in [&b"bad"[..], b"good"] {
        client.send(body).unwrap();
    }
    handlers.record.until_seen(Seen::OneWay(b"good".to_vec())).await;
    assert!(client.is_active());
}

/// Panics at one point of each connection's life.
struct Fragile {
    when: When,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Active,
    Opening,
    BatchEnded,
    Inactive,
}

impl Fragile {
    fn reached(&self, when: When) {
        assert!(self.when != when, "the panic of this test");
    }
}

impl RpcHandler for Fragile {
    fn receive(&mut self, _: &TransportClient, request: Body<'_>, responder: Responder) -> Flow {
        responder.success(&request);
        Flow::Continue
    }

    fn receive_one_way(&mut self, _: &TransportClient, _: Body<'_>) -> Flow {
        Flow::Continue
    }

    fn stream_manager(&self) -> &dyn StreamManager {
        self
    }

    fn channel_active(&mut self, _: &TransportClient) {
        self.reached(When::Active);
    }

    fn batch_ended(&mut self) {
        self.reached(When::BatchEnded);
    }

    fn channel_inactive(&mut self, _: &TransportClient) {
        self.reached(When::Inactive);
    }
}

impl StreamManager for Fragile {
    fn open_stream(&self, _: &TransportClient, _: &str) -> Result<ManagedBuffer, String> {
        self.reached(When::Opening);
        Err("no streams".into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_outside_of_a_message_closes_that_connection_alone() {
    for when in [When::Active, When::Opening, When::BatchEnded] {
        let hosts = hosts();
        let first = AtomicBool::new(true);
        let handlers = move |_: &TransportClient| -> Box<dyn RpcHandler> {
            let when = if first.swap(false, Ordering::Relaxed) {
                when
            } else {
                When::Inactive
            };
            Box::new(Fragile { when })
        };
        let network = Arc::new(hosts.server.clone());
        let context = TransportContext::new(TransportConf::default(), network, Arc::new(handlers)).unwrap();
        let server = context.create_server("server", PORT, Vec::new()).await.unwrap();

        let mut hurt = hosts.raw_client().await;
        let stream_id = "any".to_owned();
        hurt.send(StreamRequest { stream_id }).await;
        let mut spared = hosts.raw_client().await;
        hurt.expect_close().await;
        let request = RpcRequest {
            request_id: RequestId(1),
            body: "still there?".into(),
        };
        spared.send(request).await;
        spared.expect_frame().await;
        assert_eq!(
            (server.connections(), context.counters().connections_open()),
            (1, 1)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_at_the_end_keeps_nobody_from_hearing_of_it() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::silent()).await;
    let handlers =
        |_: &TransportClient| -> Box<dyn RpcHandler> { Box::new(Fragile { when: When::Inactive }) };
    let network = Arc::new(hosts.client.clone());
    let context = TransportContext::new(TransportConf::default(), network, Arc::new(handlers)).unwrap();
    let factory = context.create_client_factory(Vec::new());
    let client = connect(&factory).await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.send_rpc(b"question", None).await }
    });
    tokio::time::sleep(millis(50)).await;
    server.abort();
    let error = soon(asking).await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::Connection(_)), "{error}");
    soon(client.closed()).await;
    assert_eq!(
        (factory.connections(), context.counters().connections_open()),
        (0, 0)
    );
    assert_eq!(factory.close(secs(1)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_cannot_be_made_costs_its_connection_and_not_the_server() {
    let hosts = hosts();
    let first = AtomicBool::new(true);
    let handlers = move |_: &TransportClient| -> Box<dyn RpcHandler> {
        assert!(!first.swap(false, Ordering::Relaxed), "the panic of this test");
        Box::new(NoRpcHandler)
    };
    let network = Arc::new(hosts.server.clone());
    let context = TransportContext::new(TransportConf::default(), network, Arc::new(handlers)).unwrap();
    let server = context.create_server("server", PORT, Vec::new()).await.unwrap();
    assert_eq!(hosts.raw_client().await.expect_close().await, Ending::Closed);

    let factory = hosts.factory();
    let client = connect(&factory).await;
    let refused = soon(client.send_rpc(b"question", Some(secs(5))))
        .await
        .unwrap_err();
    assert!(matches!(refused, RequestError::Failed { .. }), "{refused}");
    assert_eq!(server.connections(), 1);
}
