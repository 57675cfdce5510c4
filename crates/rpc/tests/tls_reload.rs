//! Keys and certificates that are renewed while envs use them.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

mod support;

use std::time::Duration;

use metrics_util::debugging::DebuggingRecorder;
use spark_rpc::config::RpcConf;
use spark_rpc::{LookupError, RpcEndpointRef, RpcEnv};
use spark_rpc_testkit::MemoryNetwork;
use support::certificates::Certificates;
use support::lab::Lab;
use support::messages::*;
use support::observe::{Metrics, capture};
use support::{client, server, settle};

/// A server that shows the certificate `server`, and looks at its files every ten seconds.
async fn tls_server(net: &MemoryNetwork, conf: RpcConf) -> RpcEnv {
    let env = server(&net.host("server"), 7077, conf).await;
    env.setup_endpoint("lab", Lab::default()).unwrap();
    env
}

/// Connects anew each time: an env of its own.
async fn connect(net: &MemoryNetwork, name: &str, conf: RpcConf) -> (RpcEnv, RpcEndpointRef) {
    let env = client(&net.host(name), conf).await;
    let lab = find(&env).await.unwrap();
    (env, lab)
}

async fn find(env: &RpcEnv) -> Result<RpcEndpointRef, LookupError> {
    let lab = env.setup_endpoint_ref("spark://lab@server:7077").await?;
    assert_eq!(lab.ask(Echo("hi".into())).await.unwrap(), "hi");
    Ok(lab)
}

/// The next look, and what comes of it.
async fn ten_seconds() {
    tokio::time::sleep(Duration::from_millis(10_100)).await;
}

fn reloads(env: &RpcEnv) -> (u64, u64) {
    let tls = env.stats().tls.unwrap();
    (tls.reloads, tls.reload_failures)
}

#[tokio::test(start_paused = true)]
async fn a_renewed_certificate_is_for_new_connections_and_open_ones_live_on() {
    let files = Certificates::new(&["server"]);
    let net = MemoryNetwork::new(1);
    let env = tls_server(&net, files.conf(Some("server"), &[])).await;
    // Who trusts exactly the first certificate, and who trusts exactly the second.
    files.write("first.pem", files.read("server.pem"));
    let trusting = |file: &str| {
        let mut conf = files.conf(None, &[]);
        conf.security.ssl.as_mut().unwrap().trust_store = Some(files.path(file).into());
        conf
    };
    let (_old, open) = connect(&net, "old", trusting("first.pem")).await;

    files.issue("server", 2998);
    files.write("second.pem", files.read("server.pem"));
    let (_early, _) = connect(&net, "early", trusting("first.pem")).await;
    ten_seconds().await;
    assert_eq!(
        reloads(&env),
        (2, 0),
        "as a server, and as a client that may be asked for it"
    );
    connect(&net, "new", trusting("second.pem")).await;
    let late = client(&net.host("late"), trusting("first.pem")).await;
    find(&late).await.unwrap_err();
    assert_eq!(open.ask(Echo("still".into())).await.unwrap(), "still");
    ten_seconds().await;
    assert_eq!(reloads(&env), (2, 0), "nothing has changed since");
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_leaves_the_old_one_in_use_is_logged_once_and_counted() {
    let files = Certificates::new(&["server"]);
    let net = MemoryNetwork::new(1);
    let (events, _guard) = capture();
    let env = tls_server(&net, files.conf(Some("server"), &[])).await;
    let (certificate, key) = (files.read("server.pem"), files.read("server.key"));
    files.issue("server", 2998);
    let renewed = files.read("server.pem");

    // Somebody is still copying: the new certificate with the old key.
    files.write("server.key", &key);
    let mut failures = 0;
    for broken in [
        renewed.as_str(),
        "",
        "nonsense",
        &certificate[..certificate.len() / 2],
    ] {
        files.write("server.pem", broken);
        for _ in 0..3 {
            ten_seconds().await;
            failures += 2;
            assert_eq!(reloads(&env), (0, failures));
        }
    }
    let lines = events.count("TLS files have changed and cannot be used");
    assert!(
        (4..=8).contains(&lines),
        "once for each reason and side: {}",
        events.text()
    );
    connect(&net, "client", files.conf(None, &[])).await;

    files.write("server.pem", &certificate);
    ten_seconds().await;
    assert_eq!(reloads(&env), (0, failures), "it is again what it was");
    assert_eq!(events.count("again what they were"), 2);
    for line in key
        .lines()
        .chain(certificate.lines())
        .filter(|line| line.len() > 20)
    {
        assert!(!events.text().contains(line), "{}", events.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_vanishes_leaves_the_old_one_in_use() {
    let files = Certificates::new(&["server"]);
    let net = MemoryNetwork::new(1);
    let env = tls_server(&net, files.conf(Some("server"), &[])).await;
    std::fs::remove_file(files.path("server.key")).unwrap();
    ten_seconds().await;
    assert_eq!(reloads(&env), (0, 2));
    connect(&net, "client", files.conf(None, &[])).await;
}

/// SSL-02
#[tokio::test(start_paused = true)]
async fn a_trust_store_is_loaded_anew_where_sparks_key_says_so_and_as_often_as_it_says() {
    let (files, other) = (Certificates::new(&["server"]), Certificates::new(&["server"]));
    let net = MemoryNetwork::new(1);
    let _server = tls_server(&net, other.conf(Some("server"), &[])).await;
    let reloading = ("spark.ssl.rpc.trustStoreReloadingEnabled", "true");
    let interval = ("spark.ssl.rpc.trustStoreReloadIntervalMs", "3000");
    let keeps = client(&net.host("keeps"), files.conf(None, &[interval])).await;
    let reloads = client(&net.host("reloads"), files.conf(None, &[reloading, interval])).await;
    find(&keeps).await.unwrap_err();
    find(&reloads).await.unwrap_err();

    files.write("ca.pem", other.read("ca.pem"));
    tokio::time::sleep(Duration::from_millis(2900)).await;
    find(&reloads).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(200)).await;
    find(&reloads).await.unwrap();
    ten_seconds().await;
    find(&keeps).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn where_it_is_switched_off_nothing_is_looked_at() {
    let files = Certificates::new(&["server"]);
    let net = MemoryNetwork::new(1);
    let off = ("spark.rpc.security.reloadInterval", "0");
    let env = tls_server(&net, files.conf(Some("server"), &[off])).await;
    files.write("server.pem", "nonsense");
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!(reloads(&env), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn when_the_certificate_expires_is_a_metric_and_the_end_is_told_of_once() {
    let files = Certificates::new(&["server"]);
    let net = MemoryNetwork::new(1);
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let (events, _guard) = capture();
    let env = tls_server(&net, files.conf(Some("server"), &[])).await;
    ten_seconds().await;
    env.publish_metrics();
    let seconds = |seen: &Metrics| seen.gauge("spark_rpc_certificate_remaining_seconds", &["server"]);
    let seen = Metrics::of(&snapshotter);
    assert!(seconds(&seen) > 900.0 * 365.0 * 24.0 * 3600.0);
    assert_eq!(seen.counter("spark_rpc_tls_reloads_total", &["server"]), 0);
    assert_eq!(events.count("certificate"), 0, "{}", events.text());

    files.issue("server", 2020);
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    env.publish_metrics();
    let seen = Metrics::of(&snapshotter);
    assert!(seconds(&seen) < -5.0 * 365.0 * 24.0 * 3600.0);
    assert_eq!(seen.counter("spark_rpc_tls_reloads_total", &["server"]), 2);
    assert_eq!(
        seen.counter("spark_rpc_tls_reload_failures_total", &["server"]),
        0
    );
    assert_eq!(
        events.count("the certificate has expired"),
        1,
        "{}",
        events.text()
    );
    let told = env.stats().tls.unwrap().first_to_expire.unwrap();
    assert_eq!(told.subject, "CN=server");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_watch() {
    let files = Certificates::new(&["server"]);
    let net = MemoryNetwork::new(1);
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    // What is left after an env without TLS.
    let plain = server(&net.host("plain"), 7077, RpcConf::default()).await;
    plain.shutdown().await;
    settle().await;
    let before = alive();

    let env = tls_server(&net, files.conf(Some("server"), &[])).await;
    ten_seconds().await;
    assert!(alive() > before);
    let report = env.shutdown().await;
    assert!(report.is_clean(), "{report:?}");
    settle().await;
    assert_eq!(alive(), before);
    files.write("server.pem", "nonsense");
    ten_seconds().await;
    assert_eq!(reloads(&env), (0, 0));
}
