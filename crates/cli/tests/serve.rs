//! `spark-rpc serve`.

mod command;

use command::{Server, run};
use nix::sys::signal::Signal;
use serde_json::Value;

#[test]
fn the_first_line_is_the_address_and_sigterm_drains() {
    let mut server = Server::start(&[]);
    assert!(server.address.starts_with("127.0.0.1:"), "{}", server.address);
    assert_ne!(server.address, "127.0.0.1:0");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(
        server.next_line(),
        None,
        "without --json there is nothing but the address"
    );
}

#[test]
fn json_events_tell_connections_counts_and_the_report_of_the_shutdown() {
    let mut server = Server::start(&["--json", "--bind", "127.0.0.1:0"]);
    let sent = run(&["send", &server.uri("sink"), "--text", "one"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let asked = run(&["ask", &server.uri("sink"), "--text", "?"]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait().code(), Some(0));

    let events: Vec<Value> = std::iter::from_fn(|| server.next_line())
        .map(|line| serde_json::from_str(&line).expect("each line is a JSON object"))
        .collect();
    let find = |name: &str| events.iter().find(|event| event["event"] == name);
    assert_eq!(
        find("listening").unwrap()["address"],
        format!("spark://{}", server.address)
    );
    assert!(find("connected").unwrap()["peer"].is_string(), "{events:?}");
    assert!(find("disconnected").is_some(), "{events:?}");
    assert_eq!(find("draining").unwrap()["reason"], "SIGINT");
    assert_eq!(find("sink").unwrap()["messages"], 1);
    assert_eq!(find("shut_down").unwrap()["clean"], true);
}

#[test]
fn a_server_that_is_told_to_ends_with_its_standard_input() {
    let mut server = Server::start(&["--stop-with-stdin"]);
    assert_eq!(server.wait().code(), Some(0), "its standard input was never open");
}

#[test]
fn a_port_that_spark_does_not_allow_is_refused_by_name() {
    let finished = run(&["serve", "--bind", "127.0.0.1:80"]);
    assert_eq!(finished.code, Some(2));
    assert!(
        finished.stderr.contains("--bind 127.0.0.1:80"),
        "{}",
        finished.stderr
    );
}

#[test]
fn settings_of_the_command_line_win_over_those_of_the_file() {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = dir.join("spark-defaults.conf");
    std::fs::write(&file, "spark.rpc.askTimeout  never\n").unwrap();
    let file = file.to_str().unwrap();

    let refused = run(&["serve", "--properties-file", file]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("spark.rpc.askTimeout"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("spark-defaults.conf:1"),
        "{}",
        refused.stderr
    );

    let mut server = Server::start(&["--properties-file", file, "--conf", "spark.rpc.askTimeout=30s"]);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}
