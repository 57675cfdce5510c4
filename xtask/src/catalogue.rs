//! `cargo xtask catalogue`: which behaviours of `docs/catalogue.md` have a test that names them.

mod coverage;
mod entries;

use crate::report::Outcome;
use crate::workspace::Workspace;
use crate::{Failure, tidy, walk};

pub(crate) const HELP: &str = "\
Usage: cargo xtask catalogue

Compares docs/catalogue.md with the tests. A test names an entry in its comments (`/// ENV-01`) or in its
name (`env_01_…`). The status of an entry is one of
  test            a test names it, and does not ignore itself
  later: issue    the work that brings it is not done
  never: reason   it makes no sense here
Fails when an entry with status `test` has no test, when one of the others has one, and when a test names
an entry that does not exist.
";

const PAGE: &str = "docs/catalogue.md";

pub(crate) fn main(args: &[String]) -> Result<(), Failure> {
    crate::expect_no_arguments(args)?;
    match check(&Workspace::load()?) {
        Outcome::Passed(text) => {
            println!("{text}");
            Ok(())
        }
        Outcome::Failed(text) | Outcome::LeftOut(text) => Err(Failure::Failed(text)),
    }
}

/// Prints the state of every group, then what is wrong.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    run(workspace).unwrap_or_else(Outcome::Failed)
}

fn run(workspace: &Workspace) -> Result<Outcome, String> {
    let entries = entries::parse(&walk::read(&workspace.root, PAGE.as_ref())?)?;
    let sources = tidy::sources(&workspace.root)?;
    let coverage = coverage::measure(&entries, &sources);
    print!("{coverage}");
    Ok(if coverage.is_complete() {
        Outcome::Passed(coverage.summary())
    } else {
        Outcome::Failed(coverage.summary())
    })
}
