//! The same work with spark-rpc, with other libraries, and with bare sockets. See README.md beside Cargo.toml.

use std::process::ExitCode;

use clap::Parser;
use serde_json::Value;

mod args;
mod counter;
mod drive;
mod meter;
mod payload;
mod peers;
mod process;
mod report;
mod round;
mod table;
mod work;

use args::{Cli, Command, RunArgs};
use work::Work;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Outcome<T> = Result<T, BoxError>;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all went well, where something went on after a failure.
fn run(command: Command) -> Outcome<bool> {
    match command {
        Command::Ask(args) => one(&args, Work::Ask)?,
        Command::Send(args) => one(&args, Work::Send)?,
        Command::LocalAsk(args) => one(&args, Work::LocalAsk)?,
        Command::LocalSend(args) => one(&args, Work::LocalSend)?,
        Command::All(args) => return round::run(&args),
        Command::Table => {
            let lines = std::io::stdin()
                .lines()
                .map(|line| Ok(serde_json::from_str(&line?)?));
            let runs: Vec<Value> = lines.collect::<Outcome<_>>()?;
            print!("{}", table::render(&runs));
        }
        Command::Serve { peer, cpu } => work::serve(peer, cpu)?,
    }
    Ok(true)
}

fn one(args: &RunArgs, work: Work) -> Outcome<()> {
    let run = args.run(work);
    let measured = run.measure()?;
    println!("{}", report::object(&run, &measured));
    Ok(())
}
