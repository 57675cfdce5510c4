//! How segments travel: when they arrive, and what their arrival does.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Arrival, CLIENT, End, Phase, SERVER, Segment, other};
use super::settings::Link;
use super::state::{HostName, Power, State};
use super::trace::Happening;

impl State {
    /// Sends `segment` to one end of a connection, behind what is already on its way.
    pub(super) fn send(&mut self, now: Instant, connection: u64, to: usize, segment: Segment) {
        let (sender, receiver) = {
            let ends = &self.connections[&connection].ends;
            (ends[other(to)].host.clone(), ends[to].host.clone())
        };
        let link = self.link(&sender, &receiver);
        let mut left = now;
        if let (Some(rate), Segment::Data(bytes)) = (link.bytes_per_second, &segment) {
            let free = self.link_free.entry((sender, receiver)).or_insert(now);
            *free = (*free).max(now) + Duration::from_secs_f64(bytes.len() as f64 / rate.max(1) as f64);
            left = *free;
        }
        let arrival = left + self.rng.duration(&link.latency);
        self.send_at(arrival, connection, to, segment);
    }

    /// Sends `segment` so that it arrives at `arrival`, or later if something ahead of it does.
    pub(super) fn send_at(&mut self, arrival: Instant, connection: u64, to: usize, segment: Segment) {
        let end = self.end_mut(connection, to);
        let arrival = end.last_arrival.map_or(arrival, |last| last.max(arrival));
        end.last_arrival = Some(arrival);
        end.in_flight.push_back(segment);
        self.schedule(arrival, Arrival { connection, end: to });
    }

    /// Sends a reset to one end, unless that end has had one or is not there.
    pub(super) fn send_reset(&mut self, now: Instant, connection: u64, to: usize) {
        let sender = self.end_mut(connection, other(to));
        if !std::mem::replace(&mut sender.reset_sent, true) {
            self.send(now, connection, to, Segment::Reset);
        }
    }

    /// When [`handle_due`](Self::handle_due) has something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.arrivals.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets everything arrive that is due.
    pub(super) fn handle_due(&mut self, now: Instant) {
        while let Some(entry) = self.arrivals.first_entry().filter(|entry| entry.key().0 <= now) {
            let arrival = entry.remove();
            self.handle_arrival(now, arrival);
        }
    }

    /// Schedules again what was held back and now can pass.
    pub(super) fn release(&mut self, now: Instant) {
        let mut released = Vec::new();
        for (&connection, state) in &self.connections {
            for end in [CLIENT, SERVER] {
                let (receiver, sender) = (&state.ends[end], &state.ends[other(end)]);
                if receiver.held > 0 && !self.is_held(sender, receiver) {
                    released.push(Arrival { connection, end });
                }
            }
        }
        for arrival in released {
            let link = {
                let ends = &self.connections[&arrival.connection].ends;
                self.link(&ends[CLIENT].host, &ends[SERVER].host)
            };
            let held = std::mem::take(&mut self.end_mut(arrival.connection, arrival.end).held);
            for _ in 0..held {
                let at = now + self.rng.duration(&link.latency);
                self.schedule(at, arrival);
            }
        }
    }

    /// Makes one end fail from now on, and wakes whoever waits on it.
    pub(super) fn fail(&mut self, connection: u64, index: usize, kind: io::ErrorKind) {
        let end = self.end_mut(connection, index);
        end.failed.get_or_insert(kind);
        let wakers = [end.read_waker.take(), end.write_waker.take()];
        self.wakes.extend(wakers.into_iter().flatten());
    }

    /// Resets one end, if it is still there to notice.
    pub(super) fn reset(&mut self, now: Instant, connection: u64, index: usize) {
        let end = self.end_mut(connection, index);
        if end.failed.is_none() && matches!(end.phase, Phase::Open | Phase::Pending) {
            let at = end.host.clone();
            self.counters.resets += 1;
            self.record(now, Happening::Reset { connection, at });
            self.fail(connection, index, io::ErrorKind::ConnectionReset);
        }
    }

    fn schedule(&mut self, at: Instant, arrival: Arrival) {
        self.arrivals.insert((at, self.next_arrival), arrival);
        self.next_arrival += 1;
    }

    fn link(&self, a: &HostName, b: &HostName) -> Link {
        match self.links.get(&pair(a, b)) {
            Some(link) => link.clone(),
            None if a == b => Link::INSTANT,
            None => self.settings.link.clone(),
        }
    }

    /// Whether nothing gets through from one end to the other at present.
    fn is_held(&self, sender: &End, receiver: &End) -> bool {
        self.parted.contains(&pair(&sender.host, &receiver.host))
            || self.machines[&receiver.host].power == Power::Down { answers: false }
    }

    fn handle_arrival(
        &mut self,
        now: Instant,
        Arrival {
            connection,
            end: index,
        }: Arrival,
    ) {
        // Both ends may be gone by now.
        let Some(state) = self.connections.get(&connection) else {
            return;
        };
        if self.is_held(&state.ends[other(index)], &state.ends[index]) {
            self.end_mut(connection, index).held += 1;
            return;
        }
        // Nothing is in flight any more after a cut.
        let Some(segment) = self.end_mut(connection, index).in_flight.pop_front() else {
            return;
        };
        match segment {
            Segment::Syn { port } => self.handle_syn(now, connection, port),
            Segment::SynAck => self.handle_syn_ack(now, connection),
            Segment::Reset => self.handle_reset(now, connection, index),
            Segment::Ack(room) => {
                let end = self.end_mut(connection, index);
                end.unacknowledged = end.unacknowledged.saturating_sub(room);
                let waker = end.write_waker.take();
                self.wakes.extend(waker);
            }
            Segment::Data(bytes) => {
                let end = self.end_mut(connection, index);
                if end.phase != Phase::Open {
                    return self.send_reset(now, connection, other(index));
                }
                if end.failed.is_some() {
                    return;
                }
                let (at, length) = (end.host.clone(), bytes.len());
                end.inbox.push_back(bytes);
                let waker = end.read_waker.take();
                self.wakes.extend(waker);
                self.counters.bytes_delivered += length as u64;
                self.counters.segments_delivered += 1;
                self.record(
                    now,
                    Happening::Delivered {
                        connection,
                        at,
                        bytes: length,
                    },
                );
            }
            Segment::Fin => {
                let end = self.end_mut(connection, index);
                match end.phase {
                    Phase::Vanished => self.send_reset(now, connection, other(index)),
                    Phase::Open if end.failed.is_none() => {
                        end.ended = true;
                        let at = end.host.clone();
                        let waker = end.read_waker.take();
                        self.wakes.extend(waker);
                        self.record(now, Happening::Ended { connection, at });
                    }
                    _ => {}
                }
            }
        }
    }

    fn handle_syn(&mut self, now: Instant, connection: u64, port: u16) {
        let host = self.end(connection, SERVER).host.clone();
        let machine = self.machines.get_mut(&host).expect("hosts are never removed");
        let Some(listening) = machine.listeners.get_mut(&port) else {
            let end = self.end_mut(connection, SERVER);
            (end.phase, end.released) = (Phase::Dropped, true);
            self.send_reset(now, connection, CLIENT);
            return self.forget_if_released(connection);
        };
        listening.queue.push_back(connection);
        let answer = listening.queue.len() <= listening.backlog;
        let waker = listening.waker.take();
        self.wakes.extend(waker);
        self.end_mut(connection, SERVER).phase = Phase::Open;
        if answer {
            self.send(now, connection, CLIENT, Segment::SynAck);
        }
    }

    fn handle_syn_ack(&mut self, now: Instant, connection: u64) {
        let end = self.end_mut(connection, CLIENT);
        if end.phase != Phase::Pending {
            return self.send_reset(now, connection, SERVER);
        }
        if end.failed.is_none() {
            end.phase = Phase::Open;
            let waker = end.write_waker.take();
            self.wakes.extend(waker);
            self.counters.connected += 1;
            self.record(now, Happening::Connected { connection });
        }
    }

    fn handle_reset(&mut self, now: Instant, connection: u64, index: usize) {
        let end = self.end(connection, index);
        if end.phase == Phase::Pending && end.failed.is_none() {
            self.counters.refused += 1;
            self.record(now, Happening::Refused { connection });
            self.fail(connection, index, io::ErrorKind::ConnectionRefused);
        } else {
            self.reset(now, connection, index);
        }
    }
}

/// Two hosts in the order of their names.
pub(super) fn pair(a: &HostName, b: &HostName) -> (HostName, HostName) {
    if a <= b {
        (a.clone(), b.clone())
    } else {
        (b.clone(), a.clone())
    }
}
