//! `spark-rpc tap`: between a server and those who call it.

mod command;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

use command::{Server, command, nobody, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A tap process, killed when the test ends.
struct Tap {
    child: Child,
    stdout: BufReader<ChildStdout>,
    first: String,
}

impl Tap {
    fn start(to: &str, args: &[&str]) -> Self {
        let mut command = command(&["tap", "--to", to]);
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut first = String::new();
        stdout.read_line(&mut first).expect("a first line");
        Self { child, stdout, first }
    }

    fn address(&self) -> &str {
        let address = self.first.strip_prefix("listening on ").expect("it says where");
        address.split(',').next().expect("an address")
    }

    fn uri(&self, endpoint: &str) -> String {
        format!("spark://{endpoint}@{}", self.address())
    }

    /// Ends it as Ctrl-C does; returns the exit code and what else it has printed.
    fn interrupt(mut self) -> (Option<i32>, String) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("it runs");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("output is UTF-8");
        (self.child.wait().expect("it ends").code(), rest)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn calls_work_through_it_and_are_told() {
    let server = Server::start(&["--quiet"]);
    let tap = Tap::start(&server.address, &[]);
    assert_eq!(run(&["ping", &tap.uri("echo"), "-c", "1"]).code, Some(0));
    assert_eq!(
        run(&["ask", &tap.uri("echo"), "--text", "hello"]).stdout,
        "hello\n"
    );
    let (code, told) = tap.interrupt();
    assert_eq!(code, Some(0), "{told}");
    for text in [
        "#1 opened by 127.0.0.1:",
        "#1 → RpcRequest",
        "CheckExistence to endpoint-verifier",
        "#2 → RpcRequest",
        "Text to echo",
        "native: Text, 6 bytes",
        "2 connections, 0 turned away; → 3 frames in",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
}

#[test]
fn a_recording_is_told_again_by_decode() {
    let server = Server::start(&["--quiet"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.json").display().to_string();
    let tap = Tap::start(
        &server.address,
        &["--write", &file, "--filter", "type=RpcFailure"],
    );
    assert_eq!(run(&["ask", &tap.uri("echo"), "--text", "hello"]).code, Some(0));
    let (code, told) = tap.interrupt();
    assert_eq!(code, Some(0), "{told}");
    assert!(!told.contains("Text to echo"), "{told}");

    let finished = run(&["decode", &file, "--brief"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout.matches("Text to echo").count(), 2, "{finished:?}");

    let again = run(&["tap", "--to", &server.address, "--write", &file]);
    assert_eq!(
        again.code,
        Some(2),
        "a file that is there is not written over: {again:?}"
    );
    assert!(again.stderr.contains("--write"), "{again:?}");
}

#[test]
fn every_line_is_json_when_that_is_wanted() {
    let server = Server::start(&["--quiet"]);
    let tap = Tap::start(&server.address, &["--json"]);
    let first: serde_json::Value = serde_json::from_str(&tap.first).expect("JSON");
    let uri = format!("spark://echo@{}", first["address"].as_str().expect("an address"));
    assert_eq!(run(&["ask", &uri, "--text", "hello"]).code, Some(0));
    let (code, told) = tap.interrupt();
    assert_eq!(code, Some(0), "{told}");
    let lines: Vec<serde_json::Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let answer = lines
        .iter()
        .find(|line| line["type"] == "RpcResponse")
        .expect("an answer");
    assert_eq!(answer["answers"]["subject"], "Text to echo", "{told}");
    let last = lines.last().expect("a summary");
    assert_eq!(
        (&last["event"], &last["connections"]),
        (&"summary".into(), &1.into()),
        "{told}"
    );
}

#[test]
fn a_server_that_is_not_there_is_told_and_no_end() {
    let tap = Tap::start(&nobody(), &[]);
    assert_eq!(run(&["ask", &tap.uri("echo"), "--text", "x"]).code, Some(3));
    let (code, told) = tap.interrupt();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("turned away"), "{told}");
}

#[test]
fn it_does_not_listen_beyond_loopback_unless_told_to() {
    let finished = run(&["tap", "--listen", "0.0.0.0", "--to", "127.0.0.1:1"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    for word in ["--listen", "--expose"] {
        assert!(finished.stderr.contains(word), "{finished:?}");
    }
}
