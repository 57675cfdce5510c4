//! Requests that wait for their reply.

use std::time::{Duration, Instant};

/// Requests that wait for their reply: one table for each connection, with one coarse timer for all of them.
///
/// A request is [begun](Self::begin), then [polled](Self::poll) until its [`Outcome`] is there, or
/// [cancelled](Self::cancel). Ids are handed out here and never repeat while a late reply could still arrive: they
/// consist of a slot and that slot's generation.
///
/// `W` is whatever wakes the one who waits, `R` a reply, `C` the cause when all fail together. Deadlines are rounded
/// up to [`TICK`]; no reply counts as late before its deadline.
#[derive(Debug)]
pub struct PendingAsks<W, R, C> {
    slots: Vec<Slot<W, R, C>>,
    /// The generation of a slot that is new.
    first_generation: u32,
    free: u32,
    /// Slots that are not vacant.
    held: usize,
    waiting: usize,
    max: usize,
    closed: Option<C>,
    epoch: Instant,
    /// Every tick up to this one has been looked at.
    swept: u64,
    /// First slot of each bucket's list; empty until the first deadline.
    buckets: Vec<u32>,
    /// Requests with a deadline.
    timed: usize,
    /// The tick for which the owner's timer is set.
    armed: Option<u64>,
}

/// Names one request of one table. Its integer form is never negative, as in Spark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AskId(i64);

impl AskId {
    /// The number that travels with the request.
    #[must_use]
    pub fn to_wire(self) -> i64 {
        self.0
    }

    /// The id that a reply names. Any number is accepted; one that was never handed out is simply unknown.
    #[must_use]
    pub fn from_wire(id: i64) -> Self {
        Self(id)
    }

    fn new(slot: u32, generation: u32) -> Self {
        Self((i64::from(generation & GENERATIONS) << 32) | i64::from(slot))
    }

    fn slot(self) -> u32 {
        (self.0 & 0xffff_ffff) as u32
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// A request has been entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its id.
    pub id: AskId,
    /// Whether the owner's timer must be set anew, see [`PendingAsks::next_deadline`].
    pub rearm: bool,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<R, C> {
    /// A reply came.
    Reply(R),
    /// Its deadline passed first.
    TimedOut,
    /// All requests of the table failed together.
    Failed(C),
}

/// A request could not be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PendingError<C> {
    /// As many requests as allowed are waiting.
    TooMany {
        /// The bound.
        max: usize,
    },
    /// The table has been closed by [`PendingAsks::fail_all`].
    Closed(C),
}

/// Deadlines are rounded up to a multiple of this.
pub const TICK: Duration = Duration::from_millis(4);

#[derive(Debug)]
struct Slot<W, R, C> {
    generation: u32,
    state: State<W, R, C>,
}

#[derive(Debug)]
enum State<W, R, C> {
    Vacant { next: u32 },
    Waiting { waker: Option<W>, timer: Option<Timer> },
    Done(Outcome<R, C>),
}

/// A place in the doubly linked list of a bucket.
#[derive(Clone, Copy, Debug)]
struct Timer {
    tick: u64,
    previous: u32,
    next: u32,
}

const NONE: u32 = u32::MAX;
/// So many slots are kept when all are vacant; more are what a burst has left.
const SLOTS_KEPT: usize = 16 * 1024;
const BUCKETS: u64 = 256;
/// The bits of a slot's generation; one fewer than there are, so that ids are never negative.
const GENERATIONS: u32 = 0x7fff_ffff;
/// A whole number, so that seconds and the rest can be converted each for itself, in 64 bits.
const TICKS_PER_SECOND: u64 = 1_000_000_000 / TICK.subsec_nanos() as u64;
/// The tick of deadlines, a billion years from now, that are too far away to count; no clock gets there.
const NEVER: u64 = u64::MAX / 2;

impl<W, R, C: Clone> PendingAsks<W, R, C> {
    /// Makes an empty table for at most `max` waiting requests. Time is counted from `epoch`, best the moment of this
    /// call; a deadline before it counts as being there.
    #[must_use]
    pub fn new(max: usize, epoch: Instant) -> Self {
        Self {
            slots: Vec::new(),
            first_generation: 0,
            free: NONE,
            held: 0,
            waiting: 0,
            max: max.min(NONE as usize - 1),
            closed: None,
            epoch,
            swept: 0,
            buckets: Vec::new(),
            timed: 0,
            armed: None,
        }
    }

    /// Enters a request. A deadline that has already passed counts as the next tick's, and one that no clock can reach
    /// as none.
    ///
    /// # Errors
    ///
    /// [`PendingError`] when the table is closed or as many requests as allowed are waiting.
    pub fn begin(&mut self, deadline: Option<Instant>, waker: Option<W>) -> Result<Begun, PendingError<C>> {
        if let Some(cause) = &self.closed {
            return Err(PendingError::Closed(cause.clone()));
        }
        // An outcome that nobody has taken yet keeps its slot, and slots are numbered by `u32`.
        if self.waiting >= self.max || self.held >= NONE as usize {
            return Err(PendingError::TooMany { max: self.max });
        }
        let index = self.vacant_slot();
        let (timer, rearm) = match deadline {
            Some(deadline) => {
                let tick = self.tick_of(deadline).max(self.swept + 1);
                let timer = self.link(index, tick);
                let rearm = self.armed.is_none_or(|armed| tick < armed);
                (Some(timer), rearm)
            }
            None => (None, false),
        };
        self.waiting += 1;
        self.held += 1;
        let slot = &mut self.slots[index as usize];
        slot.state = State::Waiting { waker, timer };
        Ok(Begun {
            id: AskId::new(index, slot.generation),
            rearm,
        })
    }

    /// Takes the outcome of a request, or remembers `waker` for when it comes.
    ///
    /// An id that is not in the table counts as having timed out: its owner has already taken the outcome.
    pub fn poll(&mut self, id: AskId, waker: impl FnOnce(Option<W>) -> W) -> Option<Outcome<R, C>> {
        let Some(slot) = self.slot_mut(id) else {
            return Some(Outcome::TimedOut);
        };
        match &mut slot.state {
            State::Waiting { waker: known, .. } => {
                *known = Some(waker(known.take()));
                None
            }
            State::Done(_) => self.free(id.slot()),
            State::Vacant { .. } => Some(Outcome::TimedOut),
        }
    }

    /// Hands in a reply; returns whom to wake.
    ///
    /// # Errors
    ///
    /// Gives the reply back if the request is not outstanding: it has timed out, was cancelled, or never existed.
    pub fn complete(&mut self, id: AskId, reply: R) -> Result<Option<W>, R> {
        match self.slot_mut(id) {
            Some(Slot {
                state: State::Waiting { .. },
                ..
            }) => Ok(self.finish(id.slot(), Outcome::Reply(reply))),
            _ => Err(reply),
        }
    }

    /// Forgets a request at once; a reply that still comes is unknown. Returns whether it was still in the table.
    pub fn cancel(&mut self, id: AskId) -> bool {
        if self.slot_mut(id).is_none() {
            return false;
        }
        self.free(id.slot());
        true
    }

    /// Whether the request still waits for its outcome.
    #[must_use]
    pub fn is_waiting(&self, id: AskId) -> bool {
        self.slots.get(id.slot() as usize).is_some_and(|slot| {
            matches_generation(slot.generation, id) && matches!(slot.state, State::Waiting { .. })
        })
    }

    /// Ends every request whose deadline is not after `now`; pushes whom to wake.
    pub fn expire(&mut self, now: Instant, wake: &mut Vec<W>) {
        self.armed = None;
        let now = self.tick_floor(now);
        if self.timed == 0 || now <= self.swept {
            self.swept = self.swept.max(now);
            return;
        }
        let first = (self.swept + 1).max(now.saturating_sub(BUCKETS - 1));
        self.swept = now;
        for tick in first..=now {
            let mut index = self.buckets[(tick % BUCKETS) as usize];
            while index != NONE {
                let State::Waiting {
                    timer: Some(timer), ..
                } = &self.slots[index as usize].state
                else {
                    unreachable!("only waiting requests with a deadline are linked")
                };
                let timer = *timer;
                if timer.tick <= now {
                    wake.extend(self.finish(index, Outcome::TimedOut));
                }
                index = timer.next;
            }
        }
    }

    /// When [`expire`](Self::expire) should be called next. The owner sets its timer to this; a later request says in
    /// [`Begun::rearm`] whether it comes before that.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        self.armed = None;
        if self.timed == 0 {
            return None;
        }
        // The first bucket in use; its requests may belong to a later round, then this look was for nothing.
        let tick = (self.swept + 1..=self.swept + BUCKETS)
            .find(|tick| self.buckets[(tick % BUCKETS) as usize] != NONE)
            .unwrap_or(self.swept + BUCKETS);
        self.armed = Some(tick);
        self.epoch.checked_add(since_epoch(tick))
    }

    /// Ends every waiting request with `cause` and refuses all that come later; pushes whom to wake.
    pub fn fail_all(&mut self, cause: &C, wake: &mut Vec<W>) {
        if self.closed.is_none() {
            self.closed = Some(cause.clone());
        }
        for index in 0..self.slots.len() as u32 {
            if matches!(self.slots[index as usize].state, State::Waiting { .. }) {
                wake.extend(self.finish(index, Outcome::Failed(cause.clone())));
            }
        }
    }

    /// Requests that wait for their outcome.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether nothing is held: nobody waits and every outcome has been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    fn vacant_slot(&mut self) -> u32 {
        if self.free == NONE {
            self.slots.push(Slot {
                generation: self.first_generation,
                state: State::Vacant { next: NONE },
            });
            return (self.slots.len() - 1) as u32;
        }
        let index = self.free;
        let State::Vacant { next } = self.slots[index as usize].state else {
            unreachable!("the free list holds vacant slots only")
        };
        self.free = next;
        index
    }

    fn slot_mut(&mut self, id: AskId) -> Option<&mut Slot<W, R, C>> {
        self.slots.get_mut(id.slot() as usize).filter(|slot| {
            matches_generation(slot.generation, id) && !matches!(slot.state, State::Vacant { .. })
        })
    }

    /// Moves a waiting request to done.
    fn finish(&mut self, index: u32, outcome: Outcome<R, C>) -> Option<W> {
        let state = std::mem::replace(&mut self.slots[index as usize].state, State::Done(outcome));
        let State::Waiting { waker, timer } = state else {
            unreachable!("only waiting requests are finished")
        };
        self.waiting -= 1;
        if let Some(timer) = timer {
            self.unlink(timer);
        }
        waker
    }

    /// Makes a slot vacant; returns the outcome if it was there.
    fn free(&mut self, index: u32) -> Option<Outcome<R, C>> {
        let next = self.free;
        self.held -= 1;
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1) & GENERATIONS;
        let state = std::mem::replace(&mut slot.state, State::Vacant { next });
        self.free = index;
        let outcome = match state {
            State::Done(outcome) => Some(outcome),
            State::Waiting { timer, .. } => {
                self.waiting -= 1;
                if let Some(timer) = timer {
                    self.unlink(timer);
                }
                None
            }
            State::Vacant { .. } => unreachable!("a slot is freed once"),
        };
        if self.held == 0 && self.slots.len() > SLOTS_KEPT {
            self.forget_slots();
        }
        outcome
    }

    /// Gives back the memory of vacant slots, and makes sure that none of their ids is handed out again.
    #[cold]
    fn forget_slots(&mut self) {
        // Each slot's own is one that it has not handed out.
        let latest = self.slots.iter().map(|slot| slot.generation).max();
        self.first_generation = latest.unwrap_or_default();
        self.slots = Vec::new();
        self.free = NONE;
    }

    fn link(&mut self, index: u32, tick: u64) -> Timer {
        if self.buckets.is_empty() {
            self.buckets = vec![NONE; BUCKETS as usize];
        }
        let head = &mut self.buckets[(tick % BUCKETS) as usize];
        let next = std::mem::replace(head, index);
        if next != NONE {
            self.timer_mut(next).previous = index;
        }
        self.timed += 1;
        Timer {
            tick,
            previous: NONE,
            next,
        }
    }

    fn unlink(&mut self, timer: Timer) {
        if timer.previous == NONE {
            self.buckets[(timer.tick % BUCKETS) as usize] = timer.next;
        } else {
            self.timer_mut(timer.previous).next = timer.next;
        }
        if timer.next != NONE {
            self.timer_mut(timer.next).previous = timer.previous;
        }
        self.timed -= 1;
    }

    fn timer_mut(&mut self, index: u32) -> &mut Timer {
        match &mut self.slots[index as usize].state {
            State::Waiting {
                timer: Some(timer), ..
            } => timer,
            _ => unreachable!("only waiting requests with a deadline are linked"),
        }
    }

    /// The first tick that is not before `deadline`.
    fn tick_of(&self, deadline: Instant) -> u64 {
        let time = deadline.saturating_duration_since(self.epoch);
        let rest = time.subsec_nanos().div_ceil(TICK.subsec_nanos());
        let ticks = time.as_secs().saturating_mul(TICKS_PER_SECOND);
        ticks.saturating_add(u64::from(rest)).min(NEVER)
    }

    /// The last tick that is not after `now`.
    fn tick_floor(&self, now: Instant) -> u64 {
        let time = now.saturating_duration_since(self.epoch);
        let rest = time.subsec_nanos() / TICK.subsec_nanos();
        let ticks = time.as_secs().saturating_mul(TICKS_PER_SECOND);
        ticks.saturating_add(u64::from(rest)).min(NEVER - 1)
    }
}

/// The time from the epoch to `tick`; also [`NEVER`] still fits.
fn since_epoch(tick: u64) -> Duration {
    Duration::from_secs(tick / TICKS_PER_SECOND) + TICK * (tick % TICKS_PER_SECOND) as u32
}

fn matches_generation(generation: u32, id: AskId) -> bool {
    generation & GENERATIONS == id.generation()
}

#[cfg(test)]
#[path = "pending_tests.rs"]
mod tests;
