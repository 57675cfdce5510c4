//! Fetching chunks, and questions about merged blocks.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use spark_rpc_transport::{
    FileSegment, ManagedBuffer, RequestError, TransportClient, TransportConf, TransportContext,
};
use spark_rpc_wire::{
    ChunkFetchFailure, ChunkFetchRequest, ChunkFetchSuccess, MergedBlockMetaRequest, Message, RequestId,
    RpcRequest, RpcResponse,
};

use super::lab::{Folder, Lab, Net, SOCKETS, Shelf, chunk, pattern, until, within, write};
use crate::support::{connect_scripted, hosts, millis, secs, settle};

async fn fetch(client: &TransportClient, stream: i64, index: i32) -> Result<Bytes, RequestError> {
    within(client.fetch_chunk(chunk(stream, index), None)).await
}

async fn fetch_from_memory_and_file(net: Net) {
    let small = pattern(1024);
    let lab = Lab::with(net, spark_rpc_transport::TransportConf::default(), |folder| {
        let path = write(folder, "small", &small);
        let file = Arc::new(File::open(&path).unwrap());
        let shelf = Shelf::default()
            .chunk(1, 0, || pattern(100_000))
            .chunk(1, 1, move || FileSegment {
                file: Arc::clone(&file),
                offset: 10,
                length: 999,
            })
            .chunk(1, 2, move || ManagedBuffer::path(&path, 0, 0))
            .chunk(1, 3, Bytes::new);
        Arc::new(shelf)
    })
    .await;
    let client = lab.client().await;
    assert_eq!(fetch(&client, 1, 0).await.unwrap(), pattern(100_000));
    assert_eq!(fetch(&client, 1, 1).await.unwrap(), small[10..1009]);
    assert_eq!(fetch(&client, 1, 2).await.unwrap(), "");
    assert_eq!(fetch(&client, 1, 3).await.unwrap(), "");
    let (large, file, bad) = tokio::join!(
        fetch(&client, 1, 0),
        fetch(&client, 1, 1),
        fetch(&client, 1, 12345)
    );
    assert_eq!(large.unwrap(), pattern(100_000));
    assert_eq!(file.unwrap(), small[10..1009]);
    let bad = bad.unwrap_err();
    assert!(
        matches!(&bad, RequestError::Failed { text } if text == "no chunk 1:12345"),
        "{bad}"
    );
    assert_eq!(client.outstanding(), 0);
    until(|| lab.in_transfer() == 0).await;
    assert!(client.is_active());
}

/// CHUNK-01
#[tokio::test(start_paused = true)]
async fn chunks_come_from_memory_and_from_a_file_good_and_bad_ones_together() {
    fetch_from_memory_and_file(Net::Memory).await;
}

#[tokio::test]
async fn chunks_come_from_memory_and_from_a_file_over_sockets() {
    for net in SOCKETS {
        fetch_from_memory_and_file(*net).await;
    }
}

/// RESP-01
#[tokio::test(start_paused = true)]
async fn a_chunk_or_its_failure_arrives_once_whatever_the_order_of_the_answers() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let fetches = [0, 1, 0].map(|index| {
        let client = client.clone();
        tokio::spawn(async move { client.fetch_chunk(chunk(1, index), None).await })
    });
    for _ in 0..3 {
        assert!(matches!(peer.expect_frame().await, Message::ChunkFetchRequest(_)));
    }
    assert_eq!(client.outstanding(), 3);
    let success = |index, body: &'static str| ChunkFetchSuccess {
        chunk: chunk(1, index),
        body: Bytes::from_static(body.as_bytes()),
    };
    peer.send(ChunkFetchFailure {
        chunk: chunk(1, 1),
        error: "gone".into(),
    })
    .await;
    peer.send(success(0, "first")).await;
    peer.send(success(0, "second")).await;
    // Nobody asked for these.
    peer.send(success(0, "third")).await;
    peer.send(success(9, "other")).await;
    let [first, failed, second] = fetches;
    assert_eq!(within(first).await.unwrap().unwrap(), "first");
    assert_eq!(within(second).await.unwrap().unwrap(), "second");
    assert_eq!(within(failed).await.unwrap().unwrap_err().to_string(), "gone");
    assert_eq!(client.outstanding(), 0);
    assert!(client.is_active());
}

/// RESP-02
#[tokio::test(start_paused = true)]
async fn when_the_connection_is_lost_all_outstanding_chunks_fail_with_the_cause() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let fetches = [0, 1, 2].map(|index| {
        let client = client.clone();
        tokio::spawn(async move { client.fetch_chunk(chunk(1, index), None).await })
    });
    for _ in 0..3 {
        peer.expect_frame().await;
    }
    peer.send(ChunkFetchSuccess {
        chunk: chunk(1, 0),
        body: "zero".into(),
    })
    .await;
    // The start of a frame that nobody can read.
    peer.send_length(-1).await;
    let [zero, one, two] = fetches;
    assert_eq!(within(zero).await.unwrap().unwrap(), "zero");
    for lost in [one, two] {
        let lost = within(lost).await.unwrap().unwrap_err();
        assert!(matches!(lost, RequestError::Connection(_)), "{lost}");
        assert_eq!(lost.fault(), spark_rpc_transport::Fault::Peer);
    }
    assert_eq!(client.outstanding(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_was_given_up_keeps_its_answer_from_the_next_one() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let too_late = client
        .fetch_chunk(chunk(1, 0), Some(millis(20)))
        .await
        .unwrap_err();
    assert!(matches!(too_late, RequestError::TimedOut { .. }), "{too_late}");
    let again = tokio::spawn({
        let client = client.clone();
        async move { client.fetch_chunk(chunk(1, 0), None).await }
    });
    for body in ["late", "in time"] {
        peer.expect_frame().await;
        peer.send(ChunkFetchSuccess {
            chunk: chunk(1, 0),
            body: body.into(),
        })
        .await;
    }
    assert_eq!(within(again).await.unwrap().unwrap(), "in time");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_another_kind_is_no_chunk() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let merged = tokio::spawn({
        let client = client.clone();
        async move { client.merged_block_meta(question(0), None).await }
    });
    let Message::MergedBlockMetaRequest(asked) = peer.expect_frame().await else {
        panic!("a question about a merged block");
    };
    peer.send(RpcResponse {
        request_id: asked.request_id,
        body: "what?".into(),
    })
    .await;
    let wrong = within(merged).await.unwrap().unwrap_err();
    assert!(matches!(wrong, RequestError::WrongAnswer { .. }), "{wrong}");
}

fn question(shuffle_merge_id: i32) -> MergedBlockMetaRequest {
    MergedBlockMetaRequest {
        request_id: RequestId(0),
        app_id: "app".into(),
        shuffle_id: 1,
        shuffle_merge_id,
        reduce_id: 3,
    }
}

/// REQ-03, RESP-06
#[tokio::test(start_paused = true)]
async fn what_a_merged_block_is_made_of_is_answered_once_or_refused() {
    let lab = Lab::new(Net::Memory, Shelf::default()).await;
    let client = lab.client().await;
    let ask = |id| within(client.merged_block_meta(question(id), Some(secs(10))));
    let meta = ask(0).await.unwrap();
    assert_eq!((meta.chunk_count, &meta.body[..]), (2, &b"two bitmaps"[..]));
    let refused = ask(1).await.unwrap_err();
    assert_eq!(refused.to_string(), "no such block");
    let large = ask(2).await.unwrap();
    assert_eq!((large.chunk_count, large.body), (3, pattern(100_000)));
    let forgotten = ask(3).await.unwrap_err();
    assert!(matches!(forgotten, RequestError::Failed { .. }), "{forgotten}");
    assert_eq!(client.outstanding(), 0);
}

/// Sixteen chunks are asked for, and a message asks for its answer when the first of them has begun to leave; returns how
/// many bytes of chunks come before the answer.
async fn bytes_before_an_answer(
    buffer: impl Fn(u64) -> ManagedBuffer + Clone + Send + Sync + 'static,
) -> usize {
    let shelf = (0..16).fold(Shelf::default(), |shelf, index| {
        let buffer = buffer.clone();
        shelf.chunk(1, index, move || buffer(index as u64))
    });
    let hosts = hosts();
    let handlers = super::lab::Handlers::serving(Arc::new(shelf));
    let context = TransportContext::new(
        TransportConf::default(),
        Arc::new(hosts.server.clone()),
        Arc::new(handlers),
    );
    let context = context.unwrap();
    let server = context.create_server("server", crate::support::PORT, Vec::new());
    let _server = server.await.unwrap();
    let mut peer = hosts.raw_client().await;
    // In one piece, so that they are all there when the first one has its turn.
    let mut requests = Vec::new();
    for index in 0..16 {
        let request: Message<Bytes> = ChunkFetchRequest {
            chunk: chunk(1, index),
        }
        .into();
        request.encode(&mut requests).unwrap();
    }
    peer.send_raw(requests).await;
    // Nothing is read yet, so the network is full and most of the chunks wait.
    until(|| context.counters().bodies_in_transfer() == 16).await;
    settle().await;
    peer.send(RpcRequest {
        request_id: RequestId(7),
        body: Bytes::from("beside"),
    })
    .await;
    until(|| context.counters().frames_read() == 17).await;
    let mut before = 0;
    loop {
        match peer.expect_frame().await {
            Message::ChunkFetchSuccess(fetched) => before += fetched.body.len(),
            Message::RpcResponse(answer) => {
                assert_eq!(answer.body, "beside");
                return before;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_the_one_chunk_that_has_begun_to_leave() {
    let before = bytes_before_an_answer(|_| pattern(LARGE).into()).await;
    assert!(before <= LARGE, "{before} bytes of chunks from memory passed it");
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_a_mebibyte_of_files_that_leave_together() {
    let folder = Folder::new();
    let path = write(folder.root(), "large", &pattern(16 * LARGE));
    let file = Arc::new(File::open(&path).unwrap());
    let before = bytes_before_an_answer(move |index| {
        ManagedBuffer::file(FileSegment {
            file: Arc::clone(&file),
            offset: index * LARGE as u64,
            length: LARGE as u64,
        })
    })
    .await;
    assert!(
        before <= (1 << 20) + LARGE,
        "{before} bytes of chunks from files passed it"
    );
}

const LARGE: usize = 256 << 10;
