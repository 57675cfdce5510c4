//! What endpoints hear of connections: once, in order, under both addresses.

mod support;

use spark_rpc::config::RpcConf;
use spark_rpc::{BoxError, EndpointContext, RpcAddress, RpcCallContext, RpcEndpoint, RpcEnv};
use spark_rpc_net::SocketOptions;
use spark_rpc_testkit::{Crash, MemoryNetwork, ScriptedPeer};
use spark_rpc_wire::{Address, Envelope, OneWayMessage};
use support::lab::Lab;
use support::messages::*;
use support::{Log, Pair, network, server, settle};

/// Two servers, `a` and `b`, each with a lab.
struct Servers {
    net: MemoryNetwork,
    a: RpcEnv,
    b: RpcEnv,
    of_a: Lab,
    of_b: Lab,
}

impl Servers {
    async fn new() -> Self {
        let net = MemoryNetwork::new(1);
        let a = server(&net.host("a"), 1111, RpcConf::default()).await;
        let b = server(&net.host("b"), 2222, RpcConf::default()).await;
        let (of_a, of_b) = (Lab::default(), Lab::default());
        a.setup_endpoint("lab", of_a.clone()).unwrap();
        b.setup_endpoint("lab", of_b.clone()).unwrap();
        settle().await;
        Self {
            net,
            a,
            b,
            of_a,
            of_b,
        }
    }
}

/// What a lab has heard, without its start.
fn heard(lab: &Lab) -> Vec<String> {
    lab.log.entries()[1..].to_vec()
}

/// ENV-15, HANDLER-01, HANDLER-03
#[tokio::test(start_paused = true)]
async fn two_servers_hear_of_each_other_once() {
    let envs = Servers::new().await;
    let b = envs.a.setup_endpoint_ref("spark://lab@b:2222").await.unwrap();
    b.send(Note(1)).unwrap();
    b.ask(Sum()).await.unwrap();
    assert_eq!(
        heard(&envs.of_a),
        ["connected b:2222"],
        "the address that was dialled"
    );
    let at_b = heard(&envs.of_b);
    // The socket's address comes first, the env's own when it has said it, before its message.
    let [socket, env, note] = &at_b[..] else {
        panic!("{at_b:?}");
    };
    assert!(
        socket.starts_with("connected a:") && socket != "connected a:1111",
        "{socket}"
    );
    assert_eq!((env.as_str(), note.as_str()), ("connected a:1111", "note 1"));

    envs.b.shutdown().await;
    settle().await;
    assert_eq!(heard(&envs.of_a), ["connected b:2222", "disconnected b:2222"]);
}

/// HANDLER-02
#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_announced_once_under_both_addresses() {
    let envs = Servers::new().await;
    envs.a.setup_endpoint_ref("spark://lab@b:2222").await.unwrap();
    settle().await;
    let socket = heard(&envs.of_b)[0].replace("connected ", "");
    envs.a.shutdown().await;
    settle().await;
    let expected = [
        format!("connected {socket}"),
        "connected a:1111".to_owned(),
        format!("disconnected {socket}"),
        "disconnected a:1111".to_owned(),
    ];
    assert_eq!(heard(&envs.of_b), expected);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_fails_is_an_error_first_and_then_gone_under_both_addresses() {
    let envs = Servers::new().await;
    envs.a.setup_endpoint_ref("spark://lab@b:2222").await.unwrap();
    settle().await;
    let socket = heard(&envs.of_b)[0].replace("connected ", "");
    envs.net.cut("a", "b");
    settle().await;
    let at_a = heard(&envs.of_a);
    assert_eq!(at_a.len(), 3, "{at_a:?}");
    assert!(
        at_a[1].starts_with("failed b:2222: Connection from b:2222 failed"),
        "{at_a:?}"
    );
    assert_eq!(at_a[2], "disconnected b:2222");
    let at_b = heard(&envs.of_b);
    assert_eq!(at_b.len(), 6, "{at_b:?}");
    assert!(at_b[2].starts_with(&format!("failed {socket}: ")), "{at_b:?}");
    assert!(at_b[3].starts_with("failed a:1111: "), "{at_b:?}");
    assert_eq!(
        at_b[4..],
        [format!("disconnected {socket}"), "disconnected a:1111".to_owned()]
    );
}

/// ENV-16
#[tokio::test(start_paused = true)]
async fn a_server_knows_a_client_by_its_socket_only() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    far.ask(Sum()).await.unwrap();
    pair.client.shutdown().await;
    settle().await;
    let heard = heard(&lab);
    let socket = heard[0].replace("connected ", "");
    assert!(socket.starts_with("client:"), "{heard:?}");
    assert_eq!(
        heard,
        [format!("connected {socket}"), format!("disconnected {socket}")]
    );
}

/// ENV-17
#[tokio::test(start_paused = true)]
async fn a_client_hears_of_its_server() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.client.setup_endpoint("own", lab.clone()).unwrap();
    pair.far(spark_rpc::RpcEndpointVerifier::NAME).await;
    lab.log.has("connected server:7077").await;
    pair.server.shutdown().await;
    lab.log.has("disconnected server:7077").await;
    assert_eq!(heard(&lab), ["connected server:7077", "disconnected server:7077"]);
}

#[tokio::test(start_paused = true)]
async fn every_endpoint_hears_of_a_connection_and_those_that_do_not_care_are_left_alone() {
    struct Deaf(Log);
    impl RpcEndpoint for Deaf {
        type Inbound = support::lab::LabInbound;
        const CONNECTION_EVENTS: bool = false;

        async fn handle(&mut self, _: Self::Inbound, _: &RpcCallContext) -> Result<(), BoxError> {
            Ok(())
        }

        async fn on_connected(&mut self, address: &RpcAddress, _: &EndpointContext) -> Result<(), BoxError> {
            self.0.push(format!("connected {address}"));
            Ok(())
        }
    }
    let envs = Servers::new().await;
    let second = Lab::default();
    envs.a.setup_endpoint("second", second.clone()).unwrap();
    let deaf = Log::default();
    envs.a.setup_endpoint("deaf", Deaf(deaf.clone())).unwrap();
    settle().await;
    envs.a.setup_endpoint_ref("spark://lab@b:2222").await.unwrap();
    settle().await;
    for lab in [&envs.of_a, &second] {
        assert_eq!(heard(lab), ["connected b:2222"]);
    }
    assert_eq!(deaf.entries(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn two_connections_between_the_same_envs_have_their_own_events() {
    let envs = Servers::new().await;
    envs.a.setup_endpoint_ref("spark://lab@b:2222").await.unwrap();
    envs.b.setup_endpoint_ref("spark://lab@a:1111").await.unwrap();
    settle().await;
    assert_eq!(
        envs.of_a.log.count("connected b:2222"),
        2,
        "the one that it dialled and the one of b"
    );
    assert_eq!(envs.of_b.log.count("connected a:1111"), 2);
    envs.net.crash("b", Crash::PROCESS);
    settle().await;
    assert_eq!(envs.of_a.log.count("disconnected b:2222"), 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_address_that_a_peer_gives_is_the_one_that_counts() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, RpcConf::default()).await;
    let lab = Lab::default();
    env.setup_endpoint("lab", lab.clone()).unwrap();
    settle().await;
    let mut peer = ScriptedPeer::connect(&net.host("peer"), "server", 7077).await;
    for port in [0, 12345, 12345, 54321] {
        let envelope = Envelope {
            sender: (port != 0).then(|| Address {
                host: "localhost".into(),
                port,
            }),
            receiver: None,
            name: "lab".into(),
        };
        let mut body = Vec::new();
        envelope.encode(&mut body).unwrap();
        body.extend_from_slice(b"\x01\x04Note\x07");
        peer.send(OneWayMessage { body: body.into() }).await;
    }
    lab.log
        .until(|entries| entries.iter().filter(|e| *e == "note 7").count() == 4)
        .await;
    peer.close();
    lab.log.has("disconnected localhost:12345").await;
    let heard: Vec<_> = heard(&lab)
        .into_iter()
        .filter(|entry| !entry.contains("peer:"))
        .collect();
    let expected = [
        "note 7",
        "connected localhost:12345",
        "note 7",
        "note 7",
        "note 7",
        "disconnected localhost:12345",
    ];
    assert_eq!(heard, expected);
}

/// ENV-25
#[tokio::test(start_paused = true)]
async fn an_env_that_shuts_down_tells_its_endpoints_to_stop_and_nothing_else() {
    let envs = Servers::new().await;
    let b = envs.a.setup_endpoint_ref("spark://lab@b:2222").await.unwrap();
    b.ask(Sum()).await.unwrap();
    envs.a.shutdown().await;
    settle().await;
    assert_eq!(heard(&envs.of_a), ["connected b:2222", "stop nobody"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_connected_again_has_heard_of_both() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.client.setup_endpoint("own", lab.clone()).unwrap();
    let far = pair.far(spark_rpc::RpcEndpointVerifier::NAME).await;
    let exists = || far.ask(spark_rpc::CheckExistence { name: "x".to_owned() });
    pair.net.cut("client", "server");
    settle().await;
    exists().await.unwrap();
    settle().await;
    let heard = heard(&lab);
    assert_eq!(heard.len(), 4, "{heard:?}");
    assert_eq!(
        (heard[0].as_str(), heard[3].as_str()),
        ("connected server:7077", "connected server:7077")
    );
    assert_eq!(pair.client.stats().reconnects, 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_be_made_is_no_event() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.client.setup_endpoint("own", lab.clone()).unwrap();
    pair.client
        .setup_endpoint_ref("spark://lab@server:7078")
        .await
        .unwrap_err();
    settle().await;
    assert_eq!(heard(&lab), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_connection_callback_does_not_keep_the_others_from_hearing() {
    let envs = Servers::new().await;
    let failing = Lab::failing("on_connected", How::Panic);
    envs.a.setup_endpoint("failing", failing.clone()).unwrap();
    let last = Lab::default();
    envs.a.setup_endpoint("last", last.clone()).unwrap();
    envs.a.setup_endpoint_ref("spark://lab@b:2222").await.unwrap();
    last.log.has("connected b:2222").await;
    failing.log.has("error on_connected panicked: Oops!").await;
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_frames_end_a_connection_with_an_error_that_says_so() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, RpcConf::default()).await;
    let lab = Lab::default();
    env.setup_endpoint("lab", lab.clone()).unwrap();
    let mut peer = ScriptedPeer::connect(&net.host("peer"), "server", 7077).await;
    peer.send_raw("GET / HTTP/1.1\r\nHost: server\r\n\r\n").await;
    peer.expect_close().await;
    settle().await;
    let heard = heard(&lab);
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert!(heard[0].starts_with("connected peer:"));
    assert!(
        heard[1].starts_with("failed peer:") && heard[1].contains("HTTP"),
        "{heard:?}"
    );
    assert!(heard[2].starts_with("disconnected peer:"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_while_nobody_speaks_is_noticed() {
    let net = MemoryNetwork::new(1);
    let host = net.host("server");
    let mut listener = spark_rpc::Network::bind(&host, "server", 7077, &SocketOptions::default())
        .await
        .unwrap();
    let client = RpcEnv::builder("client")
        .network(network(&net.host("client")))
        .client_mode();
    let client = client.start().await.unwrap();
    let lab = Lab::default();
    client.setup_endpoint("own", lab.clone()).unwrap();
    let far = client.endpoint_ref("spark://lab@server:7077".parse().unwrap());
    far.send(Note(1)).unwrap();
    let mut peer = ScriptedPeer::accept(&mut *listener).await;
    peer.expect_frame().await;
    peer.close();
    lab.log.has("disconnected server:7077").await;
}
