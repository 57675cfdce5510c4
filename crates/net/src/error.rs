//! Errors that say which address they are about.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::network::HostPort;

/// Returns whether a failed `bind` may succeed on another port: Spark's rule in `Utils.startServiceOnPort`.
///
/// Besides a port in use this is true of an address that this machine does not have. Retrying the latter is in vain,
/// but both are a `BindException` in Java, and Spark retries both.
///
/// The causes of `error` count too.
pub fn is_address_collision(error: &io::Error) -> bool {
    let collides = |e: &io::Error| {
        matches!(
            e.kind(),
            io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable
        )
    };
    // `io::Error::source` skips the error that it wraps, hence `get_ref`.
    let mut next = error.get_ref().map(|e| e as &(dyn Error + 'static));
    if collides(error) {
        return true;
    }
    while let Some(cause) = next {
        next = match cause.downcast_ref::<io::Error>() {
            Some(e) if collides(e) => return true,
            Some(e) => e.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => cause.source(),
        };
    }
    false
}

/// What was being done to an address when it failed.
#[derive(Debug)]
pub(crate) struct AddressError {
    action: &'static str,
    address: String,
    /// The concrete address or path behind `address`, when one was reached.
    target: Option<String>,
    resolving: Duration,
    cause: io::Error,
}

impl AddressError {
    pub(crate) fn new(action: &'static str, host: &str, port: u16, cause: io::Error) -> Self {
        let address = HostPort(host, port).to_string();
        Self {
            action,
            address,
            target: None,
            resolving: Duration::ZERO,
            cause,
        }
    }

    /// Adds what `host:port` came out as, unless it says the same.
    pub(crate) fn target(mut self, target: impl fmt::Display) -> Self {
        let target = target.to_string();
        self.target = (target != self.address).then_some(target);
        self
    }

    /// Adds how long the name's resolution took; mentioned only when it was slow.
    pub(crate) fn resolving(mut self, took: Duration) -> Self {
        self.resolving = took;
        self
    }

    /// Makes an [`io::Error`] of the same kind as the cause.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::new(self.cause.kind(), self)
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.action, self.address)?;
        if let Some(target) = &self.target {
            write!(f, " ({target})")?;
        }
        write!(f, ": {}", self.cause)?;
        if self.resolving > SLOW_RESOLUTION {
            write!(
                f,
                " (resolving the name took {:.1} s)",
                self.resolving.as_secs_f64()
            )?;
        }
        Ok(())
    }
}

impl Error for AddressError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// From here on resolving a name is worth a word, as in Spark's `TransportClientFactory`.
const SLOW_RESOLUTION: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_or_not_available_collides() {
        assert!(is_address_collision(&io::ErrorKind::AddrInUse.into()));
        assert!(is_address_collision(&io::ErrorKind::AddrNotAvailable.into()));
    }

    #[test]
    fn other_errors_do_not_collide() {
        for kind in [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::NotFound,
        ] {
            assert!(!is_address_collision(&kind.into()), "{kind:?}");
        }
    }

    #[test]
    fn a_collision_is_found_behind_other_errors() {
        let in_use = AddressError::new("listen on", "a", 1, io::ErrorKind::AddrInUse.into());
        let hidden = io::Error::other(io::Error::other(in_use));
        assert!(is_address_collision(&hidden));
        assert!(!is_address_collision(&io::Error::other(io::Error::other(
            "something else"
        ))));
    }

    #[test]
    fn the_text_names_the_address_and_the_kind_is_kept() {
        let cause = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = AddressError::new("connect to", "::1", 7077, cause)
            .target("[::1]:7077")
            .into_io();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(
            error.to_string(),
            "cannot connect to [::1]:7077: connection refused"
        );
    }

    #[test]
    fn slow_name_resolution_is_mentioned_and_fast_one_is_not() {
        let failed = |took| {
            let cause = io::Error::other("no answer");
            AddressError::new("connect to", "far", 1, cause)
                .target("10.0.0.1:1")
                .resolving(took)
                .to_string()
        };
        assert_eq!(
            failed(Duration::from_millis(1900)),
            "cannot connect to far:1 (10.0.0.1:1): no answer"
        );
        assert_eq!(
            failed(Duration::from_millis(2500)),
            "cannot connect to far:1 (10.0.0.1:1): no answer (resolving the name took 2.5 s)"
        );
    }
}
