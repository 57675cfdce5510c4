//! Checks and chores of this workspace; `cargo xtask --help` lists them.
//!
//! Every command answers `--help`. Exit codes: 0 when all is well, 1 when something was found or failed, 2 when the
//! command line makes no sense.

mod bench;
mod catalogue;
mod check;
mod fuzz;
mod interop;
mod javaids;
mod process;
mod report;
mod sim;
mod source;
mod spark;
mod tidy;
mod walk;
mod workspace;

use std::process::ExitCode;

/// Why a command ends with another code than 0.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The command line makes no sense; exit code 2.
    Usage(String),
    /// Something was found or failed; exit code 1. The text may be empty when all has been said already.
    Failed(String),
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

/// One word of the command line, and what it does.
struct Command {
    name: &'static str,
    summary: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Result<(), Failure>,
}

const COMMANDS: [Command; 8] = [
    Command {
        name: "check",
        summary: "everything that CI runs, in the same order",
        help: check::HELP,
        run: check::main,
    },
    Command {
        name: "tidy",
        summary: "layers, manifests, sources, documents, minimum Rust version",
        help: tidy::HELP,
        run: tidy::main,
    },
    Command {
        name: "catalogue",
        summary: "which behaviours of docs/catalogue.md have a test",
        help: catalogue::HELP,
        run: catalogue::main,
    },
    Command {
        name: "sim",
        summary: "whole envs on a simulated network",
        help: sim::HELP,
        run: sim::main,
    },
    Command {
        name: "fuzz",
        summary: "the fuzz targets, for a given time",
        help: fuzz::HELP,
        run: fuzz::main,
    },
    Command {
        name: "interop",
        summary: "the suite against a real Spark, in both directions",
        help: interop::HELP,
        run: interop::main,
    },
    Command {
        name: "javaids",
        summary: "the ids of Spark's classes, from its own jars",
        help: javaids::HELP,
        run: javaids::main,
    },
    Command {
        name: "bench",
        summary: "all benchmarks, as JSON lines and a table",
        help: bench::HELP,
        run: bench::main,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(name) = args.first() else {
        eprint!("{}", overview());
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "--help" | "-h" | "help") {
        print!("{}", overview());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprintln!("xtask: there is no command `{name}`\n");
        eprint!("{}", overview());
        return ExitCode::from(2);
    };
    // What stands behind `--` belongs to the program that is started.
    if args[1..]
        .iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "--help" || arg == "-h")
    {
        print!("{}", command.help);
        return ExitCode::SUCCESS;
    }
    match (command.run)(&args[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            eprintln!("xtask {name}: {text}\nFor more, see `cargo xtask {name} --help`.");
            ExitCode::from(2)
        }
        Err(Failure::Failed(text)) => {
            if !text.is_empty() {
                eprintln!("xtask {name}: {text}");
            }
            ExitCode::FAILURE
        }
    }
}

fn overview() -> String {
    let mut text =
        String::from("Checks and chores of this workspace.\n\nUsage: cargo xtask <command> [options]\n\n");
    for command in &COMMANDS {
        text += &format!("  {:<10} {}\n", command.name, command.summary);
    }
    text + "\nEach command explains itself with --help.\n"
}

/// Refuses arguments where a command takes none.
fn expect_no_arguments(args: &[String]) -> Result<(), Failure> {
    match args.first() {
        None => Ok(()),
        Some(extra) => Err(Failure::Usage(format!("unexpected argument `{extra}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_refuses_an_unknown_option_as_bad_usage() {
        let nonsense = ["--no-such-option".to_owned()];
        for command in &COMMANDS {
            let outcome = (command.run)(&nonsense);
            assert!(
                matches!(outcome, Err(Failure::Usage(_))),
                "{}: {outcome:?}",
                command.name
            );
        }
    }

    #[test]
    fn every_help_text_opens_with_its_usage_line() {
        for command in &COMMANDS {
            let usage = format!("Usage: cargo xtask {}", command.name);
            assert!(command.help.starts_with(&usage), "{}", command.name);
            assert!(command.help.ends_with('\n'), "{}", command.name);
        }
    }
}
