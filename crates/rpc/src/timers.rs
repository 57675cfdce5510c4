//! One coarse timer for everything of an env that waits without a connection: local asks and outboxes.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;
use std::time::Instant;

use spark_rpc_engine::{AskId, Outcome, PendingAsks, PendingError};
use tokio::sync::Notify;

use crate::mailbox::now;

/// Deadlines of one env. Threads spread over a few shards, so that they seldom meet at a lock.
#[derive(Debug)]
pub(crate) struct Timers {
    shards: [Mutex<Shard>; SHARDS],
    changed: Notify,
}

type Shard = PendingAsks<Waker, (), ()>;

/// A deadline that has been set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimerKey {
    shard: usize,
    id: AskId,
}

/// What a deadline has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It has not passed.
    Later,
    /// It has passed.
    Now,
    /// The env has ended first.
    Never,
}

impl Timers {
    pub(crate) fn new() -> Self {
        let epoch = now();
        Self {
            shards: std::array::from_fn(|_| Mutex::new(PendingAsks::new(usize::MAX, epoch))),
            changed: Notify::new(),
        }
    }

    /// Looks at a deadline, which the first look sets, and wakes `waker` when there is more to say.
    pub(crate) fn poll(&self, key: &mut Option<TimerKey>, deadline: Instant, waker: &Waker) -> Due {
        let Some(known) = *key else {
            return self.start(key, deadline, waker);
        };
        let outcome = self.shard(known.shard).poll(known.id, |known| match known {
            Some(known) if known.will_wake(waker) => known,
            _ => waker.clone(),
        });
        let due = match outcome {
            None => return Due::Later,
            Some(Outcome::Failed(())) => Due::Never,
            Some(Outcome::TimedOut | Outcome::Reply(())) => Due::Now,
        };
        *key = None;
        due
    }

    fn start(&self, key: &mut Option<TimerKey>, deadline: Instant, waker: &Waker) -> Due {
        let shard = my_shard();
        match self.shard(shard).begin(Some(deadline), Some(waker.clone())) {
            Ok(begun) => {
                *key = Some(TimerKey { shard, id: begun.id });
                if begun.rearm {
                    self.changed.notify_one();
                }
                Due::Later
            }
            Err(PendingError::Closed(())) => Due::Never,
            // As many wait as can be numbered; the next look tries again.
            Err(PendingError::TooMany { .. }) => Due::Later,
        }
    }

    /// Ends all deadlines, and those that are still to come: nobody will look at the clock any more.
    pub(crate) fn stop(&self) {
        let mut wakers = Vec::new();
        for shard in 0..SHARDS {
            self.shard(shard).fail_all(&(), &mut wakers);
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn cancel(&self, key: TimerKey) {
        self.shard(key.shard).cancel(key.id);
    }

    /// Keeps the deadlines, for ever; a task of the env.
    pub(crate) async fn run(&self) {
        let mut wakers = Vec::new();
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let next = (0..SHARDS)
                .filter_map(|shard| self.shard(shard).next_deadline())
                .min();
            match next {
                Some(at) => {
                    let at = tokio::time::Instant::from_std(at);
                    // Either way the next round looks at the clock.
                    let _ = tokio::time::timeout_at(at, changed).await;
                }
                None => changed.await,
            }
            let now = now();
            for shard in 0..SHARDS {
                self.shard(shard).expire(now, &mut wakers);
            }
            wakers.drain(..).for_each(Waker::wake);
        }
    }

    fn shard(&self, shard: usize) -> MutexGuard<'_, Shard> {
        self.shards[shard]
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn my_shard() -> usize {
    thread_local! {
        static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    SHARD.with(|shard| {
        if shard.get() == usize::MAX {
            shard.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        shard.get()
    })
}

const SHARDS: usize = 8;
