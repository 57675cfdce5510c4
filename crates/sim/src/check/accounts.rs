//! What was refused is not handled, what was accepted is handled at most once and not lost uncounted, and at the end
//! nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Violation, cut_off};
use crate::History;
use crate::history::{Callback, Event, Leftovers, LifeId, MessageId};

struct Sent<'a> {
    at: Duration,
    life: LifeId,
    to_node: Option<usize>,
    to: &'a str,
    refused: Option<&'a str>,
}

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut violations = check_messages(history);
    let mut settled = false;
    let mut leaving = BTreeSet::new();
    for entry in &history.entries {
        let mut broken = |what: String| violations.push(Violation::new(entry.at, what));
        match &entry.event {
            Event::CannotStart { life, why } => broken(format!("life {life} could not start: {why}")),
            Event::Stuck { life, why } => broken(format!("life {life} is stuck: {why}")),
            Event::Settled => settled = true,
            Event::ShutdownBegan { life } => drop(leaving.insert(*life)),
            Event::ShutdownEnded {
                life,
                took,
                limit,
                endpoints_aborted,
                connections_aborted,
                connections_open,
                ..
            } => {
                leaving.remove(life);
                if *took > *limit + FLUSH {
                    broken(format!(
                        "the shutdown of life {life} took {took:?}, of at most {limit:?}"
                    ));
                }
                if *connections_open > 0 {
                    broken(format!(
                        "life {life} counts {connections_open} open connections after its end"
                    ));
                }
                if settled && (!endpoints_aborted.is_empty() || *connections_aborted > 0) {
                    broken(format!(
                        "nothing was to be done, but the shutdown of life {life} had to abort {endpoints_aborted:?} and \
                         {connections_aborted} connections"
                    ));
                }
            }
            Event::Left(left) if *left != Leftovers::default() => {
                broken(format!("left at the end: {left:?}"));
            }
            _ => {}
        }
    }
    if let (Some(last), false) = (history.entries.last(), leaving.is_empty()) {
        let what = format!("shutdowns that did not end: {leaving:?}");
        violations.push(Violation::new(last.at, what));
    }
    violations
}

fn check_messages(history: &History) -> Vec<Violation> {
    let mut sent: BTreeMap<MessageId, Sent<'_>> = BTreeMap::new();
    let mut handled: BTreeMap<MessageId, usize> = BTreeMap::new();
    let mut troubled = BTreeSet::new();
    let mut dropped = 0;
    for entry in &history.entries {
        match &entry.event {
            Event::Sent {
                id,
                life,
                to_node,
                to,
                refused,
            } => {
                let message = Sent {
                    at: entry.at,
                    life: *life,
                    to_node: *to_node,
                    to,
                    refused: refused.as_deref(),
                };
                sent.insert(*id, message);
            }
            Event::Began {
                callback: Callback::Handle { id, .. },
                ..
            } => *handled.entry(*id).or_default() += 1,
            Event::Fault { nodes, .. } => troubled.extend(nodes.iter().copied()),
            Event::ShutdownEnded { dropped: n, .. } => dropped += n,
            _ => {}
        }
    }
    let cut_off = cut_off(history);
    let mut violations = Vec::new();
    let mut missing = Vec::new();
    let mut lost_at_home = Vec::new();
    for (id, message) in &sent {
        let times = handled.get(id).copied().unwrap_or(0);
        let mut broken = |what: String| violations.push(Violation::new(message.at, what));
        match (message.refused, times) {
            (Some(why), 1..) => broken(format!(
                "message {id} was refused with {why}, and handled all the same"
            )),
            (None, 2..) => broken(format!("message {id} was handled {times} times")),
            (None, 0) if message.to_node == Some(message.life.node) => {
                let excused = cut_off.contains(&message.life);
                lost_at_home.extend((!excused).then_some((*id, message)));
            }
            (None, 0) => {
                let nodes = [Some(message.life.node), message.to_node];
                if !nodes.into_iter().flatten().any(|node| troubled.contains(&node)) {
                    missing.push(*id);
                }
            }
            _ => {}
        }
    }
    for (id, message) in lost_at_home {
        let what = format!(
            "message {id} to {} was accepted by its own env, and lost",
            message.to
        );
        violations.push(Violation::new(message.at, what));
    }
    // Where there were faults, the counts include what was lost to them.
    let counted = if troubled.is_empty() {
        missing.len() as u64 == dropped
    } else {
        missing.len() as u64 <= dropped
    };
    if !counted {
        let first: Vec<_> = missing.iter().take(10).collect();
        violations.push(Violation::new(
            Duration::ZERO,
            format!(
                "{} messages were lost without a fault, and {dropped} are counted as dropped; the first ones: {first:?}",
                missing.len()
            ),
        ));
    }
    violations
}

/// When its limit has passed, an env still takes a moment for what its sockets have to write.
const FLUSH: Duration = Duration::from_millis(150);

#[cfg(test)]
mod tests {
    use super::super::testing::{LIFE, began, handle, refused, said};
    use super::*;
    use crate::history::Fault;

    fn sent(to_node: usize, refused: Option<&str>) -> Event {
        Event::Sent {
            id: 7,
            life: LIFE,
            to_node: Some(to_node),
            to: "somebody".to_owned(),
            refused: refused.map(str::to_owned),
        }
    }

    fn shut_down(took_ms: u64, dropped: u64) -> Event {
        Event::ShutdownEnded {
            life: LIFE,
            took: Duration::from_millis(took_ms),
            limit: Duration::from_millis(1_000),
            endpoints_aborted: Vec::new(),
            connections_aborted: 0,
            dropped,
            connections_open: 0,
        }
    }

    fn fault() -> Event {
        Event::Fault {
            nodes: vec![1, 2],
            fault: Fault::Cut,
        }
    }

    #[test]
    fn books_that_balance_are_accepted() {
        for events in [
            vec![sent(1, None), began(handle(7, 1)), shut_down(1, 0)],
            vec![sent(1, None), shut_down(1, 1)],
            vec![sent(1, None), fault(), shut_down(1, 0)],
            vec![sent(1, Some("Full")), shut_down(1, 0)],
            vec![sent(0, None), Event::Crashed { life: LIFE }],
            vec![
                Event::Settled,
                shut_down(1_100, 0),
                Event::Left(Leftovers::default()),
            ],
        ] {
            assert_eq!(said(check, events.clone()), [""; 0], "{events:?}");
        }
    }

    #[test]
    fn a_refused_message_must_not_be_handled_and_an_accepted_one_not_twice() {
        let events = vec![sent(1, Some("Full")), began(handle(7, 1))];
        refused(check, events, "handled all the same");
        let events = vec![sent(1, None), began(handle(7, 1)), began(handle(7, 1))];
        refused(check, events, "handled 2 times");
    }

    #[test]
    fn what_is_lost_without_a_fault_must_be_counted() {
        refused(
            check,
            vec![sent(1, None), shut_down(1, 0)],
            "1 messages were lost",
        );
        let counted_twice = vec![sent(1, None), shut_down(1, 2)];
        refused(check, counted_twice, "2 are counted as dropped");
        let fault_elsewhere = vec![
            Event::Fault {
                nodes: vec![2, 3],
                fault: Fault::Cut,
            },
            sent(1, None),
        ];
        refused(check, fault_elsewhere, "1 messages were lost");
        refused(check, vec![sent(0, None)], "its own env");
    }

    #[test]
    fn shutdowns_end_in_time_and_with_nothing_left() {
        refused(check, vec![shut_down(1_200, 0)], "took 1.2s");
        let left = |left| vec![Event::Left(left)];
        for one in [
            Leftovers {
                tasks: 1,
                ..Leftovers::default()
            },
            Leftovers {
                connections: 1,
                ..Leftovers::default()
            },
            Leftovers {
                envs: 1,
                ..Leftovers::default()
            },
            Leftovers {
                panics: 1,
                ..Leftovers::default()
            },
        ] {
            refused(check, left(one), "left at the end");
        }
        let never = vec![Event::ShutdownBegan { life: LIFE }];
        refused(check, never, "did not end");
        let mut open = shut_down(1, 0);
        if let Event::ShutdownEnded { connections_open, .. } = &mut open {
            *connections_open = 2;
        }
        refused(check, vec![open], "2 open connections");
        let mut aborted = shut_down(1, 0);
        if let Event::ShutdownEnded {
            connections_aborted, ..
        } = &mut aborted
        {
            *connections_aborted = 1;
        }
        assert_eq!(said(check, [aborted.clone()]), [""; 0], "there was work to do");
        refused(check, vec![Event::Settled, aborted], "had to abort");
    }

    #[test]
    fn what_cannot_start_or_does_not_end_is_refused() {
        let why = String::new();
        let stuck = Event::Stuck {
            life: LIFE,
            why: why.clone(),
        };
        refused(check, vec![stuck], "stuck");
        let cannot = Event::CannotStart { life: LIFE, why };
        refused(check, vec![cannot], "could not start");
    }
}
