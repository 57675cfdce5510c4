//! A stream that is arriving, from the connection that reads it to the one who asked for it.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use spark_rpc_net::BoxFuture;
use tokio::io::{AsyncRead, ReadBuf};

use crate::client::TransportClient;
use crate::error::ConnectionError;

/// The bytes of a stream that was [opened](TransportClient::open_stream), in order.
///
/// They come in pieces without a copy from [`chunk`](Self::chunk), or through [`AsyncRead`]. While a body arrives, every
/// other message of the peer waits behind it: the protocol allows nothing in between. A reader that does not keep up
/// makes the connection stop reading once as much as the setting `io.streamWindow` allows is waiting, and with it the
/// peer stop writing. So large streams go over a connection of their own, such as
/// [`create_unmanaged_client`](crate::TransportClientFactory::create_unmanaged_client) makes. A reader that takes
/// nothing for the connection's time limit loses the connection.
///
/// Dropping a body before its end discards the rest, if that is short; otherwise it closes the connection, which costs
/// less than to receive what nobody wants.
pub struct StreamBody {
    client: TransportClient,
    pipe: Arc<Pipe>,
    length: u64,
    remaining: u64,
    /// What [`AsyncRead`] has begun to hand out.
    current: Bytes,
}

/// The connection's end.
pub(crate) struct BodySender {
    pipe: Arc<Pipe>,
}

struct Pipe {
    state: Mutex<PipeState>,
    window: usize,
}

#[derive(Default)]
struct PipeState {
    pieces: VecDeque<Bytes>,
    held: usize,
    failed: Option<Arc<ConnectionError>>,
    /// Nobody reads any more.
    abandoned: bool,
    reader: Option<Waker>,
    /// The connection, while it waits for room.
    writer: Option<Waker>,
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// More may come.
    Room,
    /// More may come after [`BodySender::room`].
    Full,
    /// Nobody wants it.
    Abandoned,
}

/// Makes both ends of a body of `length` bytes.
pub(crate) fn stream_body(client: &TransportClient, length: u64) -> (BodySender, StreamBody) {
    let pipe = Arc::new(Pipe {
        state: Mutex::default(),
        window: client.shared().conf.stream_window,
    });
    let body = StreamBody {
        client: client.clone(),
        pipe: Arc::clone(&pipe),
        length,
        remaining: length,
        current: Bytes::new(),
    };
    (BodySender { pipe }, body)
}

impl StreamBody {
    /// How many bytes the stream has in all.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many bytes have not been handed out yet.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The connection that it comes over.
    #[must_use]
    pub fn client(&self) -> &TransportClient {
        &self.client
    }

    /// Waits for the next piece, which is never empty; `None` is the end.
    ///
    /// # Errors
    ///
    /// Why the connection ended in the middle of the stream. What came before that is handed out first.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Arc<ConnectionError>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Polls for the next piece; see [`chunk`](Self::chunk).
    ///
    /// # Errors
    ///
    /// As for [`chunk`](Self::chunk).
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Arc<ConnectionError>>> {
        let piece = if self.current.is_empty() {
            ready!(self.poll_piece(cx))?
        } else {
            Some(std::mem::take(&mut self.current))
        };
        self.remaining -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(Ok(piece))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Arc<ConnectionError>>> {
        if self.remaining == 0 {
            return Poll::Ready(Ok(None));
        }
        let mut state = self.pipe.state();
        let Some(piece) = state.pieces.pop_front() else {
            if let Some(cause) = &state.failed {
                return Poll::Ready(Err(Arc::clone(cause)));
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.held -= piece.len();
        let waiting = state.writer.is_some();
        let writer = if state.held <= self.pipe.window / 2 {
            state.writer.take()
        } else {
            None
        };
        drop(state);
        if waiting {
            // The connection is silent because of us, and we are alive.
            self.client.touch();
        }
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Ready(Ok(Some(piece)))
    }
}

/// An error of the connection comes as [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) around the
/// [`ConnectionError`].
impl AsyncRead for StreamBody {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.current.is_empty() {
            let piece = ready!(this.poll_piece(cx))
                .map_err(|cause| io::Error::new(io::ErrorKind::ConnectionAborted, cause))?;
            this.current = piece.unwrap_or_default();
        }
        let n = this.current.len().min(buf.remaining());
        buf.put_slice(&this.current[..n]);
        this.current.advance(n);
        this.remaining -= n as u64;
        Poll::Ready(Ok(()))
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        let mut state = self.pipe.state();
        state.abandoned = true;
        let pieces = std::mem::take(&mut state.pieces);
        let writer = state.writer.take();
        drop(state);
        drop(pieces);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

impl fmt::Debug for StreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamBody")
            .field("peer", &format_args!("{}", self.client.peer()))
            .field("length", &self.length)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

impl BodySender {
    /// Hands a piece to the reader.
    pub(crate) fn send(&self, piece: Bytes) -> Taken {
        let mut state = self.pipe.state();
        if state.abandoned {
            return Taken::Abandoned;
        }
        state.held += piece.len();
        state.pieces.push_back(piece);
        let full = state.held >= self.pipe.window;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        if full { Taken::Full } else { Taken::Room }
    }

    /// Waits until the reader has taken half of what may wait, or is gone.
    pub(crate) fn room(&self) -> BoxFuture<'static, ()> {
        let pipe = Arc::clone(&self.pipe);
        Box::pin(poll_fn(move |cx| {
            let mut state = pipe.state();
            if state.abandoned || state.held <= pipe.window / 2 {
                state.writer = None;
                return Poll::Ready(());
            }
            state.writer = Some(cx.waker().clone());
            Poll::Pending
        }))
    }

    /// The rest will not come.
    pub(crate) fn fail(self, cause: &Arc<ConnectionError>) {
        let mut state = self.pipe.state();
        state.failed = Some(Arc::clone(cause));
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
