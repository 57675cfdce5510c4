//! `cargo xtask javaids`: the ids of Spark's classes, from its own jars.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use crate::process::{cargo, run};
use crate::spark::Jars;
use crate::workspace::Workspace;
use crate::{Failure, walk};

pub(crate) const HELP: &str = "\
Usage: cargo xtask javaids [--verify] [VERSION...]

Writes crates/javaobj/data/spark-VERSION.tsv: what a JVM with the jars of that version knows of the classes in
classes.txt beside it. Without versions, does it again for all that have a file. A new file is also named in
crates/javaobj/src/ids/profile.rs.

With --verify writes nothing, but lets that JVM read what spark-rpc-javaobj writes for the version, and compares.

Spark's jars come from PyPI once (300 to 450 MB a version) and stay in $XDG_CACHE_HOME/spark-rpc, or
~/.cache/spark-rpc. Needs pip, tar and Java 17 or later.
";

const DATA: &str = "crates/javaobj/data";

pub(crate) fn main(args: &[String]) -> Result<(), Failure> {
    let workspace = Workspace::load()?;
    let data = workspace.root.join(DATA);
    let options = parse(args)?;
    let versions = if options.versions.is_empty() {
        described(&data)?
    } else {
        options.versions
    };
    let mut failed = Vec::new();
    for version in versions {
        let jars = Jars::get(&version)?;
        if options.verify {
            if !verify(&workspace, &version, &jars)? {
                failed.push(version);
            }
        } else {
            write(&data, &version, &jars)?;
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(format!("failed: {}", failed.join(", "))))
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    verify: bool,
    versions: Vec<String>,
}

fn parse(args: &[String]) -> Result<Options, Failure> {
    let mut options = Options {
        verify: false,
        versions: Vec::new(),
    };
    for arg in args {
        if arg == "--verify" {
            options.verify = true;
        } else if !arg.is_empty() && arg.split('.').all(|part| part.parse::<u32>().is_ok()) {
            options.versions.push(arg.clone());
        } else {
            return Err(Failure::Usage(format!("`{arg}` is no version, such as 4.1.4")));
        }
    }
    Ok(options)
}

/// The versions that have a data file.
fn described(data: &Path) -> Result<Vec<String>, String> {
    let mut versions: Vec<_> = walk::files(data, "tsv")?
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.strip_prefix("spark-")?.to_owned()))
        .collect();
    versions.sort();
    Ok(versions)
}

fn write(data: &Path, version: &str, jars: &Jars) -> Result<(), String> {
    let list = data.join("classes.txt");
    let names = File::open(&list).map_err(|error| format!("cannot read {}: {error}", list.display()))?;
    let program = jars.program("ClassIds.java", include_str!("javaids/ClassIds.java"))?;
    let output = jars.java(&program).stdin(names).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot run java: {error}"))?;
    let rows = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || rows.is_empty() {
        return Err(format!("java could not list the classes of Spark {version}"));
    }
    let scala = jars.scala()?;
    let file = data.join(format!("spark-{version}.tsv"));
    fs::write(&file, format!("# spark {version} scala {scala}\n{rows}"))
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    println!("{}: {} classes", file.display(), rows.lines().count());
    Ok(())
}

fn verify(workspace: &Workspace, version: &str, jars: &Jars) -> Result<bool, String> {
    let mut example = cargo([
        "run",
        "--quiet",
        "--package",
        "spark-rpc-javaobj",
        "--example",
        "for_a_jvm",
        version,
    ]);
    let mut example = example
        .current_dir(&workspace.root)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    let streams = example.stdout.take().ok_or("the example prints nothing")?;
    let program = jars.program("ReadBack.java", include_str!("javaids/ReadBack.java"))?;
    let read = run(jars.java(&program).stdin(streams));
    let written = example
        .wait()
        .map_err(|error| format!("the example got lost: {error}"))?;
    Ok(read? && written.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, Failure> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn versions_are_numbers() {
        let expected = Options {
            verify: true,
            versions: vec!["3.5.9".to_owned(), "4.1.4".to_owned()],
        };
        assert_eq!(parsed("3.5.9 --verify 4.1.4"), Ok(expected));
        for wrong in ["--all", "../4.1", "4.", "latest"] {
            assert!(matches!(parsed(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn the_versions_with_a_file_are_found() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(DATA);
        let versions = described(&data).unwrap();
        assert!(versions.is_sorted());
        assert!(versions.iter().any(|version| version == "3.5.9"), "{versions:?}");
    }
}
