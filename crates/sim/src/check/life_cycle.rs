//! `on_start` comes first and once, `on_stop` last, once and alone; handlers of a serial endpoint never overlap; nothing
//! of a crashed node runs on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Violation, cut_off};
use crate::History;
use crate::history::{Callback, Event, LifeId, Registration};

struct Endpoint {
    life: LifeId,
    concurrent: bool,
    phase: Phase,
    /// Whether it was stopped, by itself or with its env.
    stop_asked: bool,
    running: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    New,
    Starting,
    Open,
    Stopping,
    Stopped,
}

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut endpoints: BTreeMap<Registration, Endpoint> = BTreeMap::new();
    let mut crashed = BTreeSet::new();
    let mut violations = Vec::new();
    for entry in &history.entries {
        let result = match &entry.event {
            Event::Registered {
                registration,
                life,
                concurrent,
                ..
            } => {
                let endpoint = Endpoint {
                    life: *life,
                    concurrent: *concurrent,
                    phase: Phase::New,
                    stop_asked: false,
                    running: 0,
                };
                endpoints.insert(*registration, endpoint);
                continue;
            }
            Event::Stopped { registration } => {
                if let Some(endpoint) = endpoints.get_mut(registration) {
                    endpoint.stop_asked = true;
                }
                continue;
            }
            Event::ShutdownBegan { life } => {
                let all = endpoints.values_mut();
                all.filter(|endpoint| endpoint.life == *life)
                    .for_each(|endpoint| endpoint.stop_asked = true);
                continue;
            }
            Event::Crashed { life } => {
                crashed.insert(*life);
                continue;
            }
            Event::Began {
                registration,
                callback,
            } => match endpoints.get_mut(registration) {
                Some(endpoint) if crashed.contains(&endpoint.life) => {
                    Err(format!("began after life {} had crashed", endpoint.life))
                }
                Some(endpoint) => endpoint.began(callback),
                None => Err("began in an endpoint that was never set up".to_owned()),
            }
            .map_err(|why| format!("endpoint {registration}: {callback:?} {why}")),
            Event::Ended {
                registration,
                callback,
            } => match endpoints.get_mut(registration) {
                Some(endpoint) => endpoint.ended(callback),
                None => Err("ended in an endpoint that was never set up".to_owned()),
            }
            .map_err(|why| format!("endpoint {registration}: {callback:?} {why}")),
            _ => continue,
        };
        if let Err(what) = result {
            violations.push(Violation::new(entry.at, what));
        }
    }
    let end = history.entries.last().map_or(Duration::ZERO, |entry| entry.at);
    let cut_off = cut_off(history);
    for (registration, endpoint) in &endpoints {
        if !cut_off.contains(&endpoint.life) && endpoint.stop_asked && endpoint.phase != Phase::Stopped {
            let what = format!(
                "endpoint {registration} was stopped, but is {:?} at the end",
                endpoint.phase
            );
            violations.push(Violation::new(end, what));
        }
    }
    violations
}

impl Endpoint {
    fn began(&mut self, callback: &Callback) -> Result<(), String> {
        self.running += 1;
        let beside = self.running - 1;
        let (expected, next) = match callback {
            Callback::Start => (Phase::New, Phase::Starting),
            Callback::Stop => (Phase::Open, Phase::Stopping),
            // Also on behalf of the two above, which have ended by then.
            Callback::Error if self.phase == Phase::Stopped && beside == 0 => return Ok(()),
            _ => (Phase::Open, Phase::Open),
        };
        if self.phase != expected {
            return Err(format!("began while the endpoint was {:?}", self.phase));
        }
        self.phase = next;
        if *callback == Callback::Stop && !self.stop_asked {
            return Err("began, but nobody had stopped the endpoint".to_owned());
        }
        let alone = !self.concurrent || matches!(callback, Callback::Start | Callback::Stop);
        if alone && beside > 0 {
            return Err(format!("began beside {beside} others"));
        }
        Ok(())
    }

    fn ended(&mut self, callback: &Callback) -> Result<(), String> {
        if self.running == 0 {
            return Err("ended, but nothing ran".to_owned());
        }
        self.running -= 1;
        match callback {
            Callback::Start => self.phase = Phase::Open,
            Callback::Stop => self.phase = Phase::Stopped,
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ENDPOINT, LIFE, began, ended, handle, refused, registered, said, whole};
    use super::*;

    fn stopped() -> Event {
        Event::Stopped {
            registration: ENDPOINT,
        }
    }

    fn events(concurrent: bool, parts: &[&[Event]]) -> Vec<Event> {
        std::iter::once(registered(concurrent))
            .chain(parts.concat())
            .collect()
    }

    #[test]
    fn a_whole_life_is_accepted() {
        let start = whole(Callback::Start);
        let stop = whole(Callback::Stop);
        let one = whole(handle(1, 1));
        let error = whole(Callback::Error);
        for events in [
            events(false, &[&start, &one, &error, &[stopped()], &stop]),
            events(false, &[&start, &error, &[stopped()], &one, &stop, &error]),
            events(
                true,
                &[
                    &start,
                    &[began(handle(1, 1)), began(handle(2, 2))],
                    &[ended(handle(1, 1)), ended(handle(2, 2)), stopped()],
                    &stop,
                ],
            ),
            events(
                false,
                &[
                    &start,
                    &[began(handle(1, 1)), Event::Crashed { life: LIFE }],
                    &[ended(handle(1, 1))],
                ],
            ),
        ] {
            assert_eq!(said(check, events.clone()), [""; 0], "{events:?}");
        }
    }

    #[test]
    fn on_start_must_come_first_and_once_and_alone() {
        let start = whole(Callback::Start);
        refused(
            check,
            events(false, &[&whole(handle(1, 1))]),
            "while the endpoint was New",
        );
        refused(
            check,
            events(false, &[&start, &start]),
            "while the endpoint was Open",
        );
        let beside = [began(Callback::Start), began(handle(1, 1))];
        refused(check, events(true, &[&beside]), "while the endpoint was Starting");
    }

    #[test]
    fn on_stop_must_come_last_and_once_and_alone() {
        let start = whole(Callback::Start);
        let stop = whole(Callback::Stop);
        let after = events(false, &[&start, &[stopped()], &stop, &whole(handle(1, 1))]);
        refused(check, after, "while the endpoint was Stopped");
        let twice = events(false, &[&start, &[stopped()], &stop, &stop]);
        refused(check, twice, "while the endpoint was Stopped");
        let beside = events(true, &[&start, &[began(handle(1, 1)), stopped()], &stop]);
        refused(check, beside, "beside 1 others");
        refused(check, events(false, &[&start, &stop]), "nobody had stopped");
    }

    #[test]
    fn a_stopped_endpoint_must_see_on_stop() {
        let start = whole(Callback::Start);
        refused(
            check,
            events(false, &[&start, &[stopped()]]),
            "is Open at the end",
        );
        let shut_down = events(false, &[&start, &[Event::ShutdownBegan { life: LIFE }]]);
        refused(check, shut_down, "is Open at the end");
    }

    #[test]
    fn handlers_of_a_serial_endpoint_must_not_overlap() {
        let start = whole(Callback::Start);
        let overlap = [began(handle(1, 1)), began(handle(2, 2))];
        refused(check, events(false, &[&start, &overlap]), "beside 1 others");
    }

    #[test]
    fn nothing_may_begin_after_a_crash() {
        let start = whole(Callback::Start);
        let crash = [Event::Crashed { life: LIFE }];
        let after = events(false, &[&start, &crash, &[began(handle(1, 1))]]);
        refused(check, after, "had crashed");
    }
}
