//! What can go wrong with a connection, and whose doing it was.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use spark_rpc_engine::Full;
use spark_rpc_net::SocketName;
use spark_rpc_wire::{DecodeError, EncodeError, FrameError};

/// Why a connection ended.
///
/// Requests that were outstanding fail with it; whether the peer handled them is then unknown.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer closed the connection, or its machine did.
    #[error("Connection from {peer} closed")]
    ClosedByPeer {
        /// The other end.
        peer: SocketName,
    },
    /// This side closed it in order.
    #[error("Connection to {peer} closed by this side")]
    ClosedHere {
        /// The other end.
        peer: SocketName,
    },
    /// The socket failed.
    #[error("Connection from {peer} failed: {source}")]
    Socket {
        /// The other end.
        peer: SocketName,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The peer sent something that is not a frame. Protocol state is lost, so the connection is closed.
    #[error("Connection from {peer} closed: {source}")]
    Frame {
        /// The other end.
        peer: SocketName,
        /// What was wrong with it.
        source: FrameError,
    },
    /// The peer sent a frame whose content is not a message.
    #[error("Connection from {peer} closed: {source}")]
    Message {
        /// The other end.
        peer: SocketName,
        /// What was wrong with it.
        source: DecodeError,
    },
    /// The peer asked for something that ends the connection here.
    #[error("Connection from {peer} closed: {reason}")]
    Refused {
        /// The other end.
        peer: SocketName,
        /// What it asked for.
        reason: &'static str,
    },
    /// Nothing came or went for too long while requests were outstanding.
    #[error(
        "Connection to {peer} has been quiet for {} ms while there are outstanding requests. Assuming it is dead; this \
         limit is set by {setting}",
        quiet.as_millis()
    )]
    Quiet {
        /// The other end.
        peer: SocketName,
        /// How long it was quiet.
        quiet: Duration,
        /// The setting that bounds it.
        setting: String,
    },
    /// The connection was not used for too long.
    #[error("Connection to {peer} closed after {} ms without use; this limit is set by {setting}", quiet.as_millis())]
    Idle {
        /// The other end.
        peer: SocketName,
        /// How long it was quiet.
        quiet: Duration,
        /// The setting that bounds it.
        setting: String,
    },
    /// The peer has not taken any bytes for too long.
    #[error(
        "Connection to {peer} closed: the peer has read nothing for {} ms; this limit is set by {setting}",
        stalled.as_millis()
    )]
    PeerNotReading {
        /// The other end.
        peer: SocketName,
        /// For how long nothing could be written.
        stalled: Duration,
        /// The setting that bounds it.
        setting: String,
    },
    /// A file failed or shrank while it was being sent. The peer expects the rest, so that nothing else can follow.
    #[error("Connection to {peer} closed: a file failed while it was being sent: {source}")]
    FileLost {
        /// The other end.
        peer: SocketName,
        /// What was wrong with the file.
        source: Arc<io::Error>,
    },
    /// The peer asked for another chunk or stream while as many as allowed were being sent.
    #[error(
        "Connection from {peer} closed: it asked for more than the {most} chunks and streams that may be in transfer"
    )]
    TooManyTransfers {
        /// The other end.
        peer: SocketName,
        /// The bound.
        most: usize,
    },
    /// The peer asked for another chunk or stream while as many bytes of them as allowed were being sent.
    #[error(
        "Connection from {peer} closed: it asked for more while {most} bytes of chunks and streams were in transfer"
    )]
    TooManyBytes {
        /// The other end.
        peer: SocketName,
        /// The bound.
        most: u64,
    },
    /// Whoever read a stream on this side has gone, and much of it was still to come.
    #[error(
        "Connection to {peer} closed: a stream was given up on this side with {remaining} bytes still to come"
    )]
    StreamAbandoned {
        /// The other end.
        peer: SocketName,
        /// How much was missing.
        remaining: u64,
    },
    /// Whoever reads a stream or takes an upload on this side has taken nothing for too long.
    #[error(
        "Connection to {peer} closed: the reader of a stream on this side has taken nothing for {} ms; this limit is \
         set by {setting}",
        stalled.as_millis()
    )]
    ReaderStalled {
        /// The other end.
        peer: SocketName,
        /// For how long.
        stalled: Duration,
        /// The setting that bounds it.
        setting: String,
    },
    /// This side's handler panicked outside of a message, so what it knows of the connection cannot be trusted.
    #[error("Connection to {peer} closed: its handler on this side panicked")]
    HandlerPanicked {
        /// The other end.
        peer: SocketName,
    },
    /// The task that drives the connection was ended together with its env or server.
    #[error("Connection to {peer} aborted")]
    Aborted {
        /// The other end.
        peer: SocketName,
    },
}

impl ConnectionError {
    /// The other end of the connection.
    #[must_use]
    pub fn peer(&self) -> &SocketName {
        match self {
            ConnectionError::ClosedByPeer { peer }
            | ConnectionError::ClosedHere { peer }
            | ConnectionError::Socket { peer, .. }
            | ConnectionError::Frame { peer, .. }
            | ConnectionError::Message { peer, .. }
            | ConnectionError::Refused { peer, .. }
            | ConnectionError::Quiet { peer, .. }
            | ConnectionError::Idle { peer, .. }
            | ConnectionError::PeerNotReading { peer, .. }
            | ConnectionError::FileLost { peer, .. }
            | ConnectionError::TooManyTransfers { peer, .. }
            | ConnectionError::TooManyBytes { peer, .. }
            | ConnectionError::StreamAbandoned { peer, .. }
            | ConnectionError::ReaderStalled { peer, .. }
            | ConnectionError::HandlerPanicked { peer }
            | ConnectionError::Aborted { peer } => peer,
        }
    }

    /// Whether this is an end in order: no error of anybody, and nothing for a log beyond debug level.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        matches!(
            self,
            ConnectionError::ClosedByPeer { .. }
                | ConnectionError::ClosedHere { .. }
                | ConnectionError::Idle { .. }
                | ConnectionError::StreamAbandoned { .. }
                | ConnectionError::Aborted { .. }
        )
    }

    /// Whose doing it was.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            ConnectionError::ClosedByPeer { .. }
            | ConnectionError::Frame { .. }
            | ConnectionError::Message { .. }
            | ConnectionError::Refused { .. }
            | ConnectionError::TooManyTransfers { .. }
            | ConnectionError::TooManyBytes { .. } => Fault::Peer,
            ConnectionError::Socket { .. }
            | ConnectionError::Quiet { .. }
            | ConnectionError::PeerNotReading { .. } => Fault::PeerOrNetwork,
            ConnectionError::ClosedHere { .. }
            | ConnectionError::Idle { .. }
            | ConnectionError::FileLost { .. }
            | ConnectionError::StreamAbandoned { .. }
            | ConnectionError::ReaderStalled { .. }
            | ConnectionError::HandlerPanicked { .. }
            | ConnectionError::Aborted { .. } => Fault::ThisSide,
        }
    }
}

/// Whose doing an error was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This side's: its settings, its files, its readers, or its wish.
    ThisSide,
    /// The other side's.
    Peer,
    /// The other side's or that of the network in between: from here nobody can tell.
    PeerOrNetwork,
}

/// Why a message could not be queued for a connection. It has not been sent.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection has ended.
    #[error(transparent)]
    Closed(Arc<ConnectionError>),
    /// As much waits for the socket as the settings allow.
    #[error("write queue {0}")]
    Full(Full),
    /// As many requests are outstanding as the settings allow.
    #[error("{max} requests are outstanding on this connection, which is the most allowed")]
    TooManyRequests {
        /// The bound.
        max: usize,
    },
    /// The message makes a frame that the protocol cannot carry.
    #[error(transparent)]
    TooLong(EncodeError),
}

/// Why a request has no reply.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The request was never sent.
    #[error("request not sent: {0}")]
    NotSent(#[from] SendError),
    /// The peer answered with a failure: Spark's `RpcFailure` message.
    #[error("{text}")]
    Failed {
        /// The peer's text, for a JVM its stack trace.
        text: String,
    },
    /// No reply came in time. The peer may have handled the request.
    #[error("no reply from {peer} within {} ms", waited.as_millis())]
    TimedOut {
        /// The other end.
        peer: SocketName,
        /// The limit that passed.
        waited: Duration,
    },
    /// The body of the request could not be read, and nothing has been sent.
    #[error("the body to be sent cannot be read: {source}")]
    BodyUnreadable {
        /// What was wrong with it.
        source: Arc<io::Error>,
    },
    /// The peer answered with a message of a kind that is no answer to this request.
    #[error("{peer} answered with a message of another kind")]
    WrongAnswer {
        /// The other end.
        peer: SocketName,
    },
    /// The connection ended first. The peer may have handled the request.
    #[error(transparent)]
    Connection(Arc<ConnectionError>),
}

impl RequestError {
    /// Whose doing it was.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            RequestError::NotSent(SendError::Closed(cause)) | RequestError::Connection(cause) => {
                cause.fault()
            }
            RequestError::NotSent(_) | RequestError::BodyUnreadable { .. } => Fault::ThisSide,
            RequestError::Failed { .. } | RequestError::WrongAnswer { .. } => Fault::Peer,
            RequestError::TimedOut { .. } => Fault::PeerOrNetwork,
        }
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The network refused or failed.
    #[error("Failed to connect to {address}: {source}")]
    Network {
        /// The address dialled.
        address: SocketName,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// It took too long.
    #[error("Connecting to {address} timed out ({} ms); this limit is set by {setting}", limit.as_millis())]
    TimedOut {
        /// The address dialled.
        address: SocketName,
        /// The limit that passed.
        limit: Duration,
        /// The setting that bounds it.
        setting: String,
    },
    /// The connection was there, but a bootstrap such as authentication failed.
    #[error("Bootstrap {bootstrap} of the connection to {address} failed: {reason}")]
    Bootstrap {
        /// The address dialled.
        address: SocketName,
        /// The bootstrap's name.
        bootstrap: &'static str,
        /// What it said.
        reason: String,
    },
    /// The last attempt failed moments ago.
    #[error(
        "Connecting to {address} failed in the last {} ms, fail this connection directly",
        window.as_millis()
    )]
    FastFail {
        /// The address.
        address: SocketName,
        /// How long ago the last attempt failed.
        since: Duration,
        /// Within which time attempts fail at once.
        window: Duration,
    },
    /// The factory has been closed.
    #[error("Connecting to {address} cancelled: the client factory is closed")]
    FactoryClosed {
        /// The address.
        address: SocketName,
    },
}

impl ConnectError {
    /// Whether the network was at fault, not a bootstrap or this side's own state.
    #[must_use]
    pub fn is_network(&self) -> bool {
        matches!(self, ConnectError::Network { .. } | ConnectError::TimedOut { .. })
    }
}
