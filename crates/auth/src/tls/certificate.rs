//! What a certificate says.

use std::time::{Duration, SystemTime};

use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::MaterialError;

/// The parts of a certificate that operators and authorisation care about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Whom it names, as RFC 4514 writes it: `CN=worker-1,O=lab`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// When it begins to be valid.
    pub not_before: SystemTime,
    /// When it ends to be valid.
    pub not_after: SystemTime,
}

impl CertificateInfo {
    /// Reads a certificate. Nothing is verified.
    ///
    /// # Errors
    ///
    /// [`MaterialError::Certificate`].
    pub fn from_der(der: &[u8]) -> Result<Self, MaterialError> {
        let certificate =
            Certificate::from_der(der).map_err(|error| MaterialError::Certificate(error.to_string()))?;
        let content = certificate.tbs_certificate();
        Ok(Self {
            subject: content.subject().to_string(),
            issuer: content.issuer().to_string(),
            not_before: content.validity().not_before.to_system_time(),
            not_after: content.validity().not_after.to_system_time(),
        })
    }

    /// Tells whether the certificate is valid at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// How long it is still valid after `now`; nothing if it has expired.
    #[must_use]
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.not_after.duration_since(now).unwrap_or_default()
    }
}
