//! Many strangers, and slow ones.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

use allocation_counter::measure;
use spark_rpc_testkit::ScriptedPeer;
use spark_rpc_transport::TransportConf;
use spark_rpc_transport::security::AuthOptions;
use tokio::time::Instant;

use super::challenge;
use crate::log::Log;
use crate::security::factory;
use crate::siege::{Siege, frame, request};
use crate::support::{Handlers, PORT, connect, millis, secs, settle, soon};

#[tokio::test(start_paused = true)]
async fn a_handshake_a_byte_at_a_time_ends_at_the_limit() {
    let log = Log::begin();
    let conf = TransportConf {
        handshake_timeout: secs(20),
        ..TransportConf::default()
    };
    let siege = Siege::of(conf, &Handlers::echo(), AuthOptions::default()).await;
    let (_, challenge) = challenge();
    let mut peer = siege.attacker().await;
    let began = Instant::now();
    for byte in frame(request(1, challenge)) {
        if siege.context.counters().handshakes_failed() > 0 {
            break;
        }
        peer.send_raw([byte]).await;
        tokio::time::sleep(millis(900)).await;
    }
    peer.expect_close().await;
    let took = began.elapsed();
    assert!((secs(20)..secs(22)).contains(&took), "{took:?}");
    assert_eq!(log.with("spark.rpc.io.handshakeTimeout").len(), 1);
    siege.unharmed().await;
    assert_eq!(siege.heard(), []);
}

#[tokio::test(start_paused = true)]
async fn half_open_connections_are_few_and_let_others_in() {
    let conf = TransportConf {
        // Connecting so often takes a while even here.
        handshake_timeout: secs(3600),
        max_unauthenticated: 300,
        max_unauthenticated_per_address: 100,
        ..TransportConf::default()
    };
    let log = Log::begin();
    let siege = Siege::of(conf, &Handlers::echo(), AuthOptions::default()).await;
    let Siege { hosts, context, .. } = &siege;
    let attacker = hosts.net.host("attacker");
    let mut held = Vec::new();
    for _ in 0..10_000 {
        held.push(ScriptedPeer::connect(&attacker, "server", PORT).await);
    }
    settle().await;
    assert_eq!(context.counters().handshakes_refused(), 9_900);
    assert_eq!(
        log.with("spark.rpc.io.maxUnauthenticatedPerAddress").len(),
        1,
        "said once"
    );

    // Another address comes in meanwhile.
    let client_side = factory(hosts, "good", AuthOptions::default());
    let client = connect(&client_side).await;
    assert_eq!(soon(client.send_rpc(b"hello", None)).await.unwrap(), "hello");

    // Of those who come from many addresses, the bound on all keeps most out.
    for number in 0..10 {
        let bot = hosts.net.host(&format!("bot-{number}"));
        for _ in 0..100 {
            held.push(ScriptedPeer::connect(&bot, "server", PORT).await);
        }
    }
    settle().await;
    assert_eq!(context.counters().handshakes_refused(), 9_900 + 800);

    // In the end they are thrown out, and their places are free.
    tokio::time::sleep(secs(3601)).await;
    assert_eq!(context.counters().handshakes_failed(), 300);
    let late_side = factory(hosts, "good", AuthOptions::default());
    let late = connect(&late_side).await;
    assert_eq!(soon(late.send_rpc(b"hello", None)).await.unwrap(), "hello");
    assert_eq!(soon(client.send_rpc(b"still", None)).await.unwrap(), "still");
    siege.innocent_is_served().await;
}

/// Where the limits let all of them in, each half-open connection costs little, and nothing once it is over.
#[test]
fn ten_thousand_half_open_connections_cost_little_memory_and_give_it_back() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let conf = TransportConf {
        handshake_timeout: secs(3600),
        max_unauthenticated: 20_000,
        max_unauthenticated_per_address: 20_000,
        ..TransportConf::default()
    };
    let siege = runtime.block_on(Siege::of(conf, &Handlers::echo(), AuthOptions::default()));
    let mut held = Vec::with_capacity(2 * CROWD);
    let mut wave = |last: bool| {
        let open = measure(|| {
            runtime.block_on(async {
                let bytes = frame(request(1, challenge().1));
                for _ in 0..CROWD {
                    let mut peer = siege.attacker().await;
                    // All but the last byte: as much as the server may have to keep.
                    peer.send_raw(&bytes[..bytes.len() - 1]).await;
                    held.push(peer);
                }
                settle().await;
                siege.innocent_is_served().await;
            });
        });
        let over = measure(|| {
            runtime.block_on(async {
                tokio::time::sleep(secs(3601)).await;
                held.clear();
                siege.unharmed_and_served_nothing().await;
            });
        });
        if last {
            let each = open.bytes_current / CROWD as i64;
            assert!(
                each < MOST_EACH,
                "{each} bytes each, both ends and the network between them"
            );
            let left = open.bytes_current + over.bytes_current;
            assert!(left < LEFT, "{left} of {} bytes are left", open.bytes_current);
        }
    };
    // The network in memory keeps the last of what has happened; afterwards that grows no more.
    wave(false);
    wave(true);
    assert_eq!(siege.context.counters().handshakes_failed(), 2 * CROWD as u64);
}

const CROWD: usize = 10_000;
/// A task with its handshake, and what the test's own network and peer need.
const MOST_EACH: i64 = 8 * 1024;
const LEFT: i64 = 1 << 20;

#[tokio::test(start_paused = true)]
async fn a_flood_of_half_handshakes_leaves_the_connections_of_others_alone() {
    let siege = Siege::begin().await;
    for _ in 0..50 {
        let mut peer = siege.attacker().await;
        peer.send_raw(b"GET / HTTP/1.1\r\n\r\n").await;
        peer.expect_close().await;
        siege.innocent_is_served().await;
    }
    siege.unharmed_and_served_nothing().await;
}
