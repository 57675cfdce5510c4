//! Writes down histories for the tests of the rules.

use std::time::Duration;

use super::Violation;
use crate::History;
use crate::history::{Callback, Entry, Event, LifeId, MessageId, Place, Registration};

/// The life that most tests are about.
pub(super) const LIFE: LifeId = LifeId { node: 0, number: 0 };
/// An endpoint of it.
pub(super) const ENDPOINT: Registration = 1;

/// A history of `events`, one per millisecond.
pub(super) fn history(events: impl IntoIterator<Item = Event>) -> History {
    let entry = |(ms, event)| Entry {
        at: Duration::from_millis(ms),
        event,
    };
    History {
        entries: (0..).zip(events).map(entry).collect(),
    }
}

/// What a rule says about `events`; nothing if they keep it.
pub(super) fn said(
    rule: fn(&History) -> Vec<Violation>,
    events: impl IntoIterator<Item = Event>,
) -> Vec<String> {
    let violations = rule(&history(events));
    violations.into_iter().map(|violation| violation.what).collect()
}

/// Expects that a rule refuses `events`, with exactly one word on it that contains `text`.
#[track_caller]
pub(super) fn refused(rule: fn(&History) -> Vec<Violation>, events: Vec<Event>, text: &str) {
    let said = said(rule, events);
    assert!(said.len() == 1 && said[0].contains(text), "{said:?}");
}

pub(super) fn registered(concurrent: bool) -> Event {
    Event::Registered {
        registration: ENDPOINT,
        life: LIFE,
        name: "serial".to_owned(),
        concurrent,
        from_birth: true,
    }
}

pub(super) fn began(callback: Callback) -> Event {
    Event::Began {
        registration: ENDPOINT,
        callback,
    }
}

pub(super) fn ended(callback: Callback) -> Event {
    Event::Ended {
        registration: ENDPOINT,
        callback,
    }
}

/// A callback from its beginning to its end.
pub(super) fn whole(callback: Callback) -> [Event; 2] {
    [began(callback.clone()), ended(callback)]
}

/// A message at a place of the first stream, on connection 1 from `alpha:7077`.
pub(super) fn handle(id: MessageId, number: u64) -> Callback {
    Callback::Handle {
        id,
        place: Place {
            stream: 0,
            number: Some(number),
        },
        control: false,
        connection: Some(1),
        sender: Some("alpha:7077".to_owned()),
        intact: true,
    }
}
