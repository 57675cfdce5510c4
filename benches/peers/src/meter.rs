//! What is counted and timed while work goes on, and for how long.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::process::{Reading, Usage};
use crate::{BoxError, Outcome};

/// Shared by the tasks that do the work and the thread that measures them.
pub(crate) struct Meter {
    phase: AtomicU8,
    done: AtomicU64,
    /// Nanoseconds.
    latency: Mutex<Histogram<u64>>,
    failure: Mutex<Option<BoxError>>,
    failed: Condvar,
}

/// What one measurement has found.
pub(crate) struct Measured {
    pub(crate) took: Duration,
    /// Work done per second, in each interval.
    pub(crate) intervals: Vec<f64>,
    pub(crate) latency: Histogram<u64>,
    pub(crate) client: Usage,
    pub(crate) server: Option<Usage>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            phase: AtomicU8::new(WARM_UP),
            done: AtomicU64::new(0),
            latency: Mutex::new(new_histogram()),
            failure: Mutex::new(None),
            failed: Condvar::new(),
        }
    }

    /// Whether the work should end.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == OVER
    }

    /// Counts work that is done.
    #[inline]
    pub(crate) fn add(&self, work: u64) {
        self.done.fetch_add(work, Ordering::Relaxed);
    }

    /// The work counted so far.
    #[inline]
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Records how long one piece took, except during the warm-up.
    pub(crate) fn record(&self, took: Duration) {
        if self.phase.load(Ordering::Relaxed) == MEASURING {
            let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            lock(&self.latency).saturating_record(ns);
        }
    }

    /// Ends the measurement with an error, unless the work is over anyway.
    pub(crate) fn ended(&self, outcome: Outcome<()>) {
        if self.is_over() {
            return;
        }
        let why = outcome.err().unwrap_or_else(|| "the work ended too early".into());
        lock(&self.failure).get_or_insert(why);
        self.failed.notify_all();
    }

    /// Lets the work go on for a warm-up and `time`, then ends it. `count` tells how much is done so far, given what
    /// the server says.
    pub(crate) fn measure(
        &self,
        time: Duration,
        mut server: impl FnMut() -> Outcome<Option<Reading>>,
        count: impl Fn(Option<Reading>) -> u64,
    ) -> Outcome<Measured> {
        let warm_up = (time / 5).min(Duration::from_secs(1));
        let began = Instant::now();
        let measured = (|| -> Outcome<_> {
            self.wait_until(began + warm_up)?;
            let before = (Usage::of_this_process(), server()?);
            let mut readings = vec![(count(before.1), Instant::now())];
            self.phase.store(MEASURING, Ordering::Relaxed);
            let mut last = before.1;
            for interval in 1..=INTERVALS {
                self.wait_until(began + warm_up + time * interval / INTERVALS)?;
                last = server()?;
                readings.push((count(last), Instant::now()));
            }
            Ok((before, readings, (Usage::of_this_process(), last)))
        })();
        self.phase.store(OVER, Ordering::Relaxed);
        let (before, readings, after) = measured?;
        let per_second = |pair: &[(u64, Instant)]| {
            let work = pair[1].0.saturating_sub(pair[0].0);
            work as f64 / (pair[1].1 - pair[0].1).as_secs_f64()
        };
        Ok(Measured {
            took: readings[readings.len() - 1].1 - readings[0].1,
            intervals: readings.windows(2).map(per_second).collect(),
            latency: std::mem::replace(&mut lock(&self.latency), new_histogram()),
            client: between(before.0, after.0),
            server: before
                .1
                .zip(after.1)
                .map(|(before, after)| between(before.usage, after.usage)),
        })
    }

    fn wait_until(&self, end: Instant) -> Outcome<()> {
        let mut failure = lock(&self.failure);
        loop {
            if let Some(why) = failure.take() {
                return Err(why);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let waited = self.failed.wait_timeout(failure, left);
            failure = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn between(before: Usage, after: Usage) -> Usage {
    Usage {
        cpu_us: after.cpu_us.saturating_sub(before.cpu_us),
        rss_kib: after.rss_kib,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The middle one, or the mean of both in the middle.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        len if len % 2 == 1 => sorted[len / 2],
        len => (sorted[len / 2 - 1] + sorted[len / 2]) / 2.0,
    }
}

/// Nanoseconds up to a minute, with three digits.
fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("these bounds are allowed")
}

const WARM_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;
const INTERVALS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
    }

    #[test]
    fn work_that_ends_too_early_ends_the_measurement() {
        let meter = Meter::new();
        meter.ended(Ok(()));
        let measured = meter.measure(Duration::from_secs(60), || Ok(None), |_| 0);
        assert_eq!(measured.err().unwrap().to_string(), "the work ended too early");
        assert!(meter.is_over());
    }
}
