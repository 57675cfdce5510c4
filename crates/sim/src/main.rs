//! The simulator's program, as `cargo xtask sim` starts it.

use std::process::ExitCode;

use spark_rpc_sim::simulate;

const HELP: &str = "\
Usage: spark-rpc-sim --seed N [--count M] [--trace]

Runs whole envs on a simulated network and checks what they do. The same seed gives the same run.

  --seed N    the seed
  --count M   run M consecutive seeds from N on; default 1
  --trace     print every event of every run

Exit codes: 0 when all is well, 1 when a run has broken a rule, 2 when the command line makes no sense.
";

struct Arguments {
    seed: u64,
    count: u64,
    trace: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|arg| arg == "--help" || arg == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let arguments = match parse(&arguments) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprint!("spark-rpc-sim: {why}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let mut failed = 0;
    for seed in (0..arguments.count).map(|n| arguments.seed.wrapping_add(n)) {
        let report = simulate(seed);
        if arguments.trace {
            report
                .history
                .entries
                .iter()
                .for_each(|entry| println!("{entry}"));
        }
        println!("{report}");
        failed += u64::from(!report.is_ok());
    }
    println!("{} passed, {failed} failed, 0 skipped", arguments.count - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn parse(arguments: &[String]) -> Result<Arguments, String> {
    let (mut seed, mut count, mut trace) = (None, 1, false);
    let mut rest = arguments.iter();
    while let Some(arg) = rest.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (arg.as_str(), None),
        };
        let mut number = || {
            let value = value.or_else(|| rest.next().map(String::as_str));
            let number = value.and_then(|value| value.parse::<u64>().ok());
            number.ok_or_else(|| format!("{name} takes a number"))
        };
        match name {
            "--seed" => seed = Some(number()?),
            "--count" => count = number()?,
            "--trace" => trace = true,
            _ => return Err(format!("unexpected argument `{arg}`")),
        }
    }
    let seed = seed.ok_or("--seed N is missing")?;
    Ok(Arguments { seed, count, trace })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<(u64, u64, bool)> {
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let arguments = parse(&args).ok()?;
        Some((arguments.seed, arguments.count, arguments.trace))
    }

    #[test]
    fn a_seed_is_required_and_the_rest_has_defaults() {
        assert_eq!(parsed("--seed 7"), Some((7, 1, false)));
        assert_eq!(parsed("--trace --count=3 --seed=7"), Some((7, 3, true)));
        for wrong in ["", "--count 3", "--seed", "--seed x", "--seed 1 --runs 2"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
