//! Values of Scala's `Enumeration`.

use std::borrow::Cow;

use crate::decode::{DecodeError, Decoder, FromJava};
use crate::encode::{EncodeError, Encoder, ToJava};
use crate::ids::Scala;
use crate::object::Value;

/// A value of a Scala `Enumeration`, such as Spark's `WorkerState.ALIVE`, by its number.
///
/// Names do not travel, unless the Scala program gave them explicitly; an enum with
/// `#[java(scala_enum = "…")]` knows them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScalaEnum {
    /// The class of the enumeration, which ends with `$`.
    pub module: String,
    /// The value's number.
    pub id: i32,
}

impl ToJava for ScalaEnum {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Lscala/Enumeration$Value;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        Ok(out.enumeration_value(&self.module, self.id))
    }
}

impl FromJava for ScalaEnum {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        const VALUE: &str = "scala.Enumeration$Value";
        const VAL: &str = "scala.Enumeration$Val";
        let object = input.instance(value, VALUE)?;
        let outer = object
            .field_of(VALUE, "$outer")
            .or_else(|| object.field_of(VALUE, "scala$Enumeration$$outerEnum"));
        let module = outer.and_then(|outer| input.module(outer));
        match module {
            Some(module) if object.is_a(VAL) => Ok(Self {
                module: module.to_owned(),
                id: input.field(&object, VAL, "i")?,
            }),
            _ => Err(input.expected(value, VALUE)),
        }
    }
}
