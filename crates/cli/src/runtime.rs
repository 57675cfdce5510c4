//! The tokio runtime of a command.

use tokio::runtime::{Builder, Runtime};

use crate::exit::Failure;

/// A runtime on one thread, for commands that mostly wait.
pub(crate) fn small() -> Result<Runtime, Failure> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Failure::no(format_args!("cannot start: {error}")))
}

/// A runtime for work: one thread for each CPU that this process may use.
///
/// A process that is pinned to one CPU gets one thread, since tokio counts those CPUs.
pub(crate) fn full() -> Result<Runtime, Failure> {
    let built = Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| Failure::no(format_args!("cannot start: {error}")))
}
