//! Java Object Serialization streams to values and typed Rust structs and back.

#![forbid(unsafe_code)]

mod class;
mod decode;
mod encode;
pub mod fuzz;
mod graph;
mod ids;
mod limits;
mod object;
mod read_error;
mod reader;
mod shapes;
mod string;
mod tag;
mod tree;
mod writer;

pub use class::{ClassDesc, ClassFlags, ClassKind, Field, FieldKind};
pub use decode::{DecodeError, Decoder, FromJava, from_bytes, from_graph};
pub use encode::{EncodeError, Encoder, Level, LevelField, ToJava, to_bytes, to_graph};
pub use graph::{ClassId, Graph, InstanceRef, ObjectId};
pub use ids::{ClassInfo, ClassTable, FieldInfo, Profile, Refusal, Scala};
pub use limits::{Limit, Limits};
pub use object::{Array, Content, Elements, Instance, Item, Object, Part, Value};
pub use read_error::ReadError;
pub use shapes::{
    Any, FiniteDuration, JavaArray, JavaEnum, JavaList, NegativeDuration, Nullable, ScalaVector, TimeUnit,
};
pub use string::JavaString;
pub use writer::WriteError;
