//! The state of the whole network as one plain value, and what hosts, listeners and streams do to it.
//!
//! Time comes in as an argument; tasks to wake are collected and woken by the caller, after its lock. How segments
//! travel is in `delivery.rs`, what goes wrong in `faults.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use spark_rpc_net::SocketName;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::settings::{Link, MemorySettings};
use super::trace::{Counters, Happening, Trace, TraceEvent};
use crate::Rng;

pub(super) type HostName = Arc<str>;

/// Everything there is. All maps are ordered, so that walking them is the same in every run.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: MemorySettings,
    pub(super) rng: Rng,
    pub(super) machines: BTreeMap<HostName, Machine>,
    pub(super) connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    next_listener: u64,
    pub(super) links: BTreeMap<(HostName, HostName), Link>,
    /// When the last segment with a limited link's bytes has left, by sender and receiver.
    pub(super) link_free: BTreeMap<(HostName, HostName), Instant>,
    /// Pairs of hosts, in order of their names, between which nothing passes.
    pub(super) parted: BTreeSet<(HostName, HostName)>,
    /// Arrivals to come, by time and then in the order in which they were decided.
    pub(super) arrivals: BTreeMap<(Instant, u64), Arrival>,
    pub(super) next_arrival: u64,
    /// Tasks to wake once the lock is released.
    pub(super) wakes: Vec<Waker>,
    trace: Trace,
    pub(super) counters: Counters,
    started: Instant,
}

/// One host.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) power: Power,
    /// How often it was restarted. What belongs to an earlier boot never works again.
    pub(super) boot: u64,
    pub(super) listeners: BTreeMap<u16, Listening>,
    next_port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    Up,
    /// Crashed, with a kernel left that answers, or without.
    Down {
        answers: bool,
    },
}

#[derive(Debug)]
pub(super) struct Listening {
    id: u64,
    pub(super) backlog: usize,
    /// Connections to accept. Those beyond the backlog have not been answered yet.
    pub(super) queue: VecDeque<u64>,
    pub(super) waker: Option<Waker>,
}

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
    pub(super) fn new(seed: u64, settings: MemorySettings, now: Instant) -> Self {
        Self {
            settings,
            rng: Rng::new(seed),
            machines: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            next_listener: 0,
            links: BTreeMap::new(),
            link_free: BTreeMap::new(),
            parted: BTreeSet::new(),
            arrivals: BTreeMap::new(),
            next_arrival: 0,
            wakes: Vec::new(),
            trace: Trace::default(),
            counters: Counters::default(),
            started: now,
        }
    }

    pub(super) fn record(&mut self, now: Instant, what: Happening) {
        self.trace.push(TraceEvent {
            at: now.saturating_duration_since(self.started),
            what,
        });
    }

    pub(super) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Adds the host if it is new, and returns its name and its current boot.
    pub(super) fn host(&mut self, name: &str) -> (HostName, u64) {
        if let Some((name, machine)) = self.machines.get_key_value(name) {
            return (name.clone(), machine.boot);
        }
        let (name, machine) = (HostName::from(name), Machine::new());
        let boot = machine.boot;
        self.machines.insert(name.clone(), machine);
        (name, boot)
    }

    pub(super) fn bind(
        &mut self,
        now: Instant,
        host: &HostName,
        boot: u64,
        asked: &str,
        port: u16,
        backlog: Option<u32>,
    ) -> io::Result<(u16, u64)> {
        let machine = self.machine(host, boot)?;
        if asked != &**host && !is_self(asked) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let port = if port == 0 { machine.free_port()? } else { port };
        if machine.listeners.contains_key(&port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let backlog = backlog.map_or(DEFAULT_BACKLOG, |backlog| {
            usize::try_from(backlog).unwrap_or(usize::MAX)
        });
        self.next_listener += 1;
        let id = self.next_listener;
        let listening = Listening {
            id,
            backlog: backlog.max(1),
            queue: VecDeque::new(),
            waker: None,
        };
        self.machine(host, boot)?.listeners.insert(port, listening);
        self.record(
            now,
            Happening::Bound {
                host: host.clone(),
                port,
            },
        );
        Ok((port, id))
    }

    pub(super) fn poll_accept(
        &mut self,
        now: Instant,
        host: &HostName,
        port: u16,
        id: u64,
        cx: &Context<'_>,
    ) -> Poll<u64> {
        // A listener whose host crashed waits for ever: the process that polls it is dead, it only has not noticed.
        let Some(listening) = self.listening(host, port, id) else {
            return Poll::Pending;
        };
        let Some(connection) = listening.queue.pop_front() else {
            listening.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let answered = listening.queue.get(listening.backlog - 1).copied();
        if let Some(waiting) = answered {
            self.send(now, waiting, CLIENT, Segment::SynAck);
        }
        Poll::Ready(connection)
    }

    pub(super) fn unbind(&mut self, now: Instant, host: &HostName, port: u16, id: u64) {
        let Some(listening) = self.listening(host, port, id) else {
            return;
        };
        let queue = std::mem::take(&mut listening.queue);
        self.machines
            .get_mut(host)
            .expect("it has the listener")
            .listeners
            .remove(&port);
        self.record(
            now,
            Happening::Unbound {
                host: host.clone(),
                port,
            },
        );
        for connection in queue {
            self.reset_on_drop(connection, SERVER);
            self.drop_end(now, connection, SERVER);
        }
    }

    fn listening(&mut self, host: &HostName, port: u16, id: u64) -> Option<&mut Listening> {
        self.machines
            .get_mut(host)?
            .listeners
            .get_mut(&port)
            .filter(|listening| listening.id == id)
    }

    /// Sends the first segment of a new connection.
    pub(super) fn connect(
        &mut self,
        now: Instant,
        from: &HostName,
        boot: u64,
        asked: &str,
        port: u16,
    ) -> io::Result<u64> {
        let local = SocketName::new(&**from, self.machine(from, boot)?.free_port()?);
        let to = if is_self(asked) { &**from } else { asked };
        let Some((to, _)) = self.machines.get_key_value(to) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such host"));
        };
        let to = to.clone();
        let peer = SocketName::new(&*to, port);
        let connection = self.next_connection;
        self.next_connection += 1;
        let ends = [End::new(local, from.clone()), End::new(peer, to.clone())];
        self.connections.insert(connection, Connection { ends });
        self.counters.connects += 1;
        self.record(
            now,
            Happening::Connecting {
                connection,
                from: from.clone(),
                to,
                port,
            },
        );
        self.send(now, connection, SERVER, Segment::Syn { port });
        Ok(connection)
    }

    pub(super) fn poll_connected(&mut self, connection: u64, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let end = self.end_mut(connection, CLIENT);
        match (end.failed, end.phase) {
            (Some(kind), _) => Poll::Ready(Err(kind.into())),
            (None, Phase::Pending) => {
                end.write_waker = Some(cx.waker().clone());
                Poll::Pending
            }
            (None, _) => Poll::Ready(Ok(())),
        }
    }

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

    /// The machine of something that belongs to `boot`.
    fn machine(&mut self, host: &HostName, boot: u64) -> io::Result<&mut Machine> {
        let machine = self.machines.get_mut(host).expect("hosts are never removed");
        if machine.power == Power::Up && machine.boot == boot {
            Ok(machine)
        } else {
            Err(io::Error::new(
                io::ErrorKind::NetworkDown,
                "this host has crashed",
            ))
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

impl Machine {
    fn new() -> Self {
        Self {
            power: Power::Up,
            boot: 0,
            listeners: BTreeMap::new(),
            next_port: FIRST_EPHEMERAL,
        }
    }

    fn free_port(&mut self) -> io::Result<u16> {
        for _ in FIRST_EPHEMERAL..=u16::MAX {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL);
            if !self.listeners.contains_key(&port) {
                return Ok(port);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }
}

impl End {
    fn new(name: SocketName, host: HostName) -> Self {
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

/// Whether a host means itself by this name.
fn is_self(asked: &str) -> bool {
    matches!(
        asked,
        "127.0.0.1" | "localhost" | "0.0.0.0" | "::" | "[::]" | "::1" | "[::1]"
    )
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

/// The first port that is chosen when none is asked for: the start of the dynamic range (RFC 6335 §6).
const FIRST_EPHEMERAL: u16 = 49152;

/// How many connections wait to be accepted when nothing else is asked for.
const DEFAULT_BACKLOG: usize = 1024;
