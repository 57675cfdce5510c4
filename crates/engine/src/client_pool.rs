//! The connections to one peer.

use std::time::{Duration, Instant};

/// The connections to one peer: a fixed number of slots, each empty, being filled, or holding a connection (Spark's
/// `ClientPool` in `TransportClientFactory`).
#[derive(Debug)]
pub struct ClientPool<C> {
    slots: Vec<SlotState<C>>,
    fast_fail_window: Duration,
    last_failure: Option<Instant>,
}

#[derive(Debug)]
enum SlotState<C> {
    Empty,
    Connecting,
    Held(C),
}

/// What to do about a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Pick<C> {
    /// Use this one, if it is still alive; else [discard](ClientPool::discard) it and ask again.
    Reuse(C),
    /// Open one for this slot and report [`connected`](ClientPool::connected) or [`failed`](ClientPool::failed).
    Connect,
    /// Another caller is opening one for this slot; wait for it and ask again.
    Wait,
    /// The last attempt failed so recently that this one should fail at once.
    FailFast {
        /// How long ago that was.
        since: Duration,
        /// Within which time attempts fail at once.
        window: Duration,
    },
}

impl<C: Clone> ClientPool<C> {
    /// Makes a pool of `slots` connections. After a failure, callers that ask for it fail at once for
    /// `fast_fail_window` (Spark: 95 % of `io.retryWait`).
    ///
    /// # Panics
    ///
    /// Panics if `slots` is 0; the settings refuse that.
    #[must_use]
    pub fn new(slots: usize, fast_fail_window: Duration) -> Self {
        assert!(slots > 0, "a pool without slots");
        let slots = std::iter::repeat_with(|| SlotState::Empty).take(slots).collect();
        Self {
            slots,
            fast_fail_window,
            last_failure: None,
        }
    }

    /// The connections that it holds.
    pub fn held(&self) -> impl Iterator<Item = &C> {
        self.slots.iter().filter_map(|slot| match slot {
            SlotState::Held(connection) => Some(connection),
            SlotState::Empty | SlotState::Connecting => None,
        })
    }

    /// Says what to do about slot `slot`.
    ///
    /// # Panics
    ///
    /// Panics if there is no such slot.
    pub fn pick(&mut self, slot: usize, fast_fail: bool, now: Instant) -> Pick<C> {
        match &self.slots[slot] {
            SlotState::Held(connection) => return Pick::Reuse(connection.clone()),
            SlotState::Connecting => return Pick::Wait,
            SlotState::Empty => {}
        }
        if let (true, Some(failed)) = (fast_fail, self.last_failure) {
            let since = now.saturating_duration_since(failed);
            if since < self.fast_fail_window {
                return Pick::FailFast {
                    since,
                    window: self.fast_fail_window,
                };
            }
        }
        self.slots[slot] = SlotState::Connecting;
        Pick::Connect
    }

    /// Reports that the connection of `slot` is there. Attempts no longer fail at once.
    ///
    /// # Panics
    ///
    /// Panics if there is no such slot.
    pub fn connected(&mut self, slot: usize, connection: C) {
        self.slots[slot] = SlotState::Held(connection);
        self.last_failure = None;
    }

    /// Reports that opening one for `slot` has failed. Only failures of the network count for failing fast, not those
    /// of a bootstrap, as in Spark.
    ///
    /// # Panics
    ///
    /// Panics if there is no such slot.
    pub fn failed(&mut self, slot: usize, network: bool, now: Instant) {
        self.slots[slot] = SlotState::Empty;
        if network {
            self.last_failure = Some(now);
        }
    }

    /// Empties `slot` if it still holds the connection that `is_it` recognises.
    ///
    /// # Panics
    ///
    /// Panics if there is no such slot.
    pub fn discard(&mut self, slot: usize, is_it: impl FnOnce(&C) -> bool) {
        if matches!(&self.slots[slot], SlotState::Held(held) if is_it(held)) {
            self.slots[slot] = SlotState::Empty;
        }
    }

    /// Takes out every connection. An attempt that is under way goes on, and still reports how it ended.
    pub fn drain(&mut self) -> Vec<C> {
        let mut held = Vec::new();
        for slot in &mut self.slots {
            match std::mem::replace(slot, SlotState::Empty) {
                SlotState::Held(connection) => held.push(connection),
                // Emptied, it would let a second attempt begin beside the first.
                SlotState::Connecting => *slot = SlotState::Connecting,
                SlotState::Empty => {}
            }
        }
        held
    }
}

#[cfg(test)]
#[path = "client_pool_tests.rs"]
mod tests;
