//! Shell completions.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;

/// Writes the completions for `shell` to standard output.
pub(crate) fn run(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "spark-rpc", &mut script);
    crate::output::line(String::from_utf8_lossy(&script).trim_end());
}
