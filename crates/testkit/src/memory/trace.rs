//! What happened on the network, in order.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceEvent {
    /// Virtual time since the network was created.
    pub at: Duration,
    /// What happened.
    pub what: Happening,
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3} ms  {:?}", self.at.as_secs_f64() * 1e3, self.what)
    }
}

/// One thing that happened. Connections are numbered from 0 in the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields say what they are")]
pub enum Happening {
    /// A host began to listen.
    Bound { host: Arc<str>, port: u16 },
    /// A host stopped listening.
    Unbound { host: Arc<str>, port: u16 },
    /// A host asked for a connection.
    Connecting {
        connection: u64,
        from: Arc<str>,
        to: Arc<str>,
        port: u16,
    },
    /// The host that asked for a connection has it.
    Connected { connection: u64 },
    /// The host that asked for a connection was refused.
    Refused { connection: u64 },
    /// Bytes arrived.
    Delivered {
        connection: u64,
        at: Arc<str>,
        bytes: usize,
    },
    /// The end of the bytes arrived (a FIN).
    Ended { connection: u64, at: Arc<str> },
    /// A connection was reset under one of its ends.
    Reset { connection: u64, at: Arc<str> },
    /// Two groups of hosts were parted.
    Partitioned {
        left: Vec<Arc<str>>,
        right: Vec<Arc<str>>,
    },
    /// All partitions ended.
    Healed,
    /// All connections between two hosts were reset.
    Cut { left: Arc<str>, right: Arc<str> },
    /// A host crashed.
    Crashed { host: Arc<str> },
    /// A host came back.
    Restarted { host: Arc<str> },
}

/// Totals since the network was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections asked for.
    pub connects: u64,
    /// Connections that came about.
    pub connected: u64,
    /// Connections that were refused.
    pub refused: u64,
    /// Ends of connections that were reset: two for a connection whose ends both noticed.
    pub resets: u64,
    /// Bytes that writers handed over.
    pub bytes_sent: u64,
    /// Bytes that arrived at their reader's host.
    pub bytes_delivered: u64,
    /// Segments in which they arrived.
    pub segments_delivered: u64,
}

/// The last events, and a digest of all of them.
#[derive(Debug, Default)]
pub(super) struct Trace {
    events: VecDeque<TraceEvent>,
    digest: u64,
}

impl Trace {
    pub(super) fn push(&mut self, event: TraceEvent) {
        // Unlike a map's, the keys of `DefaultHasher::new` are fixed, so that runs can be compared.
        let mut hasher = DefaultHasher::new();
        (self.digest, &event).hash(&mut hasher);
        self.digest = hasher.finish();
        if self.events.len() == LIMIT {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    pub(super) fn to_vec(&self) -> Vec<TraceEvent> {
        self.events.iter().cloned().collect()
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }
}

/// How many events are kept.
pub(super) const LIMIT: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_covers_events_that_are_no_longer_kept() {
        let trace = |first| {
            let mut trace = Trace::default();
            trace.push(TraceEvent {
                at: first,
                what: Happening::Healed,
            });
            for _ in 0..LIMIT {
                trace.push(TraceEvent {
                    at: Duration::ZERO,
                    what: Happening::Healed,
                });
            }
            trace
        };
        let (a, b) = (trace(Duration::ZERO), trace(Duration::from_nanos(1)));
        assert_eq!(a.to_vec(), b.to_vec());
        assert_eq!(a.to_vec().len(), LIMIT);
        assert_ne!(a.digest(), b.digest());
        assert_eq!(a.digest(), trace(Duration::ZERO).digest());
    }
}
