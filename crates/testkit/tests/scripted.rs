//! A peer that does what a test tells it to.

use std::time::Duration;

use bytes::Bytes;
use spark_rpc_net::{Network, SocketOptions, TcpNetwork};
use spark_rpc_testkit::{Ending, MemoryNetwork, ScriptedPeer};
use spark_rpc_wire::{Message, OneWayMessage, RequestId, RpcFailure, RpcRequest, StreamResponse};

async fn pair() -> (ScriptedPeer, ScriptedPeer) {
    let net = MemoryNetwork::new(1);
    let (a, b) = (net.host("a"), net.host("b"));
    let mut listener = b.bind("b", 7077, &SocketOptions::default()).await.unwrap();
    let client = ScriptedPeer::connect(&a, "b", 7077).await;
    (client, ScriptedPeer::accept(&mut *listener).await)
}

fn request(body: &'static str) -> Message<Bytes> {
    RpcRequest {
        request_id: RequestId(7),
        body: body.into(),
    }
    .into()
}

#[tokio::test(start_paused = true)]
async fn frames_arrive_as_they_were_sent_however_the_network_splits_them() {
    let (mut client, mut server) = pair().await;
    let sent: [Message<Bytes>; 3] = [
        request("question"),
        OneWayMessage {
            body: vec![7; 100_000].into(),
        }
        .into(),
        RpcFailure {
            request_id: RequestId(8),
            error: "no".into(),
        }
        .into(),
    ];
    let sending = async {
        for message in &sent {
            client.send(message.clone()).await;
        }
    };
    let receiving = async {
        [
            server.expect_frame().await,
            server.expect_frame().await,
            server.expect_frame().await,
        ]
    };
    let ((), received) = tokio::join!(sending, receiving);
    assert_eq!(received, sent);
}

#[tokio::test(start_paused = true)]
async fn the_body_behind_a_frame_is_told_apart_from_the_next_frame() {
    let (mut client, mut server) = pair().await;
    let response = |byte_count| StreamResponse {
        stream_id: "/jars/a.jar".into(),
        byte_count,
    };
    server.send(response(1000)).await;
    server.send_raw([7; 1000]).await;
    server.send(response(0)).await;
    server.send(request("next")).await;

    assert_eq!(client.expect_frame().await, response(1000).into());
    assert_eq!(client.expect_body().await, [7; 1000][..]);
    assert_eq!(client.expect_frame().await, response(0).into());
    assert_eq!(client.expect_body().await, Bytes::new());
    assert_eq!(client.expect_frame().await, request("next"));
}

#[tokio::test(start_paused = true)]
async fn raw_bytes_and_wrong_frames_go_out_as_they_are() {
    let (mut client, mut server) = pair().await;
    client.send_raw(b"GET / HTTP/1.1\r\n").await;
    client.send_frame(13, b"xy").await;
    client.send_length(-8).await;
    client.send_part(request("question"), 9).await;
    assert_eq!(&*server.expect_raw(16).await, b"GET / HTTP/1.1\r\n");
    assert_eq!(&*server.expect_raw(11).await, b"\0\0\0\0\0\0\0\x0b\x0dxy");
    assert_eq!(&*server.expect_raw(8).await, [0; 8]);
    assert_eq!(
        server.expect_raw(9).await.last(),
        Some(&3),
        "the length, and the type of a request"
    );
    server.expect_silence(Duration::from_secs(3600)).await;
}

#[tokio::test(start_paused = true)]
async fn each_way_to_end_a_connection_looks_as_it_should() {
    let (client, mut server) = pair().await;
    client.close();
    assert_eq!(server.expect_close().await, Ending::Closed);

    let (client, mut server) = pair().await;
    client.reset();
    assert_eq!(server.expect_close().await, Ending::Reset);

    let (mut client, mut server) = pair().await;
    client.half_close().await;
    assert_eq!(server.expect_close().await, Ending::Closed);
    server.send(request("still there")).await;
    assert_eq!(client.expect_frame().await, request("still there"));
}

#[tokio::test]
async fn it_speaks_over_real_sockets_too() {
    let mut listener = TcpNetwork
        .bind("127.0.0.1", 0, &SocketOptions::default())
        .await
        .unwrap();
    let mut client = ScriptedPeer::connect(&TcpNetwork, "127.0.0.1", listener.port()).await;
    let mut server = ScriptedPeer::accept(&mut *listener).await;
    client.send(request("question")).await;
    assert_eq!(server.expect_frame().await, request("question"));
    client.reset();
    assert_eq!(server.expect_close().await, Ending::Reset);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "waited 10s in vain for a frame")]
async fn a_frame_that_does_not_come_is_a_panic() {
    let (_client, mut server) = pair().await;
    server.expect_frame().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "expected a frame, but the connection ended")]
async fn an_end_instead_of_a_frame_is_a_panic() {
    let (client, mut server) = pair().await;
    client.close();
    server.expect_frame().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "expected the connection to end, but got")]
async fn a_frame_instead_of_an_end_is_a_panic() {
    let (mut client, mut server) = pair().await;
    client.send(request("question")).await;
    server.expect_close().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "the connection ended in the middle of a frame")]
async fn an_end_in_the_middle_of_a_frame_is_a_panic() {
    let (mut client, mut server) = pair().await;
    server.send_part(request("question"), 5).await;
    server.close();
    client.expect_close().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "the connection ended in the middle of a frame")]
async fn an_end_before_an_announced_body_is_a_panic() {
    let (mut client, mut server) = pair().await;
    server
        .send(StreamResponse {
            stream_id: "/jars/a.jar".into(),
            byte_count: 1,
        })
        .await;
    server.close();
    client.expect_frame().await;
    client.expect_close().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "expected silence")]
async fn anything_instead_of_silence_is_a_panic() {
    let (mut client, mut server) = pair().await;
    client.send_raw([1]).await;
    server.expect_silence(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "unknown")]
async fn a_frame_of_an_unknown_type_is_a_panic() {
    let (mut client, mut server) = pair().await;
    client.send_frame(13, b"xy").await;
    server.expect_frame().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "has not taken the bytes within 10s")]
async fn a_peer_that_does_not_read_is_a_panic_once_the_buffer_is_full() {
    let (mut client, _server) = pair().await;
    client.send_raw(vec![0; 1 << 20]).await;
}
