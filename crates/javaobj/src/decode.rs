//! A graph to Rust values.

use bytes::Bytes;

use crate::graph::{Graph, InstanceRef};
use crate::limits::{Limit, Limits};
use crate::object::{Object, Value};
use crate::read_error::ReadError;

/// A Rust value that can be made of a Java object.
///
/// `#[derive(JavaObject)]` implements it for structs and enums; see the [crate's page](crate) for the types that have
/// it already. Ids of classes do not matter when reading, and neither do fields and superclasses that nobody asks for.
pub trait FromJava: Sized {
    /// Makes the value; use [`Decoder::decode`] for what lies inside it.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError`] when the object is another one.
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError>;

    /// Tells whether this is what a value is meant for, so that a wrong field in it is an error and not another type.
    ///
    /// Derived types look at the class. The default tries to make the value.
    fn matches(value: Value, input: &Decoder<'_>) -> bool {
        Decoder::new(input.graph(), &input.limits)
            .decode::<Self>(value)
            .is_ok()
    }
}

/// Why no Rust value can be made of a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are no stream.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is another object than the wanted one.
    #[error("{expected} is expected, not {found}")]
    Expected {
        /// What is wanted.
        expected: String,
        /// The class of what is there.
        found: String,
    },
    /// The class has no field of this name.
    #[error("{class} has no field {field}")]
    MissingField {
        /// The class.
        class: String,
        /// The field.
        field: String,
    },
    /// Something is wrong inside a field.
    #[error("in field {field} of {class}: {source}")]
    InField {
        /// The class.
        class: String,
        /// The field.
        field: String,
        /// What is wrong there.
        source: Box<Self>,
    },
    /// A collection that contradicts itself.
    #[error("a damaged {class}: {what}")]
    Damaged {
        /// The class.
        class: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A number beyond what the Rust type holds.
    #[error("{value} does not fit into {into}")]
    OutOfRange {
        /// The number.
        value: String,
        /// The Rust type.
        into: &'static str,
    },
    /// More than the limits allow.
    #[error("more than {max} {limit}")]
    LimitExceeded {
        /// What there is too much of.
        limit: Limit,
        /// How much of it is accepted.
        max: usize,
    },
}

/// Reads the first object of a stream as a Rust value; bytes behind it are ignored, as a JVM does.
///
/// # Errors
///
/// Returns [`DecodeError`] when the bytes are no stream, or hold something else.
pub fn from_bytes<T: FromJava>(bytes: &Bytes, limits: &Limits) -> Result<T, DecodeError> {
    let (graph, _) = Graph::read_first(bytes, limits)?;
    from_graph(&graph, limits)
}

/// Makes a Rust value of the first object of a graph.
///
/// # Errors
///
/// Returns [`DecodeError`] when the graph holds something else.
pub fn from_graph<T: FromJava>(graph: &Graph, limits: &Limits) -> Result<T, DecodeError> {
    let root = graph.root().ok_or(ReadError::Empty)?;
    Decoder::new(graph, limits).decode(root)
}

/// Makes Rust values of the objects of a graph, within limits.
#[derive(Debug)]
pub struct Decoder<'g> {
    graph: &'g Graph,
    limits: Limits,
    depth: usize,
    memory: usize,
}

/// What a conversion is counted for beside the bytes of strings and arrays.
const STEP_COST: usize = 64;

impl<'g> Decoder<'g> {
    /// Begins with an unused budget.
    pub fn new(graph: &'g Graph, limits: &Limits) -> Self {
        Self {
            graph,
            limits: *limits,
            depth: 0,
            memory: limits.memory,
        }
    }

    /// Returns the graph.
    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// Makes a Rust value of an object, one level deeper.
    ///
    /// # Errors
    ///
    /// As [`FromJava::from_java`].
    pub fn decode<T: FromJava>(&mut self, value: Value) -> Result<T, DecodeError> {
        self.charge(STEP_COST)?;
        if self.depth == self.limits.depth {
            return Err(DecodeError::LimitExceeded {
                limit: Limit::Depth,
                max: self.limits.depth,
            });
        }
        self.depth += 1;
        let result = T::from_java(value, self);
        self.depth -= 1;
        result
    }

    /// Makes Rust values of objects.
    ///
    /// # Errors
    ///
    /// As [`FromJava::from_java`].
    pub fn decode_all<T: FromJava, C: FromIterator<T>>(
        &mut self,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<C, DecodeError> {
        values.into_iter().map(|value| self.decode(value)).collect()
    }

    /// Makes a Rust value of a field that `class` declares, or another class of the hierarchy.
    ///
    /// # Errors
    ///
    /// As [`FromJava::from_java`], and [`DecodeError::MissingField`].
    pub fn field<T: FromJava>(
        &mut self,
        object: &InstanceRef<'_>,
        class: &str,
        field: &str,
    ) -> Result<T, DecodeError> {
        match self.field_if_any(object, class, field)? {
            Some(value) => Ok(value),
            None => Err(DecodeError::MissingField {
                class: object.class_name().to_owned(),
                field: field.to_owned(),
            }),
        }
    }

    /// The same for a field that may be absent, as in another version of the class.
    ///
    /// # Errors
    ///
    /// As [`FromJava::from_java`].
    pub fn field_if_any<T: FromJava>(
        &mut self,
        object: &InstanceRef<'_>,
        class: &str,
        field: &str,
    ) -> Result<Option<T>, DecodeError> {
        let value = object.field_of(class, field).or_else(|| object.field(field));
        value
            .map(|value| self.decode(value))
            .transpose()
            .map_err(|source| DecodeError::InField {
                class: object.class_name().to_owned(),
                field: field.to_owned(),
                source: Box::new(source),
            })
    }

    /// Returns a value as an object with fields.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::Expected`] when it is none; `expected` goes into its text.
    pub fn instance(&self, value: Value, expected: &str) -> Result<InstanceRef<'g>, DecodeError> {
        self.graph
            .instance(value)
            .ok_or_else(|| self.expected(value, expected))
    }

    /// Returns the class of a Scala object, in the forms of both versions: itself, or a proxy that names it.
    pub fn module(&self, value: Value) -> Option<&'g str> {
        let object = self.graph.instance(value)?;
        if object.class_name() != "scala.runtime.ModuleSerializationProxy" {
            return Some(object.class_name()).filter(|name| name.ends_with('$'));
        }
        match self.graph.object(object.field("moduleClass")?)? {
            Object::Class(class) => Some(self.graph[*class].name()),
            _ => None,
        }
    }

    /// Returns the class by which a value is told from others: that of the module for a proxy.
    pub fn class(&self, value: Value) -> Option<&'g str> {
        self.module(value).or_else(|| self.graph.class_name(value))
    }

    /// Counts memory that is about to be taken.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::LimitExceeded`] when it is too much.
    pub fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.memory = self.memory.checked_sub(bytes).ok_or(DecodeError::LimitExceeded {
            limit: Limit::Memory,
            max: self.limits.memory,
        })?;
        Ok(())
    }

    /// Makes the error for a value that is not the expected one.
    pub fn expected(&self, value: Value, expected: &str) -> DecodeError {
        DecodeError::Expected {
            expected: expected.to_owned(),
            found: match value {
                Value::Null => "null",
                Value::Object(_) => self.class(value).unwrap_or("an object"),
                Value::Descriptor(_) => "a class descriptor",
                Value::Boolean(_) => "a boolean",
                Value::Byte(_) => "a byte",
                Value::Char(_) => "a char",
                Value::Short(_) => "a short",
                Value::Int(_) => "an int",
                Value::Long(_) => "a long",
                Value::Float(_) => "a float",
                Value::Double(_) => "a double",
            }
            .to_owned(),
        }
    }
}
