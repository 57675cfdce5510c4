//! Peers that break the protocol, or speak another one.

use bytes::Bytes;
use spark_rpc_testkit::ScriptedPeer;
use spark_rpc_transport::{ConnectionError, TransportConf, TransportServer};
use spark_rpc_wire::{OneWayMessage, RequestId, RpcRequest};

use crate::log::Log;
use crate::support::{Handlers, Hosts, PATIENCE, Seen, hosts, response, secs, settle};

/// A server that takes frames of up to 2000 bytes, and a peer of it that does nothing wrong.
struct Served {
    hosts: Hosts,
    handlers: Handlers,
    _server: TransportServer,
    good: ScriptedPeer,
}

async fn served() -> Served {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let conf = TransportConf {
        max_frame_bytes: 2000,
        ..TransportConf::default()
    };
    let server = hosts.serve_with(conf, &handlers).await;
    let good = hosts.raw_client().await;
    settle().await;
    Served {
        hosts,
        handlers,
        _server: server,
        good,
    }
}

impl Served {
    /// Checks that the server closes a connection on which `bytes` came, gives the reason `named`, both to the handler
    /// and in one line of the log, and goes on with the other connection.
    async fn assert_closes(&mut self, bytes: &[u8], named: &str) {
        let caught = |seen: &Seen| matches!(seen, Seen::Caught(cause) if cause.contains(named));
        let before = self.handlers.record.count(caught);
        let log = Log::begin();
        let mut wrong = self.hosts.raw_client().await;
        wrong.set_patience(PATIENCE);
        wrong.send_raw(bytes).await;
        wrong.expect_close().await;
        let seen = &self.handlers.record;
        assert_eq!(
            seen.count(caught),
            before + 1,
            "{bytes:?}: not {named} but {seen:?}"
        );
        let lines = log.with("WARN");
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains(named) && lines[0].contains("client:"),
            "{lines:?}"
        );
        drop(log);

        let request = RpcRequest {
            request_id: RequestId(1),
            body: Bytes::from_static(b"still there?"),
        };
        self.good.send(request).await;
        let answer = response(RequestId(1), "still there?");
        assert_eq!(self.good.expect_frame().await, answer.into());
    }
}

/// FRAME-06
#[tokio::test(start_paused = true)]
async fn the_bytes_of_another_protocol_are_named_and_end_their_connection_alone() {
    let mut served = served().await;
    for (bytes, named) in [
        (&b"GET / HTTP/1.1\r\nHost: server\r\n\r\n"[..], "HTTP/1"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on", "TLS"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
    ] {
        let named = format!("the peer speaks {named}, not Spark's protocol");
        served.assert_closes(bytes, &named).await;
    }
}

/// FRAME-06
#[tokio::test(start_paused = true)]
async fn a_length_that_cannot_be_ends_its_connection_before_any_more_is_read() {
    let mut served = served().await;
    for (length, named) in [
        (0, "a frame length must be positive, -8 was announced"),
        (8, "a frame length must be positive, 0 was announced"),
        (-5, "a frame length must be positive, -13 was announced"),
        (2001 + 8, "a frame of 2001 bytes was announced, the limit is 2000"),
        (
            i64::from(i32::MAX) + 8,
            "a frame of 2147483647 bytes was announced",
        ),
    ] {
        served.assert_closes(&i64::to_be_bytes(length), named).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_no_message_ends_its_connection() {
    let mut served = served().await;
    for (content, named) in [
        (&b"\x0d"[..], "13"),
        (b"\xff", "-1"),
        (b"\x03\x00\x00", "RpcRequest"),
        (
            b"\x05\x00\x00\x00\x00\x00\x00\x00\x01\x7f\xff\xff\xff",
            "RpcFailure",
        ),
    ] {
        let mut frame = (content.len() as i64 + 8).to_be_bytes().to_vec();
        frame.extend_from_slice(content);
        served.assert_closes(&frame, named).await;
    }
}

#[tokio::test(start_paused = true)]
async fn messages_before_the_broken_one_are_handled() {
    let mut served = served().await;
    let mut wrong = served.hosts.raw_client().await;
    wrong.send(OneWayMessage { body: "sound".into() }).await;
    wrong.send_frame(99, b"unsound").await;
    wrong.expect_close().await;
    assert_eq!(served.handlers.record.one_ways(), [b"sound"]);
    served.assert_closes(b"GET ////", "HTTP/1").await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_the_largest_size_passes() {
    let mut served = served().await;
    // Type, id and the body's size take 13 bytes.
    let body = Bytes::from(vec![7; 2000 - 13]);
    let request = RpcRequest {
        request_id: RequestId(1),
        body: body.clone(),
    };
    served.good.send(request).await;
    let spark_rpc_wire::Message::RpcResponse(answer) = served.good.expect_frame().await else {
        panic!("an answer");
    };
    assert!(answer.body == body);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_in_the_middle_of_a_frame_is_no_trouble_for_others() {
    let mut served = served().await;
    let mut half = served.hosts.raw_client().await;
    half.send_length(2000).await;
    half.send_raw(b"\x09 and no more").await;
    served.assert_closes(b"GET ////", "HTTP/1").await;
    half.expect_silence(secs(3600)).await;
    half.close();
    let ended = |seen: &[Seen]| seen.iter().filter(|seen| **seen == Seen::Inactive).count() == 2;
    served.handlers.record.until(ended).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_a_server_of_another_protocol_fails_the_request_with_its_name() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = crate::support::connect_scripted(&factory, &mut *listener).await;
    let asking = tokio::spawn(async move { client.send_rpc(b"question", None).await });
    crate::support::expect_request(&mut peer).await;
    peer.send_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let error = crate::support::soon(asking).await.unwrap().unwrap_err();
    let spark_rpc_transport::RequestError::Connection(cause) = &error else {
        panic!("{error}");
    };
    assert!(matches!(**cause, ConnectionError::Frame { .. }));
    assert_eq!(
        error.to_string(),
        "Connection from server:7077 closed: the peer speaks HTTP/1, not Spark's protocol"
    );
}
