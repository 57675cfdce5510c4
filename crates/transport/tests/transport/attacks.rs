//! Strangers who do not follow the rules. Each ends in a refusal; nobody else notices.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

use bytes::Bytes;
use spark_rpc_testkit::ScriptedPeer;
use spark_rpc_transport::auth::engine::{ClientHandshake, EngineVersion, SessionCipher};
use spark_rpc_transport::auth::sasl::{Protection, SaslClient, SaslMessage};
use spark_rpc_transport::auth::{Decryptor, Encryptor, Secret};
use spark_rpc_transport::security::{AuthOptions, SaslOptions};
use spark_rpc_transport::{ManagedBuffer, StreamManager, TransportClient, TransportConf};
use spark_rpc_wire::{
    ChunkFetchFailure, ChunkFetchRequest, ChunkFetchSuccess, MergedBlockMetaRequest, Message, OneWayMessage,
    RequestId, RpcFailure, RpcRequest, RpcResponse, StreamChunkId, StreamFailure, StreamRequest,
    StreamResponse, UploadStream,
};
use tokio::time::Instant;

use crate::log::Log;
use crate::security::{factory, serve};
use crate::support::{Handlers, PORT, Seen, connect, hosts, millis, secs, settle, soon};

pub(crate) fn frame(message: impl Into<Message<Bytes>>) -> Vec<u8> {
    let mut out = Vec::new();
    message.into().encode(&mut out).unwrap();
    out
}

fn request(id: i64, body: impl Into<Bytes>) -> RpcRequest<Bytes> {
    RpcRequest {
        request_id: RequestId(id),
        body: body.into(),
    }
}

/// Does what a client does, by hand.
pub(crate) async fn authenticate(
    peer: &mut ScriptedPeer,
    user: &str,
    secret: &str,
) -> (Encryptor, Decryptor) {
    let secret = Secret::new(secret).unwrap();
    let (client, challenge) = ClientHandshake::start(user, &secret, EngineVersion::V2).unwrap();
    peer.send(request(1, challenge)).await;
    let Message::RpcResponse(response) = peer.expect_frame().await else {
        panic!("expected the response to the challenge")
    };
    client
        .finish(&response.body)
        .unwrap()
        .into_ciphers(SessionCipher::AesGcm)
}

fn no_requests(handlers: &Handlers) {
    let seen = handlers.record.all();
    let served = seen
        .iter()
        .any(|seen| matches!(seen, Seen::Request(_) | Seen::OneWay(_)));
    assert!(!served, "{seen:?}");
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
    let hosts = hosts();
    let handlers = Handlers::echo().with_streams(Secrets);
    let (context, server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
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
        let mut peer = hosts.raw_client().await;
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
    settle().await;
    assert_eq!(handlers.record.all(), [], "not even the event of a connection");
    assert_eq!(server.connections(), 0);
    assert_eq!(context.counters().handshakes_failed(), count);
}

#[tokio::test(start_paused = true)]
async fn a_request_behind_the_challenge_is_not_served() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, _server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    let secret = Secret::new("good").unwrap();
    let (_, challenge) = ClientHandshake::start("alice", &secret, EngineVersion::V2).unwrap();
    let mut peer = hosts.raw_client().await;
    // All in one piece: a challenge by somebody who knows the secret, and by somebody in between a request in the clear.
    let mut bytes = frame(request(1, challenge));
    bytes.extend(frame(request(2, "smuggled")));
    peer.send_raw(bytes).await;
    assert!(matches!(peer.expect_frame().await, Message::RpcResponse(_)));
    peer.expect_close().await;
    no_requests(&handlers);
}

/// ENGINE-04
#[tokio::test(start_paused = true)]
async fn a_replayed_handshake_gains_nothing() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, _server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    let secret = Secret::new("good").unwrap();
    let (client, challenge) = ClientHandshake::start("alice", &secret, EngineVersion::V2).unwrap();
    let challenge = frame(request(1, challenge));
    let mut peer = hosts.raw_client().await;
    peer.send_raw(&challenge).await;
    let Message::RpcResponse(response) = peer.expect_frame().await else {
        panic!()
    };
    let (mut encryptor, _) = client
        .finish(&response.body)
        .unwrap()
        .into_ciphers(SessionCipher::AesGcm);
    let mut record = Vec::new();
    encryptor
        .encrypt(&frame(request(2, "once")), &mut record)
        .unwrap();
    peer.send_raw(&record).await;
    handlers.record.until_seen(Seen::Request(b"once".to_vec())).await;

    // All that was seen on the wire, once more: the server's key is another one now.
    let mut again = hosts.raw_client().await;
    again.send_raw([challenge, record].concat()).await;
    assert!(matches!(again.expect_frame().await, Message::RpcResponse(_)));
    again.expect_close().await;
    assert_eq!(
        handlers
            .record
            .count(|seen| *seen == Seen::Request(b"once".to_vec())),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_handshake_in_a_live_session_is_a_request_like_any_other() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, _server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    let mut peer = hosts.raw_client().await;
    let (mut encryptor, mut decryptor) = authenticate(&mut peer, "alice", "good").await;
    let other = Secret::new("other").unwrap();
    let (_, challenge) = ClientHandshake::start("bob", &other, EngineVersion::V2).unwrap();
    let mut sealed = Vec::new();
    encryptor
        .encrypt(&frame(request(2, challenge.clone())), &mut sealed)
        .unwrap();
    peer.send_raw(sealed).await;
    // The handler gets it and, being an echo, sends it back; nobody has become bob.
    handlers.record.until_seen(Seen::Request(challenge.clone())).await;
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
}

#[tokio::test(start_paused = true)]
async fn every_flipped_bit_of_a_challenge_is_refused() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    let secret = Secret::new("good").unwrap();
    let (_, challenge) = ClientHandshake::start("alice", &secret, EngineVersion::V2).unwrap();
    for bit in 0..challenge.len() * 8 {
        let mut altered = challenge.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let mut peer = hosts.raw_client().await;
        peer.send(request(1, altered)).await;
        assert!(
            matches!(peer.expect_frame().await, Message::RpcFailure(_)),
            "bit {bit}"
        );
        peer.expect_close().await;
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(handlers.record.all(), []);
}

#[tokio::test(start_paused = true)]
async fn every_flipped_bit_of_a_record_ends_the_connection_before_it_is_handed_in() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    let sealed_frame = frame(request(2, "hello"));
    let bits = (8 + 24 + sealed_frame.len() + 16) * 8;
    for bit in 0..bits {
        let mut peer = hosts.raw_client().await;
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
    settle().await;
    assert_eq!(server.connections(), 0);
    no_requests(&handlers);
}

#[tokio::test(start_paused = true)]
async fn every_truncated_record_ends_the_connection_before_it_is_handed_in() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    let sealed_frame = frame(request(2, "hello"));
    let whole = 8 + 24 + sealed_frame.len() + 16;
    for length in 0..whole {
        let mut peer = hosts.raw_client().await;
        let (mut encryptor, _) = authenticate(&mut peer, "alice", "good").await;
        let mut record = Vec::new();
        encryptor.encrypt(&sealed_frame, &mut record).unwrap();
        peer.send_raw(&record[..length]).await;
        peer.half_close().await;
        peer.expect_close().await;
    }
    settle().await;
    assert_eq!(server.connections(), 0);
    no_requests(&handlers);
    // Only an end between two records is an end in order.
    let told =
        |seen: &Seen| matches!(seen, Seen::Caught(text) if text.contains("within an encrypted record"));
    assert_eq!(handlers.record.count(told), whole - 1);
}

/// AUTH-06
#[tokio::test(start_paused = true)]
async fn good_records_before_a_bad_one_are_handed_in_and_none_behind_it() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, _server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    let mut peer = hosts.raw_client().await;
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
    handlers.record.until_seen(Seen::Inactive).await;
    let requests: Vec<_> = handlers
        .record
        .all()
        .into_iter()
        .filter(|seen| matches!(seen, Seen::Request(_)))
        .collect();
    assert_eq!(requests, [Seen::Request(b"one".to_vec())]);
}

#[tokio::test(start_paused = true)]
async fn announced_lengths_beyond_a_handshake_are_refused_without_waiting_for_them() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, _server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    for length in [8 * 1024, 1 << 20, (1 << 31) - 2, i64::MAX - 8, -8, -9, i64::MIN] {
        let mut peer = hosts.raw_client().await;
        let began = Instant::now();
        peer.send_length(length).await;
        peer.expect_close().await;
        assert!(began.elapsed() < millis(100), "{length}");
    }
    // The longest message that a handshake may have is waited for, and no longer than the limit.
    let mut peer = hosts.raw_client().await;
    peer.send_length(4096).await;
    peer.expect_silence(secs(9)).await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_a_byte_at_a_time_ends_at_the_limit() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let log = Log::begin();
    let conf = TransportConf {
        handshake_timeout: secs(20),
        ..TransportConf::default()
    };
    let (context, _server) = serve(&hosts, conf, &handlers, AuthOptions::default()).await;
    let secret = Secret::new("good").unwrap();
    let (_, challenge) = ClientHandshake::start("alice", &secret, EngineVersion::V2).unwrap();
    let mut peer = hosts.raw_client().await;
    let began = Instant::now();
    for byte in frame(request(1, challenge)) {
        if context.counters().handshakes_failed() > 0 {
            break;
        }
        peer.send_raw([byte]).await;
        tokio::time::sleep(millis(900)).await;
    }
    peer.expect_close().await;
    let took = began.elapsed();
    assert!((secs(20)..secs(22)).contains(&took), "{took:?}");
    assert_eq!(log.with("spark.rpc.io.handshakeTimeout").len(), 1);
    assert_eq!(handlers.record.all(), []);
}

#[tokio::test(start_paused = true)]
async fn half_open_connections_are_few_and_let_others_in() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let conf = TransportConf {
        // Connecting so often takes a while even here.
        handshake_timeout: secs(3600),
        max_unauthenticated: 300,
        max_unauthenticated_per_address: 100,
        ..TransportConf::default()
    };
    let log = Log::begin();
    let (context, _server) = serve(&hosts, conf, &handlers, AuthOptions::default()).await;
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
    let client_side = factory(&hosts, "good", AuthOptions::default());
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
    let late_side = factory(&hosts, "good", AuthOptions::default());
    let late = connect(&late_side).await;
    assert_eq!(soon(late.send_rpc(b"hello", None)).await.unwrap(), "hello");
    assert_eq!(soon(client.send_rpc(b"still", None)).await.unwrap(), "still");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_half_handshakes_leaves_the_connections_of_others_alone() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    let client_side = factory(&hosts, "good", AuthOptions::default());
    let client = connect(&client_side).await;
    for _ in 0..50 {
        let mut peer = hosts.raw_client().await;
        peer.send_raw(b"GET / HTTP/1.1\r\n\r\n").await;
        peer.expect_close().await;
        assert_eq!(soon(client.send_rpc(b"hello", None)).await.unwrap(), "hello");
    }
    assert_eq!(server.connections(), 1);
}

fn with_sasl() -> AuthOptions {
    AuthOptions {
        sasl: Some(SaslOptions::default()),
        ..AuthOptions::default()
    }
}

fn wrapped(app_id: &str, token: &[u8]) -> Vec<u8> {
    SaslMessage { app_id, token }.encode()
}

#[tokio::test(start_paused = true)]
async fn sasl_steps_out_of_order_or_repeated_are_refused() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, _server) = serve(&hosts, TransportConf::default(), &handlers, with_sasl()).await;
    let secret = Secret::new("good").unwrap();

    // The response of another session, recorded: first as the beginning, then behind a new challenge.
    let mut peer = hosts.raw_client().await;
    peer.send(request(1, wrapped("alice", b""))).await;
    let Message::RpcResponse(challenge) = peer.expect_frame().await else {
        panic!()
    };
    let client = SaslClient::new("alice", &secret, Protection::Encryption);
    let (_, response) = client.respond(&challenge.body).unwrap();
    let mut first = hosts.raw_client().await;
    first.send(request(1, wrapped("alice", &response))).await;
    assert!(matches!(first.expect_frame().await, Message::RpcFailure(_)));
    first.expect_close().await;

    let mut replay = hosts.raw_client().await;
    replay.send(request(1, wrapped("alice", b""))).await;
    assert!(matches!(replay.expect_frame().await, Message::RpcResponse(_)));
    replay.send(request(2, wrapped("alice", &response))).await;
    assert!(matches!(replay.expect_frame().await, Message::RpcFailure(_)));
    replay.expect_close().await;

    // Half-way, as somebody else.
    peer.send(request(2, wrapped("bob", &response))).await;
    assert!(matches!(peer.expect_frame().await, Message::RpcFailure(_)));
    peer.expect_close().await;
    assert_eq!(handlers.record.all(), []);
}

#[tokio::test(start_paused = true)]
async fn guesses_are_few_for_one_connection() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let options = AuthOptions {
        engine: None,
        ..with_sasl()
    };
    let (_context, _server) = serve(&hosts, TransportConf::default(), &handlers, options).await;
    let mut peer = hosts.raw_client().await;
    for id in 0..4 {
        peer.send(request(id, "let me in")).await;
        let Message::RpcFailure(failure) = peer.expect_frame().await else {
            panic!()
        };
        assert!(
            failure.error.starts_with("Expected SaslMessage"),
            "{}",
            failure.error
        );
    }
    peer.expect_close().await;
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
        error.ends_with("the peer refuses: Expected SaslMessage, received something else"),
        "{error}"
    );
}
