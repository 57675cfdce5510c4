//! The reading half of a connection's driver.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::Driver;
use crate::buffers::with_read_buffer;
use crate::error::ConnectionError;
use crate::intake::IntakeEnd;
use crate::link::TransportCounters;

impl Driver {
    /// Reads until the socket is empty or the turn's share is used up; returns whether to come back at once.
    pub(super) fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, ConnectionError> {
        self.read_in_turn = 0;
        for _ in 0..READS_PER_TURN {
            if self.read_in_turn >= CHUNKS_PER_TURN && self.intake.brings_large() {
                break;
            }
            if let Some(wait) = &mut self.stalled {
                if wait.as_mut().poll(cx).is_pending() {
                    return Ok(false);
                }
                self.stalled = None;
            }
            if self.over {
                return Ok(false);
            }
            if !self.unread.is_empty() {
                let unread = std::mem::take(&mut self.unread);
                // Not copied anew: there may be thousands of messages in it, each of which pauses.
                self.take_in_kept(&unread, now)?;
                continue;
            }
            match self.read_once(cx, now) {
                Poll::Ready(result) => result?,
                Poll::Pending => return Ok(self.spins(now)),
            }
        }
        Ok(true)
    }

    fn read_once(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Result<(), ConnectionError>> {
        // The rest of a large frame goes straight to where it is collected.
        let direct = self.intake.space().map(|mut space| {
            let read = std::pin::pin!(self.stream.read_buf(&mut space));
            read.poll(cx)
        });
        if let Some(read) = direct {
            let n = ready!(read).map_err(|error| self.socket_error(error))?;
            self.note_read(n, now)?;
            return Poll::Ready(self.take_in(&[], None, now).map(|_| ()));
        }
        let size = self.shared().conf.read_buffer;
        if self.intake.brings_large() {
            return self.read_to_keep(size, cx, now);
        }
        with_read_buffer(size, |buffer| {
            let mut space = ReadBuf::new(buffer);
            if let Err(error) = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space)) {
                return Poll::Ready(Err(self.socket_error(error)));
            }
            let input = space.filled();
            self.note_read(input.len(), now)?;
            let left = self.take_in(input, None, now)?;
            self.unread = Bytes::copy_from_slice(&input[input.len() - left..]);
            Poll::Ready(Ok(()))
        })
    }

    /// Reads into a buffer of which the chunks in it can be handed out without a copy.
    fn read_to_keep(
        &mut self,
        size: usize,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Result<(), ConnectionError>> {
        let recycler = self.shared().pool.bulk.clone();
        let mut buffer = recycler.buffer(size);
        let mut space = (&mut buffer).limit(size);
        let read = std::pin::pin!(self.stream.read_buf(&mut space)).poll(cx);
        let Poll::Ready(read) = read else {
            recycler.give_back(buffer);
            return Poll::Pending;
        };
        let n = read.map_err(|error| self.socket_error(error))?;
        self.note_read(n, now)?;
        Poll::Ready(self.take_in_kept(&recycler.share(buffer), now))
    }

    fn note_read(&mut self, n: usize, now: Instant) -> Result<(), ConnectionError> {
        if n == 0 {
            return Err(ConnectionError::ClosedByPeer {
                peer: self.shared().peer.clone(),
            });
        }
        TransportCounters::add(&self.shared().counters.bytes_read, n as u64);
        self.read_in_turn += n;
        let busy_poll = self.shared().conf.busy_poll;
        if !busy_poll.is_zero() {
            self.spin_until = Some(now + busy_poll);
        }
        Ok(())
    }

    /// Takes in what was read, and keeps what is not decoded yet. Chunks in it are not copied.
    fn take_in_kept(&mut self, input: &Bytes, now: Instant) -> Result<(), ConnectionError> {
        let left = self.take_in(input, Some(input), now)?;
        self.unread = input.slice(input.len() - left..);
        Ok(())
    }

    /// Takes in what was read, which is all of `kept` if parts of it may be kept; returns how many bytes at its end are not
    /// decoded yet.
    fn take_in(
        &mut self,
        input: &[u8],
        kept: Option<&Bytes>,
        now: Instant,
    ) -> Result<usize, ConnectionError> {
        let end = self.intake.take(input, kept, &self.client, &mut *self.handler);
        self.handler.batch_ended();
        self.intake
            .complete_requests(self.client.shared(), now, &mut self.wakers);
        match end {
            IntakeEnd::UsedUp => Ok(0),
            IntakeEnd::Paused { wait, rest } => {
                self.stalled = Some(wait);
                Ok(rest.len())
            }
            IntakeEnd::Over { rest } => {
                self.over = true;
                Ok(rest.len())
            }
            IntakeEnd::Closing => {
                self.over = true;
                Ok(0)
            }
            IntakeEnd::Failed(cause) => Err(cause),
        }
    }

    /// Whether to come back at once although there is nothing to do.
    fn spins(&mut self, now: Instant) -> bool {
        match self.spin_until {
            Some(until) if now < until => true,
            _ => {
                self.spin_until = None;
                false
            }
        }
    }

    /// Throws away what still arrives; ready with the peer's end.
    pub(super) fn discard_until_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let size = self.shared().conf.read_buffer;
        for _ in 0..READS_PER_TURN {
            let end = with_read_buffer(size, |buffer| {
                let mut space = ReadBuf::new(buffer);
                let failed = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space)).is_err();
                Poll::Ready(failed || space.filled().is_empty())
            });
            if ready!(end) {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// After so many reads in a row the other tasks get their turn.
const READS_PER_TURN: usize = 8;
/// After so many bytes of large chunks those who wait for them get their turn, while they are still in the processor's cache.
const CHUNKS_PER_TURN: usize = 256 << 10;
