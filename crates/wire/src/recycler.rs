//! Large buffers that are used again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

/// Memory for bulk data that comes in: what one piece was collected in serves another as soon as nobody holds the first.
///
/// A large allocation is fresh memory of the system's, and its first touch costs as much as filling it does. So decoders
/// that [share](crate::FrameDecoder::recycling) a recycler take their large buffers from it, and the [`Bytes`] that they hand
/// out give theirs back when the last of them is dropped. Clones are the same recycler.
#[derive(Clone, Debug)]
pub struct Recycler {
    shelf: Arc<Mutex<Shelf>>,
    most: usize,
}

/// Buffers that nobody uses, those that came back last at the end.
#[derive(Debug, Default)]
struct Shelf {
    free: VecDeque<Vec<u8>>,
    bytes: usize,
}

/// A buffer that is in use.
struct Used {
    buffer: Vec<u8>,
    recycler: Recycler,
}

impl Recycler {
    /// Smaller buffers are left to the allocator, which keeps such memory itself.
    const SMALLEST: usize = 32 << 10;

    /// Makes a recycler that keeps up to `most` bytes which nobody uses.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            shelf: Arc::default(),
            most,
        }
    }

    /// How many bytes it keeps that nobody uses.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.shelf().bytes
    }

    /// Lends an empty buffer for `length` bytes, if there is one that they would fill to the half.
    pub(crate) fn lend(&self, length: usize) -> Option<Vec<u8>> {
        if length < Self::SMALLEST {
            return None;
        }
        let mut shelf = self.shelf();
        let fits = |buffer: &Vec<u8>| (length..=length.saturating_mul(2)).contains(&buffer.capacity());
        // What came back last is most likely still in the processor's cache.
        let at = shelf.free.iter().rposition(fits)?;
        let buffer = shelf.free.remove(at)?;
        shelf.bytes -= buffer.capacity();
        Some(buffer)
    }

    /// Lends an empty buffer with room for `length` bytes, or makes one.
    #[must_use]
    pub fn buffer(&self, length: usize) -> Vec<u8> {
        self.lend(length).unwrap_or_else(|| Vec::with_capacity(length))
    }

    /// Hands out what a buffer contains; it comes back when nobody holds that any more.
    #[must_use]
    pub fn share(&self, buffer: Vec<u8>) -> Bytes {
        if self.wants(&buffer) {
            let recycler = self.clone();
            Bytes::from_owner(Used { buffer, recycler })
        } else {
            Bytes::from(buffer)
        }
    }

    /// Takes back a buffer that has not been shared.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        if !self.wants(&buffer) {
            return;
        }
        buffer.clear();
        let mut shelf = self.shelf();
        shelf.bytes += buffer.capacity();
        shelf.free.push_back(buffer);
        let mut freed = Vec::new();
        while shelf.bytes > self.most
            && let Some(oldest) = shelf.free.pop_front()
        {
            shelf.bytes -= oldest.capacity();
            freed.push(oldest);
        }
        drop(shelf);
    }

    fn wants(&self, buffer: &Vec<u8>) -> bool {
        (Self::SMALLEST..=self.most).contains(&buffer.capacity())
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Keeps nothing.
impl Default for Recycler {
    fn default() -> Self {
        Self::new(0)
    }
}

impl AsRef<[u8]> for Used {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.recycler.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;

    fn filled(capacity: usize) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(capacity);
        buffer.resize(capacity, 7);
        buffer
    }

    #[test]
    fn a_buffer_comes_back_with_the_last_of_its_bytes() {
        let recycler = Recycler::new(1 << 20);
        let buffer = filled(64 * KIB);
        let at = buffer.as_ptr();
        let bytes = recycler.share(buffer);
        let part = bytes.slice(10..20);
        drop(bytes);
        assert!(recycler.lend(64 * KIB).is_none(), "a part of it is in use");
        assert_eq!(part, [7; 10][..]);
        drop(part);
        assert_eq!(recycler.kept(), 64 * KIB);
        let again = recycler.lend(64 * KIB).unwrap();
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
        assert_eq!(recycler.kept(), 0);
    }

    #[test]
    fn buffers_are_lent_only_for_what_fills_them_to_the_half() {
        let recycler = Recycler::new(1 << 20);
        recycler.give_back(filled(256 * KIB));
        assert!(recycler.lend(127 * KIB).is_none());
        assert!(recycler.lend(257 * KIB).is_none());
        assert!(recycler.lend(128 * KIB).is_some());
    }

    #[test]
    fn what_it_keeps_is_bounded_and_the_oldest_goes_first() {
        let recycler = Recycler::new(300 * KIB);
        for size in [100, 120, 140, 400] {
            recycler.give_back(filled(size * KIB));
            assert!(recycler.kept() <= 300 * KIB);
        }
        assert!(
            recycler
                .lend(100 * KIB)
                .is_some_and(|lent| lent.capacity() == 140 * KIB)
        );
        assert!(
            recycler
                .lend(100 * KIB)
                .is_some_and(|lent| lent.capacity() == 120 * KIB)
        );
        assert!(recycler.lend(100 * KIB).is_none());
        drop(Recycler::default().share(filled(64 * KIB)));
        assert_eq!(Recycler::default().kept(), 0);
    }
}
