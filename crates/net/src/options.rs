//! What can be asked of a socket.

/// Settings of a connection or a listener; Spark's `spark.<module>.io.*` where it has them.
///
/// What a kind of network does not know (congestion control on a Unix socket, say) it ignores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketOptions {
    /// Size of the kernel's receive buffer in bytes (`SO_RCVBUF`, Spark's `io.receiveBuffer`); `None` leaves it to the
    /// system, which then adapts it to the connection.
    pub receive_buffer: Option<u32>,
    /// Size of the kernel's send buffer in bytes (`SO_SNDBUF`, Spark's `io.sendBuffer`); `None` leaves it to the
    /// system, which then adapts it to the connection.
    pub send_buffer: Option<u32>,
    /// Whether accepted connections probe a silent peer (`SO_KEEPALIVE`, Spark's `io.enableTcpKeepAlive`); default false.
    /// Outgoing ones always do, as in Spark's `TransportClientFactory`.
    pub keep_alive: bool,
    /// Whether accepted connections send small segments at once (`TCP_NODELAY`); default true. Outgoing ones always do,
    /// as in Spark's `TransportClientFactory`.
    pub no_delay: bool,
    /// How many connections may wait to be accepted (Spark's `io.backLog`); `None` asks for as many as the system allows.
    pub backlog: Option<u32>,
    /// The congestion control algorithm by its kernel name, `reno` say (`TCP_CONGESTION`); `None` leaves it to the system.
    ///
    /// Known on Linux, Android and FreeBSD. Elsewhere, asking for one is an
    /// [`Unsupported`](std::io::ErrorKind::Unsupported) error.
    pub congestion: Option<String>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            receive_buffer: None,
            send_buffer: None,
            keep_alive: false,
            no_delay: true,
            backlog: None,
            congestion: None,
        }
    }
}

impl SocketOptions {
    /// The backlog to ask the kernel for. Every system cuts it down to its own maximum, so "as many as allowed" is the
    /// largest number that `listen` takes.
    pub(crate) fn backlog_or_max(&self) -> u32 {
        const MAX: u32 = i32::MAX as u32;
        self.backlog.map_or(MAX, |backlog| backlog.min(MAX))
    }
}
