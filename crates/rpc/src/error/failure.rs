//! How the failure of a handler travels, and what its asker gets.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spark_rpc_javaobj::Throwable;

use super::{AskError, BoxError};

/// The failure that a handler has answered with.
#[derive(Clone, Debug)]
pub struct RemoteFailure {
    message: String,
    exception: Option<Arc<RemoteException>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

#[derive(Debug)]
struct RemoteException {
    class: String,
    stack_trace: String,
}

impl RemoteFailure {
    pub(crate) fn from_text(message: String) -> Self {
        Self {
            message,
            exception: None,
            source: None,
        }
    }

    pub(crate) fn from_error(error: BoxError) -> Self {
        Self {
            message: chain(&*error),
            exception: None,
            source: Some(Arc::from(error)),
        }
    }

    /// What the handler's error says, with its causes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The class of the exception, if the handler is in a JVM.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        self.exception.as_ref().map(|exception| &*exception.class)
    }

    /// The stack trace with all causes, as a JVM prints it, if the handler is in one.
    #[must_use]
    pub fn stack_trace(&self) -> Option<&str> {
        self.exception.as_ref().map(|exception| &*exception.stack_trace)
    }

    /// The handler's error itself, if the endpoint is in this env.
    #[must_use]
    pub fn local_error(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.source.as_deref()
    }
}

impl fmt::Display for RemoteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class() {
            Some(class) if self.message.is_empty() => f.write_str(class),
            Some(class) => write!(f, "{class}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl StdError for RemoteFailure {}

/// A failed reply as it travels between envs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Failure {
    /// The handler answered with this failure.
    Handler {
        /// Its text.
        message: String,
    },
    /// There is no endpoint of that name.
    EndpointNotFound {
        /// The name.
        endpoint: String,
    },
    /// The env has been stopped.
    EnvStopped,
    /// The inbox has no room.
    Rejected {
        /// The endpoint.
        endpoint: String,
        /// Which bound.
        reason: String,
    },
    /// The endpoint has no handler for this message.
    UnknownMessage {
        /// The endpoint.
        endpoint: String,
        /// The message's name.
        message: String,
    },
    /// The message could not be read.
    Undecodable {
        /// The endpoint.
        endpoint: String,
        /// The message's name.
        message: String,
        /// Why.
        reason: String,
    },
    /// The reply handle was dropped unused.
    Unanswered {
        /// The endpoint.
        endpoint: String,
    },
    /// The handler panicked.
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The reply could not be made into bytes.
    UnencodableReply {
        /// Why.
        reason: String,
    },
    /// Whoever asked may not use the endpoint.
    Denied {
        /// The endpoint.
        endpoint: String,
    },
    /// The handler answered with this exception, as handlers in a JVM do.
    Exception {
        /// Its class.
        class: String,
        /// Its text.
        message: Option<String>,
        /// Its stack trace with all causes, as a JVM prints it.
        stack_trace: String,
    },
}

impl Failure {
    /// The failure that a handler answers with; an exception stays one.
    pub(crate) fn of_handler(error: BoxError) -> Self {
        match error.downcast::<Throwable>() {
            Ok(exception) => Failure::Exception {
                stack_trace: exception.to_string(),
                class: exception.class,
                message: exception.message,
            },
            Err(error) => Failure::Handler {
                message: RemoteFailure::from_error(error).message,
            },
        }
    }

    /// The text for a peer that has no form for typed failures. A missing endpoint and a stopped env read as in Spark.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Failure::EndpointNotFound { endpoint } => {
                format!("org.apache.spark.SparkException: Could not find {endpoint}.")
            }
            Failure::EnvStopped => {
                "org.apache.spark.rpc.RpcEnvStoppedException: RpcEnv already stopped.".to_owned()
            }
            other => format!(
                "org.apache.spark.SparkException: {}",
                AskError::from(other.clone())
            ),
        }
    }
}

impl From<Failure> for AskError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Handler { message } => AskError::Remote(RemoteFailure::from_text(message)),
            Failure::Exception {
                class,
                message,
                stack_trace,
            } => AskError::Remote(RemoteFailure {
                message: message.unwrap_or_default(),
                exception: Some(Arc::new(RemoteException { class, stack_trace })),
                source: None,
            }),
            Failure::EndpointNotFound { endpoint } => AskError::EndpointNotFound { endpoint },
            Failure::EnvStopped => AskError::EnvStopped,
            Failure::Rejected { endpoint, reason } => AskError::Rejected { endpoint, reason },
            Failure::UnknownMessage { endpoint, message } => AskError::UnknownMessage { endpoint, message },
            Failure::Undecodable {
                endpoint,
                message,
                reason,
            } => AskError::Undecodable {
                endpoint,
                message,
                reason,
            },
            Failure::Denied { endpoint } => AskError::Denied { endpoint },
            Failure::Unanswered { endpoint } => AskError::Unanswered { endpoint },
            Failure::Panicked { message } => AskError::Panicked { message },
            Failure::UnencodableReply { reason } => AskError::Remote(RemoteFailure::from_text(format!(
                "the reply cannot be encoded: {reason}"
            ))),
        }
    }
}

/// The texts of an error and of its causes, in one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
