//! A short run of the simulator, with the same seeds every time.

use super::test_run::counted;
use crate::process::{cargo, locked, run_and_read};
use crate::report::{Outcome, Tally};
use crate::sim::PACKAGE;
use crate::workspace::Workspace;

/// Consecutive seeds from 1; a longer hunt is `cargo xtask sim`.
const ARGUMENTS: [&str; 4] = ["--seed", "1", "--count", "20"];

pub(super) fn check(workspace: &Workspace, tally: &mut Tally) -> Outcome {
    if !workspace.has_program(PACKAGE) {
        return Outcome::LeftOut(format!("{PACKAGE} has no program yet"));
    }
    // A debug build: its assertions are part of what is tested, and the crates are built already.
    let mut command = cargo(["run", "--quiet", "--package", PACKAGE]);
    command.args(locked()).arg("--").args(ARGUMENTS);
    match run_and_read(&mut command) {
        Ok((success, text)) => {
            let result = if success {
                Tally {
                    passed: 1,
                    ..Tally::default()
                }
            } else {
                Tally {
                    failed: 1,
                    ..Tally::default()
                }
            };
            // A simulator that counts its runs is believed, unless it failed without counting a failure.
            let own = text.lines().rev().find_map(counted);
            *tally += own.filter(|own| success == (own.failed == 0)).unwrap_or(result);
            Outcome::of(Ok(success))
        }
        Err(why) => Outcome::Failed(why),
    }
}
