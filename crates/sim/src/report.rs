//! A run with its verdict, for people.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::check::{Violation, check};
use crate::history::{Event, History, Outcome, Recorder};
use crate::plan::Plan;
use crate::run::run;

/// A run with its verdict. Its text is a line, or for a run that failed all that is needed to look into it.
#[derive(Debug, Clone)]
pub struct Report {
    /// What the seed meant.
    pub plan: Plan,
    /// What happened.
    pub history: History,
    /// What should not have.
    pub violations: Vec<Violation>,
    /// See [`History::digest`].
    pub digest: u64,
}

/// Runs `seed` and checks what happens.
///
/// A run that makes no progress cannot be ended from inside. After two minutes of real time, hundreds of times what runs
/// take, its last events are printed and the process exits with code 101.
///
/// # Panics
///
/// Panics inside of an async runtime.
#[must_use]
pub fn simulate(seed: u64) -> Report {
    let plan = Plan::new(seed);
    let recorder = Recorder::new();
    let (done, running) = mpsc::channel::<()>();
    let watched = recorder.clone();
    let watchdog = thread::spawn(move || {
        if running.recv_timeout(MOST_REAL_TIME) == Err(mpsc::RecvTimeoutError::Timeout) {
            watched.last(LAST).iter().for_each(|entry| eprintln!("{entry}"));
            eprintln!("seed {seed} makes no progress; {}", replay(seed));
            std::process::exit(101);
        }
    });
    let history = run(&plan, &recorder);
    drop(done);
    watchdog.join().expect("it only waits");
    Report {
        violations: check(&history),
        digest: history.digest(),
        plan,
        history,
    }
}

impl Report {
    /// Whether everything was as it should be.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.violations.is_empty()
    }

    /// How the asks ended.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<&'static str, usize> {
        let mut outcomes = BTreeMap::new();
        for entry in &self.history.entries {
            if let Event::Answered { outcome, .. } = &entry.event {
                *outcomes.entry(word(outcome)).or_default() += 1;
            }
        }
        outcomes
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = &self.history.entries;
        let count = |wanted: fn(&Event) -> bool| entries.iter().filter(|entry| wanted(&entry.event)).count();
        let virtual_s = entries.last().map_or(0.0, |entry| entry.at.as_secs_f64());
        let outcomes = self.outcomes();
        write!(
            f,
            "seed {}: {} events in {virtual_s:.1} s, {} faults, {} sends, {} asks",
            self.plan.seed,
            entries.len(),
            count(|event| matches!(event, Event::Fault { .. })),
            count(|event| matches!(event, Event::Sent { .. })),
            outcomes.values().sum::<usize>(),
        )?;
        let outcomes: Vec<String> = outcomes
            .iter()
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        write!(f, " ({}), digest {:016x}", outcomes.join(", "), self.digest)?;
        if self.is_ok() {
            return f.write_str(", ok");
        }
        writeln!(f, ", FAILED")?;
        writeln!(f, "the last {} events:", entries.len().min(LAST))?;
        for entry in &entries[entries.len().saturating_sub(LAST)..] {
            writeln!(f, "{entry}")?;
        }
        for Violation { at, what } in self.violations.iter().take(LAST) {
            writeln!(f, "broken at {:.3} ms: {what}", at.as_secs_f64() * 1e3)?;
        }
        if self.violations.len() > LAST {
            writeln!(f, "and {} more", self.violations.len() - LAST)?;
        }
        f.write_str(&replay(self.plan.seed))
    }
}

fn replay(seed: u64) -> String {
    format!("replay with: cargo xtask sim --seed {seed} --trace")
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Reply(_) | Outcome::WrongReply(_) => "answered",
        Outcome::NotHandled(_) => "not handled",
        Outcome::HandlerFailed(_) => "failed by the handler",
        Outcome::Unknown(_) => "unknown",
        Outcome::Dropped => "dropped",
        Outcome::CutOff => "cut off by a crash",
    }
}

/// How much of a failed run is printed.
const LAST: usize = 40;
/// How long a run may take on the clock on the wall.
const MOST_REAL_TIME: Duration = Duration::from_secs(120);
