//! All tests, counted.

use crate::process::{cargo, locked, on_ci, output_of, run_and_read};
use crate::report::{Outcome, Tally};

/// Runs everything but doc tests: with nextest where it is installed, otherwise with `cargo test`.
pub(super) fn unit_and_integration(tally: &mut Tally) -> Outcome {
    if output_of(&mut cargo(["nextest", "--version"])).is_some() {
        let mut command = cargo(["nextest", "run", "--workspace", "--no-fail-fast"]);
        command.args(locked());
        if on_ci() {
            command.args(["--profile", "ci"]);
        }
        return count(run_and_read(&mut command), nextest_summary, tally);
    }
    if on_ci() {
        return Outcome::Failed("cargo-nextest is not installed".to_owned());
    }
    println!("cargo-nextest is not installed: `cargo test` runs the tests");
    let mut command = cargo(["test", "--workspace", "--no-fail-fast", "--tests"]);
    count(run_and_read(&mut command), libtest_summary, tally)
}

/// Runs the examples in doc comments, which nextest cannot.
pub(super) fn documentation(tally: &mut Tally) -> Outcome {
    let mut command = cargo(["test", "--workspace", "--no-fail-fast", "--doc"]);
    count(run_and_read(command.args(locked())), libtest_summary, tally)
}

fn count(
    ran: Result<(bool, String), String>,
    summary: fn(&str) -> Option<Tally>,
    tally: &mut Tally,
) -> Outcome {
    let (success, text) = match ran {
        Ok(ran) => ran,
        Err(why) => return Outcome::Failed(why),
    };
    let Some(mut found) = summary(&text) else {
        tally.failed += 1;
        return Outcome::Failed("no summary: the tests did not run".to_owned());
    };
    if !success && found.failed == 0 {
        // The run broke off outside of a test; it must not look like one without failures.
        found.failed = 1;
    }
    *tally += found;
    if success && found.failed == 0 {
        Outcome::Passed(found.to_string())
    } else {
        Outcome::Failed(found.to_string())
    }
}

/// Reads `Summary [ 1.2s] 9 tests run: 8 passed (1 slow), 1 timed out, 2 skipped`.
fn nextest_summary(text: &str) -> Option<Tally> {
    let line = text
        .lines()
        .rev()
        .find(|line| line.trim_start().starts_with("Summary ["))?;
    let (_, counts) = line.split_once(" run: ")?;
    let mut tally = Tally::default();
    for part in without_parentheses(counts).split(',') {
        let (number, what) = part.trim().split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match what.trim() {
            "passed" => tally.passed += number,
            "skipped" => tally.skipped += number,
            // Failed, timed out, could not be executed: the run says `failed` for all of them.
            _ => tally.failed += number,
        }
    }
    Some(tally)
}

/// Adds up all lines `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; …`.
fn libtest_summary(text: &str) -> Option<Tally> {
    let results = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("test result: "));
    let mut sum = None;
    for result in results {
        let tally = sum.get_or_insert_with(Tally::default);
        for part in result.split(['.', ';']) {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => tally.passed += number,
                "failed" => tally.failed += number,
                "ignored" => tally.skipped += number,
                _ => {}
            }
        }
    }
    sum
}

/// Reads a line of the form in which `check` itself counts.
pub(super) fn counted(line: &str) -> Option<Tally> {
    let number = |part: Option<&str>, what: &str| part?.trim().strip_suffix(what)?.trim_end().parse().ok();
    let mut parts = line.split(',');
    let tally = Tally {
        passed: number(parts.next(), "passed")?,
        failed: number(parts.next(), "failed")?,
        skipped: number(parts.next(), "skipped")?,
    };
    parts.next().is_none().then_some(tally)
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_u32;
    text.chars()
        .filter(|c| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn nextest_counts_are_read_from_its_last_summary() {
        let text = "  PASS x\n     Summary [   0.005s] 2 tests run: 2 passed, 0 skipped\n";
        assert_eq!(nextest_summary(text), Some(tally(2, 0, 0)));
        let text = "Summary [ 1.000s] 9/12 tests run: 5 passed (1 slow, 1 leaky), 2 failed, 1 timed out, \
                    1 exec failed, 3 skipped\nerror: test run failed";
        assert_eq!(nextest_summary(text), Some(tally(5, 4, 3)));
        assert_eq!(nextest_summary("error: could not compile"), None);
    }

    #[test]
    fn results_of_several_test_programs_add_up() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
                    test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(libtest_summary(text), Some(tally(4, 2, 1)));
        assert_eq!(libtest_summary("error: no such target"), None);
    }

    #[test]
    fn a_run_that_breaks_counts_as_a_failure() {
        let mut sum = Tally::default();
        let broken = count(
            Ok((false, "error: could not compile".to_owned())),
            nextest_summary,
            &mut sum,
        );
        assert!(matches!(broken, Outcome::Failed(_)));
        assert_eq!(sum, tally(0, 1, 0));
        let text = "Summary [ 1 s] 1 test run: 1 passed, 0 skipped";
        count(Ok((false, text.to_owned())), nextest_summary, &mut sum);
        assert_eq!(sum, tally(1, 2, 0));
    }

    #[test]
    fn own_count_lines_are_read_back() {
        assert_eq!(counted("20 passed, 0 failed, 1 skipped"), Some(tally(20, 0, 1)));
        assert_eq!(counted("20 passed, 0 failed"), None);
        assert_eq!(counted("seed 1 passed, 0 failed, 0 skipped, 9 lost"), None);
    }
}
