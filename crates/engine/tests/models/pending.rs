//! The table of pending asks beside a map with exact deadlines, and a driver that looks only when it was told to.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use spark_rpc_engine::{AskId, Outcome, PendingAsks, PendingError, TICK};

/// What an owner may do with a table, and what time may do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Begins a request whose deadline is so many microseconds from now, if it has one.
    Begin {
        deadline: Option<i64>,
        waker: bool,
    },
    /// Polls one of the requests ever begun.
    Poll {
        which: usize,
    },
    Complete {
        which: usize,
    },
    Cancel {
        which: usize,
    },
    /// Lets time pass; the timer fires whenever it is due, late by up to a tick.
    Advance {
        micros: u64,
        late: u64,
    },
    /// Looks without having been told to.
    Expire,
    FailAll,
}

impl Op {
    /// Makes some operation of any numbers.
    pub(crate) fn new(kind: u8, small: u8, large: u32) -> Self {
        let which = usize::from(small);
        match kind {
            0..=99 => Op::Begin {
                deadline: deadline(small, i64::from(large)),
                waker: large.is_multiple_of(5),
            },
            100..=129 => Op::Poll { which },
            130..=164 => Op::Complete { which },
            165..=189 => Op::Cancel { which },
            190..=239 => Op::Advance {
                micros: u64::from(large) % [2_000, 30_000, 1_000_000, 20_000_000][usize::from(small) % 4],
                late: u64::from(large) / 7 % 4_000,
            },
            240..=253 => Op::Expire,
            _ => Op::FailAll,
        }
    }
}

/// Mostly near, sometimes past, far, or none.
fn deadline(kind: u8, number: i64) -> Option<i64> {
    Some(match kind {
        0..=24 => return None,
        25..=39 => -(number % 10_000_000),
        40..=109 => number % 50_000,
        110..=199 => number % 5_000_000,
        200..=251 => number % 30_000_000,
        _ => 10 * 365 * 86_400 * 1_000_000 + number,
    })
}

#[derive(Debug)]
struct Ask {
    /// The tick at which it times out.
    tick: Option<u128>,
    /// The moment that this is about: its deadline, or when it was begun with one that had passed.
    due: Option<Instant>,
    waker: Option<u32>,
    outcome: Option<Outcome<u32, u32>>,
}

struct Pair {
    asks: PendingAsks<u32, u32, u32>,
    /// What is in the table.
    model: BTreeMap<usize, Ask>,
    /// Every id ever handed out.
    ids: Vec<AskId>,
    known: HashMap<AskId, usize>,
    max: usize,
    closed: Option<u32>,
    epoch: Instant,
    now: Instant,
    /// The last tick that was looked at.
    looked: u128,
    timer: Option<Instant>,
    names: u32,
}

/// Runs `ops` on a table for `max` requests and on the model of it.
///
/// # Panics
///
/// Panics where the two differ, when somebody is woken early, twice or not at all, and when the driver, which looks
/// only when its timer fires, learns of a timeout more than two ticks after it was due.
pub(crate) fn check(max: usize, ops: impl IntoIterator<Item = Op>) {
    // Some time before the epoch, for deadlines that lie there.
    let epoch = Instant::now() + Duration::from_secs(3_600);
    let mut pair = Pair {
        asks: PendingAsks::new(max, epoch),
        model: BTreeMap::new(),
        ids: Vec::new(),
        known: HashMap::new(),
        max,
        closed: None,
        epoch,
        now: epoch,
        looked: 0,
        timer: None,
        names: 0,
    };
    for op in ops {
        pair.apply(op);
        pair.compare();
    }
    pair.fail_all();
    for index in 0..pair.ids.len() {
        pair.poll(index);
    }
    assert!(pair.asks.is_empty() && pair.model.is_empty());
}

impl Pair {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Begin { deadline, waker } => self.begin(deadline, waker),
            Op::Poll { which } => {
                if let Some(index) = self.pick(which) {
                    self.poll(index);
                }
            }
            Op::Complete { which } => self.complete(which),
            Op::Cancel { which } => {
                if let Some(index) = self.pick(which) {
                    let known = self.model.remove(&index).is_some();
                    assert_eq!(self.asks.cancel(self.ids[index]), known);
                }
            }
            Op::Advance { micros, late } => {
                self.advance(
                    self.now + Duration::from_micros(micros),
                    Duration::from_micros(late),
                );
            }
            Op::Expire => {
                self.expire();
                self.arm();
            }
            Op::FailAll => self.fail_all(),
        }
    }

    /// One of the requests ever begun, mostly of the younger.
    fn pick(&self, which: usize) -> Option<usize> {
        let youngest = self.ids.len().checked_sub(1)?;
        Some(youngest - which % self.ids.len().min(48))
    }

    fn name(&mut self) -> u32 {
        self.names += 1;
        self.names
    }

    fn waiting(&self) -> usize {
        self.model.values().filter(|ask| ask.outcome.is_none()).count()
    }

    fn begin(&mut self, deadline: Option<i64>, waker: bool) {
        let deadline = deadline.map(|micros| {
            let distance = Duration::from_micros(micros.unsigned_abs());
            if micros < 0 {
                self.now - distance
            } else {
                self.now + distance
            }
        });
        let waker = waker.then(|| self.name());
        let begun = match (self.asks.begin(deadline, waker), self.closed) {
            (Err(PendingError::Closed(cause)), Some(expected)) => return assert_eq!(cause, expected),
            (Err(PendingError::TooMany { max }), None) => {
                assert_eq!((max, self.waiting()), (self.max, self.max));
                return;
            }
            (Ok(begun), None) => begun,
            (got, closed) => panic!("{got:?} of a table closed by {closed:?}"),
        };
        assert!(self.waiting() < self.max);
        let tick = deadline.map(|deadline| {
            let nanos = deadline.saturating_duration_since(self.epoch).as_nanos();
            nanos.div_ceil(TICK.as_nanos()).max(self.looked + 1)
        });
        let index = self.ids.len();
        self.ids.push(begun.id);
        assert_eq!(self.known.insert(begun.id, index), None, "ids do not repeat");
        self.model.insert(
            index,
            Ask {
                tick,
                due: deadline.map(|deadline| deadline.max(self.now)),
                waker,
                outcome: None,
            },
        );
        assert!(deadline.is_some() || !begun.rearm, "no deadline, no timer");
        if begun.rearm {
            self.arm();
        }
    }

    fn poll(&mut self, index: usize) {
        let waker = self.name();
        let mut before = None;
        let outcome = self.asks.poll(self.ids[index], |known| {
            before = Some(known);
            waker
        });
        match self.model.get_mut(&index) {
            None => assert_eq!(outcome, Some(Outcome::TimedOut)),
            Some(ask) if ask.outcome.is_none() => {
                assert_eq!(outcome, None);
                assert_eq!(before, Some(ask.waker));
                ask.waker = Some(waker);
            }
            Some(_) => {
                let ask = self.model.remove(&index).expect("it was there");
                assert_eq!((outcome, before), (ask.outcome, None));
            }
        }
    }

    fn complete(&mut self, which: usize) {
        let Some(index) = self.pick(which) else { return };
        let reply = self.name();
        let woken = self.asks.complete(self.ids[index], reply);
        match self.model.get_mut(&index) {
            Some(ask) if ask.outcome.is_none() => {
                assert_eq!(woken, Ok(ask.waker));
                ask.outcome = Some(Outcome::Reply(reply));
            }
            _ => assert_eq!(woken, Err(reply), "given back"),
        }
    }

    fn advance(&mut self, target: Instant, late: Duration) {
        while let Some(due) = self.timer.filter(|timer| *timer <= target) {
            self.now = self.now.max(due + late.min(TICK)).min(target.max(self.now));
            self.expire();
            self.arm();
        }
        self.now = target;
        for ask in self.model.values().filter(|ask| ask.outcome.is_none()) {
            if let Some(due) = ask.due {
                assert!(self.now <= due + 2 * TICK, "missed: {ask:?}");
            }
        }
    }

    /// Sets the timer as the table says.
    fn arm(&mut self) {
        self.timer = self.asks.next_deadline();
        let first = self.model.values().filter(|ask| ask.outcome.is_none());
        let first = first.filter_map(|ask| ask.due).min();
        assert_eq!(self.timer.is_some(), first.is_some());
        if let (Some(timer), Some(first)) = (self.timer, first) {
            assert!(timer <= first + TICK, "the timer comes too late");
        }
    }

    fn expire(&mut self) {
        let now = self.now.saturating_duration_since(self.epoch).as_nanos() / TICK.as_nanos();
        self.looked = self.looked.max(now);
        let mut expected = Vec::new();
        for ask in self.model.values_mut().filter(|ask| ask.outcome.is_none()) {
            if ask.tick.is_some_and(|tick| tick <= now) {
                assert!(ask.due.is_some_and(|due| due <= self.now), "early: {ask:?}");
                ask.outcome = Some(Outcome::TimedOut);
                expected.extend(ask.waker);
            }
        }
        let mut woken = Vec::new();
        self.asks.expire(self.now, &mut woken);
        woken.sort_unstable();
        expected.sort_unstable();
        assert_eq!(woken, expected);
    }

    fn fail_all(&mut self) {
        let cause = self.name();
        self.closed.get_or_insert(cause);
        let mut expected = Vec::new();
        for ask in self.model.values_mut().filter(|ask| ask.outcome.is_none()) {
            ask.outcome = Some(Outcome::Failed(cause));
            expected.extend(ask.waker);
        }
        let mut woken = Vec::new();
        self.asks.fail_all(&cause, &mut woken);
        woken.sort_unstable();
        expected.sort_unstable();
        assert_eq!(woken, expected);
    }

    fn compare(&self) {
        assert_eq!(self.asks.waiting(), self.waiting());
        assert_eq!(self.asks.is_empty(), self.model.is_empty());
        for (index, ask) in &self.model {
            assert_eq!(self.asks.is_waiting(self.ids[*index]), ask.outcome.is_none());
        }
    }
}
