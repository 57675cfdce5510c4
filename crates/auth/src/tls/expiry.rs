//! Certificates that are about to expire, and those that have.

use std::time::{Duration, SystemTime};

use super::certificate::CertificateInfo;

/// How a certificate stands to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It has some time to go.
    Far,
    /// It should have been renewed: less than [two weeks](Self::NEAR) are left, or a third of its life if that is less.
    Near,
    /// It is not valid any more.
    Over,
}

impl Expiry {
    /// The longest time before its end at which a certificate is said to be near to it.
    pub const NEAR: Duration = Duration::from_secs(14 * 24 * 3600);

    /// How `certificate` stands at `now`.
    #[must_use]
    pub fn of(certificate: &CertificateInfo, now: SystemTime) -> Self {
        let life = certificate.not_after.duration_since(certificate.not_before);
        let near = (life.unwrap_or_default() / 3).min(Self::NEAR);
        match certificate.not_after.duration_since(now) {
            Err(_) => Self::Over,
            Ok(left) if left <= near => Self::Near,
            Ok(_) => Self::Far,
        }
    }
}

/// Tells of each certificate once that it is near its end, and once that it is over.
#[derive(Debug, Default)]
pub struct ExpiryWatch {
    said: Option<(SystemTime, Expiry)>,
}

impl ExpiryWatch {
    /// What is to be said of `certificate` at `now`, if it is something new.
    pub fn look(&mut self, certificate: &CertificateInfo, now: SystemTime) -> Option<Expiry> {
        let stands = (certificate.not_after, Expiry::of(certificate, now));
        if self.said.replace(stands) == Some(stands) || stands.1 == Expiry::Far {
            return None;
        }
        Some(stands.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: u64) -> Duration {
        Duration::from_secs(days * 24 * 3600)
    }

    fn valid(from: u64, until: u64) -> CertificateInfo {
        CertificateInfo {
            subject: String::new(),
            issuer: String::new(),
            not_before: SystemTime::UNIX_EPOCH + days(from),
            not_after: SystemTime::UNIX_EPOCH + days(until),
        }
    }

    #[test]
    fn the_end_is_near_two_weeks_before_and_for_short_lives_in_their_last_third() {
        let at =
            |certificate: &CertificateInfo, day| Expiry::of(certificate, SystemTime::UNIX_EPOCH + days(day));
        let year = valid(100, 465);
        assert_eq!(at(&year, 450), Expiry::Far);
        assert_eq!(at(&year, 451), Expiry::Near);
        assert_eq!(at(&year, 465), Expiry::Near, "the last moment is valid");
        assert_eq!(at(&year, 466), Expiry::Over);
        let short = valid(100, 103);
        assert_eq!([at(&short, 101), at(&short, 102)], [Expiry::Far, Expiry::Near]);
        let never = valid(100, 99);
        assert_eq!([at(&never, 98), at(&never, 100)], [Expiry::Far, Expiry::Over]);
    }

    #[test]
    fn each_certificate_is_told_of_once_when_near_and_once_when_over() {
        let mut watch = ExpiryWatch::default();
        let mut look =
            |certificate: &CertificateInfo, day| watch.look(certificate, SystemTime::UNIX_EPOCH + days(day));
        let (first, second) = (valid(0, 100), valid(90, 200));
        assert_eq!(look(&first, 1), None);
        assert_eq!(look(&first, 95), Some(Expiry::Near));
        assert_eq!(look(&first, 96), None);
        assert_eq!(look(&first, 101), Some(Expiry::Over));
        assert_eq!(look(&first, 102), None);
        assert_eq!(look(&second, 102), None, "renewed");
        assert_eq!(look(&second, 190), Some(Expiry::Near));
    }
}
