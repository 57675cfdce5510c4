//! Messages of one sender to one serial endpoint on one connection are handled in the order in which they were sent,
//! and whole.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::History;
use crate::history::{Callback, Event};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let mut concurrent = BTreeSet::new();
    let mut last: BTreeMap<_, u64> = BTreeMap::new();
    let mut violations = Vec::new();
    for entry in &history.entries {
        match &entry.event {
            Event::Registered {
                registration,
                concurrent: true,
                ..
            } => {
                concurrent.insert(*registration);
            }
            Event::Began {
                registration,
                callback:
                    Callback::Handle {
                        id,
                        place,
                        control,
                        connection,
                        intact,
                        ..
                    },
            } => {
                if !intact {
                    violations.push(Violation::new(
                        entry.at,
                        format!("message {id} was changed on its way"),
                    ));
                }
                let Some(number) = place.number else { continue };
                if concurrent.contains(registration) {
                    continue;
                }
                let key = (*registration, *connection, place.stream, *control);
                if let Some(before) = last.insert(key, number)
                    && before >= number
                {
                    violations.push(Violation::new(
                        entry.at,
                        format!("message {id}, {number} of its stream, came after {before}: {key:?}"),
                    ));
                }
            }
            _ => {}
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::testing::{began, handle, refused, registered, said};
    use super::*;
    use crate::history::{MessageId, Place};

    fn with(
        id: MessageId,
        number: Option<u64>,
        control: bool,
        connection: Option<u64>,
        intact: bool,
    ) -> Event {
        began(Callback::Handle {
            id,
            place: Place { stream: 0, number },
            control,
            connection,
            sender: None,
            intact,
        })
    }

    #[test]
    fn gaps_are_accepted_and_each_connection_and_lane_has_its_own_order() {
        let events = [
            registered(false),
            with(1, Some(1), false, Some(1), true),
            with(5, Some(5), false, Some(1), true),
            with(3, Some(3), false, Some(2), true),
            with(2, Some(2), true, Some(1), true),
            with(4, Some(4), false, None, true),
            with(9, None, false, Some(1), true),
            with(6, Some(6), false, Some(1), true),
        ];
        assert_eq!(said(check, events), [""; 0]);
    }

    #[test]
    fn a_message_that_overtakes_or_comes_twice_is_refused() {
        let events = |second| vec![registered(false), began(handle(2, 2)), began(handle(3, second))];
        refused(check, events(1), "came after 2");
        refused(check, events(2), "came after 2");
    }

    #[test]
    fn handlers_of_a_concurrent_endpoint_may_begin_in_any_order() {
        let events = [registered(true), began(handle(2, 2)), began(handle(1, 1))];
        assert_eq!(said(check, events), [""; 0]);
    }

    #[test]
    fn a_message_that_changed_on_its_way_is_refused() {
        let events = vec![registered(true), with(1, Some(1), false, Some(1), false)];
        refused(check, events, "changed");
    }
}
