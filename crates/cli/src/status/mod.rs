//! `spark-rpc status`: what a standalone Master knows.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use spark_rpc::{AskError, LookupError, RpcAddress, RpcEndpointRef, RpcEnv};
use spark_rpc_standalone::{
    BoundPortsRequest, DriverStatus, MASTER, MasterState, RequestDriverStatus, RequestMasterState,
};

use crate::args::StatusArgs;
use crate::exit::{Exit, Failure};
use crate::{output, peer, runtime};

mod draw;
mod report;
mod table;
mod web;

use draw::View;
use report::Report;

/// Runs the command.
pub(crate) fn run(args: &StatusArgs) -> Result<Exit, Failure> {
    runtime::small()?.block_on(status(args))
}

async fn status(args: &StatusArgs) -> Result<Exit, Failure> {
    // Masters are JVMs: beginning in Java saves them a message that they would refuse and log.
    let env = peer::client_for(&args.limit, true).await?;
    let patience = env.conf().ask_timeout.duration;
    let master = find(&env, &args.master).await?;
    let mut report = gather(&master, args, patience).await?;
    if !args.watch {
        show(&report, args);
        return Ok(Exit::Done);
    }
    let mut screen = Screen::new(args.json);
    let mut ticks = tokio::time::interval(args.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        screen.draw(&report, args);
        tokio::select! {
            _ = &mut interrupted => return Ok(Exit::Done),
            _ = ticks.tick() => {}
        }
        // What was there stays on the screen until there is something newer; a Master that has gone may come back.
        report = loop {
            let gathered = tokio::select! {
                _ = &mut interrupted => return Ok(Exit::Done),
                gathered = gather(&master, args, patience) => gathered,
            };
            match gathered {
                Ok(report) => break report,
                Err(failure) => output::warning(failure.text.lines().next().unwrap_or_default()),
            }
            tokio::select! {
                _ = &mut interrupted => return Ok(Exit::Done),
                _ = ticks.tick() => {}
            }
        };
    }
}

/// Makes sure that there is a Master.
async fn find(env: &RpcEnv, address: &RpcAddress) -> Result<RpcEndpointRef, Failure> {
    let found = env.setup_endpoint_ref_at(address, MASTER).await;
    found.map_err(|error| match error {
        LookupError::NotFound { .. } => Failure::no(format_args!(
            "{address} is an RPC server, but no Master: it has no endpoint `{MASTER}`"
        )),
        LookupError::Ask { source, .. } => refused(address, &source),
        other => peer::lookup_failed(&other),
    })
}

fn refused(address: &RpcAddress, error: &AskError) -> Failure {
    let failure = peer::ask_failed(error);
    // A JVM's text is a stack trace.
    let first = failure.text.lines().next().unwrap_or_default();
    // What a JVM, and what one of ours, answers to a message instead of a handshake.
    let wants = ["SaslMessage", "Unknown challenge message"];
    let text = if wants.iter().any(|text| failure.text.contains(text)) {
        format!("{address} wants authentication: give --secret-file, and --auth as the server has it")
    } else {
        format!("{address}: {first}")
    };
    Failure {
        exit: failure.exit,
        text: format!("{text}\n`spark-rpc doctor {address}` says more"),
    }
}

async fn gather(master: &RpcEndpointRef, args: &StatusArgs, patience: Duration) -> Result<Report, Failure> {
    let state = master.ask(RequestMasterState).await;
    let state = state.map_err(|error| refused(&args.master, &error))?;
    let statuses = drivers(master, &state).await;
    // A Master that does not tell its ports is one whose web pages cannot be asked.
    let ports = master.ask(BoundPortsRequest).await.ok();
    let web_ui_port = ports.map(|ports| ports.web_ui_port).filter(|port| *port > 0);
    let web = match web_ui_port {
        Some(port) if !args.rpc_only => web::fetch(args.master.host(), port, patience).await,
        _ => None,
    };
    Ok(Report::new(&state, &statuses, web_ui_port, web.as_ref()))
}

/// The states of the drivers, active ones first. One after the other: it is one connection anyhow, and nothing is to be
/// disturbed.
async fn drivers(master: &RpcEndpointRef, state: &MasterState) -> Vec<Option<DriverStatus>> {
    let all = state.active_drivers.0.iter().chain(&state.completed_drivers.0);
    let mut statuses = Vec::new();
    for driver in all.take(MOST_DRIVERS) {
        let driver_id = driver.id.clone();
        let status = master.ask(RequestDriverStatus { driver_id }).await;
        statuses.push(status.ok());
    }
    statuses
}

fn show(report: &Report, args: &StatusArgs) {
    if args.json {
        output::line(serde_json::to_string(report).expect("a report is plain data"));
    } else {
        let view = view(args, terminal().map(|(width, _)| width));
        for line in draw::lines(report, &view) {
            output::line(line);
        }
    }
}

fn view(args: &StatusArgs, width: Option<usize>) -> View {
    View {
        width: width.unwrap_or(usize::MAX),
        all: args.all,
        rpc_only: args.rpc_only,
        now_ms: draw::now_ms(),
    }
}

/// Width and height of the terminal that standard output is, if it is one.
fn terminal() -> Option<(usize, usize)> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let (width, height) = terminal_size::terminal_size()?;
    Some((usize::from(width.0), usize::from(height.0)))
}

/// Where `--watch` draws: one picture over the other on a terminal, one after the other elsewhere.
struct Screen {
    drawn: bool,
    redraws: bool,
}

impl Screen {
    fn new(json: bool) -> Self {
        Self {
            drawn: false,
            redraws: !json && terminal().is_some(),
        }
    }

    fn draw(&mut self, report: &Report, args: &StatusArgs) {
        let Some((width, height)) = terminal().filter(|_| self.redraws) else {
            if self.drawn && !args.json {
                output::line("");
            }
            self.drawn = true;
            return show(report, args);
        };
        let mut lines = draw::lines(report, &view(args, Some(width)));
        if lines.len() >= height {
            let hidden = lines.len() - (height - 2).min(lines.len());
            lines.truncate(height - 2);
            lines.push(format!("… {hidden} more lines; the terminal is too low"));
        }
        // Home, each line and what was behind it, then all that was below.
        let mut picture = String::from(if self.drawn { "\x1b[H" } else { "\x1b[2J\x1b[H" });
        for line in lines {
            picture.push_str(&line);
            picture.push_str("\x1b[K\n");
        }
        picture.push_str("\x1b[J");
        self.drawn = true;
        let mut out = anstream::stdout().lock();
        let _ = out.write_all(picture.as_bytes()).and_then(|()| out.flush());
    }
}

/// More are not asked for: a Master keeps 200 that have ended.
const MOST_DRIVERS: usize = 256;
