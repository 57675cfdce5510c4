//! SASL, where it is allowed.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

use spark_rpc_testkit::ScriptedPeer;
use spark_rpc_transport::TransportConf;
use spark_rpc_transport::auth::sasl::{Protection, SaslClient, SaslClientProof, SaslMessage};
use spark_rpc_transport::auth::{Decryptor, Encryptor};
use spark_rpc_transport::security::{AuthOptions, SaslOptions};
use spark_rpc_wire::RpcResponse;
use tokio::time::Instant;

use crate::security::factory;
use crate::siege::{Siege, expect_failure, expect_response, frame, good, request};
use crate::support::{Handlers, PORT, Seen, hosts, millis, secs, soon};

/// The engine, and SASL with encryption for whoever does not know it.
fn with_sasl() -> AuthOptions {
    AuthOptions {
        sasl: Some(SaslOptions::default()),
        ..AuthOptions::default()
    }
}

fn wrapped(app_id: &str, token: &[u8]) -> Vec<u8> {
    SaslMessage { app_id, token }.encode()
}

/// The first step, and what alice would answer.
async fn begin(peer: &mut ScriptedPeer) -> (SaslClientProof, Vec<u8>) {
    peer.send(request(1, wrapped("alice", b""))).await;
    let challenge = expect_response(peer).await;
    let client = SaslClient::new("alice", &good(), Protection::Encryption);
    client.respond(&challenge).unwrap()
}

/// Does what a client does, by hand.
async fn authenticate(peer: &mut ScriptedPeer) -> (Encryptor, Decryptor) {
    let (proof, response) = begin(peer).await;
    peer.send(request(2, wrapped("alice", &response))).await;
    let last = expect_response(peer).await;
    let session = proof.finish(&last).unwrap();
    session.into_ciphers(1 << 16, 1 << 16).unwrap()
}

#[tokio::test(start_paused = true)]
async fn sasl_steps_out_of_order_or_repeated_are_refused() {
    let siege = Siege::with(with_sasl()).await;
    // The response of another session, recorded: first as the beginning, then behind a new challenge.
    let mut peer = siege.attacker().await;
    peer.send(request(1, wrapped("alice", b""))).await;
    let challenge = expect_response(&mut peer).await;
    let client = SaslClient::new("alice", &good(), Protection::Encryption);
    let (_, response) = client.respond(&challenge).unwrap();
    let mut first = siege.attacker().await;
    first.send(request(1, wrapped("alice", &response))).await;
    expect_failure(&mut first).await;
    first.expect_close().await;

    let mut replay = siege.attacker().await;
    replay.send(request(1, wrapped("alice", b""))).await;
    expect_response(&mut replay).await;
    replay.send(request(2, wrapped("alice", &response))).await;
    expect_failure(&mut replay).await;
    replay.expect_close().await;

    // Half-way, as somebody else.
    peer.send(request(2, wrapped("bob", &response))).await;
    expect_failure(&mut peer).await;
    peer.expect_close().await;
    siege.unharmed().await;
    assert_eq!(siege.heard(), []);
}

#[tokio::test(start_paused = true)]
async fn guesses_are_few_for_one_connection() {
    let options = AuthOptions {
        engine: None,
        ..with_sasl()
    };
    let siege = Siege::with(options).await;
    let mut peer = siege.attacker().await;
    for id in 0..4 {
        peer.send(request(id, "let me in")).await;
        let error = expect_failure(&mut peer).await;
        assert!(error.starts_with("Expected SaslMessage"), "{error}");
    }
    peer.expect_close().await;
    siege.unharmed_and_served_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn every_flipped_bit_of_a_response_that_the_mechanism_covers_is_refused() {
    let siege = Siege::with(with_sasl()).await;
    let mut refused = 0;
    for bit in 0.. {
        let mut peer = siege.attacker().await;
        // The server's nonce makes another one of it each time, of the same length.
        let (_, response) = begin(&mut peer).await;
        let mut message = wrapped("alice", &response);
        let at = bit / 8;
        if at >= message.len() {
            break;
        }
        // Nobody looks at the length of the token, and DIGEST-MD5 does not cover these two, nor the case of names.
        let text = String::from_utf8_lossy(&message[14..]).into_owned();
        let covered = ["charset=utf-8,", "maxbuf=65536,"].iter().all(|directive| {
            let start = 14 + text.find(directive).unwrap();
            !(start..start + directive.len()).contains(&at)
        });
        let new = message[at] ^ 1 << (bit % 8);
        if !covered || (10..14).contains(&at) || new.eq_ignore_ascii_case(&message[at]) {
            continue;
        }
        message[at] = new;
        peer.send(request(2, message)).await;
        expect_failure(&mut peer).await;
        peer.expect_close().await;
        refused += 1;
    }
    assert!(refused > 1500, "{refused}");
    siege.unharmed().await;
    assert_eq!(siege.heard(), []);
}

#[tokio::test(start_paused = true)]
async fn every_flipped_bit_of_a_block_ends_the_connection_before_it_is_handed_in() {
    let siege = Siege::with(with_sasl()).await;
    let mut bit = 0;
    loop {
        let mut peer = siege.attacker().await;
        let (mut encryptor, _) = authenticate(&mut peer).await;
        let mut block = Vec::new();
        encryptor
            .encrypt(&frame(request(3, "hello")), &mut block)
            .unwrap();
        if bit == block.len() * 8 {
            break;
        }
        block[bit / 8] ^= 1 << (bit % 8);
        bit += 1;
        peer.send_raw(block).await;
        // A length that has become longer waits for the rest, until the peer ends.
        peer.half_close().await;
        peer.expect_close().await;
    }
    assert!(bit > 8 * 40, "{bit}");
    siege.unharmed_and_served_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn truncated_repeated_and_swapped_blocks_end_the_connection() {
    let siege = Siege::with(with_sasl()).await;
    let mut whole = usize::MAX;
    let mut length = 0;
    while length < whole {
        let mut peer = siege.attacker().await;
        let (mut encryptor, _) = authenticate(&mut peer).await;
        let mut block = Vec::new();
        encryptor
            .encrypt(&frame(request(3, "hello")), &mut block)
            .unwrap();
        whole = block.len();
        peer.send_raw(&block[..length]).await;
        peer.half_close().await;
        peer.expect_close().await;
        length += 1;
    }
    siege.unharmed_and_served_nothing().await;

    let mut held = Vec::new();
    for order in [[0, 0], [1, 0], [1, 1]] {
        let mut peer = siege.attacker().await;
        let (mut encryptor, _) = authenticate(&mut peer).await;
        let blocks = ["first", "second"].map(|body| {
            let mut block = Vec::new();
            encryptor.encrypt(&frame(request(3, body)), &mut block).unwrap();
            block
        });
        for which in order {
            peer.send_raw(&blocks[which]).await;
        }
        held.push(peer);
    }
    siege.unharmed().await;
    assert_eq!(
        siege.served(),
        [Seen::Request(b"first".to_vec())],
        "before it was repeated"
    );
}

#[tokio::test(start_paused = true)]
async fn blocks_longer_than_any_are_refused_without_waiting_for_them() {
    let siege = Siege::with(with_sasl()).await;
    for length in [0, 8, 17, 1 << 20, 1 << 40, i64::MAX, -1, i64::MIN] {
        let mut peer = siege.attacker().await;
        authenticate(&mut peer).await;
        let began = Instant::now();
        peer.send_length(length).await;
        peer.expect_close().await;
        assert!(began.elapsed() < millis(100), "{length}");
    }
    siege.unharmed_and_served_nothing().await;
}

/// The limit is of the whole handshake: somebody who takes one step in time has no more time for the next.
#[tokio::test(start_paused = true)]
async fn the_second_step_has_what_the_first_has_left_of_the_limit() {
    let conf = TransportConf {
        handshake_timeout: secs(20),
        ..TransportConf::default()
    };
    let siege = Siege::of(conf, &Handlers::echo(), with_sasl()).await;
    let began = Instant::now();
    let mut peer = siege.attacker().await;
    tokio::time::sleep(secs(15)).await;
    begin(&mut peer).await;
    peer.set_patience(secs(60));
    peer.expect_close().await;
    let took = began.elapsed();
    assert!((secs(20)..secs(21)).contains(&took), "{took:?}");
    siege.unharmed_and_served_nothing().await;
}

/// A man in the middle takes from the challenge what he does not like.
#[tokio::test(start_paused = true)]
async fn a_client_that_wants_encryption_is_not_talked_out_of_it() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let options = AuthOptions {
        engine: None,
        ..with_sasl()
    };
    let factory = factory(&hosts, "good", options);
    let middle = async {
        let mut peer = ScriptedPeer::accept(&mut *listener).await;
        let first = crate::support::expect_request(&mut peer).await;
        let weakened =
            "realm=\"default\",nonce=\"abc\",qop=\"auth\",charset=utf-8,cipher=\"3des\",algorithm=md5-sess";
        peer.send(RpcResponse {
            request_id: first.request_id,
            body: weakened.into(),
        })
        .await;
        peer.expect_close().await;
    };
    let (result, ()) = tokio::join!(soon(factory.create_client("server", PORT)), middle);
    let error = result.unwrap_err().to_string();
    assert!(
        error.contains("does not agree to the protection auth-conf"),
        "{error}"
    );
}
