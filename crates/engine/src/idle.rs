//! When a silent connection counts as dead.

use std::time::{Duration, Instant};

/// Watches one connection for silence (the idle handling of Spark's `TransportChannelHandler`).
///
/// Silence counts from the last byte in either direction and from the last request that was sent. With requests
/// outstanding it means that the peer is dead; without any, it is a reason to close only if the context wants that.
#[derive(Debug)]
pub struct IdleWatch {
    timeout: Option<Duration>,
    close_idle: bool,
    last_traffic: Instant,
    last_request: Instant,
}

/// What silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleVerdict {
    /// Nothing yet; look again at this time.
    LookAgain(Instant),
    /// Nothing to wait for: no time limit, or nothing outstanding on a connection that may idle for ever.
    NotWatched,
    /// Requests are outstanding and the peer has been quiet for this long: it counts as dead.
    Dead {
        /// How long it was quiet.
        quiet: Duration,
    },
    /// Nothing is outstanding and idle connections are to be closed.
    CloseIdle {
        /// How long it was quiet.
        quiet: Duration,
    },
}

impl IdleVerdict {
    /// Whether the connection has been silent for its time.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, IdleVerdict::Dead { .. } | IdleVerdict::CloseIdle { .. })
    }
}

impl IdleWatch {
    /// Begins to watch at `now`. `timeout` of `None` means without limit, and so does one that leads past the end of
    /// time; `close_idle` closes connections that have nothing outstanding, too.
    #[must_use]
    pub fn new(timeout: Option<Duration>, close_idle: bool, now: Instant) -> Self {
        Self {
            timeout,
            close_idle,
            last_traffic: now,
            last_request: now,
        }
    }

    /// Notes that bytes came or went.
    #[inline]
    pub fn traffic(&mut self, now: Instant) {
        self.last_traffic = self.last_traffic.max(now);
    }

    /// Notes that a request was sent or that the connection was handed out for one.
    #[inline]
    pub fn request(&mut self, now: Instant) {
        self.last_request = self.last_request.max(now);
    }

    /// Judges the silence at `now`, with `outstanding` requests waiting for their reply. After
    /// [`IdleVerdict::NotWatched`], ask again when a request is sent.
    #[must_use]
    pub fn check(&self, now: Instant, outstanding: usize) -> IdleVerdict {
        let Some(timeout) = self.timeout else {
            return IdleVerdict::NotWatched;
        };
        if outstanding == 0 && !self.close_idle {
            return IdleVerdict::NotWatched;
        }
        let quiet_since = self.last_traffic.max(self.last_request);
        let quiet = now.saturating_duration_since(quiet_since);
        if quiet < timeout {
            quiet_since
                .checked_add(timeout)
                .map_or(IdleVerdict::NotWatched, IdleVerdict::LookAgain)
        } else if outstanding > 0 {
            IdleVerdict::Dead { quiet }
        } else {
            IdleVerdict::CloseIdle { quiet }
        }
    }
}

#[cfg(test)]
#[path = "idle_tests.rs"]
mod tests;
