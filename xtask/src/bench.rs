//! `cargo xtask bench`: all benchmarks one after the other, each pinned to its CPUs.

mod plan;
mod table;

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::check::release;
use crate::process;
use crate::workspace::Workspace;
use crate::{Failure, bench::plan::Work};

pub(crate) const HELP: &str = "\
Usage: cargo xtask bench [--seconds N] [WORK...]

Builds the command in release mode and runs `spark-rpc bench` for each line of the plan (xtask/src/bench/plan.rs),
or for those of the named works, N seconds each (5 without --seconds). Server and client are pinned to CPUs
0 and 1, or both to CPU 0 where the software's own cost is wanted. Prints one JSON object a line as they come
in, the command's own with `pinned` added, and a Markdown table of all at the end. Leave the machine alone meanwhile.
";

#[derive(Debug, PartialEq, Eq)]
struct Options {
    seconds: u64,
    works: Vec<String>,
}

pub(crate) fn main(args: &[String]) -> Result<(), Failure> {
    let options = parse(args)?;
    let workspace = Workspace::load()?;
    if !process::run(&mut release::build())? {
        return Err(Failure::Failed("the build failed".to_owned()));
    }
    let program = workspace.target_directory.join("release").join("spark-rpc");
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut rows = Vec::new();
    let mut failed = 0;
    for work in plan::PLAN
        .iter()
        .filter(|work| options.works.is_empty() || options.works.iter().any(|w| w == work.name))
    {
        if work.cpus_needed() > cpus {
            eprintln!("{work}: left out, this machine has {cpus} CPU");
            continue;
        }
        match measure(Command::new(&program).args(work.arguments(options.seconds))) {
            Ok(mut result) => {
                result["pinned"] = Value::from(work.pinned.to_string());
                println!("{result}");
                rows.push((work, result));
            }
            Err(why) => {
                eprintln!("{work}: {why}");
                failed += 1;
            }
        }
    }
    print!("\n{}", table::render(&rows));
    if failed == 0 {
        Ok(())
    } else {
        Err(Failure::Failed(format!("{failed} benchmarks failed")))
    }
}

fn parse(args: &[String]) -> Result<Options, Failure> {
    let mut options = Options {
        seconds: 5,
        works: Vec::new(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--seconds" {
            let value = args
                .next()
                .and_then(|value| value.parse().ok())
                .filter(|seconds| *seconds > 0);
            options.seconds = value.ok_or(Failure::Usage("--seconds takes a number from 1".to_owned()))?;
        } else if plan::PLAN.iter().any(|work: &Work| work.name == arg) {
            options.works.push(arg.clone());
        } else {
            return Err(Failure::Usage(format!("there is no option or work `{arg}`")));
        }
    }
    Ok(options)
}

/// Runs one benchmark and reads the JSON object that it prints.
fn measure(command: &mut Command) -> Result<Value, String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run {}: {error}", command.get_program().to_string_lossy()))?;
    if !output.status.success() {
        return Err(format!("failed: {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut objects = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(Value::is_object);
    objects
        .next_back()
        .ok_or_else(|| "printed no JSON object".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, Failure> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn works_are_chosen_by_name() {
        let expected = Options {
            seconds: 2,
            works: vec!["ask".to_owned(), "start".to_owned()],
        };
        assert_eq!(parsed("ask start --seconds 2"), Ok(expected));
        for wrong in ["asks", "--fast", "--seconds", "--seconds 0"] {
            assert!(matches!(parsed(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn the_result_is_the_last_json_object_of_the_output() {
        let print = |text: &str| measure(Command::new("printf").arg(text));
        assert_eq!(
            print("warming up\\n{\"work\":\"ask\"}\\n").unwrap()["work"],
            "ask"
        );
        assert_eq!(print("nothing"), Err("printed no JSON object".to_owned()));
    }
}
