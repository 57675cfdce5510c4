//! Whoever asks for bulk and then no longer wants it, at every point on the way.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::Poll;

use bytes::Bytes;
use spark_rpc_transport::{ManagedBuffer, TransportClient, TransportConf};

use super::lab::{Lab, Net, Shelf, chunk, pattern, until, within, write};
use crate::support::settle;

/// Polls `work` so many times, with a turn for everybody else in between, and drops it; `None` if it was not done by then.
async fn give_up_after<F: Future>(polls: usize, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
        if let Poll::Ready(done) = polled {
            return Some(done);
        }
        tokio::task::yield_now().await;
        tokio::time::advance(std::time::Duration::from_micros(100)).await;
    }
    None
}

async fn read(client: &TransportClient, name: &str) -> Vec<u8> {
    let mut body = client.open_stream(name, None).await.unwrap();
    let mut read = Vec::new();
    while let Some(piece) = body.chunk().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    read
}

/// More polls than any of this takes.
const MOST: usize = 2000;

/// Too large to be copied into a frame.
const LARGE: usize = 70_000;

/// Made once, since it takes its time.
fn large() -> Bytes {
    static LARGE_PATTERN: LazyLock<Bytes> = LazyLock::new(|| pattern(LARGE));
    LARGE_PATTERN.clone()
}

async fn lab() -> Lab {
    Lab::with(Net::Memory, TransportConf::default(), |folder| {
        let path = write(folder, "file", &large());
        let file = path.clone();
        let shelf = Shelf::default()
            .chunk(1, 0, large)
            .chunk(1, 1, move || ManagedBuffer::path(&file, 0, LARGE as u64))
            .chunk(1, 2, || pattern(10))
            .stream("memory", large)
            .stream("file", move || ManagedBuffer::path(&path, 0, LARGE as u64))
            .stream("small", || pattern(10));
        Arc::new(shelf)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_fetch_can_be_given_up_at_every_point() {
    let lab = lab().await;
    let client = lab.client().await;
    for index in 0..3 {
        let mut given_up = 0;
        for polls in 0..MOST {
            let fetched = give_up_after(polls, client.fetch_chunk(chunk(1, index), None)).await;
            let places = client.outstanding();
            assert_eq!(places, 0, "its place is free at once, after {polls} polls");
            if fetched.is_some() {
                break;
            }
            given_up += 1;
            // The next one gets its own answer, not the one that is still on its way.
            let other = (index + 1) % 3;
            let expected = if other == 2 { pattern(10) } else { large() };
            let next = within(client.fetch_chunk(chunk(1, other), None)).await;
            assert!(next.unwrap() == expected, "after {polls} polls");
        }
        assert!((2..MOST).contains(&given_up), "{given_up}");
    }
    until(|| lab.in_transfer() == 0).await;
    let late = lab.asking.counters().late_replies();
    assert!(late > 3, "answers that nobody wants are counted: {late}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_be_given_up_at_every_point() {
    let lab = lab().await;
    let client = lab.client().await;
    for name in ["memory", "file", "small"] {
        let mut given_up = 0;
        for polls in 0..MOST {
            if let Some(read) = give_up_after(polls, read(&client, name)).await {
                assert!(read == if name == "small" { pattern(10) } else { large() });
                break;
            }
            given_up += 1;
            let next = within(read(&client, "small")).await;
            assert_eq!(next, pattern(10), "after {polls} polls");
        }
        assert!((2..MOST).contains(&given_up), "{name}: {given_up}");
        until(|| client.outstanding() == 0 && lab.in_transfer() == 0).await;
    }
    assert!(client.is_active(), "they were all short");
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_nobody_waits_for_is_sent_to_its_end_and_released_once() {
    let lab = lab().await;
    let client = lab.client().await;
    let path = lab.folder.path("file");
    for from_file in [false, true] {
        let mut given_up = 0;
        for polls in 0..MOST {
            let released = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&released);
            let body: ManagedBuffer = match from_file {
                true => ManagedBuffer::path(&path, 0, LARGE as u64),
                false => large().into(),
            };
            let body = body.on_release(move || {
                count.fetch_add(1, Ordering::Relaxed);
            });
            let meta = format!("{from_file} {polls}");
            let answer = give_up_after(polls, client.upload(meta.clone(), body, None)).await;
            let uploaded = || lab.uploads.get(&meta).completed;
            if polls == 0 {
                settle().await;
                assert!(!uploaded(), "it was never asked for");
            } else {
                until(uploaded).await;
                assert!(lab.uploads.get(&meta).bytes == large());
            }
            until(|| released.load(Ordering::Relaxed) == 1 && client.outstanding() == 0).await;
            if let Some(answer) = answer {
                assert_eq!(answer.unwrap(), meta);
                break;
            }
            given_up += 1;
        }
        assert!((2..MOST).contains(&given_up), "{given_up}");
    }
    assert_eq!(
        within(client.send_rpc(b"still there?", None)).await.unwrap(),
        "still there?"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_next_piece_that_is_dropped_loses_nothing() {
    let lab = lab().await;
    let client = lab.client().await;
    let mut body = within(client.open_stream("memory", None)).await.unwrap();
    let (mut read, mut dropped) = (Vec::new(), 0);
    let all = async {
        loop {
            match give_up_after(1, body.chunk()).await {
                Some(Ok(Some(piece))) => read.extend_from_slice(&piece),
                Some(end) => break end,
                None => dropped += 1,
            }
        }
    };
    assert_eq!(within(all).await.unwrap(), None);
    assert!(read == large());
    assert!(dropped > 0);
}
