//! `spark-rpc demo`: the main job, from one command.
//!
//! This process starts a server process and a client process, tells the client which step to take, kills the server
//! half-way and starts it again, and says after each step whether it did what it should.

use std::ffi::OsStr;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use spark_rpc::RpcAddress;
use tracing_subscriber::filter::LevelFilter;

use crate::child::OwnChild;
use crate::exit::{Exit, Failure};
use crate::output::{self, BOLD, DIM, GREEN, RED, short, styled};
use crate::runtime;
use crate::stop::StopSignals;

mod client;
mod greeter;
mod messages;
mod server;
mod spare;
mod steps;

pub(crate) use client::run as run_client;
pub(crate) use server::run as run_server;

use client::StepReport;

/// Runs the command.
pub(crate) fn run(log: LevelFilter) -> Result<Exit, Failure> {
    // What dies and fails here is meant to, so the processes log only if somebody asks for it.
    let log = log.to_string();
    runtime::small()?.block_on(async { StopSignals::listen()?.unless_stopped(demo(&log)).await })
}

async fn demo(log: &str) -> Result<Exit, Failure> {
    let began = Instant::now();
    output::line(styled(
        BOLD,
        "A server process and a client process, over TCP on loopback",
    ));
    let mut show = Show::default();

    let folder = tempfile::tempdir().map_err(Failure::no)?;
    let folder = folder.path();
    let Some(mut server) = show.step("server starts", start_server(log, 0, folder)).await else {
        return Ok(show.end(began));
    };
    let address = server.address.clone();
    let Some(mut client) = show
        .step("client starts", start_client(log, &address, folder))
        .await
    else {
        return Ok(show.end(began));
    };
    for (title, step) in [
        ("both sides see the connection", "connect"),
        ("sends arrive, in order", "send"),
        ("asks are answered", "ask"),
        ("a failing ask says why", "fail"),
        ("a reference in a message works", "call-back"),
        ("an endpoint stops, others go on", "stop-endpoint"),
        ("a file is fetched and checked", "download"),
    ] {
        show.step(title, client_step(&mut client, step)).await;
    }

    show.step("server dies", async {
        client_step(&mut client, "wait-forever").await?;
        let pid = server.process.id();
        server.process.kill().await?;
        let lost = client_step(&mut client, "lost").await?.detail;
        Ok(Shown::new(
            (),
            format!("process {} killed; {lost}", pid.unwrap_or_default()),
        ))
    })
    .await;
    show.step("server comes back", async {
        server = start_server(log, address.port(), folder).await?.value;
        client_step(&mut client, "back").await
    })
    .await;

    show.step("asks, measured", client_step(&mut client, "measure-asks"))
        .await;
    show.step("sends, measured", client_step(&mut client, "measure-sends"))
        .await;
    show.step("both end in order", async {
        let detail = client_step(&mut client, "end").await?.detail;
        client.end(STEP_LIMIT).await?;
        server.process.end(STEP_LIMIT).await?;
        Ok(Shown::new((), detail))
    })
    .await;
    Ok(show.end(began))
}

struct ServerProcess {
    process: OwnChild,
    address: RpcAddress,
}

async fn start_server(log: &str, port: u16, folder: &Path) -> Result<Shown<ServerProcess>, Failure> {
    let port = port.to_string();
    let arguments = ["demo-server", "--log", log, "--port", &port, "--folder"];
    let mut process = OwnChild::start(&with(&arguments, folder))?;
    let address = process.address().await?;
    let detail = format!(
        "{}, process {}",
        address.to_spark_url(),
        process.id().unwrap_or_default()
    );
    Ok(Shown::new(ServerProcess { process, address }, detail))
}

async fn start_client(log: &str, server: &RpcAddress, folder: &Path) -> Result<Shown<OwnChild>, Failure> {
    let server = server.to_string();
    let arguments = ["demo-client", "--log", log, "--server", &server, "--folder"];
    let mut process = OwnChild::start(&with(&arguments, folder))?;
    let ready = process.line(STEP_LIMIT).await?;
    let detail = format!("{ready}, process {}", process.id().unwrap_or_default());
    Ok(Shown::new(process, detail))
}

fn with<'a>(arguments: &'a [&'a str], folder: &'a Path) -> Vec<&'a OsStr> {
    let arguments = arguments.iter().map(OsStr::new);
    arguments.chain([folder.as_os_str()]).collect()
}

/// Lets the client take one step.
async fn client_step(client: &mut OwnChild, step: &str) -> Result<Shown<()>, Failure> {
    client.write_line(step).await?;
    let line = client.line(STEP_LIMIT).await?;
    let report: StepReport = serde_json::from_str(&line).map_err(Failure::no)?;
    if report.ok {
        Ok(Shown::new((), report.detail))
    } else {
        Err(Failure::no(report.detail))
    }
}

/// What a step has brought, and what there is to say about it.
struct Shown<T> {
    value: T,
    detail: String,
}

impl<T> Shown<T> {
    fn new(value: T, detail: String) -> Self {
        Self { value, detail }
    }
}

/// The steps so far.
#[derive(Default)]
struct Show {
    steps: usize,
    failed: usize,
}

impl Show {
    /// Takes a step and shows how it went; `None` if it failed.
    async fn step<T>(
        &mut self,
        title: &str,
        step: impl Future<Output = Result<Shown<T>, Failure>>,
    ) -> Option<T> {
        self.steps += 1;
        let (mark, detail, value) = match step.await {
            Ok(Shown { value, detail }) => (styled(GREEN, "✓"), styled(DIM, detail), Some(value)),
            Err(failure) => {
                self.failed += 1;
                (styled(RED, "✗"), failure.text, None)
            }
        };
        output::line(format_args!("  {mark} {title:<34}{detail}"));
        value
    }

    fn end(&self, began: Instant) -> Exit {
        let took = short(began.elapsed());
        if self.failed == 0 {
            let all = styled(
                GREEN,
                format_args!("all {} steps did what they should", self.steps),
            );
            output::line(format_args!("{all}, in {took}"));
            Exit::Done
        } else {
            let some = styled(
                RED,
                format_args!("{} of {} steps failed", self.failed, self.steps),
            );
            output::line(format_args!("{some}, after {took}"));
            Exit::No
        }
    }
}

/// Longer than any step takes, on any machine.
const STEP_LIMIT: Duration = Duration::from_secs(10);
