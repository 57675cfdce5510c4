//! What is counted and timed while work goes on, and for how long.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::exit::Failure;
use crate::process::ProcessUsage;
use crate::progress::Progress;

/// Shared by the tasks that do the work and the one that measures them.
pub(crate) struct Meter {
    phase: AtomicU8,
    done: AtomicU64,
    /// Nanoseconds.
    latency: Mutex<Histogram<u64>>,
}

/// What one measurement has found.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) took: Duration,
    /// Work done per second, in each interval.
    pub(crate) intervals: Vec<f64>,
    pub(crate) latency: Histogram<u64>,
    pub(crate) client: Spent,
    pub(crate) server: Option<Spent>,
}

/// What a process has spent on a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) cpu: Duration,
    pub(crate) rss_kib: u64,
}

impl Spent {
    pub(crate) fn between(before: ProcessUsage, after: ProcessUsage) -> Self {
        Self {
            cpu: Duration::from_micros(after.cpu_us.saturating_sub(before.cpu_us)),
            rss_kib: after.rss_kib,
        }
    }
}

impl Measured {
    /// The median of the intervals.
    pub(crate) fn per_second(&self) -> f64 {
        median(&self.intervals)
    }
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            phase: AtomicU8::new(WARM_UP),
            done: AtomicU64::new(0),
            latency: Mutex::new(new_histogram()),
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

    /// Records how long one piece took, except during the warm-up.
    pub(crate) fn record(&self, took: Duration) {
        if self.phase.load(Ordering::Relaxed) == MEASURING {
            let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.histogram().saturating_record(ns);
        }
    }

    /// The work counted so far.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Lets the work go on for a warm-up and `time`, then ends it. `count` tells how much is done so far, `server` what
    /// the server has used.
    pub(crate) async fn measure(
        &self,
        warm_up: Duration,
        time: Duration,
        count: impl AsyncFn() -> Result<u64, Failure>,
        server: impl AsyncFn() -> Result<Option<ProcessUsage>, Failure>,
    ) -> Result<Measured, Failure> {
        let progress = Progress::for_time("measuring", warm_up + time);
        let begun = Instant::now();
        let until = async |end: Instant| {
            while Instant::now() < end {
                let left = end.saturating_duration_since(Instant::now());
                tokio::time::sleep(left.min(PROGRESS_STEP)).await;
                progress.set(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
            }
        };
        until(begun + warm_up).await;

        let (client_before, server_before) = (ProcessUsage::of_this_process(), server().await?);
        // The readings themselves may take long: the messages of the warm-up may have to be handled first.
        let mut readings = vec![(count().await?, Instant::now())];
        let start = readings[0].1;
        self.phase.store(MEASURING, Ordering::Relaxed);
        for interval in 1..=INTERVALS {
            until(start + time * interval / INTERVALS).await;
            readings.push((count().await?, Instant::now()));
        }
        self.phase.store(OVER, Ordering::Relaxed);
        let (client_after, server_after) = (ProcessUsage::of_this_process(), server().await?);

        let per_second = |pair: &[(u64, Instant)]| {
            let work = pair[1].0.saturating_sub(pair[0].0);
            work as f64 / (pair[1].1 - pair[0].1).as_secs_f64()
        };
        let last = readings.len() - 1;
        Ok(Measured {
            took: readings[last].1 - readings[0].1,
            intervals: readings.windows(2).map(per_second).collect(),
            latency: std::mem::replace(&mut self.histogram(), new_histogram()),
            client: Spent::between(client_before, client_after),
            server: server_before
                .zip(server_after)
                .map(|(before, after)| Spent::between(before, after)),
        })
    }

    fn histogram(&self) -> std::sync::MutexGuard<'_, Histogram<u64>> {
        self.latency
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
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
pub(crate) fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("these bounds are allowed")
}

const WARM_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;
const INTERVALS: u32 = 5;
const PROGRESS_STEP: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 9.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
    }

    #[tokio::test(start_paused = true)]
    async fn only_work_between_the_readings_counts() {
        let meter = Meter::new();
        meter.record(Duration::from_secs(1));
        let asked = std::cell::Cell::new(0);
        let count = async || {
            asked.set(asked.get() + 100);
            Ok(asked.get())
        };
        let second = Duration::from_millis(10);
        let measured = meter
            .measure(second, second, count, async || Ok(None))
            .await
            .unwrap();
        assert_eq!(measured.intervals.len(), 5);
        assert!(measured.intervals.iter().all(|rate| *rate > 0.0), "{measured:?}");
        assert_eq!(
            measured.latency.len(),
            0,
            "what was recorded during the warm-up does not count"
        );
        assert!(meter.is_over());
    }
}
