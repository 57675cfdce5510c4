//! The state of the whole network as one plain value, and what hosts and listeners do to it.
//!
//! Time comes in as an argument; tasks to wake are collected and woken by the caller, after its lock. What streams do
//! is in `connection.rs`, how segments travel in `delivery.rs`, what goes wrong in `faults.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use spark_rpc_net::SocketName;
use tokio::time::Instant;

use super::connection::{Arrival, CLIENT, Connection, End, Phase, SERVER, Segment};
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

/// Whether a host means itself by this name.
fn is_self(asked: &str) -> bool {
    matches!(
        asked,
        "127.0.0.1" | "localhost" | "0.0.0.0" | "::" | "[::]" | "::1" | "[::1]"
    )
}

/// The first port that is chosen when none is asked for: the start of the dynamic range (RFC 6335 §6).
const FIRST_EPHEMERAL: u16 = 49152;

/// How many connections wait to be accepted when nothing else is asked for.
const DEFAULT_BACKLOG: usize = 1024;
