//! `cargo xtask check`: exactly what CI runs.

mod deny;
pub(crate) mod release;
mod simulation;
mod test_run;

use crate::process::{self, cargo, locked};
use crate::report::{Outcome, Report, Tally};
use crate::workspace::Workspace;
use crate::{Failure, catalogue, interop, tidy};

pub(crate) const HELP: &str = "\
Usage: cargo xtask check

Runs what CI runs, in this order: format, clippy, docs, tidy, msrv, catalogue, cargo deny, all tests, a short
simulation, a release build with the demo, the interop suite. Goes on after a failure, except with the release build
and what needs it. Ends with the count of all tests: `N passed, N failed, N skipped`.

A tool that is not installed (cargo-nextest, cargo-deny) is replaced or left out, which is said, and so is the interop
suite without Java or before Spark's jars have been fetched by `cargo xtask interop`. With CI=true in the environment all
of them are required, the jars are fetched from PyPI if they are not in the cache, and Cargo.lock must be up to date.
";

pub(crate) fn main(args: &[String]) -> Result<(), Failure> {
    crate::expect_no_arguments(args)?;
    let workspace = Workspace::load()?;
    let mut report = Report::new();
    let mut tally = Tally::default();

    report.step("format", || {
        Outcome::of(process::run(&mut cargo(["fmt", "--all", "--check"])))
    });
    report.step("clippy", clippy);
    report.step("docs", docs);
    tidy::steps(&workspace, &mut report);
    report.step("catalogue", || catalogue::check(&workspace));
    report.step("deny", deny::check);
    report.step("tests", || test_run::unit_and_integration(&mut tally));
    report.step("doc tests", || test_run::documentation(&mut tally));
    report.step("simulation", || simulation::check(&workspace, &mut tally));
    if report.failed().is_empty() {
        report.step("release", || release::build_and_demo(&workspace));
    } else {
        report.step("release", || {
            Outcome::LeftOut("something failed before it".to_owned())
        });
    }
    report.step("interop", || interop::check(&workspace));

    let failed = report.failed();
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    }
    println!("{tally}");
    if failed.is_empty() && tally.failed == 0 {
        Ok(())
    } else {
        Err(Failure::Failed(String::new()))
    }
}

fn clippy() -> Outcome {
    let mut command = cargo(["clippy", "--workspace", "--all-targets"]);
    // The MSRV lint belongs to clippy's default set; naming it keeps a workspace-wide `allow` from hiding it.
    command
        .args(locked())
        .args(["--", "-D", "warnings", "-D", "clippy::incompatible_msrv"]);
    Outcome::of(process::run(&mut command))
}

fn docs() -> Outcome {
    let mut command = cargo(["doc", "--workspace", "--no-deps"]);
    command.args(locked()).env("RUSTDOCFLAGS", "-D warnings");
    Outcome::of(process::run(&mut command))
}
