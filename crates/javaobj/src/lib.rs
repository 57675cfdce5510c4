//! Java Object Serialization streams to values and typed Rust structs and back.
#![forbid(unsafe_code)]

mod class;
pub mod fuzz;
mod graph;
mod limits;
mod object;
mod read_error;
mod reader;
mod string;
mod tag;
mod tree;
mod writer;

pub use class::{ClassDesc, ClassFlags, ClassKind, Field, FieldKind};
pub use graph::{ClassId, Graph, InstanceRef, ObjectId};
pub use limits::{Limit, Limits};
pub use object::{Array, Content, Elements, Instance, Item, Object, Part, Value};
pub use read_error::ReadError;
pub use string::JavaString;
pub use writer::WriteError;
