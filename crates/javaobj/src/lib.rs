//! Java Object Serialization streams to values and typed Rust structs and back, without a JVM.
//!
//! Java programs, Spark's among them, write their objects in a format of their own (it begins with `ac ed 00 05`). This
//! crate reads and writes it. There are two levels; the second is built on the first.
//!
//! # Any stream: [`Graph`]
//!
//! A [`Graph`] is a whole stream: its objects, the descriptors of their classes, and what stands at the top level. Objects
//! refer to each other by [`ObjectId`], so shared objects and circles need no care. Nothing must be known of a class to read
//! it; `Display` prints the whole as a tree; and what was read is written again byte for byte.
//!
//! ```
//! use spark_rpc_javaobj::{Graph, Limits, Value};
//!
//! // new Point(3, 4), of a class that only its writer knows
//! let bytes = b"\xac\xed\0\x05sr\0\x05Point\0\0\0\0\0\0\0\x01\x02\0\x02I\0\x01xI\0\x01yxp\0\0\0\x03\0\0\0\x04";
//! let graph = Graph::read(bytes, &Limits::default())?;
//! let point = graph.instance(graph.root().unwrap()).unwrap();
//! assert_eq!(point.class_name(), "Point");
//! assert_eq!(point.field("x"), Some(Value::Int(3)));
//! assert_eq!(graph.to_string(), "Point {\n  x: 3\n  y: 4\n}");
//! assert_eq!(graph.write()?, bytes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Known classes: `#[derive(JavaObject)]`
//!
//! A struct stands for a class, field by field; [`to_bytes`] and [`from_bytes`] do the rest. An enum stands for several
//! classes, for a Java enum or for a Scala `Enumeration`. All attributes are in the table of the
//! [derive macro](derive@JavaObject).
//!
//! ```
//! use spark_rpc_javaobj::{Any, ClassTable, JavaObject, Limits, from_bytes, to_bytes};
//!
//! #[derive(Debug, PartialEq, JavaObject)]
//! enum Message {
//!     /// case class KillExecutor(masterUrl: String, appId: String, execId: Int)
//!     #[java(class = "org.apache.spark.deploy.DeployMessages$KillExecutor")]
//!     KillExecutor { master_url: String, app_id: String, exec_id: i32 },
//!     /// case object RequestMasterState
//!     #[java(class = "org.apache.spark.deploy.DeployMessages$RequestMasterState$", module)]
//!     RequestMasterState,
//!     /// Whatever else there is: to look at, print, or send on.
//!     #[java(other)]
//!     Other(Any),
//! }
//!
//! let kill = Message::KillExecutor {
//!     master_url: "spark://h:7077".to_owned(),
//!     app_id: "app-1".to_owned(),
//!     exec_id: 3,
//! };
//! let table = ClassTable::default();
//! for message in [kill, Message::RequestMasterState] {
//!     let bytes = to_bytes(&message, &table)?.into();
//!     assert_eq!(from_bytes::<Message>(&bytes, &Limits::default())?, message);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! These types are there already:
//!
//! | Rust | written as | read from |
//! | --- | --- | --- |
//! | `bool`, `i8` … `i64`, `f32`, `f64`, `char` | the primitive; in a box where an object is needed | the same; integers of any width |
//! | `u8`, `u16`, `u32`, `u64` | the next larger signed type, `u64` as `long` | integers of any width |
//! | `()` | `scala.runtime.BoxedUnit` | the same |
//! | [`String`], [`JavaString`] | `String` | the same |
//! | [`Option`] | `scala.Option` | the same |
//! | [`Nullable`], or `#[java(nullable)]` | the value or `null` | the same |
//! | `Result` | `scala.util.Either` | the same |
//! | tuples up to six | `scala.Tuple2` … | the same, also specialised for numbers |
//! | [`Vec`] | Scala's `List` | sequences and sets of Scala 2.12, 2.13 and `java.util`, and arrays |
//! | [`ScalaVector`], [`JavaList`], [`JavaArray`] | `Vector`, `ArrayList`, an array | as `Vec`; arrays only |
//! | [`bytes::Bytes`] | `byte[]` (a `Vec<u8>` is a list of numbers) | the same, without a copy |
//! | `HashSet`, `BTreeSet` | Scala's immutable `Set` | as `Vec` |
//! | `HashMap`, `BTreeMap` | Scala's immutable `Map` | maps of Scala 2.12, 2.13 and `java.util` |
//! | [`std::time::Duration`], [`FiniteDuration`] | `FiniteDuration` | the same |
//! | [`JavaDate`] | `java.util.Date` | the same, and classes below it |
//! | [`JavaEnum`], [`ScalaEnum`] | a constant, by name or number | the same |
//! | [`Throwable`] | an exception | any exception |
//! | [`Any`] | what it was read from | anything |
//!
//! and of Spark [`RpcAddress`], [`NettyRpcEndpointRef`], [`RpcFailure`] and what they are made of.
//!
//! # Class ids: [`ClassTable`]
//!
//! Each class has a number, the `serialVersionUID`. A JVM refuses an object whose class has another one than its own, and
//! most of Spark's classes have another in each version. This crate accepts any when it reads. To write, it needs to know
//! the peer: a [`ClassTable`] begins with the [`Profile`] of a Spark version, follows what the peer
//! [sends](ClassTable::observe), and learns from [what it refuses](Refusal). It also says how Scala's values are written: the
//! forms differ between Scala 2.12 (Spark 3) and 2.13 (Spark 4), as does the set of a class's fields between versions.
//!
//! # Bytes from strangers
//!
//! Reading builds data and never runs anything, so there are no gadgets to be afraid of. [`Limits`] bound depth, objects,
//! strings, arrays and memory, both for the graph and for the Rust values made of it; nothing is reserved for a length that
//! is only announced, and nothing takes longer than the limits allow. What is wrong comes back as a [`ReadError`] or a [`DecodeError`]
//! and never as a panic.
//!
//! # What a stream cannot say
//!
//! * A class with a `writeObject` of its own may leave its fields out, or write something before them. That is invisible in
//!   the stream; the one class of Scala's library known to do so is known [by name](ClassDesc::writes_fields).
//! * Blocks and strings that use a longer form than needed, which no JVM writes, are read, but written in the short form.

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
    Any, FiniteDuration, JavaArray, JavaDate, JavaEnum, JavaList, NegativeDuration, Nullable, ScalaEnum,
    ScalaVector, TimeUnit,
};
pub use spark::{
    CheckExistence, NettyRpcEndpointRef, RpcAddress, RpcEndpointAddress, RpcEndpointRef, RpcFailure,
    RpcTimeout,
};
pub use spark_rpc_javaobj_derive::JavaObject;
pub use string::JavaString;
pub use throwable::{StackTraceElement, Throwable};
pub use writer::WriteError;
