//! The messages of the transport protocol, one file per type.
//!
//! Each struct is the content of one frame. `B` is the type of the body that lies in the frame: [`Body`] after decoding,
//! anything with bytes (`Bytes`, `Vec<u8>`, `&[u8]`) for encoding. The bodies of [`StreamResponse`] and [`UploadStream`]
//! do not lie in the frame but follow it; see [`FrameDecoder::expect_body`](crate::FrameDecoder::expect_body).

mod chunk_fetch_failure;
mod chunk_fetch_request;
mod chunk_fetch_success;
mod kind;
mod merged_block_meta_request;
mod merged_block_meta_success;
mod one_way_message;
mod rpc_failure;
mod rpc_request;
mod rpc_response;
mod stream_failure;
mod stream_request;
mod stream_response;
#[cfg(test)]
mod testing;
mod upload_stream;

use std::fmt;

use bytes::Bytes;

pub use self::{
    chunk_fetch_failure::ChunkFetchFailure, chunk_fetch_request::ChunkFetchRequest,
    chunk_fetch_success::ChunkFetchSuccess, kind::MessageType,
    merged_block_meta_request::MergedBlockMetaRequest, merged_block_meta_success::MergedBlockMetaSuccess,
    one_way_message::OneWayMessage, rpc_failure::RpcFailure, rpc_request::RpcRequest,
    rpc_response::RpcResponse, stream_failure::StreamFailure, stream_request::StreamRequest,
    stream_response::StreamResponse, upload_stream::UploadStream,
};
use crate::{Body, DecodeError, EncodeError, LARGEST_FRAME, LENGTH_FIELD, primitive::put_i64};

/// Any message of the protocol.
#[derive(Clone, PartialEq, Eq)]
pub enum Message<B> {
    /// Type 0.
    ChunkFetchRequest(ChunkFetchRequest),
    /// Type 1.
    ChunkFetchSuccess(ChunkFetchSuccess<B>),
    /// Type 2.
    ChunkFetchFailure(ChunkFetchFailure),
    /// Type 3.
    RpcRequest(RpcRequest<B>),
    /// Type 4.
    RpcResponse(RpcResponse<B>),
    /// Type 5.
    RpcFailure(RpcFailure),
    /// Type 6.
    StreamRequest(StreamRequest),
    /// Type 7. Its body follows the frame.
    StreamResponse(StreamResponse),
    /// Type 8.
    StreamFailure(StreamFailure),
    /// Type 9.
    OneWayMessage(OneWayMessage<B>),
    /// Type 10. Its body follows the frame.
    UploadStream(UploadStream),
    /// Type 11.
    MergedBlockMetaRequest(MergedBlockMetaRequest),
    /// Type 12.
    MergedBlockMetaSuccess(MergedBlockMetaSuccess<B>),
}

/// Evaluates the same expression for the content of whichever message it is.
macro_rules! with_content {
    ($message:expr, $content:ident => $result:expr) => {
        match $message {
            Message::ChunkFetchRequest($content) => $result,
            Message::ChunkFetchSuccess($content) => $result,
            Message::ChunkFetchFailure($content) => $result,
            Message::RpcRequest($content) => $result,
            Message::RpcResponse($content) => $result,
            Message::RpcFailure($content) => $result,
            Message::StreamRequest($content) => $result,
            Message::StreamResponse($content) => $result,
            Message::StreamFailure($content) => $result,
            Message::OneWayMessage($content) => $result,
            Message::UploadStream($content) => $result,
            Message::MergedBlockMetaRequest($content) => $result,
            Message::MergedBlockMetaSuccess($content) => $result,
        }
    };
}

impl<B: AsRef<[u8]>> Message<B> {
    /// Appends the whole frame to `out`.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::FrameTooLong`] if the frame would be longer than [`LARGEST_FRAME`]; `out` is then
    /// as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let length = self.checked_len(self.body_len())?;
        out.reserve(usize::try_from(length).expect("a legal frame with its body is in memory"));
        self.encode_head(out)?;
        if let Some(body) = self.body() {
            out.extend_from_slice(body);
        }
        Ok(())
    }

    /// Appends the frame without its body: length, type and header, which announce the body all the same.
    ///
    /// For a writer that sends a large body from where it is: the bytes of [`body`](Self::body) must follow.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_head(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encode_head_of(out, self.body_len())
    }

    /// Like [`encode_head`](Self::encode_head), for a chunk or merged metadata whose body is not in memory: `body_len` counts
    /// in place of the message's own body.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_head_of(&self, out: &mut Vec<u8>, body_len: u64) -> Result<(), EncodeError> {
        debug_assert!(
            body_len == self.body_len()
                || matches!(
                    self,
                    Message::ChunkFetchSuccess(_) | Message::MergedBlockMetaSuccess(_)
                ),
            "{:?} has no such body",
            self.kind()
        );
        let length = self.checked_len(body_len)?;
        let start = out.len();
        put_i64(out, length as i64);
        out.push(self.kind().id() as u8);
        let header = with_content!(self, content => content.encode_header(out));
        header.inspect_err(|_| out.truncate(start))
    }

    /// Returns how many bytes the frame takes on the wire, length field included, body behind the frame excluded.
    pub fn encoded_len(&self) -> u64 {
        self.len_with(self.body_len())
    }

    /// Returns the message's type.
    pub fn kind(&self) -> MessageType {
        match self {
            Message::ChunkFetchRequest(_) => MessageType::ChunkFetchRequest,
            Message::ChunkFetchSuccess(_) => MessageType::ChunkFetchSuccess,
            Message::ChunkFetchFailure(_) => MessageType::ChunkFetchFailure,
            Message::RpcRequest(_) => MessageType::RpcRequest,
            Message::RpcResponse(_) => MessageType::RpcResponse,
            Message::RpcFailure(_) => MessageType::RpcFailure,
            Message::StreamRequest(_) => MessageType::StreamRequest,
            Message::StreamResponse(_) => MessageType::StreamResponse,
            Message::StreamFailure(_) => MessageType::StreamFailure,
            Message::OneWayMessage(_) => MessageType::OneWayMessage,
            Message::UploadStream(_) => MessageType::UploadStream,
            Message::MergedBlockMetaRequest(_) => MessageType::MergedBlockMetaRequest,
            Message::MergedBlockMetaSuccess(_) => MessageType::MergedBlockMetaSuccess,
        }
    }

    /// Returns the body that lies in the frame, for the five types that have one.
    pub fn body(&self) -> Option<&[u8]> {
        match self {
            Message::ChunkFetchSuccess(message) => Some(message.body.as_ref()),
            Message::RpcRequest(message) => Some(message.body.as_ref()),
            Message::RpcResponse(message) => Some(message.body.as_ref()),
            Message::OneWayMessage(message) => Some(message.body.as_ref()),
            Message::MergedBlockMetaSuccess(message) => Some(message.body.as_ref()),
            _ => None,
        }
    }

    fn body_len(&self) -> u64 {
        self.body().map_or(0, <[u8]>::len) as u64
    }

    fn len_with(&self, body_len: u64) -> u64 {
        let header = with_content!(self, content => content.header_len());
        (LENGTH_FIELD as u64 + 1 + header).saturating_add(body_len)
    }

    fn checked_len(&self, body_len: u64) -> Result<u64, EncodeError> {
        let length = self.len_with(body_len);
        let framed = length - LENGTH_FIELD as u64;
        if framed > u64::from(LARGEST_FRAME) {
            return Err(EncodeError::FrameTooLong {
                length: framed,
                limit: LARGEST_FRAME,
            });
        }
        Ok(length)
    }
}

impl<B> Message<B> {
    /// Returns how many raw bytes follow the frame, for
    /// [`FrameDecoder::expect_body`](crate::FrameDecoder::expect_body). Zero for all types but two, and for a count that is
    /// negative, which Spark takes for zero.
    pub fn body_behind(&self) -> u64 {
        let count = match self {
            Message::StreamResponse(message) => message.byte_count,
            Message::UploadStream(message) => message.byte_count,
            _ => 0,
        };
        u64::try_from(count).unwrap_or(0)
    }

    /// Replaces the body in the frame, if there is one, by what `f` makes of it.
    pub fn map_body<C>(self, f: impl FnOnce(B) -> C) -> Message<C> {
        match self {
            Message::ChunkFetchRequest(message) => Message::ChunkFetchRequest(message),
            Message::ChunkFetchSuccess(ChunkFetchSuccess { chunk, body }) => {
                Message::ChunkFetchSuccess(ChunkFetchSuccess { chunk, body: f(body) })
            }
            Message::ChunkFetchFailure(message) => Message::ChunkFetchFailure(message),
            Message::RpcRequest(RpcRequest { request_id, body }) => Message::RpcRequest(RpcRequest {
                request_id,
                body: f(body),
            }),
            Message::RpcResponse(RpcResponse { request_id, body }) => Message::RpcResponse(RpcResponse {
                request_id,
                body: f(body),
            }),
            Message::RpcFailure(message) => Message::RpcFailure(message),
            Message::StreamRequest(message) => Message::StreamRequest(message),
            Message::StreamResponse(message) => Message::StreamResponse(message),
            Message::StreamFailure(message) => Message::StreamFailure(message),
            Message::OneWayMessage(OneWayMessage { body }) => {
                Message::OneWayMessage(OneWayMessage { body: f(body) })
            }
            Message::UploadStream(message) => Message::UploadStream(message),
            Message::MergedBlockMetaRequest(message) => Message::MergedBlockMetaRequest(message),
            Message::MergedBlockMetaSuccess(MergedBlockMetaSuccess {
                request_id,
                chunk_count,
                body,
            }) => Message::MergedBlockMetaSuccess(MergedBlockMetaSuccess {
                request_id,
                chunk_count,
                body: f(body),
            }),
        }
    }
}

impl<'a> Message<Body<'a>> {
    /// Gives the body an owner of its own, so that the message outlives the read buffer. Copies only borrowed bodies.
    pub fn into_owned(self) -> Message<Bytes> {
        self.map_body(Body::into_bytes)
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for Message<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_content!(self, content => content.fmt(f))
    }
}

/// Each content converts into the message.
macro_rules! from_content {
    ($($name:ident $(<$body:ident>)?),*) => {
        $(impl<B> From<$name $(<$body>)?> for Message<B> {
            fn from(content: $name $(<$body>)?) -> Message<B> {
                Message::$name(content)
            }
        })*
    };
}

from_content!(
    ChunkFetchRequest,
    ChunkFetchSuccess<B>,
    ChunkFetchFailure,
    RpcRequest<B>,
    RpcResponse<B>,
    RpcFailure,
    StreamRequest,
    StreamResponse,
    StreamFailure,
    OneWayMessage<B>,
    UploadStream,
    MergedBlockMetaRequest,
    MergedBlockMetaSuccess<B>
);

/// Decodes what follows the type byte of a frame.
#[inline]
pub(crate) fn decode(kind: MessageType, content: Body<'_>) -> Result<Message<Body<'_>>, DecodeError> {
    Ok(match kind {
        MessageType::ChunkFetchRequest => Message::ChunkFetchRequest(ChunkFetchRequest::decode(&content)?),
        MessageType::ChunkFetchSuccess => Message::ChunkFetchSuccess(ChunkFetchSuccess::decode(content)?),
        MessageType::ChunkFetchFailure => Message::ChunkFetchFailure(ChunkFetchFailure::decode(&content)?),
        MessageType::RpcRequest => Message::RpcRequest(RpcRequest::decode(content)?),
        MessageType::RpcResponse => Message::RpcResponse(RpcResponse::decode(content)?),
        MessageType::RpcFailure => Message::RpcFailure(RpcFailure::decode(&content)?),
        MessageType::StreamRequest => Message::StreamRequest(StreamRequest::decode(&content)?),
        MessageType::StreamResponse => Message::StreamResponse(StreamResponse::decode(&content)?),
        MessageType::StreamFailure => Message::StreamFailure(StreamFailure::decode(&content)?),
        MessageType::OneWayMessage => Message::OneWayMessage(OneWayMessage::decode(content)?),
        MessageType::UploadStream => Message::UploadStream(UploadStream::decode(&content)?),
        MessageType::MergedBlockMetaRequest => {
            Message::MergedBlockMetaRequest(MergedBlockMetaRequest::decode(&content)?)
        }
        MessageType::MergedBlockMetaSuccess => {
            Message::MergedBlockMetaSuccess(MergedBlockMetaSuccess::decode(content)?)
        }
    })
}

/// The `bodySize` field of three types: written truly, ignored on reading.
fn body_size(body: &[u8]) -> Result<i32, EncodeError> {
    i32::try_from(body.len()).map_err(|_| EncodeError::LengthTooLarge { length: body.len() })
}
