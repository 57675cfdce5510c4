//! How many messages a receiver has got.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counted by one receiver, read by others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds to it. There must be one receiver only, which saves the locked instruction.
    #[inline]
    pub(crate) fn add(&self, messages: u64) {
        let count = self.0.load(Ordering::Relaxed);
        self.0.store(count + messages, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
