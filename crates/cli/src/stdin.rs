//! Lines of standard input, for processes that another one steers.

use std::io::BufRead;

use tokio::sync::mpsc;

/// Lines as they come.
#[derive(Debug)]
pub(crate) struct Lines {
    lines: mpsc::Receiver<String>,
}

impl Lines {
    /// Reads on a plain thread: a runtime would wait for one of its own that is stuck in a read.
    pub(crate) fn of_stdin() -> Self {
        let (send, lines) = mpsc::channel(16);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { return };
                if send.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Self { lines }
    }

    /// The next line; `None` once standard input has ended, as it does when the process on its other end dies.
    pub(crate) async fn next(&mut self) -> Option<String> {
        self.lines.recv().await
    }
}
