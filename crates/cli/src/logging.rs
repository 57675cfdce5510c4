//! What the library logs, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;

/// Shows log lines up to `level` from now on. `off` leaves nobody listening, which costs nothing.
pub(crate) fn start(level: LevelFilter) {
    if level == LevelFilter::OFF {
        return;
    }
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}
