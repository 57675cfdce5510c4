//! Records of AES-GCM that were altered, cut off or made up on the way.

use allocation_counter::measure;
use spark_rpc_transport::TransportConf;
use spark_rpc_transport::security::AuthOptions;

use super::authenticate;
use crate::siege::{Siege, frame, request};
use crate::support::{Handlers, Seen, settle};

#[tokio::test(start_paused = true)]
async fn every_flipped_bit_of_a_record_ends_the_connection_before_it_is_handed_in() {
    let siege = Siege::begin().await;
    let sealed_frame = frame(request(2, "hello"));
    let bits = (8 + 24 + sealed_frame.len() + 16) * 8;
    for bit in 0..bits {
        let mut peer = siege.attacker().await;
        let (mut encryptor, _) = authenticate(&mut peer, "alice", "good").await;
        let mut record = Vec::new();
        encryptor.encrypt(&sealed_frame, &mut record).unwrap();
        assert_eq!(record.len() * 8, bits);
        record[bit / 8] ^= 1 << (bit % 8);
        peer.send_raw(record).await;
        // A length that has become longer waits for the rest, until the peer ends.
        peer.half_close().await;
        peer.expect_close().await;
    }
    siege.unharmed_and_served_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn every_truncated_record_ends_the_connection_before_it_is_handed_in() {
    let siege = Siege::begin().await;
    let sealed_frame = frame(request(2, "hello"));
    let whole = 8 + 24 + sealed_frame.len() + 16;
    for length in 0..whole {
        let mut peer = siege.attacker().await;
        let (mut encryptor, _) = authenticate(&mut peer, "alice", "good").await;
        let mut record = Vec::new();
        encryptor.encrypt(&sealed_frame, &mut record).unwrap();
        peer.send_raw(&record[..length]).await;
        peer.half_close().await;
        peer.expect_close().await;
    }
    siege.unharmed_and_served_nothing().await;
    // Only an end between two records is an end in order.
    let told =
        |seen: &Seen| matches!(seen, Seen::Caught(text) if text.contains("within an encrypted record"));
    assert_eq!(siege.handlers.record.count(told), whole - 1);
}

/// AUTH-06
#[tokio::test(start_paused = true)]
async fn good_records_before_a_bad_one_are_handed_in_and_none_behind_it() {
    let siege = Siege::begin().await;
    let mut peer = siege.attacker().await;
    let (mut encryptor, _) = authenticate(&mut peer, "alice", "good").await;
    let mut wire = Vec::new();
    encryptor.encrypt(&frame(request(2, "one")), &mut wire).unwrap();
    let second = wire.len();
    encryptor.encrypt(&frame(request(3, "two")), &mut wire).unwrap();
    let last = wire.len();
    encryptor.encrypt(&frame(request(4, "three")), &mut wire).unwrap();
    wire[last - 1] ^= 1;
    assert!(second < last);
    peer.send_raw(wire).await;
    peer.expect_close().await;
    siege.unharmed().await;
    assert_eq!(siege.served(), [Seen::Request(b"one".to_vec())]);
}

#[tokio::test(start_paused = true)]
async fn lengths_that_no_record_has_end_the_connection() {
    let siege = Siege::begin().await;
    // The shortest header is 32 bytes, and a last segment has a tag.
    for length in [0, 1, 31, 33, 47, -1, i64::MIN, i64::MAX] {
        let mut peer = siege.attacker().await;
        authenticate(&mut peer, "alice", "good").await;
        peer.send_raw(length.to_be_bytes()).await;
        peer.send_raw([24]).await;
        peer.send_raw([7; 64]).await;
        peer.half_close().await;
        peer.expect_close().await;
    }
    siege.unharmed_and_served_nothing().await;
}

/// A peer that knows the secret, or one who alters lengths on the way.
#[test]
fn a_long_record_that_was_only_announced_costs_next_to_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut left = None;
    let memory = measure(|| {
        left = Some(runtime.block_on(async {
            let siege = Siege::of(
                TransportConf::default(),
                &Handlers::echo(),
                AuthOptions::default(),
            )
            .await;
            let mut peers = Vec::new();
            for _ in 0..10 {
                let mut peer = siege.attacker().await;
                authenticate(&mut peer, "alice", "good").await;
                peer.send_raw((1_i64 << 40).to_be_bytes()).await;
                peer.send_raw([24]).await;
                peer.send_raw([7; 1000]).await;
                peers.push(peer);
            }
            settle().await;
            (siege, peers)
        }));
    });
    assert!(memory.bytes_max < 10 << 20, "{memory:?}");
    let (siege, peers) = left.unwrap();
    runtime.block_on(async {
        drop(peers);
        siege.unharmed_and_served_nothing().await;
    });
}
