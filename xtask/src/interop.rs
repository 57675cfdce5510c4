//! `cargo xtask interop`: the suite in tests/interop against real versions of Spark.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{cargo, locked, on_ci, output_of, run, run_within};
use crate::report::Outcome;
use crate::spark::Jars;
use crate::workspace::Workspace;
use crate::{Failure, walk};

pub(crate) const HELP: &str = "\
Usage: cargo xtask interop [--spark VERSION]... [--case TEXT]

Runs the suite in tests/interop: JVMs with the given versions of Spark on one side, spark-rpc on the other, in both
directions, and a standalone Master. Without versions, the two that CI runs. With --case only those cases whose
names contain the text.

Spark's jars come from PyPI once (300 to 450 MB a version) and stay in $XDG_CACHE_HOME/spark-rpc, or
~/.cache/spark-rpc, as does the compiled harness. Logs are in target/interop. Needs pip, tar and Java 17 or later.

`cargo xtask check` runs it, too: with CI=true always, elsewhere if the jars of those two versions are there.
";

const SUITE: &str = "tests/interop";
/// One version of each line of Scala.
const ON_CI: [&str; 2] = ["3.5.9", "4.1.4"];
/// Each case has a limit of its own; this is for what they forget.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) fn main(args: &[String]) -> Result<(), Failure> {
    let options = parse(args)?;
    let workspace = Workspace::load()?;
    if !has_java() {
        return Err(Failure::Failed(
            "there is no Java; install version 17 or later".to_owned(),
        ));
    }
    match run_all(&workspace, &options) {
        Outcome::Failed(why) => Err(Failure::Failed(why)),
        Outcome::Passed(_) | Outcome::LeftOut(_) => Ok(()),
    }
}

/// The step of `cargo xtask check`.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    if !has_java() {
        let why = "there is no Java, which stands for the other side";
        return match on_ci() {
            true => Outcome::Failed(why.to_owned()),
            false => Outcome::LeftOut(why.to_owned()),
        };
    }
    if !on_ci()
        && let Some(missing) = ON_CI.into_iter().find(|version| !Jars::are_here(version))
    {
        // Who checks a change does not want to begin with a gigabyte from the network.
        return Outcome::LeftOut(format!(
            "Spark {missing} is not in the cache; run `cargo xtask interop` once, which fetches {} (800 MB) and runs the \
             suite; from then on it is part of this check",
            ON_CI.join(" and ")
        ));
    }
    let versions = ON_CI.map(str::to_owned).to_vec();
    run_all(workspace, &Options { versions, case: None })
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    versions: Vec<String>,
    case: Option<String>,
}

fn parse(args: &[String]) -> Result<Options, Failure> {
    let mut options = Options {
        versions: Vec::new(),
        case: None,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || {
            let value = args.next().cloned();
            value.ok_or_else(|| Failure::Usage(format!("`{arg}` needs a value")))
        };
        match arg.as_str() {
            "--spark" => {
                let version = value()?;
                if version.is_empty() || version.split('.').any(|part| part.parse::<u32>().is_err()) {
                    return Err(Failure::Usage(format!(
                        "`{version}` is no version, such as 4.1.4"
                    )));
                }
                options.versions.push(version);
            }
            "--case" => options.case = Some(value()?),
            other => return Err(Failure::Usage(format!("unexpected argument `{other}`"))),
        }
    }
    if options.versions.is_empty() {
        options.versions = ON_CI.map(str::to_owned).to_vec();
    }
    Ok(options)
}

fn has_java() -> bool {
    output_of(Command::new("java").arg("--version")).is_some()
}

fn run_all(workspace: &Workspace, options: &Options) -> Outcome {
    let mut build = cargo([
        "build",
        "--package",
        "spark-rpc-interop",
        "--package",
        "spark-rpc-cli",
    ]);
    match run(build.args(locked()).current_dir(&workspace.root)) {
        Ok(true) => {}
        other => return Outcome::of(other),
    }
    let mut failed = Vec::new();
    for version in &options.versions {
        match run_version(workspace, version, options.case.as_deref()) {
            Ok(true) => {}
            Ok(false) => failed.push(version.clone()),
            Err(why) => failed.push(format!("{version} ({why})")),
        }
    }
    if failed.is_empty() {
        Outcome::Passed(format!("Spark {}", options.versions.join(", ")))
    } else {
        Outcome::Failed(format!("with Spark {}", failed.join(", ")))
    }
}

fn run_version(workspace: &Workspace, version: &str, case: Option<&str>) -> Result<bool, String> {
    println!("Spark {version}");
    let jars = Jars::get(version)?;
    let harness = compile(workspace, &jars)?;
    let programs = workspace.target_directory.join("debug");
    let logs = workspace.target_directory.join("interop").join(version);
    let home = fresh_home(&logs, jars.folder())?;
    let mut suite = Command::new(programs.join("spark-rpc-interop"));
    suite
        .arg(&logs)
        .args(case)
        .env("SPARK_HOME", home)
        .env("SPARK_RPC_CLI", programs.join("spark-rpc"))
        .env("RUST_BACKTRACE", "0");
    jars.class_path(&mut suite, &harness);
    run_within(&mut suite, LIMIT)
}

/// Empties the folder of logs and makes what Spark's own scripts call its home in it: a Worker takes the jars of
/// executors from there.
fn fresh_home(logs: &Path, jars: &Path) -> Result<PathBuf, String> {
    let home = logs.join("home");
    let cannot = |error| format!("cannot make {}: {error}", home.display());
    if logs.is_dir() {
        fs::remove_dir_all(logs).map_err(cannot)?;
    }
    fs::create_dir_all(&home).map_err(cannot)?;
    #[cfg(unix)]
    std::os::unix::fs::symlink(jars, home.join("jars")).map_err(cannot)?;
    #[cfg(not(unix))]
    let _ = jars;
    Ok(home)
}

/// Compiles the harness with the Scala compiler that Spark brings along; again only when it has changed.
fn compile(workspace: &Workspace, jars: &Jars) -> Result<PathBuf, String> {
    let folder = workspace.root.join(SUITE);
    let sources: Vec<_> = walk::files(&folder, "scala")?
        .into_iter()
        .map(|source| folder.join(source))
        .collect();
    let mut hasher = DefaultHasher::new();
    for source in &sources {
        let text = fs::read(source).map_err(|error| format!("cannot read {}: {error}", source.display()))?;
        text.hash(&mut hasher);
    }
    let classes = jars.folder().join(format!("interop-{:016x}", hasher.finish()));
    if classes.is_dir() {
        return Ok(classes);
    }
    // Compiled beside its place, so that a half-finished folder is never taken for a whole one.
    let half = classes.with_extension(format!("{}.part", std::process::id()));
    fs::create_dir_all(&half).map_err(|error| format!("cannot make {}: {error}", half.display()))?;
    let mut compiler = jars.java_with(Path::new("."));
    compiler
        .args([
            "-Xss8m",
            "-XX:TieredStopAtLevel=1",
            "scala.tools.nsc.Main",
            "-usejavacp",
            "-nowarn",
            "-d",
        ])
        .arg(&half)
        .args(&sources);
    if !run(&mut compiler)? {
        return Err("the harness does not compile".to_owned());
    }
    fs::rename(&half, &classes).map_err(|error| format!("cannot rename {}: {error}", half.display()))?;
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, Failure> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn versions_are_asked_for_or_those_of_ci() {
        assert_eq!(parsed("").unwrap().versions, ON_CI);
        let options = parsed("--spark 4.3.0 --case master --spark 3.4.4").unwrap();
        assert_eq!(options.versions, ["4.3.0", "3.4.4"]);
        assert_eq!(options.case.as_deref(), Some("master"));
        for wrong in ["--spark", "--spark ../4.1", "--spark latest", "4.1.4"] {
            assert!(matches!(parsed(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }
}
