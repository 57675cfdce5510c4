//! A stream of bytes in pieces of any size: the same comes out however it is split, and memory stays bounded.

#![no_main]

use bytes::BufMut;
use libfuzzer_sys::fuzz_target;
use spark_rpc_wire::{Event, FrameDecoder, FrameError};

/// What came out of a decoder.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    frames: Vec<Vec<u8>>,
    /// All raw bodies, joined.
    bodies: Vec<u8>,
    error: Option<FrameError>,
}

/// Feeds `stream` in pieces; with `direct`, through the decoder's own room where it offers some.
fn run(stream: &[u8], mut sizes: impl Iterator<Item = usize>, max_frame: u32, direct: bool) -> Outcome {
    let mut decoder = FrameDecoder::new(max_frame);
    let mut outcome = Outcome::default();
    let mut rest = stream;
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(usize::MAX).clamp(1, rest.len());
        let (mut input, behind) = rest.split_at(size);
        rest = behind;
        if direct && let Some(mut space) = decoder.read_space(size) {
            let (piece, behind) = input.split_at(input.len().min(space.remaining_mut()));
            space.put_slice(piece);
            input = behind;
        }
        loop {
            let count = match decoder.next(&mut input) {
                Ok(Some(Event::Frame(frame))) => {
                    outcome.frames.push(frame.as_bytes().to_vec());
                    match frame.decode() {
                        Ok(message) => {
                            let mut written = Vec::new();
                            message
                                .encode(&mut written)
                                .expect("what came in one frame goes into one");
                            assert_eq!(written.len() as u64, message.encoded_len());
                            message.body_behind()
                        }
                        Err(_) => 0,
                    }
                }
                Ok(Some(Event::Body { data, .. })) => {
                    assert!(!data.is_empty());
                    outcome.bodies.extend_from_slice(&data);
                    0
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(
                        decoder.next(&mut &[][..]),
                        Err(error),
                        "a failed decoder stays failed"
                    );
                    outcome.error = Some(error);
                    return outcome;
                }
            };
            if count > 0 {
                decoder.expect_body(count).expect("a frame was just returned");
            }
        }
        assert!(input.is_empty());
        assert!(decoder.buffered() <= stream.len());
        assert!(direct || decoder.capacity() <= (2 * decoder.buffered() + 512).max(16 << 10));
    }
    outcome
}

fuzz_target!(|input: (Vec<u8>, Vec<u16>, u32)| {
    let (stream, sizes, max_frame) = input;
    let sizes = || sizes.iter().map(|size| usize::from(*size));
    let whole = run(&stream, std::iter::empty(), max_frame, false);
    assert_eq!(run(&stream, sizes(), max_frame, false), whole);
    assert_eq!(run(&stream, sizes(), max_frame, true), whole);
    assert_eq!(run(&stream, std::iter::repeat(1), max_frame, false), whole);
});
