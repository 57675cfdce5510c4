//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::peers::Peer;
use crate::work::{Run, Work};

/// Does the same work with spark-rpc, with other libraries and with bare sockets.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  peers ask tonic --in-flight 64 --server-cpu 0 --client-cpu 1     one run, one JSON object
  peers all --rounds 3 --server-cpu 0 --client-cpu 1               a table of medians for all
  peers all --json >> runs; peers table < runs                     the same in two steps")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask a server over TCP
    Ask(RunArgs),
    /// Send one-way messages to a server over TCP
    Send(RunArgs),
    /// Ask within one process
    LocalAsk(RunArgs),
    /// Send one-way messages within one process
    LocalSend(RunArgs),
    /// Let the peers take turns, and print a table
    All(AllArgs),
    /// Print a table of the runs on standard input, one JSON object a line
    Table,
    /// Be the server of a run
    #[command(hide = true)]
    Serve {
        peer: Peer,
        #[arg(long)]
        cpu: Option<usize>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Who does the work
    peer: Peer,
    /// Questions under way at once [default: 64 for those that ask, 1 for those that send]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    in_flight: Option<u16>,
    /// Bytes of content
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    size: usize,
    /// How long to measure, after a warm-up of a fifth of that, at most one second
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    seconds: Duration,
    /// The only CPU of the server process
    #[arg(long, value_name = "CPU")]
    server_cpu: Option<usize>,
    /// The only CPU of the client process
    #[arg(long, value_name = "CPU")]
    client_cpu: Option<usize>,
}

impl RunArgs {
    pub(crate) fn run(&self, work: Work) -> Run {
        let in_flight = self
            .in_flight
            .map_or(if work.is_one_way() { 1 } else { 64 }, usize::from);
        Run {
            work,
            peer: self.peer,
            in_flight,
            size: self.size,
            time: self.seconds,
            server_cpu: self.server_cpu,
            client_cpu: self.client_cpu,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct AllArgs {
    /// How often each peer gets its turn
    #[arg(long, value_name = "R", default_value_t = 3)]
    pub(crate) rounds: u32,
    /// Only this work, may be repeated
    #[arg(long)]
    pub(crate) work: Vec<Work>,
    /// Only this number in flight, may be repeated
    #[arg(long, value_name = "N")]
    pub(crate) in_flight: Vec<usize>,
    /// Only this peer, may be repeated
    #[arg(long)]
    pub(crate) peer: Vec<Peer>,
    /// Bytes of content
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    pub(crate) size: usize,
    /// How long each run measures
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// The only CPU of the server processes
    #[arg(long, value_name = "CPU")]
    pub(crate) server_cpu: Option<usize>,
    /// The only CPU of the client processes
    #[arg(long, value_name = "CPU")]
    pub(crate) client_cpu: Option<usize>,
    /// Print each run as a JSON object instead of a table at the end
    #[arg(long)]
    pub(crate) json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("must be more than 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, ValueEnum};

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_names_in_results_are_those_on_the_command_line() {
        for peer in Peer::ALL {
            assert_eq!(Peer::from_str(peer.name(), false), Ok(peer));
        }
        for work in [Work::Ask, Work::Send, Work::LocalAsk, Work::LocalSend] {
            assert_eq!(Work::from_str(work.name(), false), Ok(work));
            assert!(Cli::try_parse_from(["peers", work.name(), "raw"]).is_ok());
        }
    }
}
