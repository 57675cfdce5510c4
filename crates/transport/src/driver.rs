//! The task that drives one connection: reads, decodes, hands in, writes, and watches the clock.

mod reading;

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::Bytes;
use spark_rpc_engine::{Chunk, IdleVerdict, Next};
use spark_rpc_net::{BoxFuture, Stream};
use spark_rpc_wire::FrameDecoder;
use tokio::io::AsyncWrite;
use tokio::time::Sleep;

use crate::bulk_write::{BulkError, BulkWrite};
use crate::client::TransportClient;
use crate::connections::Connections;
use crate::error::ConnectionError;
use crate::file_job::Unopened;
use crate::guard::{guarded, report};
use crate::handler::RpcHandler;
use crate::intake::Intake;
use crate::link::{Closing, Reply, Shared, TransportCounters, now};

/// Drives one connection until it ends.
///
/// One task does everything, by hand-written polling: a turn first reads and hands in all that has arrived, then lets
/// every other ready task run once (it wakes itself and returns), and only then takes the write queue. So the answers
/// to one read, and the requests of many tasks, leave in one system call.
pub(crate) struct Driver {
    client: TransportClient,
    stream: Box<dyn Stream>,
    handler: Box<dyn RpcHandler>,
    intake: Intake,
    owner: Weak<Connections>,
    writing: Option<(Chunk, usize)>,
    /// A bulk body that is being written; then `writing` is empty.
    bulk: Option<Box<BulkWrite>>,
    /// The log has been told of a file that cannot be sent.
    said_unopened: bool,
    /// The others have had their turn since the write queue was found filled.
    yielded: bool,
    /// The last write found the socket full.
    blocked_since: Option<Instant>,
    /// Reading pauses until this is done.
    stalled: Option<BoxFuture<'static, ()>>,
    /// Input that arrived before reading was paused.
    unread: Bytes,
    /// Answers fill the queue beyond its bounds: no further requests are read.
    over: bool,
    /// Bytes that this turn has read.
    read_in_turn: usize,
    wakers: Vec<Waker>,
    /// Nothing more comes from the peer; only looked at when this side closes.
    peer_done: bool,
    timer: Option<Pin<Box<Sleep>>>,
    spin_until: Option<Instant>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Open,
    /// Everything queued is to be written, then the connection ends.
    Flushing {
        until: Instant,
    },
    /// This side is done; the peer's end is awaited so that it gets our last bytes.
    Lingering {
        until: Instant,
    },
    Ended,
}

impl Driver {
    pub(crate) fn new(
        client: TransportClient,
        stream: Box<dyn Stream>,
        handler: Box<dyn RpcHandler>,
        owner: Weak<Connections>,
    ) -> Self {
        let max_frame = client.shared().conf.max_frame_bytes;
        let recycler = client.shared().pool.bulk.clone();
        Self {
            stream,
            handler,
            intake: Intake::new(
                FrameDecoder::new(max_frame).recycling(recycler),
                client.shared().conf.read_buffer / MOST_KEPT_FOR_ONE,
            ),
            client,
            owner,
            writing: None,
            bulk: None,
            said_unopened: false,
            yielded: false,
            blocked_since: None,
            stalled: None,
            unread: Bytes::new(),
            over: false,
            read_in_turn: 0,
            wakers: Vec::new(),
            peer_done: false,
            timer: None,
            spin_until: None,
            phase: Phase::New,
        }
    }

    fn shared(&self) -> &Shared {
        self.client.shared()
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionError> {
        if self.phase == Phase::New {
            self.phase = Phase::Open;
            self.handler.channel_active(&self.client);
        }
        let now = now();
        let mut again = match self.phase {
            // Nobody wants what still comes. But a peer that closes as well must get rid of it before it reads.
            Phase::Flushing { .. } => {
                self.peer_done = self.peer_done || self.discard_until_end(cx).is_ready();
                false
            }
            Phase::Lingering { .. } => match self.discard_until_end(cx) {
                Poll::Ready(()) => return Poll::Ready(self.closed_here()),
                Poll::Pending => false,
            },
            _ => match self.read(cx, now) {
                Ok(again) => again,
                Err(cause) => return Poll::Ready(cause),
            },
        };
        again |= self.wake_some();
        match self.write(cx, now) {
            Ok(more) => again |= more,
            Err(BulkError::Socket(error)) => return Poll::Ready(self.socket_error(error)),
            Err(BulkError::File(error)) => {
                return Poll::Ready(ConnectionError::FileLost {
                    peer: self.shared().peer.clone(),
                    source: Arc::new(error),
                });
            }
        }
        let fired = self
            .timer
            .as_mut()
            .is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if let Some(cause) = self.settle(cx, now, fired, &mut again) {
            return Poll::Ready(cause);
        }
        again |= self.wake_some();
        if again {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Wakes as many waiting tasks as the settings allow at once; returns whether some are left.
    fn wake_some(&mut self) -> bool {
        if self.wakers.is_empty() {
            return false;
        }
        // More than tokio's run queue holds would go to its global queue, and starve there.
        let n = self.wakers.len().min(self.shared().conf.wakeups_per_batch);
        self.wakers.drain(..n).for_each(Waker::wake);
        if self.wakers.is_empty() {
            self.wakers = Vec::new();
        }
        !self.wakers.is_empty()
    }

    /// Writes what waits until the socket is full; returns whether to come back at once.
    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, BulkError> {
        loop {
            if self.bulk.is_some() && !self.write_bulk(cx, now)? {
                return Ok(false);
            }
            if let Some((chunk, written)) = &mut self.writing {
                let result = Pin::new(&mut self.stream).poll_write(cx, &chunk.bytes[*written..]);
                let Poll::Ready(result) = result else {
                    self.blocked_since.get_or_insert(now);
                    return Ok(false);
                };
                let n = result?;
                if n == 0 {
                    return Err(io::Error::from(io::ErrorKind::WriteZero).into());
                }
                self.blocked_since = None;
                *written += n;
                TransportCounters::add(&self.client.shared().counters.bytes_written, n as u64);
                if *written < chunk.bytes.len() {
                    // A long frame on a slow link is no silence.
                    self.client.shared().link().idle.traffic(now);
                    continue;
                }
            }
            if let Some((chunk, _)) = self.writing.take() {
                self.finish_chunk(chunk, now);
            }
            let mut link = self.client.shared().link();
            if link.queue.is_empty() {
                self.yielded = false;
                return Ok(false);
            }
            if !self.yielded {
                self.yielded = true;
                return Ok(true);
            }
            match link.queue.next_write() {
                Some(Next::Chunk(chunk)) => self.writing = Some((chunk, 0)),
                Some(Next::Bulk(body)) => {
                    drop(link);
                    self.bulk = Some(Box::new(BulkWrite::new(body, &self.client, &*self.stream)));
                }
                None => {}
            }
        }
    }

    /// Writes on at the bulk body; returns whether it has left.
    fn write_bulk(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, BulkError> {
        let Some(bulk) = &mut self.bulk else {
            return Ok(true);
        };
        while !bulk.is_done() {
            match bulk.poll_write(cx, &mut *self.stream) {
                Poll::Pending if bulk.is_working() => return Ok(false),
                Poll::Pending => {
                    self.blocked_since.get_or_insert(now);
                    return Ok(false);
                }
                Poll::Ready(written) => {
                    let n = written?;
                    if n > 0 {
                        self.blocked_since = None;
                        let shared = self.client.shared();
                        TransportCounters::add(&shared.counters.bytes_written, n);
                        shared.link().idle.traffic(now);
                    }
                }
            }
        }
        if let Some(bulk) = self.bulk.take() {
            let shared = self.client.shared();
            let mut link = shared.link();
            if let Some(weight) = bulk.in_memory {
                TransportCounters::add(&shared.counters.frames_written, 1);
                link.queue.written(1, weight);
            }
            for (id, error) in &bulk.failed_uploads {
                let told = link
                    .pending
                    .complete(*id, Reply::BodyUnreadable(Arc::clone(error)));
                self.wakers.extend(told.ok().flatten());
                link.want_request.take_all(&mut self.wakers);
            }
            link.room_made(&mut self.wakers);
            drop(link);
            self.tell_unopened(&bulk.unopened);
        }
        Ok(true)
    }

    /// Counts files that could not be sent, and logs the first one of this connection.
    fn tell_unopened(&mut self, unopened: &Unopened) {
        let shared = self.client.shared();
        TransportCounters::add(&shared.counters.files_unopened, unopened.count);
        if let Some(first) = &unopened.first
            && !std::mem::replace(&mut self.said_unopened, true)
        {
            tracing::warn!(peer = %shared.peer, connection = shared.id, what = first, "a file cannot be sent; later ones of this connection are only counted");
        }
    }

    fn finish_chunk(&mut self, chunk: Chunk, now: Instant) {
        let shared = self.client.shared();
        TransportCounters::add(&shared.counters.frames_written, chunk.frames as u64);
        let mut link = shared.link();
        link.queue.written(chunk.frames, chunk.bytes.len());
        link.idle.traffic(now);
        link.room_made(&mut self.wakers);
        drop(link);
        shared.pool.give_back(chunk.bytes);
    }

    /// The end of a turn: looks at the clock and at what users have asked for, and leaves the waker. Returns the cause if
    /// the connection ends.
    fn settle(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        fired: bool,
        again: &mut bool,
    ) -> Option<ConnectionError> {
        let client = self.client.clone();
        let shared = client.shared();
        let mut link = shared.link();
        match link.closing.clone() {
            Some(Closing::Now(cause)) => return Some(cause),
            Some(Closing::Flushed) if self.phase == Phase::Open => {
                self.phase = Phase::Flushing {
                    until: now + shared.conf.close_timeout,
                };
                link.timer_stale = true;
                *again = true;
            }
            _ => {}
        }
        let written = self.writing.is_none() && self.bulk.is_none() && link.queue.is_empty();
        if let Phase::Flushing { until } = self.phase
            && written
        {
            match Pin::new(&mut self.stream).poll_shutdown(cx) {
                Poll::Ready(_) => {
                    self.phase = Phase::Lingering { until };
                    link.shut = true;
                    *again = true;
                }
                Poll::Pending => {}
            }
        }
        if let Phase::Flushing { until } | Phase::Lingering { until } = self.phase
            && now >= until
        {
            return Some(ConnectionError::ClosedHere {
                peer: shared.peer.clone(),
            });
        }
        let over = shared.check_over(&link) || self.phase != Phase::Open;
        if self.over && !over {
            *again = true;
        }
        self.over = over;
        let working = self.bulk.as_ref().is_some_and(|bulk| bulk.is_working());
        if !written && self.blocked_since.is_none() && !working {
            *again = true;
        }
        if self.blocked_since.is_some() && link.timer_at.is_none() {
            link.timer_stale = true;
        }
        if fired || link.timer_stale {
            link.timer_stale = false;
            link.pending.expire(now, &mut self.wakers);
            link.want_request.take_all(&mut self.wakers);
            let mut silence = link.idle.check(now, link.outstanding());
            if silence.is_over() && self.is_deaf() {
                // Whatever the peer has said meanwhile is still to be read.
                link.idle.traffic(now);
                silence = link.idle.check(now, link.outstanding());
            }
            if let Some(cause) = self.judge(&silence, now) {
                // Said before the lock is released, so that nobody is handed a connection that is about to end.
                link.closing = Some(Closing::Now(cause.clone()));
                return Some(cause);
            }
            let next = self.next_look(&mut link, now);
            link.timer_at = next;
            self.set_timer(cx, next, again);
        }
        link.driver = if *again { None } else { Some(cx.waker().clone()) };
        None
    }

    /// Whether nothing is read here, for a reason that has a limit of its own.
    fn is_deaf(&self) -> bool {
        match self.stalled {
            Some(_) => !self.intake.waits_for_reader(),
            None => self.over,
        }
    }

    fn judge(&self, idle: &IdleVerdict, now: Instant) -> Option<ConnectionError> {
        let shared = self.shared();
        let peer = shared.peer.clone();
        let setting = shared.conf.key("connectionTimeout");
        if let (Some(since), Some(limit)) = (self.blocked_since, shared.conf.connection_timeout) {
            let stalled = now.saturating_duration_since(since);
            if stalled >= limit {
                return Some(ConnectionError::PeerNotReading {
                    peer,
                    stalled,
                    setting,
                });
            }
        }
        match *idle {
            IdleVerdict::Dead { quiet } if self.stalled.is_some() => Some(ConnectionError::ReaderStalled {
                peer,
                stalled: quiet,
                setting,
            }),
            IdleVerdict::Dead { quiet } => Some(ConnectionError::Quiet { peer, quiet, setting }),
            IdleVerdict::CloseIdle { quiet } => Some(ConnectionError::Idle { peer, quiet, setting }),
            IdleVerdict::LookAgain(_) | IdleVerdict::NotWatched => None,
        }
    }

    /// The next moment at which the clock matters.
    fn next_look(&self, link: &mut crate::link::Link, now: Instant) -> Option<Instant> {
        let idle = match link.idle.check(now, link.outstanding()) {
            IdleVerdict::LookAgain(at) => Some(at),
            _ => None,
        };
        let closing = match self.phase {
            Phase::Flushing { until } | Phase::Lingering { until } => Some(until),
            _ => None,
        };
        let stalled = self
            .blocked_since
            .zip(self.shared().conf.connection_timeout)
            .map(|(since, limit)| since + limit);
        [link.pending.next_deadline(), idle, closing, stalled]
            .into_iter()
            .flatten()
            .min()
    }

    fn set_timer(&mut self, cx: &mut Context<'_>, at: Option<Instant>, again: &mut bool) {
        let Some(at) = at else {
            self.timer = None;
            return;
        };
        let at = tokio::time::Instant::from_std(at);
        let timer = match &mut self.timer {
            Some(timer) => {
                timer.as_mut().reset(at);
                timer
            }
            none => none.insert(Box::pin(tokio::time::sleep_until(at))),
        };
        if timer.as_mut().poll(cx).is_ready() {
            *again = true;
        }
    }

    fn closed_here(&self) -> ConnectionError {
        ConnectionError::ClosedHere {
            peer: self.shared().peer.clone(),
        }
    }

    fn socket_error(&self, error: io::Error) -> ConnectionError {
        ConnectionError::Socket {
            peer: self.shared().peer.clone(),
            source: Arc::new(error),
        }
    }

    /// Tells everybody that the connection has ended, once.
    fn end(&mut self, cause: ConnectionError) {
        if self.phase == Phase::Ended {
            return;
        }
        let began = self.phase != Phase::New;
        self.phase = Phase::Ended;
        let client = self.client.clone();
        let shared = client.shared();
        let cause = Arc::new(cause);
        let mut wakers = std::mem::take(&mut self.wakers);
        let mut link = shared.link();
        link.ended = Some(Arc::clone(&cause));
        link.driver = None;
        let outstanding = link.outstanding();
        link.arriving = false;
        link.pending.fail_all(&cause, &mut wakers);
        // The load still counts what was being written, which the queue itself has handed out.
        let unwritten = link.queue.load();
        let (_, bodies) = link.queue.clear();
        let handed_out = link.queue.load();
        link.queue.written(handed_out.items, handed_out.bytes);
        self.writing = None;
        let bulk = self.bulk.take();
        link.want_room.take_all(&mut wakers);
        link.want_request.take_all(&mut wakers);
        link.want_end.take_all(&mut wakers);
        drop(link);
        // What their owners do when bodies are released must not happen under the lock.
        bodies.for_each(drop);
        if let Some(bulk) = bulk {
            self.tell_unopened(&bulk.unopened);
        }
        self.intake.fail(&client, &cause);

        TransportCounters::add(&shared.counters.frames_unwritten, unwritten.items as u64);
        TransportCounters::add(&shared.counters.connections_closed, 1);
        let peer = &shared.peer;
        if !cause.is_orderly() {
            tracing::warn!(%peer, connection = shared.id, outstanding, unwritten = unwritten.items, error = %cause, "connection failed");
        } else if outstanding > 0 || unwritten.items > 0 {
            tracing::warn!(%peer, connection = shared.id, outstanding, unwritten = unwritten.items, reason = %cause, "connection ended with work outstanding");
        } else {
            tracing::debug!(%peer, connection = shared.id, reason = %cause, "connection ended");
        }
        if began {
            let handler = &mut *self.handler;
            if !cause.is_orderly() {
                guarded(peer, "exception_caught", || {
                    handler.exception_caught(&client, &cause);
                });
            }
            guarded(peer, "connection_terminated", || {
                handler.stream_manager().connection_terminated(&client);
            });
            guarded(peer, "channel_inactive", || handler.channel_inactive(&client));
            guarded(peer, "batch_ended", || handler.batch_ended());
        }
        if let Some(owner) = self.owner.upgrade() {
            owner.ended(shared.id);
        }
        wakers.drain(..).for_each(Waker::wake);
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Left to unwind through the task, a panic would end the process at the handler's next one, in `Drop`.
        let turn = catch_unwind(AssertUnwindSafe(|| self.turn(cx)));
        let cause = ready!(turn.unwrap_or_else(|panic| {
            let peer = self.shared().peer.clone();
            report(&peer, "driver", &*panic);
            Poll::Ready(ConnectionError::HandlerPanicked { peer })
        }));
        self.end(cause);
        Poll::Ready(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let peer = self.shared().peer.clone();
        self.end(ConnectionError::Aborted { peer });
    }
}

/// A chunk that is kept may keep so many times its length.
const MOST_KEPT_FOR_ONE: usize = 4;
