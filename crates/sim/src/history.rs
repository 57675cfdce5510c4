//! What happened in a run, in order.
//!
//! The history is all that the checkers see. Everything in it is plain data, so that a checker's own tests can write down
//! a history that must be refused.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One life of a node: the env that ran there from its start to its shutdown or crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LifeId {
    /// The node.
    pub node: usize,
    /// Which of its lives, from 0.
    pub number: u32,
}

impl fmt::Display for LifeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.number)
    }
}

/// One registration of an endpoint; numbered over the whole run.
pub type Registration = u32;

/// One message, whatever its kind; numbered over the whole run.
pub type MessageId = u64;

/// Where messages of one sender to one endpoint are numbered, for the check of their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Sender, receiver and lane.
    pub stream: u32,
    /// The place in this stream; `None` for a message whose order is not promised.
    pub number: Option<u64>,
}

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Virtual time since the run began.
    pub at: Duration,
    /// What happened.
    pub event: Event,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3} ms  {:?}", self.at.as_secs_f64() * 1e3, self.event)
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say what they are")]
pub enum Event {
    /// An env has started.
    Started { life: LifeId },
    /// An env could not start, or an endpoint not be set up, although nothing stood in its way.
    CannotStart { life: LifeId, why: String },
    /// A fault was put into the network.
    Fault { nodes: Vec<usize>, fault: Fault },
    /// A node has crashed and nothing of it runs any more.
    Crashed { life: LifeId },
    /// A shutdown was asked for.
    ShutdownBegan { life: LifeId },
    /// It came to its end.
    ShutdownEnded {
        life: LifeId,
        took: Duration,
        limit: Duration,
        endpoints_aborted: Vec<String>,
        connections_aborted: usize,
        /// What the env counts as dropped over its whole life.
        dropped: u64,
        /// Connections that its counters still call open.
        connections_open: u64,
    },
    /// An endpoint was set up. One from the birth of its env has seen all of its connections.
    Registered {
        registration: Registration,
        life: LifeId,
        name: String,
        concurrent: bool,
        from_birth: bool,
    },
    /// An endpoint was stopped by itself.
    Stopped { registration: Registration },
    /// A callback began.
    Began {
        registration: Registration,
        callback: Callback,
    },
    /// A callback has ended, or was cut off.
    Ended {
        registration: Registration,
        callback: Callback,
    },
    /// An ask began. All attempts together must end within `limit`.
    Asked {
        id: MessageId,
        life: LifeId,
        to: String,
        kind: AskKind,
        limit: Duration,
    },
    /// It ended.
    Answered { id: MessageId, outcome: Outcome },
    /// A one-way message was accepted, or refused with `refused`.
    Sent {
        id: MessageId,
        life: LifeId,
        to_node: Option<usize>,
        to: String,
        refused: Option<String>,
    },
    /// The workload is over and all faults are healed.
    Settled,
    /// An operation of the workload did not come to an end, or panicked.
    Stuck { life: LifeId, why: String },
    /// What is left after the last shutdown.
    Left(Leftovers),
    /// What the network saw.
    Network {
        digest: u64,
        connects: u64,
        resets: u64,
        bytes: u64,
    },
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// All connections between two nodes are reset.
    Cut,
    /// Nothing passes between two groups of nodes.
    Partition,
    /// All partitions end.
    Heal,
    /// A process dies: its machine resets its connections.
    ProcessDeath,
    /// A machine loses its power: silence.
    PowerLoss,
    /// A node is shut down in order, and started again.
    Restart,
}

/// A callback of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say what they are")]
pub enum Callback {
    Start,
    Stop,
    Error,
    Connected(String),
    Disconnected(String),
    NetworkError(String),
    Handle {
        id: MessageId,
        place: Place,
        control: bool,
        /// The connection that it came on; `None` inside one env.
        connection: Option<u64>,
        /// The sender's address; `None` inside one env.
        sender: Option<String>,
        /// Whether its content arrived as it was sent.
        intact: bool,
    },
}

/// How an ask was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AskKind {
    /// `ask`, `ask_within`, `ask_abortable`: handled at most once.
    Once,
    /// `ask_with_retry`: may be handled so many times.
    Retry {
        /// The most attempts.
        attempts: u32,
    },
    /// A lookup, which the env's own verifier answers.
    Lookup,
}

/// How an ask ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With the reply of the registration named in it; `None` for a lookup.
    Reply(Option<Registration>),
    /// With another reply than its own.
    WrongReply(MessageId),
    /// With an error after which the message has not been and will not be handled.
    NotHandled(String),
    /// With an error of the handler.
    HandlerFailed(String),
    /// With an error after which nobody knows.
    Unknown(String),
    /// The asker dropped the wait.
    Dropped,
    /// The asker itself was cut off.
    CutOff,
}

/// What is left when everything has been shut down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Tasks of the runtime.
    pub tasks: usize,
    /// Connections of the network.
    pub connections: usize,
    /// Envs that somebody still holds.
    pub envs: usize,
    /// Panics beside those that handlers were told to have.
    pub panics: usize,
}

/// A finished run's events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// In the order in which they happened.
    pub entries: Vec<Entry>,
}

impl History {
    /// A digest of everything: equal for equal histories, on every machine.
    #[must_use]
    pub fn digest(&self) -> u64 {
        // FNV-1a: the hashers of std promise nothing between versions of Rust.
        let mut digest = 0xcbf2_9ce4_8422_2325_u64;
        for entry in &self.entries {
            for byte in format!("{entry:?}\n").bytes() {
                digest = (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        digest
    }
}

/// Writes the history; shared by everything in a run.
#[derive(Debug, Clone)]
pub struct Recorder {
    inner: Arc<Mutex<Inner>>,
    /// Set by the first event.
    began: Arc<OnceLock<Instant>>,
}

#[derive(Debug, Default)]
struct Inner {
    history: History,
    messages: MessageId,
    registrations: Registration,
    streams: BTreeMap<(LifeId, String, bool), (u32, u64)>,
}

impl Recorder {
    /// An empty history, whose time begins with its first event.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Arc::default(),
            began: Arc::default(),
        }
    }

    /// Adds an event.
    pub fn record(&self, event: Event) {
        let at = self.began.get_or_init(Instant::now).elapsed();
        self.inner().history.entries.push(Entry { at, event });
    }

    /// The number of a new message.
    #[must_use]
    pub fn next_message(&self) -> MessageId {
        let mut inner = self.inner();
        inner.messages += 1;
        inner.messages
    }

    /// The number of a new registration.
    #[must_use]
    pub fn next_registration(&self) -> Registration {
        let mut inner = self.inner();
        inner.registrations += 1;
        inner.registrations
    }

    /// The place of the next message from `life` to `to`.
    #[must_use]
    pub fn next_place(&self, life: LifeId, to: &str, control: bool, ordered: bool) -> Place {
        let mut inner = self.inner();
        let streams = u32::try_from(inner.streams.len()).unwrap_or(u32::MAX);
        let (stream, last) = inner
            .streams
            .entry((life, to.to_owned(), control))
            .or_insert((streams, 0));
        *last += 1;
        Place {
            stream: *stream,
            number: ordered.then_some(*last),
        }
    }

    /// The last `count` events so far.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<Entry> {
        let inner = self.inner();
        let entries = &inner.history.entries;
        entries[entries.len().saturating_sub(count)..].to_vec()
    }

    /// Takes the history out.
    #[must_use]
    pub fn take(&self) -> History {
        std::mem::take(&mut self.inner().history)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_covers_every_event_its_time_and_the_order() {
        let entry = |ms, node| Entry {
            at: Duration::from_millis(ms),
            event: Event::Started {
                life: LifeId { node, number: 0 },
            },
        };
        let digest = |entries: &[Entry]| {
            let history = History {
                entries: entries.to_vec(),
            };
            history.digest()
        };
        let whole = digest(&[entry(1, 0), entry(2, 1)]);
        assert_eq!(whole, digest(&[entry(1, 0), entry(2, 1)]));
        assert_ne!(whole, digest(&[entry(2, 1), entry(1, 0)]));
        assert_ne!(whole, digest(&[entry(1, 0), entry(3, 1)]));
        assert_ne!(whole, digest(&[entry(1, 0)]));
    }
}
