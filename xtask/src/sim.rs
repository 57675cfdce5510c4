//! `cargo xtask sim`: the simulator, in release mode.

use crate::Failure;
use crate::process::{self, cargo};

pub(crate) const HELP: &str = "\
Usage: cargo xtask sim --seed N [--count M] [options of the simulator]

Builds the simulator with optimisations and runs it with these arguments. The same seed gives the same run;
with --count, M consecutive seeds are run from N on. `cargo xtask sim -- --help` shows the simulator's own options.
";

/// The crate whose program this is.
pub(crate) const PACKAGE: &str = "spark-rpc-sim";

pub(crate) fn main(args: &[String]) -> Result<(), Failure> {
    let mut command = cargo(["run", "--release", "--quiet", "--package", PACKAGE, "--"]);
    match process::run(command.args(arguments(args)?))? {
        true => Ok(()),
        false => Err(Failure::Failed(String::new())),
    }
}

/// Checks what this command knows about; the simulator checks the rest.
fn arguments(args: &[String]) -> Result<&[String], Failure> {
    if let Some((_, rest)) = args.split_first().filter(|(first, _)| *first == "--") {
        return Ok(rest);
    }
    let mut seeded = false;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (arg.as_str(), None),
        };
        if name == "--seed" || name == "--count" {
            let value = value.or_else(|| rest.next().map(String::as_str));
            if value.is_none_or(|value| value.parse::<u64>().is_err()) {
                return Err(Failure::Usage(format!("{name} takes a number")));
            }
            seeded |= name == "--seed";
        }
    }
    if seeded {
        Ok(args)
    } else {
        Err(Failure::Usage("--seed N is missing".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(line: &str) -> Option<Vec<String>> {
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        arguments(&args).ok().map(<[String]>::to_vec)
    }

    #[test]
    fn a_seed_is_required_and_everything_is_passed_on() {
        assert_eq!(
            accepted("--seed 7 --count 3 --trace").unwrap(),
            ["--seed", "7", "--count", "3", "--trace"]
        );
        assert_eq!(accepted("--seed=7").unwrap(), ["--seed=7"]);
        assert_eq!(accepted("-- --help").unwrap(), ["--help"]);
        for wrong in ["", "--count 3", "--seed", "--seed x", "--seed 1 --count -2"] {
            assert_eq!(accepted(wrong), None, "{wrong}");
        }
    }
}
