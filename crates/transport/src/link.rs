//! What the users of a connection and the task that drives it share.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spark_rpc_engine::{
    AskId, Begun, IdleWatch, Lane, Outcome, PendingAsks, PendingError, Weighed, WriteQueue,
};
use spark_rpc_net::SocketName;
use spark_rpc_wire::{OpenFrame, RequestId, StreamChunkId};

use crate::TransportConf;
use crate::buffers::BufferPool;
use crate::error::{ConnectionError, SendError};
use crate::outgoing::{FileBody, Outgoing};
use crate::stream_body::StreamBody;
use crate::waiters::Waiters;

/// One connection, as its users and its driver see it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: u64,
    pub(crate) peer: SocketName,
    pub(crate) local: SocketName,
    pub(crate) conf: Arc<TransportConf>,
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) counters: Arc<TransportCounters>,
    pub(crate) client_id: std::sync::OnceLock<String>,
    pub(crate) identity: std::sync::OnceLock<crate::security::PeerIdentity>,
    /// Answers have filled the write queue beyond its bounds: no further requests are to be taken. Set by whoever queues
    /// one, taken back by the driver; both hold the lock, and only the reader looks without it.
    over: AtomicBool,
    link: Mutex<Link>,
}

/// What stands behind the connection's one lock. Nothing here calls out while the lock is held.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) queue: WriteQueue<Outgoing>,
    pub(crate) pending: PendingAsks<Waker, Reply, Arc<ConnectionError>>,
    /// What answers that carry no request id belong to.
    pub(crate) expected: Expected,
    /// A body that follows its frame is arriving.
    pub(crate) arriving: bool,
    pub(crate) idle: IdleWatch,
    /// Wakes the driver; taken by the first who has work for it.
    pub(crate) driver: Option<Waker>,
    /// The moment for which the driver has set its timer.
    pub(crate) timer_at: Option<Instant>,
    /// Whether the driver must set its timer anew.
    pub(crate) timer_stale: bool,
    pub(crate) closing: Option<Closing>,
    /// Everything has been written, and the socket takes nothing more.
    pub(crate) shut: bool,
    pub(crate) ended: Option<Arc<ConnectionError>>,
    /// Who waits for room in the queue.
    pub(crate) want_room: Waiters,
    /// Who waits for a place among the pending requests. Woken whenever one may have become free, to look again.
    pub(crate) want_request: Waiters,
    /// The largest frame or body that was refused since there was room last. Room that it does not fit into is none:
    /// whoever waited for it would be sent back at once, and come again.
    refused: usize,
    /// Who waits for the end.
    pub(crate) want_end: Waiters,
}

/// How a connection is to be closed.
#[derive(Clone, Debug)]
pub(crate) enum Closing {
    /// After everything queued has been written.
    Flushed,
    /// At once.
    Now(ConnectionError),
}

/// An answer of the peer.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Body of an RpcResponse, or a chunk.
    Response(Bytes),
    /// Text of any kind of failure.
    Failure(String),
    /// A stream begins.
    Stream(Box<StreamBody>),
    /// What a merged block is made of: the number of its chunks, and their bitmaps.
    MergedMeta(Box<(i32, Bytes)>),
    /// Not the peer's: the body of the request could not be read.
    BodyUnreadable(Arc<io::Error>),
}

/// Requests whose answers carry no request id, in the order in which they were written.
///
/// One that nobody waits for any more keeps its place, since its answer still comes.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    chunks: BTreeMap<StreamChunkId, VecDeque<AskId>>,
    streams: VecDeque<(String, AskId)>,
    len: usize,
}

/// What answers a request, instead of an answer with its id.
pub(crate) enum Answered {
    Chunk(StreamChunkId),
    Stream(String),
}

impl Expected {
    fn add(&mut self, answered: Answered, id: AskId) {
        match answered {
            Answered::Chunk(chunk) => self.chunks.entry(chunk).or_default().push_back(id),
            Answered::Stream(name) => self.streams.push_back((name, id)),
        }
        self.len += 1;
    }

    /// A chunk or its failure has come: who asked for it first?
    pub(crate) fn chunk(&mut self, chunk: StreamChunkId) -> Option<AskId> {
        let asked = self.chunks.get_mut(&chunk)?;
        let id = asked.pop_front()?;
        if asked.is_empty() {
            self.chunks.remove(&chunk);
        }
        self.len -= 1;
        Some(id)
    }

    /// A stream or its failure has come: which was asked for first, and by whom?
    pub(crate) fn stream(&mut self) -> Option<(String, AskId)> {
        let first = self.streams.pop_front()?;
        self.len -= 1;
        Some(first)
    }
}

/// What the connections of one context have done so far. All counters only grow, except the gauges.
#[derive(Debug, Default)]
pub struct TransportCounters {
    pub(crate) bytes_read: AtomicU64,
    pub(crate) bytes_written: AtomicU64,
    pub(crate) frames_read: AtomicU64,
    pub(crate) frames_written: AtomicU64,
    pub(crate) connections_opened: AtomicU64,
    pub(crate) connections_closed: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) late_replies: AtomicU64,
    pub(crate) frames_unwritten: AtomicU64,
    pub(crate) bodies_in_transfer: AtomicU64,
    pub(crate) bytes_in_transfer: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
    pub(crate) handshakes_refused: AtomicU64,
    pub(crate) weak_sessions: AtomicU64,
    pub(crate) files_unopened: AtomicU64,
}

impl TransportCounters {
    /// Bytes read from sockets.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Bytes written to sockets.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }

    /// Frames decoded.
    #[must_use]
    pub fn frames_read(&self) -> u64 {
        self.frames_read.load(Ordering::Relaxed)
    }

    /// Frames handed to sockets.
    #[must_use]
    pub fn frames_written(&self) -> u64 {
        self.frames_written.load(Ordering::Relaxed)
    }

    /// Connections opened or accepted.
    #[must_use]
    pub fn connections_opened(&self) -> u64 {
        self.connections_opened.load(Ordering::Relaxed)
    }

    /// Connections that are open now (Spark's `registeredConnections`, for both directions).
    #[must_use]
    pub fn connections_open(&self) -> u64 {
        self.connections_opened()
            .saturating_sub(self.connections_closed.load(Ordering::Relaxed))
    }

    /// Connections closed at once because as many were open as allowed.
    #[must_use]
    pub fn connections_refused(&self) -> u64 {
        self.connections_refused.load(Ordering::Relaxed)
    }

    /// Replies that nobody waited for any more, or ever.
    #[must_use]
    pub fn late_replies(&self) -> u64 {
        self.late_replies.load(Ordering::Relaxed)
    }

    /// Frames that were still queued when their connection ended. Requests among them have been answered with the cause.
    #[must_use]
    pub fn frames_unwritten(&self) -> u64 {
        self.frames_unwritten.load(Ordering::Relaxed)
    }

    /// Chunks and streams that were asked for here and have not left entirely (Spark's `chunksBeingTransferred`).
    /// Small ones that are copied into the write queue do not count.
    #[must_use]
    pub fn bodies_in_transfer(&self) -> u64 {
        self.bodies_in_transfer.load(Ordering::Relaxed)
    }

    /// The bytes of those bodies, as far as their lengths are known.
    #[must_use]
    pub fn bytes_in_transfer(&self) -> u64 {
        self.bytes_in_transfer.load(Ordering::Relaxed)
    }

    /// Accepted connections that did not authenticate.
    #[must_use]
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.load(Ordering::Relaxed)
    }

    /// Accepted connections closed at once because too many others had not authenticated yet.
    #[must_use]
    pub fn handshakes_refused(&self) -> u64 {
        self.handshakes_refused.load(Ordering::Relaxed)
    }

    /// Connections protected by a mechanism that is only there for old peers: AES-CTR, DIGEST-MD5.
    #[must_use]
    pub fn weak_sessions(&self) -> u64 {
        self.weak_sessions.load(Ordering::Relaxed)
    }

    /// Files that were asked for, or to be uploaded, and could not be opened.
    #[must_use]
    pub fn files_unopened(&self) -> u64 {
        self.files_unopened.load(Ordering::Relaxed)
    }

    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

impl Shared {
    pub(crate) fn new(
        id: u64,
        peer: SocketName,
        local: SocketName,
        conf: Arc<TransportConf>,
        pool: Arc<BufferPool>,
        counters: Arc<TransportCounters>,
    ) -> Self {
        let now = now();
        let bounds = spark_rpc_engine::Bounds {
            max_items: conf.write_queue_max_frames,
            max_bytes: conf.write_queue_max_bytes,
        };
        let link = Link {
            queue: WriteQueue::new(bounds),
            pending: PendingAsks::new(conf.max_pending_requests, now),
            expected: Expected::default(),
            arriving: false,
            idle: IdleWatch::new(conf.connection_timeout, conf.close_idle_connections, now),
            driver: None,
            timer_at: None,
            timer_stale: conf.close_idle_connections,
            closing: None,
            shut: false,
            ended: None,
            want_room: Waiters::default(),
            want_request: Waiters::default(),
            refused: 0,
            want_end: Waiters::default(),
        };
        Self {
            id,
            peer,
            local,
            conf,
            pool,
            counters,
            client_id: std::sync::OnceLock::new(),
            identity: std::sync::OnceLock::new(),
            over: AtomicBool::new(false),
            link: Mutex::new(link),
        }
    }

    pub(crate) fn link(&self) -> MutexGuard<'_, Link> {
        // A panic while the lock is held would be a bug of the engine; the others go on with what is there.
        self.link.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Queues a frame that nobody answers.
    pub(crate) fn push(&self, lane: Lane, frame: &mut Vec<u8>) -> Result<(), SendError> {
        let mut link = self.link();
        link.check_open(&self.peer)?;
        link.enqueue(lane, frame, &self.pool)?;
        let waker = link.driver.take();
        drop(link);
        wake(waker);
        Ok(())
    }

    /// Queues an answer; without effect when the connection has ended, or this side's direction of it. Answers are never
    /// refused; when they exceed the queue's bounds, the connection [is over](Self::is_over) them.
    pub(crate) fn push_answer(&self, lane: Lane, frame: &mut Vec<u8>) {
        let mut link = self.link();
        if link.ended.is_some() || link.shut {
            return;
        }
        if frame.len() >= OWN_CHUNK {
            link.queue.push_owned_answer(lane, std::mem::take(frame));
        } else {
            link.queue.push_answer(lane, frame, || self.pool.lend());
        }
        self.answered(link);
    }

    /// Queues a body that answers a request, behind those that were queued before; otherwise like
    /// [`push_answer`](Self::push_answer).
    pub(crate) fn push_body(&self, body: Outgoing) {
        let mut link = self.link();
        if link.ended.is_some() || link.shut {
            // Whatever its owner does when it is released must not happen under the lock.
            drop(link);
            drop(body);
            return;
        }
        link.queue.push_bulk_answer(body.weight(), body);
        self.answered(link);
    }

    fn answered(&self, mut link: MutexGuard<'_, Link>) {
        if link.queue.is_over() {
            self.over.store(true, Ordering::Relaxed);
        }
        let waker = link.driver.take();
        drop(link);
        wake(waker);
    }

    /// Whether answers exceed the write queue's bounds, as far as is known.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Looks whether they still do.
    pub(crate) fn check_over(&self, link: &Link) -> bool {
        let over = link.queue.is_over();
        if self.is_over() != over {
            self.over.store(over, Ordering::Relaxed);
        }
        over
    }

    /// Enters a request whose answer carries no id, and queues its frame.
    pub(crate) fn begin_expecting(
        &self,
        frame: &mut Vec<u8>,
        answered: Answered,
        timing: Timing,
    ) -> Result<AskId, SendError> {
        let mut link = self.link();
        link.check_open(&self.peer)?;
        let max = self.conf.max_pending_requests;
        if link.expected.len >= max {
            return Err(SendError::TooManyRequests { max });
        }
        let begun = link.begin_pending(timing)?;
        if let Err(full) = link.enqueue(Lane::Normal, frame, &self.pool) {
            link.pending.cancel(begun.id);
            return Err(full);
        }
        link.expected.add(answered, begun.id);
        Ok(self.begun(link, begun, timing))
    }

    /// Enters a request that a body follows; `make` makes both out of the request's id.
    pub(crate) fn begin_upload(
        &self,
        timing: Timing,
        make: impl FnOnce(AskId) -> Result<Outgoing, SendError>,
    ) -> Result<AskId, SendError> {
        let mut link = self.link();
        link.check_open(&self.peer)?;
        let begun = link.begin_pending(timing)?;
        let refused = match make(begun.id) {
            Err(error) => (None, error),
            Ok(body) => match link.queue.push_bulk(body.weight(), body) {
                Ok(_) => return Ok(self.begun(link, begun, timing)),
                Err((body, full)) => {
                    link.refused = link.refused.max(body.weight());
                    (Some(body), SendError::Full(full))
                }
            },
        };
        link.pending.cancel(begun.id);
        drop(link);
        // What its owner does when it is released must not happen under the lock.
        let (body, error) = refused;
        drop(body);
        Err(error)
    }

    fn begun(&self, mut link: MutexGuard<'_, Link>, begun: Begun, timing: Timing) -> AskId {
        link.idle.request(timing.now);
        link.note_deadline(begun.rearm, timing.now, self.conf.connection_timeout);
        let driver = link.driver.take();
        drop(link);
        wake(driver);
        begun.id
    }

    /// Enters a request and queues its frame, whose id is written into it here.
    pub(crate) fn begin(
        &self,
        lane: Lane,
        frame: &mut Vec<u8>,
        timing: Timing,
        waker: Option<Waker>,
    ) -> Result<AskId, SendError> {
        let mut link = self.link();
        link.check_open(&self.peer)?;
        let Begun { id, rearm } =
            link.pending
                .begin(timing.deadline, waker)
                .map_err(|error| match error {
                    PendingError::TooMany { max } => SendError::TooManyRequests { max },
                    PendingError::Closed(cause) => SendError::Closed(cause),
                })?;
        OpenFrame::set_request_id(frame, RequestId(id.to_wire()));
        if let Err(full) = link.enqueue(lane, frame, &self.pool) {
            link.pending.cancel(id);
            return Err(full);
        }
        link.idle.request(timing.now);
        link.note_deadline(rearm, timing.now, self.conf.connection_timeout);
        let driver = link.driver.take();
        drop(link);
        wake(driver);
        Ok(id)
    }

    /// Takes a request's outcome or remembers the waker.
    pub(crate) fn poll(&self, id: AskId, waker: &Waker) -> Option<Outcome<Reply, Arc<ConnectionError>>> {
        self.link().pending.poll(id, |known| match known {
            Some(known) if known.will_wake(waker) => known,
            _ => waker.clone(),
        })
    }

    pub(crate) fn cancel(&self, id: AskId) {
        let mut wakers = Vec::new();
        let mut link = self.link();
        link.pending.cancel(id);
        link.want_request.take_all(&mut wakers);
        drop(link);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn close(&self, closing: Closing) {
        let mut link = self.link();
        match (&link.closing, &closing) {
            (Some(Closing::Now(_)), _) | (Some(Closing::Flushed), Closing::Flushed) => return,
            _ => link.closing = Some(closing),
        }
        let waker = link.driver.take();
        drop(link);
        wake(waker);
    }
}

impl Link {
    fn begin_pending(&mut self, timing: Timing) -> Result<Begun, SendError> {
        self.pending
            .begin(timing.deadline, None)
            .map_err(|error| match error {
                PendingError::TooMany { max } => SendError::TooManyRequests { max },
                PendingError::Closed(cause) => SendError::Closed(cause),
            })
    }

    /// Requests without their answer, and a body that is arriving.
    pub(crate) fn outstanding(&self) -> usize {
        self.pending.waiting() + usize::from(self.arriving)
    }

    fn check_open(&self, peer: &SocketName) -> Result<(), SendError> {
        if let Some(cause) = &self.ended {
            return Err(SendError::Closed(Arc::clone(cause)));
        }
        match &self.closing {
            None => Ok(()),
            Some(Closing::Flushed) => Err(SendError::Closed(Arc::new(ConnectionError::ClosedHere {
                peer: peer.clone(),
            }))),
            Some(Closing::Now(cause)) => Err(SendError::Closed(Arc::new(cause.clone()))),
        }
    }

    fn enqueue(&mut self, lane: Lane, frame: &mut Vec<u8>, pool: &BufferPool) -> Result<(), SendError> {
        let pushed = if frame.len() >= OWN_CHUNK {
            let pushed = self.queue.push_owned(lane, std::mem::take(frame));
            pushed.map_err(|(back, full)| {
                *frame = back;
                full
            })
        } else {
            self.queue.push(lane, frame, || pool.lend())
        };
        match pushed {
            Ok(_) => Ok(()),
            Err(full) => {
                self.refused = self.refused.max(frame.len());
                Err(SendError::Full(full))
            }
        }
    }

    /// Whether the queue takes a frame as large as those that it has refused.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.has_room(self.refused)
    }

    /// Takes out whom to wake after something has been written.
    pub(crate) fn room_made(&mut self, wakers: &mut Vec<Waker>) {
        if (self.refused > 0 || !self.want_room.is_empty()) && self.has_room() {
            self.refused = 0;
            self.want_room.take_all(wakers);
        }
    }

    /// Takes the next file for the thread that sends them, if no frame waits to go before it.
    pub(crate) fn next_file(&mut self) -> Option<Weighed<FileBody>> {
        let next = self
            .queue
            .next_bulk_if(|next| matches!(next, Outgoing::File(_)))?;
        match next.body {
            Outgoing::File(body) => Some(Weighed {
                weight: next.weight,
                body,
            }),
            Outgoing::Ready { .. } => unreachable!("it was looked at"),
        }
    }

    /// So many files have left that counted `weight`; takes out whom to wake.
    pub(crate) fn files_left(&mut self, files: usize, weight: usize, wakers: &mut Vec<Waker>) {
        // With the connection, they have been given up already.
        if self.ended.is_none() {
            self.queue.written(files, weight);
            self.room_made(wakers);
        }
    }

    fn note_deadline(&mut self, rearm: bool, now: Instant, idle: Option<Duration>) {
        let idle_needs = match (self.timer_at, idle) {
            (None, Some(_)) => true,
            (Some(at), Some(timeout)) => now + timeout < at,
            (_, None) => false,
        };
        if rearm || idle_needs {
            self.timer_stale = true;
        }
    }
}

/// When a request was made and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) now: Instant,
    pub(crate) deadline: Option<Instant>,
}

/// The time on tokio's clock, which tests may have stopped.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Frames from this size on are queued by themselves, without a copy.
const OWN_CHUNK: usize = 32 * 1024;
