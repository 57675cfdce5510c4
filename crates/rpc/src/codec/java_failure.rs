//! Failed replies as Spark's `RpcFailure` objects.

use spark_rpc_javaobj::{ClassTable, JavaObject, RpcFailure, Throwable, to_bytes};

use super::JavaForm;
use super::java::JavaContent;
use crate::error::{AskError, DecodeError, Failure};

/// Appends an `RpcFailure`; returns false for what Spark itself leaves to the transport, or if the peer might not be able to
/// read it.
///
/// An exception of a class whose id may be another at the peer would reach the asker as the failure to read it, without our
/// message. It becomes one that all JVMs have.
pub(super) fn write(failure: &Failure, table: &ClassTable, out: &mut Vec<u8>) -> bool {
    let error = match failure {
        Failure::EndpointNotFound { .. } | Failure::EnvStopped | Failure::Undecodable { .. } => return false,
        Failure::Handler { message } => Throwable::spark(message.clone()),
        Failure::Exception { class, message, .. } => Throwable {
            message: message.clone(),
            ..Throwable::new(class, "")
        },
        other => Throwable::spark(AskError::from(other.clone()).to_string()),
    };
    if !table.is_certain(RpcFailure::CLASS) {
        return false;
    }
    let error = if table.is_certain(&error.class) {
        error
    } else if error.class == SPARK_EXCEPTION {
        Throwable::new(RUNTIME_EXCEPTION, error.message.unwrap_or_default())
    } else {
        Throwable::new(RUNTIME_EXCEPTION, error.to_string())
    };
    let Ok(bytes) = to_bytes(&RpcFailure { error }, table) else {
        return false;
    };
    out.extend_from_slice(&bytes);
    true
}

/// Reads an `RpcFailure`; `None` if the content is something else.
pub(super) fn read(content: &JavaContent) -> Result<Option<Failure>, DecodeError> {
    let form = JavaForm::<RpcFailure>::OF;
    if !content.is(&form) {
        return Ok(None);
    }
    let RpcFailure { error } = content.read(Some(&form))?;
    Ok(Some(Failure::Exception {
        stack_trace: error.to_string(),
        class: error.class,
        message: error.message,
    }))
}

const SPARK_EXCEPTION: &str = "org.apache.spark.SparkException";
const RUNTIME_EXCEPTION: &str = "java.lang.RuntimeException";
