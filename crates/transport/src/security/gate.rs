//! What a connection passes before anything is served on it.

use std::io;

use spark_rpc_auth::engine::HandshakeError;
use spark_rpc_auth::sasl::{SaslError, SaslMessageError};
use spark_rpc_auth::tls::TlsConnectionError;
use spark_rpc_net::{BoxFuture, Stream};
use spark_rpc_wire::{DecodeError, FrameError};

use super::identity::PeerIdentity;

/// Makes sure of a peer that this side has connected to.
pub trait ClientGate: Send + Sync + 'static {
    /// Speaks with the peer and returns the stream to go on with. `host` is the one that was dialled.
    ///
    /// # Errors
    ///
    /// [`GateError`]: the connection is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    fn pass<'a>(&'a self, stream: Box<dyn Stream>, host: &'a str)
    -> BoxFuture<'a, Result<Passed, GateError>>;
}

/// Decides whether a stranger may come in.
///
/// What is read here was written by anybody: an implementation bounds what it keeps. The time is bounded by
/// [`TransportConf::handshake_timeout`](crate::TransportConf::handshake_timeout).
pub trait ServerGate: Send + Sync + 'static {
    /// Speaks with the peer and returns the stream to go on with.
    ///
    /// # Errors
    ///
    /// [`GateError`]: the connection is closed. The peer has been told what it may know.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    fn pass(&self, stream: Box<dyn Stream>) -> BoxFuture<'_, Result<Passed, GateError>>;
}

/// A connection that has passed a gate.
#[derive(Debug)]
pub struct Passed {
    /// What to go on with; it may encrypt.
    pub stream: Box<dyn Stream>,
    /// What the peer has proven.
    pub identity: PeerIdentity,
}

/// Why a connection did not pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The peer ended the connection during the handshake.
    #[error(
        "the peer closed the connection before it was authenticated; if it always does, see whether only one side has \
         spark.ssl.rpc.enabled"
    )]
    Closed,
    /// The socket failed.
    #[error("the connection failed before it was authenticated: {0}")]
    Socket(#[from] io::Error),
    /// The peer sent something that is not a frame, or too long for a handshake.
    #[error("not a frame of a handshake: {0}")]
    Frame(#[from] FrameError),
    /// The peer sent a frame that is not a message.
    #[error("not a message of a handshake: {0}")]
    Message(#[from] DecodeError),
    /// The peer sent what only an authenticated peer may send.
    #[error("unauthenticated peer sent a {message}, which is refused before authentication")]
    Unauthenticated {
        /// The kind of message.
        message: &'static str,
    },
    /// The peer speaks none of the mechanisms that are allowed here.
    #[error("the peer speaks no mechanism that is allowed here: {0}")]
    Mechanism(&'static str),
    /// Somebody claims to be a user who is not known here.
    #[error("nobody here is called {user:?}")]
    UnknownUser {
        /// The claim.
        user: String,
    },
    /// The auth engine's handshake failed.
    #[error(transparent)]
    Engine(#[from] HandshakeError),
    /// SASL failed.
    #[error(transparent)]
    Sasl(#[from] SaslError),
    /// A message of SASL cannot be read.
    #[error(transparent)]
    SaslMessage(#[from] SaslMessageError),
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsConnectionError),
    /// The peer refuses this side.
    #[error("the peer refuses: {text}")]
    Refused {
        /// The first line of what it said.
        text: String,
    },
    /// The peer refuses this side, for a reason that can be guessed.
    #[error("the peer refuses: {text} ({advice})")]
    Unlike {
        /// The first line of what it said.
        text: String,
        /// Which settings are probably not the same on both sides.
        advice: &'static str,
    },
    /// It took too long.
    #[error("the handshake took longer than {} ms; this limit is set by {setting}", limit.as_millis())]
    TimedOut {
        /// The limit.
        limit: std::time::Duration,
        /// The setting that bounds it.
        setting: String,
    },
}
