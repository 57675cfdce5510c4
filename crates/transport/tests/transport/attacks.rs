//! Strangers who do not follow the rules. Each ends in a refusal; nobody else notices.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

mod crowds;
mod records;
mod sasl;
pub(crate) mod tls;

use bytes::Bytes;
use spark_rpc_testkit::ScriptedPeer;
use spark_rpc_transport::auth::engine::{ClientHandshake, EngineVersion, SessionCipher};
use spark_rpc_transport::auth::{Decryptor, Encryptor, Secret};
use spark_rpc_transport::security::AuthOptions;
use spark_rpc_transport::{ManagedBuffer, StreamManager, TransportClient, TransportConf};
use spark_rpc_wire::{
    ChunkFetchFailure, ChunkFetchRequest, ChunkFetchSuccess, MergedBlockMetaRequest, Message, OneWayMessage,
    RequestId, RpcFailure, RpcResponse, StreamChunkId, StreamFailure, StreamRequest, StreamResponse,
    UploadStream,
};
use tokio::time::Instant;

use crate::log::Log;
use crate::security::factory;
use crate::siege::{Siege, expect_failure, expect_response, frame, good, request};
use crate::support::{Handlers, PORT, Seen, hosts, millis, secs, soon};

/// Does what a client does, by hand.
pub(crate) async fn authenticate(
    peer: &mut ScriptedPeer,
    user: &str,
    secret: &str,
) -> (Encryptor, Decryptor) {
    let secret = Secret::new(secret).unwrap();
    let (client, challenge) = ClientHandshake::start(user, &secret, EngineVersion::V2).unwrap();
    peer.send(request(1, challenge)).await;
    let response = expect_response(peer).await;
    client
        .finish(&response)
        .unwrap()
        .into_ciphers(SessionCipher::AesGcm)
}

/// A good challenge of alice's.
fn challenge() -> (ClientHandshake, Vec<u8>) {
    ClientHandshake::start("alice", &good(), EngineVersion::V2).unwrap()
}

/// Streams that nobody may see.
struct Secrets;

impl StreamManager for Secrets {
    fn get_chunk(&self, _: &TransportClient, id: StreamChunkId) -> Result<ManagedBuffer, String> {
        panic!("the chunk {id:?} is served to a stranger")
    }

    fn open_stream(&self, _: &TransportClient, stream_id: &str) -> Result<ManagedBuffer, String> {
        panic!("the stream {stream_id} is served to a stranger")
    }
}

/// AUTH-07
#[tokio::test(start_paused = true)]
async fn before_authentication_every_kind_of_message_is_refused_and_ends_the_connection() {
    let handlers = Handlers::echo().with_streams(Secrets);
    let siege = Siege::of(TransportConf::default(), &handlers, AuthOptions::default()).await;
    let chunk = StreamChunkId {
        stream_id: 1,
        chunk_index: 0,
    };
    let id = RequestId(9);
    let body = Bytes::from_static(b"let me in");
    let kinds: Vec<Message<Bytes>> = vec![
        request(9, body.clone()).into(),
        request(9, Bytes::new()).into(),
        OneWayMessage { body: body.clone() }.into(),
        StreamRequest {
            stream_id: "x".into(),
        }
        .into(),
        ChunkFetchRequest { chunk }.into(),
        UploadStream {
            request_id: id,
            meta: body.clone(),
            byte_count: 1 << 40,
        }
        .into(),
        MergedBlockMetaRequest {
            request_id: id,
            app_id: "app".into(),
            shuffle_id: 0,
            shuffle_merge_id: 0,
            reduce_id: 0,
        }
        .into(),
        RpcResponse {
            request_id: id,
            body: body.clone(),
        }
        .into(),
        RpcFailure {
            request_id: id,
            error: "no".into(),
        }
        .into(),
        ChunkFetchSuccess {
            chunk,
            body: body.clone(),
        }
        .into(),
        ChunkFetchFailure {
            chunk,
            error: "no".into(),
        }
        .into(),
        StreamResponse {
            stream_id: "x".into(),
            byte_count: 1 << 40,
        }
        .into(),
        StreamFailure {
            stream_id: "x".into(),
            error: "no".into(),
        }
        .into(),
    ];
    let count = kinds.len() as u64;
    for message in kinds {
        let text = format!("{message:?}");
        let mut peer = siege.attacker().await;
        peer.send(message.clone()).await;
        // Whoever waits for an answer gets one that it understands.
        match message {
            Message::RpcRequest(_) | Message::UploadStream(_) | Message::MergedBlockMetaRequest(_) => {
                let Message::RpcFailure(failure) = peer.expect_frame().await else {
                    panic!("{text}")
                };
                assert_eq!(failure.request_id, id, "{text}");
            }
            Message::StreamRequest(_) => {
                assert!(matches!(peer.expect_frame().await, Message::StreamFailure(_)));
            }
            Message::ChunkFetchRequest(_) => {
                assert!(matches!(peer.expect_frame().await, Message::ChunkFetchFailure(_)));
            }
            _ => {}
        }
        peer.expect_close().await;
    }
    siege.unharmed().await;
    assert_eq!(siege.heard(), [], "not even the event of a connection");
    assert_eq!(siege.context.counters().handshakes_failed(), count);
}

#[tokio::test(start_paused = true)]
async fn a_request_behind_the_challenge_is_not_served() {
    let siege = Siege::begin().await;
    let (_, challenge) = ClientHandshake::start("alice", &good(), EngineVersion::V2).unwrap();
    let mut peer = siege.attacker().await;
    // All in one piece: a challenge by somebody who knows the secret, and by somebody in between a request in the clear.
    let mut bytes = frame(request(1, challenge));
    bytes.extend(frame(request(2, "smuggled")));
    peer.send_raw(bytes).await;
    assert!(matches!(peer.expect_frame().await, Message::RpcResponse(_)));
    peer.expect_close().await;
    siege.unharmed_and_served_nothing().await;
}

/// ENGINE-04
#[tokio::test(start_paused = true)]
async fn a_replayed_handshake_gains_nothing() {
    let siege = Siege::begin().await;
    let (client, challenge) = ClientHandshake::start("alice", &good(), EngineVersion::V2).unwrap();
    let challenge = frame(request(1, challenge));
    let mut peer = siege.attacker().await;
    peer.send_raw(&challenge).await;
    let response = expect_response(&mut peer).await;
    let (mut encryptor, _) = client
        .finish(&response)
        .unwrap()
        .into_ciphers(SessionCipher::AesGcm);
    let mut record = Vec::new();
    encryptor
        .encrypt(&frame(request(2, "once")), &mut record)
        .unwrap();
    peer.send_raw(&record).await;
    siege
        .handlers
        .record
        .until_seen(Seen::Request(b"once".to_vec()))
        .await;

    // All that was seen on the wire, once more: the server's key is another one now.
    let mut again = siege.attacker().await;
    again.send_raw([challenge, record].concat()).await;
    assert!(matches!(again.expect_frame().await, Message::RpcResponse(_)));
    again.expect_close().await;
    assert_eq!(siege.served(), [Seen::Request(b"once".to_vec())]);
    drop(peer);
    siege.unharmed().await;
}

/// What may be seen on a wire and sent again, in another order than it came.
#[tokio::test(start_paused = true)]
async fn messages_of_a_handshake_in_another_order_are_refused() {
    let siege = Siege::begin().await;
    let mut peer = siege.attacker().await;
    let (client, first) = challenge();
    peer.send(request(1, first.clone())).await;
    let response = expect_response(&mut peer).await;
    let (mut encryptor, _) = client
        .finish(&response)
        .unwrap()
        .into_ciphers(SessionCipher::AesGcm);
    let mut record = Vec::new();
    encryptor
        .encrypt(&frame(request(2, "too early")), &mut record)
        .unwrap();

    // The server's own answer, as if it were a challenge: it is made under another transcript.
    let mut reflecting = siege.attacker().await;
    reflecting.send(request(1, response)).await;
    assert_eq!(expect_failure(&mut reflecting).await, "Authentication failed.");
    reflecting.expect_close().await;

    // The encrypted part first, then the challenge.
    let mut early = siege.attacker().await;
    early
        .send_raw([record, frame(request(1, first.clone()))].concat())
        .await;
    early.expect_close().await;

    // The challenge twice: the second one is not in the clear any more.
    let mut twice = siege.attacker().await;
    let bytes = frame(request(1, first));
    twice.send_raw([bytes.clone(), bytes].concat()).await;
    expect_response(&mut twice).await;
    twice.expect_close().await;

    drop(peer);
    siege.unharmed_and_served_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_handshake_in_a_live_session_is_a_request_like_any_other() {
    let siege = Siege::begin().await;
    let mut peer = siege.attacker().await;
    let (mut encryptor, mut decryptor) = authenticate(&mut peer, "alice", "good").await;
    let other = Secret::new("other").unwrap();
    let (_, challenge) = ClientHandshake::start("bob", &other, EngineVersion::V2).unwrap();
    let mut sealed = Vec::new();
    encryptor
        .encrypt(&frame(request(2, challenge.clone())), &mut sealed)
        .unwrap();
    peer.send_raw(sealed).await;
    // The handler gets it and, being an echo, sends it back; nobody has become bob.
    siege
        .handlers
        .record
        .until_seen(Seen::Request(challenge.clone()))
        .await;
    let expected = frame(RpcResponse {
        request_id: RequestId(2),
        body: challenge.into(),
    });
    let mut plain = Vec::new();
    while plain.len() < expected.len() {
        let piece = peer.expect_raw(1).await;
        decryptor
            .decrypt(&mut &piece[..], &mut plain, usize::MAX)
            .unwrap();
    }
    assert_eq!(plain, expected);
    drop(peer);
    siege.unharmed().await;
}

#[tokio::test(start_paused = true)]
async fn every_flipped_bit_of_a_challenge_is_refused() {
    let siege = Siege::begin().await;
    let (_, challenge) = ClientHandshake::start("alice", &good(), EngineVersion::V2).unwrap();
    for bit in 0..challenge.len() * 8 {
        let mut altered = challenge.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let mut peer = siege.attacker().await;
        peer.send(request(1, altered)).await;
        assert!(
            matches!(peer.expect_frame().await, Message::RpcFailure(_)),
            "bit {bit}"
        );
        peer.expect_close().await;
    }
    siege.unharmed().await;
    assert_eq!(siege.heard(), []);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_with_any_other_tag_or_length_is_refused() {
    let siege = Siege::begin().await;
    let (_, good) = challenge();
    let mut wrong = Vec::new();
    for tag in (0..=255).filter(|tag| *tag != good[0]) {
        wrong.push([&[tag], &good[1..]].concat());
    }
    // The lengths of app id, salt and ciphertext.
    let after_id = 5 + "alice".len();
    for at in [1, after_id, after_id + 4 + 16] {
        for length in [0, 1, 4096, 1 << 30, i32::MAX, -1, i32::MIN] {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
            wrong.push(bytes);
        }
    }
    wrong.push([&good[..], b"!"].concat());
    wrong.extend((0..good.len()).map(|length| good[..length].to_vec()));
    for challenge in wrong {
        let mut peer = siege.attacker().await;
        peer.send(request(1, challenge)).await;
        expect_failure(&mut peer).await;
        peer.expect_close().await;
    }
    siege.unharmed().await;
    assert_eq!(siege.heard(), []);
}

#[tokio::test(start_paused = true)]
async fn announced_lengths_beyond_a_handshake_are_refused_without_waiting_for_them() {
    let siege = Siege::begin().await;
    for length in [8 * 1024, 1 << 20, (1 << 31) - 2, i64::MAX - 8, -8, -9, i64::MIN] {
        let mut peer = siege.attacker().await;
        let began = Instant::now();
        peer.send_length(length).await;
        peer.expect_close().await;
        assert!(began.elapsed() < millis(100), "{length}");
    }
    // The longest message that a handshake may have is waited for, and no longer than the limit.
    let mut peer = siege.attacker().await;
    peer.send_length(4096).await;
    peer.expect_silence(secs(9)).await;
    drop(peer);
    siege.unharmed_and_served_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_and_stays_is_put_out_and_the_log_says_why() {
    let siege = Siege::begin().await;
    let log = Log::begin();
    for (message, reason) in [
        (Message::from(request(1, "let me in")), "without authentication"),
        (
            OneWayMessage {
                body: "let me in".into(),
            }
            .into(),
            "unauthenticated peer sent a OneWayMessage",
        ),
    ] {
        let mut stays = siege.attacker().await;
        stays.send(message).await;
        // A tenth of the time that a handshake may take.
        tokio::time::sleep(secs(3)).await;
        assert_eq!(log.with(reason).len(), 1, "{:?}", log.with("not authenticated"));
        drop(stays);
    }
    assert_eq!(siege.context.counters().handshakes_failed(), 2);
    siege.unharmed_and_served_nothing().await;
}

/// A man in the middle says that the server does not know the auth engine.
#[tokio::test(start_paused = true)]
async fn a_client_does_not_fall_back_unless_it_was_told_so() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = factory(&hosts, "good", AuthOptions::default());
    let middle = async {
        let mut peer = ScriptedPeer::accept(&mut *listener).await;
        let first = crate::support::expect_request(&mut peer).await;
        peer.send(RpcFailure {
            request_id: first.request_id,
            error: "Expected SaslMessage, received something else\n\tat a.B.c(D.java:1)".into(),
        })
        .await;
        peer.expect_close().await;
    };
    let (result, ()) = tokio::join!(soon(factory.create_client("server", PORT)), middle);
    let error = result.unwrap_err().to_string();
    assert!(
        error
            .contains("the peer refuses: Expected SaslMessage, received something else (it speaks SASL only"),
        "{error}"
    );
}
