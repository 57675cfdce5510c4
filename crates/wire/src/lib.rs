//! Bytes to frames to messages: Spark's transport protocol and its RPC envelope, without IO.
//!
//! The layers, from the socket upwards, each usable without the next:
//!
//! 1. [`FrameDecoder`] cuts a stream of bytes into [`Frame`]s and the raw bodies that follow some of them. It borrows
//!    from the read buffer where it can and never reserves memory for a length that was only announced.
//! 2. [`Frame::decode`] makes a [`Message`] of a frame; [`Message::encode`] goes the other way. Bodies stay where they
//!    are: see [`Body`].
//! 3. [`Envelope`] is the header which an `RpcEnv` puts in front of the content of a request or one-way message.
//!
//! [`OpenFrame`] is the short cut of a busy sender: it begins a frame in a buffer, lets the caller write the body in
//! place, and patches the lengths afterwards.
//!
//! Nothing here knows sockets, clocks or tasks. Bytes from a peer cause errors, never panics, and every length or count
//! is compared with the bytes at hand before anything is allocated for it.
//!
//! # Examples
//!
//! ```
//! use spark_rpc_wire::{Event, FrameDecoder, Message, RequestId, RpcRequest};
//!
//! let mut bytes = Vec::new();
//! Message::RpcRequest(RpcRequest { request_id: RequestId(7), body: b"hello" }).encode(&mut bytes)?;
//!
//! let mut decoder = FrameDecoder::new(FrameDecoder::DEFAULT_MAX_FRAME);
//! let mut input = &bytes[..];
//! let Some(Event::Frame(frame)) = decoder.next(&mut input)? else { panic!("a whole frame was there") };
//! let Message::RpcRequest(request) = frame.decode()? else { panic!("it was a request") };
//! assert_eq!(request.request_id, RequestId(7));
//! assert_eq!(&*request.body, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod bitmap;
mod body;
mod decode_error;
mod decoder;
mod encode_error;
mod envelope;
mod foreign;
mod frame;
mod frame_error;
mod id;
pub mod message;
pub mod modified_utf8;
mod open_frame;
pub mod primitive;
mod recycler;

pub use bitmap::{Bitmap, BitmapError};
pub use body::Body;
pub use decode_error::DecodeError;
pub use decoder::{Event, FrameDecoder};
pub use encode_error::EncodeError;
pub use envelope::{Address, Envelope, EnvelopeError};
pub use foreign::ForeignProtocol;
pub use frame::Frame;
pub use frame_error::FrameError;
pub use id::{RequestId, StreamChunkId};
pub use message::{
    ChunkFetchFailure, ChunkFetchRequest, ChunkFetchSuccess, MergedBlockMetaRequest, MergedBlockMetaSuccess,
    Message, MessageType, OneWayMessage, RpcFailure, RpcRequest, RpcResponse, StreamFailure, StreamRequest,
    StreamResponse, UploadStream,
};
pub use open_frame::OpenFrame;
pub use recycler::Recycler;

/// The most bytes that may follow the length field of a frame: 2³¹ − 2, as in Spark's `TransportFrameDecoder`.
pub const LARGEST_FRAME: u32 = i32::MAX as u32 - 1;

/// The length of the field at the head of each frame, which counts itself too.
pub(crate) const LENGTH_FIELD: usize = 8;
