//! Requests that a body follows.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use spark_rpc_testkit::Ending;
use spark_rpc_transport::{ConnectionError, FileSegment, ManagedBuffer, RequestError, TransportConf};
use spark_rpc_wire::{Message, RequestId, RpcResponse, UploadStream};
use tokio::time::Instant;

use super::lab::{Lab, Net, SOCKETS, Shelf, pattern, until, within, write};
use crate::support::{connect_scripted, hosts, secs};

const SIZES: [(&str, usize); 4] = [
    ("large", 100_000),
    ("small", 100),
    ("empty", 0),
    ("file", 512 << 10),
];

fn body(lab: &Lab, name: &str, size: usize) -> ManagedBuffer {
    if name != "file" {
        return pattern(size).into();
    }
    let path = lab.folder.path("upload");
    if !path.exists() {
        std::fs::write(&path, pattern(size)).unwrap();
    }
    ManagedBuffer::path(path, 0, size as u64)
}

async fn one_at_a_time(net: Net) {
    let lab = Lab::new(net, Shelf::default()).await;
    let client = lab.client().await;
    for (name, size) in SIZES {
        let answer = within(client.upload(name, body(&lab, name, size), None))
            .await
            .unwrap();
        assert_eq!(answer, name);
        let upload = lab.uploads.get(name);
        assert!(upload.completed && upload.failed.is_none());
        assert!(upload.bytes == pattern(size), "{name} arrives as it was");
        assert_eq!(within(client.send_rpc(b"beside", None)).await.unwrap(), "beside");
    }
    assert_eq!(client.outstanding(), 0);
}

/// RPC-05
#[tokio::test(start_paused = true)]
async fn uploads_of_every_size_arrive_as_they_were() {
    one_at_a_time(Net::Memory).await;
}

#[tokio::test]
async fn uploads_of_every_size_arrive_as_they_were_over_sockets() {
    for net in SOCKETS {
        one_at_a_time(*net).await;
    }
}

async fn all_at_once(net: Net) {
    let lab = Lab::new(net, Shelf::default()).await;
    let client = lab.client().await;
    let uploads: Vec<_> = (0..10)
        .map(|n| {
            let (name, size) = SIZES[n % 4];
            let (client, body) = (client.clone(), body(&lab, name, size));
            tokio::spawn(async move { client.upload(format!("{name} {n}"), body, None).await })
        })
        .collect();
    assert_eq!(within(client.send_rpc(b"beside", None)).await.unwrap(), "beside");
    for (n, upload) in uploads.into_iter().enumerate() {
        let (name, size) = SIZES[n % 4];
        within(upload).await.unwrap().unwrap();
        assert!(lab.uploads.get(&format!("{name} {n}")).bytes == pattern(size));
    }
}

/// RPC-06
#[tokio::test(start_paused = true)]
async fn ten_uploads_at_once_share_a_connection() {
    all_at_once(Net::Memory).await;
}

#[tokio::test]
async fn ten_uploads_at_once_share_a_connection_over_sockets() {
    for net in SOCKETS {
        all_at_once(*net).await;
    }
}

/// RPC-07
#[tokio::test(start_paused = true)]
async fn an_upload_that_fails_on_its_way_closes_the_connection_and_says_why() {
    for (meta, text) in [
        (
            "fail data",
            "Destination failed while reading stream: the disk is full",
        ),
        (
            "panic data",
            "Destination failed while reading stream: it panicked",
        ),
        ("none", "nobody takes this"),
    ] {
        let lab = Lab::new(Net::Memory, Shelf::default()).await;
        let client = lab.client().await;
        let (failed, behind) = tokio::join!(
            within(client.upload(meta, pattern(300_000), None)),
            within(client.upload("good", pattern(300_000), None)),
        );
        assert_eq!(failed.unwrap_err().to_string(), text);
        let behind = behind.unwrap_err();
        assert!(matches!(behind, RequestError::Connection(_)), "{behind}");
        within(client.closed()).await;
        assert!(
            lab.uploads.get("good").bytes.is_empty(),
            "its bytes are not taken for anything"
        );
        // Not laid at the peer's door.
        let told = (meta == "fail data").then_some("Connection to client");
        let failed = lab.uploads.get(meta).failed;
        assert_eq!(failed.as_ref().map(|text| &text[..20]), told, "{failed:?}");
    }
}

/// RPC-07
#[tokio::test(start_paused = true)]
async fn an_upload_that_fails_after_its_last_byte_leaves_the_connection_to_the_next() {
    let lab = Lab::new(Net::Memory, Shelf::default()).await;
    let client = lab.client().await;
    for (meta, text) in [
        ("fail end", "the disk is full"),
        ("drop end", "the request was dropped without an answer"),
    ] {
        for size in [0, 100_000] {
            let failed = within(client.upload(meta, pattern(size), None))
                .await
                .unwrap_err();
            let expected = format!(
                "Failure post-processing complete stream; failing this rpc and leaving channel active: {text}"
            );
            assert_eq!(failed.to_string(), expected);
        }
        within(client.upload("good", pattern(10), None)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_whose_file_is_missing_or_too_short_fails_alone_and_sends_nothing() {
    let lab = Lab::new(Net::Memory, Shelf::default()).await;
    let client = lab.client().await;
    let short = File::open(write(&lab.folder.path(""), "short", b"123")).unwrap();
    let short = ManagedBuffer::file(FileSegment {
        file: Arc::new(short),
        offset: 1,
        length: 3,
    });
    let missing = ManagedBuffer::path(lab.folder.path("missing"), 0, 1);
    for body in [missing, short, ManagedBuffer::lazy(|| panic!("a bad opener"))] {
        let failed = within(client.upload("unsent", body, None)).await.unwrap_err();
        assert!(matches!(failed, RequestError::BodyUnreadable { .. }), "{failed}");
    }
    within(client.upload("good", pattern(10), None)).await.unwrap();
    assert!(!lab.uploads.get("unsent").completed);
    assert_eq!(client.queued_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_refused_by_the_queue_is_released_and_never_sent() {
    let conf = TransportConf {
        write_queue_max_bytes: 1000,
        ..TransportConf::default()
    };
    let lab = Lab::with(Net::Memory, conf, |_| Arc::new(Shelf::default())).await;
    let client = lab.client().await;
    let released = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&released);
    let hook = move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let body = ManagedBuffer::from(pattern(2000)).on_release(hook);
    let (first, second) = tokio::join!(
        within(client.upload("first", pattern(2000), None)),
        within(client.upload("second", body, None)),
    );
    first.unwrap();
    assert!(matches!(second, Err(RequestError::NotSent(_))));
    assert_eq!(released.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert!(!lab.uploads.get("second").completed);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stops_half_way_fails_at_the_receiver_within_the_connections_time() {
    let conf = TransportConf {
        connection_timeout: Some(secs(10)),
        ..TransportConf::default()
    };
    let hosts = hosts();
    let handlers = super::lab::Handlers::serving(Arc::new(Shelf::default()));
    let uploads = handlers.uploads.clone();
    let context =
        spark_rpc_transport::TransportContext::new(conf, Arc::new(hosts.server.clone()), Arc::new(handlers))
            .unwrap();
    let _server = context
        .create_server("server", crate::support::PORT, Vec::new())
        .await
        .unwrap();
    let mut peer = hosts.raw_client().await;
    peer.send(UploadStream {
        request_id: RequestId(1),
        meta: "half".into(),
        byte_count: 100,
    })
    .await;
    peer.send_raw([7; 50]).await;
    peer.set_patience(secs(60));
    assert!(matches!(
        peer.expect_close().await,
        Ending::Closed | Ending::Reset
    ));
    let upload = uploads.get("half");
    assert_eq!(upload.bytes, [7; 50]);
    assert!(!upload.completed);
    let failed = upload.failed.unwrap();
    assert!(failed.contains("has been quiet for"), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_announced_with_its_length_and_follows_its_frame_directly() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let upload = tokio::spawn({
        let client = client.clone();
        async move { client.upload("meta", pattern(200_000), None).await }
    });
    let Message::UploadStream(announced) = peer.expect_frame().await else {
        panic!("an upload");
    };
    assert_eq!(
        (&announced.meta[..], announced.byte_count),
        (&b"meta"[..], 200_000)
    );
    assert_eq!(peer.expect_body().await, pattern(200_000));
    assert_eq!(client.outstanding(), 1);
    peer.send(RpcResponse {
        request_id: announced.request_id,
        body: Bytes::from_static(b"done"),
    })
    .await;
    assert_eq!(within(upload).await.unwrap().unwrap(), "done");
    until(|| client.queued_bytes() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_its_taker_stalls_is_not_laid_at_the_peers_door() {
    let conf = TransportConf {
        connection_timeout: Some(secs(10)),
        ..TransportConf::default()
    };
    let hosts = hosts();
    let handlers = super::lab::Handlers::serving(Arc::new(Shelf::default()));
    let caught = Arc::clone(&handlers.caught);
    let context =
        spark_rpc_transport::TransportContext::new(conf, Arc::new(hosts.server.clone()), Arc::new(handlers))
            .unwrap();
    let _server = context
        .create_server("server", crate::support::PORT, Vec::new())
        .await
        .unwrap();
    let factory = hosts.factory();
    let client = crate::support::connect(&factory).await;
    let failed = within(client.upload("stall", pattern(1_000_000), None)).await;
    assert!(matches!(failed, Err(RequestError::Connection(_))), "{failed:?}");
    let caught = std::mem::take(&mut *caught.lock().unwrap());
    assert!(
        matches!(caught[..], [ConnectionError::ReaderStalled { stalled, .. }] if stalled == secs(10)),
        "{caught:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn room_is_what_the_refused_upload_fits_into() {
    let conf = TransportConf {
        write_queue_max_bytes: 1_000_000,
        ..TransportConf::default()
    };
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory_with(conf);
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    // More than the network takes unread.
    client.send(&pattern(500_000)).unwrap();
    let refused = within(client.upload("meta", pattern(900_000), None)).await;
    assert!(matches!(refused, Err(RequestError::NotSent(_))), "{refused:?}");
    let waiting = tokio::time::timeout(secs(1), client.wait_for_room());
    assert!(waiting.await.is_err(), "it would be refused again at once");
    peer.expect_frame().await;
    within(client.wait_for_room()).await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_whose_file_is_missing_makes_way_for_another_request() {
    let conf = TransportConf {
        max_pending_requests: 1,
        ..TransportConf::default()
    };
    let lab = Lab::with(Net::Memory, conf, |_| Arc::new(Shelf::default())).await;
    let client = lab.client().await;
    let (may_open, opening) = std::sync::mpsc::channel();
    let missing = ManagedBuffer::lazy(move || {
        opening.recv().unwrap();
        Err(std::io::ErrorKind::NotFound.into())
    });
    let upload = tokio::spawn({
        let client = client.clone();
        async move { client.upload("unsent", missing, None).await }
    });
    // The clock stands while a thread is busy with the file.
    while client.outstanding() == 0 {
        tokio::task::yield_now().await;
    }
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.wait_for_request_room().await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    may_open.send(()).unwrap();
    let failed = within(upload).await.unwrap();
    assert!(
        matches!(failed, Err(RequestError::BodyUnreadable { .. })),
        "{failed:?}"
    );
    within(waiting).await.unwrap();
    assert!(began.elapsed() < secs(1), "{:?}", began.elapsed());
}
