//! How the command ends.

use std::fmt;
use std::process::ExitCode;

/// The exit codes. They are documented in `spark-rpc --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was as it should be.
    Done,
    /// The answer is no: no such endpoint, a failed step, a server that could not start.
    No,
    /// What was typed makes no sense. clap uses the same number.
    Usage,
    /// The peer could not be reached, or did not answer in time.
    Unreachable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
        })
    }
}

/// Why the command ends early: the exit code, and what the user is told.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn no(text: impl fmt::Display) -> Self {
        Self::new(Exit::No, text)
    }

    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, text)
    }

    pub(crate) fn unreachable(text: impl fmt::Display) -> Self {
        Self::new(Exit::Unreachable, text)
    }

    fn new(exit: Exit, text: impl fmt::Display) -> Self {
        Self {
            exit,
            text: text.to_string(),
        }
    }
}
