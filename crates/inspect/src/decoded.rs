//! What one frame says.

use bytes::Bytes;
use spark_rpc_javaobj::Limits;
use spark_rpc_wire::{Body, Envelope, Frame, Message, MessageType, RequestId};

use crate::content::{Content, block_transfer};
use crate::cutter::Excerpt;

/// What one frame says, as far as it makes sense.
#[derive(Debug)]
pub struct Decoded {
    /// Where the frame begins.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
    /// How many of them were not kept, and so are not looked at.
    pub missing: u64,
    /// The number of its type, which need not exist; `None` if not even that has arrived.
    pub type_id: Option<i8>,
    /// The message, if its header is sound.
    pub message: Option<Message<Bytes>>,
    /// The envelope of a request or one-way message.
    pub envelope: Option<Envelope<'static>>,
    /// What the body holds, for messages that have one.
    pub content: Option<Content>,
    /// What is wrong.
    pub problem: Option<Problem>,
}

/// Something that makes no sense, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place, counted as the frame's offset is.
    pub at: u64,
    /// What is wrong there.
    pub text: String,
}

/// Bytes in front of a header: the length field and the type.
const HEAD: u64 = 9;

impl Decoded {
    /// Reads a frame.
    pub fn read(excerpt: &Excerpt, limits: &Limits) -> Self {
        let mut decoded = Self {
            offset: excerpt.offset,
            length: excerpt.length,
            missing: excerpt.missing(),
            type_id: excerpt.data.first().map(|id| *id as i8),
            message: None,
            envelope: None,
            content: None,
            problem: None,
        };
        let Some(frame) = Frame::from_body(Body::Owned(excerpt.data.clone())) else {
            return decoded;
        };
        match frame.decode() {
            Ok(message) => {
                let message = message.into_owned();
                decoded.read_body(&message, excerpt, limits);
                decoded.message = Some(message);
            }
            Err(error) => {
                let known = decoded.kind().is_some();
                decoded.problem = Some(Problem {
                    at: excerpt.offset + if known { HEAD } else { HEAD - 1 },
                    text: error.to_string(),
                });
            }
        }
        decoded
    }

    /// The type, if there is such a one.
    pub fn kind(&self) -> Option<MessageType> {
        self.type_id.and_then(MessageType::from_id)
    }

    /// The id that ties an answer to its request.
    pub fn request_id(&self) -> Option<RequestId> {
        Some(match self.message.as_ref()? {
            Message::RpcRequest(message) => message.request_id,
            Message::RpcResponse(message) => message.request_id,
            Message::RpcFailure(message) => message.request_id,
            Message::UploadStream(message) => message.request_id,
            Message::MergedBlockMetaRequest(message) => message.request_id,
            Message::MergedBlockMetaSuccess(message) => message.request_id,
            _ => return None,
        })
    }

    /// The endpoint that the message is for.
    pub fn endpoint(&self) -> Option<&str> {
        self.envelope.as_ref().map(|envelope| &*envelope.name)
    }

    fn read_body(&mut self, message: &Message<Bytes>, excerpt: &Excerpt, limits: &Limits) {
        let body = match message {
            Message::RpcRequest(message) => &message.body,
            Message::OneWayMessage(message) => &message.body,
            Message::RpcResponse(message) => {
                let place = self.place_of(&message.body, excerpt);
                self.set_content(Content::of_reply(&message.body, limits), place);
                return;
            }
            Message::ChunkFetchSuccess(message) => {
                self.content = Some(Content::Raw {
                    guess: None,
                    bytes: message.body.clone(),
                });
                return;
            }
            _ => return,
        };
        let place = self.place_of(body, excerpt);
        self.read_request(body, place, limits);
    }

    /// Reads the body of a request or one-way message that begins at `place`.
    pub(crate) fn read_request(&mut self, body: &Bytes, place: u64, limits: &Limits) {
        if let Some(handshake) = Content::of_handshake(body) {
            self.content = Some(handshake);
            return;
        }
        match Envelope::decode(body) {
            Ok((envelope, length)) => {
                let content = body.slice(length..);
                if let Some(content) = Content::of_codec(&content, limits) {
                    self.envelope = Some(envelope.into_owned());
                    self.set_content(content, place + length as u64);
                } else if let Some(guess) = block_transfer(body) {
                    self.set_raw(body, Some(guess));
                } else {
                    self.envelope = Some(envelope.into_owned());
                    self.set_raw(&content, None);
                }
            }
            Err(error) => {
                let guess = block_transfer(body);
                self.set_raw(body, guess);
                // Whatever stands on the transport may say what it likes; only what claims to be RPC can be wrong.
                if guess.is_none() && matches!(body.first(), Some(0 | 1)) && self.missing == 0 {
                    self.problem = Some(Problem {
                        at: place,
                        text: format!("no RPC envelope: {error}"),
                    });
                }
            }
        }
    }

    fn set_raw(&mut self, bytes: &Bytes, guess: Option<&'static str>) {
        self.content = Some(if bytes.is_empty() {
            Content::Empty
        } else {
            Content::Raw {
                guess,
                bytes: bytes.clone(),
            }
        });
    }

    fn set_content(&mut self, content: Content, place: u64) {
        // What was not kept is missing for that reason, which is told elsewhere.
        if let Content::Java(java) = &content
            && let Some(error) = &java.error
            && self.missing == 0
        {
            self.problem = Some(Problem {
                at: place + error.at() as u64,
                text: format!("the Java object stream that begins at {place} is broken: {error}"),
            });
        }
        self.content = Some(content);
    }

    /// Where the body of a message begins: it is the end of the frame.
    fn place_of(&self, body: &Bytes, excerpt: &Excerpt) -> u64 {
        excerpt.offset + HEAD - 1 + (excerpt.data.len() - body.len()) as u64
    }
}
