//! What is remembered of one peer: which codecs it writes, and what its Java classes look like.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use spark_rpc_javaobj::{ClassTable, Graph, Refusal};

use crate::address::RpcAddress;

/// What codecs remember of one peer, for as long as there is a connection to it or a reference that leads there.
#[derive(Default)]
pub struct PeerMemory {
    /// Tells apart peers without an address.
    pub(crate) id: u64,
    /// The address of the peer's env, once it is known.
    address: OnceLock<RpcAddress>,
    /// One bit for each codec of the env that the peer has written, and [`PRESUMED`].
    heard: AtomicU32,
    lessons: AtomicU32,
    /// What the peer's Java classes look like; empty until the first Java content.
    classes: Mutex<Option<Arc<ClassTable>>>,
}

impl PeerMemory {
    /// Remembers nothing yet. Equal ids, unless they are 0, mean the same peer.
    pub(crate) fn new(id: u64, address: Option<RpcAddress>) -> Self {
        let memory = Self {
            id,
            ..Self::default()
        };
        if let Some(address) = address {
            memory.set_address(address);
        }
        memory
    }

    /// The address of the peer's env: the one that was dialled, or that the peer has told.
    #[must_use]
    pub fn address(&self) -> Option<&RpcAddress> {
        self.address.get()
    }

    /// The first address counts.
    pub(crate) fn set_address(&self, address: RpcAddress) {
        let _ = self.address.set(address);
    }

    /// Notes that the peer writes the codec with this number, or wants it.
    #[inline]
    pub(crate) fn hear(&self, codec: usize) {
        let bit = bit_of(codec);
        // Most messages bring nothing new, and a load does not disturb other threads.
        if self.heard.load(Ordering::Relaxed) & bit == 0 {
            self.heard.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Notes that the peer understands nothing but the codec with this number.
    pub(crate) fn hear_only(&self, codec: usize) {
        self.heard.store(bit_of(codec), Ordering::Relaxed);
    }

    /// Takes the peer for a JVM with the same classes as `witness`, a JVM that has passed on a reference to it, unless
    /// something is known of the peer already.
    pub(crate) fn presume_like(&self, witness: &Self) {
        let Some(classes) = witness.lock().clone() else {
            return;
        };
        let mut mine = self.lock();
        if mine.is_none() && self.heard() == 0 {
            *mine = Some(classes);
            self.heard.fetch_or(PRESUMED, Ordering::Relaxed);
        }
    }

    /// How many refusals have taught something. If it has grown since a message was written, another try may be accepted.
    pub(crate) fn lessons(&self) -> u32 {
        self.lessons.load(Ordering::Relaxed)
    }

    pub(crate) fn count_lesson(&self) {
        self.lessons.fetch_add(1, Ordering::Relaxed);
    }

    /// The codecs that the peer has written, one bit each, and [`PRESUMED`].
    #[inline]
    pub(crate) fn heard(&self) -> u32 {
        self.heard.load(Ordering::Relaxed)
    }

    /// What the peer's classes look like, as far as it is known; `assumed` if nothing is.
    pub(crate) fn classes(&self, assumed: &Arc<ClassTable>) -> Arc<ClassTable> {
        Arc::clone(self.lock().get_or_insert_with(|| Arc::clone(assumed)))
    }

    /// Learns from what the peer has written.
    pub(crate) fn observe(&self, graph: &Graph, assumed: &Arc<ClassTable>) {
        let mut classes = self.lock();
        let classes = classes.get_or_insert_with(|| Arc::clone(assumed));
        if classes.would_learn(graph) {
            Arc::make_mut(classes).observe(graph);
        }
    }

    /// Learns from what the peer has refused; returns whether that is new.
    pub(crate) fn learn(&self, refusal: &Refusal, assumed: &Arc<ClassTable>) -> bool {
        let mut classes = self.lock();
        Arc::make_mut(classes.get_or_insert_with(|| Arc::clone(assumed))).learn(refusal)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<ClassTable>>> {
        self.classes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PeerMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerMemory")
            .field("address", &self.address.get())
            .finish_non_exhaustive()
    }
}

/// The peer is taken for a JVM, but has not said so: what it writes in Java may be written because it is asked in Java.
pub(crate) const PRESUMED: u32 = 1 << 31;

/// The bit of the codec with this number.
fn bit_of(codec: usize) -> u32 {
    1 << codec.min(30)
}
