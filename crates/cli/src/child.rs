//! Server processes of this command's own.

use std::process::Stdio;
use std::time::Duration;

use spark_rpc::RpcAddress;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::exit::Failure;

/// A child process that runs this same program.
///
/// It is killed when this value is dropped; should this process die without dropping anything, the child notices that
/// its standard input ends.
#[derive(Debug)]
pub(crate) struct OwnChild {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl OwnChild {
    /// Starts this program with other arguments.
    pub(crate) fn start<A: AsRef<std::ffi::OsStr>>(arguments: &[A]) -> Result<Self, Failure> {
        let failed = |error| Failure::no(format_args!("cannot start a process: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.args(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        Ok(Self {
            child,
            stdin,
            stdout: BufReader::new(stdout).lines(),
        })
    }

    /// The process id; `None` once it has ended.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The next line of its standard output.
    pub(crate) async fn line(&mut self, limit: Duration) -> Result<String, Failure> {
        match tokio::time::timeout(limit, self.stdout.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => Err(self.ended_too_early().await),
            Ok(Err(error)) => Err(Failure::no(format_args!("a process of this command: {error}"))),
            Err(_) => Err(Failure::no(format_args!(
                "a process of this command said nothing for {limit:?}"
            ))),
        }
    }

    /// It has said why on standard error. Had it been given bad arguments, then so was this process.
    async fn ended_too_early(&mut self) -> Failure {
        let ended = tokio::time::timeout(START_LIMIT, self.child.wait()).await;
        let code = ended.ok().and_then(Result::ok).and_then(|status| status.code());
        let text = "a process of this command ended too early";
        match code {
            Some(2) => Failure::usage(text),
            _ => Failure::no(text),
        }
    }

    /// The address that a server writes as its first line.
    pub(crate) async fn address(&mut self) -> Result<RpcAddress, Failure> {
        let line = self.line(START_LIMIT).await?;
        RpcAddress::from_spark_url(&line).map_err(Failure::no)
    }

    /// Writes a line to its standard input.
    pub(crate) async fn write_line(&mut self, line: &str) -> Result<(), Failure> {
        let written = self.stdin.write_all(format!("{line}\n").as_bytes()).await;
        written.map_err(|error| Failure::no(format_args!("a process of this command has gone: {error}")))
    }

    /// Ends its standard input, and waits until it has ended in order.
    pub(crate) async fn end(self, limit: Duration) -> Result<(), Failure> {
        let Self { mut child, stdin, .. } = self;
        drop(stdin);
        match tokio::time::timeout(limit, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Failure::no(format_args!(
                "a process of this command ended with {status}"
            ))),
            Ok(Err(error)) => Err(Failure::no(error)),
            Err(_) => Err(Failure::no(format_args!(
                "a process of this command did not end in {limit:?}"
            ))),
        }
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> Result<(), Failure> {
        let killed = self.child.kill().await;
        killed.map_err(|error| Failure::no(format_args!("cannot kill a process: {error}")))
    }
}

const START_LIMIT: Duration = Duration::from_secs(10);
