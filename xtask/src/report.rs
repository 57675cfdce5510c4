//! What a run prints: a heading and a duration for each step, and the count of tests at the end.

use std::fmt;
use std::io::IsTerminal;
use std::time::Instant;

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well; the text, where there is one, sums up what was seen.
    Passed(String),
    /// Something is wrong, in one line.
    Failed(String),
    /// The step did not run, and why, in one line.
    LeftOut(String),
}

impl Outcome {
    /// Turns the success of a child process into an outcome.
    pub(crate) fn of(success: Result<bool, String>) -> Self {
        match success {
            Ok(true) => Self::Passed(String::new()),
            Ok(false) => Self::Failed("see above".to_owned()),
            Err(why) => Self::Failed(why),
        }
    }
}

/// Tests that ran, by how they ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Runs steps one after the other and remembers which of them failed.
#[derive(Debug)]
pub(crate) struct Report {
    paint: Paint,
    failed: Vec<&'static str>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            paint: Paint::for_stdout(),
            failed: Vec::new(),
        }
    }

    /// Runs one step between its heading and its duration.
    pub(crate) fn step(&mut self, name: &'static str, run: impl FnOnce() -> Outcome) {
        println!("{}", self.paint.bold(&format!("== {name}")));
        let start = Instant::now();
        let outcome = run();
        let seconds = start.elapsed().as_secs_f64();
        let (word, text) = match &outcome {
            Outcome::Passed(text) => (self.paint.green("ok"), text),
            Outcome::Failed(text) => (self.paint.red("FAILED"), text),
            Outcome::LeftOut(text) => (self.paint.yellow("left out"), text),
        };
        let colon = if text.is_empty() { "" } else { ": " };
        println!("== {name} {word} ({seconds:.1} s){colon}{text}");
        if matches!(outcome, Outcome::Failed(_)) {
            self.failed.push(name);
        }
    }

    /// Names of the steps that failed so far, in order.
    pub(crate) fn failed(&self) -> &[&'static str] {
        &self.failed
    }
}

/// Colours for terminals, and nothing at all elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Colours when standard output is a terminal and `NO_COLOR` is not set.
    pub(crate) fn for_stdout() -> Self {
        Self {
            on: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_the_form_that_ci_reads() {
        let tally = Tally {
            passed: 12,
            failed: 1,
            skipped: 0,
        };
        assert_eq!(tally.to_string(), "12 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn only_failed_steps_are_remembered() {
        let mut report = Report::new();
        report.step("good", || Outcome::of(Ok(true)));
        report.step("bad", || Outcome::of(Ok(false)));
        report.step("absent", || Outcome::LeftOut("no tool".to_owned()));
        report.step("broken", || Outcome::of(Err("cannot start".to_owned())));
        assert_eq!(report.failed(), ["bad", "broken"]);
    }

    #[test]
    fn without_a_terminal_no_escape_codes_are_written() {
        assert_eq!(Paint { on: false }.red("x"), "x");
        assert_eq!(Paint { on: true }.green("x"), "\x1b[32mx\x1b[0m");
    }
}
