//! The `spark-rpc` command: arguments, then settings, then a run, then an exit code.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod ask;
mod bench;
mod child;
mod completions;
mod exit;
mod logging;
mod messages;
mod output;
mod peer;
mod ping;
mod process;
mod progress;
mod runtime;
mod send;
mod serve;
mod settings;

use args::{Cli, Command};
use exit::{Exit, Failure};

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.log_level());
    match run(cli.command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::error(&failure.text);
            failure.exit.into()
        }
    }
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Ping(args) => ping::run(&args),
        Command::Ask(args) => ask::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Bench(args) => bench::run(args),
        Command::Completions(args) => {
            completions::run(args.shell);
            Ok(Exit::Done)
        }
    }
}
