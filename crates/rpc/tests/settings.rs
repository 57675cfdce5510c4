//! Settings on their way into an env: read, checked once, and felt.

mod support;

use std::time::Duration;

use spark_rpc::config::{ConfError, RpcConf, SparkConf};
use spark_rpc::security::Secret;
use spark_rpc::{AskError, ConnectError, RpcEnv, RpcEnvFactory, StartError};
use spark_rpc_testkit::MemoryNetwork;
use support::lab::Lab;
use support::messages::*;
use support::observe::capture;
use support::{Pair, client, network, server};

#[tokio::test]
async fn an_env_refuses_settings_that_cannot_be_and_names_the_key() {
    let start = |change: fn(&mut RpcConf)| {
        let mut conf = RpcConf::default();
        change(&mut conf);
        RpcEnv::builder("env").client_mode().conf(conf).start()
    };
    let error = start(|conf| conf.num_retries = 0).await.unwrap_err();
    assert!(
        matches!(error, StartError::Conf(ConfError::OutOfRange { .. })),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .contains("spark.rpc.numRetries is 0, expected at least 1"),
        "{error}"
    );

    let error = start(|conf| conf.transport.connections_per_peer = 2)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("spark.rpc.io.numConnectionsPerPeer"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_builder_keeps_what_it_was_given_whatever_comes_later() {
    let net = MemoryNetwork::new(1);
    let env = RpcEnv::builder("env")
        .secret(Secret::new("open sesame").unwrap())
        .network(network(&net.host("server")))
        .bind("server:7077")
        .conf(RpcConf::default())
        .factory(RpcEnvFactory::new())
        .start()
        .await
        .unwrap();
    assert!(env.conf().security.secret.is_some(), "the settings have none");
    assert_eq!(env.address().unwrap().host(), "server");
}

#[tokio::test]
async fn a_number_that_no_machine_reaches_means_no_bound() {
    let spark = SparkConf::from_pairs([
        ("spark.rpc.connect.threads", i64::MAX.to_string()),
        ("spark.rpc.concurrentHandlers", i64::MAX.to_string()),
        ("spark.rpc.inbox.maxMessages", i64::MAX.to_string()),
        ("spark.rpc.outbox.maxMessages", i64::MAX.to_string()),
    ]);
    let conf = RpcConf::from_spark(&spark).unwrap();
    let env = RpcEnv::builder("env")
        .client_mode()
        .conf(conf)
        .start()
        .await
        .unwrap();
    let lab = env.setup_endpoint("lab", Lab::default()).unwrap();
    assert_eq!(lab.ask(Sum()).await.unwrap(), 0);
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused_with_both_keys() {
    let spark =
        SparkConf::from_properties_str("spark.rpc.io.maxFrameSize 1m\nspark.rpc.io.writeQueue.maxBytes 1k\n");
    let error = RpcConf::from_spark(&spark.unwrap()).unwrap_err();
    assert!(matches!(error, ConfError::Contradiction { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("spark.rpc.io.writeQueue.maxBytes = "), "{text}");
    assert!(text.contains("spark.rpc.io.maxFrameSize = "), "{text}");

    let mut conf = RpcConf::default();
    conf.transport.max_frame_bytes = 1 << 20;
    conf.transport.write_queue_max_bytes = 1 << 10;
    let error = RpcEnv::builder("env")
        .client_mode()
        .conf(conf)
        .start()
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("spark.rpc.io.writeQueue.maxBytes"), "{text}");
    assert!(text.contains("spark.rpc.io.maxFrameSize"), "{text}");
}

#[tokio::test]
async fn doubtful_settings_are_told_with_both_keys_when_the_env_starts() {
    let (events, _guard) = capture();
    let mut conf = RpcConf::default().with_ask_timeout(Duration::from_secs(300));
    conf.transport.connection_timeout = Some(Duration::from_secs(30));
    let env = RpcEnv::builder("env")
        .client_mode()
        .conf(conf)
        .start()
        .await
        .unwrap();
    let line = events.line("a setting may not do what it says");
    assert!(line.starts_with("WARN"), "{line}");
    assert!(line.contains("spark.rpc.askTimeout"), "{line}");
    assert!(line.contains("spark.rpc.io.connectionTimeout"), "{line}");
    assert_eq!(env.conf().warnings().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_a_spark_operators_file_are_felt() {
    let file = "\
# as it lies in conf/
spark.rpc.askTimeout            3s
spark.rpc.lookupTimeout         4s
spark.rpc.numRetries            2
spark.rpc.retry.wait            5s
spark.port.maxRetries           1
spark.rpc.io.connectionTimeout  60s
";
    let conf = RpcConf::from_spark(&SparkConf::from_properties_str(file).unwrap()).unwrap();
    assert_eq!(conf.warnings(), []);
    let pair = Pair::with_conf(conf.clone()).await;
    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let far = pair.far("lab").await;

    let began = tokio::time::Instant::now();
    let error = far.ask(Keep(1)).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 3);
    assert!(
        error
            .to_string()
            .contains("in 3 seconds. This timeout is controlled by spark.rpc.askTimeout")
    );

    let began = tokio::time::Instant::now();
    far.ask_with_retry(Keep(2), conf.ask_timeout.clone())
        .await
        .unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 3 + 5 + 3);

    pair.net.partition(&["client"], &["server"]);
    let began = tokio::time::Instant::now();
    let error = pair
        .client
        .setup_endpoint_ref("spark://lab@server:7077")
        .await
        .unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 4);
    assert!(error.to_string().contains("spark.rpc.lookupTimeout"), "{error}");
    pair.net.heal();

    let host = pair.net.host("server");
    let second = server(&host, 7077, conf.clone()).await;
    assert_eq!(second.address().unwrap().port(), 7078);
    let builder = RpcEnv::builder("third")
        .network(support::network(&host))
        .bind("server:7077");
    let error = builder.conf(conf).start().await.unwrap_err();
    assert!(matches!(error, StartError::Bind { retries: 1, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn connecting_is_bounded_by_its_own_setting() {
    let spark = SparkConf::from_pairs([("spark.rpc.io.connectionCreationTimeout", "2s")]);
    let pair = Pair::with_conf(RpcConf::from_spark(&spark).unwrap()).await;
    pair.net.partition(&["client"], &["server"]);
    let far = pair
        .client
        .endpoint_ref("spark://lab@server:7077".parse().unwrap());
    let began = tokio::time::Instant::now();
    let error = far.ask(Sum()).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 2);
    let AskError::Connect(ConnectError::TimedOut { setting, .. }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(setting, "spark.rpc.io.connectionCreationTimeout");
}

#[tokio::test(start_paused = true)]
async fn no_more_outboxes_connect_at_once_than_the_setting_says() {
    let conf = RpcConf::default().with_max_connecting(1);
    let pair = Pair::with_conf(conf).await;
    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let _cut_off = server(&pair.net.host("cut-off"), 7077, RpcConf::default()).await;
    pair.net.partition(&["client"], &["cut-off"]);
    let hangs = pair
        .client
        .endpoint_ref("spark://lab@cut-off:7077".parse().unwrap());
    let hanging = hangs.ask_within(Sum(), Duration::from_secs(60));
    let far = pair
        .client
        .endpoint_ref("spark://lab@server:7077".parse().unwrap());
    let error = far.ask_within(Sum(), Duration::from_secs(2)).await.unwrap_err();
    assert!(matches!(error, AskError::Timeout(_)), "{error:?}");
    drop(hanging);
    // The attempt itself goes on until its own limit.
    pair.net.heal();
    assert_eq!(far.ask_within(Sum(), Duration::from_secs(2)).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn frames_above_the_setting_end_the_connection_of_their_sender() {
    let mut small = RpcConf::default();
    small.transport.max_frame_bytes = 10_000;
    let net = spark_rpc_testkit::MemoryNetwork::new(1);
    let server = server(&net.host("server"), 7077, small).await;
    let lab = Lab::default();
    server.setup_endpoint("lab", lab.clone()).unwrap();
    let client = client(&net.host("client"), RpcConf::default()).await;
    let far = client
        .setup_endpoint_ref("spark://lab@server:7077")
        .await
        .unwrap();
    far.send(Bulk(vec![0; 9_000])).unwrap();
    lab.log.has("bulk 9000").await;
    far.send(Bulk(vec![0; 11_000])).unwrap();
    let entries = lab
        .log
        .until(|entries| entries.iter().any(|entry| entry.starts_with("failed")))
        .await;
    let failed = entries.iter().find(|entry| entry.starts_with("failed")).unwrap();
    assert!(failed.contains("10000"), "{failed}");
    support::settle().await;
    assert_eq!(far.ask(Echo("anew".into())).await.unwrap(), "anew");
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_and_equal_names_make_equal_envs() {
    let net = spark_rpc_testkit::MemoryNetwork::new(1);
    let mut references = Vec::new();
    for (host, seed) in [
        ("a", Some(1)),
        ("b", Some(1)),
        ("c", Some(2)),
        ("d", None),
        ("e", None),
    ] {
        let conf = RpcConf {
            seed,
            ..RpcConf::default()
        };
        let builder = RpcEnv::builder("same")
            .network(support::network(&net.host(host)))
            .client_mode();
        let env = builder.conf(conf).start().await.unwrap();
        references.push(env.setup_endpoint("lab", Lab::default()).unwrap());
    }
    let [a, b, c, d, e] = &references[..] else {
        panic!("five were made");
    };
    assert_eq!(a, b);
    assert!(a != c && a != d && d != e);
}
