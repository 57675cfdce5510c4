//! Recorded traffic of real Spark, both directions, against the decoder and the encoder.
//!
//! `golden/<version>/<case>.json` holds, for each connection of a case, the bytes of each direction and a table of what
//! another program saw in them. Encrypted parts are left out.

mod common;

use std::{fs, path::Path};

use serde_json::Value;
use spark_rpc_wire::{
    Address, Body, ChunkFetchFailure, Envelope, Event, Frame, FrameDecoder, Message, OneWayMessage,
    OpenFrame, RpcRequest, RpcResponse, StreamChunkId,
};

use common::{Item, Receiver, pieces};

/// One direction of one recorded connection.
struct Recording {
    /// Version, case, connection and direction, for messages.
    name: String,
    bytes: Vec<u8>,
    /// What was seen in the bytes, in their order.
    table: Vec<Value>,
}

impl Recording {
    /// Tells whether request bodies are those of an `RpcEnv`, with an envelope, or bare.
    fn has_envelopes(&self) -> bool {
        !self.name.contains("/transport-")
    }
}

fn recordings() -> Vec<Recording> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut recordings = Vec::new();
    for version in ["3.5.9", "4.1.4"] {
        for file in fs::read_dir(golden.join(version)).unwrap() {
            let path = file.unwrap().path();
            let case = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let connections: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            for (at, connection) in connections.as_array().unwrap().iter().enumerate() {
                for side in ["client", "server"] {
                    let recorded = &connection[side];
                    recordings.push(Recording {
                        name: format!("{version}/{case} connection {at} {side}"),
                        bytes: unhex(recorded["bytes"].as_str().unwrap()),
                        table: recorded["frames"].as_array().unwrap().clone(),
                    });
                }
            }
        }
    }
    assert_eq!(recordings.len(), 252, "every connection of every case is there");
    recordings
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hex digit") as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn receive(recording: &Recording, sizes: &[usize]) -> Vec<Item> {
    let mut receiver = Receiver::new();
    for piece in pieces(&recording.bytes, sizes) {
        receiver
            .feed(piece)
            .unwrap_or_else(|error| panic!("{}: {error}", recording.name));
    }
    assert!(
        receiver.decoder.is_idle(),
        "{} ends at a frame boundary",
        recording.name
    );
    receiver.items
}

/// Decodes one frame's content.
fn decode(content: &[u8]) -> Message<Vec<u8>> {
    let bytes = [&(content.len() as u64 + 8).to_be_bytes()[..], content].concat();
    let mut decoder = FrameDecoder::new(FrameDecoder::LARGEST_FRAME);
    match decoder.next(&mut &bytes[..]) {
        Ok(Some(Event::Frame(frame))) => Frame::decode(frame)
            .unwrap()
            .map_body(|body: Body<'_>| body.to_vec()),
        other => panic!("a frame was expected, not {other:?}"),
    }
}

/// Asserts that a decoded message says what the table says.
fn assert_agrees(name: &str, message: &Message<Vec<u8>>, row: &Value) {
    assert_eq!(message.kind().name(), row["type"], "{name}");
    assert_eq!(message.encoded_len(), row["length"], "{name}");
    if let (Some(body), Some(length)) = (message.body(), row["body_length"].as_u64()) {
        assert_eq!(body.len() as u64, length, "{name}");
    }
    let chunk = |chunk: &StreamChunkId| {
        assert_eq!(chunk.stream_id, row["streamId"], "{name}");
        assert_eq!(chunk.chunk_index, row["chunkIndex"], "{name}");
    };
    let error = |error: &str| {
        let first_line = row["error"].as_str().unwrap();
        assert!(
            !first_line.is_empty() && error.starts_with(first_line),
            "{name}: {error}"
        );
    };
    match message {
        Message::ChunkFetchRequest(message) => chunk(&message.chunk),
        Message::ChunkFetchSuccess(message) => chunk(&message.chunk),
        Message::ChunkFetchFailure(ChunkFetchFailure {
            chunk: id,
            error: text,
        }) => {
            chunk(id);
            error(text);
        }
        Message::RpcRequest(message) => assert_eq!(message.request_id.0, row["requestId"], "{name}"),
        Message::RpcResponse(message) => assert_eq!(message.request_id.0, row["requestId"], "{name}"),
        Message::RpcFailure(message) => {
            assert_eq!(message.request_id.0, row["requestId"], "{name}");
            error(&message.error);
        }
        Message::StreamRequest(message) => assert_eq!(message.stream_id, row["streamId"], "{name}"),
        Message::StreamResponse(message) => {
            assert_eq!(message.stream_id, row["streamId"], "{name}");
            assert_eq!(message.byte_count, row["byteCount"], "{name}");
        }
        Message::StreamFailure(message) => {
            assert_eq!(message.stream_id, row["streamId"], "{name}");
            error(&message.error);
        }
        Message::OneWayMessage(_) => assert!(row["body_length"].is_u64(), "{name}"),
        Message::UploadStream(message) => {
            assert_eq!(message.request_id.0, row["requestId"], "{name}");
            assert_eq!(message.meta, row["meta"].as_str().unwrap(), "{name}");
            assert_eq!(message.byte_count, row["byteCount"], "{name}");
        }
        Message::MergedBlockMetaRequest(message) => {
            assert_eq!(message.request_id.0, row["requestId"], "{name}");
            assert_eq!(message.app_id, row["appId"], "{name}");
            assert_eq!(message.shuffle_id, row["shuffleId"], "{name}");
            assert_eq!(message.shuffle_merge_id, row["shuffleMergeId"], "{name}");
            assert_eq!(message.reduce_id, row["reduceId"], "{name}");
        }
        Message::MergedBlockMetaSuccess(_) => panic!("{name}: there is no recording of this type"),
    }
}

#[test]
fn recorded_bytes_decode_to_what_was_recorded_and_encode_to_the_same_bytes() {
    let mut frames = 0;
    for recording in recordings() {
        let name = &recording.name;
        let items = receive(&recording, &[usize::MAX]);
        let mut written = Vec::new();
        let mut items = items.iter();
        let mut rows = recording.table.iter().peekable();
        while let Some(row) = rows.next() {
            if row["type"] == "body" {
                // One body may have been recorded in several pieces.
                let mut length = row["length"].as_u64().unwrap();
                while let Some(more) = rows.next_if(|row| row["type"] == "body") {
                    length += more["length"].as_u64().unwrap();
                }
                let Some(Item::Body(body)) = items.next() else {
                    panic!("{name}: a raw body was recorded")
                };
                assert_eq!(body.len() as u64, length, "{name}");
                written.extend_from_slice(body);
            } else {
                let Some(Item::Frame(content)) = items.next() else {
                    panic!("{name}: a frame was recorded")
                };
                let message = decode(content);
                assert_agrees(name, &message, row);
                message.encode(&mut written).unwrap();
                frames += 1;
            }
        }
        assert_eq!(items.next(), None, "{name}");
        assert!(written == recording.bytes, "{name} is written as it was read");
    }
    assert_eq!(frames, 738, "no recorded frame was passed over");
}

/// FRAME-01
#[test]
fn recorded_bytes_may_come_in_any_pieces() {
    for recording in recordings() {
        let whole = receive(&recording, &[usize::MAX]);
        for sizes in [&[1][..], &[7], &[1448], &[1, 8, 100, 3]] {
            assert!(
                receive(&recording, sizes) == whole,
                "{} in pieces of {sizes:?}",
                recording.name
            );
        }
    }
}

fn address(value: &Value) -> Option<Address<'_>> {
    (!value.is_null()).then(|| Address {
        host: value["host"].as_str().unwrap().into(),
        port: value["port"].as_i64().unwrap().try_into().unwrap(),
    })
}

/// NENV-03
#[test]
fn recorded_envelopes_decode_to_what_was_recorded_and_encode_to_the_same_bytes() {
    let mut envelopes = 0;
    for recording in recordings().iter().filter(|recording| recording.has_envelopes()) {
        let name = &recording.name;
        let frames = receive(recording, &[usize::MAX])
            .into_iter()
            .filter_map(|item| match item {
                Item::Frame(content) => Some(content),
                Item::Body(_) => None,
            });
        let rows = recording.table.iter().filter(|row| row["type"] != "body");
        for (content, row) in frames.zip(rows) {
            let (Message::RpcRequest(RpcRequest { body, .. })
            | Message::OneWayMessage(OneWayMessage { body })) = decode(&content)
            else {
                continue;
            };
            let Some(endpoint) = row["endpoint"].as_str() else {
                // Handshakes, and in the one case with executors their block transfers, have headers of their own.
                let handshake = matches!(body[0], 0xfb | 0xea);
                let block_transfer = name.contains("/standalone ") && matches!(body[0], 0 | 10);
                assert!(handshake || block_transfer, "{name}: {body:02x?}");
                continue;
            };
            let (envelope, length) = Envelope::decode(&body).unwrap();
            assert_eq!(envelope.sender, address(&row["sender"]), "{name}");
            assert_eq!(envelope.receiver, address(&row["receiver"]), "{name}");
            assert_eq!(envelope.name, endpoint, "{name}");
            assert_eq!(length, row["header_bytes"], "{name}");
            assert_eq!(Envelope::header_len(&body), Ok(length), "{name}");
            assert_eq!(
                body[length..][..4],
                [0xac, 0xed, 0, 5],
                "{name}: a Java stream follows"
            );

            let mut written = Vec::new();
            envelope.encode(&mut written).unwrap();
            assert_eq!(written, body[..length], "{name}");
            envelopes += 1;
        }
    }
    assert_eq!(envelopes, 314, "no recorded envelope was passed over");
}

#[test]
fn frames_with_bodies_in_place_equal_recorded_ones() {
    for recording in recordings() {
        for item in receive(&recording, &[usize::MAX]) {
            let Item::Frame(content) = item else { continue };
            let mut out = Vec::new();
            match decode(&content) {
                Message::RpcRequest(RpcRequest { request_id, body }) => {
                    let frame = OpenFrame::rpc_request(&mut out, request_id);
                    out.extend_from_slice(&body);
                    frame.finish(&mut out).unwrap();
                }
                Message::RpcResponse(RpcResponse { request_id, body }) => {
                    let frame = OpenFrame::rpc_response(&mut out, request_id);
                    out.extend_from_slice(&body);
                    frame.finish(&mut out).unwrap();
                }
                Message::OneWayMessage(OneWayMessage { body }) => {
                    let frame = OpenFrame::one_way(&mut out);
                    out.extend_from_slice(&body);
                    frame.finish(&mut out).unwrap();
                }
                _ => continue,
            }
            assert_eq!(out[8..], content, "{}", recording.name);
        }
    }
}
