//! One plain function for each way in which strangers' bytes come here, for fuzzers: any input, no panic, little output.
//!
//! The functions check what must hold whatever comes in, and panic if it does not.

use bytes::Bytes;
use spark_rpc_javaobj::Limits;

use crate::cutter::{Cutter, Piece};
use crate::direction::Direction;
use crate::input::{decode, unhex};
use crate::printable::Bounds;
use crate::story::Style;
use crate::watch::Watch;

/// One of the functions.
pub type Target = fn(&[u8]);

/// All functions, with their names.
pub const TARGETS: [(&str, Target); 5] = [
    ("input", input),
    ("java", java),
    ("reply", reply),
    ("recording", recording),
    ("pieces", pieces),
];

/// Whatever `spark-rpc decode` is given.
pub fn input(bytes: &[u8]) {
    if let Ok(bytes) = unhex(Bytes::copy_from_slice(bytes)) {
        tell(&bytes);
    }
}

/// A Java object stream, of which the bytes lack the beginning that all have.
pub fn java(bytes: &[u8]) {
    tell(&[JAVA, bytes].concat().into());
}

/// The same in the answer to a request.
pub fn reply(bytes: &[u8]) {
    const HEADER: &[u8] = b"\x04\0\0\0\0\0\0\0\x01\0\0\0\0";
    let length = 8 + HEADER.len() + JAVA.len() + bytes.len();
    let begin = (length as u64).to_be_bytes();
    tell(&[&begin[..], HEADER, JAVA, bytes].concat().into());
}

/// A recording, of which the bytes lack the first line.
pub fn recording(bytes: &[u8]) {
    tell(
        &[b"{\"spark-rpc-recording\":1,\"to\":\"x\"}\n", bytes]
            .concat()
            .into(),
    );
}

/// A direction of a connection that comes in pieces, as long as the first byte says: the same is found in it.
pub fn pieces(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else {
        return;
    };
    let whole = cut(bytes, usize::MAX);
    assert_eq!(cut(bytes, usize::from(*size) + 1), whole);
}

fn cut(bytes: &[u8], size: usize) -> Vec<Piece> {
    const KEEP: usize = 100;
    let mut found = Vec::new();
    let mut cutter = Cutter::new(Direction::ToServer, KEEP);
    let mut watch = Watch::alone();
    for piece in bytes.chunks(size) {
        cutter.feed(piece, &mut watch, &mut |piece| found.push(piece));
    }
    cutter.finish(&watch, &mut |piece| found.push(piece));
    assert_eq!(cutter.offset(), bytes.len() as u64);
    for piece in &found {
        if let Piece::Frame(excerpt) | Piece::Cut { excerpt, .. } = piece {
            assert!(excerpt.data.len() <= KEEP);
        }
    }
    found
}

/// Tells what bytes mean, in all the ways there are.
fn tell(bytes: &Bytes) {
    for json in [false, true] {
        for bounds in [Bounds::BRIEF, Bounds::FULL] {
            let style = Style {
                json,
                bounds,
                limits: LIMITS,
                ..Style::default()
            };
            decode(bytes, style, &mut |told| {
                if !json {
                    let text = told.head.chars().chain(told.details.chars());
                    let mut steering = text.filter(|char| char.is_control() && *char != '\n');
                    assert_eq!(steering.next(), None, "{}", told.details);
                }
                let length = told.head.len() + told.details.len();
                if bounds == Bounds::BRIEF {
                    let most = MOST_TOLD + 10 * bytes.len();
                    assert!(length <= most, "{} bytes are told by {length}", bytes.len());
                }
            });
        }
    }
}

const JAVA: &[u8] = b"\xac\xed\0\x05";
/// What one frame may take in a terminal or a line of JSON, beside what it has in headers.
const MOST_TOLD: usize = 8 << 20;
const LIMITS: Limits = Limits {
    depth: 128,
    handles: 10_000,
    string_bytes: 1 << 20,
    array_elements: 1 << 20,
    memory: 16 << 20,
};
