//! Bodies that lie in files.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use spark_rpc_transport::{FileSegment, ManagedBuffer, RequestError, StreamBody, TransportConf};
#[cfg(target_os = "linux")]
use spark_rpc_wire::{ChunkFetchRequest, Message};

use crate::log::Log;

use super::lab::{Lab, Net, SOCKETS, Shelf, chunk, pattern, until, within, write};

const LARGE: usize = 40 << 20;

async fn lab(net: Net, shelf: impl FnOnce(&Path) -> Shelf) -> Lab {
    lab_that(net, true, shelf).await
}

async fn lab_that(net: Net, zero_copy: bool, shelf: impl FnOnce(&Path) -> Shelf) -> Lab {
    let conf = TransportConf {
        zero_copy,
        ..TransportConf::default()
    };
    Lab::with(net, conf, |folder| Arc::new(shelf(folder))).await
}

async fn read(mut body: StreamBody) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(piece) = within(body.chunk()).await.unwrap() {
        read.extend_from_slice(&piece);
    }
    read
}

async fn large_file(net: Net, zero_copy: bool) {
    let expected = pattern(LARGE);
    let lab = lab_that(net, zero_copy, |folder| {
        let path = write(folder, "large", &expected);
        let mut shelf = Shelf::default();
        let chunk = 4 << 20;
        for index in 0..LARGE / chunk {
            let file = Arc::new(File::open(&path).unwrap());
            shelf = shelf.chunk(4, index as i32, move || FileSegment {
                file: Arc::clone(&file),
                offset: (index * chunk) as u64,
                length: chunk as u64,
            });
        }
        for index in 0..500 {
            let path = path.clone();
            shelf = shelf.chunk(64, index, move || {
                ManagedBuffer::path(&path, index as u64 * 65_537, 65_536)
            });
        }
        shelf.stream("large", move || ManagedBuffer::path(&path, 0, LARGE as u64))
    })
    .await;
    let client = lab.client().await;
    let body = within(client.open_stream("large", None)).await.unwrap();
    assert!(read(body).await == expected);

    let fetch = |stream, index| {
        let client = client.clone();
        tokio::spawn(async move { client.fetch_chunk(chunk(stream, index), None).await })
    };
    let chunks: Vec<_> = (0..10).map(|index| fetch(4, index)).collect();
    let mut all = Vec::new();
    for chunk in chunks {
        all.extend_from_slice(&within(chunk).await.unwrap().unwrap());
    }
    assert!(all == expected);

    let chunks: Vec<_> = (0..500).map(|index| fetch(64, index)).collect();
    for (index, chunk) in chunks.into_iter().enumerate() {
        let chunk = within(chunk).await.unwrap().unwrap();
        assert!(chunk == expected[index * 65_537..][..65_536], "chunk {index}");
    }
    until(|| lab.in_transfer() == 0).await;
    assert_eq!(
        within(client.send_rpc(b"still there?", None)).await.unwrap(),
        "still there?"
    );
}

#[tokio::test(start_paused = true)]
async fn a_large_file_arrives_as_it_is_as_a_stream_and_in_chunks() {
    large_file(Net::Memory, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_arrives_as_it_is_over_sockets() {
    for net in SOCKETS {
        large_file(*net, true).await;
        large_file(*net, false).await;
    }
}

async fn unreadable(net: Net) {
    let lab = lab(net, |folder| {
        let short = write(folder, "short", b"0123456789");
        let (missing, panics) = (folder.join("missing"), || panic!("a bad opener"));
        let path = |path: &PathBuf, offset, length| {
            let path = path.clone();
            move || ManagedBuffer::path(&path, offset, length)
        };
        Shelf::default()
            .chunk(1, 0, path(&missing, 0, 1))
            .chunk(1, 1, path(&short, 5, 6))
            .chunk(1, 2, path(&short, u64::MAX, 2))
            .chunk(1, 3, path(&short, 3, 4))
            .chunk(1, 4, move || ManagedBuffer::lazy(panics))
            .stream("missing", path(&missing, 0, 1))
            .stream("short", path(&short, 0, 11))
            .stream("good", path(&short, 0, 10))
    })
    .await;
    let client = lab.client().await;
    for (index, expected) in [
        (0, "java.io.FileNotFoundException: "),
        (
            1,
            "java.io.IOException: the file holds 10 bytes, and 6 from 5 on were to be sent",
        ),
        (2, "java.io.IOException: the file holds 10 bytes"),
        (4, "java.io.IOException: opening it panicked"),
    ] {
        let failed = within(client.fetch_chunk(chunk(1, index), None))
            .await
            .unwrap_err();
        assert!(matches!(failed, RequestError::Failed { .. }));
        assert!(failed.to_string().starts_with(expected), "{failed}");
    }
    assert_eq!(
        within(client.fetch_chunk(chunk(1, 3), None)).await.unwrap(),
        "3456"
    );
    let (good, missing, short, behind) = tokio::join!(
        within(client.open_stream("good", None)),
        within(client.open_stream("missing", None)),
        within(client.open_stream("short", None)),
        within(client.open_stream("good", None)),
    );
    assert_eq!(
        missing.unwrap_err().to_string(),
        "Stream 'missing' was not found."
    );
    let short = short.unwrap_err().to_string();
    assert!(
        short.starts_with("java.io.IOException: the file holds 10 bytes"),
        "{short}"
    );
    for body in [good, behind] {
        assert_eq!(read(body.unwrap()).await, b"0123456789");
    }
    assert!(client.is_active());
    until(|| lab.in_transfer() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_sent_fails_its_own_request_and_no_other() {
    unreadable(Net::Memory).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_sent_fails_its_own_request_and_no_other_over_sockets() {
    for net in SOCKETS {
        unreadable(*net).await;
    }
}

async fn shrinks(net: Net, zero_copy: bool) {
    let released = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&released);
    let lab = lab_that(net, zero_copy, |folder| {
        let path = write(folder, "shrinking", &vec![7; 64 << 20]);
        Shelf::default().stream("shrinking", move || {
            let count = Arc::clone(&count);
            ManagedBuffer::path(&path, 0, 64 << 20).on_release(move || {
                count.fetch_add(1, Ordering::Relaxed);
            })
        })
    })
    .await;
    let client = lab.client().await;
    let mut body = within(client.open_stream("shrinking", None)).await.unwrap();
    let mut read = within(body.chunk()).await.unwrap().unwrap().len();
    let file = OpenOptions::new()
        .write(true)
        .open(lab.folder.path("shrinking"))
        .unwrap();
    file.set_len(1 << 20).unwrap();
    let lost = loop {
        match within(body.chunk()).await {
            Ok(piece) => {
                let piece = piece.expect("never an end that looks like a good one");
                // What the system had taken from the file without a copy is lost with it, and so the connection is.
                let copied = net == Net::Memory || !zero_copy;
                assert!(
                    !copied || piece.iter().all(|byte| *byte == 7),
                    "nothing is filled up"
                );
                read += piece.len();
            }
            Err(lost) => break lost,
        }
    };
    assert!(read < 64 << 20);
    assert!(!lost.to_string().is_empty());
    until(|| released.load(Ordering::Relaxed) == 1 && lab.serving.counters().connections_open() == 0).await;
    assert_eq!(lab.in_transfer(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_shrinks_on_its_way_costs_the_connection() {
    shrinks(Net::Memory, true).await;
}

#[tokio::test]
async fn a_file_that_shrinks_on_its_way_costs_the_connection_over_sockets() {
    for net in SOCKETS {
        shrinks(*net, true).await;
        shrinks(*net, false).await;
    }
}

#[tokio::test]
async fn a_buffer_is_released_once_whatever_becomes_of_its_transfer() {
    for net in [&[Net::Memory], SOCKETS].concat() {
        let released = Arc::new(AtomicUsize::new(0));
        let lab = lab(net, |folder| {
            let large = write(folder, "large", &vec![7; 32 << 20]);
            let counted = |make: Box<dyn Fn() -> ManagedBuffer + Send + Sync>| {
                let released = Arc::clone(&released);
                move || {
                    let released = Arc::clone(&released);
                    make().on_release(move || {
                        released.fetch_add(1, Ordering::Relaxed);
                    })
                }
            };
            let missing = folder.join("missing");
            Shelf::default()
                .stream("good", counted(Box::new(|| pattern(100_000).into())))
                .stream("small", counted(Box::new(|| "small".into())))
                .stream(
                    "missing",
                    counted(Box::new(move || ManagedBuffer::path(&missing, 0, 1))),
                )
                .stream(
                    "cut",
                    counted(Box::new(move || ManagedBuffer::path(&large, 0, 32 << 20))),
                )
                .stream(
                    "cut in memory",
                    counted(Box::new(|| Bytes::from(vec![7; 32 << 20]).into())),
                )
        })
        .await;
        let client = lab.client().await;
        let mut expected = 0;
        for name in ["good", "small"] {
            read(within(client.open_stream(name, None)).await.unwrap()).await;
            expected += 1;
            until(|| released.load(Ordering::Relaxed) == expected).await;
        }
        within(client.open_stream("missing", None)).await.unwrap_err();
        until(|| released.load(Ordering::Relaxed) == expected + 1).await;
        for name in ["cut", "cut in memory"] {
            let client = lab.another().await;
            // One is on its way, the other waits behind it.
            let (_first, _second) = (
                within(client.open_stream(name, None)).await.unwrap(),
                tokio::time::timeout(Duration::from_millis(20), client.open_stream(name, None)).await,
            );
            client.abort();
            within(client.closed()).await;
        }
        until(|| released.load(Ordering::Relaxed) == expected + 1 + 4).await;
        until(|| lab.in_transfer() == 0).await;
        assert_eq!(released.load(Ordering::Relaxed), expected + 5);
    }
}

/// Each ending of a chunk, an answer about a merged block and an upload.
#[tokio::test]
async fn buffers_of_chunks_and_uploads_are_released_once_however_they_end() {
    for net in [&[Net::Memory], SOCKETS].concat() {
        let released = Arc::new(AtomicUsize::new(0));
        let counted = {
            let released = Arc::clone(&released);
            move |buffer: ManagedBuffer| {
                let released = Arc::clone(&released);
                buffer.on_release(move || {
                    released.fetch_add(1, Ordering::Relaxed);
                })
            }
        };
        let lab = lab(net, |folder| {
            let path = write(folder, "file", &pattern(100_000));
            let sparse = write(folder, "sparse", b"");
            let longer_than_a_frame = 3 << 30;
            let file = OpenOptions::new().write(true).open(&sparse).unwrap();
            file.set_len(longer_than_a_frame).unwrap();
            let (nowhere, short) = (folder.join("nowhere"), path.clone());
            let mut shelf = Shelf::default();
            let makes: [Box<dyn Fn() -> ManagedBuffer + Send + Sync>; 7] = [
                Box::new(|| "small".into()),
                Box::new(|| pattern(100_000).into()),
                Box::new(move || ManagedBuffer::path(&path, 0, 100_000)),
                Box::new(move || ManagedBuffer::path(&nowhere, 0, 1)),
                Box::new(move || ManagedBuffer::path(&short, 0, 100_001)),
                Box::new(|| ManagedBuffer::lazy(|| panic!("a bad opener"))),
                Box::new(move || ManagedBuffer::path(&sparse, 0, longer_than_a_frame)),
            ];
            for (index, make) in makes.into_iter().enumerate() {
                let counted = counted.clone();
                shelf = shelf.chunk(1, index as i32, move || counted(make()));
            }
            shelf
        })
        .await;
        let once = async |what: &str| {
            until(|| released.load(Ordering::Relaxed) > 0 && lab.in_transfer() == 0).await;
            assert_eq!(released.swap(0, Ordering::Relaxed), 1, "{net:?}: {what}");
        };
        let client = lab.client().await;
        for index in 0..7 {
            let fetched = within(client.fetch_chunk(chunk(1, index), None)).await;
            assert_eq!(fetched.is_ok(), index < 3, "{index}: {fetched:?}");
            once(&format!("chunk {index}")).await;
        }
        let missing = lab.folder.path("nowhere");
        for (meta, body) in [
            ("small", ManagedBuffer::from("small")),
            ("empty", Bytes::new().into()),
            ("memory", pattern(100_000).into()),
            ("file", ManagedBuffer::path(lab.folder.path("file"), 0, 100_000)),
            ("missing", ManagedBuffer::path(missing, 0, 1)),
            ("fail end", pattern(100_000).into()),
        ] {
            let _ = within(client.upload(meta, counted(body), None)).await;
            once(meta).await;
        }
        for meta in ["none", "fail data", "panic data"] {
            let client = lab.another().await;
            let body = counted(pattern(100_000).into());
            within(client.upload(meta, body, None)).await.unwrap_err();
            within(client.closed()).await;
            once(meta).await;
        }
        let gone = lab.another().await;
        gone.abort();
        within(gone.closed()).await;
        let refused = gone.upload("gone", counted("late".into()), None).await;
        assert!(matches!(refused, Err(RequestError::NotSent(_))));
        once("a connection that has ended").await;
    }
}

/// The only thread is free while a file is being opened.
#[tokio::test]
async fn a_file_that_takes_long_to_open_holds_nobody_up() {
    for net in SOCKETS {
        let (let_open, opened) = std::sync::mpsc::channel::<()>();
        let lab = lab(*net, |folder| {
            let path = write(folder, "file", &pattern(100_000));
            let opened = Arc::new(std::sync::Mutex::new(opened));
            Shelf::default()
                .chunk(1, 0, || pattern(100_000))
                .chunk(1, 1, move || {
                    let (path, opened) = (path.clone(), Arc::clone(&opened));
                    ManagedBuffer::lazy(move || {
                        let patience = Duration::from_secs(60);
                        let waited = opened.lock().unwrap().recv_timeout(patience);
                        waited.map_err(std::io::Error::other)?;
                        Ok(FileSegment {
                            file: Arc::new(File::open(path)?),
                            offset: 0,
                            length: 100_000,
                        })
                    })
                })
        })
        .await;
        let (waiting, other) = (lab.another().await, lab.another().await);
        let slow = tokio::spawn(async move { waiting.fetch_chunk(chunk(1, 1), None).await });
        until(|| lab.in_transfer() == 1).await;
        for _ in 0..10 {
            let fetched = within(other.fetch_chunk(chunk(1, 0), None)).await;
            assert!(fetched.unwrap() == pattern(100_000));
            assert_eq!(within(other.send_rpc(b"beside", None)).await.unwrap(), "beside");
        }
        assert!(!slow.is_finished());
        let_open.send(()).unwrap();
        assert!(within(slow).await.unwrap().unwrap() == pattern(100_000));
    }
}

/// What the socket holds of a file that was sent without a copy is the file itself, so that a change of the file shows.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_leaves_a_plain_socket_without_a_copy_unless_told_otherwise() {
    use std::io::{Read, Write};

    for (zero_copy, expected) in [(true, b'n'), (false, b'o')] {
        let lab = lab_that(Net::Tcp, zero_copy, |folder| {
            let path = write(folder, "file", &[b'o'; 65_536]);
            Shelf::default().chunk(1, 0, move || ManagedBuffer::path(&path, 0, 65_536))
        })
        .await;
        let mut peer = std::net::TcpStream::connect(("127.0.0.1", lab.server.port())).unwrap();
        let mut request = Vec::new();
        let message: Message<Bytes> = ChunkFetchRequest { chunk: chunk(1, 0) }.into();
        message.encode(&mut request).unwrap();
        peer.write_all(&request).unwrap();
        until(|| lab.serving.counters().bytes_written() > 65_536 && lab.in_transfer() == 0).await;
        // In place, so that the same pages are changed.
        let path = lab.folder.path("file");
        let mut file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all(&[b'n'; 65_536]).unwrap();
        let mut answer = vec![0; 8 + 1 + 8 + 4 + 65_536];
        peer.read_exact(&mut answer).unwrap();
        let body = &answer[answer.len() - 65_536..];
        assert!(
            body.iter().all(|byte| *byte == expected),
            "without a copy: {zero_copy}"
        );
    }
}

/// The only thread that may wait for disks is free while a reader is slow.
#[test]
fn a_slow_reader_keeps_no_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        for net in SOCKETS {
            let lab = lab(*net, |folder| {
                let path = write(folder, "large", &vec![7; 64 << 20]);
                Shelf::default().stream("large", move || ManagedBuffer::path(&path, 0, 64 << 20))
            })
            .await;
            let readers = [lab.another().await, lab.another().await];
            let mut bodies = Vec::new();
            for reader in &readers {
                bodies.push(within(reader.open_stream("large", None)).await.unwrap());
            }
            // Both are stuck: their readers take nothing.
            let written = || lab.serving.counters().bytes_written();
            let mut before = u64::MAX;
            while before != written() {
                before = written();
                tokio::time::sleep(Duration::from_millis(50)).await; // tidy: allow(sleep): until the sockets are full, which nothing tells
            }
            assert!(before < 128 << 20);
            within(tokio::task::spawn_blocking(|| ())).await.unwrap();
            let other = lab.another().await;
            let third = within(other.open_stream("large", None)).await.unwrap();
            assert_eq!(read(third).await.len(), 64 << 20);
            for body in bodies {
                assert_eq!(read(body).await.len(), 64 << 20);
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn bytes_and_files_keep_the_order_in_which_they_were_asked_for() {
    let lab = lab(Net::Memory, |folder| {
        let path = write(folder, "file", &pattern(70_000));
        Shelf::default()
            .stream("file", move || ManagedBuffer::path(&path, 0, 70_000))
            .stream("large", || pattern(70_000))
            .stream("small", || pattern(7))
            .stream("computed", || ManagedBuffer::computed(|| Ok(pattern(300))))
            .stream("failing", || {
                ManagedBuffer::computed(|| Err(std::io::Error::other("it does not add up")))
            })
    })
    .await;
    let client = lab.client().await;
    let names = [
        "file", "small", "missing", "file", "computed", "file", "large", "failing", "small", "file", "small",
        "computed",
    ];
    let streams = names.map(|name| {
        let client = client.clone();
        tokio::spawn(async move {
            let body = client.open_stream(name, None).await;
            match body {
                Ok(body) => Some(read(body).await.len()),
                Err(_) => None,
            }
        })
    });
    for (name, stream) in names.into_iter().zip(streams) {
        let expected = match name {
            "small" => Some(7),
            "computed" => Some(300),
            "missing" | "failing" => None,
            _ => Some(70_000),
        };
        assert_eq!(within(stream).await.unwrap(), expected, "{name}");
    }
    fs::remove_file(lab.folder.path("file")).unwrap();
    assert!(within(client.open_stream("file", None)).await.is_err());
}

/// Whoever may connect may ask for what is not there as often as he likes.
#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_sent_are_counted_and_logged_once_for_each_connection() {
    let log = Log::begin();
    let lab = lab(Net::Memory, |folder| {
        let path = folder.join("nowhere");
        let length = || ManagedBuffer::path("/nowhere", 0, 1);
        Shelf::default()
            .stream("missing", move || ManagedBuffer::path(&path, 0, 70_000))
            .chunk(1, 0, length)
    })
    .await;
    for connection in 1..=3 {
        let client = lab.another().await;
        for _ in 0..50 {
            assert!(within(client.open_stream("missing", None)).await.is_err());
            assert!(within(client.fetch_chunk(chunk(1, 0), None)).await.is_err());
        }
        until(|| lab.serving.counters().files_unopened() == connection * 100).await;
        let told = log.with("WARN a file cannot be sent");
        assert_eq!(told.len() as u64, connection, "{told:?}");
        assert!(told.iter().all(|line| line.contains("missing")), "{told:?}");
    }
}
