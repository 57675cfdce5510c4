//! Messages waiting for one endpoint, and the order in which they may run.

use std::collections::VecDeque;
use std::fmt;

use crate::bounds::{Bounds, Full, Lane, Load};

/// Messages waiting for one endpoint, and the order in which they may run (Spark's `Inbox`).
///
/// The owner posts messages, takes steps and reports when a step has finished. A serial endpoint takes whole batches
/// ([`take_batch`](Self::take_batch)): the queue is swapped with the consumer's empty one, so that in the steady state
/// nothing is allocated. A concurrent endpoint takes one step at a time ([`next_step`](Self::next_step)).
///
/// What has been taken and is not yet reported done still counts against the [`Bounds`]. Control messages pass the
/// others, but never one another: each lane keeps its order.
#[derive(Debug)]
pub struct Inbox<M> {
    phase: Phase,
    /// Set by [`stop`](Self::stop); from then on nothing is accepted and delivery is serial.
    closed: bool,
    delivery: Delivery,
    control: VecDeque<Taken<M>>,
    /// What waits in `control` weighs this much.
    control_bytes: usize,
    queue: VecDeque<Taken<M>>,
    /// How many messages of the batch at work came from `queue`; they are the last ones in it.
    batch_normal: usize,
    bounds: Bounds,
    /// Waiting and handed out together.
    load: Load,
    /// Steps handed out and not yet reported done; a batch counts as one.
    running: usize,
}

/// How messages of one endpoint may overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// One at a time, in order (Spark's `ThreadSafeRpcEndpoint`).
    Serial,
    /// Any number at once after `OnStart` has succeeded (Spark's plain `RpcEndpoint`).
    Concurrent,
}

/// What may run now.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<M> {
    /// `on_start`; nothing runs beside it.
    Start,
    /// One message.
    Deliver(Taken<M>),
    /// The batch given to [`Inbox::take_batch`] has been filled.
    Batch,
    /// `on_stop`; nothing runs beside it and nothing comes after it.
    Stop,
}

/// A message together with the bytes that it counts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken<M> {
    /// The message.
    pub message: M,
    /// Its weight against the byte bound.
    pub bytes: usize,
}

/// A message has been queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Whether a consumer that found nothing to do should look again.
    pub wake: bool,
}

/// A message that the inbox did not take.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejected<M> {
    /// The message, untouched.
    pub message: M,
    /// Why it was not taken.
    pub reason: RejectReason,
}

/// Why an inbox did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// The endpoint has been stopped.
    Stopped,
    /// A bound is reached.
    Full(Full),
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RejectReason::Stopped => f.write_str("stopped"),
            RejectReason::Full(full) => full.fmt(f),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Registered,
    Starting,
    Open,
    Stopping,
    Stopped,
}

impl<M> Inbox<M> {
    /// Makes an inbox whose first step is `OnStart`.
    #[must_use]
    pub fn new(delivery: Delivery, bounds: Bounds) -> Self {
        Self {
            phase: Phase::Registered,
            closed: false,
            delivery,
            control: VecDeque::new(),
            control_bytes: 0,
            queue: VecDeque::new(),
            batch_normal: 0,
            bounds,
            load: Load::default(),
            running: 0,
        }
    }

    /// Queues `message`, which weighs `bytes`, behind those already waiting in its lane.
    ///
    /// # Errors
    ///
    /// Returns the message in [`Rejected`] once [`stop`](Self::stop) has been called, or when a bound is reached. The
    /// control lane has room for as many messages and bytes again, so that a flood cannot keep control traffic out.
    #[inline]
    pub fn post(&mut self, message: M, lane: Lane, bytes: usize) -> Result<Posted, Rejected<M>> {
        if let Err(reason) = self.admit(lane, bytes) {
            return Err(Rejected { message, reason });
        }
        Ok(self.push(message, lane, bytes))
    }

    /// Says whether [`post`](Self::post) would take a message now.
    ///
    /// # Errors
    ///
    /// Why it would not.
    #[inline]
    pub fn admit(&self, lane: Lane, bytes: usize) -> Result<(), RejectReason> {
        if self.closed {
            return Err(RejectReason::Stopped);
        }
        let held = match lane {
            Lane::Normal => self.load,
            // Apart from events, at most `max_items` of the steps that run came through the other lane. What runs
            // beyond that counts here, so that control messages cannot pile up in concurrent handlers either.
            Lane::Control => Load {
                items: self.control.len() + self.running.saturating_sub(self.bounds.max_items),
                bytes: self.control_bytes,
            },
        };
        self.bounds.admit(held, bytes).map_err(RejectReason::Full)
    }

    /// Queues a message that has been [admitted](Self::admit) before, also if a bound has been reached since.
    ///
    /// # Errors
    ///
    /// Gives the message back once [`stop`](Self::stop) has been called.
    #[inline(always)]
    pub fn post_admitted(&mut self, message: M, lane: Lane, bytes: usize) -> Result<Posted, Rejected<M>> {
        if self.closed {
            return Err(Rejected {
                message,
                reason: RejectReason::Stopped,
            });
        }
        Ok(self.push(message, lane, bytes))
    }

    /// Reports that `messages` messages of `bytes` bytes of a batch at work have been handled, so that others find room
    /// before the batch is done. They are not reported again with [`step_done`](Self::step_done).
    ///
    /// # Panics
    ///
    /// Debug builds panic when more is reported than was taken.
    pub fn consumed(&mut self, messages: usize, bytes: usize) {
        self.load.remove(messages, bytes);
    }

    /// Queues an event that no bound may keep out, such as the end of a connection. It counts as one message of no
    /// bytes.
    ///
    /// # Errors
    ///
    /// Returns the event in [`Rejected`] once [`stop`](Self::stop) has been called, and only then.
    pub fn post_event(&mut self, message: M) -> Result<Posted, Rejected<M>> {
        if self.closed {
            return Err(Rejected {
                message,
                reason: RejectReason::Stopped,
            });
        }
        Ok(self.push(message, Lane::Normal, 0))
    }

    /// Lets queued messages run one by one, then `on_stop`. Returns whether this call was the one that stopped it; a
    /// consumer that found nothing to do should then look again.
    pub fn stop(&mut self) -> bool {
        !std::mem::replace(&mut self.closed, true)
    }

    /// Takes the next step that may run now; after `None`, ask again once something has changed.
    pub fn next_step(&mut self) -> Option<Step<M>> {
        let step = match self.boundary_step()? {
            Boundary::Step(step) => step,
            Boundary::Messages => Step::Deliver(self.pop()?),
        };
        self.running += 1;
        Some(step)
    }

    /// Takes the next step for a serial consumer. On [`Step::Batch`], `batch` holds every control message that waited
    /// or, when there was none, every other message; it counts as one running step. The consumer works it off from the
    /// front.
    ///
    /// # Panics
    ///
    /// Panics if `batch` is not empty: messages of the last batch would be overtaken.
    #[inline]
    pub fn take_batch(&mut self, batch: &mut VecDeque<Taken<M>>) -> Option<Step<M>> {
        assert!(batch.is_empty(), "the last batch is not used up");
        let step = match self.boundary_step()? {
            Boundary::Step(step) => step,
            Boundary::Messages => {
                if self.control.is_empty() {
                    std::mem::swap(&mut self.queue, batch);
                    self.batch_normal = batch.len();
                } else {
                    std::mem::swap(&mut self.control, batch);
                    self.control_bytes = 0;
                    self.batch_normal = 0;
                }
                Step::Batch
            }
        };
        self.running += 1;
        Some(step)
    }

    /// Moves the waiting control messages to the front of the batch that is being worked off; they finish with its
    /// step. Does nothing while earlier control messages are still at the front of `batch`.
    #[inline]
    pub fn take_control(&mut self, batch: &mut VecDeque<Taken<M>>) {
        // The batch is worked off from the front, so whatever exceeds the number of its normal messages is control.
        if batch.len() > self.batch_normal {
            return;
        }
        // Some of the normal ones may be gone by now.
        self.batch_normal = batch.len();
        self.control_bytes = 0;
        while let Some(message) = self.control.pop_back() {
            batch.push_front(message);
        }
    }

    /// Reports that a step taken from [`next_step`](Self::next_step) or [`take_batch`](Self::take_batch) has finished,
    /// and with it `messages` messages of `bytes` bytes. Returns whether consumers that found nothing to do should look
    /// again.
    ///
    /// # Panics
    ///
    /// Panics if no step is running: the owner lost count, and `on_stop` could meet a live handler. Debug builds also
    /// panic when more is reported done than was taken.
    #[inline]
    pub fn step_done(&mut self, messages: usize, bytes: usize) -> bool {
        assert!(self.running > 0, "step_done without a running step");
        self.running -= 1;
        self.load.remove(messages, bytes);
        let next = match self.phase {
            Phase::Starting => Phase::Open,
            Phase::Stopping => Phase::Stopped,
            same => same,
        };
        next != std::mem::replace(&mut self.phase, next)
    }

    /// Reports that `on_start` has failed, before its step is reported done. Messages are still handled, but never
    /// concurrently (Spark's `Inbox` turns concurrency on only when `onStart` returns normally).
    pub fn start_failed(&mut self) {
        self.delivery = Delivery::Serial;
    }

    /// Whether [`stop`](Self::stop) has been called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether `on_stop` has finished, or the owner has [given up](Self::give_up).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.phase == Phase::Stopped
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.control.is_empty() && self.queue.is_empty()
    }

    /// Steps handed out and not yet reported done.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// Messages waiting or handed out, and their bytes.
    #[must_use]
    pub fn load(&self) -> Load {
        self.load
    }

    /// Ends at once, for an owner whose consumer is gone, and takes out everything that waits. No step comes after this,
    /// `on_stop` neither; steps that still run may be reported done.
    pub fn give_up(&mut self) -> Vec<M> {
        self.closed = true;
        self.phase = Phase::Stopped;
        self.control_bytes = 0;
        let waiting: Vec<Taken<M>> = self.control.drain(..).chain(self.queue.drain(..)).collect();
        self.load
            .remove(waiting.len(), waiting.iter().map(|taken| taken.bytes).sum());
        waiting.into_iter().map(|taken| taken.message).collect()
    }

    #[inline(always)]
    fn push(&mut self, message: M, lane: Lane, bytes: usize) -> Posted {
        let bytes = self.load.add(bytes);
        let queue = match lane {
            Lane::Control => {
                self.control_bytes = self.control_bytes.saturating_add(bytes);
                &mut self.control
            }
            Lane::Normal => &mut self.queue,
        };
        if queue.capacity() == 0 {
            // Most endpoints have one message at a time; a deque left to itself would begin with room for four.
            queue.reserve_exact(1);
        }
        queue.push_back(Taken { message, bytes });
        // A serial consumer that is at work looks again by itself before it goes to sleep.
        Posted {
            wake: self.running == 0 || self.concurrent(),
        }
    }

    fn pop(&mut self) -> Option<Taken<M>> {
        let Some(taken) = self.control.pop_front() else {
            return self.queue.pop_front();
        };
        self.control_bytes = self.control_bytes.saturating_sub(taken.bytes);
        Some(taken)
    }

    fn concurrent(&self) -> bool {
        self.phase == Phase::Open && !self.closed && self.delivery == Delivery::Concurrent
    }

    #[inline]
    fn boundary_step(&mut self) -> Option<Boundary<M>> {
        match self.phase {
            Phase::Registered => {
                self.phase = Phase::Starting;
                Some(Boundary::Step(Step::Start))
            }
            // Closing forces serial delivery, so that `on_stop` finds every handler finished.
            Phase::Open if self.running > 0 && !self.concurrent() => None,
            Phase::Open if !self.is_empty() => Some(Boundary::Messages),
            Phase::Open if self.closed => {
                self.phase = Phase::Stopping;
                Some(Boundary::Step(Step::Stop))
            }
            Phase::Open | Phase::Starting | Phase::Stopping | Phase::Stopped => None,
        }
    }
}

enum Boundary<M> {
    Step(Step<M>),
    Messages,
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
