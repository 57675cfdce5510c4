//! Real TCP.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use socket2::SockRef;
#[cfg(unix)]
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::error::AddressError;
use crate::{BoxFuture, Listener, Network, SocketName, SocketOptions, Stream};

/// TCP, over IPv4 and IPv6.
///
/// A host is a name or an address; an IPv6 address may stand in brackets. All addresses of a name are tried in the order
/// in which the system gives them, and the error of the last one is reported.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpNetwork;

impl Network for TcpNetwork {
    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        options: &'a SocketOptions,
    ) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            const ACTION: &str = "connect to";
            let resolved = resolve(ACTION, host, port).await?;
            let mut failure = None;
            for address in &resolved.addresses {
                match connect_one(*address, options).await {
                    Ok(stream) => return Ok(Box::new(stream) as Box<dyn Stream>),
                    Err(cause) => failure = Some((*address, cause)),
                }
            }
            Err(resolved.failed(ACTION, host, port, failure))
        })
    }

    fn bind<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        options: &'a SocketOptions,
    ) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            const ACTION: &str = "listen on";
            let resolved = resolve(ACTION, host, port).await?;
            let mut failure = None;
            for address in &resolved.addresses {
                match bind_one(*address, options) {
                    Ok(listener) => return Ok(Box::new(listener) as Box<dyn Listener>),
                    Err(cause) => failure = Some((*address, cause)),
                }
            }
            Err(resolved.failed(ACTION, host, port, failure))
        })
    }
}

/// The addresses of a host, and how long it took to learn them.
struct Resolved {
    addresses: Vec<SocketAddr>,
    took: Duration,
}

impl Resolved {
    fn failed(
        &self,
        action: &'static str,
        host: &str,
        port: u16,
        failure: Option<(SocketAddr, io::Error)>,
    ) -> io::Error {
        match failure {
            Some((address, cause)) => AddressError::new(action, host, port, cause).target(address),
            None => AddressError::new(
                action,
                host,
                port,
                io::Error::new(io::ErrorKind::NotFound, "no address"),
            ),
        }
        .resolving(self.took)
        .into_io()
    }
}

async fn resolve(action: &'static str, host: &str, port: u16) -> io::Result<Resolved> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let started = Instant::now();
    match tokio::net::lookup_host((bare, port)).await {
        Ok(addresses) => Ok(Resolved {
            addresses: addresses.collect(),
            took: started.elapsed(),
        }),
        Err(cause) => Err(AddressError::new(action, host, port, cause)
            .resolving(started.elapsed())
            .into_io()),
    }
}

fn open(address: SocketAddr, options: &SocketOptions) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // Before `connect` and `listen`: the window scale is fixed by the first segment (RFC 7323 §2.2).
    if let Some(bytes) = options.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(algorithm) = &options.congestion {
        set_congestion(&SockRef::from(&socket), algorithm)?;
    }
    Ok(socket)
}

async fn connect_one(address: SocketAddr, options: &SocketOptions) -> io::Result<Tcp> {
    let socket = open(address, options)?;
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    let stream = socket.connect(address).await?;
    let local = stream.local_addr()?;
    if local == address {
        // Nobody listens there, and the system has chosen that port for this end (RFC 9293 §3.5, simultaneous open).
        // Closed in order, it would be taken for a while, also from the server that is to come back.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        let text = "the connection had only this end";
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
    }
    Ok(Tcp {
        stream,
        peer: address,
        local,
    })
}

fn bind_one(address: SocketAddr, options: &SocketOptions) -> io::Result<Accepting> {
    let socket = open(address, options)?;
    // On Windows the option would let a second server steal the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(options.backlog_or_max())?;
    let local = listener.local_addr()?;
    Ok(Accepting {
        listener,
        local,
        keep_alive: options.keep_alive,
        no_delay: options.no_delay,
    })
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn set_congestion(socket: &SockRef<'_>, algorithm: &str) -> io::Result<()> {
    socket
        .set_tcp_congestion(algorithm.as_bytes())
        .map_err(|cause| io::Error::new(cause.kind(), format!("congestion control {algorithm:?}: {cause}")))
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn set_congestion(_: &SockRef<'_>, algorithm: &str) -> io::Result<()> {
    let text = format!("congestion control {algorithm:?}: this system has no such option");
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// A listening socket. Accepted ones inherit its buffers and its congestion control.
#[derive(Debug)]
struct Accepting {
    listener: TcpListener,
    local: SocketAddr,
    keep_alive: bool,
    no_delay: bool,
}

impl Listener for Accepting {
    fn port(&self) -> u16 {
        self.local.port()
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Stream>>> {
        let (stream, peer) = ready!(self.listener.poll_accept(cx))?;
        // Some systems refuse options on a connection that the peer has reset already. That is no fault of the
        // listener, and the connection's first read says so anyway.
        let _ = stream.set_nodelay(self.no_delay);
        let _ = SockRef::from(&stream).set_keepalive(self.keep_alive);
        let local = stream.local_addr().unwrap_or(self.local);
        Poll::Ready(Ok(Box::new(Tcp { stream, peer, local })))
    }
}

/// A connected socket. The names are kept because the kernel forgets the peer's once it has gone.
#[derive(Debug)]
struct Tcp {
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
}

impl Stream for Tcp {
    fn peer(&self) -> SocketName {
        self.peer.into()
    }

    fn local(&self) -> SocketName {
        self.local.into()
    }

    fn reset_on_drop(&mut self) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }

    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.stream.as_fd())
    }

    #[cfg(unix)]
    fn poll_write_fd(
        &self,
        cx: &mut Context<'_>,
        write: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self
                .stream
                .try_io(Interest::WRITABLE, || write(self.stream.as_fd()))
            {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
