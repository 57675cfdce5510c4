//! Connections through a tap: unchanged, told, and not held up by whoever listens.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use spark_rpc_inspect::{
    Direction, Event, Inlet, Recorder, Story, Style, Tap, Totals, What, decode, from_hex, outlet,
};
use spark_rpc_wire::{Message, RequestId, RpcRequest, StreamResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A tap in front of a listener that the test plays.
struct Fixture {
    listener: TcpListener,
    address: String,
    inlet: Inlet,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Totals>,
}

impl Fixture {
    async fn start(events: usize, bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap().to_string();
        let tap = Tap::bind("127.0.0.1:0", to).await.unwrap();
        let address = tap.local_addr().unwrap().to_string();
        let (outlet, inlet) = outlet(events, bytes);
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(tap.run(vec![outlet], async {
            let _ = stopped.await;
        }));
        Self {
            listener,
            address,
            inlet,
            stop,
            running,
        }
    }

    /// Both ends of a connection through the tap: the client's, the server's.
    async fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(&self.address).await.unwrap();
        let (server, _) = self.listener.accept().await.unwrap();
        (client, server)
    }

    /// Ends the tap and returns what it has told, and how much it had to leave out.
    async fn stop(self) -> (Vec<Event>, u64, Totals) {
        let _ = self.stop.send(());
        let totals = self.running.await.unwrap();
        let (mut events, mut lost) = (Vec::new(), 0);
        while let Some(taken) = self.inlet.wait() {
            lost += taken.lost;
            events.extend(taken.event);
        }
        (events, lost, totals)
    }
}

fn golden(name: &str) -> Bytes {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let text = std::fs::read(format!("{folder}/{name}.hex")).expect("the file is there");
    from_hex(&text).expect("digits").into()
}

/// Writes `bytes` in pieces at one end and reads as many at the other one.
async fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut arrived = vec![0; bytes.len()];
    let write = async {
        for piece in bytes.chunks(piece) {
            from.write_all(piece).await.unwrap();
        }
    };
    tokio::join!(write, async {
        to.read_exact(&mut arrived).await.unwrap();
    });
    arrived
}

async fn end(mut stream: TcpStream) -> io::Result<Vec<u8>> {
    stream.shutdown().await?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await?;
    Ok(rest)
}

fn stories(events: &[Event]) -> Vec<String> {
    let mut story = Story::new(Style {
        brief: true,
        connections: false,
        ..Style::default()
    });
    events
        .iter()
        .filter_map(|event| story.tell(event))
        .map(|told| told.head)
        .collect()
}

/// Bytes that are no frames, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[tokio::test]
async fn a_conversation_passes_unchanged_and_is_told() {
    let tap = Fixture::start(1000, 1 << 20).await;
    let (mut client, mut server) = tap.connect().await;
    let [asked, answered] = ["client", "server"].map(|side| golden(&format!("3.5.9-ref-client-mode-{side}")));
    assert_eq!(pass(&mut client, &mut server, &asked, 7).await, asked);
    assert_eq!(pass(&mut server, &mut client, &answered, 1000).await, answered);
    // The client's half ends first; the server still gets a word in.
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(
        pass(&mut server, &mut client, b"\0\0\0\0\0\0\0\x0d\x09\0\0\0\0", 20)
            .await
            .len(),
        13
    );
    assert_eq!(end(server).await.unwrap(), b"");

    let mut end = Vec::new();
    client.read_to_end(&mut end).await.unwrap();
    let (events, lost, totals) = tap.stop().await;
    let told = stories(&events);
    assert_eq!(lost, 0);
    assert_eq!(totals.frames, [2, 4]);
    assert_eq!(totals.bytes, [asked.len() as u64, answered.len() as u64 + 13]);
    assert!(
        told.iter().any(|line| line.contains("CarryRef to lab")),
        "{told:?}"
    );
    let answer = told
        .iter()
        .find(|line| line.contains("RpcResponse 6218543506135077734"));
    assert!(answer.unwrap().ends_with("after CarryRef to lab"), "{told:?}");
}

#[tokio::test]
async fn noise_passes_unchanged_both_ways_and_is_counted() {
    let tap = Fixture::start(1000, 1 << 20).await;
    let (mut client, mut server) = tap.connect().await;
    let noise = noise(3 << 20);
    assert_eq!(pass(&mut client, &mut server, &noise, 100_000).await, noise);
    assert_eq!(pass(&mut server, &mut client, &noise, 77_777).await, noise);
    let (events, _, totals) = tap.stop().await;
    assert_eq!((totals.frames, totals.bytes), ([0, 0], [noise.len() as u64; 2]));
    let opaque = events
        .iter()
        .filter(|event| matches!(event.what, What::Opaque { encrypted: false, .. }));
    assert_eq!(opaque.count(), 2);
}

#[tokio::test]
async fn encryption_is_noticed_where_it_begins_in_both_directions() {
    for (case, client_at, server_at, steps) in [
        ("3.5.9-sasl-enc", 367, 236, &[(43, 175), (367, 236)][..]),
        ("3.5.9-auth-v1-gcm", 123, 123, &[(123, 123)]),
    ] {
        let tap = Fixture::start(1000, 1 << 20).await;
        let (mut client, mut server) = tap.connect().await;
        let [asked, answered] = ["client", "server"].map(|side| golden(&format!("{case}-{side}")));
        let (mut from, mut to) = (0, 0);
        for (asked_to, answered_to) in steps.iter().copied().chain([(asked.len(), answered.len())]) {
            pass(&mut client, &mut server, &asked[from..asked_to], 64).await;
            pass(&mut server, &mut client, &answered[to..answered_to], 64).await;
            (from, to) = (asked_to, answered_to);
        }
        let (events, _, _) = tap.stop().await;
        let found: Vec<_> = events
            .iter()
            .filter_map(|event| match &event.what {
                What::Opaque {
                    direction,
                    offset,
                    encrypted,
                    ..
                } => Some((*direction, *offset, *encrypted)),
                _ => None,
            })
            .collect();
        assert_eq!(
            found,
            [
                (Direction::ToServer, client_at, true),
                (Direction::ToClient, server_at, true)
            ],
            "{case}"
        );
    }
}

#[tokio::test]
async fn nobody_waits_for_a_listener_that_does_not_listen() {
    let tap = Fixture::start(10, 1 << 20).await;
    let (mut client, mut server) = tap.connect().await;
    let mut frames = Vec::new();
    for id in 0..500 {
        let body = vec![7; 1000];
        Message::from(RpcRequest {
            request_id: RequestId(id),
            body,
        })
        .encode(&mut frames)
        .unwrap();
    }
    // Nobody takes an event until all of it has passed.
    assert_eq!(pass(&mut client, &mut server, &frames, 5000).await, frames);
    let (events, lost, totals) = tap.stop().await;
    assert_eq!(totals.frames, [500, 0]);
    let told = events
        .iter()
        .filter(|event| matches!(event.what, What::Frame { .. }))
        .count() as u64;
    assert_eq!(told + lost, 500);
    assert!(told <= 10, "{told}");
}

#[tokio::test]
async fn bodies_of_streams_are_counted_and_what_follows_is_a_frame_again() {
    let tap = Fixture::start(1000, 1 << 20).await;
    let (mut client, mut server) = tap.connect().await;
    let body = noise(2 << 20);
    let mut bytes = Vec::new();
    let stream_id = "/files/x".to_owned();
    let response = StreamResponse {
        stream_id,
        byte_count: body.len() as i64,
    };
    Message::<Bytes>::from(response).encode(&mut bytes).unwrap();
    bytes.extend_from_slice(&body);
    Message::from(RpcRequest {
        request_id: RequestId(5),
        body: b"x",
    })
    .encode(&mut bytes)
    .unwrap();
    assert_eq!(pass(&mut server, &mut client, &bytes, 30_000).await, bytes);
    let (events, lost, totals) = tap.stop().await;
    assert_eq!((lost, totals.frames), (0, [0, 2]));
    let kept: usize = events
        .iter()
        .map(|event| match &event.what {
            What::Frame { excerpt, .. } => excerpt.data.len(),
            _ => 0,
        })
        .sum();
    assert!(kept < 100, "{kept}");
    assert!(
        events
            .iter()
            .any(|event| matches!(event.what, What::Body { length, .. } if length == body.len() as u64))
    );
}

#[tokio::test]
async fn who_comes_while_nobody_is_behind_the_tap_is_turned_away() {
    let tap = Fixture::start(1000, 1 << 20).await;
    let Fixture {
        listener,
        address,
        inlet,
        stop,
        running,
    } = tap;
    drop(listener);
    let client = TcpStream::connect(&address).await.unwrap();
    assert!(end(client).await.map_or(true, |rest| rest.is_empty()));
    let taken = tokio::task::spawn_blocking(move || (inlet.wait(), inlet))
        .await
        .unwrap();
    let what = taken.0.unwrap().event.unwrap().what;
    assert!(matches!(what, What::Unreachable { .. }), "{what:?}");
    let _ = stop.send(());
    assert_eq!(running.await.unwrap().unreachable, 1);
}

#[test]
fn a_recording_is_told_like_the_events_themselves() {
    let mut file = Vec::new();
    let mut recorder = Recorder::new(&mut file, "somewhere:7077").unwrap();
    let mut events = Vec::new();
    for (direction, side) in [(Direction::ToServer, "client"), (Direction::ToClient, "server")] {
        let mut cutter = spark_rpc_inspect::Cutter::new(direction, 1 << 20);
        let bytes = golden(&format!("3.5.9-ref-client-mode-{side}"));
        cutter.feed(&bytes, &mut spark_rpc_inspect::Watch::new(), &mut |piece| {
            events.push(Event {
                connection: 3,
                at: Duration::from_micros(1_234_567),
                what: What::of(direction, piece),
            });
        });
    }
    for event in &events {
        recorder.write(event).unwrap();
    }
    let mut story = Story::new(Style::default());
    let expected: Vec<_> = events.iter().filter_map(|event| story.tell(event)).collect();
    let mut told = Vec::new();
    let story = decode(&file.clone().into(), Style::default(), &mut |one| told.push(one));
    assert_eq!(told, expected);
    assert_eq!(story.problems(), 0);

    // A recording whose writer was killed.
    file.truncate(file.len() - 10);
    let story = decode(&file.into(), Style::default(), &mut |_| {});
    assert_eq!(story.problems(), 1);
}
