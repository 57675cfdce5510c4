//! Every ask ends exactly once and in time, and what its end says about the handling is true.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Violation, cut_off};
use crate::History;
use crate::history::{AskKind, Callback, Event, LifeId, MessageId, Outcome, Registration};

struct Ask<'a> {
    life: LifeId,
    kind: AskKind,
    began: Duration,
    until: Duration,
    ends: Vec<(Duration, &'a Outcome)>,
}

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut asks: BTreeMap<MessageId, Ask<'_>> = BTreeMap::new();
    let mut handled: BTreeMap<MessageId, Vec<Registration>> = BTreeMap::new();
    let mut violations = Vec::new();
    for entry in &history.entries {
        match &entry.event {
            Event::Asked {
                id,
                life,
                kind,
                limit,
                ..
            } => {
                let until = entry.at + *limit + LATE * attempts(*kind);
                let ask = Ask {
                    life: *life,
                    kind: *kind,
                    began: entry.at,
                    until,
                    ends: Vec::new(),
                };
                asks.insert(*id, ask);
            }
            Event::Answered { id, outcome } => match asks.get_mut(id) {
                Some(ask) => ask.ends.push((entry.at, outcome)),
                None => violations.push(Violation::new(
                    entry.at,
                    format!("ask {id} ended, but never began"),
                )),
            },
            Event::Began {
                registration,
                callback: Callback::Handle { id, .. },
            } => handled.entry(*id).or_default().push(*registration),
            _ => {}
        }
    }
    let cut_off = cut_off(history);
    for (id, ask) in &asks {
        let &[(at, outcome)] = ask.ends.as_slice() else {
            let what = format!("ask {id} ended {} times: {:?}", ask.ends.len(), ask.ends);
            violations.push(Violation::new(ask.began, what));
            continue;
        };
        if at > ask.until {
            let late = at - ask.until;
            violations.push(Violation::new(
                at,
                format!("ask {id} ended {late:?} too late: {outcome:?}"),
            ));
        }
        if *outcome == Outcome::CutOff && !cut_off.contains(&ask.life) {
            violations.push(Violation::new(
                at,
                format!("ask {id} was cut off, but life {} was not", ask.life),
            ));
        }
        let handled = handled.get(id).map_or(&[][..], Vec::as_slice);
        if let Err(why) = is_true(outcome, ask.kind, handled) {
            violations.push(Violation::new(
                at,
                format!("ask {id} ({:?}) ended with {outcome:?}, but {why}", ask.kind),
            ));
        }
    }
    violations
}

/// Whether an outcome agrees with how often the message was handled, and by whom.
fn is_true(outcome: &Outcome, kind: AskKind, handled: &[Registration]) -> Result<(), String> {
    let times = handled.len();
    if kind == AskKind::Lookup {
        return Ok(());
    }
    let most = attempts(kind) as usize;
    if times > most {
        return Err(format!(
            "the message was handled {times} times, of at most {most}"
        ));
    }
    match outcome {
        Outcome::Reply(Some(by)) if !handled.contains(by) => {
            Err(format!("it was handled by {handled:?}, not by {by}"))
        }
        Outcome::Reply(None) => Err("the reply names no endpoint".to_owned()),
        Outcome::WrongReply(other) => Err(format!("that is the reply to {other}")),
        Outcome::NotHandled(_) if times > 0 => Err(format!("the message was handled by {handled:?}")),
        Outcome::HandlerFailed(_) if times == 0 => Err("no handler had it".to_owned()),
        _ => Ok(()),
    }
}

fn attempts(kind: AskKind) -> u32 {
    match kind {
        AskKind::Once | AskKind::Lookup => 1,
        AskKind::Retry { attempts } => attempts,
    }
}

/// How much later than its limit an attempt may end: timers are kept in ticks of 4 ms, on a clock of 1 ms.
const LATE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::super::testing::{ENDPOINT, LIFE, began, handle, refused, said};
    use super::*;

    const RETRY: AskKind = AskKind::Retry { attempts: 2 };

    fn asked(kind: AskKind, limit_ms: u64) -> Event {
        Event::Asked {
            id: 7,
            life: LIFE,
            to: "spark://serial@alpha:7077".to_owned(),
            kind,
            limit: Duration::from_millis(limit_ms),
        }
    }

    fn answered(outcome: Outcome) -> Event {
        Event::Answered { id: 7, outcome }
    }

    fn reply() -> Event {
        answered(Outcome::Reply(Some(ENDPOINT)))
    }

    fn not_handled() -> Event {
        answered(Outcome::NotHandled("Connect".to_owned()))
    }

    fn unknown() -> Event {
        answered(Outcome::Unknown("Timeout".to_owned()))
    }

    fn handled() -> Event {
        began(handle(7, 1))
    }

    #[test]
    fn honest_ends_are_accepted() {
        let once = || asked(AskKind::Once, 100);
        let failed = || answered(Outcome::HandlerFailed("Remote".to_owned()));
        let retry = || asked(RETRY, 100);
        for events in [
            vec![once(), handled(), reply()],
            vec![once(), handled(), failed()],
            vec![once(), not_handled()],
            vec![once(), unknown()],
            vec![once(), unknown(), handled()],
            vec![retry(), handled(), handled(), reply()],
            vec![once(), Event::Crashed { life: LIFE }, answered(Outcome::CutOff)],
        ] {
            assert_eq!(said(check, events.clone()), [""; 0], "{events:?}");
        }
    }

    #[test]
    fn an_ask_without_an_end_or_with_two_is_refused() {
        refused(check, vec![asked(AskKind::Once, 100)], "ended 0 times");
        let twice = vec![asked(AskKind::Once, 100), handled(), reply(), reply()];
        refused(check, twice, "ended 2 times");
        refused(check, vec![reply()], "never began");
    }

    #[test]
    fn an_end_after_the_limit_is_refused() {
        let mut events = vec![asked(AskKind::Once, 3)];
        events.extend((0..20).map(|_| Event::Settled));
        events.push(unknown());
        refused(check, events, "too late");
    }

    #[test]
    fn a_message_reported_as_not_handled_must_never_be_handled_not_even_later() {
        let events = vec![asked(AskKind::Once, 100), not_handled(), handled()];
        refused(check, events, "was handled by [1]");
        let events = vec![asked(RETRY, 100), handled(), not_handled()];
        refused(check, events, "was handled by [1]");
    }

    #[test]
    fn an_answered_ask_was_handled_once_by_the_endpoint_that_says_so() {
        refused(
            check,
            vec![asked(AskKind::Once, 100), reply()],
            "handled by [], not by 1",
        );
        let twice = vec![asked(AskKind::Once, 100), handled(), handled(), reply()];
        refused(check, twice, "handled 2 times, of at most 1");
        let thrice = vec![asked(RETRY, 100), handled(), handled(), handled(), reply()];
        refused(check, thrice, "handled 3 times, of at most 2");
        let other = vec![
            asked(AskKind::Once, 100),
            handled(),
            answered(Outcome::WrongReply(8)),
        ];
        refused(check, other, "the reply to 8");
        let failed = vec![
            asked(AskKind::Once, 100),
            answered(Outcome::HandlerFailed("Remote".to_owned())),
        ];
        refused(check, failed, "no handler had it");
    }

    #[test]
    fn an_asker_is_cut_off_only_with_its_env() {
        let events = vec![asked(AskKind::Once, 100), answered(Outcome::CutOff)];
        refused(check, events, "was cut off");
    }
}
