//! What the tests of whole byte streams share.

#![allow(dead_code, reason = "not every test binary uses everything")]

use spark_rpc_wire::{Event, FrameDecoder, FrameError};

/// What came out of a decoder, with the pieces of one raw body joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// The bytes after the length field.
    Frame(Vec<u8>),
    /// A whole raw body.
    Body(Vec<u8>),
}

/// Feeds pieces to a decoder and expects raw bodies where messages announce them.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) decoder: FrameDecoder,
    pub(crate) items: Vec<Item>,
    body: Vec<u8>,
}

impl Receiver {
    pub(crate) fn new() -> Receiver {
        let decoder = FrameDecoder::new(FrameDecoder::LARGEST_FRAME);
        Receiver {
            decoder,
            items: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Takes everything that `piece` completes.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<(), FrameError> {
        let mut input = piece;
        loop {
            let mut count = 0;
            match self.decoder.next(&mut input)? {
                Some(Event::Frame(frame)) => {
                    self.items.push(Item::Frame(frame.as_bytes().to_vec()));
                    count = frame.decode().map_or(0, |message| message.body_behind());
                }
                Some(Event::Body { data, remaining }) => {
                    assert!(!data.is_empty(), "pieces of bodies are never empty");
                    self.body.extend_from_slice(&data);
                    if remaining == 0 {
                        self.items.push(Item::Body(std::mem::take(&mut self.body)));
                    }
                }
                None => {
                    assert!(input.is_empty(), "None means that the input is used up");
                    return Ok(());
                }
            }
            if count > 0 {
                self.decoder.expect_body(count)?;
            }
        }
    }
}

/// Cuts `bytes` into pieces of the given sizes, used over and over.
pub(crate) fn pieces<'a>(bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, behind) = rest.split_at((*sizes.next()?).clamp(1, rest.len()));
        rest = behind;
        Some(piece)
    })
}

/// Numbers that look random and are the same in each run.
#[derive(Debug)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new() -> Numbers {
        Numbers(0x9e37_79b9_7f4a_7c15)
    }

    /// A number in `from..to`.
    pub(crate) fn between(&mut self, from: usize, to: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        from + self.0 as usize % (to - from)
    }
}
