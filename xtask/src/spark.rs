//! Spark's jars, from PyPI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::run_within;
use crate::walk;

/// The jars of one version of Spark.
pub(crate) struct Jars {
    folder: PathBuf,
    paths: Vec<PathBuf>,
}

impl Jars {
    /// Finds them in the cache, or downloads them.
    pub(crate) fn get(version: &str) -> Result<Self, String> {
        let cache = cache()?;
        let folder = cache.join(format!("spark-{version}"));
        if !folder.is_dir() {
            download(version, &cache, &folder)?;
        }
        let names = walk::files(&folder, "jar")?;
        let paths: Vec<_> = names.into_iter().map(|name| folder.join(name)).collect();
        if paths.is_empty() {
            return Err(format!(
                "there are no jars in {}; remove it to try again",
                folder.display()
            ));
        }
        Ok(Self { folder, paths })
    }

    /// Whether they are in the cache already.
    pub(crate) fn are_here(version: &str) -> bool {
        cache().is_ok_and(|cache| cache.join(format!("spark-{version}")).is_dir())
    }

    /// Stores a Java program where Java can run it from its source.
    pub(crate) fn program(&self, name: &str, source: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        fs::write(&path, source).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(path)
    }

    pub(crate) fn java(&self, program: &Path) -> Command {
        let mut command = Command::new("java");
        // Not as an argument, which is limited in length and would fill the screen.
        let paths = std::env::join_paths(&self.paths).unwrap_or_default();
        command
            .env("CLASSPATH", paths)
            .arg("-Duser.timezone=UTC")
            .arg(program);
        command
    }

    /// The Java program with the jars, and `first` before them, on its class path.
    pub(crate) fn java_with(&self, first: &Path) -> Command {
        let mut command = Command::new("java");
        self.class_path(&mut command, first);
        command
    }

    /// Puts the jars, and `first` before them, on the class path of what `command` starts.
    pub(crate) fn class_path(&self, command: &mut Command, first: &Path) {
        // Not as an argument, which is limited in length and would fill the screen.
        let all = std::iter::once(first).chain(self.paths.iter().map(PathBuf::as_path));
        command.env("CLASSPATH", std::env::join_paths(all).unwrap_or_default());
    }

    /// Where things made for this version may be kept.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The line of Scala, by the name of its library.
    pub(crate) fn scala(&self) -> Result<String, String> {
        let names = self.paths.iter().filter_map(|path| path.file_name()?.to_str());
        let mut versions = names.filter_map(|name| name.strip_prefix("scala-library-"));
        let version = versions.next().ok_or("Spark's jars contain Scala")?;
        Ok(version.splitn(3, '.').take(2).collect::<Vec<_>>().join("."))
    }
}

fn cache() -> Result<PathBuf, String> {
    let of = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    of("XDG_CACHE_HOME")
        .or_else(|| of("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("spark-rpc"))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME says where a cache may be".to_owned())
}

/// Downloads the archive with pip, takes the jars out of it and keeps nothing else.
fn download(version: &str, cache: &Path, folder: &Path) -> Result<(), String> {
    // Beside its place, so that a half-finished folder is never taken for a whole one.
    let half = cache.join(format!("spark-{version}.part"));
    let _ = fs::remove_dir_all(&half);
    let jars = half.join("jars");
    fs::create_dir_all(&jars).map_err(|error| format!("cannot make {}: {error}", jars.display()))?;
    let began = Instant::now();
    let fetched = fetch(version, cache, &half).and_then(|archive| {
        let mut tar = Command::new("tar");
        tar.arg("xzf").arg(&archive).arg("-C").arg(&jars);
        tar.args(["--strip-components=3", "--wildcards", "pyspark-*/deps/jars/*.jar"]);
        if !run_within(&mut tar, LIMIT)? {
            return Err(format!("{} is no archive of Spark", archive.display()));
        }
        fs::rename(&jars, folder).map_err(|error| format!("cannot rename {}: {error}", jars.display()))
    });
    // The archive, and what is there of the jars if it went wrong.
    let removed = fs::remove_dir_all(&half);
    fetched?;
    println!(
        "Spark {version} is there after {:.0} s",
        began.elapsed().as_secs_f64()
    );
    removed.map_err(|error| format!("cannot remove {}: {error}", half.display()))
}

/// Has pip put the archive into `folder`.
fn fetch(version: &str, cache: &Path, folder: &Path) -> Result<PathBuf, String> {
    let mut why = String::new();
    for attempt in 1..=ATTEMPTS {
        println!(
            "Spark {version} is not in {}: fetching it from PyPI, 300 to 450 MB (attempt {attempt} of {ATTEMPTS}, at most \
             {} minutes)",
            cache.display(),
            LIMIT.as_secs() / 60
        );
        let mut pip = Command::new("pip");
        pip.args([
            "download",
            "--no-deps",
            "--no-cache-dir",
            "--progress-bar=off",
            "--dest",
        ])
        .arg(folder)
        .arg(format!("pyspark=={version}"));
        match run_within(&mut pip, LIMIT) {
            Ok(true) => return Ok(folder.join(format!("pyspark-{version}.tar.gz"))),
            Ok(false) => "pip failed, see above".clone_into(&mut why),
            Err(error) => why = error,
        }
        println!("Spark {version}: {why}");
    }
    Err(format!(
        "pyspark {version} cannot be fetched from PyPI in {ATTEMPTS} attempts: {why}"
    ))
}

const ATTEMPTS: u32 = 3;
/// For one attempt; on a usual line it takes a minute.
const LIMIT: Duration = Duration::from_secs(300);
