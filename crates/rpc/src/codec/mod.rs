//! How messages become bytes.
//!
//! The bytes of one message or reply are its *content*. What they begin with tells which codec wrote them, so one port
//! serves several, and a server answers in the codec that it was asked in. The [native codec](NativeCodec) and the
//! [Java codec](JavaCodec), which JVMs speak, are always there; others are given to the
//! [factory](crate::RpcEnvFactory::codec) of the env.
//!
//! # Which codec a message is sent in
//!
//! 1. If the peer has been heard: the env's preferred codec if the peer has used that, else one that it has used.
//! 2. Else the env's preferred codec: the first one that the factory was given, or the native one.
//! 3. If the peer refuses an ask in a way that shows that another codec or other class ids are wanted, so that the message
//!    was surely not handled, that is remembered and the ask is sent once more.
//!
//! So an env needs no setting to talk to a JVM, if it begins with an ask or a lookup. A one-way message has no answer
//! from which to learn: the first one to an unknown JVM is lost, unless the Java codec is the preferred one.

mod depth;
pub(crate) mod java;
mod java_failure;
mod java_form;
mod java_value;
mod memory;
pub(crate) mod native;

use std::fmt;
use std::sync::Arc;

pub use java::{JavaCodec, JavaContent};
pub use java_form::JavaForm;
pub use java_value::JavaValue;
use memory::PRESUMED;
pub use memory::PeerMemory;
pub use native::NativeCodec;

use crate::error::{DecodeError, EncodeError, Failure};
use crate::message::{Decodable, Encodable, RpcMessage};

/// Turns messages and replies into content and back.
pub trait Codec: fmt::Debug + Send + Sync + 'static {
    /// A short name for logs and errors.
    fn name(&self) -> &'static str;

    /// Whether this codec has written `content`, which may be empty or broken.
    fn recognizes(&self, content: &[u8]) -> bool;

    /// Appends the content of a message or of a successful reply to `out`, for the given peer.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the value cannot be written; `out` may hold a part of it then.
    fn encode(&self, value: &dyn Encodable, peer: &PeerMemory, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Appends the content of a failed reply to `out`; returns false if this codec leaves that to the transport, whose
    /// failures are plain text.
    fn encode_failure(&self, failure: &Failure, peer: &PeerMemory, out: &mut Vec<u8>) -> bool;

    /// Reads which message `content` holds, which came from the given peer.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the content is broken.
    fn open<'a>(&self, content: &'a [u8], peer: &PeerMemory) -> Result<Opened<'a>, DecodeError>;

    /// Reads a message or a successful reply into `place`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the content is not such a value.
    fn decode(&self, opened: &Opened<'_>, place: &mut dyn Decodable) -> Result<(), DecodeError>;

    /// Reads a failed reply; `None` if the content is a successful one.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the content is broken.
    fn decode_failure(&self, opened: &Opened<'_>) -> Result<Option<Failure>, DecodeError>;

    /// Whether a message of this codec was refused for its form, by the text of the peer's transport, and something was
    /// learned for `peer` with which it may be accepted.
    fn learn(&self, refusal: &str, peer: &PeerMemory) -> bool {
        let _ = (refusal, peer);
        false
    }

    /// Whether [`learn`](Self::learn) may return true, so that it is worth it to keep messages until they are answered.
    fn learns(&self) -> bool {
        false
    }
}

/// Content whose kind is known.
#[derive(Clone, Debug)]
pub struct Opened<'a> {
    name: &'a str,
    body: &'a [u8],
    java: Option<Arc<JavaContent>>,
}

impl<'a> Opened<'a> {
    /// Content with a message's name, which is empty for a reply, and the bytes of the value.
    #[must_use]
    pub fn new(name: &'a str, body: &'a [u8]) -> Self {
        Self {
            name,
            body,
            java: None,
        }
    }

    /// The message's name, or its class; empty for a reply.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.java {
            Some(content) => content.class_name(),
            None => self.name,
        }
    }

    /// The value's bytes.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Whether it is an `M`: by its name, or if it is a Java object by what it is.
    #[inline]
    pub(crate) fn holds<M: RpcMessage>(&self) -> bool {
        match &self.java {
            Some(content) => M::JAVA.is_some_and(|form| content.is(form)),
            None => self.name == M::NAME,
        }
    }
}

/// The codecs of one env.
#[derive(Clone, Debug)]
pub(crate) struct Codecs {
    all: Arc<[Arc<dyn Codec>]>,
    java: usize,
}

impl Codecs {
    /// The first codec writes what this env asks and sends to peers of whom nothing is known.
    pub(crate) fn new(mut codecs: Vec<Arc<dyn Codec>>, java: Arc<JavaCodec>) -> Self {
        codecs.push(Arc::new(NativeCodec));
        codecs.push(java);
        let java = codecs.iter().position(|codec| codec.name() == java::NAME);
        Self {
            java: java.unwrap_or_default(),
            all: codecs.into(),
        }
    }

    /// The codec in which a peer is written a message, which may have a Java form.
    #[inline]
    pub(crate) fn of_peer(&self, peer: &PeerMemory, has_java: bool) -> &Arc<dyn Codec> {
        let mut heard = peer.heard();
        if heard & PRESUMED != 0 {
            // It may be one of ours, which understands both: then only what has no Java form goes in another.
            heard = match heard & !PRESUMED & !(1 << self.java) {
                0 if has_java => 1 << self.java,
                others => others,
            };
        }
        let index = if heard & 1 != 0 {
            0
        } else {
            heard.trailing_zeros() as usize
        };
        self.all.get(index).unwrap_or(&self.all[0])
    }

    /// The codec that has written `content`, which came from `peer`.
    #[inline]
    pub(crate) fn of(&self, content: &[u8], peer: &PeerMemory) -> Option<&Arc<dyn Codec>> {
        let index = self.all.iter().position(|codec| codec.recognizes(content))?;
        peer.hear(index);
        Some(&self.all[index])
    }

    /// Learns from a refusal by the peer's transport; returns whether that is new.
    pub(crate) fn learn(&self, refusal: &str, codec: &dyn Codec, peer: &PeerMemory) -> bool {
        let learned = self.learn_form(refusal, codec, peer);
        if learned {
            peer.count_lesson();
        }
        learned
    }

    fn learn_form(&self, refusal: &str, codec: &dyn Codec, peer: &PeerMemory) -> bool {
        if codec.name() != java::NAME && java::is_refused_by_a_jvm(refusal) {
            peer.hear_only(self.java);
            return true;
        }
        codec.learn(refusal, peer)
    }
}
