//! Options, null, and pointers that Java does not see.

use std::borrow::Cow;
use std::sync::Arc;

use crate::decode::{DecodeError, Decoder, FromJava};
use crate::encode::{EncodeError, Encoder, Level, ToJava};
use crate::ids::Scala;
use crate::object::Value;

const OPTION: &str = "scala.Option";
const OPTION_UID: i64 = -114498752079829388;

/// Scala's `Option`; for a reference that may be null there is [`Nullable`].
impl<T: ToJava> ToJava for Option<T> {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Lscala/Option;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        let option = Level::new(OPTION).fixed(OPTION_UID);
        match self {
            None => Ok(out.module_of(vec![option, Level::new("scala.None$").fixed(5066590221178148012)])),
            Some(value) => {
                let value = out.object(value)?;
                let some = Level::new("scala.Some").fixed(1234815782226070388);
                Ok(out.instance(vec![option, some.with("value", "Ljava/lang/Object;", value)]))
            }
        }
    }
}

impl<T: FromJava> FromJava for Option<T> {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.class(value) {
            Some("scala.Some") => {
                let some = input.instance(value, OPTION)?;
                input.field(&some, "scala.Some", "value").map(Some)
            }
            Some("scala.None$") => Ok(None),
            _ => Err(input.expected(value, OPTION)),
        }
    }
}

/// A reference that may be null, which Rust's own `Option` is not here: that one is Scala's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Nullable<T>(
    /// What it refers to.
    pub Option<T>,
);

impl<T: ToJava> ToJava for Nullable<T> {
    /// That of the box for numbers and truth values, since no others can be null.
    fn descriptor(scala: Scala) -> Cow<'static, str> {
        let plain = T::descriptor(scala);
        Cow::Borrowed(match &*plain {
            "Z" => "Ljava/lang/Boolean;",
            "B" => "Ljava/lang/Byte;",
            "C" => "Ljava/lang/Character;",
            "S" => "Ljava/lang/Short;",
            "I" => "Ljava/lang/Integer;",
            "J" => "Ljava/lang/Long;",
            "F" => "Ljava/lang/Float;",
            "D" => "Ljava/lang/Double;",
            _ => return plain,
        })
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        match &self.0 {
            Some(value) => out.object(value),
            None => Ok(Value::Null),
        }
    }
}

impl<T: FromJava> FromJava for Nullable<T> {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match value {
            Value::Null => Ok(Self(None)),
            value => input.decode(value).map(|value| Self(Some(value))),
        }
    }
}

/// Scala's `Either`, the right side being the good one.
impl<T: ToJava, E: ToJava> ToJava for Result<T, E> {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Lscala/util/Either;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        let (class, value) = match self {
            Ok(value) => ("scala.util.Right", out.object(value)?),
            Err(value) => ("scala.util.Left", out.object(value)?),
        };
        let side = Level::new(class).with("value", "Ljava/lang/Object;", value);
        Ok(out.instance(vec![Level::new("scala.util.Either"), side]))
    }
}

impl<T: FromJava, E: FromJava> FromJava for Result<T, E> {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let either = input.instance(value, "scala.util.Either")?;
        match either.class_name() {
            "scala.util.Right" => input.field(&either, "scala.util.Right", "value").map(Ok),
            "scala.util.Left" => input.field(&either, "scala.util.Left", "value").map(Err),
            _ => Err(input.expected(value, "scala.util.Either")),
        }
    }
}

macro_rules! pointers {
    ($($pointer:ident),*) => {$(
        impl<T: ToJava> ToJava for $pointer<T> {
            fn descriptor(scala: Scala) -> Cow<'static, str> {
                T::descriptor(scala)
            }

            fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
                T::to_java(self, out)
            }
        }

        impl<T: FromJava> FromJava for $pointer<T> {
            fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                // Through the decoder, so that a type which contains itself is counted level by level.
                input.decode(value).map($pointer::new)
            }
        }
    )*};
}

pointers!(Box, Arc);

impl<T: ToJava + ?Sized> ToJava for &T {
    fn descriptor(scala: Scala) -> Cow<'static, str> {
        T::descriptor(scala)
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        T::to_java(self, out)
    }
}
