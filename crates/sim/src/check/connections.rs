//! Connection events come in pairs: what is disconnected was connected, an error is followed by the end, and a sender is
//! connected while its messages are handled.
//!
//! One address may have several connections (one opened from each side, or an old one beside the new), and a connection
//! that was opened to an env whose messages came back over it counts twice, as a socket and as an env. So events are
//! counted by address. The addresses of accepted sockets belong to one connection each. Only endpoints that were there
//! from the birth of their env have seen everything, and only serial ones see it in order.

use std::collections::BTreeMap;

use super::Violation;
use crate::History;
use crate::history::{Callback, Event, Fault, LifeId, Registration};

struct Endpoint {
    life: LifeId,
    open: BTreeMap<String, usize>,
    /// Errors whose end has not come yet.
    failing: BTreeMap<String, usize>,
}

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut endpoints: BTreeMap<Registration, Endpoint> = BTreeMap::new();
    let mut violations = Vec::new();
    let last = history
        .entries
        .iter()
        .rposition(|entry| matches!(entry.event, Event::ShutdownBegan { .. }));
    // A machine without power tells nobody that it is gone: connections from it stay half-open for ever.
    let silent = history.entries.iter().any(|entry| {
        matches!(
            entry.event,
            Event::Fault {
                fault: Fault::PowerLoss,
                ..
            }
        )
    });
    for (index, entry) in history.entries.iter().enumerate() {
        match &entry.event {
            Event::Registered {
                registration,
                life,
                concurrent: false,
                from_birth: true,
                ..
            } => {
                let endpoint = Endpoint {
                    life: *life,
                    open: BTreeMap::new(),
                    failing: BTreeMap::new(),
                };
                endpoints.insert(*registration, endpoint);
            }
            Event::Began {
                registration,
                callback,
            } => {
                if let Some(endpoint) = endpoints.get_mut(registration)
                    && let Err(why) = endpoint.began(callback)
                {
                    let what = format!("endpoint {registration}: {callback:?}, but {why}");
                    violations.push(Violation::new(entry.at, what));
                }
            }
            // It hears nothing from now on.
            Event::Stopped { registration } => drop(endpoints.remove(registration)),
            // All the others are gone by now.
            Event::ShutdownBegan { life } if Some(index) == last && !silent => {
                for (registration, endpoint) in &endpoints {
                    if endpoint.life == *life && !endpoint.open.is_empty() {
                        let what = format!(
                            "endpoint {registration} still believes in connections at the end: {:?}",
                            endpoint.open
                        );
                        violations.push(Violation::new(entry.at, what));
                    }
                }
            }
            _ => {}
        }
    }
    violations
}

impl Endpoint {
    fn began(&mut self, callback: &Callback) -> Result<(), &'static str> {
        match callback {
            Callback::Connected(address) => {
                let open = self.open.entry(address.clone()).or_default();
                *open += 1;
                if self.failing.contains_key(address) {
                    return Err("the end that belongs to its error has not come");
                }
                if *open > 1 && is_ephemeral(address) {
                    return Err("it is connected already");
                }
            }
            Callback::NetworkError(address) => {
                let failing = self.failing.entry(address.clone()).or_default();
                *failing += 1;
                if self.open.get(address).is_none_or(|open| open < failing) {
                    return Err("not so often connected");
                }
            }
            Callback::Disconnected(address) => {
                take_one(&mut self.failing, address);
                if !take_one(&mut self.open, address) {
                    return Err("not so often connected");
                }
            }
            // Control messages pass the events.
            Callback::Handle {
                sender: Some(sender),
                control: false,
                ..
            } if !self.open.contains_key(sender) => {
                return Err("its sender is not connected");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Counts down; whether there was something to count.
fn take_one(counts: &mut BTreeMap<String, usize>, address: &str) -> bool {
    let Some(count) = counts.get_mut(address) else {
        return false;
    };
    *count -= 1;
    if *count == 0 {
        counts.remove(address);
    }
    true
}

/// Whether the system has given out the port of `address`.
fn is_ephemeral(address: &str) -> bool {
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    port.is_some_and(|port: u16| port >= 49152)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ENDPOINT, LIFE, began, handle, refused, registered, said};
    use super::*;

    const ENV: &str = "alpha:7077";
    const SOCKET: &str = "alpha:49152";

    fn connected(address: &str) -> Event {
        began(Callback::Connected(address.to_owned()))
    }

    fn disconnected(address: &str) -> Event {
        began(Callback::Disconnected(address.to_owned()))
    }

    fn failed(address: &str) -> Event {
        began(Callback::NetworkError(address.to_owned()))
    }

    fn events(events: &[Event]) -> Vec<Event> {
        let mut all = vec![registered(false)];
        all.extend_from_slice(events);
        all
    }

    #[test]
    fn paired_events_are_accepted_and_an_env_may_have_several_connections() {
        let events = events(&[
            connected(SOCKET),
            connected(ENV),
            began(handle(1, 1)),
            connected(ENV),
            failed(SOCKET),
            failed(ENV),
            disconnected(SOCKET),
            disconnected(ENV),
            began(handle(2, 2)),
            disconnected(ENV),
            connected(SOCKET),
            disconnected(SOCKET),
            connected(ENV),
            connected(ENV),
            failed(ENV),
            failed(ENV),
            disconnected(ENV),
            disconnected(ENV),
            Event::ShutdownBegan { life: LIFE },
        ]);
        assert_eq!(said(check, events), [""; 0]);
    }

    #[test]
    fn what_ends_or_fails_must_have_been_connected() {
        refused(check, events(&[disconnected(ENV)]), "not so often");
        refused(check, events(&[failed(ENV)]), "not so often");
        let twice = [connected(ENV), disconnected(ENV), disconnected(ENV)];
        refused(check, events(&twice), "not so often");
    }

    #[test]
    fn a_socket_is_connected_once_at_a_time() {
        let twice = [connected(SOCKET), connected(SOCKET)];
        refused(check, events(&twice), "connected already");
    }

    #[test]
    fn an_error_is_followed_by_the_end() {
        let again = [connected(ENV), failed(ENV), connected(ENV)];
        refused(check, events(&again), "has not come");
        let twice = [connected(ENV), failed(ENV), failed(ENV)];
        refused(check, events(&twice), "not so often");
    }

    #[test]
    fn a_sender_is_connected_while_its_messages_are_handled() {
        refused(check, events(&[began(handle(1, 1))]), "sender is not connected");
        let late = [connected(ENV), disconnected(ENV), began(handle(1, 1))];
        refused(check, events(&late), "sender is not connected");
    }

    #[test]
    fn nobody_may_be_connected_when_all_others_are_gone_unless_the_power_failed() {
        let end = Event::ShutdownBegan { life: LIFE };
        let left = [connected(ENV), end.clone()];
        refused(check, events(&left), "at the end");
        let power = Event::Fault {
            nodes: vec![1],
            fault: Fault::PowerLoss,
        };
        let stopped = Event::Stopped {
            registration: ENDPOINT,
        };
        for excused in [power, stopped] {
            let events = events(&[connected(ENV), excused, end.clone()]);
            assert_eq!(said(check, events), [""; 0]);
        }
    }
}
