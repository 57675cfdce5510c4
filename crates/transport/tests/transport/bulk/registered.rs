//! Streams that are registered for a connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use spark_rpc_transport::{
    ConnectionError, ManagedBuffer, OneForOneStreamManager, StreamManager, TransportClient, TransportConf,
};
use spark_rpc_wire::StreamChunkId;

use super::lab::{Lab, Net, chunk, pattern, until, within};
use crate::support::settle;

/// Lets the test reach the manager behind the server.
struct Shared(Arc<OneForOneStreamManager>);

impl StreamManager for Shared {
    fn check_authorization(&self, client: &TransportClient, stream_id: i64) -> Result<(), String> {
        self.0.check_authorization(client, stream_id)
    }

    fn get_chunk(&self, client: &TransportClient, id: StreamChunkId) -> Result<ManagedBuffer, String> {
        self.0.get_chunk(client, id)
    }

    fn check_stream_authorization(&self, client: &TransportClient, stream_id: &str) -> Result<(), String> {
        self.0.check_stream_authorization(client, stream_id)
    }

    fn open_stream(&self, client: &TransportClient, stream_id: &str) -> Result<ManagedBuffer, String> {
        self.0.open_stream(client, stream_id)
    }

    fn connection_terminated(&self, client: &TransportClient) {
        self.0.connection_terminated(client);
    }
}

/// Connections to register streams for; the manager is asked directly.
async fn connections() -> (Lab, TransportClient, TransportClient) {
    let lab = Lab::new(Net::Memory, spark_rpc_transport::NoStreams).await;
    let (one, other) = (lab.client().await, lab.another().await);
    (lab, one, other)
}

/// A buffer that counts its releases.
fn counted(text: &'static str, releases: &Arc<AtomicUsize>) -> Option<ManagedBuffer> {
    let releases = Arc::clone(releases);
    Some(ManagedBuffer::from(text).on_release(move || {
        releases.fetch_add(1, Ordering::Relaxed);
    }))
}

fn counters<const N: usize>() -> [Arc<AtomicUsize>; N] {
    std::array::from_fn(|_| Arc::default())
}

fn counts<const N: usize>(counters: &[Arc<AtomicUsize>; N]) -> [usize; N] {
    counters.each_ref().map(|counter| counter.load(Ordering::Relaxed))
}

/// ONE-01
#[tokio::test(start_paused = true)]
async fn the_end_of_a_connection_releases_what_was_not_handed_out() {
    let (_lab, client, _) = connections().await;
    let manager = OneForOneStreamManager::new();
    let releases: [_; 3] = counters();
    let chunks = vec![
        counted("a", &releases[0]),
        None,
        counted("b", &releases[1]),
        None,
        counted("c", &releases[2]),
    ];
    let id = manager.register_stream(Some("app".into()), chunks, &client);
    let a = manager.get_chunk(&client, chunk(id, 0)).unwrap();
    let missing = manager.get_chunk(&client, chunk(id, 1)).unwrap_err();
    assert_eq!(missing, "java.lang.IllegalStateException: Chunk was not found");
    let b = manager.get_chunk(&client, chunk(id, 2)).unwrap();
    manager.connection_terminated(&client);
    assert_eq!(
        counts(&releases),
        [0, 0, 1],
        "those handed out are with their owners"
    );
    assert_eq!(manager.streams_held(), 0);
    drop((a, b));
    assert_eq!(counts(&releases), [1, 1, 1]);
}

/// ONE-02
#[tokio::test(start_paused = true)]
async fn a_stream_that_was_never_read_is_released_once_with_its_connection_alone() {
    let (_lab, client, other) = connections().await;
    let manager = OneForOneStreamManager::new();
    let releases: [_; 3] = counters();
    let chunks = vec![counted("a", &releases[0]), counted("b", &releases[1])];
    manager.register_stream(None, chunks, &client);
    manager.register_stream(None, vec![counted("c", &releases[2])], &other);
    manager.connection_terminated(&client);
    manager.connection_terminated(&client);
    assert_eq!(counts(&releases), [1, 1, 0]);
    assert_eq!(manager.streams_held(), 1);
}

/// ONE-03
#[tokio::test(start_paused = true)]
async fn a_release_that_fails_keeps_no_other_stream() {
    let (_lab, client, _) = connections().await;
    let manager = OneForOneStreamManager::new();
    let releases: [_; 2] = counters();
    manager.register_stream(None, vec![counted("a", &releases[0])], &client);
    manager.register_stream(None, BadIterator, &client);
    manager.register_stream(None, vec![counted("b", &releases[1])], &client);
    let failed = catch_unwind(AssertUnwindSafe(|| manager.connection_terminated(&client)));
    assert_eq!(
        failed.unwrap_err().downcast_ref(),
        Some(&"a bad iterator"),
        "it is passed on at the end"
    );
    assert_eq!(counts(&releases), [1, 1]);
    assert_eq!(manager.streams_held(), 0);
}

struct BadIterator;

impl Iterator for BadIterator {
    type Item = Option<ManagedBuffer>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(None)
    }
}

impl Drop for BadIterator {
    fn drop(&mut self) {
        panic!("a bad iterator");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_connection_makes_no_chunks_only_to_release_them() {
    let (_lab, client, _) = connections().await;
    let manager = OneForOneStreamManager::new();
    let [made, released]: [_; 2] = counters();
    let chunks = {
        let (made, released) = (Arc::clone(&made), Arc::clone(&released));
        let endless = std::iter::repeat_with(move || {
            made.fetch_add(1, Ordering::Relaxed);
            counted("a", &released)
        });
        endless.take(1000)
    };
    let id = manager.register_stream(None, chunks, &client);
    drop(manager.get_chunk(&client, chunk(id, 0)).unwrap());
    manager.connection_terminated(&client);
    assert_eq!(counts(&[made, released]), [2, 2], "the one fetched, and the next");
    assert_eq!(manager.streams_held(), 0);
}

/// ONE-04
#[tokio::test(start_paused = true)]
async fn streams_are_read_by_the_connection_and_application_that_they_belong_to() {
    let (_lab, client, other) = connections().await;
    let manager = OneForOneStreamManager::new();
    let register =
        |app: Option<&str>| manager.register_stream(app.map(Into::into), vec![Some("a".into())], &client);
    let (mine, theirs, nobodys) = (register(Some("mine")), register(Some("theirs")), register(None));
    let refused = manager.check_authorization(&other, mine).unwrap_err();
    let text = format!(
        "java.lang.SecurityException: Channel not authorized to read stream {mine}: streams may only be read from the \
         connection that registered them."
    );
    assert_eq!(refused, text);
    assert!(manager.get_chunk(&other, chunk(mine, 0)).is_err());

    // Nobody has proven anything yet.
    assert_eq!(manager.check_authorization(&client, theirs), Ok(()));
    client.set_client_id("mine".into()).unwrap();
    assert_eq!(manager.check_authorization(&client, mine), Ok(()));
    let refused = manager.check_authorization(&client, theirs).unwrap_err();
    let text = format!(
        "java.lang.SecurityException: Client mine not authorized to read stream {theirs} (app theirs)."
    );
    assert_eq!(refused, text);
    assert!(manager.check_authorization(&client, nobodys).is_err());
    let unknown = manager.check_authorization(&client, 7).unwrap_err();
    assert_eq!(unknown, "java.lang.IllegalArgumentException: Unknown stream ID.");
}

/// ONE-04
#[tokio::test(start_paused = true)]
async fn ids_are_never_negative_and_none_follows_from_another() {
    let (_lab, client, _) = connections().await;
    let ids = |manager: &OneForOneStreamManager| -> Vec<i64> {
        let ids = (0..100).map(|_| manager.register_stream(None, vec![Some("a".into())], &client));
        ids.collect()
    };
    let drawn = ids(&OneForOneStreamManager::new());
    assert!(drawn.iter().all(|id| *id >= 0));
    let near = drawn
        .windows(2)
        .filter(|pair| pair[0].abs_diff(pair[1]) < 1 << 32);
    assert_eq!(near.count(), 0, "{drawn:?}");
    assert_ne!(drawn, ids(&OneForOneStreamManager::new()));
    assert_eq!(
        ids(&OneForOneStreamManager::seeded(5)),
        ids(&OneForOneStreamManager::seeded(5))
    );
}

#[tokio::test(start_paused = true)]
async fn chunks_are_fetched_once_in_order_and_the_last_one_ends_the_stream() {
    let (_lab, client, _) = connections().await;
    let manager = OneForOneStreamManager::new();
    let id = manager.register_stream(None, ["a", "b", "c"].map(|text| Some(text.into())), &client);
    let fetch = |index| {
        manager
            .get_chunk(&client, chunk(id, index))
            .map(|buffer| buffer.length())
    };
    let early = fetch(1).unwrap_err();
    assert_eq!(
        early,
        "java.lang.IllegalStateException: Received out-of-order chunk index 1 (expected 0)"
    );
    assert_eq!(fetch(0), Ok(Some(1)));
    assert!(fetch(0).is_err(), "once");
    // A chunk has a name, too, and counts as fetched either way.
    let named = manager.open_stream(&client, &format!("{id}_1")).unwrap();
    assert_eq!(named.length(), Some(1));
    assert!(fetch(-1).is_err());
    assert_eq!(fetch(2), Ok(Some(1)));
    assert_eq!(
        fetch(3).unwrap_err(),
        "java.lang.IllegalArgumentException: Unknown stream ID."
    );
    assert_eq!(manager.streams_held(), 0);
    let bad = manager.open_stream(&client, "7").unwrap_err();
    assert!(
        bad.ends_with("Stream id and chunk index should be specified."),
        "{bad}"
    );

    let empty = manager.register_stream(None, Vec::new(), &client);
    let beyond = manager.get_chunk(&client, chunk(empty, 0)).unwrap_err();
    assert_eq!(
        beyond,
        "java.lang.IllegalStateException: Requested chunk index beyond end 0"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_for_a_connection_that_has_ended_is_released_at_once() {
    let (_lab, client, _) = connections().await;
    client.abort();
    within(client.closed()).await;
    let manager = OneForOneStreamManager::new();
    let releases: [_; 1] = counters();
    let id = manager.register_stream(None, vec![counted("a", &releases[0])], &client);
    assert_eq!((counts(&releases), manager.streams_held()), ([1], 0));
    assert!(manager.check_authorization(&client, id).is_err());
}

/// Registers a stream at the first chunk that each connection asks for, as a request would do, and serves from there.
struct OnDemand {
    manager: Arc<OneForOneStreamManager>,
    make: fn() -> Vec<Option<ManagedBuffer>>,
    ids: Mutex<std::collections::HashMap<u64, i64>>,
    opened: Arc<AtomicUsize>,
    locked: bool,
}

impl OnDemand {
    fn new(make: fn() -> Vec<Option<ManagedBuffer>>) -> Self {
        Self {
            manager: Arc::default(),
            make,
            ids: Mutex::default(),
            opened: Arc::default(),
            locked: false,
        }
    }

    fn id(&self, client: &TransportClient) -> i64 {
        let mut ids = self.ids.lock().unwrap();
        *ids.entry(client.id())
            .or_insert_with(|| self.manager.register_stream(None, (self.make)(), client))
    }
}

impl StreamManager for OnDemand {
    fn get_chunk(&self, client: &TransportClient, id: StreamChunkId) -> Result<ManagedBuffer, String> {
        let stream_id = self.id(client);
        let id = StreamChunkId { stream_id, ..id };
        self.manager.check_authorization(client, stream_id)?;
        self.manager.get_chunk(client, id)
    }

    fn check_stream_authorization(&self, _: &TransportClient, name: &str) -> Result<(), String> {
        if self.locked {
            Err(format!("{name} is locked"))
        } else {
            Ok(())
        }
    }

    fn open_stream(&self, client: &TransportClient, name: &str) -> Result<ManagedBuffer, String> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.manager
            .open_stream(client, &format!("{}_{name}", self.id(client)))
    }

    fn connection_terminated(&self, client: &TransportClient) {
        self.manager.connection_terminated(client);
    }
}

/// REQ-01
#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_for_more_than_may_be_in_transfer_is_closed() {
    // Large enough not to be copied, and together larger than what the network takes unread.
    fn chunks() -> Vec<Option<ManagedBuffer>> {
        let large = || Some(ManagedBuffer::from(pattern(200_000)));
        vec![large(), large(), None, large(), large()]
    }
    let conf = TransportConf {
        max_bodies_in_transfer: Some(2),
        ..TransportConf::default()
    };
    let served = Arc::new(OnDemand::new(chunks));
    let manager = Arc::clone(&served.manager);
    let hosts = crate::support::hosts();
    let handlers = super::lab::Handlers::serving(served);
    let caught = Arc::clone(&handlers.caught);
    let network = Arc::new(hosts.server.clone());
    let context = spark_rpc_transport::TransportContext::new(conf, network, Arc::new(handlers)).unwrap();
    let _server = context
        .create_server("server", crate::support::PORT, Vec::new())
        .await
        .unwrap();
    let mut peer = hosts.raw_client().await;
    let request = |index| spark_rpc_wire::ChunkFetchRequest {
        chunk: chunk(0, index),
    };
    for index in 0..2 {
        peer.send(request(index)).await;
    }
    settle().await;
    assert_eq!(context.counters().bodies_in_transfer(), 2);
    // The first one leaves.
    assert!(matches!(
        peer.expect_frame().await,
        spark_rpc_wire::Message::ChunkFetchSuccess(_)
    ));
    settle().await;
    assert_eq!(context.counters().bodies_in_transfer(), 1);
    peer.send(request(2)).await;
    peer.send(request(3)).await;
    settle().await;
    assert_eq!(context.counters().bodies_in_transfer(), 2);
    assert_eq!(context.counters().connections_open(), 1);
    peer.send(request(4)).await;
    // Far less than a connection's time, which would end it, too.
    settle().await;
    assert_eq!(context.counters().connections_open(), 0);
    let caught = std::mem::take(&mut *caught.lock().unwrap());
    assert!(
        matches!(caught[..], [ConnectionError::TooManyTransfers { most: 2, .. }]),
        "{caught:?}"
    );
    assert_eq!(context.counters().bodies_in_transfer(), 0);
    // REQ-02: nothing is left of the connection's streams.
    assert_eq!(manager.streams_held(), 0);
}

/// REQ-01
#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_not_there_is_a_failure_by_id_and_by_name() {
    let lab = Lab::new(
        Net::Memory,
        OnDemand::new(|| vec![Some("a".into()), None, None, Some("d".into())]),
    )
    .await;
    let client = lab.client().await;
    assert_eq!(within(client.fetch_chunk(chunk(0, 0), None)).await.unwrap(), "a");
    let missing = within(client.fetch_chunk(chunk(0, 1), None)).await.unwrap_err();
    assert_eq!(
        missing.to_string(),
        "java.lang.IllegalStateException: Chunk was not found"
    );
    let missing = within(client.open_stream("2", None))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("Stream '") && missing.ends_with("_2' was not found."),
        "{missing}"
    );
    assert_eq!(within(client.fetch_chunk(chunk(0, 3), None)).await.unwrap(), "d");
}

/// REQ-02
#[tokio::test(start_paused = true)]
async fn a_lost_connection_leaves_no_stream_behind() {
    let served = OnDemand::new(|| vec![Some("a".into()), Some("b".into())]);
    let manager = Arc::clone(&served.manager);
    let lab = Lab::new(Net::Memory, served).await;
    let client = lab.client().await;
    within(client.fetch_chunk(chunk(0, 0), None)).await.unwrap();
    assert_eq!(manager.streams_held(), 1);
    client.abort();
    until(|| manager.streams_held() == 0).await;
}

/// REQ-04
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_refused_is_not_even_opened() {
    let served = OnDemand {
        locked: true,
        ..OnDemand::new(|| vec![Some("a".into())])
    };
    let opened = Arc::clone(&served.opened);
    let lab = Lab::new(Net::Memory, served).await;
    let refused = within(lab.client().await.open_stream("0", None))
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "0 is locked");
    assert_eq!(opened.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_of_a_stream_that_may_not_be_read_is_not_handed_out() {
    let (lab, client, _) = connections().await;
    let manager = Arc::new(OneForOneStreamManager::new());
    // Registered for the asking end, which is not the connection as the server knows it.
    let id = manager.register_stream(None, vec![Some("a".into())], &client);
    drop(lab);
    let lab = Lab::new(Net::Memory, Shared(Arc::clone(&manager))).await;
    let refused = within(lab.client().await.fetch_chunk(chunk(id, 0), None))
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("Channel not authorized"),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_while_too_many_bytes_are_in_transfer_is_closed() {
    const LARGE: usize = 200_000;
    let conf = TransportConf {
        max_bytes_in_transfer: Some(LARGE as u64 + 1),
        ..TransportConf::default()
    };
    let hosts = crate::support::hosts();
    let handlers = super::lab::Handlers::serving(Arc::new(OnDemand::new(|| {
        vec![
            Some(ManagedBuffer::from(pattern(LARGE))),
            Some(pattern(LARGE).into()),
            Some(pattern(LARGE).into()),
        ]
    })));
    let caught = Arc::clone(&handlers.caught);
    let network = Arc::new(hosts.server.clone());
    let context = spark_rpc_transport::TransportContext::new(conf, network, Arc::new(handlers)).unwrap();
    let _server = context
        .create_server("server", crate::support::PORT, Vec::new())
        .await
        .unwrap();
    let mut peer = hosts.raw_client().await;
    for (index, in_transfer) in [(0, LARGE), (1, 2 * LARGE)] {
        peer.send(spark_rpc_wire::ChunkFetchRequest {
            chunk: chunk(0, index),
        })
        .await;
        settle().await;
        assert_eq!(context.counters().bytes_in_transfer(), in_transfer as u64);
        assert_eq!(
            context.counters().connections_open(),
            1,
            "it was below the bound when it asked"
        );
    }
    peer.send(spark_rpc_wire::ChunkFetchRequest { chunk: chunk(0, 2) })
        .await;
    settle().await;
    assert_eq!(context.counters().connections_open(), 0);
    let caught = std::mem::take(&mut *caught.lock().unwrap());
    assert!(
        matches!(caught[..], [ConnectionError::TooManyBytes { .. }]),
        "{caught:?}"
    );
    assert_eq!(context.counters().bytes_in_transfer(), 0);
}
