//! `spark-rpc serve`.

mod command;

use std::io::{Read, Write};

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

/// A request as it is on the wire, for an endpoint that is addressed by its name alone.
fn request_frame(endpoint: &str, content: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0];
    body.extend((endpoint.len() as u16).to_be_bytes());
    body.extend(endpoint.as_bytes());
    body.extend(content);
    let mut frame = Vec::new();
    frame.extend((8 + 1 + 8 + 4 + body.len() as u64).to_be_bytes());
    frame.push(3);
    frame.extend(7_u64.to_be_bytes());
    frame.extend((body.len() as u32).to_be_bytes());
    frame.extend(body);
    frame
}

#[test]
fn echo_answers_byte_for_byte_whatever_the_message_is() {
    let server = Server::start(&["--quiet"]);
    let mut socket = std::net::TcpStream::connect(&server.address).unwrap();
    // A native message of an unknown name, whose value is no value of anything.
    let content = b"\x01\x07Unknown\xff\xfe\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    socket.write_all(&request_frame("echo", content)).unwrap();

    let mut answer = vec![0; 8 + 1 + 8 + 4 + content.len()];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..8], (answer.len() as u64).to_be_bytes());
    assert_eq!(answer[8], 4, "an RpcResponse");
    assert_eq!(answer[9..17], 7_u64.to_be_bytes());
    assert_eq!(&answer[21..], content);
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
