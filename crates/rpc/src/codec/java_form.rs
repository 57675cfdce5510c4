//! How a Rust type is written as a Java object and read from one.

use std::fmt;

use spark_rpc_javaobj::{ClassTable, Decoder, FromJava, Graph, Limits, ToJava, Value, from_graph, to_bytes};

/// How a Rust type is written as a Java object and read from one.
///
/// Every type with [`ToJava`] and [`FromJava`] has one; `#[derive(RpcMessage)]` with `#[rpc(java)]` puts it into
/// [`RpcMessage::JAVA`](crate::RpcMessage::JAVA).
pub struct JavaForm<T> {
    pub(crate) write: fn(&T, &ClassTable) -> Result<Vec<u8>, spark_rpc_javaobj::EncodeError>,
    pub(crate) read: fn(&Graph, &Limits) -> Result<T, spark_rpc_javaobj::DecodeError>,
    pub(crate) matches: fn(Value, &Decoder<'_>) -> bool,
}

impl<T: ToJava + FromJava> JavaForm<T> {
    /// The type's form.
    pub const OF: Self = Self {
        write: to_bytes::<T>,
        read: from_graph::<T>,
        matches: T::matches,
    };
}

impl<T> fmt::Debug for JavaForm<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JavaForm<{}>", std::any::type_name::<T>())
    }
}
