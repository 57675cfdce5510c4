//! What can be sent: messages, requests with their replies, and values on their way to bytes.

use std::any::Any;

use serde::Serialize;
use serde::de::DeserializeOwned;

use spark_rpc_javaobj::ClassTable;

use crate::codec::{JavaContent, JavaForm, java, native};
use crate::error::{DecodeError, EncodeError};

/// A type that can be sent to an endpoint. Derive it: `#[derive(Serialize, Deserialize, RpcMessage)]`.
///
/// A message is either a [`Request`], which has a reply, or [`OneWay`], which has none; the derive decides by the
/// attribute `#[rpc(reply = Type)]`. So a reply of the wrong type, or a reply to a message that wants none, does not
/// compile.
///
/// A type may contain itself, such as a tree of boxes: a value nested deeper than 128 levels is refused where it is read,
/// before a peer can exhaust the stack.
pub trait RpcMessage: Serialize + DeserializeOwned + Send + 'static {
    /// The name by which the message is known on the wire. Renaming the Rust type keeps it only if it is given:
    /// `#[rpc(name = "...")]`.
    const NAME: &'static str;

    /// Whether the message, and its reply, pass others in inboxes and write queues: `#[rpc(control)]`. For small, rare
    /// messages that keep a system going, such as heartbeats.
    const CONTROL: bool = false;

    /// How the message is written as a Java object, for JVM peers: `#[rpc(java)]`, for types that are
    /// [`ToJava`](spark_rpc_javaobj::ToJava) and [`FromJava`](spark_rpc_javaobj::FromJava). Without it no JVM can send or
    /// receive the message.
    const JAVA: Option<&'static JavaForm<Self>> = None;
}

/// A message that is answered.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no reply",
    label = "a message without a reply type can only be sent",
    note = "give the message one: `#[derive(RpcMessage)] #[rpc(reply = Type)]`"
)]
pub trait Request: RpcMessage {
    /// What answers it.
    type Reply: ReplyValue;

    /// How the reply is written as a Java object; see [`RpcMessage::JAVA`].
    const JAVA_REPLY: Option<&'static JavaForm<Self::Reply>> = None;
}

/// A message that is not answered.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a one-way message",
    label = "a message with a reply type can only be asked",
    note = "one-way messages derive `RpcMessage` without a reply; the handler of one with a reply returns it, takes a \
            `Reply`, or is marked `#[rpc(reply = Type)]`"
)]
pub trait OneWay: RpcMessage {}

/// A type that can be a reply: everything that serde can write and read back.
pub trait ReplyValue: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> ReplyValue for T {}

/// A value on its way to bytes, whatever its type. A [`Codec`](crate::codec::Codec) is given these.
pub trait Encodable {
    /// The name of a message; empty for a reply.
    fn name(&self) -> &'static str;

    /// The value itself, for codecs that know types.
    fn as_any(&self) -> &dyn Any;

    /// Appends the value in postcard form.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the value's own `Serialize` fails; what was appended must be cut off then.
    fn write_postcard(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Appends the value as a Java object stream, for a peer with these classes.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the value has no Java form; what was appended must be cut off then.
    fn write_java(&self, classes: &ClassTable, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// A place for a value that is read from bytes, whatever its type.
pub trait Decodable {
    /// The place itself, an `Option` of the value, for codecs that know types.
    fn as_any(&mut self) -> &mut dyn Any;

    /// Fills the place from postcard form.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the bytes are not such a value, or more than one.
    fn read_postcard(&mut self, bytes: &[u8]) -> Result<(), DecodeError>;

    /// Fills the place from a Java object.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the object is not such a value, or the type has no Java form.
    fn read_java(&mut self, content: &JavaContent) -> Result<(), DecodeError>;
}

/// A message as an [`Encodable`].
pub(crate) struct MessageValue<'a, M>(pub(crate) &'a M);

impl<M: RpcMessage> Encodable for MessageValue<'_, M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn as_any(&self) -> &dyn Any {
        self.0
    }

    fn write_postcard(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        native::write(M::NAME, self.0, out)
    }

    fn write_java(&self, classes: &ClassTable, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        java::write(M::NAME, self.0, M::JAVA, classes, out)
    }
}

/// A reply as an [`Encodable`].
pub(crate) struct ReplyEncodable<'a, R: 'static>(pub(crate) &'a R, pub(crate) Option<&'static JavaForm<R>>);

impl<R: ReplyValue> Encodable for ReplyEncodable<'_, R> {
    fn name(&self) -> &'static str {
        ""
    }

    fn as_any(&self) -> &dyn Any {
        self.0
    }

    fn write_postcard(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        native::write("reply", self.0, out)
    }

    fn write_java(&self, classes: &ClassTable, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        java::write("reply", self.0, self.1, classes, out)
    }
}

/// A place for a value of type `T`.
pub(crate) struct Place<T: 'static> {
    pub(crate) value: Option<T>,
    java: Option<&'static JavaForm<T>>,
}

impl<T> Place<T> {
    pub(crate) fn new(java: Option<&'static JavaForm<T>>) -> Self {
        Self { value: None, java }
    }
}

impl<T: DeserializeOwned + 'static> Decodable for Place<T> {
    fn as_any(&mut self) -> &mut dyn Any {
        &mut self.value
    }

    fn read_postcard(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.value = Some(native::read(bytes)?);
        Ok(())
    }

    fn read_java(&mut self, content: &JavaContent) -> Result<(), DecodeError> {
        self.value = Some(content.read(self.java)?);
        Ok(())
    }
}
