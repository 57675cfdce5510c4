//! What must hold of every history.
//!
//! Each rule is a pure function of the history; its tests show that a history which breaks it is refused.

mod accounts;
mod asks;
mod connections;
mod life_cycle;
mod order;
#[cfg(test)]
mod testing;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::History;
use crate::history::{Event, LifeId};

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When it showed.
    pub at: Duration,
    /// What was wrong.
    pub what: String,
}

impl Violation {
    fn new(at: Duration, what: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
        }
    }
}

/// Checks all rules; what comes out is in the order of time.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let rules = [
        asks::check,
        order::check,
        life_cycle::check,
        connections::check,
        accounts::check,
    ];
    let mut violations: Vec<Violation> = rules.iter().flat_map(|rule| rule(history)).collect();
    violations.sort_by_key(|violation| violation.at);
    violations
}

/// Lives that did not end in order: in a crash, or with endpoints that were cut off.
fn cut_off(history: &History) -> BTreeSet<LifeId> {
    history
        .entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Crashed { life } => Some(*life),
            Event::ShutdownEnded {
                life,
                endpoints_aborted,
                ..
            } if !endpoints_aborted.is_empty() => Some(*life),
            _ => None,
        })
        .collect()
}
