//! Named streams, their readers, and what becomes of the connection.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use spark_rpc_testkit::ScriptedPeer;
use spark_rpc_transport::{
    ConnectionError, Fault, ManagedBuffer, RequestError, StreamBody, TransportClient, TransportConf,
};
use spark_rpc_wire::{Message, OneWayMessage, StreamFailure, StreamResponse};
use tokio::io::AsyncReadExt;

use super::lab::{Lab, Net, SOCKETS, Shelf, pattern, until, within, write};
use crate::support::{connect_scripted, hosts, millis, secs, settle};

const SIZES: [(&str, usize); 4] = [
    ("empty", 0),
    ("small", 100),
    ("large", 100_000),
    ("file", 512 << 10),
];

async fn lab(net: Net, conf: TransportConf) -> Lab {
    Lab::with(net, conf, |folder| {
        let path = write(folder, "streamed", &pattern(512 << 10));
        let mut shelf = Shelf::default().stream("file", move || ManagedBuffer::path(&path, 0, 512 << 10));
        for (name, size) in &SIZES[..3] {
            shelf = shelf.stream(name, || pattern(*size));
        }
        Arc::new(shelf.stream("huge", || pattern(20 << 20)))
    })
    .await
}

fn open(
    client: &TransportClient,
    name: &str,
) -> impl Future<Output = Result<StreamBody, RequestError>> + use<> {
    let (client, name) = (client.clone(), name.to_owned());
    within(async move { client.open_stream(&name, None).await })
}

async fn read(mut body: StreamBody) -> Bytes {
    let mut read = Vec::new();
    while let Some(piece) = within(body.chunk()).await.unwrap() {
        assert!(!piece.is_empty());
        read.extend_from_slice(&piece);
        assert_eq!(body.remaining() + read.len() as u64, body.length());
    }
    read.into()
}

async fn in_turn_and_at_once(net: Net) {
    let lab = lab(net, TransportConf::default()).await;
    let client = lab.client().await;
    for n in 0..20 {
        let (name, size) = SIZES[n % 4];
        let body = open(&client, name).await.unwrap();
        assert_eq!(body.length(), size as u64);
        assert!(read(body).await == pattern(size), "{name}");
    }
    let at_once: Vec<_> = (0..20)
        .map(|n| {
            let opening = open(&client, SIZES[n % 4].0);
            tokio::spawn(async move { read(opening.await.unwrap()).await })
        })
        .collect();
    for (n, stream) in at_once.into_iter().enumerate() {
        let (name, size) = SIZES[n % 4];
        assert!(within(stream).await.unwrap() == pattern(size), "{name}");
    }
    until(|| client.outstanding() == 0 && lab.in_transfer() == 0).await;
}

/// STREAM-01
#[tokio::test(start_paused = true)]
async fn streams_of_every_size_come_in_turn_and_at_once() {
    in_turn_and_at_once(Net::Memory).await;
}

#[tokio::test]
async fn streams_of_every_size_come_in_turn_and_at_once_over_sockets() {
    for net in SOCKETS {
        in_turn_and_at_once(*net).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_be_read_like_a_file() {
    let lab = lab(Net::Memory, TransportConf::default()).await;
    let mut body = open(&lab.client().await, "large").await.unwrap();
    let mut first = [0; 10];
    body.read_exact(&mut first).await.unwrap();
    assert_eq!(first, pattern(10)[..]);
    let piece = body.chunk().await.unwrap().unwrap();
    let mut rest = Vec::new();
    body.read_to_end(&mut rest).await.unwrap();
    assert!([&first[..], &piece, &rest].concat() == pattern(100_000));
    assert_eq!(body.remaining(), 0);
    assert_eq!(body.chunk().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_there_fails_alone_and_in_its_turn() {
    let lab = lab(Net::Memory, TransportConf::default()).await;
    let client = lab.client().await;
    let (before, missing, behind) = tokio::join!(
        open(&client, "small"),
        open(&client, "missing"),
        open(&client, "small")
    );
    let missing = missing.unwrap_err();
    assert_eq!(missing.to_string(), "no stream missing");
    assert_eq!(missing.fault(), Fault::Peer);
    for body in [before, behind] {
        assert_eq!(read(body.unwrap()).await, pattern(100));
    }
}

/// RESP-04
#[tokio::test(start_paused = true)]
async fn a_stream_keeps_the_connection_busy_until_its_last_byte() {
    let (client, mut peer, _rest) = scripted(TransportConf::default()).await;
    let opening = tokio::spawn(open(&client, "a"));
    peer.expect_frame().await;
    assert_eq!(client.outstanding(), 1);
    respond(&mut peer, "a", 1234).await;
    let mut body = within(opening).await.unwrap().unwrap();
    assert_eq!(client.outstanding(), 1);
    peer.send_raw([7; 1233]).await;
    settle().await;
    assert_eq!(client.outstanding(), 1);
    peer.send_raw([7]).await;
    let mut all = Vec::new();
    within(body.read_to_end(&mut all)).await.unwrap();
    assert_eq!((all, client.outstanding()), (vec![7; 1234], 0));

    let opening = tokio::spawn(open(&client, "b"));
    peer.expect_frame().await;
    peer.send(StreamFailure {
        stream_id: "b".into(),
        error: "no".into(),
    })
    .await;
    assert!(within(opening).await.unwrap().is_err());
    assert_eq!(client.outstanding(), 0);
}

/// RESP-05
#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_fails_streams_that_wait_and_the_one_that_arrives() {
    let (client, mut peer, _rest) = scripted(TransportConf::default()).await;
    let opening = tokio::spawn(open(&client, "a"));
    let waiting = tokio::spawn(open(&client, "b"));
    peer.expect_frame().await;
    peer.expect_frame().await;
    respond(&mut peer, "a", 100).await;
    peer.send_raw([7; 40]).await;
    let mut body = within(opening).await.unwrap().unwrap();
    settle().await;
    peer.reset();
    assert_eq!(
        body.chunk().await.unwrap().unwrap(),
        [7; 40][..],
        "what came first is handed out"
    );
    let lost = body.chunk().await.unwrap_err();
    assert_eq!(lost.fault(), Fault::PeerOrNetwork, "{lost}");
    let mut rest = Vec::new();
    let error = body.read_to_end(&mut rest).await.unwrap_err();
    assert_eq!(
        error.kind(),
        std::io::ErrorKind::ConnectionAborted,
        "never a silent end"
    );
    let waiting = within(waiting).await.unwrap().unwrap_err();
    assert!(matches!(waiting, RequestError::Connection(_)), "{waiting}");
    assert_eq!(client.outstanding(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_stops_the_connection_and_so_the_sender() {
    let conf = TransportConf {
        stream_window: 100_000,
        ..TransportConf::default()
    };
    let lab = lab(Net::Memory, conf).await;
    let client = lab.client().await;
    let mut body = open(&client, "huge").await.unwrap();
    settle().await;
    settle().await;
    let written = || lab.serving.counters().bytes_written();
    let before = written();
    // One read, the window, and what the network holds.
    assert!(
        before < 1_000_000,
        "{before} bytes have been sent to a reader that takes none"
    );
    tokio::time::sleep(secs(5)).await; // tidy: allow(sleep): virtual time
    assert_eq!(written(), before);
    let asked = tokio::spawn({
        let client = client.clone();
        async move { client.send_rpc(b"behind", None).await }
    });
    settle().await;
    assert!(!asked.is_finished(), "answers wait behind a body");

    let mut read = 0;
    while let Some(piece) = within(body.chunk()).await.unwrap() {
        read += piece.len();
    }
    assert_eq!(read, 20 << 20);
    assert_eq!(within(asked).await.unwrap().unwrap(), "behind");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_loses_the_connection_and_a_slow_one_does_not() {
    let conf = TransportConf {
        stream_window: 100_000,
        connection_timeout: Some(secs(10)),
        ..TransportConf::default()
    };
    let (client, mut peer, _rest) = scripted(conf).await;
    let opening = tokio::spawn(open(&client, "long"));
    peer.expect_frame().await;
    respond(&mut peer, "long", 2_000_000).await;
    peer.set_patience(secs(10_000));
    // The peer has all the time in the world.
    let sending = tokio::spawn(async move {
        peer.send_raw(pattern(2_000_000)).await;
        peer
    });
    let mut body = within(opening).await.unwrap().unwrap();
    for _ in 0..20 {
        tokio::time::sleep(secs(8)).await; // tidy: allow(sleep): virtual time
        body.chunk().await.unwrap().unwrap();
    }
    let cause = within(client.closed()).await;
    assert!(matches!(*cause, ConnectionError::ReaderStalled { .. }), "{cause}");
    assert_eq!(cause.fault(), Fault::ThisSide);
    sending.abort();
    while let Ok(piece) = body.chunk().await {
        assert!(piece.is_some(), "never a silent end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_stream_that_is_given_up_is_discarded() {
    let lab = lab(Net::Memory, TransportConf::default()).await;
    let client = lab.client().await;
    drop(open(&client, "file").await.unwrap());
    let given_up = tokio::time::timeout(millis(1), client.open_stream("file", None)).await;
    assert!(given_up.is_err());
    assert_eq!(read(open(&client, "small").await.unwrap()).await, pattern(100));
    until(|| client.outstanding() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_long_stream_that_is_given_up_costs_the_connection_and_not_the_bytes() {
    for before_it_begins in [false, true] {
        let lab = lab(Net::Memory, TransportConf::default()).await;
        let client = lab.client().await;
        if before_it_begins {
            let given_up = tokio::time::timeout(millis(1), client.open_stream("huge", None)).await;
            assert!(given_up.is_err());
        } else {
            drop(open(&client, "huge").await.unwrap());
        }
        let cause = within(client.closed()).await;
        assert!(
            matches!(*cause, ConnectionError::StreamAbandoned { .. }),
            "{cause}"
        );
        assert_eq!(cause.fault(), Fault::ThisSide);
        until(|| lab.in_transfer() == 0).await;
        assert!(lab.serving.counters().bytes_written() < 10 << 20);
    }
}

#[tokio::test(start_paused = true)]
async fn small_messages_pass_bodies_that_wait_and_none_is_torn() {
    let lab = lab(Net::Memory, TransportConf::default()).await;
    let client = lab.client().await;
    // Three stay below what may wait; with more, the server would read no further requests meanwhile.
    let streams: Vec<_> = (0..3)
        .map(|_| {
            let opening = open(&client, "huge");
            tokio::spawn(async move { read(opening.await.unwrap()).await })
        })
        .collect();
    settle().await;
    let answer = within(client.send_rpc(b"beside", None)).await.unwrap();
    assert_eq!(answer, "beside");
    let finished = streams.iter().filter(|stream| stream.is_finished()).count();
    assert!(
        finished <= 1,
        "the answer has passed what waited, but not what had begun: {finished}"
    );
    for stream in streams {
        assert!(within(stream).await.unwrap() == pattern(20 << 20));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_between_the_announcement_and_the_end_of_a_body() {
    let lab = lab(Net::Memory, TransportConf::default()).await;
    // The decoder of the peer would take anything in between for the body.
    let client = lab.client().await;
    let mut body = open(&client, "huge").await.unwrap();
    let asks: Vec<_> = (0..100)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.send_rpc(&[1; 5000], None).await.unwrap() })
        })
        .collect();
    let mut all = Vec::new();
    within(body.read_to_end(&mut all)).await.unwrap();
    assert!(all == pattern(20 << 20));
    for ask in asks {
        assert_eq!(within(ask).await.unwrap(), [1; 5000][..]);
    }
}

type Rest = (
    Box<dyn spark_rpc_net::Listener>,
    spark_rpc_transport::TransportClientFactory,
);

async fn scripted(conf: TransportConf) -> (TransportClient, ScriptedPeer, Rest) {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory_with(conf);
    let (client, peer) = connect_scripted(&factory, &mut *listener).await;
    (client, peer, (listener, factory))
}

async fn respond(peer: &mut ScriptedPeer, stream_id: &str, byte_count: i64) {
    let stream_id = stream_id.into();
    peer.send(StreamResponse {
        stream_id,
        byte_count,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_another_stream_ends_the_connection() {
    let (client, mut peer, _rest) = scripted(TransportConf::default()).await;
    let opening = tokio::spawn(open(&client, "a"));
    assert!(matches!(peer.expect_frame().await, Message::StreamRequest(_)));
    respond(&mut peer, "b", 3).await;
    peer.send(OneWayMessage { body: "abc".into() }).await;
    let error = within(opening).await.unwrap().unwrap_err();
    assert_eq!(error.fault(), Fault::Peer);
    let cause = within(client.closed()).await;
    assert!(matches!(*cause, ConnectionError::Refused { .. }), "{cause}");
}
