//! Cuts a stream of bytes into frames and the raw bodies that follow some of them.

use std::{fmt, mem};

use bytes::{BufMut, buf::Limit};

use crate::{Body, ForeignProtocol, Frame, FrameError, LARGEST_FRAME, LENGTH_FIELD, Recycler, body::Brief};

/// Incremental frame decoder (Spark's `TransportFrameDecoder`).
///
/// Bytes go in as they come from the socket, in pieces of any size; [`Event`]s come out. One read may hold many
/// frames and one frame may take many reads:
///
/// ```
/// # use spark_rpc_wire::{Event, FrameDecoder, FrameError};
/// # fn read() -> Vec<u8> { Vec::new() }
/// # fn run() -> Result<(), FrameError> {
/// let mut decoder = FrameDecoder::new(FrameDecoder::DEFAULT_MAX_FRAME);
/// let bytes = read();
/// let mut input = &bytes[..];
/// while let Some(event) = decoder.next(&mut input)? {
///     // decode the frame, or pass the piece of a body on
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Memory
///
/// A frame that lies wholly in the input is borrowed from there. One that spans reads is collected in a buffer which
/// grows with the bytes that have really arrived, to at most twice as many, whatever length was announced, and never
/// beyond the frame's end. A collected frame of 16 KiB or more leaves with that buffer as [`Body::Owned`]; a smaller
/// one is borrowed from it until the next call, and the buffer serves the next frame. A decoder with nothing to wait
/// for keeps no more than 512 bytes once `next` has returned `None`. Several decoders may [share](Self::recycling)
/// memory that they have used before; of that, a frame may get as much as it announces.
///
/// # Bulk data
///
/// A reader need not pass large frames through a buffer of its own: while much of a frame or raw body is still missing,
/// [`read_space`](Self::read_space) lends room in the decoder's. The reader fills some of it and calls `next`
/// with an empty input.
///
/// # Differences from Spark
///
/// There is a limit on frames that a peer can be held to; in Spark only 2³¹ − 2 bytes. A length field of 7 is refused
/// as not positive; Spark drops such a field without a word, because −1 is how its decoder says "no length yet".
/// Foreign protocols are told by name. After an error the decoder stays failed and repeats the error.
pub struct FrameDecoder {
    phase: Phase,
    /// The first bytes of a length field that is not whole yet.
    head: [u8; LENGTH_FIELD],
    head_len: usize,
    /// The first bytes of a frame that is not whole yet, or bytes of a raw body that were read directly.
    buffer: Vec<u8>,
    /// The bytes in `buffer` have been handed out; the next call drops them.
    lent: bool,
    /// The last call of `next` returned a frame, and nothing happened since.
    after_frame: bool,
    /// No length field has been accepted so far, so the peer may be speaking another protocol.
    first: bool,
    max_frame: u32,
    /// Where large buffers come from and go to.
    recycler: Recycler,
}

/// What the decoder found in its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole frame.
    Frame(Frame<'a>),
    /// A piece of the raw body that was [expected](FrameDecoder::expect_body). Never empty.
    Body {
        /// The piece.
        data: Body<'a>,
        /// How many bytes of the body are still to come; with 0 the body is complete.
        remaining: u64,
    },
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// At a frame's beginning or in its length field.
    Length,
    /// In a frame with this many bytes after the length field.
    Frame(usize),
    /// In a raw body with so many bytes left, those in the buffer included.
    Body(u64),
    Failed(FrameError),
}

impl FrameDecoder {
    /// The limit on frames to use when there is no reason for another: 256 MiB.
    ///
    /// Twice the default of Spark's `spark.rpc.message.maxSize`, the largest message a Spark scheduler sends. Larger
    /// blocks travel as streams.
    pub const DEFAULT_MAX_FRAME: u32 = 256 << 20;

    /// The largest limit there can be: [`crate::LARGEST_FRAME`].
    pub const LARGEST_FRAME: u32 = LARGEST_FRAME;

    /// Collected frames of at least this many bytes leave with their buffer.
    const OWNED_FROM: usize = 16 << 10;
    /// Reading directly is worth while when more than this many bytes are missing.
    const DIRECT_FROM: usize = 64 << 10;
    /// The most room lent for a raw body, of which only the announced length is known.
    const DIRECT_MOST: usize = 1 << 20;
    /// A buffer begins with this many bytes, unless the frame is shorter.
    const LEAST: usize = 256;
    /// An idle decoder keeps a buffer of at most this many bytes.
    const KEPT: usize = 512;

    /// Starts at a connection's first byte. Frames may have up to `max_frame` bytes after the length field; more than
    /// [`LARGEST_FRAME`] is taken as that.
    pub fn new(max_frame: u32) -> FrameDecoder {
        FrameDecoder {
            phase: Phase::Length,
            head: [0; LENGTH_FIELD],
            head_len: 0,
            buffer: Vec::new(),
            lent: false,
            after_frame: false,
            first: true,
            max_frame: max_frame.min(LARGEST_FRAME),
            recycler: Recycler::default(),
        }
    }

    /// Takes large buffers from `recycler` where it has some, and hands data out in such that go back there. A new decoder
    /// keeps no buffer that nobody uses.
    #[must_use]
    pub fn recycling(mut self, recycler: Recycler) -> FrameDecoder {
        self.recycler = recycler;
        self
    }

    /// Takes bytes from the front of `input` and returns the next event, or `None` when `input` is used up.
    ///
    /// # Errors
    ///
    /// Returns a [`FrameError`] as soon as a length field cannot be right, before anything is stored for its frame, and
    /// the same one ever after.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Event<'a>>, FrameError> {
        self.after_frame = false;
        self.take_back();
        loop {
            match self.phase {
                Phase::Length => match self.take_length(input)? {
                    Some(length) => self.phase = Phase::Frame(length),
                    None => return Ok(None),
                },
                Phase::Frame(length) => {
                    let data = if self.buffer.is_empty()
                        && let Some((data, rest)) = input.split_at_checked(length)
                    {
                        *input = rest;
                        Body::Borrowed(data)
                    } else if !self.collect(length, input) {
                        return Ok(None);
                    } else if length >= Self::OWNED_FROM {
                        Body::Owned(self.recycler.share(mem::take(&mut self.buffer)))
                    } else {
                        self.lent = true;
                        Body::Borrowed(&self.buffer)
                    };
                    self.phase = Phase::Length;
                    self.after_frame = true;
                    return Ok(Some(Event::Frame(Frame::new(data))));
                }
                Phase::Body(expected) => {
                    let data = if !self.buffer.is_empty() {
                        // Bytes that hardly fill their buffer do not take it along: whoever keeps them would keep it.
                        if self.buffer.len() >= self.buffer.capacity() / 2 {
                            Body::Owned(self.recycler.share(mem::take(&mut self.buffer)))
                        } else {
                            self.lent = true;
                            Body::Borrowed(&self.buffer)
                        }
                    } else if !input.is_empty() {
                        let (data, rest) = input.split_at(input.len().min(saturating_usize(expected)));
                        *input = rest;
                        Body::Borrowed(data)
                    } else {
                        return Ok(None);
                    };
                    let remaining = expected - data.len() as u64;
                    self.phase = if remaining == 0 {
                        Phase::Length
                    } else {
                        Phase::Body(remaining)
                    };
                    return Ok(Some(Event::Body { data, remaining }));
                }
                Phase::Failed(error) => return Err(error),
            }
        }
    }

    /// From now on, exactly `count` raw bytes follow the frame just returned: the body of a `StreamResponse` or
    /// `UploadStream` (Spark's stream interceptor). With 0, nothing changes.
    ///
    /// # Errors
    ///
    /// Returns [`FrameError::BodyAlreadyExpected`] if a body is already expected, and
    /// [`FrameError::BodyWithoutFrame`] if the last call of [`next`](Self::next) returned no frame. Either
    /// leaves the decoder failed, since the caller has lost its place in the stream.
    pub fn expect_body(&mut self, count: u64) -> Result<(), FrameError> {
        match self.phase {
            Phase::Failed(error) => Err(error),
            Phase::Body(_) => Err(self.fail(FrameError::BodyAlreadyExpected)),
            Phase::Length if self.after_frame => {
                if count > 0 {
                    self.phase = Phase::Body(count);
                }
                Ok(())
            }
            Phase::Length | Phase::Frame(_) => Err(self.fail(FrameError::BodyWithoutFrame)),
        }
    }

    /// Lends room for up to `at_most` bytes of the current frame or raw body, to be read into directly.
    ///
    /// Returns `None` unless more than 64 KiB are missing; the caller then reads into a buffer of its own. It must have
    /// given the decoder everything it had read before. Whatever is written counts as received, and the next call of
    /// [`next`](Self::next) looks at it, before its input; an empty input will do. The room never reaches
    /// beyond the frame or body. For a frame it is at most as large as what has arrived of it, or 64 KiB; for a raw body
    /// at most 1 MiB. It is real memory, so ask for it when there is something to read.
    ///
    /// The result works with `tokio`'s `read_buf` and `try_read_buf`. It must only be written to, as [`BufMut`] allows;
    /// the vector inside belongs to the decoder, which panics if it finds bytes there that it made no room for.
    pub fn read_space(&mut self, at_most: usize) -> Option<Limit<&mut Vec<u8>>> {
        let expected = match self.phase {
            Phase::Frame(length) => length,
            Phase::Body(expected) => saturating_usize(expected),
            Phase::Length | Phase::Failed(_) => return None,
        };
        self.take_back();
        let held = self.buffer.len();
        let missing = expected - held;
        if missing <= Self::DIRECT_FROM || at_most == 0 {
            return None;
        }
        let mut room = at_most.min(missing);
        if let Phase::Frame(length) = self.phase {
            // Memory that is there already need not be earned.
            room = room.min((self.buffer.capacity() - held).max(held).max(Self::DIRECT_FROM));
            self.make_room(length, room);
        } else {
            room = room.min(Self::DIRECT_MOST);
            if self.buffer.capacity() < room {
                self.renew(room);
            }
            self.buffer.reserve_exact(room);
        }
        Some((&mut self.buffer).limit(room))
    }

    /// Tells whether the decoder is at a frame boundary with nothing buffered: the only place where a peer may stop.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Length) && self.head_len == 0
    }

    /// Returns how many received bytes of an unfinished frame are held.
    pub fn buffered(&self) -> usize {
        self.head_len + if self.lent { 0 } else { self.buffer.len() }
    }

    /// Returns how many bytes of memory the decoder's buffer takes.
    ///
    /// At most twice what is [`buffered`](Self::buffered) or 16 KiB, whichever is more, plus what
    /// [`read_space`](Self::read_space) lent.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Returns how many more bytes complete the current frame or raw body, if that is known.
    pub fn wanted(&self) -> Option<usize> {
        let held = if self.lent { 0 } else { self.buffer.len() };
        match self.phase {
            Phase::Frame(length) => Some(length - held),
            Phase::Body(expected) => Some(saturating_usize(expected) - held),
            Phase::Length | Phase::Failed(_) => None,
        }
    }

    /// Drops the bytes that the last event borrowed.
    #[inline]
    fn take_back(&mut self) {
        if self.lent {
            self.lent = false;
            self.buffer.clear();
        }
    }

    /// Takes a length field, or what there is of it.
    #[inline]
    fn take_length(&mut self, input: &mut &[u8]) -> Result<Option<usize>, FrameError> {
        if self.head_len == 0
            && let Some((head, rest)) = input.split_first_chunk::<LENGTH_FIELD>()
        {
            *input = rest;
            return self.accept(*head).map(Some);
        }
        self.take_part_of_length(input)
    }

    fn take_part_of_length(&mut self, input: &mut &[u8]) -> Result<Option<usize>, FrameError> {
        let (part, rest) = input.split_at(input.len().min(LENGTH_FIELD - self.head_len));
        *input = rest;
        self.head[self.head_len..self.head_len + part.len()].copy_from_slice(part);
        self.head_len += part.len();
        if self.head_len == LENGTH_FIELD {
            self.head_len = 0;
            return self.accept(self.head).map(Some);
        }
        if self.first
            && let Some(protocol) = ForeignProtocol::recognise(&self.head[..self.head_len])
        {
            return Err(self.fail(FrameError::ForeignProtocol { protocol }));
        }
        if self.head_len == 0 && self.buffer.capacity() > Self::KEPT {
            self.recycler.give_back(mem::take(&mut self.buffer));
        }
        Ok(None)
    }

    /// Makes a frame's length of its length field.
    #[inline]
    fn accept(&mut self, head: [u8; LENGTH_FIELD]) -> Result<usize, FrameError> {
        let announced = i64::from_be_bytes(head).saturating_sub(LENGTH_FIELD as i64);
        match u32::try_from(announced) {
            Ok(length) if (1..=self.max_frame).contains(&length) => {
                self.first = false;
                Ok(length as usize)
            }
            _ => Err(self.refuse(head, announced)),
        }
    }

    #[cold]
    fn refuse(&mut self, head: [u8; LENGTH_FIELD], announced: i64) -> FrameError {
        let foreign = if self.first {
            ForeignProtocol::recognise(&head)
        } else {
            None
        };
        self.fail(match foreign {
            Some(protocol) => FrameError::ForeignProtocol { protocol },
            None if announced <= 0 => FrameError::FrameLengthNotPositive { announced },
            None => FrameError::FrameTooLong {
                announced,
                limit: self.max_frame,
            },
        })
    }

    /// Moves what belongs to the frame from `input` to the buffer; tells whether the frame is whole.
    fn collect(&mut self, length: usize, input: &mut &[u8]) -> bool {
        if self.buffer.is_empty() && length >= Self::OWNED_FROM && self.buffer.capacity() < length {
            self.renew(length);
        } else if self.buffer.is_empty()
            && self.buffer.capacity() > length.max(Self::OWNED_FROM).saturating_mul(2)
        {
            // Room that was lent for a raw body. A frame that leaves with its buffer must not take that along.
            self.recycler.give_back(mem::take(&mut self.buffer));
        }
        let missing = length - self.buffer.len();
        let (part, rest) = input.split_at(input.len().min(missing));
        *input = rest;
        self.make_room(length, part.len());
        self.buffer.extend_from_slice(part);
        part.len() == missing
    }

    /// Makes room for `more` bytes of a frame. Doubles, so that a frame in many pieces is not copied for each of them, but
    /// never goes beyond the frame's end.
    fn make_room(&mut self, length: usize, more: usize) {
        let held = self.buffer.len();
        if self.buffer.capacity() - held < more {
            let doubled = self.buffer.capacity().saturating_mul(2).max(Self::LEAST);
            let capacity = doubled.max(held + more).min(length);
            self.buffer.reserve_exact(capacity - held);
        }
    }

    /// Puts a buffer for `length` bytes in the place of the empty one, if the recycler has one.
    fn renew(&mut self, length: usize) {
        if let Some(buffer) = self.recycler.lend(length) {
            self.recycler.give_back(mem::replace(&mut self.buffer, buffer));
        }
    }

    #[cold]
    fn fail(&mut self, error: FrameError) -> FrameError {
        self.phase = Phase::Failed(error);
        self.buffer = Vec::new();
        self.lent = false;
        self.head_len = 0;
        error
    }
}

impl fmt::Debug for FrameDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameDecoder")
            .field("phase", &self.phase)
            .field("head", &Brief(&self.head[..self.head_len]))
            .field("buffer", &Brief(&self.buffer))
            .field("capacity", &self.buffer.capacity())
            .field("max_frame", &self.max_frame)
            .finish_non_exhaustive()
    }
}

/// A count of bytes to come, as far as one piece of memory could hold them.
fn saturating_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
