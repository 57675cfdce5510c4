//! Bulk for those who are called.

use std::ops::ControlFlow;
use std::sync::mpsc;

use bytes::Bytes;
use spark_rpc_transport::{ConnectionError, ManagedBuffer, RequestError, StreamSink, TransportClient};
use spark_rpc_wire::{ChunkFetchSuccess, StreamResponse};

use super::lab::{Lab, Net, SOCKETS, Shelf, chunk, pattern, until, within};
use crate::support::{connect_scripted, hosts, millis, settle};

/// What a callback was called with, and whether it is gone.
type Calls<T> = mpsc::Receiver<T>;

fn fetch(client: &TransportClient, index: i32) -> Calls<Result<Bytes, RequestError>> {
    let (call, calls) = mpsc::channel();
    client.fetch_chunk_with(chunk(1, index), None, move |fetched| {
        call.send(fetched).unwrap();
    });
    calls
}

/// The one call, if it has come; the callback is gone after it.
fn only<T>(calls: &Calls<T>) -> T {
    let call = calls.try_recv().expect("it has been called");
    assert!(matches!(calls.try_recv(), Err(mpsc::TryRecvError::Disconnected)));
    call
}

async fn called<T>(calls: &Calls<T>) -> T {
    let mut call = None;
    let take = || match calls.try_recv() {
        Ok(first) => Some(first),
        Err(mpsc::TryRecvError::Empty) => None,
        Err(mpsc::TryRecvError::Disconnected) => panic!("it was dropped without a call"),
    };
    within(async {
        while call.is_none() {
            tokio::time::sleep(millis(1)).await; // tidy: allow(sleep): between two looks; virtual time over the in-memory network
            call = take();
        }
    })
    .await;
    call.unwrap()
}

#[derive(Debug, PartialEq)]
enum Told {
    Data(usize),
    Complete,
    Failed(String),
}

/// Tells what it is given, and has enough after `wanted` bytes.
struct Sink {
    tell: mpsc::Sender<Told>,
    expected: Bytes,
    wanted: usize,
    taken: usize,
}

impl StreamSink for Sink {
    fn data(&mut self, data: Bytes) -> ControlFlow<()> {
        assert!(
            self.expected[self.taken..].starts_with(&data),
            "in order and unchanged"
        );
        self.taken += data.len();
        self.tell.send(Told::Data(data.len())).unwrap();
        if self.taken < self.wanted {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    fn complete(self: Box<Self>) {
        self.tell.send(Told::Complete).unwrap();
    }

    fn failed(self: Box<Self>, error: RequestError) {
        self.tell.send(Told::Failed(error.to_string())).unwrap();
    }
}

fn stream(client: &TransportClient, name: &str, expected: &Bytes, wanted: usize) -> Calls<Told> {
    let (tell, told) = mpsc::channel();
    let sink = Sink {
        tell,
        expected: expected.clone(),
        wanted,
        taken: 0,
    };
    client.stream_to(name, None, sink);
    told
}

/// How many bytes came, and the last call behind them, once the sink is gone.
async fn end(told: &Calls<Told>) -> (usize, Option<Told>) {
    let (mut taken, mut last) = (0, None);
    let mut end = || loop {
        match told.try_recv() {
            Ok(Told::Data(more)) => {
                assert_eq!(last, None, "nothing comes behind the end");
                assert_ne!(more, 0);
                taken += more;
            }
            Ok(end) => assert_eq!(last.replace(end), None, "it ends once"),
            Err(mpsc::TryRecvError::Empty) => return false,
            Err(mpsc::TryRecvError::Disconnected) => return true,
        }
    };
    within(async {
        while !end() {
            tokio::time::sleep(millis(1)).await; // tidy: allow(sleep): between two looks; virtual time over the in-memory network
        }
    })
    .await;
    (taken, last)
}

async fn lab(net: Net) -> Lab {
    let shelf = Shelf::default()
        .chunk(1, 0, || pattern(100_000))
        .chunk(1, 1, || pattern(10))
        .stream("empty", Bytes::new)
        .stream("small", || pattern(100))
        .stream("large", || pattern(5 << 20));
    Lab::new(net, shelf).await
}

async fn every_kind(net: Net) {
    let lab = lab(net).await;
    let client = lab.client().await;
    let fetched = [0, 1, 2].map(|index| fetch(&client, index));
    assert_eq!(called(&fetched[0]).await.unwrap(), pattern(100_000));
    assert_eq!(called(&fetched[1]).await.unwrap(), pattern(10));
    let missing = called(&fetched[2]).await.unwrap_err();
    assert!(matches!(missing, RequestError::Failed { .. }), "{missing}");

    let (call, uploaded) = mpsc::channel();
    client.upload_with("up", pattern(100_000), None, move |answer| {
        call.send(answer).unwrap();
    });
    assert_eq!(called(&uploaded).await.unwrap(), "up");
    assert!(lab.uploads.get("up").bytes == pattern(100_000));

    let all = pattern(5 << 20);
    for (name, size) in [("empty", 0), ("small", 100), ("large", 5 << 20)] {
        let told = stream(&client, name, &all, usize::MAX);
        assert_eq!(end(&told).await, (size, Some(Told::Complete)), "{name}");
    }
    let told = stream(&client, "missing", &all, usize::MAX);
    let (taken, last) = end(&told).await;
    assert_eq!((taken, last), (0, Some(Told::Failed("no stream missing".into()))));
    until(|| client.outstanding() == 0 && lab.in_transfer() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn callbacks_get_what_those_who_wait_get() {
    every_kind(Net::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_get_what_those_who_wait_get_over_sockets() {
    for net in SOCKETS {
        every_kind(*net).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_is_called_once_however_its_request_ends() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let [first, second] = [0, 1].map(|index| fetch(&client, index));
    let (call, late) = mpsc::channel();
    client.fetch_chunk_with(chunk(1, 2), Some(millis(20)), move |fetched| {
        call.send(fetched).unwrap();
    });
    let (call, unsent) = mpsc::channel();
    let nowhere = ManagedBuffer::path("/nowhere", 0, 1);
    client.upload_with("unsent", nowhere, None, move |answer| {
        call.send(answer).unwrap();
    });
    let told = stream(&client, "broken", &pattern(100), usize::MAX);
    let waiting = stream(&client, "waiting", &pattern(100), usize::MAX);
    for _ in 0..5 {
        peer.expect_frame().await;
    }
    settle().await;
    assert!(matches!(only(&late), Err(RequestError::TimedOut { .. })));
    assert!(matches!(only(&unsent), Err(RequestError::BodyUnreadable { .. })));
    let answer = ChunkFetchSuccess {
        chunk: chunk(1, 0),
        body: "zero".into(),
    };
    peer.send(answer).await;
    let begin = StreamResponse {
        stream_id: "broken".into(),
        byte_count: 100,
    };
    peer.send(begin).await;
    peer.send_raw(pattern(40)).await;
    settle().await;
    assert_eq!(only(&first).unwrap(), "zero");
    assert!(second.try_recv().is_err());
    peer.reset();
    settle().await;
    assert!(matches!(only(&second), Err(RequestError::Connection(_))));
    for (told, expected) in [(told, 40), (waiting, 0)] {
        let (taken, last) = end(&told).await;
        assert_eq!(taken, expected);
        assert!(matches!(last, Some(Told::Failed(_))), "{last:?}");
    }
    // Now it is known at once.
    assert!(matches!(only(&fetch(&client, 3)), Err(RequestError::NotSent(_))));
    let (_, last) = end(&stream(&client, "late", &pattern(100), usize::MAX)).await;
    assert!(matches!(last, Some(Told::Failed(_))), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_has_enough_gives_up_the_rest_as_a_reader_does() {
    let lab = lab(Net::Memory).await;
    let client = lab.client().await;
    let all = pattern(5 << 20);
    let (taken, last) = end(&stream(&client, "small", &all, 1)).await;
    assert_eq!((taken, last), (100, None));
    assert_eq!(
        called(&fetch(&client, 1)).await.unwrap(),
        pattern(10),
        "the connection goes on"
    );
    let (taken, last) = end(&stream(&client, "large", &all, 1)).await;
    assert!(taken < 1 << 20 && last.is_none(), "{taken} {last:?}");
    let cause = within(client.closed()).await;
    assert!(
        matches!(*cause, ConnectionError::StreamAbandoned { .. }),
        "{cause}"
    );
}

/// Panics when it is given anything.
struct Bad;

impl StreamSink for Bad {
    fn data(&mut self, _: Bytes) -> ControlFlow<()> {
        panic!("a bad sink")
    }

    fn complete(self: Box<Self>) {
        panic!("a bad end")
    }

    fn failed(self: Box<Self>, _: RequestError) {
        panic!("a bad failure")
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_costs_nobody_else() {
    let lab = lab(Net::Memory).await;
    let client = lab.client().await;
    client.fetch_chunk_with(chunk(1, 1), None, |_| panic!("a bad callback"));
    for name in ["small", "empty", "missing"] {
        client.stream_to(name, None, Bad);
    }
    assert_eq!(called(&fetch(&client, 1)).await.unwrap(), pattern(10));
    until(|| client.outstanding() == 0).await;
    client.abort();
    within(client.closed()).await;
    client.stream_to("small", None, Bad);
}

#[test]
fn callbacks_need_no_runtime_where_they_are_asked_for() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let lab = runtime.block_on(lab(Net::Tcp));
    let client = runtime.block_on(lab.client());
    let patience = std::time::Duration::from_secs(60);
    let fetched = fetch(&client, 0).recv_timeout(patience);
    assert_eq!(fetched.unwrap().unwrap(), pattern(100_000));
    // What is still asked for when the runtime goes is answered, too.
    let closed = fetch(&client, 0);
    drop(runtime);
    let _ = closed.recv_timeout(patience).expect("one way or the other");
    assert!(fetch(&client, 0).recv_timeout(patience).unwrap().is_err());
}
