//! Java's own types as fields of messages.

use std::borrow::Cow;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use spark_rpc_javaobj::{
    DecodeError, Decoder, EncodeError, Encoder, FromJava, JavaArray, JavaDate, JavaObject, Scala, Throwable,
    ToJava, Value,
};

/// A Java array of objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Array<T>(pub Vec<T>);

impl<T> Default for Array<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: ToJava> ToJava for Array<T> {
    fn descriptor(scala: Scala) -> Cow<'static, str> {
        JavaArray::<T>::descriptor(scala)
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        JavaArray::new(self.0.iter().collect::<Vec<_>>()).to_java(out)
    }
}

impl<T: FromJava> FromJava for Array<T> {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input
            .decode(value)
            .map(|array: JavaArray<T>| Self(array.elements))
    }
}

/// `java.util.Date`: a point in time by the clock of whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp {
    /// Milliseconds since the beginning of 1970, UTC.
    pub millis: i64,
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        JavaDate {
            millis: timestamp.millis,
        }
        .into()
    }
}

impl ToJava for Timestamp {
    fn descriptor(scala: Scala) -> Cow<'static, str> {
        JavaDate::descriptor(scala)
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        JavaDate { millis: self.millis }.to_java(out)
    }
}

impl FromJava for Timestamp {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let JavaDate { millis } = input.decode(value)?;
        Ok(Self { millis })
    }
}

/// `java.net.URI`, as the text that it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject)]
#[java(class = "java.net.URI", uid = -6052424284110960213, write_object)]
pub struct Uri {
    /// The text.
    pub string: String,
}

/// An exception that travels as a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The class.
    pub class: String,
    /// The message.
    pub message: Option<String>,
}

impl ToJava for Exception {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Ljava/lang/Exception;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        let throwable = Throwable {
            message: self.message.clone(),
            ..Throwable::new(&self.class, "")
        };
        throwable.to_java(out)
    }
}

impl FromJava for Exception {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let Throwable { class, message, .. } = input.decode(value)?;
        Ok(Self { class, message })
    }
}
