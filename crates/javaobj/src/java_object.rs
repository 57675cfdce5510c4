//! Structs that stand for a Java class.

use crate::decode::{DecodeError, Decoder};
use crate::encode::{EncodeError, Encoder, Level};
use crate::graph::InstanceRef;
use crate::object::Value;

/// A Rust struct that stands for a Java class; `#[derive(JavaObject)]` implements it.
///
/// Beside [`ToJava`](crate::ToJava) and [`FromJava`](crate::FromJava), which are about whole objects, this is about the
/// part of an object that belongs to one class and those above it, so that a struct can contain its superclass.
pub trait JavaObject: Sized {
    /// The class's name.
    const CLASS: &'static str;

    /// Appends the data of the superclasses and then those of this class.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError`] when Java has no such value.
    fn levels(&self, out: &mut Encoder<'_>, levels: &mut Vec<Level<'static>>) -> Result<(), EncodeError>;

    /// Makes the struct of an object of this class or one below it.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError`] when a field is missing or holds something else.
    fn from_object(object: &InstanceRef<'_>, input: &mut Decoder<'_>) -> Result<Self, DecodeError>;

    /// Tells whether a value is an object of this class or one below it.
    fn accepts(value: Value, input: &Decoder<'_>) -> bool {
        input.module(value) == Some(Self::CLASS)
            || input
                .graph()
                .instance(value)
                .is_some_and(|object| object.is_a(Self::CLASS))
    }
}
