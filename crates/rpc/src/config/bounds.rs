//! How much may wait in a queue, and what happens when it is full.

use std::time::Duration;

/// Bounds of an endpoint's inbox.
///
/// A single message longer than [`max_bytes`](Self::max_bytes) is let in when nothing else waits; it could
/// never be delivered otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueBounds {
    /// Most messages that may wait, at least 1.
    ///
    /// Default 262 144. Key `spark.rpc.inbox.maxMessages`, not Spark's.
    pub max_messages: usize,
    /// Most bytes that may wait, at least 1. Messages from the network count with their encoded length.
    ///
    /// Default 256 MiB. Key `spark.rpc.inbox.maxBytes`, not Spark's.
    pub max_bytes: usize,
    /// What happens to a message from the network that finds the queue full. A local `send` never waits: it is
    /// refused at once, where `send_wait` and `ask` wait for room.
    ///
    /// Default [`WhenFull::Wait`] up to 10 s. Keys `spark.rpc.inbox.whenFull` and
    /// `spark.rpc.inbox.waitLimit`, not Spark's.
    pub when_full: WhenFull,
}

impl Default for QueueBounds {
    fn default() -> Self {
        Self {
            max_messages: MAX_MESSAGES,
            max_bytes: MAX_BYTES,
            when_full: WhenFull::default(),
        }
    }
}

/// What happens to a message from the network that finds its inbox full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The reader of its connection waits for room, which slows the peer down; after the limit the message is
    /// refused.
    Wait {
        /// How long the reader waits, more than 0.
        up_to: Duration,
    },
    /// The message is refused at once; an ask fails with an error that says so.
    Reject,
}

impl Default for WhenFull {
    fn default() -> Self {
        Self::Wait {
            up_to: Duration::from_secs(10),
        }
    }
}

/// Bounds of what waits for a connection to one remote address. A message that finds it full is refused.
///
/// A single message longer than [`max_bytes`](Self::max_bytes) is let in when nothing else waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxBounds {
    /// Most messages that may wait, at least 1.
    ///
    /// Default 262 144. Key `spark.rpc.outbox.maxMessages`, not Spark's.
    pub max_messages: usize,
    /// Most encoded bytes that may wait, at least 1.
    ///
    /// Default 256 MiB. Key `spark.rpc.outbox.maxBytes`, not Spark's.
    pub max_bytes: usize,
}

impl Default for OutboxBounds {
    fn default() -> Self {
        Self {
            max_messages: MAX_MESSAGES,
            max_bytes: MAX_BYTES,
        }
    }
}

const MAX_MESSAGES: usize = 262_144;
const MAX_BYTES: usize = 256 << 20;
