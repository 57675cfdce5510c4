//! Any Java object, when its class does not matter or is not known.

use crate::decode::{DecodeError, Decoder, FromJava};
use crate::encode::{EncodeError, Encoder, ToJava};
use crate::graph::Graph;
use crate::object::{Content, Value};
use std::fmt;

/// Any Java object or `null`, with all that it leads to.
///
/// It can be looked at with [`Graph`]'s functions, printed, and sent on as it came, with the ids that it came with.
#[derive(Debug, Clone, PartialEq)]
pub struct Any {
    graph: Graph,
    value: Value,
}

impl Any {
    /// Takes the first object of a graph.
    pub fn of(graph: Graph) -> Option<Self> {
        let value = graph.root()?;
        Some(Self { graph, value })
    }

    /// Returns the objects.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Returns the object.
    pub fn value(&self) -> Value {
        self.value
    }

    /// Returns the name of its class.
    pub fn class_name(&self) -> Option<&str> {
        self.graph.class_name(self.value)
    }
}

impl fmt::Display for Any {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.graph, f)
    }
}

impl ToJava for Any {
    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        Ok(out.graph().import(&self.graph, self.value))
    }
}

impl FromJava for Any {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut graph = Graph::new();
        let value = graph.import(input.graph(), value);
        // Copied first and counted afterwards: a single copy is never larger than what has been read within limits.
        input.charge(graph.weight())?;
        graph.push(Content::Value(value));
        Ok(Self { graph, value })
    }

    fn matches(_: Value, _: &Decoder<'_>) -> bool {
        true
    }
}
