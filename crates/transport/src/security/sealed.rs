//! A stream whose bytes are encrypted on their way.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use spark_rpc_auth::engine::EngineVersion;
use spark_rpc_auth::{Decryptor, Encryptor};
use spark_rpc_net::{SocketName, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What turns plaintext into what is sent, and back.
pub(super) trait Seal: fmt::Debug + Send + Sync + Unpin + 'static {
    /// Appends the encrypted form of `plain` to `out`, behind whatever else is to be sent.
    fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()>;

    /// Takes all of `input` and appends what can be decrypted. What was good before an error is appended.
    fn open(&mut self, input: &[u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<()>;

    /// The peer's bytes have ended.
    fn ended(&mut self) -> io::Result<()>;

    /// The socket has failed.
    fn lost(&self, error: io::Error) -> io::Error {
        error
    }

    /// Nothing more is to be sent.
    fn farewell(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }
}

/// The two ciphers of a session, one per direction.
#[derive(Debug)]
pub(super) struct Ciphers {
    outgoing: Encryptor,
    incoming: Decryptor,
    unproven: Option<Unproven>,
}

/// Until something of the peer's has made sense, nobody knows whether it uses the same keys and cipher: the auth engine
/// does not say which it uses.
#[derive(Debug)]
struct Unproven {
    version: EngineVersion,
    since: Instant,
    /// This side has sent something; before that a peer may leave as it likes.
    spoke: bool,
    /// Decrypted, as far as a frame's length.
    first: Vec<u8>,
}

impl Ciphers {
    /// `version` is the auth engine's, if it made the keys.
    pub(super) fn new(outgoing: Encryptor, incoming: Decryptor, version: Option<EngineVersion>) -> Self {
        Self {
            outgoing,
            incoming,
            unproven: version.map(|version| Unproven {
                version,
                since: Instant::now(),
                spoke: false,
                first: Vec::new(),
            }),
        }
    }

    /// What the peer's end, or its first bytes, most likely mean.
    fn unlike(&self, unproven: &Unproven, what: String) -> io::Error {
        broken(UnlikeSession {
            what,
            version: unproven.version,
            cipher: self.incoming.name(),
        })
    }

    /// The unproven session, if it ends so soon after this side's first words that it must have to do with them.
    fn young(&self) -> Option<&Unproven> {
        let soon = |unproven: &&Unproven| unproven.spoke && unproven.since.elapsed() < YOUNG;
        self.unproven.as_ref().filter(soon)
    }

    /// Looks at the first bytes that were decrypted: a cipher without tags makes something of everything.
    fn prove(&mut self, plain: &[u8]) -> io::Result<()> {
        let Some(mut unproven) = self.unproven.take() else {
            return Ok(());
        };
        let missing = size_of::<i64>() - unproven.first.len();
        unproven
            .first
            .extend_from_slice(&plain[..missing.min(plain.len())]);
        let Ok(length) = <[u8; size_of::<i64>()]>::try_from(&*unproven.first) else {
            self.unproven = Some(unproven);
            return Ok(());
        };
        let length = i64::from_be_bytes(length);
        if (0..=LONGEST_FRAME).contains(&length) {
            return Ok(());
        }
        Err(self.unlike(&unproven, format!("a frame cannot be {length} bytes long")))
    }
}

impl Seal for Ciphers {
    fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if let Some(unproven) = &mut self.unproven
            && !unproven.spoke
        {
            unproven.spoke = true;
            unproven.since = Instant::now();
        }
        self.outgoing.encrypt(plain, out).map_err(broken)
    }

    fn open(&mut self, mut input: &[u8], plain: &mut Vec<u8>, _: &mut Vec<u8>) -> io::Result<()> {
        let start = plain.len();
        let opened = self.incoming.decrypt(&mut input, plain, usize::MAX);
        if self.unproven.is_none() {
            return opened.map_err(broken);
        }
        self.prove(&plain[start..])
            .inspect_err(|_| plain.truncate(start))?;
        opened.map_err(|error| match &self.unproven {
            Some(unproven) => self.unlike(unproven, error.to_string()),
            None => broken(error),
        })
    }

    fn ended(&mut self) -> io::Result<()> {
        if let Some(unproven) = self.young() {
            return Err(self.unlike(unproven, "the peer closed the connection".to_owned()));
        }
        self.incoming
            .finish()
            .map_err(|error| io::Error::new(io::ErrorKind::UnexpectedEof, error))
    }

    fn lost(&self, error: io::Error) -> io::Error {
        match self.young() {
            Some(unproven) => self.unlike(unproven, error.to_string()),
            None => error,
        }
    }
}

/// Both sides know the secret, and then do not understand each other.
#[derive(Debug, thiserror::Error)]
#[error(
    "{what}, and nothing that it sent could be read since it authenticated. Both sides must have the same \
     spark.network.crypto.authEngineVersion and spark.network.crypto.cipher; here they are {} and {cipher}, while Spark's \
     defaults are 1 and AES/CTR/NoPadding",
    version_number(*version)
)]
struct UnlikeSession {
    what: String,
    version: EngineVersion,
    cipher: &'static str,
}

fn version_number(version: EngineVersion) -> u8 {
    match version {
        EngineVersion::V1 => 1,
        EngineVersion::V2 => 2,
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
            let mut space = buf.take(AT_ONCE);
            if let Err(error) = ready!(Pin::new(&mut this.inner).poll_read(cx, &mut space)) {
                return Poll::Ready(Err(this.seal.lost(error)));
            }
            let input = space.filled();
            if input.is_empty() {
                return Poll::Ready(this.seal.ended());
            }
            let waiting = this.out.len();
            this.failed = this.seal.open(input, &mut this.plain, &mut this.out).err();
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

/// Until when the end of a session that has proven nothing is put down to that.
const YOUNG: Duration = Duration::from_secs(5);
/// Length field included; whether it is too long here is for the decoder of frames to say.
const LONGEST_FRAME: i64 = (1 << 31) + 8;
/// Plaintext encrypted by one write: two whole segments of AES-GCM. A read takes as much. The buffers grow and shrink with
/// each; allocators hand larger ones back to the system, and every page of them is then faulted in anew.
const AT_ONCE: usize = 2 * (32 * 1024 - 16);
/// What an idle stream's buffers may keep.
const KEPT: usize = 4 * 1024;
