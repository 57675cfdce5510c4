//! What waits for the socket.

use std::collections::VecDeque;

use crate::bounds::{Bounds, Full, Lane, Load};

/// Encoded frames that wait for the socket of one connection, control frames first.
///
/// Small frames are gathered in chunks of about [`CHUNK`] bytes, so that one system call carries many of them; a large
/// frame is a chunk of its own and is not copied. The writer takes one chunk at a time, and between two chunks the
/// control lane goes first: a control frame waits for one chunk at the most.
///
/// Bytes count against the [`Bounds`] until they are reported [written](Self::written).
#[derive(Debug)]
pub struct WriteQueue {
    control: VecDeque<Queued>,
    normal: VecDeque<Queued>,
    bounds: Bounds,
    load: Load,
}

/// Encoded frames, whole ones only.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The bytes to write.
    pub bytes: Vec<u8>,
    /// How many frames they are.
    pub frames: usize,
}

#[derive(Debug)]
struct Queued {
    chunk: Chunk,
    /// Whether more frames may be gathered in it.
    open: bool,
}

/// A frame has been queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Whether nothing waited before, so that a sleeping writer should be woken.
    pub was_empty: bool,
}

/// A chunk that has reached this many bytes takes no further frame.
pub const CHUNK: usize = 64 * 1024;

impl WriteQueue {
    /// Makes an empty queue.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            control: VecDeque::new(),
            normal: VecDeque::new(),
            bounds,
            load: Load::default(),
        }
    }

    /// Copies `frame` behind what waits in its lane. `spare` supplies a buffer when a new chunk begins; what it still
    /// contains is thrown away.
    ///
    /// # Errors
    ///
    /// [`Full`] when a bound is reached; nothing has been queued then. The control lane has no bound of its own:
    /// its frames answer other frames or are few.
    #[inline]
    pub fn push(
        &mut self,
        lane: Lane,
        frame: &[u8],
        spare: impl FnOnce() -> Vec<u8>,
    ) -> Result<Pushed, Full> {
        let pushed = self.admit(lane, frame.len())?;
        self.append(lane, frame, spare);
        Ok(pushed)
    }

    /// Queues a large frame without copying it, now or when others come behind it.
    ///
    /// # Errors
    ///
    /// [`Full`] with the frame when a bound is reached.
    pub fn push_owned(&mut self, lane: Lane, frame: Vec<u8>) -> Result<Pushed, (Vec<u8>, Full)> {
        match self.admit(lane, frame.len()) {
            Ok(pushed) => {
                self.append_owned(lane, frame);
                Ok(pushed)
            }
            Err(full) => Err((frame, full)),
        }
    }

    /// Queues an answer to a request that the peer has made. Answers have no bound of their own, since dropping one would
    /// leave the asker waiting: the reader takes no further requests while the queue [is over](Self::is_over).
    pub fn push_answer(&mut self, lane: Lane, frame: &[u8], spare: impl FnOnce() -> Vec<u8>) -> Pushed {
        let was_empty = self.is_empty();
        self.load.add(frame.len());
        self.append(lane, frame, spare);
        Pushed { was_empty }
    }

    /// Queues a large answer without copying it; see [`push_answer`](Self::push_answer).
    pub fn push_owned_answer(&mut self, lane: Lane, frame: Vec<u8>) -> Pushed {
        let was_empty = self.is_empty();
        self.load.add(frame.len());
        self.append_owned(lane, frame);
        Pushed { was_empty }
    }

    /// Whether the queue is filled beyond its bounds, as answers may do, and also one oversized frame.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.load.items > self.bounds.max_items || self.load.bytes > self.bounds.max_bytes
    }

    /// Takes the next chunk to write: control first.
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        let next = self.control.pop_front().or_else(|| self.normal.pop_front())?;
        Some(next.chunk)
    }

    /// Reports that so much of what [`next_chunk`](Self::next_chunk) gave has left.
    ///
    /// # Panics
    ///
    /// Debug builds panic when more is reported than was taken.
    pub fn written(&mut self, frames: usize, bytes: usize) {
        self.load.remove(frames, bytes);
    }

    /// Frames and bytes that wait or are being written.
    #[must_use]
    pub fn load(&self) -> Load {
        self.load
    }

    /// Whether nothing waits to be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.control.is_empty() && self.normal.is_empty()
    }

    /// Whether one more normal frame of `bytes` would be taken.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.bounds.admit(self.load, bytes).is_ok()
    }

    /// Forgets everything that waits; returns how much that was. What is being written still counts until it is
    /// reported [written](Self::written).
    pub fn clear(&mut self) -> Load {
        let mut forgotten = Load::default();
        for Queued { chunk, .. } in self.control.drain(..).chain(self.normal.drain(..)) {
            forgotten.items += chunk.frames;
            forgotten.bytes += chunk.bytes.len();
        }
        self.load.remove(forgotten.items, forgotten.bytes);
        forgotten
    }

    fn admit(&mut self, lane: Lane, bytes: usize) -> Result<Pushed, Full> {
        if lane == Lane::Normal {
            self.bounds.admit(self.load, bytes)?;
        }
        let was_empty = self.is_empty();
        self.load.add(bytes);
        Ok(Pushed { was_empty })
    }

    #[inline]
    fn append(&mut self, lane: Lane, frame: &[u8], spare: impl FnOnce() -> Vec<u8>) {
        let chunks = self.lane(lane);
        match chunks.back_mut() {
            Some(Queued { chunk, open: true }) if chunk.bytes.len() + frame.len() <= CHUNK => {
                chunk.bytes.extend_from_slice(frame);
                chunk.frames += 1;
            }
            _ => {
                let mut bytes = spare();
                bytes.clear();
                bytes.extend_from_slice(frame);
                chunks.push_back(Queued {
                    chunk: Chunk { bytes, frames: 1 },
                    open: true,
                });
            }
        }
    }

    fn append_owned(&mut self, lane: Lane, frame: Vec<u8>) {
        self.lane(lane).push_back(Queued {
            chunk: Chunk {
                bytes: frame,
                frames: 1,
            },
            open: false,
        });
    }

    fn lane(&mut self, lane: Lane) -> &mut VecDeque<Queued> {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Normal => &mut self.normal,
        }
    }
}

#[cfg(test)]
#[path = "write_queue_tests.rs"]
mod tests;
