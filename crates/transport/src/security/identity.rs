//! What is known of the peer of a connection.

/// What a peer has proven, and how the connection is protected. All `None` for one that has passed no gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerIdentity {
    /// The user, in Spark's words the application id, whose secret the peer knows.
    pub user: Option<String>,
    /// The subject of the certificate that the peer has shown, as RFC 4514 writes it: `CN=worker-1,O=lab`.
    pub subject: Option<String>,
    /// What encrypts the connection, for logs.
    pub encryption: Option<String>,
    /// What is weak about it: the name of a mechanism that is only there for old peers.
    pub weak: Option<&'static str>,
}

impl PeerIdentity {
    /// An identity of which nothing is known yet.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }

    /// Whether the peer has proven anything.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.user.is_some() || self.subject.is_some()
    }

    /// Adds what a further gate has found out.
    pub(crate) fn add(&mut self, later: Self) {
        self.user = later.user.or(self.user.take());
        self.subject = later.subject.or(self.subject.take());
        self.encryption = match (self.encryption.take(), later.encryption) {
            (Some(outer), Some(inner)) => Some(format!("{inner} within {outer}")),
            (outer, inner) => outer.or(inner),
        };
        // Inside of TLS no mechanism leaves the traffic unprotected.
        self.weak = match self.encryption {
            Some(_) if later.weak == Some(PLAIN_SASL) => None,
            _ => later.weak.or(self.weak.take()),
        };
    }
}

pub(super) const PLAIN_SASL: &str = "DIGEST-MD5 without encryption";
pub(super) const SASL_3DES: &str = "DIGEST-MD5 with 3DES";
pub(super) const AES_CTR: &str = "AES/CTR/NoPadding";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sasl_without_encryption_is_weak_unless_tls_is_around_it() {
        let plain = PeerIdentity {
            user: Some("alice".to_owned()),
            weak: Some(PLAIN_SASL),
            ..PeerIdentity::unknown()
        };
        let mut bare = PeerIdentity::unknown();
        bare.add(plain.clone());
        assert_eq!(bare, plain);

        let mut within = PeerIdentity {
            subject: Some("CN=a".to_owned()),
            encryption: Some("TLS".to_owned()),
            ..PeerIdentity::unknown()
        };
        within.add(plain);
        assert_eq!(within.weak, None);
        assert_eq!(
            (
                within.user.as_deref(),
                within.subject.as_deref(),
                within.encryption.as_deref()
            ),
            (Some("alice"), Some("CN=a"), Some("TLS"))
        );
    }
}
