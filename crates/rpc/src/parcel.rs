//! A message that has arrived at an endpoint, before it has become one of the endpoint's own.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use spark_rpc_wire::Body;

use crate::codec::{Codec, JavaForm, NativeCodec, Opened, PeerMemory};
use crate::endpoint::Inbound;
use crate::error::{AskError, BoxError, DecodeError};
use crate::message::{MessageValue, OneWay, Place, ReplyValue, Request, RpcMessage};
use crate::reply::{LocalRawReply, RawReply, RawWay, RemoteReply, Reply};

/// A message that has arrived, from this env or from another one.
///
/// [`Inbound::accept`](crate::Inbound::accept) asks it for the types that the endpoint handles, one after the other. A
/// message of this env is handed over by its type, without boxing or encoding; one from the network is decoded when its
/// name is the right one.
pub struct Parcel<'a> {
    kind: Kind<'a>,
}

enum Kind<'a> {
    Local {
        parcel: &'a mut dyn LocalParcel,
        control: bool,
    },
    Remote(RemoteParcel<'a>),
}

pub(crate) struct RemoteParcel<'a> {
    pub(crate) codec: &'a Arc<dyn Codec>,
    pub(crate) opened: Opened<'a>,
    pub(crate) content: &'a Body<'a>,
    pub(crate) reply: Option<RemoteReply>,
    /// Whether the sender waits for a reply.
    pub(crate) asks: bool,
}

impl<'a> Parcel<'a> {
    #[inline]
    pub(crate) fn local(parcel: &'a mut dyn LocalParcel, control: bool) -> Self {
        Self {
            kind: Kind::Local { parcel, control },
        }
    }

    pub(crate) fn remote(parcel: RemoteParcel<'a>) -> Self {
        Self {
            kind: Kind::Remote(parcel),
        }
    }

    /// The message's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.kind {
            Kind::Local { parcel, .. } => parcel.name(),
            Kind::Remote(parcel) => parcel.opened.name(),
        }
    }

    /// Whether it is an `M`, by its name, or if it comes from a JVM by its class. Nothing is taken out.
    #[inline]
    #[must_use]
    pub fn holds<M: RpcMessage>(&self) -> bool {
        match &self.kind {
            Kind::Local { parcel, .. } => parcel.name() == M::NAME,
            Kind::Remote(parcel) => parcel.opened.holds::<M>(),
        }
    }

    /// Takes the message out if it is a one-way `M`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if it is one by its name, but cannot be decoded.
    #[inline]
    pub fn one_way<M: OneWay>(&mut self) -> Result<Option<M>, DecodeError> {
        match &mut self.kind {
            Kind::Local { parcel, .. } => Ok(parcel
                .as_any()
                .downcast_mut::<LocalOneWay<M>>()
                .and_then(|parcel| parcel.0.take())),
            Kind::Remote(parcel) if !parcel.asks && parcel.opened.holds::<M>() => parcel.decode().map(Some),
            Kind::Remote(_) => Ok(None),
        }
    }

    /// Takes the message and the handle for its reply out if it is an asked `M`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if it is one by its name, but cannot be decoded.
    #[inline]
    #[allow(clippy::type_complexity, reason = "an alias would hide what is inside")]
    pub fn request<M: Request>(&mut self) -> Result<Option<(M, Reply<M::Reply>)>, DecodeError> {
        match &mut self.kind {
            Kind::Local { parcel, .. } => Ok(parcel
                .as_any()
                .downcast_mut::<LocalRequest<M>>()
                .and_then(|parcel| parcel.0.take())),
            Kind::Remote(parcel) if parcel.asks && parcel.opened.holds::<M>() => {
                let message = parcel.decode()?;
                let reply = parcel.reply.take();
                Ok(reply.map(|mut reply| {
                    if M::CONTROL {
                        reply.responder = reply.responder.urgent();
                    }
                    (message, Reply::remote(reply, M::JAVA_REPLY))
                }))
            }
            Kind::Remote(_) => Ok(None),
        }
    }

    /// Takes the content out as it is, whatever the message.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if a message of this env cannot be encoded.
    pub fn raw(&mut self) -> Result<Option<Raw>, DecodeError> {
        match &mut self.kind {
            Kind::Local { parcel, .. } => parcel.take_raw(),
            Kind::Remote(parcel) => {
                let content = parcel.content.clone().into_bytes();
                let reply = match (parcel.asks, parcel.reply.take()) {
                    (true, Some(reply)) => Some(RawReply {
                        way: Some(RawWay::Remote(reply)),
                    }),
                    _ => None,
                };
                Ok(Some(Raw { content, reply }))
            }
        }
    }

    /// Takes a one-way message out without looking at it, and returns how long its content is; `None` for an ask.
    ///
    /// Nothing is decoded or copied. A message of this env has no content, so what counts is the size of its type.
    #[inline]
    pub fn discard(&mut self) -> Option<usize> {
        match &mut self.kind {
            Kind::Local { parcel, .. } => parcel.discard(),
            Kind::Remote(parcel) if parcel.asks => None,
            Kind::Remote(parcel) => Some(parcel.content.len()),
        }
    }

    #[inline]
    pub(crate) fn is_control<I: Inbound>(&self) -> bool {
        match &self.kind {
            Kind::Local { control, .. } => *control,
            Kind::Remote(_) => I::is_control(self),
        }
    }

    pub(crate) fn take_reply(&mut self) -> Option<RemoteReply> {
        match &mut self.kind {
            Kind::Local { .. } => None,
            Kind::Remote(parcel) => parcel.reply.take(),
        }
    }
}

impl RemoteParcel<'_> {
    fn decode<M: RpcMessage>(&self) -> Result<M, DecodeError> {
        let mut place = Place::new(M::JAVA);
        self.codec.decode(&self.opened, &mut place)?;
        place.value.ok_or(DecodeError::UnsupportedType {
            codec: self.codec.name(),
        })
    }
}

/// A message whose content an endpoint takes as it is, for echoes, bridges and counters.
#[derive(Debug)]
pub struct Raw {
    /// The whole content, codec's head included.
    pub content: Bytes,
    /// The handle for the reply; `None` for a one-way message.
    pub reply: Option<RawReply>,
}

/// A message of this env on its way into an inbox. The message stays here if the inbox refuses it.
pub(crate) trait LocalParcel {
    fn name(&self) -> &'static str;
    fn as_any(&mut self) -> &mut dyn Any;
    fn take_raw(&mut self) -> Result<Option<Raw>, DecodeError>;
    /// Drops a one-way message and returns its size; leaves a request alone.
    fn discard(&mut self) -> Option<usize>;
}

pub(crate) struct LocalOneWay<M>(pub(crate) Option<M>);

impl<M: OneWay> LocalParcel for LocalOneWay<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn take_raw(&mut self) -> Result<Option<Raw>, DecodeError> {
        let Some(message) = self.0.take() else {
            return Ok(None);
        };
        Ok(Some(Raw {
            content: encode(&message)?,
            reply: None,
        }))
    }

    fn discard(&mut self) -> Option<usize> {
        self.0.take().map(|_| size_of::<M>())
    }
}

pub(crate) struct LocalRequest<M: Request>(pub(crate) Option<(M, Reply<M::Reply>)>);

impl<M: Request> LocalParcel for LocalRequest<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn take_raw(&mut self) -> Result<Option<Raw>, DecodeError> {
        let Some((message, reply)) = self.0.take() else {
            return Ok(None);
        };
        Ok(Some(Raw {
            content: encode(&message)?,
            reply: Some(RawReply {
                way: Some(RawWay::Local(Box::new(reply))),
            }),
        }))
    }

    fn discard(&mut self) -> Option<usize> {
        None
    }
}

impl<R: ReplyValue> LocalRawReply for Reply<R> {
    fn send(self: Box<Self>, content: Bytes) {
        match decode_reply::<R>(&NativeCodec, &PeerMemory::default(), None, &content) {
            Ok(value) => Reply::send(*self, value),
            Err(error) => self.fail(Box::new(error)),
        }
    }

    fn fail(self: Box<Self>, error: BoxError) {
        Reply::fail(*self, error);
    }
}

fn encode<M: RpcMessage>(message: &M) -> Result<Bytes, DecodeError> {
    let mut content = Vec::new();
    NativeCodec
        .encode(&MessageValue(message), &PeerMemory::default(), &mut content)
        .map_err(|error| DecodeError::Value {
            reason: error.to_string(),
        })?;
    Ok(content.into())
}

/// Reads the content of a reply, which may be a failure.
pub(crate) fn decode_reply<R: ReplyValue>(
    codec: &dyn Codec,
    peer: &PeerMemory,
    java: Option<&'static JavaForm<R>>,
    content: &[u8],
) -> Result<R, AskError> {
    let opened = codec.open(content, peer)?;
    if let Some(failure) = codec.decode_failure(&opened)? {
        return Err(failure.into());
    }
    let mut place = Place::new(java);
    codec.decode(&opened, &mut place)?;
    place
        .value
        .ok_or(AskError::BadReply(DecodeError::UnsupportedType {
            codec: codec.name(),
        }))
}
