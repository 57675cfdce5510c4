//! Bounds by count and by bytes, shared by everything that queues.

use std::fmt;

/// How much a queue may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most items at once.
    pub max_items: usize,
    /// Most bytes at once. A single item larger than this is taken when nothing else waits, so that a bound never
    /// makes an otherwise legal message impossible.
    pub max_bytes: usize,
}

impl Bounds {
    /// No bound that a machine could reach.
    pub const NONE: Bounds = Bounds {
        max_items: usize::MAX,
        max_bytes: usize::MAX,
    };

    /// Says whether one more item of `bytes` fits beside `load`.
    ///
    /// # Errors
    ///
    /// [`Full`], with what is held and what is allowed.
    pub fn admit(&self, load: Load, bytes: usize) -> Result<(), Full> {
        let too_many = load.items >= self.max_items;
        let too_large = load.items > 0 && load.bytes.saturating_add(bytes) > self.max_bytes;
        if too_many || too_large {
            Err(Full { load, bounds: *self })
        } else {
            Ok(())
        }
    }
}

/// How much a queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Items held.
    pub items: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl Load {
    /// Adds one item and returns what it weighs here: `bytes`, or less where the sum would leave the range of
    /// `usize`. Taking off the returned weight later keeps the account exact.
    pub(crate) fn add(&mut self, bytes: usize) -> usize {
        let weight = bytes.min(usize::MAX - self.bytes);
        self.items += 1;
        self.bytes += weight;
        weight
    }

    /// Takes off what was added. Removing more than that is a mistake of the owner: it panics in debug builds and stops
    /// at zero in others.
    pub(crate) fn remove(&mut self, items: usize, bytes: usize) {
        debug_assert!(
            self.items >= items && self.bytes >= bytes,
            "more removed than added"
        );
        self.items = self.items.saturating_sub(items);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// A queue could not take one more item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// What it held at that moment.
    pub load: Load,
    /// What it may hold.
    pub bounds: Bounds,
}

impl std::error::Error for Full {}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.load.items >= self.bounds.max_items {
            write!(
                f,
                "full: {} items of at most {}",
                self.load.items, self.bounds.max_items
            )
        } else {
            write!(
                f,
                "full: {} bytes of at most {}",
                self.load.bytes, self.bounds.max_bytes
            )
        }
    }
}

/// The lane of a message: control traffic passes everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lane {
    /// Small messages that keep the system going: lookups, pings, heartbeats marked as such, cancellation.
    Control,
    /// Everything else.
    #[default]
    Normal,
}

#[cfg(test)]
#[path = "bounds_tests.rs"]
mod tests;
