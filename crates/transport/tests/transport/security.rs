//! Authentication and encryption: both ends ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use spark_rpc_net::TcpNetwork;
use spark_rpc_testkit::ScriptedPeer;
use spark_rpc_transport::auth::Secret;
use spark_rpc_transport::auth::engine::{EngineVersion, SessionCipher};
use spark_rpc_transport::security::{
    AuthClientBootstrap, AuthOptions, AuthServerBootstrap, EngineOptions, SaslOptions, SecretKeyHolder,
};
use spark_rpc_transport::{
    ConnectError, Flow, ManagedBuffer, StreamManager, TransportClient, TransportClientFactory, TransportConf,
    TransportContext, TransportServer,
};
use spark_rpc_wire::{Message, RequestId, RpcRequest};
use tokio::time::Instant;

use crate::log::Log;
use crate::support::{
    Handlers, Hosts, PORT, Seen, connect, context, expect_request, hosts, millis, secs, settle, soon,
};

/// The users of a test and their secrets.
#[derive(Debug)]
pub(crate) struct Users(BTreeMap<&'static str, Secret>);

impl Users {
    pub(crate) fn new(users: &[(&'static str, &str)]) -> Arc<Self> {
        let users = users
            .iter()
            .map(|(user, secret)| (*user, Secret::new(*secret).unwrap()));
        Arc::new(Self(users.collect()))
    }
}

impl SecretKeyHolder for Users {
    fn secret(&self, user: &str) -> Option<Secret> {
        self.0.get(user).cloned()
    }
}

pub(crate) fn engine(version: EngineVersion, cipher: SessionCipher) -> AuthOptions {
    AuthOptions {
        engine: Some(EngineOptions {
            version,
            cipher: Some(cipher),
        }),
        ..AuthOptions::default()
    }
}

fn sasl(encrypt: bool) -> AuthOptions {
    AuthOptions {
        engine: None,
        sasl: Some(SaslOptions {
            encrypt,
            always_encrypt: false,
            ..SaslOptions::default()
        }),
        ..AuthOptions::default()
    }
}

/// The engine, and SASL for whoever does not know it.
fn both() -> AuthOptions {
    AuthOptions {
        sasl: sasl(true).sasl,
        ..AuthOptions::default()
    }
}

pub(crate) async fn serve(
    hosts: &Hosts,
    conf: TransportConf,
    handlers: &Handlers,
    options: AuthOptions,
) -> (TransportContext, TransportServer) {
    let users = Users::new(&[("alice", "good"), ("bob", "other")]);
    let context = context(&hosts.server, conf, handlers);
    let bootstrap = Arc::new(AuthServerBootstrap::new(users, options));
    let server = context
        .create_server("server", PORT, vec![bootstrap])
        .await
        .unwrap();
    (context, server)
}

pub(crate) fn factory(hosts: &Hosts, secret: &str, options: AuthOptions) -> TransportClientFactory {
    let users = Users::new(&[("alice", secret)]);
    let bootstrap = Arc::new(AuthClientBootstrap::new("alice", users, options));
    context(&hosts.client, TransportConf::default(), &Handlers::echo()).create_client_factory(vec![bootstrap])
}

async fn refused(factory: &TransportClientFactory) -> String {
    match soon(factory.create_client("server", PORT)).await {
        Err(ConnectError::Bootstrap {
            reason, bootstrap, ..
        }) => {
            assert_eq!(bootstrap, "authentication");
            reason
        }
        other => panic!("expected a refusal, but got {other:?}"),
    }
}

async fn ask(client: &TransportClient, body: &[u8]) -> Bytes {
    soon(client.send_rpc(body, Some(secs(60)))).await.unwrap()
}

/// Asks in both directions, small and large, and tells of both sides' view.
async fn exchange(server_side: AuthOptions, client_side: AuthOptions) -> TransportClient {
    let hosts = hosts();
    let echo = Handlers::new(|client, body, responder| {
        assert_eq!(client.client_id(), Some("alice"));
        assert_eq!(client.identity().user.as_deref(), Some("alice"));
        if let Some(responder) = responder {
            responder.success(&body);
            if &*body == b"ask me" {
                let client = client.clone();
                tokio::spawn(async move {
                    let answer = client.send_rpc(b"and you?", None).await.unwrap();
                    client.send(&answer).unwrap();
                });
            }
        }
        Flow::Continue
    });
    let (_context, _server) = serve(&hosts, TransportConf::default(), &echo, server_side).await;
    let told = Handlers::echo();
    let users = Users::new(&[("alice", "good")]);
    let bootstrap = Arc::new(AuthClientBootstrap::new("alice", users, client_side));
    let factory =
        context(&hosts.client, TransportConf::default(), &told).create_client_factory(vec![bootstrap]);
    let client = connect(&factory).await;
    for length in [0, 1, 100, 32_752, 65_504, 65_505, 600_000] {
        let body = vec![length as u8; length];
        assert_eq!(ask(&client, &body).await, body, "{length} bytes");
    }
    ask(&client, b"ask me").await;
    // The server has asked back over the same connection, and tells what it was answered.
    told.record.until_seen(Seen::OneWay(b"and you?".to_vec())).await;
    client
}

/// AUTH-01
#[tokio::test(start_paused = true)]
async fn whoever_knows_the_secret_talks_encrypted_with_every_version_and_cipher() {
    for version in [EngineVersion::V1, EngineVersion::V2] {
        for cipher in [SessionCipher::AesGcm, SessionCipher::AesCtr] {
            let options = engine(version, cipher);
            let client = exchange(options.clone(), options).await;
            let identity = client.identity();
            assert_eq!(identity.encryption.as_deref(), Some(cipher.spark_name()));
            assert_eq!(identity.weak.is_some(), cipher == SessionCipher::AesCtr);
        }
    }
}

/// SASL-03, SASL-04
#[tokio::test(start_paused = true)]
async fn sasl_authenticates_with_and_without_encryption() {
    let plain = exchange(sasl(false), sasl(false)).await;
    assert_eq!(plain.identity().encryption, None);
    assert_eq!(plain.identity().weak, Some("DIGEST-MD5 without encryption"));
    let sealed = exchange(sasl(false), sasl(true)).await;
    assert_eq!(sealed.identity().weak, Some("DIGEST-MD5 with 3DES"));
}

/// AUTH-03
#[tokio::test(start_paused = true)]
async fn where_it_is_allowed_sasl_serves_peers_that_do_not_know_the_engine() {
    // The server falls back for a client that has SASL only, and the client for such a server.
    exchange(both(), sasl(true)).await;
    exchange(sasl(true), both()).await;
    let client = exchange(both(), both()).await;
    assert_eq!(client.identity().weak, None, "both know the engine");
}

#[tokio::test(start_paused = true)]
async fn where_it_is_not_allowed_nobody_falls_back() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (context, _server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    let log = Log::begin();
    let reason = refused(&factory(&hosts, "good", sasl(true))).await;
    assert!(
        reason.starts_with("the peer refuses: Unknown challenge message."),
        "{reason}"
    );
    assert!(
        reason.contains("set spark.network.crypto.enabled = true here"),
        "{reason}"
    );
    settle().await;
    assert_eq!(context.counters().handshakes_failed(), 1);
    assert_eq!(handlers.record.all(), []);
    assert_eq!(
        log.with("allow SASL here by spark.network.crypto.saslFallback")
            .len(),
        1,
        "the server's log names the setting too"
    );

    let hosts = crate::support::hosts();
    let (_context, _server) = serve(&hosts, TransportConf::default(), &handlers, sasl(true)).await;
    let reason = refused(&factory(&hosts, "good", AuthOptions::default())).await;
    assert!(reason.contains("Expected SaslMessage"), "{reason}");
    assert!(
        reason.contains("allow SASL here, by spark.network.crypto.saslFallback = true"),
        "{reason}"
    );
    assert_eq!(handlers.record.all(), []);
    settle().await;
    assert_eq!(log.with("set spark.network.crypto.enabled = true here").len(), 1);
}

/// The server's words, and what this side makes of them.
const REFUSED: &str =
    "the peer refuses: Authentication failed. (most likely the secret there is another one)";

/// AUTH-02, SASL-02
#[tokio::test(start_paused = true)]
async fn another_secret_gets_nobody_in_and_is_told_no_more_than_that() {
    for options in [AuthOptions::default(), sasl(true), sasl(false), both()] {
        let hosts = hosts();
        let handlers = Handlers::echo();
        let log = Log::begin();
        let (context, server) = serve(&hosts, TransportConf::default(), &handlers, options.clone()).await;
        let reason = refused(&factory(&hosts, "wrong", options)).await;
        assert_eq!(reason, REFUSED);
        settle().await;
        assert_eq!(server.connections(), 0);
        assert_eq!(context.counters().handshakes_failed(), 1);
        assert_eq!(handlers.record.all(), [], "nobody behind the gate heard of it");
        assert_eq!(log.with("connection refused: not authenticated").len(), 1);
        assert_eq!(log.with("good"), Vec::<String>::new(), "no secret is logged");
        assert_eq!(log.with("wrong"), Vec::<String>::new(), "no secret is logged");
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_is_not_known_is_told_the_same_as_one_with_another_secret() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, _server) = serve(&hosts, TransportConf::default(), &handlers, both()).await;
    for options in [AuthOptions::default(), sasl(true)] {
        let users = Users::new(&[("mallory", "good")]);
        let bootstrap = Arc::new(AuthClientBootstrap::new("mallory", users, options));
        let context = context(&hosts.client, TransportConf::default(), &handlers);
        let factory = context.create_client_factory(vec![bootstrap]);
        assert_eq!(refused(&factory).await, REFUSED);
    }
}

/// SASL-07
#[tokio::test(start_paused = true)]
async fn a_server_that_always_encrypts_refuses_a_client_that_does_not() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let mut strict = sasl(true);
    strict.sasl.as_mut().unwrap().always_encrypt = true;
    let (_context, _server) = serve(&hosts, TransportConf::default(), &handlers, strict).await;
    let reason = refused(&factory(&hosts, "good", sasl(false))).await;
    assert!(
        reason.contains("does not agree to the protection auth"),
        "{reason}"
    );
}

#[tokio::test(start_paused = true)]
async fn versions_and_ciphers_that_differ_are_named_on_both_sides_at_once() {
    use EngineVersion::{V1, V2};
    use SessionCipher::{AesCtr, AesGcm};
    for (server_side, client_side) in [
        ((V2, AesGcm), (V1, AesGcm)),
        ((V1, AesGcm), (V2, AesGcm)),
        ((V2, AesCtr), (V1, AesCtr)),
        ((V2, AesGcm), (V1, AesCtr)),
        ((V1, AesCtr), (V2, AesGcm)),
    ] {
        let what = format!("{client_side:?} at {server_side:?}");
        let hosts = hosts();
        let handlers = Handlers::echo();
        let log = Log::begin();
        let options = engine(server_side.0, server_side.1);
        let (_context, _server) = serve(&hosts, TransportConf::default(), &handlers, options).await;
        let factory = factory(&hosts, "good", engine(client_side.0, client_side.1));
        let client = connect(&factory).await;
        let began = Instant::now();
        // As long as two segments of AES-GCM: what is taken for the beginning of one must not be waited for.
        let body = vec![1; 70_000];
        let error = soon(client.send_rpc(&body, None)).await.unwrap_err().to_string();
        assert!(began.elapsed() < secs(1), "{what}: {:?}", began.elapsed());
        assert!(
            error.contains("the same spark.network.crypto.authEngineVersion and spark.network.crypto.cipher"),
            "{what}: {error}"
        );
        settle().await;
        let told = log.with("the same spark.network.crypto.authEngineVersion");
        assert!(!told.is_empty(), "{what}: {:?}", log.with(""));
        assert_eq!(
            handlers.record.count(|seen| matches!(seen, Seen::Request(_))),
            0,
            "{what}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_comes_and_goes_is_not_put_down_to_settings() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let log = Log::begin();
    let (_context, server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    let factory = factory(&hosts, "good", AuthOptions::default());
    let client = connect(&factory).await;
    client.close();
    client.closed().await;
    settle().await;
    assert_eq!(server.connections(), 0);
    assert_eq!(log.with("authEngineVersion"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_and_asks_again_is_told_the_same_and_has_a_moment_to_leave() {
    let hosts = hosts();
    let (_context, _server) = serve(
        &hosts,
        TransportConf::default(),
        &Handlers::echo(),
        AuthOptions::default(),
    )
    .await;
    let mut peer = ScriptedPeer::connect(&hosts.client, "server", PORT).await;
    let began = Instant::now();
    for id in 1..=2 {
        let request_id = RequestId(id);
        let body = Bytes::from_static(b"\xeano token");
        peer.send(RpcRequest { request_id, body }).await;
        let Message::RpcFailure(failure) = peer.expect_frame().await else {
            panic!("expected a refusal");
        };
        assert_eq!(failure.request_id, request_id);
        assert!(failure.error.starts_with("Unknown challenge message."));
    }
    assert!(began.elapsed() < millis(100), "answers do not wait");
    peer.expect_close().await;
    assert!((millis(900)..secs(2)).contains(&began.elapsed()));
}

/// AUTH-05
#[tokio::test(start_paused = true)]
async fn a_long_failure_comes_through_the_cipher_as_a_whole() {
    for cipher in [SessionCipher::AesGcm, SessionCipher::AesCtr] {
        let hosts = hosts();
        let text = "x".repeat(32_768);
        let failing = text.clone();
        let handlers = Handlers::new(move |_, _, responder| {
            responder.unwrap().failure(&failing);
            Flow::Continue
        });
        let options = engine(EngineVersion::V2, cipher);
        let (_context, _server) = serve(&hosts, TransportConf::default(), &handlers, options.clone()).await;
        let client_side = factory(&hosts, "good", options);
        let client = connect(&client_side).await;
        let error = soon(client.send_rpc(b"fail", None)).await.unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

/// One file, for those who have authenticated.
struct OneFile(std::path::PathBuf);

impl StreamManager for OneFile {
    fn open_stream(&self, client: &TransportClient, _: &str) -> Result<ManagedBuffer, String> {
        assert!(client.identity().is_authenticated());
        Ok(ManagedBuffer::path(&self.0, 0, FILE as u64))
    }
}

const FILE: usize = 400_000;

/// AUTH-08, SASL-06
#[tokio::test]
async fn a_file_arrives_as_it_is_through_every_cipher() {
    let bytes: Vec<u8> = (0..FILE).map(|at| (at * 7 + at / 251) as u8).collect();
    let path = std::env::temp_dir().join(format!("spark-rpc-sealed-{}", std::process::id()));
    std::fs::write(&path, &bytes).unwrap();
    let handlers = Handlers::echo().with_streams(OneFile(path.clone()));
    let mut small_blocks = sasl(true);
    small_blocks.sasl.as_mut().unwrap().max_block = 1024;
    for options in [
        AuthOptions::default(),
        engine(EngineVersion::V1, SessionCipher::AesCtr),
        small_blocks,
    ] {
        // On a socket, where files go by themselves unless they are encrypted.
        let users = Users::new(&[("alice", "good")]);
        let network = Arc::new(TcpNetwork);
        let context =
            TransportContext::new(TransportConf::default(), network, Arc::new(handlers.clone())).unwrap();
        let bootstrap = Arc::new(AuthServerBootstrap::new(users.clone(), options.clone()));
        let server = context
            .create_server("127.0.0.1", 0, vec![bootstrap])
            .await
            .unwrap();
        let bootstrap = Arc::new(AuthClientBootstrap::new("alice", users, options));
        let factory = context.create_client_factory(vec![bootstrap]);
        let client = factory.create_client("127.0.0.1", server.port()).await.unwrap();
        let mut body = client.open_stream("file", Some(secs(30))).await.unwrap();
        let mut read = Vec::new();
        while let Some(piece) = soon(body.chunk()).await.unwrap() {
            read.extend_from_slice(&piece);
        }
        assert!(read == bytes, "{} bytes", read.len());
        assert_eq!(ask(&client, b"still there").await, "still there");
    }
    std::fs::remove_file(&path).unwrap();
}

/// AUTH-04, SASL-08
#[tokio::test(start_paused = true)]
async fn a_client_that_goes_on_in_the_clear_is_not_understood() {
    for options in [
        engine(EngineVersion::V2, SessionCipher::AesGcm),
        engine(EngineVersion::V1, SessionCipher::AesCtr),
    ] {
        let hosts = hosts();
        let handlers = Handlers::echo();
        let (_context, server) = serve(&hosts, TransportConf::default(), &handlers, options).await;
        let mut peer = hosts.raw_client().await;
        crate::attacks::authenticate(&mut peer, "alice", "good").await;
        peer.send(spark_rpc_wire::RpcRequest {
            request_id: spark_rpc_wire::RequestId(2),
            body: "in the clear".into(),
        })
        .await;
        peer.half_close().await;
        peer.expect_close().await;
        assert_eq!(server.connections(), 0);
        assert_eq!(handlers.record.count(|seen| matches!(seen, Seen::Request(_))), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_over_the_network_shows_neither_secret_nor_message() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let client_side = factory(&hosts, "good", AuthOptions::default());
    let server = async {
        let mut peer = spark_rpc_testkit::ScriptedPeer::accept(&mut *listener).await;
        let challenge = expect_request(&mut peer).await;
        let users = Secret::new("good").unwrap();
        let accepted = spark_rpc_transport::auth::engine::Challenge::decode(&challenge.body).unwrap();
        let (session, response) = accepted.accept(&users, EngineVersion::V2).unwrap();
        peer.send(spark_rpc_wire::RpcResponse {
            request_id: challenge.request_id,
            body: response.into(),
        })
        .await;
        (peer, session)
    };
    let (client, (mut peer, session)) = tokio::join!(connect(&client_side), server);
    client.send(b"attack at dawn").unwrap();
    let mut wire = Vec::new();
    while wire.len() < 8 + 24 + 8 + 1 + 4 + 14 + 16 {
        wire.extend_from_slice(&peer.expect_raw(1).await);
    }
    assert!(!wire.windows(6).any(|part| part == b"attack"));
    let (_, mut decryptor) = session.into_ciphers(SessionCipher::AesGcm);
    let mut plain = Vec::new();
    decryptor.decrypt(&mut &wire[..], &mut plain, usize::MAX).unwrap();
    assert!(plain.ends_with(b"attack at dawn"));
}

#[tokio::test(start_paused = true)]
async fn what_a_server_sends_right_behind_its_response_is_decrypted() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let handlers = Handlers::echo();
    let users = Users::new(&[("alice", "good")]);
    let bootstrap = Arc::new(AuthClientBootstrap::new("alice", users, AuthOptions::default()));
    let factory =
        context(&hosts.client, TransportConf::default(), &handlers).create_client_factory(vec![bootstrap]);
    let server = async {
        let mut peer = spark_rpc_testkit::ScriptedPeer::accept(&mut *listener).await;
        let challenge = expect_request(&mut peer).await;
        let accepted = spark_rpc_transport::auth::engine::Challenge::decode(&challenge.body).unwrap();
        let (session, response) = accepted
            .accept(&Secret::new("good").unwrap(), EngineVersion::V2)
            .unwrap();
        let mut both = crate::siege::frame(spark_rpc_wire::RpcResponse {
            request_id: challenge.request_id,
            body: response.into(),
        });
        let (mut encryptor, _) = session.into_ciphers(SessionCipher::AesGcm);
        let first = crate::siege::frame(spark_rpc_wire::OneWayMessage { body: "first".into() });
        encryptor.encrypt(&first, &mut both).unwrap();
        peer.send_raw(both).await;
        peer
    };
    let (_client, _peer) = tokio::join!(connect(&factory), server);
    handlers.record.until_seen(Seen::OneWay(b"first".to_vec())).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_the_challenge_is_given_up_in_time() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let options = AuthOptions {
        timeout: secs(3),
        ..AuthOptions::default()
    };
    let factory = factory(&hosts, "good", options);
    let began = Instant::now();
    let (reason, _peer) = tokio::join!(
        refused(&factory),
        spark_rpc_testkit::ScriptedPeer::accept(&mut *listener)
    );
    assert!(reason.contains("spark.network.auth.rpcTimeout"), "{reason}");
    assert!(began.elapsed() < secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_server_with_another_secret_is_not_believed() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = factory(&hosts, "good", AuthOptions::default());
    let server = async {
        let mut peer = spark_rpc_testkit::ScriptedPeer::accept(&mut *listener).await;
        let challenge = expect_request(&mut peer).await;
        // The best that one without the secret can do: send the client's own message back.
        peer.send(spark_rpc_wire::RpcResponse {
            request_id: challenge.request_id,
            body: challenge.body,
        })
        .await;
        peer
    };
    let (reason, _peer) = tokio::join!(refused(&factory), server);
    assert!(reason.contains("cannot be opened"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn weak_sessions_are_counted_and_told_of_once() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let log = Log::begin();
    let options = engine(EngineVersion::V2, SessionCipher::AesCtr);
    let (context, _server) = serve(&hosts, TransportConf::default(), &handlers, options.clone()).await;
    for _ in 0..3 {
        let factory = factory(&hosts, "good", options.clone());
        ask(&connect(&factory).await, b"hello").await;
    }
    assert_eq!(context.counters().weak_sessions(), 3);
    let told = log.with("weak mechanism");
    // One line of the server, and one of each client's own context.
    assert_eq!(told.len(), 1 + 3, "{told:#?}");
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn an_encrypted_connection_that_is_closed_writes_all_that_was_queued() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, _server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    let client_side = factory(&hosts, "good", AuthOptions::default());
    let client = connect(&client_side).await;
    for number in 0..200_u32 {
        client.send(&number.to_be_bytes().repeat(1000)).unwrap();
    }
    client.close();
    soon(client.closed()).await;
    settle().await;
    assert_eq!(handlers.record.one_ways().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_closed_server_turns_those_away_who_have_not_passed() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let (_context, server) = serve(
        &hosts,
        TransportConf::default(),
        &handlers,
        AuthOptions::default(),
    )
    .await;
    let mut peer = hosts.raw_client().await;
    peer.send_length(90).await;
    settle().await;
    let began = Instant::now();
    assert_eq!(server.close(secs(10)).await, 0);
    assert!(began.elapsed() < millis(100));
    peer.expect_close().await;
}

#[tokio::test(start_paused = true)]
async fn a_factory_that_wants_authentication_gets_none_from_a_server_without() {
    let hosts = hosts();
    let handlers = Handlers::hello();
    let _server = hosts.serve(&handlers).await;
    let reason = refused(&factory(&hosts, "good", AuthOptions::default())).await;
    assert_eq!(
        reason,
        "the peer refuses: what? (it may not authenticate at all: spark.authenticate must be true on both sides, or on \
         neither)"
    );
}
