//! Frames of a handshake, one at a time and not a byte further.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use spark_rpc_net::Stream;
use spark_rpc_wire::{
    ChunkFetchFailure, Event, FrameDecoder, Message, RequestId, RpcFailure, RpcRequest, RpcResponse,
    StreamFailure,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::gate::GateError;

/// A conversation before authentication.
pub(super) struct Talk {
    stream: Box<dyn Stream>,
    max_frame: u32,
    last_request: i64,
}

impl Talk {
    /// A server listens to strangers: nothing longer than a handshake's message.
    pub(super) fn serving(stream: Box<dyn Stream>) -> Self {
        Self::new(stream, LONGEST_CHALLENGE)
    }

    /// A client has chosen whom it talks to; a failure may come with a JVM's stack trace.
    pub(super) fn connecting(stream: Box<dyn Stream>) -> Self {
        Self::new(stream, LONGEST_ANSWER)
    }

    fn new(stream: Box<dyn Stream>, max_frame: u32) -> Self {
        Self {
            stream,
            max_frame,
            last_request: 0,
        }
    }

    /// Gives the stream back. Nothing behind the last frame has been read from it.
    pub(super) fn into_stream(self) -> Box<dyn Stream> {
        self.stream
    }

    /// Reads one request of a stranger. Whatever else it sends is refused, in the form in which it waits for an answer.
    pub(super) async fn challenge(&mut self) -> Result<(RequestId, Bytes), GateError> {
        let message = self.read().await?;
        let name = name(&message);
        match message {
            Message::RpcRequest(request) => return Ok((request.request_id, request.body)),
            Message::StreamRequest(request) => {
                self.write(Message::StreamFailure(StreamFailure {
                    stream_id: request.stream_id,
                    error: UNAUTHENTICATED.to_owned(),
                }))
                .await?;
            }
            Message::ChunkFetchRequest(request) => {
                self.write(Message::ChunkFetchFailure(ChunkFetchFailure {
                    chunk: request.chunk,
                    error: UNAUTHENTICATED.to_owned(),
                }))
                .await?;
            }
            Message::MergedBlockMetaRequest(request) => {
                self.fail(request.request_id, UNAUTHENTICATED).await?;
            }
            Message::UploadStream(upload) => self.fail(upload.request_id, UNAUTHENTICATED).await?,
            // Nobody waits for an answer to these.
            _ => {}
        }
        self.hang_up().await;
        Err(GateError::Unauthenticated { message: name })
    }

    pub(super) async fn answer(&mut self, id: RequestId, body: Vec<u8>) -> Result<(), GateError> {
        self.write(Message::RpcResponse(RpcResponse {
            request_id: id,
            body: body.into(),
        }))
        .await
    }

    pub(super) async fn fail(&mut self, id: RequestId, error: &str) -> Result<(), GateError> {
        self.write(Message::RpcFailure(RpcFailure {
            request_id: id,
            error: error.to_owned(),
        }))
        .await
    }

    /// Refuses a peer with `error`, and leaves it a moment to hang up by itself: one that is still busy with the refusal
    /// when its connection ends, as a JVM is, loses the reason. Further requests get the same answer.
    pub(super) async fn refuse(&mut self, id: RequestId, error: &str) -> Result<(), GateError> {
        self.fail(id, error).await?;
        let goes_by_itself = async {
            for _ in 0..MOST_REFUSALS {
                match self.read().await? {
                    Message::RpcRequest(request) => self.fail(request.request_id, error).await?,
                    _ => break,
                }
            }
            Ok::<_, GateError>(())
        };
        // Whether it has gone or not, it has been refused.
        let _ = tokio::time::timeout(LINGER, goes_by_itself).await;
        self.hang_up().await;
        Ok(())
    }

    /// Ends this side's direction in order, so that the peer gets the last answer; what it has sent meanwhile is thrown
    /// away, a little of it and for a moment.
    async fn hang_up(&mut self) {
        let farewell = async {
            self.stream.shutdown().await?;
            // A socket that is closed with unread bytes is reset, and a reset overtakes the answer.
            let mut scrap = [0; 1024];
            for _ in 0..MOST_SCRAPS {
                if self.stream.read(&mut scrap).await? == 0 {
                    break;
                }
            }
            Ok::<_, io::Error>(())
        };
        // A peer that stays would use up the handshake's time, and the log would tell of that instead of the reason.
        let _ = tokio::time::timeout(LINGER, farewell).await;
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn ask(&mut self, body: Vec<u8>) -> Result<Bytes, GateError> {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        self.write(Message::RpcRequest(RpcRequest {
            request_id: id,
            body: body.into(),
        }))
        .await?;
        match self.read().await? {
            Message::RpcResponse(answer) if answer.request_id == id => Ok(answer.body),
            Message::RpcFailure(answer) if answer.request_id == id => Err(GateError::Refused {
                text: answer.error.lines().next().unwrap_or_default().to_owned(),
            }),
            other => Err(GateError::Unauthenticated {
                message: name(&other),
            }),
        }
    }

    async fn write(&mut self, message: Message<Bytes>) -> Result<(), GateError> {
        let mut frame = Vec::new();
        message
            .encode(&mut frame)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.stream.write_all(&frame).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Reads one frame and nothing behind it.
    async fn read(&mut self) -> Result<Message<Bytes>, GateError> {
        let mut decoder = FrameDecoder::new(self.max_frame);
        let mut head = [0; LENGTH];
        self.fill(&mut head).await?;
        if decoder.next(&mut &head[..])?.is_some() {
            return Err(GateError::Unauthenticated {
                message: "empty frame",
            });
        }
        // The decoder has found the length good, so it is within the limit.
        let mut missing = usize::try_from(u64::from_be_bytes(head)).unwrap_or(LENGTH) - LENGTH;
        let mut piece = [0; PIECE];
        while missing > 0 {
            let piece = &mut piece[..missing.min(PIECE)];
            self.fill(piece).await?;
            missing -= piece.len();
            if let Some(Event::Frame(frame)) = decoder.next(&mut &*piece)? {
                return Ok(frame.decode()?.into_owned());
            }
        }
        Err(GateError::Closed)
    }

    async fn fill(&mut self, mut space: &mut [u8]) -> Result<(), GateError> {
        while !space.is_empty() {
            match self.stream.read(space).await? {
                0 => return Err(GateError::Closed),
                n => space = &mut space[n..],
            }
        }
        Ok(())
    }
}

fn name(message: &Message<Bytes>) -> &'static str {
    match message {
        Message::RpcRequest(_) => "RpcRequest",
        Message::RpcResponse(_) => "RpcResponse",
        Message::RpcFailure(_) => "RpcFailure",
        Message::OneWayMessage(_) => "OneWayMessage",
        Message::ChunkFetchRequest(_) => "ChunkFetchRequest",
        Message::ChunkFetchSuccess(_) => "ChunkFetchSuccess",
        Message::ChunkFetchFailure(_) => "ChunkFetchFailure",
        Message::StreamRequest(_) => "StreamRequest",
        Message::StreamResponse(_) => "StreamResponse",
        Message::StreamFailure(_) => "StreamFailure",
        Message::UploadStream(_) => "UploadStream",
        Message::MergedBlockMetaRequest(_) => "MergedBlockMetaRequest",
        Message::MergedBlockMetaSuccess(_) => "MergedBlockMetaSuccess",
    }
}

/// Of a frame's length field.
const LENGTH: usize = 8;
/// Read at once, whatever length was announced.
const PIECE: usize = 1024;
/// Of what a refused peer goes on sending.
const MOST_SCRAPS: usize = 64;
/// How often somebody is told again that he is refused.
const MOST_REFUSALS: usize = 3;
/// How long a refused peer may take to hang up by itself, and again when this side has.
const LINGER: Duration = Duration::from_secs(1);
/// Type, request id and body length stand before a handshake's message; SASL's are the longest.
const LONGEST_CHALLENGE: u32 = 64 + spark_rpc_auth::sasl::SaslMessage::MAX_LEN as u32;
const LONGEST_ANSWER: u32 = 64 * 1024;
const UNAUTHENTICATED: &str = "java.lang.SecurityException: Unauthenticated call.";
