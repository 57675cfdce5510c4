//! What the tests of the message types share.

use bytes::Bytes;

use super::*;
use crate::{Event, Frame, FrameDecoder};

/// Asserts that `message` is written as `hex`, whole or as head and body, and read from it, borrowed or owned.
pub(super) fn assert_layout(message: &Message<&[u8]>, hex: &str) {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let expected: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();

    let mut written = vec![0xaa];
    message.encode(&mut written).unwrap();
    assert_eq!(&written[1..], expected, "encode appends the frame");
    assert_eq!(message.encoded_len(), expected.len() as u64);

    let mut parts = Vec::new();
    message.encode_head(&mut parts).unwrap();
    parts.extend_from_slice(message.body().unwrap_or_default());
    assert_eq!(parts, expected, "head and body make the frame");

    let mut decoder = FrameDecoder::new(LARGEST_FRAME);
    let mut input = &expected[..];
    let Ok(Some(Event::Frame(frame))) = decoder.next(&mut input) else {
        panic!("the frame is whole")
    };
    assert_eq!(frame.message_type(), message.kind().id());
    let decoded = frame.decode().unwrap();
    assert_eq!(
        decoded.clone().map_body(|body| body.to_vec()),
        message.clone().map_body(<[u8]>::to_vec)
    );

    let owned = Frame::new(Body::Owned(Bytes::from(expected[8..].to_vec())))
        .decode()
        .unwrap();
    assert_eq!(owned, decoded);
    assert_eq!(owned.into_owned(), decoded.into_owned());
}

/// Asserts that decoding the content of `message` fails when only the first `n < header` bytes of it are there.
pub(super) fn assert_truncations(message: &Message<&[u8]>, header: usize) {
    let mut frame = Vec::new();
    message.encode(&mut frame).unwrap();
    for n in 0..header {
        let result = Frame::new(Body::Borrowed(&frame[8..9 + n])).decode();
        assert!(
            matches!(
                result,
                Err(DecodeError::Truncated { .. } | DecodeError::LengthOutOfBounds { .. })
            ),
            "{n} bytes of header: {result:?}"
        );
    }
    assert!(Frame::new(Body::Borrowed(&frame[8..9 + header])).decode().is_ok());
}
