//! What a stream is made of: values, objects, arrays, blocks of raw bytes.

use bytes::Bytes;

use crate::class::FieldKind;
use crate::graph::{ClassId, ObjectId};
use crate::string::JavaString;

/// What a field, an element or a place in the stream holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// An object, string, array, enum constant or class; the same id means the same object.
    Object(ObjectId),
    /// A class descriptor as a value of its own, which only programs write that deal in `ObjectStreamClass`.
    Descriptor(ClassId),
    /// `boolean`
    Boolean(bool),
    /// `byte`
    Byte(i8),
    /// `char`: a unit of UTF-16.
    Char(u16),
    /// `short`
    Short(i16),
    /// `int`
    Int(i32),
    /// `long`
    Long(i64),
    /// `float`
    Float(f32),
    /// `double`
    Double(f64),
}

impl Value {
    /// Returns what a field of this kind holds that nobody has set.
    pub fn default_of(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Boolean => Self::Boolean(false),
            FieldKind::Byte => Self::Byte(0),
            FieldKind::Char => Self::Char(0),
            FieldKind::Short => Self::Short(0),
            FieldKind::Int => Self::Int(0),
            FieldKind::Long => Self::Long(0),
            FieldKind::Float => Self::Float(0.0),
            FieldKind::Double => Self::Double(0.0),
            FieldKind::Object | FieldKind::Array => Self::Null,
        }
    }

    /// Returns an integer of any width.
    pub(crate) fn integer(self) -> Option<i64> {
        Some(match self {
            Self::Byte(number) => number.into(),
            Self::Short(number) => number.into(),
            Self::Int(number) => number.into(),
            Self::Long(number) => number,
            _ => return None,
        })
    }

    /// Tells whether a field of this kind can hold the value.
    pub fn fits(self, kind: FieldKind) -> bool {
        match self {
            Self::Null | Self::Object(_) | Self::Descriptor(_) => !kind.is_primitive(),
            Self::Boolean(_) => kind == FieldKind::Boolean,
            Self::Byte(_) => kind == FieldKind::Byte,
            Self::Char(_) => kind == FieldKind::Char,
            Self::Short(_) => kind == FieldKind::Short,
            Self::Int(_) => kind == FieldKind::Int,
            Self::Long(_) => kind == FieldKind::Long,
            Self::Float(_) => kind == FieldKind::Float,
            Self::Double(_) => kind == FieldKind::Double,
        }
    }
}

/// Everything that has an identity and can be referred to again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Object {
    /// An object with data for each class of its hierarchy.
    Instance(Instance),
    /// A string.
    String(JavaString),
    /// An array.
    Array(Array),
    /// A constant of a Java enum.
    Enum {
        /// The enum.
        class: ClassId,
        /// The string object with the constant's name.
        constant: ObjectId,
    },
    /// A `java.lang.Class`.
    Class(ClassId),
}

/// An object that is no string, array, enum constant or class.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// The object's class.
    pub class: ClassId,
    /// The data of each class of the hierarchy, superclasses first; of an externalizable class only its own.
    pub parts: Vec<Part>,
}

/// The data that one class of the hierarchy has in an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The class.
    pub class: ClassId,
    /// A value for each of the class's fields, in the descriptor's order; empty if the class
    /// [does not write them](crate::ClassDesc::writes_fields).
    pub fields: Vec<Value>,
    /// What the class's `writeObject` or `writeExternal` wrote beside the fields; empty for a class without it.
    pub annotation: Vec<Item>,
}

/// An array.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// The array's class, whose name begins with `[`.
    pub class: ClassId,
    /// The elements.
    pub elements: Elements,
}

/// The elements of an array, by their type.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    /// `boolean[]`
    Boolean(Vec<bool>),
    /// `byte[]`; shares the buffer that was read, where that was [`Bytes`].
    Byte(Bytes),
    /// `char[]`
    Char(Vec<u16>),
    /// `short[]`
    Short(Vec<i16>),
    /// `int[]`
    Int(Vec<i32>),
    /// `long[]`
    Long(Vec<i64>),
    /// `float[]`
    Float(Vec<f32>),
    /// `double[]`
    Double(Vec<f64>),
    /// Objects, and arrays in arrays.
    Object(Vec<Value>),
}

impl Elements {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Boolean(all) => all.len(),
            Self::Byte(all) => all.len(),
            Self::Char(all) => all.len(),
            Self::Short(all) => all.len(),
            Self::Int(all) => all.len(),
            Self::Long(all) => all.len(),
            Self::Float(all) => all.len(),
            Self::Double(all) => all.len(),
            Self::Object(all) => all.len(),
        }
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the element at `index`.
    pub fn get(&self, index: usize) -> Option<Value> {
        Some(match self {
            Self::Boolean(all) => Value::Boolean(*all.get(index)?),
            Self::Byte(all) => Value::Byte(*all.get(index)? as i8),
            Self::Char(all) => Value::Char(*all.get(index)?),
            Self::Short(all) => Value::Short(*all.get(index)?),
            Self::Int(all) => Value::Int(*all.get(index)?),
            Self::Long(all) => Value::Long(*all.get(index)?),
            Self::Float(all) => Value::Float(*all.get(index)?),
            Self::Double(all) => Value::Double(*all.get(index)?),
            Self::Object(all) => *all.get(index)?,
        })
    }

    /// Returns what kind of field could hold an element.
    pub fn kind(&self) -> FieldKind {
        match self {
            Self::Boolean(_) => FieldKind::Boolean,
            Self::Byte(_) => FieldKind::Byte,
            Self::Char(_) => FieldKind::Char,
            Self::Short(_) => FieldKind::Short,
            Self::Int(_) => FieldKind::Int,
            Self::Long(_) => FieldKind::Long,
            Self::Float(_) => FieldKind::Float,
            Self::Double(_) => FieldKind::Double,
            Self::Object(_) => FieldKind::Object,
        }
    }
}

/// A piece of what a class wrote by hand, or of an annotation.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Raw bytes. The borders between blocks are those of the stream, where a JVM begins a new one every 1024 bytes.
    Block(Bytes),
    /// An object or `null`.
    Value(Value),
}

/// A piece of the stream itself.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// Raw bytes.
    Block(Bytes),
    /// An object or `null`.
    Value(Value),
    /// From here on nothing refers back: what was written before is written in full again.
    Reset,
    /// The writer failed here and left its exception.
    Exception(Value),
}
