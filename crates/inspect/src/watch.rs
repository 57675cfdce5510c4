//! When a conversation stops being readable: handshakes that end in encryption.

use std::fmt;

use spark_rpc_wire::{Body, ForeignProtocol, Frame, FrameError, Message, RequestId};

use crate::content::{AUTH_ENGINE, SASL};
use crate::direction::Direction;

/// Why bytes are not cut into frames, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opaque {
    /// Both sides have authenticated with Spark's auth engine, after which everything is encrypted.
    AuthEngine,
    /// Both sides have authenticated with SASL and agreed on encryption.
    Sasl,
    /// The first bytes belong to another protocol; TLS among them.
    Foreign(ForeignProtocol),
    /// A length that no frame has.
    Broken(FrameError),
}

impl Opaque {
    /// Tells whether all is well, and only nothing can be read.
    pub fn is_encrypted(self) -> bool {
        matches!(
            self,
            Self::AuthEngine | Self::Sasl | Self::Foreign(ForeignProtocol::Tls)
        )
    }
}

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuthEngine => f.write_str("encrypted from here (auth engine)"),
            Self::Sasl => f.write_str("encrypted from here (SASL, auth-conf)"),
            Self::Foreign(ForeignProtocol::Tls) => f.write_str("encrypted from here (TLS)"),
            Self::Foreign(protocol) => write!(f, "this is {protocol}, not Spark's protocol"),
            Self::Broken(error) => write!(f, "no frame begins here: {error}"),
        }
    }
}

/// Follows both directions of one connection as far as that is needed to know when it becomes unreadable.
#[derive(Debug, Default)]
pub struct Watch {
    encrypted: Option<Opaque>,
    /// The request with the client's challenge to the auth engine.
    challenge: Option<RequestId>,
    /// The SASL request that asks for encryption.
    confidential: Option<RequestId>,
    /// One direction is all there is to see, so that what it suggests has to do.
    alone: bool,
    suspicion: Option<Opaque>,
}

impl Watch {
    /// Follows a connection of which both directions are seen, in the order in which things happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows one direction, without the other.
    pub fn alone() -> Self {
        Self {
            alone: true,
            ..Self::default()
        }
    }

    /// Returns why nothing can be read any more, once that is so for both directions.
    pub fn encrypted(&self) -> Option<Opaque> {
        self.encrypted
    }

    /// Returns what the bytes are likely to be if they make no sense as frames.
    pub(crate) fn suspicion(&self) -> Option<Opaque> {
        self.suspicion
    }

    /// Looks at the beginning of a frame, without its length field.
    pub(crate) fn frame(&mut self, direction: Direction, data: &[u8]) {
        let Some(Ok(message)) = Frame::from_body(Body::Borrowed(data)).map(Frame::decode) else {
            return;
        };
        // Handshakes come first and are few; this is all that is done for other frames.
        match message {
            Message::RpcRequest(request) if self.alone || direction == Direction::ToServer => {
                match request.body.first() {
                    Some(&AUTH_ENGINE) => {
                        self.challenge = Some(request.request_id);
                        self.suspect(Opaque::AuthEngine);
                    }
                    Some(&SASL) if contains(&request.body, b"qop=auth-conf") => {
                        self.confidential = Some(request.request_id);
                        self.suspect(Opaque::Sasl);
                    }
                    _ => {}
                }
            }
            Message::RpcResponse(response) if self.alone || direction == Direction::ToClient => {
                let (id, body) = (Some(response.request_id), &response.body);
                if body.first() == Some(&AUTH_ENGINE) && (self.alone || self.challenge == id) {
                    self.settle(Opaque::AuthEngine);
                } else if body.starts_with(b"rspauth=") && (self.alone || self.confidential == id) {
                    self.settle(Opaque::Sasl);
                }
            }
            _ => {}
        }
    }

    /// Both sides have agreed.
    fn settle(&mut self, why: Opaque) {
        if self.alone {
            self.suspect(why);
        } else {
            self.encrypted = Some(why);
        }
    }

    fn suspect(&mut self, why: Opaque) {
        if self.alone {
            self.suspicion = Some(why);
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    // Handshakes are short; whatever is long is none.
    let haystack = &haystack[..haystack.len().min(4096)];
    haystack.windows(needle.len()).any(|window| window == needle)
}
