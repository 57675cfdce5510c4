//! How far something is that takes more than a second. On terminals only.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

/// One line on standard error, drawn from a thread of its own and wiped when this is dropped.
pub(crate) struct Progress {
    done: Arc<AtomicU64>,
    drawing: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins something of `total` steps; nothing is drawn during the first second.
    pub(crate) fn start(label: &'static str, total: u64) -> Self {
        let done = Arc::new(AtomicU64::new(0));
        let drawing = std::io::stderr().is_terminal().then(|| {
            let (end, ended) = mpsc::channel();
            let done = Arc::clone(&done);
            (end, std::thread::spawn(move || draw(label, total, &done, &ended)))
        });
        Self { done, drawing }
    }

    /// Something that takes `time`; it is moved on by calling [`set`](Self::set) with milliseconds.
    pub(crate) fn for_time(label: &'static str, time: Duration) -> Self {
        Self::start(label, u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, more: u64) {
        self.done.fetch_add(more, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.drawing.take() {
            drop(end);
            let _ = thread.join();
        }
    }
}

fn draw(label: &str, total: u64, done: &AtomicU64, ended: &mpsc::Receiver<()>) {
    let mut pause = QUIET;
    while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let percent = done.load(Ordering::Relaxed).min(total) * 100 / total.max(1);
        let filled = usize::try_from(percent).unwrap_or(0) * WIDTH / 100;
        let bar = "#".repeat(filled);
        let _ = write!(std::io::stderr(), "\r{label} [{bar:WIDTH$}] {percent:3} %");
        pause = FRAME;
    }
    if pause == FRAME {
        let _ = write!(std::io::stderr(), "\r\x1b[2K");
    }
}

const QUIET: Duration = Duration::from_secs(1);
const FRAME: Duration = Duration::from_millis(200);
const WIDTH: usize = 30;
