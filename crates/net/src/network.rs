//! The traits that every kind of network implements, and the names that sockets have.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::SocketOptions;

/// A future on the heap, as the methods of object-safe traits return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Opens and accepts connections; addresses are host and port as in `spark://host:port`.
///
/// An implementation is shared by everything in one env and holds no per-connection state. None of its futures
/// carries a timeout: how long to wait is the caller's setting.
pub trait Network: fmt::Debug + Send + Sync + 'static {
    /// Connects to `host:port`.
    ///
    /// # Errors
    ///
    /// Returns the cause with the operating system's [`io::ErrorKind`] and a text that names host and port.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the attempt and closes its socket.
    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        options: &'a SocketOptions,
    ) -> BoxFuture<'a, io::Result<Box<dyn Stream>>>;

    /// Listens on `host:port`; port 0 lets the network choose a free one, see [`Listener::port`].
    ///
    /// # Errors
    ///
    /// Returns the cause with the operating system's [`io::ErrorKind`] and a text that names host and port. Whether
    /// another port may do better is what [`is_address_collision`](crate::is_address_collision) tells.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing bound.
    fn bind<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        options: &'a SocketOptions,
    ) -> BoxFuture<'a, io::Result<Box<dyn Listener>>>;

    /// Whether what listens on `host` can be reached from this machine only. A name whose addresses would have to be
    /// looked up counts as reachable from elsewhere.
    fn is_private(&self, host: &str) -> bool {
        let bare = host.trim_matches(['[', ']']);
        bare.eq_ignore_ascii_case("localhost")
            || bare
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.to_canonical().is_loopback())
    }
}

/// Accepts connections on one address, until it is dropped.
pub trait Listener: fmt::Debug + Send + 'static {
    /// Returns the port on which connections arrive, the chosen one if port 0 was asked for.
    fn port(&self) -> u16;

    /// Polls for the next connection.
    ///
    /// # Errors
    ///
    /// Errors do not end the listener. Some pass with time (no free descriptors, a connection that was gone before it
    /// was accepted), and repeat at once while they last: callers back off before they poll again.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Stream>>>;
}

impl dyn Listener {
    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// As for [`poll_accept`](Listener::poll_accept).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no connection.
    pub async fn accept(&mut self) -> io::Result<Box<dyn Stream>> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }
}

/// A connected byte stream.
///
/// [`poll_shutdown`](AsyncWrite::poll_shutdown) ends the sending direction only, as TCP's FIN does; the other one stays
/// open until the peer ends it. Dropping the stream closes both.
pub trait Stream: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin + 'static {
    /// Returns the other end, as the socket knows it.
    fn peer(&self) -> SocketName;

    /// Returns this end, as the socket knows it.
    fn local(&self) -> SocketName;

    /// Makes dropping the stream reset the connection, instead of closing it in order.
    ///
    /// The peer then sees [`ConnectionReset`](io::ErrorKind::ConnectionReset), and bytes still on their way may be lost.
    ///
    /// # Errors
    ///
    /// Returns [`Unsupported`](io::ErrorKind::Unsupported), the default, for streams that cannot do it.
    fn reset_on_drop(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Lends the kernel's socket, for `sendfile` and socket options; `None`, the default, when there is none.
    ///
    /// The socket is in non-blocking mode. Reads and writes that bypass this trait go through
    /// [`poll_write_fd`](Self::poll_write_fd), which waits for readiness.
    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Runs `write` on the kernel's socket once it takes bytes, and again after each `WouldBlock`.
    ///
    /// This is how `sendfile` waits its turn: `write` makes one non-blocking call and returns what it returned. Like
    /// [`poll_write`](AsyncWrite::poll_write), it remembers the last caller's waker only.
    ///
    /// # Errors
    ///
    /// Returns what `write` returned, except `WouldBlock`, or [`Unsupported`](io::ErrorKind::Unsupported), the
    /// default, where [`as_fd`](Self::as_fd) is `None`.
    #[cfg(unix)]
    fn poll_write_fd(
        &self,
        cx: &mut Context<'_>,
        write: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let _ = (cx, write);
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

impl<S: Stream + ?Sized> Stream for Box<S> {
    fn peer(&self) -> SocketName {
        (**self).peer()
    }

    fn local(&self) -> SocketName {
        (**self).local()
    }

    fn reset_on_drop(&mut self) -> io::Result<()> {
        (**self).reset_on_drop()
    }

    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        (**self).as_fd()
    }

    #[cfg(unix)]
    fn poll_write_fd(
        &self,
        cx: &mut Context<'_>,
        write: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        (**self).poll_write_fd(cx, write)
    }
}

/// One end of a connection: what the socket itself says, without a reverse lookup.
///
/// The [`Display`](fmt::Display) form is `host:port`, with brackets around an IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketName {
    /// A host name or the canonical text of an IP address; IPv6 stands here without brackets.
    pub host: String,
    /// The port; 0 where the kind of socket has none.
    pub port: u16,
}

impl SocketName {
    /// Creates a name from its two parts.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

/// IPv4 addresses that a dual-stack socket wraps into IPv6 (RFC 4291 §2.5.5.2) come out as IPv4, as in Java.
impl From<SocketAddr> for SocketName {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip().to_canonical().to_string(), address.port())
    }
}

impl fmt::Display for SocketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", HostPort(&self.host, self.port))
    }
}

/// Prints `host:port`, with brackets around an IPv6 address that has none yet.
pub(crate) struct HostPort<'a>(pub(crate) &'a str, pub(crate) u16);

impl fmt::Display for HostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(host, port) = self;
        if host.contains(':') && !host.starts_with('[') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_prints_as_host_and_port_with_brackets_only_around_ipv6() {
        assert_eq!(SocketName::new("worker-1", 7077).to_string(), "worker-1:7077");
        assert_eq!(SocketName::new("::1", 7077).to_string(), "[::1]:7077");
        assert_eq!(SocketName::new("[::1]", 7077).to_string(), "[::1]:7077");
    }

    #[test]
    fn only_loopback_is_private() {
        let private = |host: &str| crate::TcpNetwork.is_private(host);
        for host in [
            "127.0.0.1",
            "127.3.2.1",
            "::1",
            "[::1]",
            "localhost",
            "::ffff:127.0.0.1",
        ] {
            assert!(private(host), "{host}");
        }
        for host in ["0.0.0.0", "::", "10.0.0.1", "worker-1", "localhost.example", ""] {
            assert!(!private(host), "{host}");
        }
    }

    #[test]
    fn an_ipv4_address_wrapped_into_ipv6_is_named_as_ipv4() {
        let address: SocketAddr = "[::ffff:10.1.2.3]:80".parse().unwrap();
        assert_eq!(SocketName::from(address), SocketName::new("10.1.2.3", 80));
    }
}
