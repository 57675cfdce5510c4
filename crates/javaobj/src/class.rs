//! Class descriptors: what a stream says about a class before it shows the first object of it.

use std::fmt;

use crate::graph::{ClassId, ObjectId};
use crate::object::Item;

/// A class descriptor.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassDesc {
    /// What kind of class it is, with what only that kind has.
    pub kind: ClassKind,
    /// What the stream's writer added to the descriptor (`annotateClass`); empty in Spark's streams.
    pub annotation: Vec<Item>,
    /// The nearest serialisable superclass.
    pub super_class: Option<ClassId>,
}

/// An ordinary class, or a proxy class that implements interfaces at run time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ClassKind {
    /// A class with a name and fields.
    Plain {
        /// The name as `Class.getName` gives it: `java.lang.String`, `[I`, `[Ljava.lang.Object;`.
        name: String,
        /// The `serialVersionUID`.
        uid: i64,
        /// How objects of this class are written.
        flags: ClassFlags,
        /// The class's own fields, without those of its superclasses, in the order of the data.
        fields: Vec<Field>,
    },
    /// A class made by `java.lang.reflect.Proxy`.
    Proxy {
        /// The names of the interfaces.
        interfaces: Vec<String>,
    },
}

impl ClassDesc {
    /// Makes the descriptor of a class without fields and superclass.
    pub fn new(name: impl Into<String>, uid: i64, flags: ClassFlags) -> Self {
        Self {
            kind: ClassKind::Plain {
                name: name.into(),
                uid,
                flags,
                fields: Vec::new(),
            },
            annotation: Vec::new(),
            super_class: None,
        }
    }

    /// Returns the name; that of a proxy class is `java.lang.reflect.Proxy`, since it has none of its own.
    pub fn name(&self) -> &str {
        match &self.kind {
            ClassKind::Plain { name, .. } => name,
            ClassKind::Proxy { .. } => PROXY,
        }
    }

    /// Returns the `serialVersionUID`; that of a proxy class is 0.
    pub fn uid(&self) -> i64 {
        match self.kind {
            ClassKind::Plain { uid, .. } => uid,
            ClassKind::Proxy { .. } => 0,
        }
    }

    /// Returns how objects are written; a proxy class is serialisable and adds nothing.
    pub fn flags(&self) -> ClassFlags {
        match self.kind {
            ClassKind::Plain { flags, .. } => flags,
            ClassKind::Proxy { .. } => ClassFlags::SERIALIZABLE,
        }
    }

    /// Tells whether the fields' values stand in the stream; the class's `writeObject` may leave them out.
    ///
    /// A stream does not say so, and a JVM knows it only because it has the class. So the few classes that do it are
    /// known here by name and id.
    pub fn writes_fields(&self) -> bool {
        self.flags().is_serializable() && !SILENT.contains(&(self.name(), self.uid()))
    }

    /// Returns the class's own fields.
    pub fn fields(&self) -> &[Field] {
        match &self.kind {
            ClassKind::Plain { fields, .. } => fields,
            ClassKind::Proxy { .. } => &[],
        }
    }
}

/// Classes that have fields and do not write them. Those of Spark 3, with Scala 2.12.
const SILENT: [(&str, i64); 1] = [("scala.collection.mutable.ListBuffer", 3419063961353022662)];

const PROXY: &str = "java.lang.reflect.Proxy";

/// A field of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
    /// For objects and arrays: the string object with the type's descriptor, such as `Ljava/lang/String;`.
    pub type_name: Option<ObjectId>,
}

/// What a field holds, by the letter that stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// `byte`
    Byte = b'B' as isize,
    /// `char`
    Char = b'C' as isize,
    /// `double`
    Double = b'D' as isize,
    /// `float`
    Float = b'F' as isize,
    /// `int`
    Int = b'I' as isize,
    /// `long`
    Long = b'J' as isize,
    /// `short`
    Short = b'S' as isize,
    /// `boolean`
    Boolean = b'Z' as isize,
    /// An object that is no array.
    Object = b'L' as isize,
    /// An array.
    Array = b'[' as isize,
}

impl FieldKind {
    /// Returns the kind that `code` stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            b'B' => Self::Byte,
            b'C' => Self::Char,
            b'D' => Self::Double,
            b'F' => Self::Float,
            b'I' => Self::Int,
            b'J' => Self::Long,
            b'S' => Self::Short,
            b'Z' => Self::Boolean,
            b'L' => Self::Object,
            b'[' => Self::Array,
            _ => return None,
        })
    }

    /// Returns the letter.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Tells whether the field holds no object.
    pub fn is_primitive(self) -> bool {
        !matches!(self, Self::Object | Self::Array)
    }
}

/// How objects of a class are written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClassFlags(pub u8);

impl ClassFlags {
    /// `Serializable`, without a `writeObject` of its own.
    pub const SERIALIZABLE: Self = Self(0x02);
    /// `Serializable` with a `writeObject`, whose data follow the fields.
    pub const WRITE_OBJECT: Self = Self(0x03);
    /// `Externalizable`, all data in blocks.
    pub const EXTERNALIZABLE: Self = Self(0x0c);
    /// A Java enum.
    pub const ENUM: Self = Self(0x12);
    /// Neither: the class can be named, but no object of it written.
    pub const NONE: Self = Self(0);

    /// Tells whether fields are written.
    pub fn is_serializable(self) -> bool {
        self.0 & 0x02 != 0
    }

    /// Tells whether the class writes everything itself.
    pub fn is_externalizable(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// Tells whether the class is a Java enum.
    pub fn is_enum(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// Tells whether blocks and objects up to an end mark follow the fields.
    pub fn has_annotation(self) -> bool {
        self.is_externalizable() || self.is_serializable() && self.0 & 0x01 != 0
    }

    /// Tells whether data of this class have an end that can be seen without knowing the class.
    pub(crate) fn is_delimited(self) -> bool {
        !self.is_externalizable() || self.0 & 0x08 != 0
    }
}

impl fmt::Debug for ClassFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClassFlags({:#04x})", self.0)
    }
}
