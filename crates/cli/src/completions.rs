//! Shell completions.

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;

/// Writes the completions for `shell` to standard output.
pub(crate) fn run(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(), "spark-rpc", &mut script);
    crate::output::line(String::from_utf8_lossy(&script).trim_end());
}

/// The command as people see it. `clap_complete` would offer hidden subcommands, too.
fn visible() -> Command {
    let full = Cli::command();
    let subcommands = full
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set());
    Command::new("spark-rpc")
        .args(full.get_arguments().cloned())
        .subcommands(subcommands.cloned())
}
