//! What a user gets: the release build, and the demo as a first run.

use std::process::Command;
use std::time::Duration;

use crate::process::{self, cargo, locked, output_of};
use crate::report::Outcome;
use crate::workspace::Workspace;

const DEMO_LIMIT: Duration = Duration::from_secs(60);

pub(super) fn build_and_demo(workspace: &Workspace) -> Outcome {
    run(workspace).unwrap_or_else(Outcome::Failed)
}

fn run(workspace: &Workspace) -> Result<Outcome, String> {
    if !process::run(&mut build())? {
        return Ok(Outcome::Failed("the build failed".to_owned()));
    }
    let program = workspace.target_directory.join("release").join("spark-rpc");
    let help = output_of(Command::new(&program).args(["demo", "--help"]));
    // A program that ignores its arguments succeeds as well, but has nothing to say.
    if help.is_none_or(|text| text.trim().is_empty()) {
        return Ok(Outcome::Passed(
            "built; `spark-rpc demo` does not exist yet".to_owned(),
        ));
    }
    Ok(Outcome::of(process::run_within(
        Command::new(&program).arg("demo"),
        DEMO_LIMIT,
    )))
}

/// The release build of the `spark-rpc` command.
pub(crate) fn build() -> Command {
    let mut command = cargo(["build", "--release", "--package", "spark-rpc-cli"]);
    command.args(locked());
    command
}
