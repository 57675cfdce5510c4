//! Java's and Scala's own types, and the Rust types that stand for them.

mod any;
mod collections;
mod date;
mod duration;
mod enumeration;
mod maps;
mod option;
mod plain;
mod sequence;
mod text;
mod tuples;

pub use any::Any;
pub use collections::{JavaArray, JavaList, ScalaVector};
pub use date::JavaDate;
pub use duration::{FiniteDuration, NegativeDuration, TimeUnit};
pub use enumeration::ScalaEnum;
pub use option::Nullable;
pub use text::JavaEnum;
