//! The write queue: what waits for a peer that does not read.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use spark_rpc_net::Listener;
use spark_rpc_testkit::{MemoryNetwork, MemorySettings, ScriptedPeer};
use spark_rpc_transport::{
    ConnectionError, Flow, Lane, RequestError, SendError, TransportClient, TransportClientFactory,
    TransportConf, TransportContext, TransportServer,
};
use spark_rpc_wire::{Message, OpenFrame, RequestId, RpcRequest};
use tokio::time::Instant;

use crate::log::Log;
use crate::support::{Handlers, Hosts, PORT, Seen, connect, connect_scripted, context, secs, settle, soon};

/// A client whose peer takes `window` bytes and then no more until the test reads them.
struct Narrow {
    client: TransportClient,
    peer: ScriptedPeer,
    context: TransportContext,
    _rest: (Box<dyn Listener>, TransportClientFactory),
}

fn narrow_hosts() -> Hosts {
    let settings = MemorySettings {
        send_buffer: WINDOW,
        ..MemorySettings::default()
    };
    let net = MemoryNetwork::with_settings(1, settings);
    Hosts {
        client: net.host("client"),
        server: net.host("server"),
        net,
    }
}

async fn narrow(conf: TransportConf) -> Narrow {
    let hosts = narrow_hosts();
    let mut listener = hosts.listen().await;
    let context = context(&hosts.client, conf, &Handlers::hello());
    let factory = context.create_client_factory(Vec::new());
    let (client, peer) = connect_scripted(&factory, &mut *listener).await;
    Narrow {
        client,
        peer,
        context,
        _rest: (listener, factory),
    }
}

const WINDOW: usize = 64;

/// Bytes of a one-way message's frame beside its body.
const HEAD: usize = 13;

/// Refuses frames beyond 1000 bytes, or three.
fn small_queue() -> TransportConf {
    TransportConf {
        write_queue_max_bytes: 1000,
        write_queue_max_frames: 3,
        ..TransportConf::default()
    }
}

fn is_full(sent: &Result<(), SendError>) -> bool {
    matches!(sent, Err(SendError::Full(_)))
}

#[tokio::test(start_paused = true)]
async fn everything_that_a_lost_connection_did_not_write_is_logged_and_counted() {
    let Narrow {
        client,
        peer,
        context,
        _rest,
    } = narrow(TransportConf::default()).await;
    let log = Log::begin();
    // The first goes out by itself and gets stuck half-way; the others wait behind it.
    client.send(&[1; 500]).unwrap();
    settle().await;
    for _ in 0..2 {
        client.send(&[2; 500]).unwrap();
    }
    peer.reset();
    soon(client.closed()).await;
    assert_eq!(log.with("unwritten=3").len(), 1, "{:?}", log.with("connection"));
    assert_eq!(context.counters().frames_unwritten(), 3);
    assert_eq!(client.queued_bytes(), 0, "nothing waits any more");
}

#[tokio::test(start_paused = true)]
async fn room_is_what_the_refused_frame_fits_into() {
    let Narrow {
        client,
        mut peer,
        _rest,
        ..
    } = narrow(small_queue()).await;
    client.send(&[1; 900]).unwrap();
    settle().await;
    assert!(is_full(&client.send(&[2; 200])));
    // There is room for a smaller one, but whoever waits wants this one.
    let waiting = tokio::time::timeout(secs(1), client.wait_for_room());
    assert!(
        waiting.await.is_err(),
        "this frame would have been refused again at once"
    );

    let room = tokio::spawn({
        let client = client.clone();
        async move {
            client.wait_for_room().await;
            client.send(&[2; 200])
        }
    });
    peer.expect_frame().await;
    soon(room).await.unwrap().unwrap();
    peer.expect_frame().await;
    assert_eq!(client.queued_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_queue_refuses_what_exceeds_its_bytes_and_keeps_what_it_has() {
    let Narrow {
        client,
        mut peer,
        _rest,
        ..
    } = narrow(small_queue()).await;
    // One frame is let in however long it is, if nothing else waits.
    client.send(&[1; 5000]).unwrap();
    settle().await;
    assert_eq!(client.queued_bytes(), 5000 + HEAD);
    let mut refused = one_way(&[2; 1]);
    let before = refused.clone();
    let error = client.send_frame(Lane::Normal, &mut refused).unwrap_err();
    assert_eq!(error.to_string(), "write queue full: 5013 bytes of at most 1000");
    assert_eq!(refused, before, "it is given back as it was");

    peer.expect_frame().await;
    client.send_frame(Lane::Normal, &mut refused).unwrap();
    peer.expect_frame().await;
}

#[tokio::test(start_paused = true)]
async fn a_large_frame_that_is_refused_is_given_back_too() {
    let Narrow {
        client,
        peer: _peer,
        _rest,
        ..
    } = narrow(small_queue()).await;
    client.send(&[1; 900]).unwrap();
    let mut refused = one_way(&[2; 100_000]);
    let before = refused.clone();
    assert!(is_full(&client.send_frame(Lane::Normal, &mut refused)));
    assert!(refused == before);
}

#[tokio::test(start_paused = true)]
async fn the_queue_refuses_one_frame_more_than_its_count() {
    let Narrow {
        client,
        mut peer,
        _rest,
        ..
    } = narrow(small_queue()).await;
    for n in 0..3 {
        client.send(&[n; 100]).unwrap();
    }
    let error = client.send(b"").unwrap_err();
    assert_eq!(error.to_string(), "write queue full: 3 items of at most 3");

    let asked = client.send_rpc(b"", None).await.unwrap_err();
    assert!(
        matches!(asked, RequestError::NotSent(SendError::Full(_))),
        "{asked}"
    );
    assert_eq!(
        client.outstanding(),
        0,
        "a request that was not sent waits for nothing"
    );
    for n in 0..3 {
        assert_eq!(expect_one_way(&mut peer).await, [n; 100][..]);
    }
    peer.expect_silence(secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_room_hears_of_the_connections_end() {
    let Narrow {
        client, peer, _rest, ..
    } = narrow(small_queue()).await;
    client.send(&[1; 5000]).unwrap();
    assert!(is_full(&client.send(b"more")));
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.wait_for_room().await }
    });
    settle().await;
    assert!(!waiting.is_finished());
    peer.reset();
    soon(waiting).await.unwrap();
    assert!(matches!(client.send(b"more"), Err(SendError::Closed(_))));
}

#[tokio::test(start_paused = true)]
async fn control_frames_pass_those_that_wait_and_are_taken_when_the_queue_is_full() {
    let Narrow {
        client,
        mut peer,
        _rest,
        ..
    } = narrow(small_queue()).await;
    client.send(&[0; 200]).unwrap();
    settle().await;
    client.send(b"bulk one").unwrap();
    client.send(b"bulk two").unwrap();
    assert!(is_full(&client.send(b"bulk three")));
    for urgent in [&b"urgent one"[..], b"urgent two"] {
        client.send_frame(Lane::Control, &mut one_way(urgent)).unwrap();
    }
    let mut arrived = Vec::new();
    for _ in 0..5 {
        arrived.push(expect_one_way(&mut peer).await);
    }
    // The first had begun to leave; a frame is never interrupted.
    let expected = [
        &[0; 200][..],
        b"urgent one",
        b"urgent two",
        b"bulk one",
        b"bulk two",
    ];
    assert_eq!(arrived, expected);
}

#[tokio::test(start_paused = true)]
async fn an_urgent_answer_passes_those_that_wait() {
    let (handlers, kept) = Handlers::keeping();
    let mut served = narrow_server(TransportConf::default(), &handlers).await;
    let peer = &mut served.peer;
    for id in 0..4 {
        peer.send(request(id)).await;
    }
    handlers.record.until(|seen| seen.len() == 5).await;
    kept.take_first().success(&[0; 200]);
    settle().await;
    kept.take_first().success(b"one");
    kept.take_first().success(b"two");
    kept.take_first().urgent().success(b"urgent");
    let mut ids = Vec::new();
    for _ in 0..4 {
        let Message::RpcResponse(answer) = peer.expect_frame().await else {
            panic!("an answer");
        };
        ids.push(answer.request_id.0);
    }
    assert_eq!(ids, [0, 3, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn while_answers_exceed_the_bounds_no_further_requests_are_read() {
    let handlers = Handlers::new(|_, _, responder| {
        responder.unwrap().success(&[7; 600]);
        Flow::Continue
    });
    let mut served = narrow_server(small_queue(), &handlers).await;
    let peer = &mut served.peer;
    let requests = || handlers.record.count(|seen| matches!(seen, Seen::Request(_)));
    for id in 0..2 {
        peer.send(request(id)).await;
    }
    settle().await;
    assert_eq!(
        requests(),
        2,
        "two answers of 621 bytes wait now, and answers are never refused"
    );
    peer.send(request(2)).await;
    settle().await;
    assert_eq!(requests(), 2);
    for id in 0..3 {
        let Message::RpcResponse(answer) = peer.expect_frame().await else {
            panic!("an answer");
        };
        assert_eq!((answer.request_id.0, answer.body.len()), (id, 600));
    }
    assert_eq!(requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn two_sides_with_much_to_say_still_hear_each_other() {
    // The queue is full and a control frame comes on top; and a frame that no queue could hold.
    let full = vec![(Lane::Normal, 300); 3]
        .into_iter()
        .chain([(Lane::Control, 100)]);
    for frames in [full.collect(), vec![(Lane::Normal, 5000)]] {
        let Both {
            client,
            server,
            near,
            far,
            ..
        } = &both().await;
        for side in [client, server] {
            for (lane, len) in &frames {
                side.send_frame(*lane, &mut one_way(&vec![7; *len])).unwrap();
            }
        }
        let all = frames.len();
        let heard = |handlers: &Handlers| handlers.record.one_ways().len();
        // Far less than the connection's time.
        tokio::time::timeout(secs(10), async {
            near.record.until(|_| heard(near) == all).await;
            far.record.until(|_| heard(far) == all).await;
        })
        .await
        .unwrap_or_else(|_| panic!("{} and {} of {all}", heard(near), heard(far)));
    }
}

#[tokio::test(start_paused = true)]
async fn two_sides_that_close_at_once_do_not_wait_for_each_other_to_read() {
    let both = both().await;
    let began = Instant::now();
    for side in [&both.client, &both.server] {
        side.send(&[7; 500]).unwrap();
        side.close();
    }
    for side in [&both.client, &both.server] {
        let cause = soon(side.closed()).await;
        assert!(matches!(*cause, ConnectionError::ClosedHere { .. }), "{cause}");
        assert_eq!(side.queued_bytes(), 0);
    }
    // Far less than closing may take.
    assert!(began.elapsed() < secs(1), "{:?}", began.elapsed());
    for context in [&both.serving, &both.asking] {
        assert_eq!(context.counters().frames_unwritten(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_given_up_after_the_connections_time() {
    let Narrow {
        client,
        peer: _peer,
        _rest,
        ..
    } = narrow(TransportConf {
        connection_timeout: Some(secs(10)),
        ..TransportConf::default()
    })
    .await;
    let before = Instant::now();
    client.send(&[1; 5000]).unwrap();
    let cause = soon(client.closed()).await;
    assert_eq!(
        cause.to_string(),
        "Connection to server:7077 closed: the peer has read nothing for 10000 ms; this limit is set by \
         spark.rpc.io.connectionTimeout"
    );
    let took = before.elapsed();
    assert!(took >= secs(10) && took < secs(11), "{took:?}");
}

fn one_way(body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let open = OpenFrame::one_way(&mut frame);
    frame.extend_from_slice(body);
    open.finish(&mut frame).unwrap();
    frame
}

async fn expect_one_way(peer: &mut ScriptedPeer) -> Bytes {
    match peer.expect_frame().await {
        Message::OneWayMessage(message) => message.body,
        other => panic!("expected a one-way message, but got {other:?}"),
    }
}

fn request(id: i64) -> RpcRequest<Bytes> {
    RpcRequest {
        request_id: RequestId(id),
        body: "x".into(),
    }
}

/// A server whose client takes [`WINDOW`] bytes and then no more until the test reads them.
struct NarrowServer {
    peer: ScriptedPeer,
    _server: TransportServer,
}

async fn narrow_server(conf: TransportConf, handlers: &Handlers) -> NarrowServer {
    let hosts = narrow_hosts();
    let server = hosts.serve_with(conf, handlers).await;
    NarrowServer {
        peer: hosts.raw_client().await,
        _server: server,
    }
}

/// Both ends of one connection, each of which takes [`WINDOW`] bytes and then no more until it reads them.
struct Both {
    client: TransportClient,
    server: TransportClient,
    near: Handlers,
    far: Handlers,
    serving: TransportContext,
    asking: TransportContext,
    _rest: (TransportServer, TransportClientFactory),
}

async fn both() -> Both {
    let hosts = narrow_hosts();
    let accepted = Arc::new(Mutex::new(None));
    let far = {
        let accepted = Arc::clone(&accepted);
        Handlers::new(move |client, _, responder| {
            if let Some(responder) = responder {
                *accepted.lock().unwrap() = Some(client.clone());
                responder.success(b"");
            }
            Flow::Continue
        })
    };
    let near = Handlers::echo();
    let serving = context(&hosts.server, small_queue(), &far);
    let server = serving.create_server("server", PORT, Vec::new()).await.unwrap();
    let asking = context(&hosts.client, small_queue(), &near);
    let factory = asking.create_client_factory(Vec::new());
    let client = connect(&factory).await;
    soon(client.send_rpc(b"", None)).await.unwrap();
    settle().await;
    let accepted = accepted.lock().unwrap().take().unwrap();
    Both {
        client,
        server: accepted,
        near,
        far,
        serving,
        asking,
        _rest: (server, factory),
    }
}
