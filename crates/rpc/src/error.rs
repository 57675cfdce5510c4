//! What can go wrong, one enum for each thing that a caller can do.

mod failure;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use spark_rpc_transport::{ConnectError, ConnectionError, InvalidConf, SendError as TransportSendError};

pub use self::failure::{Failure, RemoteFailure};
use crate::address::{InvalidAddress, RpcAddress, RpcEndpointAddress};
use crate::config::{ConfError, RpcTimeout};
use crate::security::{SslSettingsError, TlsError};

/// An error of any type, as handlers may return it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why an ask has no reply.
///
/// [`handled`](Self::handled) says for each whether the receiver has handled the message.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// There is no endpoint of that name.
    #[error("Could not find {endpoint}.")]
    EndpointNotFound {
        /// The name.
        endpoint: String,
    },
    /// The receiving env's security manager does not let this side use the endpoint.
    #[error("{endpoint} may not be used by this peer: access denied")]
    Denied {
        /// Its name.
        endpoint: String,
    },
    /// The env of the receiver, or this one, has been stopped.
    #[error("RpcEnv already stopped.")]
    EnvStopped,
    /// The receiver's inbox had no room, or too much waits for a connection to it already.
    #[error("{endpoint} did not take the message: {reason}")]
    Rejected {
        /// The endpoint.
        endpoint: String,
        /// Which bound is reached.
        reason: String,
    },
    /// The endpoint has no handler for this message.
    #[error("Unsupported message {message} for {endpoint}")]
    UnknownMessage {
        /// The endpoint.
        endpoint: String,
        /// The message's name.
        message: String,
    },
    /// The receiver could not read the message.
    #[error("{message} could not be decoded by {endpoint}: {reason}")]
    Undecodable {
        /// The endpoint.
        endpoint: String,
        /// The message's name.
        message: String,
        /// What the receiver says.
        reason: String,
    },
    /// The message could not be made into bytes; it was not sent.
    #[error(transparent)]
    Unencodable(#[from] EncodeError),
    /// The handler dropped its reply handle without using it, or the endpoint stopped first.
    #[error("the request was dropped without an answer by {endpoint}")]
    Unanswered {
        /// The endpoint, if it is known.
        endpoint: String,
    },
    /// The handler panicked.
    #[error("the handler panicked: {message}")]
    Panicked {
        /// What the panic said, if it was text.
        message: String,
    },
    /// The handler answered with a failure.
    #[error(transparent)]
    Remote(#[from] RemoteFailure),
    /// The peer lets nobody in who does not authenticate, and this env does without.
    #[error(
        "the peer wants authentication, and here there is none: set spark.authenticate = true and the peer's secret ({text})"
    )]
    AuthenticationWanted {
        /// The first line of what the peer said.
        text: String,
    },
    /// The peer's transport answered with a failure, as a JVM does when it cannot deliver a message.
    #[error("{text}")]
    Refused {
        /// The peer's text; a JVM sends its stack trace.
        text: String,
    },
    /// The reply is not of the expected type, or broken.
    #[error("the reply could not be decoded: {0}")]
    BadReply(#[from] DecodeError),
    /// No reply came in time.
    #[error(transparent)]
    Timeout(Box<AskTimeout>),
    /// The ask was given up by its [`AbortHandle`](crate::AbortHandle).
    #[error("the ask was aborted: {reason}")]
    Aborted {
        /// The reason given.
        reason: String,
    },
    /// There is no connection to the receiver.
    #[error(transparent)]
    Connect(ConnectError),
    /// The connection ended before the reply came.
    #[error(transparent)]
    Disconnected(Arc<ConnectionError>),
    /// The message could not be queued for the connection.
    #[error("not sent: {0}")]
    NotSent(TransportSendError),
    /// The reference leads nowhere from here, see [`SendError::NoRoute`].
    #[error("Cannot send message to client endpoint with no listen address: {endpoint}")]
    NoRoute {
        /// The endpoint.
        endpoint: RpcEndpointAddress,
    },
    /// All attempts of an `ask_with_retry` have failed.
    #[error("Error sending message [message = {message}] after {attempts} attempts: {last}")]
    RetriesExhausted {
        /// The message's name.
        message: &'static str,
        /// How often it was tried.
        attempts: u32,
        /// The last attempt's error.
        #[source]
        last: Box<AskError>,
    },
}

/// Whether a message has been handled by its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It has not, and it will not be.
    No,
    /// It has.
    Yes,
    /// Nobody knows.
    Unknown,
}

impl AskError {
    /// Whether the receiver has handled the message.
    #[must_use]
    pub fn handled(&self) -> Handled {
        match self {
            AskError::EndpointNotFound { .. }
            | AskError::Denied { .. }
            | AskError::AuthenticationWanted { .. }
            | AskError::EnvStopped
            | AskError::Rejected { .. }
            | AskError::UnknownMessage { .. }
            | AskError::Undecodable { .. }
            | AskError::Unencodable(_)
            | AskError::Connect(_)
            | AskError::NotSent(_)
            | AskError::NoRoute { .. } => Handled::No,
            AskError::Remote(_) | AskError::Panicked { .. } | AskError::BadReply(_) => Handled::Yes,
            AskError::Timeout(timeout) if !timeout.may_have_arrived() => Handled::No,
            AskError::Timeout(_)
            | AskError::Aborted { .. }
            | AskError::Disconnected(_)
            | AskError::Unanswered { .. }
            | AskError::Refused { .. }
            | AskError::RetriesExhausted { .. } => Handled::Unknown,
        }
    }
}

/// No reply came in time (Spark's `RpcTimeoutException`): how far the ask got, and what bounds it.
#[derive(Clone, Debug)]
pub struct AskTimeout {
    /// The endpoint that was asked.
    pub endpoint: RpcEndpointAddress,
    /// The peer: the env's address, or for an endpoint of a client-mode env that of the connection. `None` if the
    /// endpoint is in this env.
    pub peer: Option<RpcAddress>,
    /// The message's name.
    pub message: &'static str,
    /// The limit and the setting that controls it.
    pub timeout: RpcTimeout,
    /// The phases that were reached, in order, with the time that each took.
    pub phases: Vec<(AskPhase, Duration)>,
}

/// How far an ask has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskPhase {
    /// Waiting for room in a queue.
    WaitingForRoom,
    /// Waiting for a connection.
    Connecting,
    /// Sent to a peer; waiting for its reply.
    AwaitingReply,
    /// Waiting in the inbox of an endpoint of this env.
    Queued,
    /// Being handled by an endpoint of this env, or kept there for a later reply.
    Handling,
}

impl AskTimeout {
    /// The phase that the ask was in.
    #[must_use]
    pub fn reached(&self) -> AskPhase {
        self.phases
            .last()
            .map_or(AskPhase::WaitingForRoom, |(phase, _)| *phase)
    }

    fn may_have_arrived(&self) -> bool {
        matches!(
            self.reached(),
            AskPhase::AwaitingReply | AskPhase::Handling | AskPhase::Queued
        )
    }
}

impl fmt::Display for AskTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peer {
            Some(peer) => write!(f, "Cannot receive any reply from {peer} in {}", self.timeout)?,
            None => write!(
                f,
                "Cannot receive any reply from {} in {}",
                self.endpoint.name(),
                self.timeout
            )?,
        }
        write!(f, " [message {} to {}", self.message, self.endpoint)?;
        for (phase, took) in &self.phases {
            write!(f, "; {phase} {} ms", took.as_millis())?;
        }
        f.write_str("]")
    }
}

impl fmt::Display for AskPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AskPhase::WaitingForRoom => "waiting for room",
            AskPhase::Connecting => "connecting",
            AskPhase::AwaitingReply => "awaiting the reply",
            AskPhase::Queued => "queued",
            AskPhase::Handling => "being handled",
        })
    }
}

impl StdError for AskTimeout {}

/// Why a one-way message was not accepted. It has not been sent and will not arrive.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no endpoint of that name in this env.
    #[error("Could not find {endpoint}.")]
    EndpointNotFound {
        /// The name.
        endpoint: String,
    },
    /// This env has been stopped.
    #[error("RpcEnv already stopped.")]
    EnvStopped,
    /// The inbox, the outbox or the write queue has no room.
    #[error("{endpoint} did not take the message: {reason}")]
    Full {
        /// The endpoint.
        endpoint: RpcEndpointAddress,
        /// Which queue, and which of its bounds.
        reason: String,
    },
    /// The endpoint is in this env and has no handler for this message.
    #[error("Unsupported message {message} for {endpoint}")]
    UnknownMessage {
        /// The endpoint.
        endpoint: String,
        /// The message's name.
        message: &'static str,
    },
    /// The message could not be made into bytes.
    #[error(transparent)]
    Unencodable(#[from] EncodeError),
    /// The connection that the reference is bound to has ended.
    #[error(transparent)]
    Disconnected(Arc<ConnectionError>),
    /// The message makes a frame that the protocol cannot carry.
    #[error(transparent)]
    NotSent(TransportSendError),
    /// The endpoint is in a client-mode env, and this reference did not come over one of its connections.
    #[error("Cannot send message to client endpoint with no listen address: {endpoint}")]
    NoRoute {
        /// The endpoint.
        endpoint: RpcEndpointAddress,
    },
}

/// A value that cannot be made into bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} cannot be encoded: {reason}")]
pub struct EncodeError {
    /// The message's name.
    pub name: String,
    /// What its `Serialize` says.
    pub reason: String,
}

/// Bytes that are not the expected value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The content ends too early.
    #[error("the content is truncated")]
    Truncated,
    /// The message's name is not UTF-8.
    #[error("the message's name is not UTF-8")]
    NameNotUtf8,
    /// The value's own `Deserialize` fails.
    #[error("{reason}")]
    Value {
        /// What it says.
        reason: String,
    },
    /// There are bytes after the value: the sender means another type.
    #[error("{count} bytes after the value")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// No codec of this env has written this.
    #[error("no codec recognises the content")]
    UnknownCodec,
    /// The content is of a codec that does not know this type.
    #[error("the {codec} codec does not know this type")]
    UnsupportedType {
        /// The codec.
        codec: &'static str,
    },
}

/// Why an env could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot be.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// A setting of the transport cannot be.
    #[error(transparent)]
    Transport(#[from] InvalidConf),
    /// An address cannot be.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// The start port is one that Spark does not allow.
    #[error(
        "startPort should be between 1024 and 65535 (inclusive), or 0 for a random free port; it is {port}"
    )]
    Port {
        /// The port asked for.
        port: u16,
    },
    /// No port could be bound.
    #[error(
        "{source}: Service '{service}' failed after {retries} retries {}! Consider explicitly setting the appropriate \
         {}, or raise spark.port.maxRetries",
        if *port == 0 { "(on a random free port)".to_owned() } else { format!("(starting from {port})") },
        if *port == 0 { "binding address" } else { "port" }
    )]
    Bind {
        /// The env's name.
        service: String,
        /// The port asked for.
        port: u16,
        /// How many further ports were tried.
        retries: u32,
        /// What the last attempt said.
        source: io::Error,
    },
    /// It would listen beyond loopback, where everybody may come in.
    #[error(
        "listening on {host} with neither a secret nor TLS would let everybody in who reaches it: set \
         spark.authenticate = true with a secret, or spark.ssl.rpc.enabled = true with a certificate, or bind to \
         127.0.0.1; spark.rpc.security.allowUnprotected = true allows it all the same"
    )]
    Unprotected {
        /// The host to bind.
        host: String,
    },
    /// The settings of TLS cannot be.
    #[error(transparent)]
    Ssl(SslSettingsError),
    /// Keys or certificates cannot be used.
    #[error(transparent)]
    Tls(TlsError),
    /// The threads for endpoints could not be started.
    #[error("cannot start the threads of the dispatcher: {0}")]
    Threads(io::Error),
}

/// Why an endpoint could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The name is taken.
    #[error("There is already an RpcEndpoint called {name}")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The name cannot be: it is empty or too long for the wire.
    #[error("RpcEndpoint name must be provided and take at most 65535 bytes; it takes {len}")]
    BadName {
        /// Its length in bytes.
        len: usize,
    },
    /// The env has been stopped.
    #[error("RpcEnv has been stopped")]
    EnvStopped,
    /// The thread of an isolated endpoint could not be started.
    #[error("cannot start a thread for {name}: {source}")]
    Thread {
        /// The endpoint.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Why an endpoint could not be looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The URI cannot be parsed.
    #[error(transparent)]
    Uri(#[from] InvalidAddress),
    /// The peer has no such endpoint (Spark's `RpcEndpointNotFoundException`).
    #[error("Cannot find endpoint: {uri}")]
    NotFound {
        /// The endpoint.
        uri: RpcEndpointAddress,
    },
    /// The peer could not be asked.
    #[error("cannot look up {uri}: {source}")]
    Ask {
        /// The endpoint.
        uri: RpcEndpointAddress,
        /// Why.
        source: AskError,
    },
}

/// An error of an endpoint that nobody waits for, as `on_error` gets it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// A life-cycle or connection callback failed.
    #[error("{callback} failed: {source}")]
    Callback {
        /// The callback.
        callback: &'static str,
        /// Its error.
        source: BoxError,
    },
    /// A handler failed, and there is no asker to tell.
    #[error("the handler of {message} failed: {source}")]
    Handler {
        /// The message's name.
        message: &'static str,
        /// Its error.
        source: BoxError,
    },
    /// A callback or handler panicked.
    #[error("{what} panicked: {message}")]
    Panicked {
        /// The callback, or the message's name.
        what: &'static str,
        /// What the panic said, if it was text.
        message: String,
    },
}

/// The text that a panic carried.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}
