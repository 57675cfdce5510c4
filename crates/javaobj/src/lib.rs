//! Java Object Serialization streams to values and typed Rust structs and back.

#![forbid(unsafe_code)]

// The derive macro names this crate as others do.
extern crate self as spark_rpc_javaobj;

mod class;
mod decode;
mod encode;
pub mod fuzz;
mod graph;
mod ids;
mod java_object;
mod limits;
mod object;
mod read_error;
mod reader;
mod shapes;
mod spark;
mod string;
mod tag;
mod throwable;
mod tree;
mod writer;

pub use class::{ClassDesc, ClassFlags, ClassKind, Field, FieldKind};
pub use decode::{DecodeError, Decoder, FromJava, from_bytes, from_graph};
pub use encode::{EncodeError, Encoder, Level, LevelField, ToJava, to_bytes, to_graph};
pub use graph::{ClassId, Graph, InstanceRef, ObjectId};
pub use ids::{ClassInfo, ClassTable, FieldInfo, Profile, Refusal, Scala};
pub use java_object::JavaObject;
pub use limits::{Limit, Limits};
pub use object::{Array, Content, Elements, Instance, Item, Object, Part, Value};
pub use read_error::ReadError;
pub use shapes::{
    Any, FiniteDuration, JavaArray, JavaEnum, JavaList, NegativeDuration, Nullable, ScalaEnum, ScalaVector,
    TimeUnit,
};
pub use spark::{
    CheckExistence, NettyRpcEndpointRef, RpcAddress, RpcEndpointAddress, RpcEndpointRef, RpcFailure,
    RpcTimeout,
};
pub use spark_rpc_javaobj_derive::JavaObject;
pub use string::JavaString;
pub use throwable::{StackTraceElement, Throwable};
pub use writer::WriteError;
