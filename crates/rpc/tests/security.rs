//! Who comes in, and what those may do: whole envs.

mod support;

use std::sync::Arc;

use spark_rpc::config::{RpcConf, SecurityConf, SparkConf};
use spark_rpc::security::{PeerIdentity, Secret, SecurityManager};
use spark_rpc::{AskError, FileError, Handled, LookupError, RpcEnv, StartError};
use spark_rpc_testkit::{MemoryNetwork, ScriptedPeer};
use spark_rpc_wire::OneWayMessage;
use support::certificates::Certificates;
use support::lab::Lab;
use support::messages::*;
use support::observe::capture;
use support::{Pair, client, network, server, settle};

fn conf(pairs: &[(&str, &str)]) -> RpcConf {
    let own = [
        ("spark.authenticate", "true"),
        ("spark.authenticate.secret", "good"),
    ];
    let pairs = [&own, pairs].concat();
    RpcConf::from_spark(&SparkConf::from_pairs(pairs)).unwrap()
}

/// Asks, sends, and has the server call back over the client's connection.
async fn works(conf: RpcConf) -> Pair {
    let pair = Pair::with_conf(conf).await;
    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let own = pair.client.setup_endpoint("own", Lab::default()).unwrap();
    let lab = pair.far("lab").await;
    let long = "x".repeat(200_000);
    assert_eq!(lab.ask(Echo(long.clone())).await.unwrap(), long);
    lab.send(Note(7)).unwrap();
    let through = lab.ask(EchoThrough(own, "back".into())).await.unwrap();
    assert_eq!(through.as_deref(), Ok("back"));
    pair
}

/// ENV-19
#[tokio::test(start_paused = true)]
async fn envs_that_share_a_secret_send_and_ask() {
    let pair = works(conf(&[])).await;
    assert_eq!(pair.server.stats().transport.weak_sessions(), 0);
}

/// ENV-20
#[tokio::test(start_paused = true)]
async fn envs_that_name_sasl_encryption_send_and_ask() {
    let pair = works(conf(&[("spark.authenticate.enableSaslEncryption", "true")])).await;
    assert_eq!(pair.server.stats().transport.weak_sessions(), 1);
}

/// ENV-21
#[tokio::test(start_paused = true)]
async fn envs_with_aes_encryption_send_and_ask() {
    let aes = [
        ("spark.network.crypto.enabled", "true"),
        ("spark.network.crypto.saslFallback", "false"),
    ];
    let pair = works(conf(&aes)).await;
    assert_eq!(pair.server.stats().transport.weak_sessions(), 0);
    let ctr = [
        aes[0],
        aes[1],
        ("spark.network.crypto.cipher", "AES/CTR/NoPadding"),
    ];
    let pair = works(conf(&ctr)).await;
    assert_eq!(pair.server.stats().transport.weak_sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_secret_or_none_fails_the_lookup_with_the_reason() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, conf(&[])).await;
    env.setup_endpoint("lab", Lab::default()).unwrap();
    let wrong = RpcConf::default().with_secret(Secret::new("wrong").unwrap());
    for (number, (conf, said)) in [
        (wrong, "the peer refuses: Authentication failed."),
        (
            RpcConf::default(),
            "the peer wants authentication, and here there is none: set spark.authenticate = true",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let client = client(&net.host(&format!("client-{number}")), conf).await;
        let error = client
            .setup_endpoint_ref("spark://lab@server:7077")
            .await
            .unwrap_err();
        let LookupError::Ask { source, .. } = &error else {
            panic!("{error}")
        };
        assert!(source.to_string().contains(said), "{source}");
        assert_eq!(source.handled(), Handled::No);
        assert!(!format!("{error:?}").contains("good"), "{error:?}");
    }
    settle().await;
    assert_eq!(env.stats().transport.handshakes_failed(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_with_a_secret_does_not_talk_to_a_server_without() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, RpcConf::default()).await;
    env.setup_endpoint("lab", Lab::default()).unwrap();
    let client = client(&net.host("client"), conf(&[])).await;
    let error = client
        .setup_endpoint_ref("spark://lab@server:7077")
        .await
        .unwrap_err();
    let LookupError::Ask { source, .. } = &error else {
        panic!("{error}")
    };
    assert!(matches!(source, AskError::Connect(_)), "{source:?}");
    // The server's words, and this side's.
    for said in [
        "spark.authenticate is not the same on both",
        "spark.authenticate must be true on both sides, or on neither",
    ] {
        assert!(source.to_string().contains(said), "{source}");
    }
}

#[tokio::test]
async fn listening_beyond_loopback_unprotected_is_refused_unless_it_is_allowed_by_name() {
    let start = |conf: RpcConf| RpcEnv::builder("open").bind("0.0.0.0:0").conf(conf).start();
    let error = start(RpcConf::default()).await.unwrap_err();
    assert!(matches!(&error, StartError::Unprotected { host } if host == "0.0.0.0"));
    for named in [
        "spark.authenticate",
        "spark.ssl.rpc.enabled",
        "spark.rpc.security.allowUnprotected",
    ] {
        assert!(error.to_string().contains(named), "{error}");
    }
    // Nothing beyond loopback is opened here, not even where it would be allowed.
    let mut allowed = RpcConf::default();
    allowed.security.allow_unprotected = true;
    for (bind, conf) in [
        ("127.0.0.1:0", RpcConf::default()),
        ("localhost:0", RpcConf::default()),
        ("127.0.0.1:0", allowed),
        ("127.0.0.1:0", conf(&[])),
    ] {
        let env = RpcEnv::builder("closed")
            .bind(bind)
            .conf(conf)
            .start()
            .await
            .unwrap();
        env.shutdown().await;
    }
}

/// Two users with secrets of their own, one of whom may do less.
#[derive(Debug)]
struct Roles;

impl SecurityManager for Roles {
    fn secret(&self, user: &str) -> Option<Secret> {
        ["master", "worker"]
            .contains(&user)
            .then(|| Secret::new(format!("secret of {user}")).unwrap())
    }

    fn may_use(&self, peer: &PeerIdentity, endpoint: &str) -> bool {
        match peer.user.as_deref() {
            Some("master") => true,
            Some("worker") => endpoint == "reports",
            _ => false,
        }
    }

    fn may_fetch(&self, peer: &PeerIdentity, path: &str) -> bool {
        match peer.user.as_deref() {
            Some("master") => true,
            Some("worker") => path.starts_with("/jobs/"),
            _ => false,
        }
    }
}

async fn as_user(net: &MemoryNetwork, user: &str) -> RpcEnv {
    let mut conf = RpcConf::default();
    conf.security.user = user.to_owned();
    let builder = RpcEnv::builder(user)
        .network(network(&net.host(user)))
        .client_mode();
    builder
        .conf(conf)
        .security_manager(Arc::new(Roles))
        .start()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_peer_uses_the_endpoints_that_it_may_use() {
    let net = MemoryNetwork::new(1);
    let env = RpcEnv::builder("server")
        .network(network(&net.host("server")))
        .bind("server:7077")
        .security_manager(Arc::new(Roles))
        .start()
        .await
        .unwrap();
    for name in ["reports", "control"] {
        env.setup_endpoint(name, Lab::default()).unwrap();
    }
    let uri = |name: &str| format!("spark://{name}@server:7077");
    let (master, worker) = (as_user(&net, "master").await, as_user(&net, "worker").await);
    for name in ["reports", "control"] {
        let found = master.setup_endpoint_ref(&uri(name)).await.unwrap();
        assert_eq!(found.ask(Echo("hi".into())).await.unwrap(), "hi");
    }
    let reports = worker.setup_endpoint_ref(&uri("reports")).await.unwrap();
    assert_eq!(reports.ask(Echo("hi".into())).await.unwrap(), "hi");

    let control = worker.setup_endpoint_ref(&uri("control")).await.unwrap();
    for _ in 0..2 {
        let error = control.ask(Echo("hi".into())).await.unwrap_err();
        assert!(
            matches!(&error, AskError::Denied { endpoint } if endpoint == "control"),
            "{error}"
        );
        assert_eq!(error.handled(), Handled::No);
    }
    control.send(Note(1)).unwrap();
    control.ask(Sum()).await.unwrap_err();
    assert_eq!(env.stats().dropped, 1);
    let posted = env
        .stats()
        .endpoints
        .iter()
        .find(|e| e.name == "control")
        .unwrap()
        .posted;
    assert_eq!(posted, 1, "the master's own ask");
}

#[tokio::test(start_paused = true)]
async fn a_peer_reads_the_folders_that_it_may_read_and_refusals_are_logged() {
    let (events, _guard) = capture();
    let net = MemoryNetwork::new(1);
    let env = RpcEnv::builder("server")
        .network(network(&net.host("server")))
        .bind("server:7077")
        .security_manager(Arc::new(Roles))
        .start()
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("it"), "content").unwrap();
    for base in ["/jobs", "/keys"] {
        env.file_server()
            .add_directory(base, folder.path())
            .await
            .unwrap();
    }
    env.setup_endpoint("control", Lab::default()).unwrap();
    let (master, worker) = (as_user(&net, "master").await, as_user(&net, "worker").await);
    for (env, path, allowed) in [
        (&master, "/jobs/it", true),
        (&master, "/keys/it", true),
        (&worker, "/jobs/it", true),
        (&worker, "/keys/it", false),
        (&worker, "/keys/nothing", false),
    ] {
        let opened = env.open_channel(&format!("spark://server:7077{path}")).await;
        match opened {
            Ok(channel) => assert!(allowed && channel.length() == 7, "{path}"),
            Err(error) => assert!(
                !allowed && matches!(error, FileError::Denied { .. }),
                "{path}: {error}"
            ),
        }
    }
    let line = events.line("stream=\"/keys/it\"");
    assert!(
        line.starts_with("WARN") && line.contains("access denied"),
        "{line}"
    );
    assert!(
        line.contains("user=\"worker\"") && line.contains("peer=worker:"),
        "{line}"
    );

    let control = worker
        .setup_endpoint_ref("spark://control@server:7077")
        .await
        .unwrap();
    control.ask(Sum()).await.unwrap_err();
    let line = events.line("endpoint=\"control\"");
    assert!(
        line.starts_with("WARN") && line.contains("access denied"),
        "{line}"
    );
    assert!(
        line.contains("user=\"worker\"") && line.contains("peer=worker:"),
        "{line}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_for_any_number_of_endpoints_does_not_fill_the_log() {
    let (events, _guard) = capture();
    let net = MemoryNetwork::new(1);
    let _env = RpcEnv::builder("server")
        .network(network(&net.host("server")))
        .bind("server:7077")
        .security_manager(Arc::new(Roles))
        .start()
        .await
        .unwrap();
    let worker = as_user(&net, "worker").await;
    for number in 0..200 {
        let uri = format!("spark://secret-{number}@server:7077");
        let endpoint = worker.endpoint_ref(uri.parse().unwrap());
        let error = endpoint.ask(Sum()).await.unwrap_err();
        assert!(matches!(error, AskError::Denied { .. }), "{error}");
    }
    let lines = events.lines();
    let told = lines
        .iter()
        .filter(|line| line.starts_with("WARN") && line.contains("access denied"));
    assert_eq!(told.count(), 16);
    assert_eq!(events.count("more of it on this connection is not told"), 1);
}

/// A manager that says nothing.
#[derive(Debug)]
struct Silent;

impl SecurityManager for Silent {}

#[tokio::test(start_paused = true)]
async fn a_manager_that_says_nothing_lets_nobody_in() {
    let net = MemoryNetwork::new(1);
    let builder = RpcEnv::builder("server").network(network(&net.host("server")));
    let _env = builder
        .bind("server:7077")
        .security_manager(Arc::new(Silent))
        .start()
        .await
        .unwrap();
    let client = as_user(&net, "master").await;
    let error = client
        .setup_endpoint_ref("spark://lab@server:7077")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Authentication failed"), "{error}");
}

async fn tls_server(net: &MemoryNetwork, conf: RpcConf) -> RpcEnv {
    let env = server(&net.host("server"), 7077, conf).await;
    env.setup_endpoint("lab", Lab::default()).unwrap();
    env
}

async fn echo(env: &RpcEnv) -> Result<(), LookupError> {
    let lab = env.setup_endpoint_ref("spark://lab@server:7077").await?;
    let long = "x".repeat(500_000);
    assert_eq!(lab.ask(Echo(long.clone())).await.unwrap(), long);
    Ok(())
}

#[tokio::test]
async fn envs_send_and_ask_within_tls() {
    let files = Certificates::new(&["server"]);
    let names = ("spark.rpc.security.checkNames", "true");
    let net = MemoryNetwork::new(1);
    let _server = tls_server(&net, files.conf(Some("server"), &[])).await;
    let env = client(&net.host("client"), files.conf(None, &[names])).await;
    echo(&env).await.unwrap();

    let stranger = Certificates::new(&["server"]);
    let env = client(&net.host("client-2"), stranger.conf(None, &[])).await;
    let error = echo(&env).await.unwrap_err().to_string();
    assert!(error.contains("Bootstrap TLS"), "{error}");
    let plain = client(&net.host("client-3"), RpcConf::default()).await;
    echo(&plain).await.unwrap_err();
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_where_names_are_checked() {
    let files = Certificates::new(&["elsewhere"]);
    let net = MemoryNetwork::new(1);
    let _server = tls_server(&net, files.conf(Some("elsewhere"), &[])).await;
    let names = ("spark.rpc.security.checkNames", "true");
    let checking = client(&net.host("client"), files.conf(None, &[names])).await;
    echo(&checking).await.unwrap_err();
    let like_spark = client(&net.host("client-2"), files.conf(None, &[])).await;
    echo(&like_spark).await.unwrap();
}

/// Lets certificates decide alone.
#[derive(Debug)]
struct BySubject;

impl SecurityManager for BySubject {
    fn may_use(&self, peer: &PeerIdentity, _: &str) -> bool {
        peer.subject.as_deref() == Some("CN=worker-1")
    }

    fn may_fetch(&self, peer: &PeerIdentity, path: &str) -> bool {
        path.starts_with("/files/") && peer.subject.as_deref() == Some("CN=worker-1")
    }

    fn uses_secrets(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let files = Certificates::new(&["server", "worker-1", "worker-2"]);
    let net = MemoryNetwork::new(1);
    let asks = ("spark.rpc.security.clientCertificates", "true");
    let env = RpcEnv::builder("server")
        .network(network(&net.host("server")))
        .bind("server:7077")
        .conf(files.conf(Some("server"), &[asks]))
        .security_manager(Arc::new(BySubject))
        .start()
        .await
        .unwrap();
    env.setup_endpoint("lab", Lab::default()).unwrap();
    let file = env.file_server().add_file(files.path("ca.pem")).await.unwrap();
    let known = client(&net.host("worker-1"), files.conf(Some("worker-1"), &[])).await;
    echo(&known).await.unwrap();
    known.open_channel(&file).await.unwrap();

    let other = client(&net.host("worker-2"), files.conf(Some("worker-2"), &[])).await;
    let lab = other.setup_endpoint_ref("spark://lab@server:7077").await.unwrap();
    let error = lab.ask(Echo("hi".into())).await.unwrap_err();
    assert!(matches!(error, AskError::Denied { .. }), "{error}");
    let error = other.open_channel(&file).await.unwrap_err();
    assert!(matches!(error, FileError::Denied { .. }), "{error}");

    let nobody = client(&net.host("nobody"), files.conf(None, &[])).await;
    echo(&nobody).await.unwrap_err();
}

#[tokio::test]
async fn a_secret_within_tls_authenticates_and_does_not_encrypt_again() {
    let files = Certificates::new(&["server"]);
    let secret = [
        ("spark.authenticate", "true"),
        ("spark.authenticate.secret", "good"),
    ];
    let net = MemoryNetwork::new(1);
    let env = tls_server(&net, files.conf(Some("server"), &secret)).await;
    let good = client(&net.host("client"), files.conf(None, &secret)).await;
    echo(&good).await.unwrap();
    assert_eq!(env.stats().transport.weak_sessions(), 0);
    let without = client(&net.host("client-2"), files.conf(None, &[])).await;
    let error = echo(&without).await.unwrap_err().to_string();
    assert!(error.contains("Unknown challenge message"), "{error}");
}

#[tokio::test]
async fn strangers_at_a_tls_server_get_no_further() {
    let files = Certificates::new(&["server"]);
    let net = MemoryNetwork::new(1);
    let mut conf = files.conf(Some("server"), &[]);
    conf.transport.handshake_timeout = std::time::Duration::from_millis(300);
    let env = tls_server(&net, conf).await;
    let attacker = net.host("attacker");
    let mut plain = ScriptedPeer::connect(&attacker, "server", 7077).await;
    plain.send(OneWayMessage { body: "hello".into() }).await;
    assert_eq!(plain.expect_raw(7).await[0], 21, "the alert of TLS");
    plain.expect_close().await;
    // The beginning of a handshake, and nothing more.
    let mut silent = ScriptedPeer::connect(&attacker, "server", 7077).await;
    silent.send_raw([22, 3, 1, 2, 0, 1, 0, 1, 252]).await;
    silent.expect_close().await;
    assert_eq!(env.stats().transport.handshakes_failed(), 2);
    assert_eq!(env.stats().transport.connections_opened(), 0);
    echo(&client(&net.host("client"), files.conf(None, &[])).await)
        .await
        .unwrap();
}

#[tokio::test]
async fn tls_without_keys_or_trust_does_not_start() {
    let spark = SparkConf::from_pairs([("spark.ssl.rpc.enabled", "true")]);
    let conf = RpcConf::from_spark(&spark).unwrap();
    for builder in [RpcEnv::builder("x"), RpcEnv::builder("x").client_mode()] {
        let error = builder.conf(conf.clone()).start().await.unwrap_err();
        assert!(matches!(error, StartError::Ssl(_)), "{error}");
    }
    let mut missing = conf;
    let ssl = missing.security.ssl.as_mut().unwrap();
    ssl.cert_chain = Some("/nonexistent/chain.pem".into());
    ssl.private_key = Some("/nonexistent/key.pem".into());
    let error = RpcEnv::builder("x").conf(missing).start().await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/chain.pem"), "{error}");
}

#[test]
fn settings_and_builders_do_not_print_the_secret() {
    let conf = RpcConf::default().with_secret(Secret::new("swordfish").unwrap());
    let builder = RpcEnv::builder("x").secret(Secret::new("swordfish").unwrap());
    for printed in [
        format!("{conf:?}"),
        format!("{conf:#?}"),
        format!("{builder:?}"),
        format!("{:?}", SecurityConf::default()),
    ] {
        assert!(!printed.contains("swordfish"), "{printed}");
        assert!(!printed.contains("115, 119"), "{printed}");
    }
}
