//! Every message, to bytes and back.

mod common;

use bytes::Bytes;
use proptest::prelude::*;
use spark_rpc_wire::{
    ChunkFetchFailure, ChunkFetchRequest, ChunkFetchSuccess, EncodeError, Event, FrameDecoder, LARGEST_FRAME,
    MergedBlockMetaRequest, MergedBlockMetaSuccess, Message, MessageType, OneWayMessage, OpenFrame,
    RequestId, RpcFailure, RpcRequest, RpcResponse, StreamChunkId, StreamFailure, StreamRequest,
    StreamResponse, UploadStream, primitive,
};

use common::pieces;

/// Decodes all messages in `stream`, which arrives in pieces of the given sizes.
fn receive(stream: &[u8], sizes: &[usize]) -> Vec<Message<Bytes>> {
    let mut decoder = FrameDecoder::new(FrameDecoder::LARGEST_FRAME);
    let mut messages = Vec::new();
    for piece in pieces(stream, sizes) {
        let mut input = piece;
        while let Some(event) = decoder.next(&mut input).unwrap() {
            let Event::Frame(frame) = event else {
                panic!("no raw body was announced to the decoder")
            };
            messages.push(frame.decode().unwrap().into_owned());
        }
    }
    assert!(decoder.is_idle());
    messages
}

/// PROTO-01
#[test]
fn the_messages_of_sparks_own_suite_survive() {
    let ten = Bytes::from_static(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let chunk = StreamChunkId {
        stream_id: 1,
        chunk_index: 2,
    };
    let error = || "this is an error".to_owned();
    let messages: Vec<Message<Bytes>> = vec![
        ChunkFetchRequest { chunk }.into(),
        RpcRequest {
            request_id: RequestId(12345),
            body: Bytes::new(),
        }
        .into(),
        RpcRequest {
            request_id: RequestId(12345),
            body: ten.clone(),
        }
        .into(),
        StreamRequest {
            stream_id: "abcde".into(),
        }
        .into(),
        OneWayMessage { body: ten.clone() }.into(),
        ChunkFetchSuccess { chunk, body: ten }.into(),
        ChunkFetchSuccess {
            chunk,
            body: Bytes::new(),
        }
        .into(),
        ChunkFetchFailure {
            chunk,
            error: error(),
        }
        .into(),
        ChunkFetchFailure {
            chunk,
            error: String::new(),
        }
        .into(),
        RpcResponse {
            request_id: RequestId(12345),
            body: Bytes::new(),
        }
        .into(),
        RpcResponse {
            request_id: RequestId(12345),
            body: Bytes::from(vec![3; 100]),
        }
        .into(),
        RpcFailure {
            request_id: RequestId(0),
            error: error(),
        }
        .into(),
        RpcFailure {
            request_id: RequestId(0),
            error: String::new(),
        }
        .into(),
        StreamResponse {
            stream_id: "anId".into(),
            byte_count: 12345,
        }
        .into(),
        StreamFailure {
            stream_id: "anId".into(),
            error: error(),
        }
        .into(),
    ];
    for message in &messages {
        let mut stream = Vec::new();
        message.encode(&mut stream).unwrap();
        assert_eq!(receive(&stream, &[usize::MAX]), std::slice::from_ref(message));
        assert_eq!(receive(&stream, &[1]), std::slice::from_ref(message));
    }
}

#[test]
fn frames_without_a_body_have_the_sizes_that_spark_gives_them() {
    let chunk = StreamChunkId {
        stream_id: 1,
        chunk_index: 2,
    };
    let request_id = RequestId(1);
    let sizes: [(Message<&[u8]>, u64); 6] = [
        (ChunkFetchRequest { chunk }.into(), 21),
        (
            RpcRequest {
                request_id,
                body: &[][..],
            }
            .into(),
            21,
        ),
        (
            RpcResponse {
                request_id,
                body: &[][..],
            }
            .into(),
            21,
        ),
        (OneWayMessage { body: &[][..] }.into(), 13),
        (
            StreamRequest {
                stream_id: "name".into(),
            }
            .into(),
            17,
        ),
        (ChunkFetchSuccess { chunk, body: &[][..] }.into(), 21),
    ];
    for (message, size) in sizes {
        assert_eq!(message.encoded_len(), size, "{message:?}");
    }
}

#[test]
fn only_streams_and_uploads_have_bytes_behind_them() {
    let response = |byte_count| StreamResponse {
        stream_id: "name".into(),
        byte_count,
    };
    let counts: [(Message<&[u8]>, u64); 5] = [
        (response(5).into(), 5),
        (response(0).into(), 0),
        (response(-5).into(), 0),
        (
            UploadStream {
                request_id: RequestId(1),
                meta: Bytes::new(),
                byte_count: i64::MAX,
            }
            .into(),
            i64::MAX as u64,
        ),
        (OneWayMessage { body: &b"body"[..] }.into(), 0),
    ];
    for (message, count) in counts {
        assert_eq!(message.body_behind(), count, "{message:?}");
    }
}

#[test]
fn debug_output_does_not_spell_out_bodies() {
    let body = Bytes::from(vec![0xab; 1000]);
    let request: Message<Bytes> = RpcRequest {
        request_id: RequestId(5),
        body: body.clone(),
    }
    .into();
    let shown = "RpcRequest { request_id: RequestId(5), body: [1000 bytes: abababababababab..] }";
    assert_eq!(format!("{request:?}"), shown);
    let upload: Message<Bytes> = UploadStream {
        request_id: RequestId(5),
        meta: body,
        byte_count: 3,
    }
    .into();
    let shown =
        "UploadStream { request_id: RequestId(5), meta: [1000 bytes: abababababababab..], byte_count: 3 }";
    assert_eq!(format!("{upload:?}"), shown);
}

/// The memory of these bodies is never touched, so that it is not really taken.
#[cfg(target_pointer_width = "64")]
#[test]
fn a_frame_beyond_the_largest_is_refused_and_leaves_the_output_as_it_was() {
    let limit = LARGEST_FRAME;
    let message = Message::from(OneWayMessage {
        body: vec![0; limit as usize],
    });
    let refused = Err(EncodeError::FrameTooLong {
        length: u64::from(limit) + 5,
        limit,
    });
    let mut out = b"before".to_vec();
    assert_eq!(message.encode(&mut out), refused);
    assert_eq!(message.encode_head(&mut out), refused);
    assert_eq!(out, b"before");

    let largest = Message::from(OneWayMessage {
        body: vec![0; limit as usize - 5],
    });
    assert_eq!(largest.encode_head(&mut out), Ok(()));
    assert_eq!(out, b"before\x00\x00\x00\x00\x80\x00\x00\x06\x09\x7f\xff\xff\xf9");

    let mut out = Vec::new();
    let frame = OpenFrame::one_way(&mut out);
    out = vec![0; limit as usize + 9];
    assert_eq!(
        frame.finish(&mut out),
        Err(EncodeError::FrameTooLong {
            length: u64::from(limit) + 1,
            limit
        })
    );
    assert!(out.is_empty());
}

#[cfg(target_pointer_width = "64")]
#[test]
fn an_array_with_too_many_elements_is_refused() {
    let mut out = Vec::new();
    let refused = Err(EncodeError::LengthTooLarge { length: 1 << 31 });
    assert_eq!(primitive::put_byte_array(&mut out, &vec![0; 1 << 31]), refused);
    assert!(out.is_empty());
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    any::<Vec<u8>>().prop_map(Bytes::from)
}

fn any_id() -> impl Strategy<Value = RequestId> {
    any::<i64>().prop_map(RequestId)
}

fn any_chunk() -> impl Strategy<Value = StreamChunkId> {
    (any::<i64>(), any::<i32>()).prop_map(|(stream_id, chunk_index)| StreamChunkId {
        stream_id,
        chunk_index,
    })
}

/// A message of each type, so that none is left out by chance.
fn one_of_each() -> impl Strategy<Value = Vec<Message<Bytes>>> {
    (
        (any_chunk(), any_id(), any_bytes(), any_bytes()),
        (any::<String>(), any::<String>(), any::<i64>(), any::<[i32; 3]>()),
    )
        .prop_map(
            |((chunk, request_id, body, meta), (text, error, byte_count, numbers))| {
                let [shuffle_id, shuffle_merge_id, reduce_id] = numbers;
                vec![
                    ChunkFetchRequest { chunk }.into(),
                    ChunkFetchSuccess {
                        chunk,
                        body: body.clone(),
                    }
                    .into(),
                    ChunkFetchFailure {
                        chunk,
                        error: error.clone(),
                    }
                    .into(),
                    RpcRequest {
                        request_id,
                        body: body.clone(),
                    }
                    .into(),
                    RpcResponse {
                        request_id,
                        body: body.clone(),
                    }
                    .into(),
                    RpcFailure {
                        request_id,
                        error: error.clone(),
                    }
                    .into(),
                    StreamRequest {
                        stream_id: text.clone(),
                    }
                    .into(),
                    StreamResponse {
                        stream_id: text.clone(),
                        byte_count,
                    }
                    .into(),
                    StreamFailure {
                        stream_id: text.clone(),
                        error,
                    }
                    .into(),
                    OneWayMessage { body: body.clone() }.into(),
                    UploadStream {
                        request_id,
                        meta,
                        byte_count,
                    }
                    .into(),
                    MergedBlockMetaRequest {
                        request_id,
                        app_id: text,
                        shuffle_id,
                        shuffle_merge_id,
                        reduce_id,
                    }
                    .into(),
                    MergedBlockMetaSuccess {
                        request_id,
                        chunk_count: shuffle_id,
                        body,
                    }
                    .into(),
                ]
            },
        )
}

proptest! {
    #[test]
    fn every_message_survives_any_split(
        messages in one_of_each(),
        sizes in proptest::collection::vec(1_usize..200, 1..10),
    ) {
        prop_assert!(messages.iter().map(Message::kind).eq(MessageType::ALL));
        let mut stream = Vec::new();
        for message in &messages {
            let before = stream.len() as u64;
            message.encode(&mut stream).unwrap();
            prop_assert_eq!(stream.len() as u64 - before, message.encoded_len());
        }
        prop_assert_eq!(&receive(&stream, &sizes), &messages);
        prop_assert_eq!(&receive(&stream, &[usize::MAX]), &messages);
    }
}
