//! Handlers that make the reader wait.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use spark_rpc_testkit::{MemoryNetwork, MemorySettings};
use spark_rpc_transport::{
    Flow, ManagedBuffer, NoRpcHandler, StreamManager, TransportClient, TransportConf, TransportContext,
};
use spark_rpc_wire::{Message, OneWayMessage, RequestId, RpcRequest, StreamRequest};
use tokio::sync::Semaphore;

use crate::support::{
    Handlers, Hosts, PORT, Seen, connect, connect_scripted, hosts, response, secs, settle, soon,
};

/// Handlers that wait for one permit after each message that begins with `wait`, and echo requests.
fn waiting() -> (Handlers, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let handlers = {
        let gate = Arc::clone(&gate);
        Handlers::new(move |_, body, responder| {
            if let Some(responder) = responder {
                responder.success(&body);
            }
            if !body.starts_with(b"wait") {
                return Flow::Continue;
            }
            let gate = Arc::clone(&gate);
            Flow::Wait(Box::pin(async move { gate.acquire().await.unwrap().forget() }))
        })
    };
    (handlers, gate)
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_pauses_its_connection_and_loses_nothing() {
    let hosts = hosts();
    let (handlers, gate) = waiting();
    let _server = hosts.serve(&handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    let mut bodies: Vec<Vec<u8>> = ["one", "wait", "two", "three", "wait", "four"]
        .map(Into::into)
        .into();
    // Behind the second pause stands one that does not fit into the read buffer.
    bodies.push(vec![5; 600_000]);
    for body in &bodies {
        client.send(body).unwrap();
    }
    for (permits, handled) in [(0, 2), (1, 5), (1, 7)] {
        gate.add_permits(permits);
        tokio::time::sleep(secs(1)).await;
        assert_eq!(handlers.record.one_ways(), bodies[..handled]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_paused_reader_does_not_take_stays_with_the_sender() {
    let hosts = hosts();
    let (handlers, gate) = waiting();
    let conf = TransportConf {
        read_buffer: 1024,
        ..TransportConf::default()
    };
    let _server = hosts.serve_with(conf, &handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    client.send(b"wait").unwrap();
    for _ in 0..1000 {
        client.send(&[1; 1000]).unwrap();
    }
    tokio::time::sleep(secs(10)).await;
    // All but what the sockets hold between them.
    assert!(client.queued_bytes() > 900_000, "{}", client.queued_bytes());
    assert_eq!(handlers.record.one_ways().len(), 1);

    gate.add_permits(1);
    handlers.record.until(|seen| seen.len() == 1002).await;
    assert_eq!(client.queued_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_paused_connection_still_writes_and_others_still_read() {
    let hosts = hosts();
    let (handlers, gate) = waiting();
    let _server = hosts.serve(&handlers).await;
    let factory = hosts.factory_with(TransportConf {
        connections_per_peer: 2,
        ..TransportConf::default()
    });
    let (paused, other) = (connect(&factory).await, connect(&factory).await);
    assert_ne!(paused, other);
    // Its answer is written after the pause has begun.
    assert_eq!(soon(paused.send_rpc(b"wait", None)).await.unwrap(), "wait");
    let second = tokio::spawn({
        let paused = paused.clone();
        async move { paused.send_rpc(b"second", None).await }
    });
    assert_eq!(soon(other.send_rpc(b"other", None)).await.unwrap(), "other");
    settle().await;
    assert!(!second.is_finished());
    gate.add_permits(1);
    assert_eq!(soon(second).await.unwrap().unwrap(), "second");
}

#[tokio::test(start_paused = true)]
async fn a_paused_connection_can_be_closed() {
    let hosts = hosts();
    let (handlers, _gate) = waiting();
    let server = hosts.serve(&handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    client.send(b"wait").unwrap();
    handlers.record.until_seen(Seen::OneWay(b"wait".to_vec())).await;
    assert_eq!(server.close(secs(5)).await, 0);
    soon(client.closed()).await;
    assert_eq!(handlers.record.count(|seen| *seen == Seen::Inactive), 1);
}

/// A stream of 100 000 bytes, opened so many times.
struct Large(Arc<AtomicUsize>);

impl StreamManager for Large {
    fn open_stream(&self, _: &TransportClient, _: &str) -> Result<ManagedBuffer, String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Bytes::from_static(&[7; 100_000]).into())
    }
}

#[tokio::test(start_paused = true)]
async fn one_read_full_of_small_requests_does_not_queue_bulk_beyond_the_bounds() {
    let hosts = hosts();
    let opened = Arc::new(AtomicUsize::new(0));
    let handlers = Handlers::echo().with_streams(Large(Arc::clone(&opened)));
    let conf = TransportConf {
        write_queue_max_bytes: 150_000,
        ..TransportConf::default()
    };
    let _server = hosts.serve_with(conf, &handlers).await;
    let mut peer = hosts.raw_client().await;
    let mut requests = Vec::new();
    for n in 0..50 {
        let stream_id = n.to_string();
        Message::<Bytes>::from(StreamRequest { stream_id })
            .encode(&mut requests)
            .unwrap();
    }
    peer.send_raw(&requests).await;
    settle().await;
    assert!(
        opened.load(Ordering::Relaxed) <= 3,
        "{opened:?} streams wait for a peer that reads nothing"
    );

    for n in 0..50 {
        let Message::StreamResponse(answer) = peer.expect_frame().await else {
            panic!("a stream");
        };
        assert_eq!((answer.stream_id, answer.byte_count), (n.to_string(), 100_000));
        assert_eq!(peer.expect_body().await.len(), 100_000);
    }
    let request = RpcRequest {
        request_id: RequestId(1),
        body: Bytes::from_static(b"still there?"),
    };
    peer.send(request).await;
    assert_eq!(
        peer.expect_frame().await,
        response(RequestId(1), "still there?").into()
    );
}

#[tokio::test(start_paused = true)]
async fn more_waiting_askers_than_are_woken_at_once_all_get_their_answers() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory_with(TransportConf {
        wakeups_per_batch: 1,
        ..TransportConf::default()
    });
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.send_rpc(b"question", None).await })
        })
        .collect();
    let mut answers = Vec::new();
    for _ in 0..100 {
        let request = crate::support::expect_request(&mut peer).await;
        Message::<Bytes>::from(response(request.request_id, "answer"))
            .encode(&mut answers)
            .unwrap();
    }
    peer.send_raw(&answers).await;
    // The end of the connection comes in the same breath.
    peer.close();
    for asking in asking {
        assert_eq!(soon(asking).await.unwrap().unwrap(), "answer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_side_without_a_handler_refuses_requests_and_names_lost_messages() {
    let hosts = hosts();
    let network = Arc::new(hosts.server.clone());
    let context = TransportContext::new(TransportConf::default(), network, Arc::new(NoRpcHandler)).unwrap();
    let _server = context.create_server("server", PORT, Vec::new()).await.unwrap();
    let factory = hosts.factory();
    let client = connect(&factory).await;
    let log = crate::log::Log::begin();
    client.send(b"lost").unwrap();
    let refused = soon(client.send_rpc(b"refused", None)).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "java.lang.UnsupportedOperationException: Cannot handle messages"
    );
    assert_eq!(log.with("one-way message dropped").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_read_full_of_small_requests_does_not_queue_answers_beyond_the_bounds() {
    let hosts = hosts();
    let handlers = Handlers::new(|_, _, responder| {
        responder.unwrap().success(&[7; 10_000]);
        Flow::Continue
    });
    let conf = TransportConf {
        write_queue_max_bytes: 150_000,
        ..TransportConf::default()
    };
    let _server = hosts.serve_with(conf, &handlers).await;
    let mut peer = hosts.raw_client().await;
    let mut requests = Vec::new();
    for n in 0..1000 {
        let request = RpcRequest {
            request_id: RequestId(n),
            body: Bytes::new(),
        };
        Message::from(request).encode(&mut requests).unwrap();
    }
    peer.send_raw(&requests).await;
    settle().await;
    // What the queue may hold, and what the network takes unread.
    let answered = handlers.record.count(|seen| matches!(seen, Seen::Request(_)));
    assert!(
        answered < 40,
        "{answered} answers wait for a peer that reads nothing"
    );
    for n in 0..1000 {
        let Message::RpcResponse(answer) = peer.expect_frame().await else {
            panic!("an answer");
        };
        assert_eq!((answer.request_id.0, answer.body.len()), (n, 10_000));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_after_each_message_costs_no_copy_of_all_that_follow() {
    const MESSAGES: usize = 100_000;
    let net = MemoryNetwork::with_settings(
        1,
        MemorySettings {
            send_buffer: 64 << 20,
            max_segment: 64 << 20,
            ..MemorySettings::default()
        },
    );
    let hosts = Hosts {
        client: net.host("client"),
        server: net.host("server"),
        net,
    };
    let handlers = Handlers::new(|_, _, _| Flow::Wait(Box::pin(async {})));
    let conf = TransportConf {
        read_buffer: 64 << 20,
        ..TransportConf::default()
    };
    let _server = hosts.serve_with(conf, &handlers).await;
    let mut peer = hosts.raw_client().await;
    let mut messages = Vec::new();
    for _ in 0..MESSAGES {
        let body = Bytes::from_static(&[7; 100]);
        Message::from(OneWayMessage { body })
            .encode(&mut messages)
            .unwrap();
    }
    // On real time: half a terabyte would be copied.
    let began = std::time::Instant::now();
    peer.send_raw(&messages).await;
    settle().await;
    assert_eq!(handlers.record.one_ways().len(), MESSAGES);
    assert!(began.elapsed() < secs(20), "{:?}", began.elapsed());
}
