//! What waits for the socket.

use std::collections::VecDeque;

use crate::bounds::{Bounds, Full, Lane, Load};

/// Encoded frames and bulk bodies that wait for the socket of one connection, control frames first.
///
/// Small frames are gathered in chunks of about [`CHUNK`] bytes, so that one system call carries many of them; a large
/// frame is a chunk of its own and is not copied. The writer takes one [`Next`] at a time, and between two of them the
/// control lane goes first: a control frame waits for one chunk or one bulk body at the most.
///
/// Bulk bodies, of a type `B` that only the owner knows, have a lane of their own and keep their order there. Frames go
/// before them, since those are small and bodies are large, but after [`PASSING`] bytes of frames one body has its turn:
/// neither lane starves the other. Nothing is said about the order between a frame and a body.
///
/// Bytes count against the [`Bounds`] until they are reported [written](Self::written). A body counts with the weight
/// that its owner states: the memory that it holds, which for a file is next to nothing.
///
/// Answers to the peer's requests are never refused, and are counted for themselves, too: the queue [is
/// over](Self::is_over) its bounds when they alone exceed them. Whatever else waits does not count there. A side that
/// stops reading because it has much to say meets another one that does the same, and neither is heard.
#[derive(Debug)]
pub struct WriteQueue<B> {
    control: VecDeque<Queued>,
    normal: VecDeque<Queued>,
    bulk: VecDeque<Body<B>>,
    /// Bytes of normal frames that have gone before the body that waits longest.
    passed: usize,
    bounds: Bounds,
    load: Load,
    /// What of it waits in the control lane.
    control_load: Load,
    /// What of it answers requests.
    answers: Load,
    /// What has been taken and is being written.
    taken: Load,
    taken_answers: Load,
}

/// What goes to the socket next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<B> {
    /// Encoded frames.
    Chunk(Chunk),
    /// One bulk body.
    Bulk(Weighed<B>),
}

/// A bulk body and what it counts in the queue.
#[derive(Debug, PartialEq, Eq)]
pub struct Weighed<B> {
    /// What it counts against the bound by bytes.
    pub weight: usize,
    /// The body, with whatever else belongs to it.
    pub body: B,
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
    /// What of it answers requests.
    answers: Load,
    /// Whether more frames may be gathered in it.
    open: bool,
}

#[derive(Debug)]
struct Body<B> {
    weighed: Weighed<B>,
    is_answer: bool,
}

/// A frame has been queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Whether nothing waited before, so that a sleeping writer should be woken.
    pub was_empty: bool,
}

/// A chunk that has reached this many bytes takes no further frame.
pub const CHUNK: usize = 64 * 1024;

/// So many bytes of frames may go before a bulk body that waits.
pub const PASSING: usize = 1024 * 1024;

impl<B> WriteQueue<B> {
    /// Makes an empty queue.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            control: VecDeque::new(),
            normal: VecDeque::new(),
            bulk: VecDeque::new(),
            passed: 0,
            bounds,
            load: Load::default(),
            control_load: Load::default(),
            answers: Load::default(),
            taken: Load::default(),
            taken_answers: Load::default(),
        }
    }

    /// Copies `frame` behind what waits in its lane. `spare` supplies a buffer when a new chunk begins; what it still
    /// contains is thrown away.
    ///
    /// # Errors
    ///
    /// [`Full`] when a bound is reached; nothing has been queued then. What waits in the control lane has as much room
    /// again, so that a flood of other frames cannot keep control traffic out.
    #[inline]
    pub fn push(
        &mut self,
        lane: Lane,
        frame: &[u8],
        spare: impl FnOnce() -> Vec<u8>,
    ) -> Result<Pushed, Full> {
        let pushed = self.admit(lane, frame.len())?;
        self.append(lane, frame, false, spare);
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
                self.append_owned(lane, frame, false);
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
        self.answers.add(frame.len());
        self.append(lane, frame, true, spare);
        Pushed { was_empty }
    }

    /// Queues a large answer without copying it; see [`push_answer`](Self::push_answer).
    pub fn push_owned_answer(&mut self, lane: Lane, frame: Vec<u8>) -> Pushed {
        let was_empty = self.is_empty();
        self.load.add(frame.len());
        self.answers.add(frame.len());
        self.append_owned(lane, frame, true);
        Pushed { was_empty }
    }

    /// Queues a bulk body that counts as one item of `weight` bytes.
    ///
    /// # Errors
    ///
    /// [`Full`] with the body when a bound is reached.
    pub fn push_bulk(&mut self, weight: usize, body: B) -> Result<Pushed, (B, Full)> {
        match self.bounds.admit(self.load, weight) {
            Ok(()) => Ok(self.append_bulk(weight, body, false)),
            Err(full) => Err((body, full)),
        }
    }

    /// Queues a bulk body that answers a request; see [`push_answer`](Self::push_answer).
    pub fn push_bulk_answer(&mut self, weight: usize, body: B) -> Pushed {
        self.append_bulk(weight, body, true)
    }

    /// Whether answers that wait or are being written exceed the bounds, which nothing but the reader can prevent.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.answers.items > self.bounds.max_items || self.answers.bytes > self.bounds.max_bytes
    }

    /// Takes what is to be written next: control first.
    pub fn next_write(&mut self) -> Option<Next<B>> {
        if let Some(queued) = self.control.pop_front() {
            let chunk = &queued.chunk;
            self.control_load.remove(chunk.frames, chunk.bytes.len());
            return Some(self.take_chunk(queued));
        }
        if self.passed < PASSING
            && let Some(queued) = self.normal.pop_front()
        {
            if !self.bulk.is_empty() {
                self.passed += queued.chunk.bytes.len();
            }
            return Some(self.take_chunk(queued));
        }
        self.passed = 0;
        if let Some(body) = self.take_body() {
            return Some(Next::Bulk(body));
        }
        let queued = self.normal.pop_front()?;
        Some(self.take_chunk(queued))
    }

    /// Takes one more bulk body to be written together with the last one, if no frame waits and `fits` says so.
    pub fn next_bulk_if(&mut self, fits: impl FnOnce(&B) -> bool) -> Option<Weighed<B>> {
        if !self.control.is_empty() || !self.normal.is_empty() || !fits(&self.bulk.front()?.weighed.body) {
            return None;
        }
        self.passed = 0;
        self.take_body()
    }

    /// Reports that so much of what was taken has left; a body counts as one frame of its weight. Answers among it count
    /// until all that was taken has left.
    ///
    /// # Panics
    ///
    /// Debug builds panic when more is reported than was taken.
    pub fn written(&mut self, frames: usize, bytes: usize) {
        self.load.remove(frames, bytes);
        self.taken.remove(frames, bytes);
        if self.taken.items == 0 {
            let answers = std::mem::take(&mut self.taken_answers);
            self.answers.remove(answers.items, answers.bytes);
        }
    }

    /// Frames and bytes that wait or are being written.
    #[must_use]
    pub fn load(&self) -> Load {
        self.load
    }

    /// Whether nothing waits to be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.control.is_empty() && self.normal.is_empty() && self.bulk.is_empty()
    }

    /// Whether one more frame of `bytes` would be taken, whatever its lane.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let fits = |load| self.bounds.admit(load, bytes).is_ok();
        fits(self.load) && fits(self.control_load)
    }

    /// Forgets everything that waits; returns how much that was, and the bodies, for the owner to drop. What is being
    /// written still counts until it is reported [written](Self::written).
    pub fn clear(&mut self) -> (Load, impl Iterator<Item = B> + use<B>) {
        let mut forgotten = Load::default();
        let bodies = std::mem::take(&mut self.bulk);
        self.passed = 0;
        for Body { weighed, .. } in &bodies {
            forgotten.items += 1;
            forgotten.bytes += weighed.weight;
        }
        for Queued { chunk, .. } in self.control.drain(..).chain(self.normal.drain(..)) {
            forgotten.items += chunk.frames;
            forgotten.bytes += chunk.bytes.len();
        }
        self.load.remove(forgotten.items, forgotten.bytes);
        self.control_load = Load::default();
        self.answers = self.taken_answers;
        (forgotten, bodies.into_iter().map(|body| body.weighed.body))
    }

    fn take_chunk(&mut self, queued: Queued) -> Next<B> {
        let Queued { chunk, answers, .. } = queued;
        self.taken.items += chunk.frames;
        self.taken.bytes += chunk.bytes.len();
        self.taken_answers.items += answers.items;
        self.taken_answers.bytes += answers.bytes;
        Next::Chunk(chunk)
    }

    fn take_body(&mut self) -> Option<Weighed<B>> {
        let Body { weighed, is_answer } = self.bulk.pop_front()?;
        self.taken.add(weighed.weight);
        if is_answer {
            self.taken_answers.add(weighed.weight);
        }
        Some(weighed)
    }

    fn admit(&mut self, lane: Lane, bytes: usize) -> Result<Pushed, Full> {
        let held = match lane {
            Lane::Control => self.control_load,
            Lane::Normal => self.load,
        };
        self.bounds.admit(held, bytes)?;
        let was_empty = self.is_empty();
        self.load.add(bytes);
        Ok(Pushed { was_empty })
    }

    #[inline]
    fn append(&mut self, lane: Lane, frame: &[u8], is_answer: bool, spare: impl FnOnce() -> Vec<u8>) {
        let chunks = self.lane(lane, frame.len());
        let queued = match chunks.back_mut() {
            Some(queued) if queued.open && queued.chunk.bytes.len() + frame.len() <= CHUNK => queued,
            _ => {
                let mut bytes = spare();
                bytes.clear();
                chunks.push_back(Queued {
                    chunk: Chunk { bytes, frames: 0 },
                    answers: Load::default(),
                    open: true,
                });
                chunks.back_mut().expect("just pushed")
            }
        };
        queued.chunk.bytes.extend_from_slice(frame);
        queued.chunk.frames += 1;
        if is_answer {
            queued.answers.add(frame.len());
        }
    }

    fn append_owned(&mut self, lane: Lane, frame: Vec<u8>, is_answer: bool) {
        let mut answers = Load::default();
        if is_answer {
            answers.add(frame.len());
        }
        self.lane(lane, frame.len()).push_back(Queued {
            chunk: Chunk {
                bytes: frame,
                frames: 1,
            },
            answers,
            open: false,
        });
    }

    fn append_bulk(&mut self, weight: usize, body: B, is_answer: bool) -> Pushed {
        let was_empty = self.is_empty();
        let weight = self.load.add(weight);
        if is_answer {
            self.answers.add(weight);
        }
        let weighed = Weighed { weight, body };
        self.bulk.push_back(Body { weighed, is_answer });
        Pushed { was_empty }
    }

    /// The lane, for one more frame of `bytes`.
    #[inline]
    fn lane(&mut self, lane: Lane, bytes: usize) -> &mut VecDeque<Queued> {
        match lane {
            Lane::Control => {
                self.control_load.add(bytes);
                &mut self.control
            }
            Lane::Normal => &mut self.normal,
        }
    }
}

#[cfg(test)]
#[path = "write_queue_tests.rs"]
mod tests;
