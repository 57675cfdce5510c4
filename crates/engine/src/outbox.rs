//! Messages for one remote address, while there is no connection to it.

use std::collections::VecDeque;

use crate::bounds::{Bounds, Full, Load};

/// Messages for one remote address (Spark's `Outbox`): one connection attempt at a time, everything that waited for it
/// leaves in order, and everything fails with the cause when it fails.
///
/// `M` is a message, `C` a connection. Once connected and drained, messages [pass](Admission::Pass) straight through.
#[derive(Debug)]
pub struct Outbox<M, C> {
    state: State<C>,
    /// In the order of their tickets.
    waiting: VecDeque<Waiting<M>>,
    /// The ticket of the next message that has to wait.
    next: u64,
    bounds: Bounds,
    load: Load,
}

#[derive(Debug)]
enum State<C> {
    Idle,
    Connecting,
    Draining(C),
    Connected(C),
    Stopped,
}

#[derive(Debug)]
struct Waiting<M> {
    ticket: u64,
    /// `None` once withdrawn.
    message: Option<M>,
    bytes: usize,
}

/// Names a waiting message, so that it can be withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// What becomes of a message handed to an [`Outbox`].
#[derive(Debug, PartialEq, Eq)]
pub enum Admission<M, C> {
    /// There is a connection and nothing waits: send the message on it.
    Pass(M, C),
    /// It waits for the connection.
    Queued(Ticket),
    /// It waits, and the caller must now open the connection and report
    /// [`connected`](Outbox::connected) or [`fail`](Outbox::fail).
    Connect(Ticket),
}

/// A message that the outbox did not take.
#[derive(Debug, PartialEq, Eq)]
pub enum OutboxRejected<M> {
    /// The outbox has been stopped, or its connection has failed: a new one is needed.
    Stopped(M),
    /// A bound is reached.
    Full(M, Full),
}

impl<M, C: Clone> Outbox<M, C> {
    /// Makes an outbox without a connection.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            state: State::Idle,
            waiting: VecDeque::new(),
            next: 0,
            bounds,
            load: Load::default(),
        }
    }

    /// Decides what becomes of `message`, which weighs `bytes`.
    ///
    /// # Errors
    ///
    /// Gives the message back when the outbox is stopped or full.
    #[inline]
    pub fn send(&mut self, message: M, bytes: usize) -> Result<Admission<M, C>, OutboxRejected<M>> {
        match &self.state {
            State::Connected(connection) => return Ok(Admission::Pass(message, connection.clone())),
            State::Stopped => return Err(OutboxRejected::Stopped(message)),
            State::Idle | State::Connecting | State::Draining(_) => {}
        }
        if let Err(full) = self.bounds.admit(self.load, bytes) {
            return Err(OutboxRejected::Full(message, full));
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        let bytes = self.load.add(bytes);
        self.waiting.push_back(Waiting {
            ticket: ticket.0,
            message: Some(message),
            bytes,
        });
        if matches!(self.state, State::Idle) {
            self.state = State::Connecting;
            return Ok(Admission::Connect(ticket));
        }
        Ok(Admission::Queued(ticket))
    }

    /// The connection, once everything that waited for it has left.
    #[inline]
    #[must_use]
    pub fn connection(&self) -> Option<&C> {
        match &self.state {
            State::Connected(connection) => Some(connection),
            _ => None,
        }
    }

    /// Takes back a message that still waits; `None` if it has left, or was withdrawn before.
    pub fn withdraw(&mut self, ticket: Ticket) -> Option<M> {
        let index = self
            .waiting
            .binary_search_by_key(&ticket.0, |entry| entry.ticket)
            .ok()?;
        let entry = &mut self.waiting[index];
        let message = entry.message.take()?;
        self.load.remove(1, entry.bytes);
        // The gap stays, so that withdrawing costs the same everywhere in the queue, until the gaps outnumber what
        // waits: messages that come and go while a connection is slow to open leave nothing behind.
        if self.waiting.len() > MIN_COMPACTED && self.load.items < self.waiting.len() / 2 {
            self.waiting.retain(|entry| entry.message.is_some());
        }
        Some(message)
    }

    /// Reports that the connection is there. The caller then takes messages with [`drain`](Self::drain) until it
    /// returns `None`, and has sent each before it asks for the next. Returns the connection if the outbox has been
    /// stopped meanwhile.
    pub fn connected(&mut self, connection: C) -> Option<C> {
        if matches!(self.state, State::Stopped) {
            return Some(connection);
        }
        self.state = State::Draining(connection);
        None
    }

    /// Takes the next message to send on the new connection; after `None`, later messages pass straight through.
    pub fn drain(&mut self) -> Option<M> {
        if !matches!(self.state, State::Draining(_)) {
            return None;
        }
        while let Some(entry) = self.waiting.pop_front() {
            if let Some(message) = entry.message {
                self.load.remove(1, entry.bytes);
                return Some(message);
            }
        }
        if let State::Draining(connection) = std::mem::replace(&mut self.state, State::Stopped) {
            self.state = State::Connected(connection);
        }
        self.waiting = VecDeque::new();
        None
    }

    /// Stops the outbox: its connection failed, was lost, or the env shuts down. Returns what waited, in order, to be
    /// answered with the cause.
    pub fn fail(&mut self) -> Vec<M> {
        self.state = State::Stopped;
        self.load = Load::default();
        std::mem::take(&mut self.waiting)
            .into_iter()
            .filter_map(|entry| entry.message)
            .collect()
    }

    /// Whether [`fail`](Self::fail) has been called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped)
    }

    /// Messages that wait for the connection, and their bytes.
    #[must_use]
    pub fn load(&self) -> Load {
        self.load
    }
}

/// A queue no longer than this keeps its gaps.
const MIN_COMPACTED: usize = 32;

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
