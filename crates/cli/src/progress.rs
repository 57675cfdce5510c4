//! How far something is that takes more than a second. On terminals only.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::output::size;

/// One line on standard error, drawn from a thread of its own and wiped when this is dropped.
pub(crate) struct Progress {
    done: Arc<AtomicU64>,
    drawing: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins something of `total` steps; nothing is drawn during the first second.
    pub(crate) fn start(label: &'static str, total: u64) -> Self {
        Self::drawn(label, total, |_, _, _| String::new())
    }

    /// Something that has so many bytes; how many have come, and how fast, is drawn beside the bar.
    pub(crate) fn bytes(label: &'static str, total: u64) -> Self {
        Self::drawn(label, total, |done, total, took| {
            let rate = done as f64 / took.as_secs_f64().max(1e-9);
            let [done, total, rate] = [done as f64, total as f64, rate].map(size);
            format!(", {done} of {total}, {rate}/s")
        })
    }

    fn drawn(label: &'static str, total: u64, beside: Beside) -> Self {
        let done = Arc::new(AtomicU64::new(0));
        let drawing = std::io::stderr().is_terminal().then(|| {
            let (end, ended) = mpsc::channel();
            let done = Arc::clone(&done);
            (
                end,
                std::thread::spawn(move || draw(label, total, beside, &done, &ended)),
            )
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

/// What is told beside the bar of what is done, what there is to do, and how long it has taken so far.
type Beside = fn(u64, u64, Duration) -> String;

fn draw(label: &str, total: u64, beside: Beside, done: &AtomicU64, ended: &mpsc::Receiver<()>) {
    let began = Instant::now();
    let mut pause = QUIET;
    while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let done = done.load(Ordering::Relaxed).min(total);
        let percent = (u128::from(done) * 100 / u128::from(total.max(1))) as u64;
        let filled = usize::try_from(percent).unwrap_or(0) * WIDTH / 100;
        let bar = "#".repeat(filled);
        let beside = beside(done, total, began.elapsed());
        // What stood there may have been longer.
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[2K{label} [{bar:WIDTH$}] {percent:3} %{beside}"
        );
        pause = FRAME;
    }
    if pause == FRAME {
        let _ = write!(std::io::stderr(), "\r\x1b[2K");
    }
}

const QUIET: Duration = Duration::from_secs(1);
const FRAME: Duration = Duration::from_millis(200);
const WIDTH: usize = 30;
