//! What goes wrong on demand: partitions, cuts and crashes.

use std::io;

use tokio::time::Instant;

use super::connection::{CLIENT, End, Phase, SERVER, Segment, other};
use super::delivery::pair;
use super::settings::{Crash, Link};
use super::state::{HostName, Power, State};
use super::trace::Happening;

impl State {
    pub(super) fn set_link(&mut self, a: &str, b: &str, link: Link) {
        let (a, b) = (self.known(a), self.known(b));
        self.links.insert(pair(&a, &b), link);
    }

    pub(super) fn partition(&mut self, now: Instant, left: &[&str], right: &[&str]) {
        let left: Vec<_> = left.iter().map(|name| self.known(name)).collect();
        let right: Vec<_> = right.iter().map(|name| self.known(name)).collect();
        for a in &left {
            // A host always reaches itself.
            self.parted
                .extend(right.iter().filter(|b| *b != a).map(|b| pair(a, b)));
        }
        self.record(now, Happening::Partitioned { left, right });
    }

    pub(super) fn heal(&mut self, now: Instant) {
        self.record(now, Happening::Healed);
        let healed = std::mem::take(&mut self.parted);
        if self.settings.reset_on_heal {
            for connection in self.established() {
                let ends = &self.connections[&connection].ends;
                if healed.contains(&pair(&ends[CLIENT].host, &ends[SERVER].host)) {
                    self.reset_both(now, connection);
                }
            }
        }
        self.release(now);
    }

    pub(super) fn cut(&mut self, now: Instant, a: &str, b: &str) {
        let (left, right) = (self.known(a), self.known(b));
        let between = pair(&left, &right);
        self.record(now, Happening::Cut { left, right });
        for connection in self.established() {
            let ends = &self.connections[&connection].ends;
            if pair(&ends[CLIENT].host, &ends[SERVER].host) == between {
                self.reset_both(now, connection);
            }
        }
    }

    pub(super) fn crash(&mut self, now: Instant, host: &str, crash: Crash) {
        let host = self.known(host);
        self.record(now, Happening::Crashed { host: host.clone() });
        let machine = self.machines.get_mut(&host).expect("known");
        machine.power = Power::Down {
            answers: crash.refuse_connects,
        };
        let listeners = std::mem::take(&mut machine.listeners);

        let connections: Vec<u64> = self.connections.keys().copied().collect();
        for connection in connections {
            for end in [CLIENT, SERVER] {
                if self.end(connection, end).host == host {
                    self.vanish(now, connection, end, crash);
                }
            }
        }
        for connection in listeners.into_values().flat_map(|listening| listening.queue) {
            self.end_mut(connection, SERVER).released = true;
            self.forget_if_released(connection);
        }
    }

    pub(super) fn restart(&mut self, now: Instant, host: &str) {
        let host = self.known(host);
        self.record(now, Happening::Restarted { host: host.clone() });
        let machine = self.machines.get_mut(&host).expect("known");
        assert!(
            machine.power != Power::Up,
            "{host} is restarted but has not crashed"
        );
        machine.power = Power::Up;
        machine.boot += 1;
        self.release(now);
    }

    /// The host of that name.
    fn known(&self, host: &str) -> HostName {
        match self.machines.get_key_value(host) {
            Some((name, _)) => name.clone(),
            None => panic!("no host {host:?} on this network"),
        }
    }

    /// Connections of which both ends have been open.
    fn established(&self) -> Vec<u64> {
        let is_established = |end: &End| end.phase != Phase::Pending;
        let connections = self.connections.iter();
        connections
            .filter(|(_, c)| c.ends.iter().all(is_established))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Resets both ends here and now. What is on its way is lost.
    fn reset_both(&mut self, now: Instant, connection: u64) {
        for end in [CLIENT, SERVER] {
            let state = self.end_mut(connection, end);
            state.in_flight.clear();
            state.held = 0;
            self.reset(now, connection, end);
        }
    }

    /// Takes one end away with its host.
    fn vanish(&mut self, now: Instant, connection: u64, index: usize, crash: Crash) {
        let end = self.end_mut(connection, index);
        let was_open = end.phase == Phase::Open;
        if index == SERVER && !was_open || end.phase == Phase::Dropped {
            // Gone before; or its first segment has not arrived, and is no part of the crash.
            return;
        }
        end.phase = Phase::Vanished;
        end.inbox.clear();
        self.fail(connection, index, io::ErrorKind::ConnectionAborted);
        if let Some(delay) = crash.peers_see_reset.filter(|_| was_open) {
            let peer = other(index);
            self.end_mut(connection, index).reset_sent = true;
            self.send_at(now + delay, connection, peer, Segment::Reset);
        }
    }
}
