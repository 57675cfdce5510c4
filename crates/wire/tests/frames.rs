//! The frame decoder on whole byte streams: splits, raw bodies, refusals.

mod common;

use proptest::prelude::*;
use spark_rpc_wire::{Body, Event, ForeignProtocol, Frame, FrameDecoder, FrameError, LARGEST_FRAME};

use common::{Item, Numbers, Receiver, pieces};

fn frame(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u64 + 8).to_be_bytes()[..], content].concat()
}

fn decoder() -> FrameDecoder {
    FrameDecoder::new(FrameDecoder::DEFAULT_MAX_FRAME)
}

/// Takes the next frame, which must be there.
fn next_frame<'a, 'i: 'a>(decoder: &'a mut FrameDecoder, input: &mut &'i [u8]) -> Frame<'a> {
    match decoder.next(input) {
        Ok(Some(Event::Frame(frame))) => frame,
        other => panic!("a frame was expected, not {other:?}"),
    }
}

/// FRAME-01
#[test]
fn a_hundred_frames_in_random_slices_come_out_whole() {
    let mut numbers = Numbers::new();
    let contents: Vec<Vec<u8>> = (0..100)
        .map(|n| vec![n; numbers.between(1024, 31 * 1024)])
        .collect();
    let stream: Vec<u8> = contents.iter().flat_map(|content| frame(content)).collect();

    let mut receiver = Receiver::new();
    let mut rest = &stream[..];
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(numbers.between(256, 4352).min(rest.len()));
        receiver.feed(piece).unwrap();
        rest = behind;
    }
    assert_eq!(
        receiver.items,
        contents.into_iter().map(Item::Frame).collect::<Vec<_>>()
    );
    assert!(receiver.decoder.is_idle());
    assert_eq!(receiver.decoder.buffered(), 0);
}

/// FRAME-03
#[test]
fn a_raw_body_is_handed_out_as_it_comes_and_frames_follow_it() {
    let mut decoder = decoder();
    let first = frame(b"\x07 the frame that announces a body");
    next_frame(&mut decoder, &mut &first[..]);
    decoder.expect_body(300).unwrap();
    assert!(!decoder.is_idle());

    let second = frame(b"x");
    for (n, last) in [(0_u8, false), (1, false), (2, true)] {
        assert_eq!(decoder.wanted(), Some(300 - usize::from(n) * 100));
        let mut piece = vec![n; 100];
        if last {
            piece.extend_from_slice(&second);
        }
        let mut input = &piece[..];
        let body = decoder.next(&mut input).unwrap();
        let remaining = 200 - u64::from(n) * 100;
        assert_eq!(
            body,
            Some(Event::Body {
                data: Body::Borrowed(&[n; 100]),
                remaining
            })
        );
        if last {
            assert_eq!(next_frame(&mut decoder, &mut input).as_bytes(), b"x");
        }
        assert_eq!(decoder.next(&mut input), Ok(None));
    }
    assert!(decoder.is_idle());
}

/// FRAME-04
#[test]
fn frames_that_are_kept_stay_readable() {
    let mut numbers = Numbers::new();
    let contents: Vec<Vec<u8>> = (0..40).map(|n| vec![n; numbers.between(1, 40 * 1024)]).collect();
    let stream: Vec<u8> = contents.iter().flat_map(|content| frame(content)).collect();

    let mut decoder = decoder();
    let mut kept = Vec::new();
    let mut count = 0;
    for piece in pieces(&stream, &[3000]) {
        let read_buffer = piece.to_vec(); // gone after this turn
        let mut input = &read_buffer[..];
        while let Some(Event::Frame(frame)) = decoder.next(&mut input).unwrap() {
            if count % 2 == 0 {
                let bytes = frame.as_bytes().to_vec();
                kept.push((count, frame.into_bytes()));
                assert_eq!(kept.last().unwrap().1, bytes);
            }
            count += 1;
        }
    }
    drop(decoder);
    assert_eq!(count, contents.len());
    for (n, bytes) in kept {
        assert_eq!(bytes, contents[n]);
    }
}

/// FRAME-05
#[test]
fn a_length_field_in_two_parts_is_put_together() {
    let stream = frame(b"content");
    for split in 0..8 {
        let mut decoder = decoder();
        assert_eq!(decoder.next(&mut &stream[..split]), Ok(None));
        assert_eq!(decoder.buffered(), split);
        assert_eq!(decoder.is_idle(), split == 0);
        assert_eq!(decoder.wanted(), None);
        assert_eq!(
            next_frame(&mut decoder, &mut &stream[split..]).as_bytes(),
            b"content"
        );
    }
}

/// FRAME-06. A length field of 7 is a quirk of Spark's decoder, which ignores it; here it is refused like its neighbours.
#[test]
fn lengths_without_room_for_a_type_are_refused() {
    for length in [i64::MIN, -1, 0, 7, 8] {
        let announced = length.saturating_sub(8);
        let refused = Err(FrameError::FrameLengthNotPositive { announced });
        let head = length.to_be_bytes();
        assert_eq!(decoder().next(&mut &head[..]), refused, "{length}");

        let mut split = decoder();
        assert_eq!(split.next(&mut &head[..5]), Ok(None));
        assert_eq!(split.next(&mut &head[5..]), refused, "{length} in two parts");
    }
}

/// FRAME-06
#[test]
fn lengths_beyond_the_limit_are_refused_before_anything_is_stored() {
    for (limit, announced) in [
        (100, 101),
        (LARGEST_FRAME, i64::from(LARGEST_FRAME) + 1),
        (u32::MAX, 2_147_483_647),
        (1, i64::MAX - 8),
    ] {
        let mut decoder = FrameDecoder::new(limit);
        let head = (announced + 8).to_be_bytes();
        let refused = FrameError::FrameTooLong {
            announced,
            limit: limit.min(LARGEST_FRAME),
        };
        assert_eq!(decoder.next(&mut &head[..]), Err(refused));
        assert_eq!(decoder.capacity(), 0);
    }
}

#[test]
fn the_largest_legal_length_is_waited_for_without_being_reserved() {
    let mut decoder = FrameDecoder::new(LARGEST_FRAME);
    let mut start = (i64::from(LARGEST_FRAME) + 8).to_be_bytes().to_vec();
    start.extend_from_slice(&[3; 10]);
    assert_eq!(decoder.next(&mut &start[..]), Ok(None));
    assert_eq!(decoder.buffered(), 10);
    assert_eq!(decoder.wanted(), Some(LARGEST_FRAME as usize - 10));
    assert!(decoder.capacity() <= 512, "{} bytes reserved", decoder.capacity());
}

#[test]
fn frames_up_to_the_limit_pass() {
    let stream = frame(&[1; 100]);
    assert_eq!(
        next_frame(&mut FrameDecoder::new(100), &mut &stream[..]).len(),
        100
    );
}

#[test]
fn a_failed_decoder_repeats_its_error() {
    let mut decoder = decoder();
    let refused = FrameError::FrameLengthNotPositive { announced: -8 };
    assert_eq!(decoder.next(&mut &[0; 8][..]), Err(refused));
    let good = frame(b"good");
    assert_eq!(decoder.next(&mut &good[..]), Err(refused));
    assert_eq!(decoder.next(&mut &[][..]), Err(refused));
    assert_eq!(decoder.expect_body(1), Err(refused));
    assert!(decoder.read_space(1 << 20).is_none());
    assert!(!decoder.is_idle());
    assert_eq!(
        (decoder.buffered(), decoder.capacity(), decoder.wanted()),
        (0, 0, None)
    );
}

#[test]
fn other_protocols_are_recognised_whole_or_byte_by_byte() {
    for (first, protocol) in [
        (&b"GET / HTTP/1.1\r\n"[..], ForeignProtocol::Http1),
        (b"HTTP/1.1 400 Bad Request\r\n", ForeignProtocol::Http1),
        (b"PRI * HTTP/2.0\r\n\r\n", ForeignProtocol::Http2),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            ForeignProtocol::Tls,
        ),
        (b"SSH-2.0-OpenSSH_9.6\r\n", ForeignProtocol::Ssh),
    ] {
        let refused = Err(FrameError::ForeignProtocol { protocol });
        assert_eq!(decoder().next(&mut &first[..]), refused);

        let mut slow = decoder();
        let mut results = first
            .iter()
            .map(|byte| slow.next(&mut &[*byte][..]).map(|event| event.is_some()));
        assert_eq!(
            results.find(|result| *result != Ok(false)),
            Some(refused.map(|_: Option<Event<'_>>| true))
        );
    }
}

#[test]
fn after_the_first_frame_a_foreign_looking_length_is_only_too_long() {
    let mut decoder = decoder();
    let stream = [frame(b"x"), b"GET / HTTP/1.1".to_vec()].concat();
    let mut input = &stream[..];
    next_frame(&mut decoder, &mut &input[..9]);
    input = &input[9..];
    assert!(matches!(
        decoder.next(&mut input),
        Err(FrameError::FrameTooLong { .. })
    ));
}

#[test]
fn a_body_can_only_be_expected_once_and_right_after_a_frame() {
    let stream = frame(b"x");

    let mut twice = decoder();
    next_frame(&mut twice, &mut &stream[..]);
    twice.expect_body(5).unwrap();
    assert_eq!(twice.expect_body(5), Err(FrameError::BodyAlreadyExpected));
    assert_eq!(
        twice.next(&mut &b"12345"[..]),
        Err(FrameError::BodyAlreadyExpected)
    );

    let mut never = decoder();
    assert_eq!(never.expect_body(5), Err(FrameError::BodyWithoutFrame));

    let mut late = decoder();
    next_frame(&mut late, &mut &stream[..]);
    assert_eq!(late.next(&mut &[][..]), Ok(None));
    assert_eq!(late.expect_body(5), Err(FrameError::BodyWithoutFrame));
}

#[test]
fn an_empty_body_changes_nothing() {
    let stream = frame(b"x");
    let mut decoder = decoder();
    next_frame(&mut decoder, &mut &stream[..]);
    decoder.expect_body(0).unwrap();
    assert!(decoder.is_idle());
    assert_eq!(next_frame(&mut decoder, &mut &stream[..]).as_bytes(), b"x");
}

/// Frames with or without raw bodies behind them, as bytes and as what should come out.
fn any_stream() -> impl Strategy<Value = (Vec<u8>, Vec<Item>)> {
    let content = proptest::collection::vec(any::<u8>(), 1..300).prop_map(|mut content| {
        content[0] = 9; // no type with a body behind it
        (frame(&content), vec![Item::Frame(content)])
    });
    let with_body = proptest::collection::vec(any::<u8>(), 0..300).prop_map(|body| {
        let content = [&b"\x07\0\0\0\x01s"[..], &(body.len() as u64).to_be_bytes()].concat();
        let bytes = [frame(&content), body.clone()].concat();
        let mut items = vec![Item::Frame(content)];
        if !body.is_empty() {
            items.push(Item::Body(body));
        }
        (bytes, items)
    });
    let large = (16_000_usize..40_000).prop_map(|length| {
        let content = vec![9; length];
        (frame(&content), vec![Item::Frame(content)])
    });
    proptest::collection::vec(prop_oneof![4 => content, 2 => with_body, 1 => large], 0..8).prop_map(|parts| {
        let (bytes, items): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        (bytes.concat(), items.concat())
    })
}

proptest! {
    #[test]
    fn however_the_stream_is_split_the_same_comes_out(
        (stream, items) in any_stream(),
        sizes in proptest::collection::vec(prop_oneof![1_usize..20, 1_usize..5000], 1..20),
    ) {
        for sizes in [&sizes[..], &[1], &[usize::MAX]] {
            let mut receiver = Receiver::new();
            for piece in pieces(&stream, sizes) {
                receiver.feed(piece).unwrap();
                // A busy decoder keeps the buffer of its last small frame.
                let bound = (2 * receiver.decoder.buffered() + 512).max(16 << 10);
                prop_assert!(receiver.decoder.capacity() <= bound);
            }
            prop_assert_eq!(&receiver.items, &items);
            prop_assert!(receiver.decoder.is_idle());
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(
        bytes in any::<Vec<u8>>(),
        lengths in proptest::collection::vec(0_u8..40, 0..20),
        sizes in proptest::collection::vec(1_usize..20, 1..5),
    ) {
        // Plausible lengths before arbitrary contents, so that it is not all over at the first length.
        let mut stream = Vec::new();
        for (n, length) in lengths.iter().enumerate() {
            stream.extend_from_slice(&(u64::from(*length) + 9).to_be_bytes());
            stream.push(n as u8 % 14);
            stream.extend(bytes.iter().cycle().take(usize::from(*length)));
        }
        stream.extend_from_slice(&bytes);
        let mut receiver = Receiver::new();
        for piece in pieces(&stream, &sizes) {
            if receiver.feed(piece).is_err() {
                break;
            }
        }
    }
}
