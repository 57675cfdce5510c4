//! Events on their way to somebody who may be slow.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::event::{Event, What};

/// Takes events and never waits; what is too much is counted instead of kept.
#[derive(Debug)]
pub struct Outlet {
    queue: Arc<Queue>,
}

/// Hands the events out, to a thread that may wait.
#[derive(Debug)]
pub struct Inlet {
    queue: Arc<Queue>,
}

/// An event, and what went missing in front of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// How many events were dropped between the last one and this one.
    pub lost: u64,
    /// The event; at the end there is none, only what was lost.
    pub event: Option<Event>,
}

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    events: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(u64, Event)>,
    bytes: usize,
    lost: u64,
    closed: bool,
}

/// Makes a queue of at most so many events and bytes. What opens and closes connections is small and rare, and may be twice as
/// much.
pub fn outlet(events: usize, bytes: usize) -> (Outlet, Inlet) {
    let queue = Arc::new(Queue {
        state: Mutex::default(),
        changed: Condvar::new(),
        events,
        bytes,
    });
    let inlet = Inlet {
        queue: Arc::clone(&queue),
    };
    (Outlet { queue }, inlet)
}

impl Outlet {
    /// Queues an event, or counts it as lost.
    pub fn offer(&self, event: &Event) {
        let weight = event.what.weight();
        let factor = match event.what {
            What::Frame { .. } => 1,
            _ => 2,
        };
        let mut state = self.queue.lock();
        let room = state.waiting.len() < self.queue.events.saturating_mul(factor)
            && state.bytes.saturating_add(weight) <= self.queue.bytes.saturating_mul(factor);
        if room {
            state.bytes += weight;
            let lost = mem::take(&mut state.lost);
            state.waiting.push_back((lost, event.clone()));
        } else {
            state.lost += 1;
        }
        drop(state);
        self.queue.changed.notify_one();
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_one();
    }
}

impl Inlet {
    /// Waits for the next event; `None` once the outlet is gone and everything has been taken.
    pub fn wait(&self) -> Option<Taken> {
        let mut state = self.queue.lock();
        loop {
            if let Some(taken) = state.take() {
                return Some(taken);
            }
            if state.closed {
                let lost = mem::take(&mut state.lost);
                return (lost > 0).then_some(Taken { lost, event: None });
            }
            state = self
                .queue
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns the next event if there is one already.
    pub fn try_take(&self) -> Option<Taken> {
        self.queue.lock().take()
    }
}

impl State {
    fn take(&mut self) -> Option<Taken> {
        let (lost, event) = self.waiting.pop_front()?;
        self.bytes -= event.what.weight();
        Some(Taken {
            lost,
            event: Some(event),
        })
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Direction, Excerpt};

    fn frame(number: u64) -> Event {
        Event {
            connection: 1,
            at: Duration::ZERO,
            what: What::Frame {
                direction: Direction::ToServer,
                excerpt: Excerpt {
                    offset: number,
                    length: 100,
                    data: vec![0; 100].into(),
                },
            },
        }
    }

    #[test]
    fn what_is_too_much_is_counted_and_told_with_the_next_one() {
        let (outlet, inlet) = outlet(2, 1 << 20);
        (0..5).for_each(|number| outlet.offer(&frame(number)));
        assert_eq!(inlet.wait().unwrap().event, Some(frame(0)));
        outlet.offer(&frame(5));
        outlet.offer(&frame(6));
        drop(outlet);
        assert_eq!(inlet.wait().unwrap().lost, 0);
        let taken = inlet.try_take().unwrap();
        assert_eq!((taken.lost, taken.event), (3, Some(frame(5))));
        assert_eq!(inlet.wait(), Some(Taken { lost: 1, event: None }));
        assert_eq!(inlet.wait(), None);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (outlet, inlet) = outlet(100, 2 * frame(0).what.weight());
        (0..3).for_each(|number| outlet.offer(&frame(number)));
        drop(outlet);
        let lost = std::iter::from_fn(|| inlet.wait()).map(|taken| taken.lost);
        assert_eq!(lost.collect::<Vec<_>>(), [0, 0, 1]);
    }
}
