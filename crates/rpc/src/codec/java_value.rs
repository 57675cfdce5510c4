//! Any Java object as a Rust value.

use std::fmt;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use spark_rpc_javaobj::{
    Any, DecodeError, Decoder, EncodeError, Encoder, FromJava, Graph, Limits, ToJava, Value,
};

/// Any Java object or `null`, as a message's field, a message or a reply.
///
/// For those who look at objects of unknown classes or pass them on. In the native codec it travels as the bytes of a
/// Java object stream.
#[derive(Clone, Debug, PartialEq)]
pub struct JavaValue(pub Any);

impl fmt::Display for JavaValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl ToJava for JavaValue {
    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        self.0.to_java(out)
    }
}

impl FromJava for JavaValue {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Any::from_java(value, input).map(Self)
    }

    fn matches(_: Value, _: &Decoder<'_>) -> bool {
        true
    }
}

impl Serialize for JavaValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.graph().write().map_err(S::Error::custom)?;
        bytes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JavaValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        let graph = Graph::read(&bytes, &Limits::default()).map_err(D::Error::custom)?;
        let any = Any::of(graph).ok_or_else(|| D::Error::custom("a Java object stream without an object"))?;
        Ok(Self(any))
    }
}

#[cfg(test)]
mod tests {
    use spark_rpc_javaobj::{ClassTable, to_graph};

    use super::*;

    #[test]
    fn it_travels_natively_too() {
        let graph = to_graph(&vec!["a".to_owned(), "b".to_owned()], &ClassTable::default()).unwrap();
        let value = JavaValue(Any::of(graph).unwrap());
        let bytes = postcard::to_allocvec(&value).unwrap();
        assert_eq!(
            postcard::from_bytes::<JavaValue>(&bytes).unwrap().to_string(),
            value.to_string()
        );
        assert!(postcard::from_bytes::<JavaValue>(&[2, 0xac, 0xed]).is_err());
    }
}
