//! One direction of a connection, cut into frames without keeping what is large.

use std::mem;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use spark_rpc_wire::{Body, ForeignProtocol, Frame, FrameDecoder, FrameError, Message, MessageType};

use crate::direction::Direction;
use crate::watch::{Opaque, Watch};

/// A frame, or the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// Where the frame begins, counted from the first byte of its direction.
    pub offset: u64,
    /// How many bytes it has, its length field included.
    pub length: u64,
    /// The bytes behind the length field, as far as they were kept.
    #[serde(with = "crate::hex")]
    pub data: Bytes,
}

impl Excerpt {
    /// Returns how many bytes of the frame were not kept.
    pub fn missing(&self) -> u64 {
        self.length
            .saturating_sub(LENGTH_FIELD as u64 + self.data.len() as u64)
    }
}

/// What a [`Cutter`] finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A frame that has passed.
    Frame(Excerpt),
    /// A raw body behind a frame that has passed.
    Body {
        /// Where it begins.
        offset: u64,
        /// How many bytes it has.
        length: u64,
    },
    /// What follows cannot be read.
    Opaque {
        /// Where it begins.
        offset: u64,
        /// Why.
        why: Opaque,
    },
    /// The direction ended within a frame, a length field (then there is no data, and its length is 0) or a raw body.
    Cut {
        /// What there was of the frame; of a raw body only its place and length.
        excerpt: Excerpt,
        /// Whether it is a raw body.
        body: bool,
        /// How many bytes of it there were.
        arrived: u64,
    },
}

/// Cuts one direction of a connection into [`Piece`]s.
///
/// Of each frame the first bytes are kept, up to a limit; of raw bodies and chunks next to nothing. So it takes little
/// memory whatever passes, and no length is believed before its bytes are there.
///
/// # Examples
///
/// ```
/// use spark_rpc_inspect::{Cutter, Direction, Piece, Watch};
///
/// let mut cutter = Cutter::new(Direction::ToServer, 1024);
/// let mut found = Vec::new();
/// // A one-way message with the body "hi".
/// let bytes = [&[0, 0, 0, 0, 0, 0, 0, 15, 9, 0, 0, 0, 2][..], b"hi"].concat();
/// cutter.feed(&bytes, &mut Watch::new(), &mut |piece| found.push(piece));
/// assert!(matches!(&found[..], [Piece::Frame(excerpt)] if excerpt.length == 15));
/// ```
#[derive(Debug)]
pub struct Cutter {
    direction: Direction,
    keep: usize,
    phase: Phase,
    /// How many bytes have passed.
    offset: u64,
    first: bool,
}

#[derive(Debug)]
enum Phase {
    /// In a length field, of which so much has passed.
    Length {
        head: [u8; LENGTH_FIELD],
        held: usize,
    },
    Frame(Open),
    Body {
        begin: u64,
        length: u64,
        left: u64,
    },
    Opaque,
}

/// A frame that is passing.
#[derive(Debug)]
struct Open {
    begin: u64,
    length: u64,
    left: u64,
    kept: Vec<u8>,
}

const LENGTH_FIELD: usize = 8;

/// What is kept of a chunk: header and the first bytes of the block.
const KEPT_OF_CHUNK: usize = 64;

impl Cutter {
    /// Begins at the first byte of a direction; keeps at most `keep` bytes of a frame.
    pub fn new(direction: Direction, keep: usize) -> Self {
        Self {
            direction,
            keep,
            phase: START,
            offset: 0,
            first: true,
        }
    }

    /// Returns how many bytes have passed.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes the next bytes and hands out what has become whole with them.
    pub fn feed(&mut self, mut input: &[u8], watch: &mut Watch, out: &mut dyn FnMut(Piece)) {
        while !input.is_empty() {
            let before = input.len();
            match &mut self.phase {
                Phase::Opaque => input = &[],
                Phase::Length { held: 0, .. } if watch.encrypted().is_some() => {
                    self.give_up(self.offset, watch.encrypted().unwrap_or(Opaque::AuthEngine), out);
                    continue;
                }
                Phase::Length { head, held } => {
                    let (part, rest) = input.split_at(input.len().min(LENGTH_FIELD - *held));
                    head[*held..*held + part.len()].copy_from_slice(part);
                    *held += part.len();
                    input = rest;
                    let (head, held) = (*head, *held);
                    let begin = self.offset + part.len() as u64 - held as u64;
                    match length_of(&head[..held], self.first) {
                        Ok(None) => {}
                        Ok(Some(length)) => {
                            self.first = false;
                            self.phase = Phase::Frame(Open {
                                begin,
                                length,
                                left: length - LENGTH_FIELD as u64,
                                kept: Vec::new(),
                            });
                        }
                        Err(why) => self.give_up(begin, watch.suspicion().unwrap_or(why), out),
                    }
                }
                Phase::Frame(open) => {
                    let (part, rest) = split(input, open.left);
                    let keep = if open.kept.first().or(part.first()) == Some(&CHUNK) {
                        KEPT_OF_CHUNK.min(self.keep)
                    } else {
                        self.keep
                    };
                    let room = keep.saturating_sub(open.kept.len()).min(part.len());
                    open.kept.extend_from_slice(&part[..room]);
                    open.left -= part.len() as u64;
                    input = rest;
                    if open.left == 0 {
                        let open = mem::replace(open, Open::nothing());
                        self.end_frame(open, self.offset + (before - input.len()) as u64, watch, out);
                    }
                }
                Phase::Body { begin, length, left } => {
                    let (part, rest) = split(input, *left);
                    *left -= part.len() as u64;
                    input = rest;
                    if *left == 0 {
                        out(Piece::Body {
                            offset: *begin,
                            length: *length,
                        });
                        self.phase = START;
                    }
                }
            }
            self.offset += (before - input.len()) as u64;
        }
    }

    /// Ends the direction; hands out what was left in the middle.
    pub fn finish(&mut self, watch: &Watch, out: &mut dyn FnMut(Piece)) {
        let cut = |offset, length, data: Vec<u8>, body, arrived| Piece::Cut {
            excerpt: Excerpt {
                offset,
                length,
                data: data.into(),
            },
            body,
            arrived,
        };
        match mem::replace(&mut self.phase, Phase::Opaque) {
            Phase::Opaque | Phase::Length { held: 0, .. } => {}
            Phase::Length { held, .. } => {
                out(cut(self.offset - held as u64, 0, Vec::new(), false, held as u64));
            }
            Phase::Frame(open) => match watch.suspicion() {
                Some(why) if !is_plausible(&open) => out(Piece::Opaque {
                    offset: open.begin,
                    why,
                }),
                _ => {
                    let arrived = open.length - open.left;
                    out(cut(open.begin, open.length, open.kept, false, arrived));
                }
            },
            Phase::Body { begin, length, left } => out(cut(begin, length, Vec::new(), true, length - left)),
        }
    }

    fn end_frame(&mut self, open: Open, end: u64, watch: &mut Watch, out: &mut dyn FnMut(Piece)) {
        if let Some(why) = watch.suspicion()
            && !is_plausible(&open)
        {
            self.give_up(open.begin, why, out);
            return;
        }
        watch.frame(self.direction, &open.kept);
        let behind = body_behind(&open.kept);
        out(Piece::Frame(Excerpt {
            offset: open.begin,
            length: open.length,
            data: open.kept.into(),
        }));
        self.phase = match behind {
            0 => START,
            length => Phase::Body {
                begin: end,
                length,
                left: length,
            },
        };
    }

    fn give_up(&mut self, offset: u64, why: Opaque, out: &mut dyn FnMut(Piece)) {
        self.phase = Phase::Opaque;
        out(Piece::Opaque { offset, why });
    }
}

impl Open {
    fn nothing() -> Self {
        Self {
            begin: 0,
            length: 0,
            left: 0,
            kept: Vec::new(),
        }
    }
}

const START: Phase = Phase::Length {
    head: [0; LENGTH_FIELD],
    held: 0,
};

const CHUNK: u8 = MessageType::ChunkFetchSuccess.id() as u8;

fn split(input: &[u8], left: u64) -> (&[u8], &[u8]) {
    input.split_at(input.len().min(usize::try_from(left).unwrap_or(usize::MAX)))
}

/// What a length field says, as soon as it is whole or cannot be one.
fn length_of(head: &[u8], first: bool) -> Result<Option<u64>, Opaque> {
    if first && let Some(protocol) = ForeignProtocol::recognise(head) {
        return Err(Opaque::Foreign(protocol));
    }
    let Some(head) = head.first_chunk::<LENGTH_FIELD>() else {
        return Ok(None);
    };
    let announced = i64::from_be_bytes(*head).saturating_sub(LENGTH_FIELD as i64);
    let limit = FrameDecoder::LARGEST_FRAME;
    match u64::try_from(announced) {
        Ok(1..) if announced <= i64::from(limit) => Ok(Some(announced as u64 + LENGTH_FIELD as u64)),
        Ok(1..) => Err(Opaque::Broken(FrameError::FrameTooLong { announced, limit })),
        _ => Err(Opaque::Broken(FrameError::FrameLengthNotPositive { announced })),
    }
}

fn body_behind(kept: &[u8]) -> u64 {
    const STREAM: i8 = MessageType::StreamResponse.id();
    const UPLOAD: i8 = MessageType::UploadStream.id();
    match kept.first().map(|kind| *kind as i8) {
        Some(STREAM | UPLOAD) => Frame::from_body(Body::Borrowed(kept))
            .and_then(|frame| frame.decode().ok())
            .map_or(0, |message| Message::body_behind(&message)),
        _ => 0,
    }
}

/// Whether a frame behind a handshake is one, or only looks so because cipher records have lengths too. Of a frame that
/// anybody really wrote, the lengths inside agree with the one in front.
fn is_plausible(open: &Open) -> bool {
    let Some((kind, header)) = open.kept.split_first() else {
        return false;
    };
    let Some(kind) = MessageType::from_id(*kind as i8) else {
        return false;
    };
    let number = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(<[u8]>::first_chunk);
        bytes.map(|bytes| i64::from(i32::from_be_bytes(*bytes)))
    };
    // What follows the type byte.
    let rest = (open.length - LENGTH_FIELD as u64 - 1) as i64;
    match kind {
        MessageType::ChunkFetchRequest => rest == 12,
        MessageType::ChunkFetchSuccess => rest >= 12,
        MessageType::ChunkFetchFailure => number(12) == Some(rest - 16),
        MessageType::RpcRequest | MessageType::RpcResponse | MessageType::RpcFailure => {
            number(8) == Some(rest - 12)
        }
        MessageType::StreamRequest | MessageType::OneWayMessage => number(0) == Some(rest - 4),
        MessageType::StreamResponse => number(0) == Some(rest - 12),
        MessageType::StreamFailure => number(0).is_some_and(|name| (0..rest).contains(&name)),
        MessageType::UploadStream => number(8) == Some(rest - 20),
        MessageType::MergedBlockMetaRequest => number(8).is_some_and(|id| (0..rest).contains(&id)),
        MessageType::MergedBlockMetaSuccess => rest >= 12,
    }
}
