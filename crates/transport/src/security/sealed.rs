//! A stream whose bytes are encrypted on their way.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use spark_rpc_auth::{Decryptor, Encryptor};
use spark_rpc_net::{SocketName, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What turns plaintext into what is sent, and back.
pub(super) trait Seal: fmt::Debug + Send + Sync + Unpin + 'static {
    /// Appends the encrypted form of `plain` to `out`, behind whatever else is to be sent.
    fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()>;

    /// Takes all of `input` and appends what can be decrypted. What was good before an error is appended.
    fn open(&mut self, input: &[u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<()>;

    /// The peer's bytes have ended.
    fn ended(&mut self) -> io::Result<()>;

    /// Nothing more is to be sent.
    fn farewell(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }
}

/// The two ciphers of a session, one per direction.
#[derive(Debug)]
pub(super) struct Ciphers(pub(super) Encryptor, pub(super) Decryptor);

impl Seal for Ciphers {
    fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.0.encrypt(plain, out).map_err(broken)
    }

    fn open(&mut self, mut input: &[u8], plain: &mut Vec<u8>, _: &mut Vec<u8>) -> io::Result<()> {
        self.1.decrypt(&mut input, plain, usize::MAX).map_err(broken)
    }

    fn ended(&mut self) -> io::Result<()> {
        self.1
            .finish()
            .map_err(|error| io::Error::new(io::ErrorKind::UnexpectedEof, error))
    }
}

pub(super) fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Encrypts what is written to the stream inside, and decrypts what is read from it.
///
/// A write that returned [`Pending`](Poll::Pending) must be repeated with the same bytes at the front, as the driver
/// does: they are encrypted already. A write is reported when all of its encrypted form has been taken, so that a
/// stream without a pending write holds nothing back.
///
/// There is no socket to lend: `sendfile` would go around the cipher.
pub(super) struct SealedStream<S> {
    inner: Box<dyn Stream>,
    seal: S,
    /// Decrypted, and not yet handed out from `handed_out` on.
    plain: Vec<u8>,
    handed_out: usize,
    /// Encrypted, and written up to `written`.
    out: Vec<u8>,
    written: usize,
    /// How much plaintext of the caller's is in `out`.
    taken: usize,
    /// Kept until what was good before it has been read.
    failed: Option<io::Error>,
    said_farewell: bool,
}

impl<S: Seal> SealedStream<S> {
    /// `early` has been decrypted already.
    pub(super) fn new(inner: Box<dyn Stream>, seal: S, early: Vec<u8>) -> Self {
        Self {
            inner,
            seal,
            plain: early,
            handed_out: 0,
            out: Vec::new(),
            written: 0,
            taken: 0,
            failed: None,
            said_farewell: false,
        }
    }

    fn hand_out(&mut self, buf: &mut ReadBuf<'_>) {
        let left = &self.plain[self.handed_out..];
        let n = left.len().min(buf.remaining());
        buf.put_slice(&left[..n]);
        self.handed_out += n;
        if self.handed_out == self.plain.len() {
            self.handed_out = 0;
            self.plain.clear();
            // An idle connection holds next to nothing.
            self.plain.shrink_to(KEPT);
        }
    }

    /// Writes out all that is encrypted.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            let n = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.out[self.written..]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += n;
        }
        self.written = 0;
        self.out.clear();
        self.out.shrink_to(KEPT);
        Poll::Ready(Ok(()))
    }
}

impl<S: Seal> AsyncRead for SealedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.handed_out < this.plain.len() {
                this.hand_out(buf);
                return Poll::Ready(Ok(()));
            }
            if let Some(error) = this.failed.take() {
                return Poll::Ready(Err(error));
            }
            // The caller's own space serves for what is encrypted, which is gone from there before it returns.
            let start = buf.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
            let input = &buf.filled()[start..];
            if input.is_empty() {
                return Poll::Ready(this.seal.ended());
            }
            let waiting = this.out.len();
            this.failed = this.seal.open(input, &mut this.plain, &mut this.out).err();
            buf.set_filled(start);
            if this.out.len() > waiting && this.taken == 0 {
                // Such as an alert: if the socket is full, the next write takes it along.
                if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
                    this.failed.get_or_insert(error);
                }
            }
        }
    }
}

impl<S: Seal> AsyncWrite for SealedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.taken == 0 {
            let n = buf.len().min(AT_ONCE);
            this.seal.seal(&buf[..n], &mut this.out)?;
            this.taken = n;
        } else if buf.len() < this.taken {
            let text = "a write that was pending was repeated with fewer bytes";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, text)));
        }
        ready!(this.poll_drain(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut this.taken)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !std::mem::replace(&mut this.said_farewell, true) {
            this.seal.farewell(&mut this.out);
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

impl<S: Seal> Stream for SealedStream<S> {
    fn peer(&self) -> SocketName {
        self.inner.peer()
    }

    fn local(&self) -> SocketName {
        self.inner.local()
    }

    fn reset_on_drop(&mut self) -> io::Result<()> {
        self.inner.reset_on_drop()
    }
}

impl<S: Seal> fmt::Debug for SealedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedStream")
            .field("inner", &self.inner)
            .field("seal", &self.seal)
            .finish_non_exhaustive()
    }
}

/// Plaintext encrypted by one write: two whole segments of AES-GCM.
const AT_ONCE: usize = 2 * (32 * 1024 - 16);
/// What an idle stream's buffers may keep.
const KEPT: usize = 4 * 1024;
