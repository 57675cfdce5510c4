//! Spark's jars, from PyPI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::run;
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

fn download(version: &str, cache: &Path, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(cache).map_err(|error| format!("cannot make {}: {error}", cache.display()))?;
    let pip = ["download", "--no-deps", "--quiet", "--dest"];
    let mut pip = Command::new("pip")
        .args(pip)
        .arg(cache)
        .arg(format!("pyspark=={version}"))
        .spawn()
        .map_err(|error| format!("cannot run pip: {error}"))?;
    println!("downloading Spark {version} from PyPI");
    if !pip.wait().is_ok_and(|status| status.success()) {
        return Err(format!("pip could not download pyspark {version}"));
    }
    // Unpacked beside its place, so that a half-finished folder is never taken for a whole one.
    let half = folder.with_extension("part");
    let archive = cache.join(format!("pyspark-{version}.tar.gz"));
    fs::create_dir_all(&half).map_err(|error| format!("cannot make {}: {error}", half.display()))?;
    let mut tar = Command::new("tar");
    tar.arg("xzf").arg(&archive).arg("-C").arg(&half);
    tar.args(["--strip-components=3", "--wildcards", "pyspark-*/deps/jars/*.jar"]);
    if !run(&mut tar)? {
        return Err(format!("{} is no archive of Spark", archive.display()));
    }
    fs::rename(&half, folder).map_err(|error| format!("cannot rename {}: {error}", half.display()))?;
    fs::remove_file(&archive).map_err(|error| format!("cannot remove {}: {error}", archive.display()))
}
