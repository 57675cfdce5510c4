//! Numbers, truth values, characters and Unit.

use std::borrow::Cow;

use crate::decode::{DecodeError, Decoder, FromJava};
use crate::encode::{EncodeError, Encoder, Level, ToJava};
use crate::ids::Scala;
use crate::object::Value;

/// Takes a number or truth value out of its box.
fn unboxed(value: Value, input: &Decoder<'_>) -> Value {
    const BOXES: [&str; 8] = [
        "java.lang.Boolean",
        "java.lang.Byte",
        "java.lang.Character",
        "java.lang.Short",
        "java.lang.Integer",
        "java.lang.Long",
        "java.lang.Float",
        "java.lang.Double",
    ];
    let object = input
        .graph()
        .instance(value)
        .filter(|object| BOXES.contains(&object.class_name()));
    object.and_then(|object| object.field("value")).unwrap_or(value)
}

macro_rules! integers {
    ($($rust:ty => $java:ident, $descriptor:literal, $class:literal;)*) => {$(
        impl ToJava for $rust {
            fn descriptor(_: Scala) -> Cow<'static, str> {
                Cow::Borrowed($descriptor)
            }

            fn to_java(&self, _: &mut Encoder<'_>) -> Result<Value, EncodeError> {
                (*self).try_into().map(Value::$java).map_err(|_| EncodeError::OutOfRange {
                    value: self.to_string(),
                    class: $class,
                })
            }
        }

        /// Reads an integer of any width that holds a number in range.
        impl FromJava for $rust {
            fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let plain = unboxed(value, input);
                let number = plain.integer().ok_or_else(|| input.expected(value, $class))?;
                number.try_into().map_err(|_| DecodeError::OutOfRange {
                    value: number.to_string(),
                    into: stringify!($rust),
                })
            }
        }
    )*};
}

integers! {
    i8 => Byte, "B", "java.lang.Byte";
    i16 => Short, "S", "java.lang.Short";
    i32 => Int, "I", "java.lang.Integer";
    i64 => Long, "J", "java.lang.Long";
    u8 => Short, "S", "java.lang.Short";
    u16 => Int, "I", "java.lang.Integer";
    u32 => Long, "J", "java.lang.Long";
    u64 => Long, "J", "java.lang.Long";
}

macro_rules! floats {
    ($($rust:ty => $java:ident, $descriptor:literal, $class:literal;)*) => {$(
        impl ToJava for $rust {
            fn descriptor(_: Scala) -> Cow<'static, str> {
                Cow::Borrowed($descriptor)
            }

            fn to_java(&self, _: &mut Encoder<'_>) -> Result<Value, EncodeError> {
                Ok(Value::$java(*self))
            }
        }

        impl FromJava for $rust {
            fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                match unboxed(value, input) {
                    Value::$java(number) => Ok(number),
                    _ => Err(input.expected(value, $class)),
                }
            }
        }
    )*};
}

floats! {
    f32 => Float, "F", "java.lang.Float";
    f64 => Double, "D", "java.lang.Double";
    bool => Boolean, "Z", "java.lang.Boolean";
}

impl ToJava for char {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("C")
    }

    fn to_java(&self, _: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        u16::try_from(u32::from(*self))
            .map(Value::Char)
            .map_err(|_| EncodeError::OutOfRange {
                value: format!("{self:?}"),
                class: "java.lang.Character",
            })
    }
}

impl FromJava for char {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match unboxed(value, input) {
            Value::Char(unit) => Self::from_u32(unit.into()).ok_or_else(|| DecodeError::OutOfRange {
                value: format!("{unit:#06x}"),
                into: "char",
            }),
            _ => Err(input.expected(value, "java.lang.Character")),
        }
    }
}

/// Scala's Unit, where it must be an object: `scala.runtime.BoxedUnit`.
impl ToJava for () {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Lscala/runtime/BoxedUnit;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        const CLASS: &str = "scala.runtime.BoxedUnit";
        Ok(out.singleton(CLASS.to_owned(), |out| {
            out.instance(vec![Level::new(CLASS).fixed(8405543498931817370)])
        }))
    }
}

impl FromJava for () {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.class(value) {
            Some("scala.runtime.BoxedUnit") => Ok(()),
            _ => Err(input.expected(value, "scala.runtime.BoxedUnit")),
        }
    }
}
