//! What the frame decoder holds, shares and copies.

mod common;

use bytes::BufMut;
use spark_rpc_wire::{Body, Event, FrameDecoder, Message, OneWayMessage, RequestId, RpcRequest};

use common::pieces;

fn frame_of(length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    Message::from(OneWayMessage {
        body: vec![7; length - 5],
    })
    .encode(&mut out)
    .unwrap();
    assert_eq!(out.len(), length + 8);
    out
}

fn decoder() -> FrameDecoder {
    FrameDecoder::new(FrameDecoder::DEFAULT_MAX_FRAME)
}

#[test]
fn a_frame_inside_the_input_is_borrowed_from_there() {
    for length in [20, 100_000] {
        let stream = frame_of(length);
        let mut decoder = decoder();
        let mut input = &stream[..];
        let Ok(Some(Event::Frame(frame))) = decoder.next(&mut input) else {
            panic!("the frame is whole")
        };
        let Ok(Message::OneWayMessage(message)) = frame.decode() else {
            panic!("a one-way message")
        };
        assert!(
            matches!(message.body, Body::Borrowed(bytes) if bytes.as_ptr_range() == stream[13..].as_ptr_range())
        );
        assert_eq!(decoder.capacity(), 0);
    }
}

#[test]
fn a_small_frame_in_pieces_is_borrowed_and_a_large_one_leaves_with_its_buffer() {
    let mut decoder = decoder();
    for (length, owned) in [((16 << 10) - 1, false), (16 << 10, true), (100_000, true)] {
        let stream = frame_of(length);
        let (head, tail) = stream.split_at(length / 2);
        assert_eq!(decoder.next(&mut &head[..]), Ok(None));
        let Ok(Some(Event::Frame(frame))) = decoder.next(&mut &tail[..]) else {
            panic!("the frame is whole")
        };
        assert_eq!(frame.as_bytes(), &stream[8..]);
        let Ok(Message::OneWayMessage(message)) = frame.decode() else {
            panic!("a one-way message")
        };
        assert_eq!(matches!(message.body, Body::Owned(_)), owned, "{length} bytes");
        assert_eq!(decoder.buffered(), 0, "what was handed out counts no more");
        assert_eq!(decoder.next(&mut &[][..]), Ok(None));
        assert!(
            decoder.capacity() <= 512,
            "an idle decoder holds {} bytes",
            decoder.capacity()
        );
    }
}

#[test]
fn a_busy_decoder_reuses_its_buffer_for_small_frames() {
    let stream: Vec<u8> = (0..1000).flat_map(|_| frame_of(100)).collect();
    let mut decoder = decoder();
    let mut capacities = Vec::new();
    let mut count = 0;
    // No piece ends at the end of a frame, so that the decoder is never idle.
    for piece in pieces(&stream, &[1080]) {
        let mut input = piece;
        while decoder.next(&mut input).unwrap().is_some() {
            count += 1;
        }
        capacities.push(decoder.capacity());
    }
    assert_eq!(count, 1000);
    capacities.sort_unstable();
    capacities.dedup();
    assert!(capacities.len() <= 3, "the buffer was replaced: {capacities:?}");
}

/// FRAME-02
#[test]
fn a_large_frame_in_small_pieces_is_copied_a_bounded_number_of_times_and_never_over_reserved() {
    const LENGTH: usize = 64 << 20;
    let stream = frame_of(LENGTH);
    let mut decoder = decoder();
    let (mut copied, mut capacity) = (0, 0);
    let mut whole = None;
    for piece in pieces(&stream, &[1, 4096, 1448, 9000]) {
        let before = decoder.buffered();
        let mut input = piece;
        while let Some(event) = decoder.next(&mut input).unwrap() {
            let Event::Frame(frame) = event else {
                panic!("there is no raw body")
            };
            assert!(whole.is_none(), "there is one frame");
            whole = Some(frame.into_bytes());
        }
        if whole.is_none() {
            assert!(decoder.capacity() <= LENGTH, "room beyond the frame's end");
            assert!(
                decoder.capacity() <= 2 * decoder.buffered() + 512,
                "more than twice what has arrived"
            );
            if let Some(wanted) = decoder.wanted() {
                assert_eq!(decoder.buffered() + wanted, LENGTH);
            }
        }
        if decoder.capacity() > capacity {
            copied += before;
            capacity = decoder.capacity();
        }
    }
    assert!(copied <= 2 * LENGTH, "{copied} bytes were copied while growing");
    assert_eq!(capacity, LENGTH, "the result has no room to spare");
    assert_eq!(whole.unwrap(), stream[8..]);
    assert_eq!((decoder.buffered(), decoder.capacity()), (0, 0));
}

/// Reads `data` through `read_space` as long as it is offered, in reads of at most `read` bytes; returns what is left.
fn read_directly<'d>(
    decoder: &mut FrameDecoder,
    mut data: &'d [u8],
    read: usize,
    out: &mut Vec<u8>,
) -> &'d [u8] {
    while let Some(mut space) = decoder.read_space(1 << 20) {
        let count = read.min(space.remaining_mut()).min(data.len());
        assert!(count > 0, "room is never empty");
        space.put_slice(&data[..count]);
        data = &data[count..];
        while let Some(event) = decoder.next(&mut &[][..]).unwrap() {
            match event {
                Event::Frame(frame) => out.extend_from_slice(frame.as_bytes()),
                Event::Body { data, .. } => out.extend_from_slice(&data),
            }
        }
    }
    data
}

#[test]
fn a_large_frame_can_be_read_into_the_decoder_and_leaves_without_a_copy() {
    const LENGTH: usize = 10 << 20;
    let stream = frame_of(LENGTH);
    let mut decoder = decoder();
    assert_eq!(decoder.next(&mut &stream[..1000]), Ok(None));
    assert!(decoder.read_space(0).is_none());
    assert!(decoder.capacity() < 4096);

    let mut none = Vec::new();
    let rest = read_directly(&mut decoder, &stream[1000..], 300_000, &mut none);
    assert!(
        none.is_empty() && rest.len() <= 64 << 10,
        "the last bytes are read in the ordinary way"
    );
    assert_eq!(decoder.wanted(), Some(rest.len()));
    assert!(decoder.capacity() <= LENGTH);

    let Ok(Some(Event::Frame(frame))) = decoder.next(&mut &rest[..]) else {
        panic!("the frame is whole")
    };
    assert_eq!(frame.as_bytes(), &stream[8..]);
    let Ok(Message::OneWayMessage(message)) = frame.decode() else {
        panic!("a one-way message")
    };
    assert!(matches!(message.body, Body::Owned(_)));
}

#[test]
fn the_room_for_a_frame_grows_with_what_has_arrived() {
    let mut decoder = FrameDecoder::new(FrameDecoder::LARGEST_FRAME);
    let head = (u64::from(FrameDecoder::LARGEST_FRAME) + 8).to_be_bytes();
    assert_eq!(decoder.next(&mut &head[..]), Ok(None));
    let mut arrived = 0;
    for _ in 0..8 {
        let mut space = decoder.read_space(usize::MAX).unwrap();
        let room = space.remaining_mut();
        assert!(room <= arrived.max(64 << 10));
        space.put_bytes(1, room);
        arrived += room;
        assert_eq!(decoder.next(&mut &[][..]), Ok(None));
        assert_eq!(decoder.buffered(), arrived);
    }
}

#[test]
fn the_room_for_a_raw_body_has_a_limit_of_its_own() {
    let start = frame_of(20);
    let mut decoder = decoder();
    assert!(decoder.next(&mut &start[..]).unwrap().is_some());
    decoder.expect_body(u64::MAX).unwrap();
    assert_eq!(decoder.read_space(usize::MAX).unwrap().remaining_mut(), 1 << 20);
}

#[test]
fn unfilled_room_is_no_data() {
    let stream = frame_of(200_000);
    let mut decoder = decoder();
    assert_eq!(decoder.next(&mut &stream[..100]), Ok(None));
    assert!(decoder.read_space(1 << 20).is_some());
    assert_eq!(decoder.next(&mut &[][..]), Ok(None));
    assert_eq!(decoder.buffered(), 92);
    let Ok(Some(Event::Frame(frame))) = decoder.next(&mut &stream[100..]) else {
        panic!("the frame is whole")
    };
    assert_eq!(frame.as_bytes(), &stream[8..]);
}

#[test]
fn a_raw_body_can_be_read_into_the_decoder_in_pieces_of_any_fill() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let start = frame_of(20);
    for read in [1000, 100_000, 700_000, 1 << 20] {
        let mut decoder = decoder();
        assert!(decoder.next(&mut &start[..]).unwrap().is_some());
        decoder.expect_body(body.len() as u64).unwrap();
        let mut out = Vec::new();
        let rest = read_directly(&mut decoder, &body, read, &mut out);
        let mut input = rest;
        while let Some(Event::Body { data, .. }) = decoder.next(&mut input).unwrap() {
            out.extend_from_slice(&data);
        }
        assert!(out == body, "reads of {read} bytes");
        assert!(decoder.is_idle());
        assert!(decoder.capacity() <= 512);
    }
}

#[test]
fn a_barely_filled_buffer_is_lent_and_a_full_one_given_away() {
    let start = frame_of(20);
    for (count, owned) in [(1000, false), (600_000, true)] {
        let mut decoder = decoder();
        assert!(decoder.next(&mut &start[..]).unwrap().is_some());
        decoder.expect_body(10 << 20).unwrap();
        let mut space = decoder.read_space(1 << 20).unwrap();
        assert_eq!(space.remaining_mut(), 1 << 20);
        space.put_bytes(1, count);
        let Ok(Some(Event::Body { data, .. })) = decoder.next(&mut &[][..]) else {
            panic!("bytes were read")
        };
        assert_eq!(data.len(), count);
        assert_eq!(matches!(data, Body::Owned(_)), owned);
    }
}

#[test]
fn room_that_was_lent_for_a_body_does_not_stay_with_the_next_frame() {
    let start = frame_of(20);
    let mut decoder = decoder();
    assert!(decoder.next(&mut &start[..]).unwrap().is_some());
    decoder.expect_body(1 << 20).unwrap();
    assert!(decoder.read_space(1 << 20).is_some());
    assert!(decoder.capacity() >= 1 << 20);

    // The reader did not use the room; the body and half a frame come the other way.
    let next = frame_of(20_000);
    let stream = [vec![0; 1 << 20], next[..10_000].to_vec()].concat();
    let mut input = &stream[..];
    let Ok(Some(Event::Body { remaining: 0, .. })) = decoder.next(&mut input) else {
        panic!("the body is whole")
    };
    assert_eq!(decoder.next(&mut input), Ok(None));
    assert!(decoder.capacity() <= 20_000, "{} bytes", decoder.capacity());
}

/// PROTO-02. What a partial write leaves out is completed by the next; a body handed out has an owner of its own.
#[test]
fn head_and_body_may_be_written_apart_and_in_part() {
    let request = RpcRequest {
        request_id: RequestId(1),
        body: vec![7_u8; 5000],
    };
    let message = Message::from(request.clone());
    let mut head = Vec::new();
    message.encode_head(&mut head).unwrap();
    let body = message.body().unwrap();

    let mut decoder = decoder();
    let mut received = Vec::new();
    for write in [&head[..5], &head[5..], &body[..1], &body[1..4999], &body[4999..]] {
        let write = write.to_vec();
        if let Some(Event::Frame(frame)) = decoder.next(&mut &write[..]).unwrap() {
            received.push(frame.decode().unwrap().into_owned());
        }
    }
    drop(decoder);
    assert_eq!(
        received,
        [Message::from(RpcRequest {
            request_id: RequestId(1),
            body: request.body.into()
        })]
    );
}
