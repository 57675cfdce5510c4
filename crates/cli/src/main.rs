//! The `spark-rpc` command: arguments, then settings, then a run, then an exit code.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod ask;
mod bench;
mod child;
mod completions;
mod decode;
mod demo;
mod doctor;
mod exit;
mod get;
mod java_body;
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
mod status;
mod stdin;
mod stop;
mod tap;

use args::{Cli, Command};
use exit::{Exit, Failure};
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = cli.log_level();
    logging::start(log);
    match run(cli.command, log) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::error(&failure.text);
            failure.exit.into()
        }
    }
}

fn run(command: Command, log: LevelFilter) -> Result<Exit, Failure> {
    match command {
        Command::Demo(_) => demo::run(log),
        Command::BulkServer(args) => bench::run_bulk_server(&args),
        Command::DemoServer(args) => demo::run_server(args.port, args.folder.as_deref()),
        Command::DemoClient(args) => demo::run_client(&args.server, args.folder.as_deref()),
        Command::Serve(args) => serve::run(&args),
        Command::Ping(args) => ping::run(&args),
        Command::Ask(args) => ask::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Get(args) => get::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Bench(args) => bench::run(args),
        Command::Decode(args) => decode::run(&args),
        Command::Tap(args) => tap::run(&args),
        Command::Completions(args) => {
            completions::run(args.shell);
            Ok(Exit::Done)
        }
    }
}
