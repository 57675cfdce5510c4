//! Scala's tuples.

use std::borrow::Cow;

use crate::decode::{DecodeError, Decoder, FromJava};
use crate::encode::{EncodeError, Encoder, Level, ToJava};
use crate::graph::InstanceRef;
use crate::ids::Scala;
use crate::object::Value;

macro_rules! tuples {
    ($($class:literal: $($name:ident $index:tt $field:literal),*;)*) => {$(
        impl<$($name: ToJava),*> ToJava for ($($name,)*) {
            fn descriptor(_: Scala) -> Cow<'static, str> {
                Cow::Borrowed(concat!("Lscala/", $class, ";"))
            }

            fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
                let tuple = Level::new(concat!("scala.", $class));
                $(let tuple = tuple.with($field, "Ljava/lang/Object;", out.object(&self.$index)?);)*
                Ok(out.instance(vec![tuple]))
            }
        }

        impl<$($name: FromJava),*> FromJava for ($($name,)*) {
            fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                const CLASS: &str = concat!("scala.", $class);
                let tuple = input.instance(value, CLASS)?;
                if !tuple.is_a(CLASS) {
                    return Err(input.expected(value, CLASS));
                }
                Ok(($(element(&tuple, $field, input)?,)*))
            }
        }
    )*};
}

tuples! {
    "Tuple1": A 0 "_1";
    "Tuple2": A 0 "_1", B 1 "_2";
    "Tuple3": A 0 "_1", B 1 "_2", C 2 "_3";
    "Tuple4": A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4";
    "Tuple5": A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5";
    "Tuple6": A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5", F 5 "_6";
}

/// Reads an element; in a class specialised for numbers it stands in a field of its own (`_1$mcI$sp`).
fn element<T: FromJava>(
    tuple: &InstanceRef<'_>,
    name: &str,
    input: &mut Decoder<'_>,
) -> Result<T, DecodeError> {
    if tuple.class_name().contains("$mc") {
        let prefix = format!("{name}$mc");
        let special = tuple.class().fields().iter();
        let special = special.map(|field| field.name.as_str());
        if let Some(special) = special.clone().find(|field| field.starts_with(&prefix)) {
            return input.field(tuple, tuple.class_name(), special);
        }
    }
    input.field(tuple, tuple.class_name(), name)
}
