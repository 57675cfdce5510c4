//! The seam behind which chunks and streams will be served, and what becomes of bulk that nobody wants.

use bytes::Bytes;
use spark_rpc_testkit::Ending;
use spark_rpc_transport::{ManagedBuffer, StreamManager, TransportClient, TransportConf};
use spark_rpc_wire::{
    ChunkFetchFailure, ChunkFetchRequest, ChunkFetchSuccess, MergedBlockMetaRequest, Message, OneWayMessage,
    RequestId, RpcFailure, RpcRequest, StreamChunkId, StreamFailure, StreamRequest, StreamResponse,
    UploadStream,
};

use crate::support::{Handlers, Seen, connect_scripted, hosts, response};

/// Stream 1 has chunk 0; the named stream is `greeting`.
struct Greeting;

impl StreamManager for Greeting {
    fn get_chunk(&self, _: &TransportClient, id: StreamChunkId) -> Result<ManagedBuffer, String> {
        if (id.stream_id, id.chunk_index) == (1, 0) {
            Ok(Bytes::from_static(b"chunk zero").into())
        } else {
            Err(format!("no chunk {} in stream {}", id.chunk_index, id.stream_id))
        }
    }

    fn open_stream(&self, _: &TransportClient, stream_id: &str) -> Result<ManagedBuffer, String> {
        match stream_id {
            "greeting" => Ok(Bytes::from_static(b"good morning").into()),
            "empty" => Ok(Bytes::new().into()),
            other => Err(format!("no stream {other}")),
        }
    }
}

fn chunk(stream_id: i64, chunk_index: i32) -> StreamChunkId {
    StreamChunkId {
        stream_id,
        chunk_index,
    }
}

fn request(id: i64) -> RpcRequest<Bytes> {
    RpcRequest {
        request_id: RequestId(id),
        body: "still there?".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunk_is_served_or_its_failure_says_why() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo().with_streams(Greeting)).await;
    let mut peer = hosts.raw_client().await;
    peer.send(ChunkFetchRequest { chunk: chunk(1, 0) }).await;
    peer.send(ChunkFetchRequest { chunk: chunk(1, 7) }).await;
    let Message::ChunkFetchSuccess(served) = peer.expect_frame().await else {
        panic!("the chunk exists");
    };
    assert_eq!(
        served,
        ChunkFetchSuccess {
            chunk: chunk(1, 0),
            body: "chunk zero".into()
        }
    );
    assert_eq!(
        peer.expect_frame().await,
        Message::ChunkFetchFailure(ChunkFetchFailure {
            chunk: chunk(1, 7),
            error: "no chunk 7 in stream 1".into()
        })
    );
}

#[tokio::test(start_paused = true)]
async fn streams_are_served_in_the_order_in_which_they_were_asked_for() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo().with_streams(Greeting)).await;
    let mut peer = hosts.raw_client().await;
    for stream_id in ["greeting", "nothing", "empty", "greeting"] {
        let stream_id = stream_id.into();
        peer.send(StreamRequest { stream_id }).await;
    }
    for (stream_id, body) in [
        ("greeting", Some("good morning")),
        ("nothing", None),
        ("empty", Some("")),
        ("greeting", Some("good morning")),
    ] {
        let expected: Message<Bytes> = match body {
            Some(body) => Message::StreamResponse(StreamResponse {
                stream_id: stream_id.into(),
                byte_count: body.len() as i64,
            }),
            None => Message::StreamFailure(StreamFailure {
                stream_id: stream_id.into(),
                error: format!("no stream {stream_id}"),
            }),
        };
        assert_eq!(peer.expect_frame().await, expected);
        assert_eq!(peer.expect_body().await, body.unwrap_or_default());
    }
}

#[tokio::test(start_paused = true)]
async fn without_streams_every_request_for_one_fails_and_the_connection_lives() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo()).await;
    let mut peer = hosts.raw_client().await;
    peer.send(ChunkFetchRequest { chunk: chunk(1, 0) }).await;
    let Message::ChunkFetchFailure(refused) = peer.expect_frame().await else {
        panic!("no chunks are served");
    };
    assert_eq!(refused.chunk, chunk(1, 0));
    assert!(
        refused.error.contains("UnsupportedOperationException"),
        "{}",
        refused.error
    );

    let stream_id = "/jars/a.jar".to_owned();
    peer.send(StreamRequest { stream_id }).await;
    let Message::StreamFailure(refused) = peer.expect_frame().await else {
        panic!("no streams are served");
    };
    assert_eq!(refused.error, "Stream '/jars/a.jar' was not found.");

    peer.send(MergedBlockMetaRequest {
        request_id: RequestId(3),
        app_id: "app".into(),
        shuffle_id: 1,
        shuffle_merge_id: 2,
        reduce_id: 3,
    })
    .await;
    let Message::RpcFailure(RpcFailure { request_id, .. }) = peer.expect_frame().await else {
        panic!("no merged blocks are served");
    };
    assert_eq!(request_id, RequestId(3));

    peer.send(request(4)).await;
    assert_eq!(
        peer.expect_frame().await,
        response(RequestId(4), "still there?").into()
    );
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_refused_and_the_connection_closed_behind_the_refusal() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let server = hosts.serve(&handlers).await;
    let mut peer = hosts.raw_client().await;
    peer.send(request(1)).await;
    peer.send(UploadStream {
        request_id: RequestId(2),
        meta: "meta".into(),
        byte_count: 1 << 40,
    })
    .await;
    // The start of a body that looks like a request must not be taken for one.
    peer.send(request(3)).await;
    assert_eq!(
        peer.expect_frame().await,
        response(RequestId(1), "still there?").into()
    );
    let Message::RpcFailure(refused) = peer.expect_frame().await else {
        panic!("uploads are not taken");
    };
    assert_eq!(refused.request_id, RequestId(2));
    assert!(
        refused.error.contains("UnsupportedOperationException"),
        "{}",
        refused.error
    );
    assert_eq!(peer.expect_close().await, Ending::Closed);
    drop(peer);
    handlers.record.until_seen(Seen::Inactive).await;
    assert_eq!(handlers.record.count(|seen| matches!(seen, Seen::Request(_))), 1);
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_asked_for_is_skipped_to_its_last_byte() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory_with(TransportConf::default());
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    peer.send(StreamResponse {
        stream_id: "unasked".into(),
        byte_count: 300_000,
    })
    .await;
    peer.send_raw(vec![0; 300_000]).await;
    peer.send(ChunkFetchSuccess {
        chunk: chunk(1, 0),
        body: Bytes::from_static(b"unasked"),
    })
    .await;
    peer.send(RpcRequest {
        request_id: RequestId(5),
        body: "hello/peer".into(),
    })
    .await;
    assert_eq!(
        peer.expect_frame().await,
        response(RequestId(5), "Hello, peer!").into()
    );
    assert!(client.is_active());

    peer.send(StreamResponse {
        stream_id: "unasked".into(),
        byte_count: -1,
    })
    .await;
    peer.send(OneWayMessage {
        body: "unread".into(),
    })
    .await;
    let cause = client.closed().await;
    assert_eq!(
        cause.to_string(),
        "Connection from server:7077 closed: a stream of negative length"
    );
}
