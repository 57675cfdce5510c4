//! `cargo xtask fuzz`: the targets in `fuzz/`, for a given time.

use std::path::Path;
use std::process::Command;

use crate::process::{self, cargo, output_of};
use crate::workspace::Workspace;
use crate::{Failure, walk};

pub(crate) const HELP: &str = "\
Usage: cargo xtask fuzz [--seconds N] [TARGET]

Runs one fuzz target of fuzz/, or all of them one after the other, for N seconds each (60 without --seconds).
Needs cargo-fuzz. Uses the nightly toolchain where it is installed, and the default one otherwise; leaves out
the address sanitizer where the toolchain lacks it.
";

const MANIFEST: &str = "fuzz/Cargo.toml";
/// Inputs to begin with, a folder for each target that has some.
const SEEDS: &str = "fuzz/seeds";

#[derive(Debug, PartialEq, Eq)]
struct Options {
    seconds: u64,
    target: Option<String>,
}

pub(crate) fn main(args: &[String]) -> Result<(), Failure> {
    let options = parse(args)?;
    let workspace = Workspace::load()?;
    let all = targets(&walk::read(&workspace.root, MANIFEST.as_ref())?)?;
    let chosen = match options.target {
        None => all,
        Some(name) if all.contains(&name) => vec![name],
        Some(name) => {
            let text = format!("there is no target `{name}`, but {}", all.join(", "));
            return Err(Failure::Usage(text));
        }
    };
    if output_of(&mut cargo(["fuzz", "--version"])).is_none() {
        let text = "cargo-fuzz is not installed; `cargo install --locked cargo-fuzz` adds it";
        return Err(Failure::Failed(text.to_owned()));
    }
    let toolchain = Toolchain::find();
    println!("toolchain: {toolchain:?}");
    let mut failed = Vec::new();
    for target in chosen {
        let has_seeds = workspace.root.join(SEEDS).join(&target).is_dir();
        if has_seeds {
            let corpus = workspace.root.join("fuzz/corpus").join(&target);
            std::fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
        }
        let mut command = toolchain.fuzz(&target, options.seconds, has_seeds);
        if !process::run(command.current_dir(&workspace.root))? {
            failed.push(target);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(format!("failed: {}", failed.join(", "))))
    }
}

fn parse(args: &[String]) -> Result<Options, Failure> {
    let mut options = Options {
        seconds: 60,
        target: None,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--seconds" {
            let value = args
                .next()
                .and_then(|value| value.parse().ok())
                .filter(|seconds| *seconds > 0);
            options.seconds = value.ok_or(Failure::Usage("--seconds takes a number from 1".to_owned()))?;
        } else if arg.starts_with('-') || options.target.is_some() {
            return Err(Failure::Usage(format!("unexpected argument `{arg}`")));
        } else {
            options.target = Some(arg.clone());
        }
    }
    Ok(options)
}

/// The names of the programs in the fuzz crate's manifest.
fn targets(manifest: &str) -> Result<Vec<String>, String> {
    let table: toml::Table = manifest
        .parse()
        .map_err(|error| format!("cannot read {MANIFEST}: {error}"))?;
    let bins = table
        .get("bin")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten();
    let names: Vec<_> = bins
        .filter_map(|bin| bin.get("name")?.as_str().map(str::to_owned))
        .collect();
    if names.is_empty() {
        Err(format!("{MANIFEST} has no targets"))
    } else {
        Ok(names)
    }
}

/// What builds the fuzzers: their instrumentation needs unstable compiler flags.
#[derive(Debug)]
struct Toolchain {
    nightly: bool,
    sanitizer: bool,
}

impl Toolchain {
    fn find() -> Self {
        let list = output_of(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
        let nightly = list.lines().any(|line| line.starts_with("nightly-"));
        let mut rustc = if nightly {
            Command::new("rustup")
        } else {
            Command::new("rustc")
        };
        if nightly {
            rustc.args(["run", "nightly", "rustc"]);
        }
        let libraries = output_of(rustc.args(["--print", "target-libdir"])).unwrap_or_default();
        Self {
            nightly,
            sanitizer: has_sanitizer(Path::new(libraries.trim())),
        }
    }

    fn fuzz(&self, target: &str, seconds: u64, has_seeds: bool) -> Command {
        let mut command = if self.nightly {
            Command::new("rustup")
        } else {
            cargo(["fuzz"])
        };
        if self.nightly {
            command.args(["run", "nightly", "cargo", "fuzz"]);
        } else {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command.arg("run");
        if !self.sanitizer {
            command.args(["-s", "none"]);
        }
        command.arg(target);
        if has_seeds {
            // What is found goes into the first one.
            command.args([format!("fuzz/corpus/{target}"), format!("{SEEDS}/{target}")]);
        }
        command.args(["--", &format!("-max_total_time={seconds}")]);
        command
    }
}

/// Whether the folder of the standard library has the address sanitizer's runtime beside it.
fn has_sanitizer(libraries: &Path) -> bool {
    let entries = std::fs::read_dir(libraries).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name())
        .any(|name| name.to_string_lossy().contains("_rt.asan."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, Failure> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn time_and_target_are_both_optional() {
        assert_eq!(
            parsed(""),
            Ok(Options {
                seconds: 60,
                target: None
            })
        );
        assert_eq!(
            parsed("frames --seconds 5"),
            Ok(Options {
                seconds: 5,
                target: Some("frames".to_owned())
            })
        );
        for wrong in ["--seconds", "--seconds 0", "--seconds x", "a b", "--fast"] {
            assert!(matches!(parsed(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn targets_are_the_programs_of_the_manifest() {
        let manifest = "[package]\nname = 'f'\n[[bin]]\nname = 'frames'\n[[bin]]\nname = 'messages'\n";
        assert_eq!(targets(manifest).unwrap(), ["frames", "messages"]);
        assert!(targets("[package]\nname = 'f'").is_err());
    }

    #[test]
    fn without_a_sanitizer_the_fuzzer_is_told_so() {
        let line = |toolchain: Toolchain, has_seeds| {
            let command = toolchain.fuzz("frames", 9, has_seeds);
            command
                .get_args()
                .map(|arg| arg.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let nightly = line(
            Toolchain {
                nightly: true,
                sanitizer: true,
            },
            true,
        );
        assert_eq!(
            nightly,
            "run nightly cargo fuzz run frames fuzz/corpus/frames fuzz/seeds/frames -- -max_total_time=9"
        );
        let stable = line(
            Toolchain {
                nightly: false,
                sanitizer: false,
            },
            false,
        );
        assert_eq!(stable, "fuzz run -s none frames -- -max_total_time=9");
    }
}
