//! How messages become bytes.
//!
//! The bytes of one message or reply are its *content*. What they begin with tells which codec wrote them, so one port
//! serves several, and a server answers in the codec that it was asked in. The [native codec](NativeCodec) is always
//! there; others are given to the env's builder.

pub(crate) mod native;

use std::fmt;
use std::sync::Arc;

pub use native::NativeCodec;

use crate::error::{DecodeError, EncodeError, Failure};
use crate::message::{Decodable, Encodable};

/// Turns messages and replies into content and back.
pub trait Codec: fmt::Debug + Send + Sync + 'static {
    /// A short name for logs and errors.
    fn name(&self) -> &'static str;

    /// Whether this codec has written `content`, which may be empty or broken.
    fn recognizes(&self, content: &[u8]) -> bool;

    /// Appends the content of a message or of a successful reply to `out`.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the value cannot be written; `out` may hold a part of it then.
    fn encode(&self, value: &dyn Encodable, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Appends the content of a failed reply to `out`; returns false if this codec leaves that to the transport, whose
    /// failures are plain text.
    fn encode_failure(&self, failure: &Failure, out: &mut Vec<u8>) -> bool;

    /// Reads which message `content` holds.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the content is broken.
    fn open<'a>(&self, content: &'a [u8]) -> Result<Opened<'a>, DecodeError>;

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
}

/// Content whose kind is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The message's name; empty for a reply.
    pub name: &'a str,
    /// The value's bytes.
    pub body: &'a [u8],
}

/// The codecs of one env.
#[derive(Clone, Debug)]
pub(crate) struct Codecs {
    all: Arc<[Arc<dyn Codec>]>,
}

impl Codecs {
    /// The first codec writes what this env asks and sends.
    pub(crate) fn new(mut codecs: Vec<Arc<dyn Codec>>) -> Self {
        codecs.push(Arc::new(NativeCodec));
        Self { all: codecs.into() }
    }

    pub(crate) fn preferred(&self) -> &Arc<dyn Codec> {
        &self.all[0]
    }

    #[inline]
    pub(crate) fn of(&self, content: &[u8]) -> Option<&Arc<dyn Codec>> {
        self.all.iter().find(|codec| codec.recognizes(content))
    }
}
