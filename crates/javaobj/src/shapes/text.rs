//! Strings, and constants of Java's enums.

use std::borrow::Cow;
use std::sync::Arc;

use crate::decode::{DecodeError, Decoder, FromJava};
use crate::encode::{EncodeError, Encoder, ToJava};
use crate::ids::Scala;
use crate::object::{Object, Value};
use crate::string::JavaString;

const DESCRIPTOR: &str = "Ljava/lang/String;";

impl ToJava for str {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed(DESCRIPTOR)
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        Ok(out.string(self))
    }
}

impl ToJava for String {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed(DESCRIPTOR)
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        Ok(out.string(self))
    }
}

impl ToJava for JavaString {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed(DESCRIPTOR)
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        Ok(Value::Object(out.graph().add_string(self.clone())))
    }
}

impl FromJava for JavaString {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.graph().object(value) {
            Some(Object::String(string)) => {
                input.charge(string.encoded_len())?;
                Ok(string.clone())
            }
            _ => Err(input.expected(value, "java.lang.String")),
        }
    }
}

/// Half a surrogate pair becomes U+FFFD; read a [`JavaString`] where that matters.
impl FromJava for String {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.graph().object(value) {
            Some(Object::String(string)) => {
                input.charge(string.encoded_len())?;
                Ok(string.to_string_lossy().into_owned())
            }
            _ => Err(input.expected(value, "java.lang.String")),
        }
    }
}

impl FromJava for Arc<str> {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.decode::<String>(value).map(Self::from)
    }
}

/// A constant of a Java enum of which only the names matter.
///
/// # Examples
///
/// ```
/// use spark_rpc_javaobj::{ClassTable, JavaEnum, Limits, from_bytes, to_bytes};
///
/// let unit = JavaEnum { class: "java.util.concurrent.TimeUnit".to_owned(), constant: "DAYS".to_owned() };
/// let bytes = to_bytes(&unit, &ClassTable::default())?.into();
/// assert_eq!(from_bytes::<JavaEnum>(&bytes, &Limits::default())?, unit);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JavaEnum {
    /// The enum's class.
    pub class: String,
    /// The constant's name.
    pub constant: String,
}

impl ToJava for JavaEnum {
    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        Ok(out.enum_constant(&self.class, &self.constant))
    }
}

impl FromJava for JavaEnum {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.graph().object(value) {
            Some(Object::Enum { class, constant }) => Ok(Self {
                class: input.graph()[*class].name().to_owned(),
                constant: input.decode(Value::Object(*constant))?,
            }),
            _ => Err(input.expected(value, "a constant of a Java enum")),
        }
    }
}
