//! Many bodies in files that leave one behind the other.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use spark_rpc_net::TcpNetwork;
use spark_rpc_transport::{ManagedBuffer, NoRpcHandler, TransportClient, TransportConf, TransportContext};
use spark_rpc_wire::{ChunkFetchRequest, Message};
use tokio::task::JoinSet;

use super::lab::{Lab, Net, SOCKETS, Shelf, chunk, pattern, until, within, write};

/// Bodies of every kind and of lengths around those of pages, by turns.
const BODIES: i32 = 120;

fn length(index: i32) -> usize {
    [0, 1, 4095, 4096, 4097, 20_000, 65_536, 65_537, 300_000, 1_100_000][index as usize % 10]
}

fn is_missing(index: i32) -> bool {
    index % 11 == 3
}

async fn lab(net: Net, conf: TransportConf, released: &Arc<AtomicUsize>) -> Lab {
    let released = Arc::clone(released);
    let shelf = move |folder: &Path| {
        let content = pattern(1_100_000);
        let path = write(folder, "bodies", &content);
        let mut shelf = Shelf::default();
        for index in 0..BODIES {
            let (path, released, length) = (path.clone(), Arc::clone(&released), length(index));
            let body = content.slice(..length);
            shelf = shelf.chunk(1, index, move || {
                let path = match is_missing(index) {
                    true => path.with_file_name("nowhere"),
                    false => path.clone(),
                };
                let buffer = match index % 7 {
                    0 => body.clone().into(),
                    1 => {
                        let body = body.clone();
                        ManagedBuffer::computed(move || Ok(body))
                    }
                    _ => ManagedBuffer::path(path, 0, length as u64),
                };
                let released = Arc::clone(&released);
                buffer.on_release(move || {
                    released.fetch_add(1, Ordering::Relaxed);
                })
            });
        }
        shelf
    };
    Lab::with(net, conf, |folder| Arc::new(shelf(folder))).await
}

/// Asks for all of them at once.
async fn fetch_all(client: TransportClient) {
    let content = pattern(1_100_000);
    let mut asked = Vec::new();
    for index in 0..BODIES {
        let client = client.clone();
        asked.push(tokio::spawn(async move {
            client.fetch_chunk(chunk(1, index), None).await
        }));
    }
    for (index, asked) in (0..).zip(asked) {
        let fetched = within(asked).await.unwrap();
        if is_missing(index) && index % 7 > 1 {
            let error = fetched.unwrap_err().to_string();
            assert!(
                error.contains("java.io.FileNotFoundException"),
                "{index}: {error}"
            );
        } else {
            let fetched = fetched.unwrap();
            assert!(
                fetched == content[..length(index)],
                "{index}: {} bytes",
                fetched.len()
            );
        }
    }
}

async fn all_kinds(net: Net, conf: TransportConf, connections: usize) {
    let released = Arc::default();
    let lab = lab(net, conf, &released).await;
    let mut all = JoinSet::new();
    for _ in 0..connections {
        all.spawn(fetch_all(lab.another().await));
    }
    within(all.join_all()).await;
    all_left(&lab, &released, connections * BODIES as usize).await;
}

async fn all_left(lab: &Lab, released: &AtomicUsize, bodies: usize) {
    until(|| lab.in_transfer() == 0).await;
    assert_eq!(released.load(Ordering::Relaxed), bodies);
    until(|| lab.serving.counters().frames_written() == bodies as u64).await;
}

#[tokio::test(start_paused = true)]
async fn bodies_of_all_kinds_arrive_as_they_are_side_by_side() {
    all_kinds(Net::Memory, TransportConf::default(), 2).await;
}

/// More connections than there are pipes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_all_kinds_arrive_as_they_are_over_sockets() {
    for net in SOCKETS {
        for zero_copy in [true, false] {
            let conf = TransportConf {
                zero_copy,
                congestion: not_paced(*net),
                ..TransportConf::default()
            };
            all_kinds(*net, conf, 20).await;
        }
        all_kinds(*net, TransportConf::default(), 20).await;
    }
}

/// Paced sockets get no pipe. Every process may choose this one.
fn not_paced(net: Net) -> Option<String> {
    (cfg!(target_os = "linux") && net == Net::Tcp).then(|| "reno".to_owned())
}

#[tokio::test]
async fn more_requests_than_the_queue_holds_are_answered() {
    let released = Arc::default();
    let conf = TransportConf {
        write_queue_max_frames: 4,
        ..TransportConf::default()
    };
    let lab = lab(Net::Tcp, conf, &released).await;
    // One whose own queue holds more.
    let network = Arc::new(TcpNetwork);
    let asking = TransportContext::new(TransportConf::default(), network, Arc::new(NoRpcHandler)).unwrap();
    let factory = asking.create_client_factory(Vec::new());
    let client = factory.create_client("127.0.0.1", lab.server.port()).await;
    fetch_all(client.unwrap()).await;
    all_left(&lab, &released, BODIES as usize).await;
}

/// What the system has taken from a file when that is cut short, it sends as zeros: the connection must not outlive that.
#[tokio::test]
async fn a_file_cut_short_in_the_midst_of_others_costs_the_connection() {
    const LENGTH: u64 = 65_536;
    const FILES: i32 = 400;
    let conf = TransportConf {
        congestion: not_paced(Net::Tcp),
        ..TransportConf::default()
    };
    let lab = Lab::with(Net::Tcp, conf, |folder| {
        let mut shelf = Shelf::default();
        for index in 0..FILES {
            let path = write(folder, &format!("file {index}"), &[7; LENGTH as usize]);
            shelf = shelf.chunk(1, index, move || ManagedBuffer::path(&path, 0, LENGTH));
        }
        Arc::new(shelf)
    })
    .await;
    let mut peer = std::net::TcpStream::connect(("127.0.0.1", lab.server.port())).unwrap();
    let mut requests = Vec::new();
    for index in 0..FILES {
        let chunk = chunk(1, index);
        let request: Message<Bytes> = ChunkFetchRequest { chunk }.into();
        request.encode(&mut requests).unwrap();
    }
    peer.write_all(&requests).unwrap();
    let written = || lab.serving.counters().bytes_written();
    let mut before = 0;
    while before == 0 || before != written() {
        before = written();
        tokio::time::sleep(Duration::from_millis(50)).await; // tidy: allow(sleep): until the socket is full, which nothing tells
    }
    // Not the next one, of which some may have left, nor one that must be read on: one that lies in the pipe.
    let path = lab.folder.path(&format!("file {}", before / LENGTH + 2));
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(1).unwrap();
    let reader = tokio::task::spawn_blocking(move || std::io::copy(&mut peer, &mut std::io::sink()));
    until(|| lab.serving.counters().connections_open() == 0).await;
    // An end or a reset, but not all of it.
    let read = within(reader).await.unwrap().unwrap_or_default();
    assert!(read < LENGTH * FILES as u64);
    until(|| lab.in_transfer() == 0).await;
}
