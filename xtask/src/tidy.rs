//! `cargo xtask tidy`: rules about the workspace that no other tool checks.

mod documents;
mod layers;
mod manifests;
mod markdown;
mod msrv;
mod sleeps;
mod sources;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::report::{Outcome, Report};
use crate::source::Source;
use crate::workspace::Workspace;
use crate::{Failure, walk};

pub(crate) const HELP: &str = "\
Usage: cargo xtask tidy

Checks what no other tool does:
  layers     which crate may depend on which; no tokio below the transport
  manifests  version, licence, edition, minimum Rust version, lints and dependency versions are inherited
  sources    no tabs, trailing spaces or unfinished work; ignored tests say why; tests do not sleep
  documents  the main ones exist, every page of docs/ is linked from them, links lead somewhere
  msrv       the minimum Rust version builds the workspace, where that toolchain is installed

A test that must sleep says why, on the line above or at its end: `// tidy: allow(sleep): reason`; a file
whose time is virtual throughout says it once: `// tidy: allow-file(sleep): reason`.
";

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    path: PathBuf,
    line: Option<usize>,
    text: String,
}

impl Problem {
    fn in_file(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line: None,
            text: text.into(),
        }
    }

    fn at(path: impl Into<PathBuf>, line: usize, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line: Some(line),
            text: text.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.text)
    }
}

pub(crate) fn main(args: &[String]) -> Result<(), Failure> {
    crate::expect_no_arguments(args)?;
    let workspace = Workspace::load()?;
    let mut report = Report::new();
    steps(&workspace, &mut report);
    if report.failed().is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(String::new()))
    }
}

/// Runs all rules as steps of `report`.
pub(crate) fn steps(workspace: &Workspace, report: &mut Report) {
    report.step("tidy", || rules(workspace).unwrap_or_else(Outcome::Failed));
    report.step("msrv", || msrv::check(workspace).unwrap_or_else(Outcome::Failed));
}

fn rules(workspace: &Workspace) -> Result<Outcome, String> {
    let root = &workspace.root;
    let mut problems = layers::check(workspace);
    problems.extend(manifests::check(workspace)?);
    let sources = sources(root)?;
    for source in &sources {
        problems.extend(sources::check(source));
    }
    problems.extend(sleeps::check(&sources));
    let pages = markdown::pages(root)?;
    problems.extend(markdown::check(root, &pages));
    problems.extend(documents::check(&pages));
    for problem in &problems {
        println!("{problem}");
    }
    Ok(match problems.len() {
        0 => Outcome::Passed(format!("{} sources, {} documents", sources.len(), pages.len())),
        count => Outcome::Failed(format!("{count} problems, see above")),
    })
}

/// All Rust sources of the project.
pub(crate) fn sources(root: &Path) -> Result<Vec<Source>, String> {
    let paths = walk::files(root, "rs")?;
    paths
        .into_iter()
        .map(|path| Ok(Source::new(&path, walk::read(root, &path)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_like_a_compiler_message() {
        assert_eq!(Problem::at("a/b.rs", 7, "tab").to_string(), "a/b.rs:7: tab");
        assert_eq!(
            Problem::in_file("README.md", "missing").to_string(),
            "README.md: missing"
        );
    }
}
