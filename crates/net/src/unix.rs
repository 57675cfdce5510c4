//! Unix sockets behind host and port.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

use crate::error::AddressError;
use crate::{BoxFuture, Listener, Network, SocketName, SocketOptions, Stream};

/// Unix sockets in one directory: `host:port` is the file `<dir>/<port>.sock`, whatever the host.
///
/// A whole env runs over it with the addresses that it would have over TCP, for peers on one machine that share the
/// directory. Access is what the directory's permissions allow; `bind` creates a missing one for its owner only.
///
/// The accepting side of a connection cannot know who called, since callers have no address of their own. It numbers
/// them: `unix:1`, `unix:2` and so on up to 65535, then from 1 again.
#[derive(Debug, Clone)]
pub struct UnixNetwork {
    dir: PathBuf,
}

impl UnixNetwork {
    /// Creates a network in `dir`, which need not exist yet.
    ///
    /// Systems limit the length of a socket's path to about 100 bytes; a directory beyond that shows as an error in
    /// `connect` and `bind`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn path(&self, port: u16) -> PathBuf {
        self.dir.join(format!("{port}.sock"))
    }

    /// Listens on a socket that has no name of its own yet, and returns where it can be linked from.
    ///
    /// A socket that is bound but does not listen yet refuses connections just as a dead one does. So nobody gets to
    /// see a socket by its real name before it listens.
    fn listen(&self, port: u16, options: &SocketOptions) -> io::Result<(UnixListener, TemporaryName)> {
        for attempt in 0u16..=u16::MAX {
            let socket = open(options)?;
            let name = self.dir.join(format!(".{port}.{}.{attempt}", process::id()));
            match socket.bind(&name) {
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => continue,
                result => result?,
            }
            let name = TemporaryName(name);
            return Ok((socket.listen(options.backlog_or_max())?, name));
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    async fn bind_port(&self, port: u16, options: &SocketOptions) -> io::Result<Accepting> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)?;
        let (listener, temporary) = self.listen(port, options)?;
        if port != 0 {
            return self
                .claim(port, &temporary)
                .await
                .map(|file| Accepting::new(listener, file, port));
        }
        for candidate in FIRST_EPHEMERAL..=u16::MAX {
            match self.claim(candidate, &temporary).await {
                Ok(file) => return Ok(Accepting::new(listener, file, candidate)),
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no free port"))
    }

    /// Gives the listening socket behind `temporary` the name of `port`, in place of a dead server's socket if need be.
    async fn claim(&self, port: u16, temporary: &TemporaryName) -> io::Result<SocketFile> {
        let path = self.path(port);
        // Each round but the last found a dead socket, or one that went away meanwhile; somebody else may be claiming
        // the same port, and rounds end when one of us has it.
        for _ in 0..CLAIM_ROUNDS {
            match fs::hard_link(&temporary.0, &path) {
                Ok(()) => return SocketFile::new(path),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
            if is_live(&path).await {
                break;
            }
            // Take the dead socket aside before removing it: between the look and the removal another server may have
            // put its live one there. In that case it gets its name back.
            let aside = TemporaryName(temporary.aside());
            match fs::rename(&path, &aside.0) {
                Ok(()) if is_live(&aside.0).await => {
                    let _ = fs::hard_link(&aside.0, &path);
                    break;
                }
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }
}

impl Network for UnixNetwork {
    /// Files decide who comes in.
    fn is_private(&self, _host: &str) -> bool {
        true
    }

    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        options: &'a SocketOptions,
    ) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let path = self.path(port);
            let connected = async { open(options)?.connect(&path).await };
            match connected.await {
                Ok(stream) => {
                    let (peer, local) = (SocketName::new(host, port), SocketName::new(UNNAMED, 0));
                    Ok(Box::new(Unix { stream, peer, local }) as Box<dyn Stream>)
                }
                Err(mut cause) => {
                    // A server that is gone has taken its file along. Over TCP its port would refuse.
                    if cause.kind() == io::ErrorKind::NotFound {
                        cause = io::Error::new(io::ErrorKind::ConnectionRefused, cause);
                    }
                    Err(AddressError::new("connect to", host, port, cause)
                        .target(path.display())
                        .into_io())
                }
            }
        })
    }

    fn bind<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        options: &'a SocketOptions,
    ) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            match self.bind_port(port, options).await {
                Ok(mut listener) => {
                    listener.host = host.to_owned();
                    Ok(Box::new(listener) as Box<dyn Listener>)
                }
                Err(cause) => {
                    let target = self.path(port);
                    Err(AddressError::new("listen on", host, port, cause)
                        .target(target.display())
                        .into_io())
                }
            }
        })
    }
}

fn open(options: &SocketOptions) -> io::Result<UnixSocket> {
    let socket = UnixSocket::new_stream()?;
    let settings = SockRef::from(&socket);
    if let Some(bytes) = options.receive_buffer {
        settings.set_recv_buffer_size(bytes as usize)?;
    }
    if let Some(bytes) = options.send_buffer {
        settings.set_send_buffer_size(bytes as usize)?;
    }
    Ok(socket)
}

/// Whether somebody listens behind `path`. A full backlog is a living server's, and so is one of another user.
async fn is_live(path: &Path) -> bool {
    match UnixStream::connect(path).await {
        Ok(_) => true,
        Err(e) => !matches!(
            e.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
        ),
    }
}

/// A file that goes away with this value.
#[derive(Debug)]
struct TemporaryName(PathBuf);

impl TemporaryName {
    /// A second name that is as unique as this one.
    fn aside(&self) -> PathBuf {
        let mut name = self.0.clone().into_os_string();
        name.push(".dead");
        name.into()
    }
}

impl Drop for TemporaryName {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A listener's file, removed with this value unless it is another listener's by then.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: PathBuf) -> io::Result<Self> {
        let identity = identity(&path)?;
        Ok(Self { path, identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A listening socket. The file comes first, so that it is gone before the socket refuses its first caller.
#[derive(Debug)]
struct Accepting {
    _file: SocketFile,
    listener: UnixListener,
    host: String,
    port: u16,
    /// The number that the last caller got.
    callers: u16,
}

impl Accepting {
    fn new(listener: UnixListener, file: SocketFile, port: u16) -> Self {
        Self {
            _file: file,
            listener,
            host: String::new(),
            port,
            callers: 0,
        }
    }
}

impl Listener for Accepting {
    fn port(&self) -> u16 {
        self.port
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Stream>>> {
        let (stream, _) = ready!(self.listener.poll_accept(cx))?;
        self.callers = self.callers.checked_add(1).unwrap_or(1);
        let peer = SocketName::new(UNNAMED, self.callers);
        let local = SocketName::new(self.host.as_str(), self.port);
        Poll::Ready(Ok(Box::new(Unix { stream, peer, local })))
    }
}

/// A connected socket.
#[derive(Debug)]
struct Unix {
    stream: UnixStream,
    peer: SocketName,
    local: SocketName,
}

impl Stream for Unix {
    fn peer(&self) -> SocketName {
        self.peer.clone()
    }

    fn local(&self) -> SocketName {
        self.local.clone()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.stream.as_fd())
    }

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

impl AsyncRead for Unix {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Unix {
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

/// The host of an end that has no address.
const UNNAMED: &str = "unix";

/// The first port that `bind` chooses on its own: the start of the dynamic range (RFC 6335 §6).
const FIRST_EPHEMERAL: u16 = 49152;

/// How often a port is tried while others come and go on it.
const CLAIM_ROUNDS: usize = 16;
