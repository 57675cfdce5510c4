//! The command as a user runs it: processes, their lines, their exit codes.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What a finished command has left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spark-rpc"));
    command
        .args(args)
        .stdin(Stdio::null())
        .env_remove("SPARK_RPC_LOG");
    command
}

/// Runs the command to its end.
pub(crate) fn run(args: &[&str]) -> Finished {
    let output = command(args).output().expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Finished {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A server process, killed when the test ends.
pub(crate) struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// HOST:PORT.
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = command(&["serve"]);
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the command starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next().expect("a first line").expect("a readable line");
        let address = first
            .strip_prefix("spark://")
            .expect("the first line is the address");
        Self {
            address: address.to_owned(),
            child,
            lines,
        }
    }

    pub(crate) fn uri(&self, endpoint: &str) -> String {
        format!("spark://{endpoint}@{}", self.address)
    }

    pub(crate) fn next_line(&mut self) -> Option<String> {
        self.lines.next().map(|line| line.expect("a readable line"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("the server runs");
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the server ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}
