//! What can be wrong with settings.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::spark_conf::SparkConf;

/// Why settings cannot be used. Always the doing of whoever wrote them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfError {
    /// A value is not of the form that its key takes.
    #[error("{key} is {value:?}, expected {expected}{}", At(.origin.as_ref()))]
    Unreadable {
        /// The key.
        key: String,
        /// Its value as written; [`REDACTED`] if the key is that of a secret.
        value: String,
        /// What would have been accepted.
        expected: &'static str,
        /// Where it was written, if it was read from a file.
        origin: Option<Origin>,
    },

    /// A value can be read, but lies outside the range of its setting.
    #[error("{setting} is {value}, expected {expected}{}", At(.origin.as_ref()))]
    OutOfRange {
        /// The key, or the name of a field that has no key.
        setting: String,
        /// Its value.
        value: String,
        /// What would have been accepted.
        expected: &'static str,
        /// Where it was written, if it was read from a file.
        origin: Option<Origin>,
    },

    /// Two settings cannot both have the values they have.
    #[error("{setting} contradicts {other}: {why}")]
    Contradiction {
        /// The first setting.
        setting: Box<Written>,
        /// The setting that it contradicts.
        other: Box<Written>,
        /// What would go wrong.
        why: &'static str,
    },

    /// A setting that has no default is not set.
    #[error("{key} is not set and has no default")]
    Missing {
        /// The key.
        key: String,
    },

    /// A secret or a key of TLS cannot be used.
    #[error("{source_name}: {reason}")]
    Secret {
        /// Where it was to come from: a key, or an environment variable.
        source_name: String,
        /// Why not.
        reason: String,
    },

    /// A properties file contains an escape that stands for no character.
    #[error("a \\u escape that stands for no character{}", At(Some(.origin)))]
    BadEscape {
        /// The line on which the property begins.
        origin: Origin,
    },

    /// A properties file cannot be read.
    #[error("cannot read {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl ConfError {
    /// Adds where the settings at fault were written in `conf`.
    pub(super) fn located_in(mut self, conf: &SparkConf) -> Self {
        match &mut self {
            Self::OutOfRange { setting, origin, .. } => *origin = conf.origin(setting).cloned(),
            Self::Contradiction { setting, other, .. } => {
                for written in [setting, other] {
                    written.origin = conf.origin(&written.key).cloned();
                }
            }
            _ => {}
        }
        self
    }
}

/// A setting as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The key, or the name of a field that has no key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Where it was written, if it was read from a file.
    pub origin: Option<Origin>,
}

impl Written {
    pub(super) fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            origin: None,
        }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}{}", self.key, self.value, At(self.origin.as_ref()))
    }
}

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    file: Option<PathBuf>,
    line: usize,
}

impl Origin {
    pub(super) fn new(file: Option<&Path>, line: usize) -> Self {
        Self {
            file: file.map(Path::to_owned),
            line,
        }
    }

    /// Returns the file, or `None` for text that came from elsewhere.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns the line on which the property begins, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}:{}", file.display(), self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

/// Stands in for the value of a secret wherever settings are printed. Spark prints the same.
pub const REDACTED: &str = "*********(redacted)";

/// The origin in brackets, or nothing.
struct At<'a>(Option<&'a Origin>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(origin) => write!(f, " ({origin})"),
            None => Ok(()),
        }
    }
}
