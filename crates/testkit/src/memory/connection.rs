//! One connection with its two ends, and what the streams that hold them do.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use spark_rpc_net::SocketName;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::state::{HostName, State};

/// A connection: its ends are [`CLIENT`] and [`SERVER`].
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) ends: [End; 2],
}

pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;

/// The index of the other end.
pub(super) fn other(end: usize) -> usize {
    1 - end
}

/// One end of a connection, with what is on its way to it.
#[derive(Debug)]
pub(super) struct End {
    pub(super) name: SocketName,
    pub(super) host: HostName,
    pub(super) phase: Phase,
    /// Why reads and writes fail, if they do. What arrived before can still be read, as on Linux.
    pub(super) failed: Option<io::ErrorKind>,
    /// Segments travelling here. Each has one arrival scheduled, or is counted in `held`.
    pub(super) in_flight: VecDeque<Segment>,
    /// How many arrivals met a partition or a silent host.
    pub(super) held: usize,
    /// No later segment arrives before this.
    pub(super) last_arrival: Option<Instant>,
    /// Bytes that arrived and wait for a reader.
    pub(super) inbox: VecDeque<Bytes>,
    /// Whether the peer's FIN arrived.
    pub(super) ended: bool,
    /// Whether this end sent its FIN.
    pub(super) shut_down: bool,
    /// Whether nobody holds this end any more, nor ever will.
    pub(super) released: bool,
    /// Whether this end has sent a reset.
    pub(super) reset_sent: bool,
    reset_on_drop: bool,
    /// Bytes sent by this end that the peer has not acknowledged as read.
    pub(super) unacknowledged: usize,
    /// Bytes read by this end and not yet acknowledged.
    unreported: usize,
    pub(super) read_waker: Option<Waker>,
    pub(super) write_waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The handshake has not reached this end.
    Pending,
    Open,
    /// Its owner dropped it.
    Dropped,
    /// Its host crashed.
    Vanished,
}

/// What travels between two ends.
#[derive(Debug)]
pub(super) enum Segment {
    Syn {
        port: u16,
    },
    SynAck,
    Data(Bytes),
    Fin,
    /// Room for so many more bytes.
    Ack(usize),
    Reset,
}

/// The first segment in flight to `end` arrives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) connection: u64,
    pub(super) end: usize,
}

impl State {
    pub(super) fn names(&self, connection: u64, end: usize) -> (SocketName, SocketName) {
        let ends = &self.connections[&connection].ends;
        (ends[end].name.clone(), ends[other(end)].name.clone())
    }

    pub(super) fn poll_read(
        &mut self,
        now: Instant,
        connection: u64,
        index: usize,
        cx: &Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let capacity = self.settings.send_buffer;
        let end = self.end_mut(connection, index);
        if end.inbox.is_empty() {
            return match end.failed {
                Some(kind) => Poll::Ready(Err(kind.into())),
                None if end.ended => Poll::Ready(Ok(())),
                None => {
                    end.read_waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        }
        let before = buf.filled().len();
        while let Some(chunk) = end.inbox.front_mut() {
            let length = chunk.len().min(buf.remaining());
            buf.put_slice(&chunk[..length]);
            chunk.advance(length);
            if !chunk.is_empty() {
                break;
            }
            end.inbox.pop_front();
        }
        end.unreported += buf.filled().len() - before;
        // Half the buffer is enough: a writer that waits has filled all of it, so its reader gets there.
        if end.unreported >= (capacity / 2).max(1) && end.failed.is_none() {
            let room = std::mem::take(&mut end.unreported);
            if !self.end(connection, other(index)).shut_down {
                self.send(now, connection, other(index), Segment::Ack(room));
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_write(
        &mut self,
        now: Instant,
        connection: u64,
        index: usize,
        cx: &Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (capacity, max_segment) = (self.settings.send_buffer.max(1), self.settings.max_segment.max(1));
        let end = self.end_mut(connection, index);
        if let Some(kind) = end.failed {
            return Poll::Ready(Err(kind.into()));
        }
        if end.shut_down {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let offered: usize = bufs.iter().map(|buf| buf.len()).sum();
        if offered == 0 {
            return Poll::Ready(Ok(0));
        }
        let taken = offered.min(capacity.saturating_sub(end.unacknowledged));
        if taken == 0 {
            end.write_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        end.unacknowledged += taken;
        self.counters.bytes_sent += taken as u64;
        let mut bytes = gather(bufs, taken);
        while !bytes.is_empty() {
            let longest = bytes.len().min(max_segment) as u64;
            let length = 1 + self.rng.below(longest) as usize;
            let segment = Segment::Data(bytes.split_to(length));
            self.send(now, connection, other(index), segment);
        }
        Poll::Ready(Ok(taken))
    }

    pub(super) fn shut_down(&mut self, now: Instant, connection: u64, index: usize) -> io::Result<()> {
        let end = self.end_mut(connection, index);
        if let Some(kind) = end.failed {
            return Err(kind.into());
        }
        if !end.shut_down {
            end.shut_down = true;
            self.send(now, connection, other(index), Segment::Fin);
        }
        Ok(())
    }

    pub(super) fn reset_on_drop(&mut self, connection: u64, index: usize) {
        self.end_mut(connection, index).reset_on_drop = true;
    }

    /// Closes one end, as its kernel would when the process closes the socket.
    pub(super) fn drop_end(&mut self, now: Instant, connection: u64, index: usize) {
        let peer_is_pending = self.end(connection, other(index)).phase == Phase::Pending;
        let end = self.end_mut(connection, index);
        end.released = true;
        if end.phase == Phase::Pending && peer_is_pending {
            // A connect was given up before the peer heard of it, and now it never will.
            self.connections.remove(&connection);
            return;
        }
        if matches!(end.phase, Phase::Open | Phase::Pending) {
            // As on Linux: closing with unread bytes tells the peer that they were lost (RFC 2525 §2.17).
            let reset = end.reset_on_drop || end.phase == Phase::Pending || !end.inbox.is_empty();
            let (shut_down, failed) = (end.shut_down, end.failed.is_some());
            end.phase = Phase::Dropped;
            end.inbox.clear();
            end.shut_down = true;
            if failed {
                // The peer has been told, or told us.
            } else if reset {
                self.send_reset(now, connection, other(index));
            } else if !shut_down {
                self.send(now, connection, other(index), Segment::Fin);
            }
        }
        self.forget_if_released(connection);
    }

    /// Forgets a connection of which nobody holds an end.
    pub(super) fn forget_if_released(&mut self, connection: u64) {
        if self.connections[&connection].ends.iter().all(|end| end.released) {
            self.connections.remove(&connection);
        }
    }

    pub(super) fn end(&self, connection: u64, index: usize) -> &End {
        &self.connections[&connection].ends[index]
    }

    /// An end whose stream exists, or that was just looked up.
    pub(super) fn end_mut(&mut self, connection: u64, index: usize) -> &mut End {
        &mut self
            .connections
            .get_mut(&connection)
            .expect("it lives as long as one of its ends")
            .ends[index]
    }
}

impl End {
    pub(super) fn new(name: SocketName, host: HostName) -> Self {
        Self {
            name,
            host,
            phase: Phase::Pending,
            failed: None,
            in_flight: VecDeque::new(),
            held: 0,
            last_arrival: None,
            inbox: VecDeque::new(),
            ended: false,
            shut_down: false,
            released: false,
            reset_sent: false,
            reset_on_drop: false,
            unacknowledged: 0,
            unreported: 0,
            read_waker: None,
            write_waker: None,
        }
    }
}

/// The first `taken` bytes of `bufs`.
fn gather(bufs: &[io::IoSlice<'_>], taken: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(taken);
    for buf in bufs {
        let length = buf.len().min(taken - bytes.len());
        bytes.extend_from_slice(&buf[..length]);
    }
    bytes.into()
}
