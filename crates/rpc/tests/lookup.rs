//! Finding endpoints: addresses, ports, lookups.

mod support;

use std::sync::Arc;
use std::time::Duration;

use spark_rpc::config::RpcConf;
use spark_rpc::{
    AskError, LookupError, RpcAddress, RpcEndpointAddress, RpcEndpointVerifier, RpcEnv, RpcEnvConfig,
    RpcEnvFactory, SetupError, StartError,
};
use spark_rpc_testkit::MemoryNetwork;
use support::lab::Lab;
use support::messages::*;
use support::{Pair, client, network, server};

/// NENV-01
#[tokio::test(start_paused = true)]
async fn a_missing_endpoint_is_reported_with_its_uri() {
    let pair = Pair::new().await;
    let uri = "spark://nonexist-endpoint@server:7077";
    for lookup in [
        pair.client.setup_endpoint_ref(uri).await,
        pair.server.setup_endpoint_ref(uri).await,
    ] {
        let error = lookup.unwrap_err();
        assert!(matches!(&error, LookupError::NotFound { uri: told } if told.to_string() == uri));
        assert_eq!(error.to_string(), format!("Cannot find endpoint: {uri}"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_found_by_uri_and_by_address_and_name() {
    let pair = Pair::new().await;
    let lab = pair.server.setup_endpoint("lab", Lab::default()).unwrap();

    let by_uri = pair
        .client
        .setup_endpoint_ref("spark://lab@server:7077")
        .await
        .unwrap();
    let address = pair.server.address().unwrap();
    let by_address = pair.client.setup_endpoint_ref_at(address, "lab").await.unwrap();

    assert_eq!(by_uri, by_address);
    assert_eq!(by_uri, lab);
    assert!(!by_uri.is_local() && lab.is_local());
    assert_eq!(by_uri.ask(Echo("there".into())).await.unwrap(), "there");
}

#[tokio::test(start_paused = true)]
async fn a_lookup_of_an_own_endpoint_takes_the_local_way() {
    let pair = Pair::new().await;
    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let own = pair
        .server
        .setup_endpoint_ref("spark://lab@server:7077")
        .await
        .unwrap();
    assert!(own.is_local());
    assert_eq!(pair.server.stats().transport.connections_opened(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_verifier_is_an_endpoint_of_every_server_and_of_no_client() {
    let pair = Pair::new().await;
    assert!(pair.server.has_endpoint(RpcEndpointVerifier::NAME));
    assert!(!pair.client.has_endpoint(RpcEndpointVerifier::NAME));
    let verifier = pair.far(RpcEndpointVerifier::NAME).await;
    let exists = |name: &str| {
        verifier.ask(spark_rpc::CheckExistence {
            name: name.to_owned(),
        })
    };
    assert!(exists(RpcEndpointVerifier::NAME).await.unwrap());
    assert!(!exists("lab").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_lookup_where_nobody_listens_fails_with_the_cause() {
    let pair = Pair::new().await;
    let error = pair
        .client
        .setup_endpoint_ref("spark://lab@server:7078")
        .await
        .unwrap_err();
    let LookupError::Ask { uri, source } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(uri.to_string(), "spark://lab@server:7078");
    assert!(matches!(source, AskError::Connect(_)), "{source:?}");
    assert!(
        error.to_string().contains("Failed to connect to server:7078"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lookup_is_bounded_by_its_own_setting() {
    let net = MemoryNetwork::new(1);
    let conf = RpcConf::default().with_lookup_timeout(Duration::from_secs(7));
    let (server_host, client_host) = (net.host("server"), net.host("client"));
    let server = server(&server_host, 7077, conf.clone()).await;
    let client = client(&client_host, conf).await;
    net.partition(&[&server_host], &[&client_host]);

    let began = tokio::time::Instant::now();
    let error = client
        .setup_endpoint_ref_at(server.address().unwrap(), "lab")
        .await
        .unwrap_err();

    assert_eq!(began.elapsed().as_secs(), 7);
    let LookupError::Ask {
        source: AskError::Timeout(timeout),
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(timeout.timeout.setting, "spark.rpc.lookupTimeout");
    assert_eq!(timeout.message, "CheckExistence");
}

#[tokio::test(start_paused = true)]
async fn a_uri_that_is_none_is_refused_before_anything_is_sent() {
    let pair = Pair::new().await;
    for uri in [
        "",
        "lab@server:7077",
        "spark://server:7077",
        "spark-client://lab",
        "spark://lab@server:x",
    ] {
        let error = pair.client.setup_endpoint_ref(uri).await.unwrap_err();
        assert!(matches!(error, LookupError::Uri(_)), "{uri}: {error:?}");
    }
    assert_eq!(pair.client.stats().transport.connections_opened(), 0);
}

/// NENV-02
#[tokio::test(start_paused = true)]
async fn others_are_told_the_advertised_host_and_never_the_bound_one() {
    let net = MemoryNetwork::new(1);
    let host = net.host("example.com");
    let builder = RpcEnv::builder("server")
        .network(network(&host))
        .bind("127.0.0.1:0");
    let server = builder.advertise("example.com").start().await.unwrap();
    let address = server.address().unwrap();
    assert!(address.to_string().starts_with("example.com:"), "{address}");

    let lab = server.setup_endpoint("lab", Lab::default()).unwrap();
    assert_eq!(lab.address().address(), Some(address));
    let client = client(&net.host("client"), RpcConf::default()).await;
    let far = client.setup_endpoint_ref(&lab.to_string()).await.unwrap();
    assert_eq!(far.ask(WhoAmI()).await.unwrap(), lab);
}

#[tokio::test(start_paused = true)]
async fn an_env_is_made_from_a_config_through_the_factory() {
    let net = MemoryNetwork::new(1);
    let factory = RpcEnvFactory::new().network(network(&net.host("server")));
    let config = RpcEnvConfig {
        bind_address: "0.0.0.0".to_owned(),
        advertise_address: Some("server".to_owned()),
        port: 7077,
        conf: RpcConf::default().with_drain_limit(Duration::from_secs(3)),
        ..RpcEnvConfig::new("from-config")
    };
    let env = factory.create(config.clone()).await.unwrap();
    assert_eq!(env.name(), "from-config");
    assert_eq!(env.address(), Some(&RpcAddress::new("server", 7077)));
    assert_eq!(env.conf().drain_limit, Duration::from_secs(3));

    let config = RpcEnvConfig {
        client_mode: true,
        ..config
    };
    let client = factory.create(config).await.unwrap();
    assert_eq!(
        client.address(),
        None,
        "it does not bind, so the taken port does not matter"
    );
}

#[tokio::test]
async fn port_0_takes_any_free_port_and_tells_which() {
    let builder = || RpcEnv::builder("any").bind("127.0.0.1:0");
    let (a, b) = (builder().start().await.unwrap(), builder().start().await.unwrap());
    let (a, b) = (a.address().unwrap(), b.address().unwrap());
    assert_eq!((a.host(), b.host()), ("127.0.0.1", "127.0.0.1"));
    assert!(a.port() > 0 && b.port() > 0 && a.port() != b.port());
}

/// ENV-18
#[tokio::test(start_paused = true)]
async fn a_taken_port_leads_to_the_next_one() {
    let net = MemoryNetwork::new(1);
    let host = net.host("server");
    let first = server(&host, 7077, RpcConf::default()).await;
    let second = server(&host, 7077, RpcConf::default()).await;
    let third = server(&host, 7077, RpcConf::default()).await;
    let port = |env: &RpcEnv| env.address().unwrap().port();
    assert_eq!([port(&first), port(&second), port(&third)], [7077, 7078, 7079]);

    second.setup_endpoint("lab", Lab::default()).unwrap();
    first.setup_endpoint_ref("spark://lab@server:7078").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn as_many_further_ports_are_tried_as_the_setting_says() {
    let net = MemoryNetwork::new(1);
    let host = net.host("server");
    let mut held = Vec::new();
    for port in 7077..=7080 {
        held.push(server(&host, port, RpcConf::default()).await);
    }
    let start = |retries| {
        let conf = RpcConf::default().with_port_max_retries(retries);
        let builder = RpcEnv::builder("late")
            .network(network(&host))
            .bind("server:7077");
        builder.conf(conf).start()
    };
    let error = start(3).await.unwrap_err();
    let StartError::Bind {
        service,
        port,
        retries,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((service.as_str(), *port, *retries), ("late", 7077, 3));
    let text = error.to_string();
    assert!(
        text.contains("Service 'late' failed after 3 retries (starting from 7077)!"),
        "{text}"
    );
    assert!(text.contains("spark.port.maxRetries"), "{text}");

    let env = start(4).await.unwrap();
    assert_eq!(env.address().unwrap().port(), 7081);
}

#[tokio::test(start_paused = true)]
async fn after_the_highest_port_comes_1024() {
    let net = MemoryNetwork::new(1);
    let host = net.host("server");
    let _held = server(&host, 65535, RpcConf::default()).await;
    let next = server(&host, 65535, RpcConf::default()).await;
    assert_eq!(next.address().unwrap().port(), 1024);
}

#[tokio::test(start_paused = true)]
async fn only_a_taken_port_is_worth_another_try() {
    let net = MemoryNetwork::new(1);
    let host = net.host("server");
    net.crash(&host, spark_rpc_testkit::Crash::PROCESS);
    let builder = RpcEnv::builder("down")
        .network(network(&host))
        .bind("server:7077");
    let error = builder.start().await.unwrap_err();
    assert!(matches!(error, StartError::Bind { retries: 0, .. }), "{error:?}");
}

#[tokio::test]
async fn ports_below_1024_must_not_be_asked_for() {
    for port in [1, 80, 1023] {
        let error = RpcEnv::builder("low")
            .bind(format!("127.0.0.1:{port}"))
            .start()
            .await
            .unwrap_err();
        assert!(matches!(error, StartError::Port { port: told } if told == port));
        assert!(
            error
                .to_string()
                .starts_with("startPort should be between 1024 and 65535 (inclusive)")
        );
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    for bind in ["127.0.0.1", "127.0.0.1:http", ":7077", "127.0.0.1:70000"] {
        let error = RpcEnv::builder("none").bind(bind).start().await.unwrap_err();
        assert!(matches!(error, StartError::Address(_)), "{bind}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_env_that_could_not_start_leaves_nothing_behind() {
    let net = MemoryNetwork::new(1);
    let host = net.host("server");
    let held = server(&host, 7077, RpcConf::default()).await;
    let conf = RpcConf::default()
        .with_port_max_retries(0)
        .with_dispatcher_threads(1);
    let builder = RpcEnv::builder("late")
        .network(network(&host))
        .bind("server:7077");
    builder.clone().conf(conf.clone()).start().await.unwrap_err();

    held.shutdown().await;
    let env = builder.conf(conf).start().await.unwrap();
    assert_eq!(
        env.address().unwrap().port(),
        7077,
        "the port of an env that ended is free"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_mode_env_has_no_address_and_its_endpoints_work_inside_it() {
    let pair = Pair::new().await;
    assert_eq!(pair.client.address(), None);
    let own = pair.client.setup_endpoint("lab", Lab::default()).unwrap();
    assert_eq!(own.to_string(), "spark-client://lab");
    assert!(own.is_local());
    assert_eq!(own.ask(Echo("hi".into())).await.unwrap(), "hi");

    let known = pair.client.endpoint_ref(own.address().clone());
    assert_eq!(known, own, "by its address, which has no host");
    assert_eq!(known.ask(Echo("again".into())).await.unwrap(), "again");
    let missing = pair.client.endpoint_ref(RpcEndpointAddress::new("missing", None));
    assert!(matches!(
        missing.ask(Echo("hi".into())).await,
        Err(AskError::EndpointNotFound { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn several_envs_in_one_process_do_not_notice_each_other() {
    let net = MemoryNetwork::new(1);
    let mut envs = Vec::new();
    for name in ["a", "b", "c"] {
        envs.push(server(&net.host(name), 7077, RpcConf::default()).await);
    }
    let labs: Vec<_> = envs.iter().map(|_| Lab::default()).collect();
    for (env, lab) in envs.iter().zip(&labs) {
        env.setup_endpoint("lab", lab.clone()).unwrap();
    }
    for (number, env) in envs.iter().enumerate() {
        let own = env
            .setup_endpoint_ref_at(env.address().unwrap(), "lab")
            .await
            .unwrap();
        own.send(Note(number as u64)).unwrap();
    }
    for (number, lab) in labs.iter().enumerate() {
        let entries = lab.log.len(2).await;
        assert_eq!(entries[1..], [format!("note {number}")]);
    }

    envs[1].shutdown().await;
    let a = envs[0].setup_endpoint_ref("spark://lab@a:7077").await.unwrap();
    assert_eq!(a.ask(Sum()).await.unwrap(), 0);
    let c = envs[0].setup_endpoint_ref("spark://lab@c:7077").await.unwrap();
    assert_eq!(c.ask(Sum()).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_taken_name_is_refused_and_a_stopped_one_is_free_at_once() {
    let pair = Pair::new().await;
    let old = Lab::default();
    let lab = pair.server.setup_endpoint("lab", old.clone()).unwrap();
    let error = pair.server.setup_endpoint("lab", Lab::default()).unwrap_err();
    assert!(matches!(&error, SetupError::NameTaken { name } if name == "lab"));
    assert_eq!(error.to_string(), "There is already an RpcEndpoint called lab");

    lab.send(Block()).unwrap();
    old.log.has("blocked").await;
    pair.server.stop(&lab);
    let new = Lab::default();
    let again = pair.server.setup_endpoint("lab", new.clone()).unwrap();
    again.send(Note(1)).unwrap();
    new.log.has("note 1").await;
    assert!(
        !old.log.entries().contains(&"unblocked".to_owned()),
        "both run for a while"
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_must_be_given_and_fit_the_wire() {
    let pair = Pair::new().await;
    for name in [String::new(), "x".repeat(65_536)] {
        let error = pair.server.setup_endpoint(&name, Lab::default()).unwrap_err();
        assert!(matches!(error, SetupError::BadName { len } if len == name.len()));
    }
    let longest = "x".repeat(65_535);
    pair.server.setup_endpoint(&longest, Lab::default()).unwrap();
    let far = pair.far(&longest).await;
    assert_eq!(far.ask(Echo("far".into())).await.unwrap(), "far");
}

#[tokio::test(start_paused = true)]
async fn a_reference_can_be_made_without_asking() {
    let pair = Pair::new().await;
    let address = RpcEndpointAddress::new("lab", pair.server.address().cloned());
    let early = pair.client.endpoint_ref(address);
    let error = early.ask(Sum()).await.unwrap_err();
    assert!(matches!(error, AskError::EndpointNotFound { endpoint } if endpoint == "lab"));

    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    assert_eq!(early.ask(Sum()).await.unwrap(), 0);
}

#[tokio::test]
async fn envs_find_each_other_over_tcp() {
    let server = RpcEnv::builder("server")
        .bind("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let lab = server.setup_endpoint("lab", Lab::default()).unwrap();
    let client = RpcEnv::builder("client").client_mode().start().await.unwrap();
    let far = client.setup_endpoint_ref(&lab.to_string()).await.unwrap();
    assert_eq!(far.ask(Echo("tcp".into())).await.unwrap(), "tcp");
}

#[cfg(unix)]
#[tokio::test]
async fn envs_find_each_other_over_unix_sockets() {
    let folder = std::env::temp_dir().join(format!("spark-rpc-lookup-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let sockets = Arc::new(spark_rpc::UnixNetwork::new(&folder));
    let builder = RpcEnv::builder("server")
        .network(sockets.clone())
        .bind("127.0.0.1:0");
    let server = builder.start().await.unwrap();
    let lab = server.setup_endpoint("lab", Lab::default()).unwrap();
    let client = RpcEnv::builder("client").network(sockets).client_mode();
    let client = client.start().await.unwrap();
    let far = client.setup_endpoint_ref(&lab.to_string()).await.unwrap();
    assert_eq!(far.ask(Echo("unix".into())).await.unwrap(), "unix");
    server.shutdown().await;
    std::fs::remove_dir_all(folder).unwrap();
}
