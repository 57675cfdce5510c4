//! One seed, one course of events.

// tidy: allow-file(sleep): every runtime here starts with its clock paused, so a sleep only moves virtual time.

use std::time::Duration;

use spark_rpc_net::{Listener, Network, SocketOptions, Stream};
use spark_rpc_testkit::{Crash, MemoryNetwork, MemorySettings, Rng, TraceEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Lets three hosts talk to a fourth, through random faults, and returns what happened.
fn run(seed: u64) -> (Vec<TraceEvent>, u64, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let net = MemoryNetwork::new(seed);
        let server = net.host("server");
        let mut listener = server
            .bind("0.0.0.0", 1, &SocketOptions::default())
            .await
            .unwrap();
        let mut clients = JoinSet::new();
        for number in 0..3u8 {
            let host = net.host(&format!("client-{number}"));
            clients.spawn(async move {
                for _ in 0..5 {
                    let Ok(mut stream) = host.connect("server", 1, &SocketOptions::default()).await else {
                        return;
                    };
                    if stream.write_all(&[number; 3000]).await.is_err() {
                        continue;
                    }
                    let _ = stream.read_u8().await;
                }
            });
        }
        // The order in which bytes of different connections get here.
        let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let mut stream = listener.accept().await.unwrap();
                let arrived = arrived.clone();
                connections.spawn(async move {
                    let mut buf = [0; 3000];
                    while let Ok(1..) = stream.read(&mut buf).await {
                        arrived.send(buf[0]).unwrap();
                    }
                });
            }
        });
        let mut rng = Rng::new(seed);
        for _ in 0..20 {
            tokio::time::sleep(rng.duration(&(MS..10 * MS))).await;
            let client = format!("client-{}", rng.below(3));
            match rng.below(3) {
                0 => net.partition(&[&client], &["server"]),
                1 => net.heal(),
                _ => net.cut(&client, "server"),
            }
        }
        net.heal();
        net.crash("client-0", Crash::PROCESS);
        // The clients wait for an answer that never comes; a crash ends it.
        net.crash("server", Crash::PROCESS);
        while clients.join_next().await.is_some() {}
        serving.abort();
        let mut order = Vec::new();
        while let Ok(number) = arrivals.try_recv() {
            order.push(number);
        }
        (net.trace(), net.trace_digest(), order)
    })
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn the_same_seed_gives_the_same_course_of_events() {
    for seed in 0..20 {
        let (first, second) = (run(seed), run(seed));
        assert!(first.0.len() > 50, "{} events are few", first.0.len());
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn different_seeds_give_different_interleavings() {
    let mut orders: Vec<_> = (0..20).map(|seed| run(seed).2).collect();
    let mut digests: Vec<_> = (0..20).map(|seed| run(seed).1).collect();
    orders.sort();
    orders.dedup();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 20);
    assert!(orders.len() > 15, "{} orders of arrival", orders.len());
}

/// Whatever comes in whatever order: bytes arrive unharmed and in order, and nothing is left at the end.
#[test]
fn any_sequence_of_uses_and_faults_leaves_nothing_behind() {
    for seed in 0..300 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(any_sequence(seed));
    }
}

/// A stream, and how many bytes went out and came in; the n-th byte of each direction is n.
struct Counting {
    stream: Box<dyn Stream>,
    sent: usize,
    received: usize,
}

async fn any_sequence(seed: u64) {
    let mut rng = Rng::new(seed ^ 0x5eed);
    let reset_on_heal = rng.percent(50);
    let net = MemoryNetwork::with_settings(
        seed,
        MemorySettings {
            send_buffer: 100,
            reset_on_heal,
            ..MemorySettings::default()
        },
    );
    let names = ["a", "b", "c"];
    let mut hosts = names.map(|name| net.host(name));
    let mut down = [false; 3];
    let mut listeners: Vec<Box<dyn Listener>> = Vec::new();
    let mut streams: Vec<Counting> = Vec::new();
    let mut pick = |bound: usize| usize::try_from(rng.below(bound as u64)).unwrap();

    for _ in 0..200 {
        let patience = MS * u32::try_from(pick(15)).unwrap();
        let (x, y) = (pick(3), pick(3));
        match pick(16) {
            0 | 1 => {
                let options = SocketOptions {
                    backlog: Some(1),
                    ..SocketOptions::default()
                };
                listeners.extend(hosts[x].bind(names[x], 1, &options).await.ok());
            }
            2..=4 => {
                let options = SocketOptions::default();
                let connecting = hosts[x].connect(names[y], 1, &options);
                let connected = timeout(patience, connecting).await.ok().and_then(Result::ok);
                streams.extend(connected.map(|stream| Counting {
                    stream,
                    sent: 0,
                    received: 0,
                }));
            }
            5 | 6 if !listeners.is_empty() => {
                let listener = pick(listeners.len());
                let accepted = timeout(patience, listeners[listener].accept()).await.ok();
                streams.extend(accepted.map(|stream| Counting {
                    stream: stream.unwrap(),
                    sent: 0,
                    received: 0,
                }));
            }
            7 | 8 if !streams.is_empty() => {
                let at = pick(streams.len());
                let Counting { stream, sent, .. } = &mut streams[at];
                let bytes: Vec<u8> = (*sent..*sent + pick(150)).map(|n| n as u8).collect();
                if let Ok(Ok(written)) = timeout(patience, stream.write(&bytes)).await {
                    *sent += written;
                }
            }
            9 | 10 if !streams.is_empty() => {
                let at = pick(streams.len());
                let Counting { stream, received, .. } = &mut streams[at];
                let mut buf = [0; 150];
                if let Ok(Ok(length)) = timeout(patience, stream.read(&mut buf)).await {
                    for byte in &buf[..length] {
                        assert_eq!(*byte, *received as u8, "seed {seed}");
                        *received += 1;
                    }
                }
            }
            11 if !streams.is_empty() => {
                let mut closed = streams.swap_remove(pick(streams.len()));
                match pick(3) {
                    0 => closed.stream.reset_on_drop().unwrap(),
                    1 => drop(closed.stream.shutdown().await),
                    _ => {}
                }
            }
            12 if !listeners.is_empty() => drop(listeners.swap_remove(pick(listeners.len()))),
            13 => net.partition(&[names[x]], &[names[y]]),
            14 if pick(2) == 0 => net.heal(),
            14 => net.cut(names[x], names[y]),
            15 if down[x] => {
                hosts[x] = net.restart(names[x]);
                down[x] = false;
            }
            15 => {
                net.crash(names[x], [Crash::PROCESS, Crash::POWER_LOSS][pick(2)]);
                down[x] = true;
            }
            _ => {}
        }
    }
    drop((streams, listeners));
    net.heal();
    for x in 0..3 {
        if down[x] {
            net.restart(names[x]);
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await; // For what is on its way.
    assert_eq!(net.open_connections(), 0, "seed {seed}");
}
