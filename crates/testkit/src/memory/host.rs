//! A host as the network that its env runs on, and its listeners.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use spark_rpc_net::{BoxFuture, Listener, Network, SocketOptions, Stream};

use super::Shared;
use super::connection::{CLIENT, SERVER};
use super::state::HostName;
use super::stream::MemoryStream;

/// One host of a [`MemoryNetwork`](crate::MemoryNetwork), from its start to its crash.
///
/// Its own names are `localhost`, `127.0.0.1`, `0.0.0.0`, their IPv6 forms, and the one that others know it by; all
/// of them mean the same listeners. Of the [`SocketOptions`] only the backlog counts.
///
/// Connecting fails with [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) where nobody listens and with
/// [`NotFound`](io::ErrorKind::NotFound) for an unknown host, and hangs while the host is out of reach. Binding fails
/// with [`AddrInUse`](io::ErrorKind::AddrInUse) for a taken port and with
/// [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable) for another host's name. Ports that nobody asked for are given
/// out from 49152 on. After its crash, a host fails with [`NetworkDown`](io::ErrorKind::NetworkDown).
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
    name: HostName,
    boot: u64,
}

impl Host {
    pub(super) fn new(shared: Arc<Shared>, name: HostName, boot: u64) -> Self {
        Self { shared, name, boot }
    }

    /// Returns the name by which others connect to it.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn failed(&self, action: &str, host: &str, port: u16, cause: &io::Error) -> io::Error {
        io::Error::new(
            cause.kind(),
            format!("{}: cannot {action} {host}:{port}: {cause}", self.name),
        )
    }
}

impl Network for Host {
    /// Nothing leaves the process.
    fn is_private(&self, _host: &str) -> bool {
        true
    }

    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        _: &'a SocketOptions,
    ) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let failed = |cause: io::Error| self.failed("connect to", host, port, &cause);
            let core = &self.shared.core;
            let connection = core
                .with(|state, now| state.connect(now, &self.name, self.boot, host, port))
                .map_err(failed)?;
            // From here on giving up closes it.
            let stream = MemoryStream::new(self.shared.clone(), connection, CLIENT);
            poll_fn(|cx| core.with(|state, _| state.poll_connected(connection, cx)))
                .await
                .map_err(failed)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn bind<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        options: &'a SocketOptions,
    ) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let (port, id) = self
                .shared
                .core
                .with(|state, now| state.bind(now, &self.name, self.boot, host, port, options.backlog))
                .map_err(|cause| self.failed("listen on", host, port, &cause))?;
            let (shared, host) = (self.shared.clone(), self.name.clone());
            Ok(Box::new(MemoryListener {
                shared,
                host,
                port,
                id,
            }) as Box<dyn Listener>)
        })
    }
}

impl AsRef<str> for Host {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("name", &self.name)
            .field("boot", &self.boot)
            .finish_non_exhaustive()
    }
}

struct MemoryListener {
    shared: Arc<Shared>,
    host: HostName,
    port: u16,
    id: u64,
}

impl Listener for MemoryListener {
    fn port(&self) -> u16 {
        self.port
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Stream>>> {
        let accept = self
            .shared
            .core
            .with(|state, now| state.poll_accept(now, &self.host, self.port, self.id, cx));
        let connection = ready!(accept);
        Poll::Ready(Ok(Box::new(MemoryStream::new(
            self.shared.clone(),
            connection,
            SERVER,
        ))))
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.shared
            .core
            .with(|state, now| state.unbind(now, &self.host, self.port, self.id));
    }
}

impl fmt::Debug for MemoryListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryListener({}:{})", self.host, self.port)
    }
}
