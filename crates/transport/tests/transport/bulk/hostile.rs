//! Peers that announce what they do not send, and send what nobody asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use spark_rpc_testkit::{Ending, ScriptedPeer};
use spark_rpc_transport::{
    ConnectionError, ManagedBuffer, RequestError, StreamManager, TransportClient, TransportConf,
    TransportContext, TransportServer,
};
use spark_rpc_wire::{
    ChunkFetchRequest, ChunkFetchSuccess, MergedBlockMetaSuccess, OneWayMessage, RequestId, RpcResponse,
    StreamFailure, StreamRequest, StreamResponse, UploadStream,
};

use super::lab::{Handlers, Shelf, Uploads, chunk, pattern, until, within};
use crate::log::Log;
use crate::support::{Hosts, PORT, connect_scripted, hosts, secs, settle};

struct Served {
    hosts: Hosts,
    uploads: Uploads,
    context: TransportContext,
    _server: TransportServer,
}

async fn serve() -> Served {
    let hosts = hosts();
    let shelf = Shelf::default()
        .stream("large", || pattern(300_000))
        .chunk(1, 0, || pattern(300_000));
    let handlers = Handlers::serving(Arc::new(shelf));
    let uploads = handlers.uploads.clone();
    let network = Arc::new(hosts.server.clone());
    let context = TransportContext::new(Default::default(), network, Arc::new(handlers)).unwrap();
    let server = context.create_server("server", PORT, Vec::new()).await.unwrap();
    Served {
        hosts,
        uploads,
        context,
        _server: server,
    }
}

async fn expect_end(peer: &mut ScriptedPeer) {
    assert!(matches!(
        peer.expect_close().await,
        Ending::Closed | Ending::Reset
    ));
}

fn upload(meta: &'static str, byte_count: i64) -> UploadStream {
    UploadStream {
        request_id: RequestId(1),
        meta: meta.into(),
        byte_count,
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_of_negative_length_ends_the_connection() {
    let served = serve().await;
    for length in [-1, i64::MIN] {
        let mut peer = served.hosts.raw_client().await;
        peer.send(upload("negative", length)).await;
        peer.send(OneWayMessage { body: "abc".into() }).await;
        expect_end(&mut peer).await;
    }
    assert!(!served.uploads.get("negative").completed);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_cut_short_never_completes() {
    let served = serve().await;
    let mut peer = served.hosts.raw_client().await;
    peer.send(upload("cut", i64::MAX >> 14)).await;
    peer.send_raw(pattern(200_000)).await;
    settle().await;
    peer.half_close().await;
    expect_end(&mut peer).await;
    let upload = served.uploads.get("cut");
    assert!(upload.bytes == pattern(200_000));
    assert!(!upload.completed);
    let failed = upload.failed.unwrap();
    assert!(failed.ends_with(" closed"), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_for_much_and_reads_nothing_is_served_no_more_than_the_queue_holds() {
    let served = serve().await;
    let mut peer = served.hosts.raw_client().await;
    for _ in 0..2000 {
        peer.send(ChunkFetchRequest { chunk: chunk(1, 0) }).await;
        let stream_id = "large".into();
        peer.send(StreamRequest { stream_id }).await;
    }
    settle().await;
    // 64 MiB are allowed to wait, and each is 300 kB.
    let in_transfer = served.context.counters().bodies_in_transfer();
    assert!(in_transfer < 230, "{in_transfer} bodies wait");
    peer.reset();
    until(|| served.context.counters().bodies_in_transfer() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_negative_length_fails_whoever_asked_for_it() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let opening = tokio::spawn({
        let client = client.clone();
        async move { client.open_stream("a", None).await }
    });
    peer.expect_frame().await;
    peer.send(StreamResponse {
        stream_id: "a".into(),
        byte_count: -5,
    })
    .await;
    let failed = within(opening).await.unwrap().unwrap_err();
    assert!(matches!(failed, RequestError::Connection(_)), "{failed}");
    let cause = within(client.closed()).await;
    assert!(matches!(*cause, ConnectionError::Refused { .. }), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_asked_for_change_nothing() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let log = Log::begin();
    let body = || Bytes::from_static(b"unasked");
    peer.send(ChunkFetchSuccess {
        chunk: chunk(-1, -1),
        body: body(),
    })
    .await;
    peer.send(StreamFailure {
        stream_id: "a".into(),
        error: "no".into(),
    })
    .await;
    for request_id in [RequestId(0), RequestId(-1), RequestId(i64::MIN)] {
        peer.send(MergedBlockMetaSuccess {
            request_id,
            chunk_count: -1,
            body: body(),
        })
        .await;
    }
    let asked = tokio::spawn({
        let client = client.clone();
        async move { client.fetch_chunk(chunk(1, 0), None).await }
    });
    peer.expect_frame().await;
    // The right id of the wrong kind.
    peer.send(MergedBlockMetaSuccess {
        request_id: RequestId(0),
        chunk_count: 1,
        body: body(),
    })
    .await;
    let answer = within(asked).await.unwrap();
    assert!(
        matches!(answer, Err(RequestError::WrongAnswer { .. })),
        "{answer:?}"
    );
    peer.send(ChunkFetchSuccess {
        chunk: chunk(1, 0),
        body: body(),
    })
    .await;
    settle().await;
    assert_eq!(client.outstanding(), 0);
    assert!(client.is_active());
    assert_eq!(log.with("WARN"), [""; 0], "the peer does not fill the log");
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn an_announced_length_takes_no_memory() {
    /// Bytes of memory that this process has asked the system for, used or not.
    fn asked_for() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let data = status
            .lines()
            .find_map(|line| line.strip_prefix("VmData:"))
            .unwrap();
        data.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
    let served = serve().await;
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let before = asked_for();
    let opening = tokio::spawn({
        let client = client.clone();
        async move { client.open_stream("a", None).await }
    });
    peer.expect_frame().await;
    peer.send(StreamResponse {
        stream_id: "a".into(),
        byte_count: i64::MAX,
    })
    .await;
    let mut body = within(opening).await.unwrap().unwrap();
    peer.send_raw(pattern(3_000_000)).await;
    let mut read = 0;
    while read < 3_000_000 {
        read += within(body.chunk()).await.unwrap().unwrap().len();
    }
    let mut peers = Vec::new();
    for _ in 0..8 {
        // A chunk, a request and an upload of the largest size there is.
        let mut peer = served.hosts.raw_client().await;
        peer.send_length(2_147_483_646).await;
        peer.send_raw([1; 20_000]).await;
        peers.push(peer);
        let mut peer = served.hosts.raw_client().await;
        peer.send(upload("endless", i64::MAX >> 14)).await;
        peer.send_raw([1; 20_000]).await;
        peers.push(peer);
    }
    settle().await;
    let taken = asked_for().saturating_sub(before);
    assert!(taken < 1 << 30, "{taken} bytes of at least 16 GiB announced");
    peer.send(RpcResponse {
        request_id: RequestId(0),
        body: "more of the body".into(),
    })
    .await;
    drop(body);
    let cause = within(client.closed()).await;
    assert!(
        matches!(*cause, ConnectionError::StreamAbandoned { .. }),
        "{cause}"
    );
}

/// Files that are opened when their turn comes, whatever their names.
struct Lazy(Arc<AtomicUsize>);

impl StreamManager for Lazy {
    fn open_stream(&self, _: &TransportClient, _: &str) -> Result<ManagedBuffer, String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(ManagedBuffer::lazy(|| Err(std::io::ErrorKind::NotFound.into())))
    }
}

#[tokio::test(start_paused = true)]
async fn long_names_of_files_that_wait_count_in_the_queue() {
    let hosts = hosts();
    let asked = Arc::new(AtomicUsize::new(0));
    let handlers = Handlers::serving(Arc::new(Lazy(Arc::clone(&asked))));
    let conf = TransportConf {
        write_queue_max_bytes: 1_000_000,
        ..TransportConf::default()
    };
    let context = TransportContext::new(conf, Arc::new(hosts.server.clone()), Arc::new(handlers)).unwrap();
    let _server = context.create_server("server", PORT, Vec::new()).await.unwrap();
    let mut peer = hosts.raw_client().await;
    let asking = async {
        for _ in 0..200 {
            let stream_id = "x".repeat(50_000);
            peer.send(StreamRequest { stream_id }).await;
        }
    };
    let taken = tokio::time::timeout(secs(1), asking).await;
    assert!(taken.is_err(), "the server stops reading");
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked < 30, "{asked} names of 50 kB wait");
}
