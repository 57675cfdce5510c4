//! How a client decides whether a server's certificate will do.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificate::CertificateInfo;

/// Whether a server's certificate must name the host that was connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameCheck {
    /// It must.
    #[default]
    Host,
    /// Any certificate that the trust vouches for will do. This is what Spark does; then everybody with a trusted
    /// certificate can play any server.
    Off,
}

/// Checks a server's certificate as told.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    provider: Arc<CryptoProvider>,
    /// `None` to take everybody.
    trust: Option<Trust>,
    names: NameCheck,
}

#[derive(Debug)]
struct Trust {
    roots: RootCertStore,
    /// The same certificates. A server may present one of these itself: a self-signed certificate is in its clients'
    /// trust as it is, and need not be an authority.
    certificates: Vec<CertificateDer<'static>>,
}

impl ServerVerifier {
    pub(super) fn new(
        provider: Arc<CryptoProvider>,
        trust: Option<Vec<CertificateDer<'static>>>,
        names: NameCheck,
    ) -> Result<Self, Error> {
        let trust = trust
            .map(|certificates| {
                let mut roots = RootCertStore::empty();
                for certificate in &certificates {
                    roots.add(certificate.clone())?;
                }
                Ok::<_, Error>(Trust { roots, certificates })
            })
            .transpose()?;
        Ok(Self {
            provider,
            trust,
            names,
        })
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trust) = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if trust.certificates.iter().any(|trusted| trusted == end_entity) {
            check_validity(end_entity, now)?;
        } else {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &trust.roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        if self.names == NameCheck::Host {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn check_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let info = CertificateInfo::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let at = |time: SystemTime| {
        UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    };
    let (not_before, not_after) = (at(info.not_before), at(info.not_after));
    if now < not_before {
        return Err(CertificateError::NotValidYetContext {
            time: now,
            not_before,
        }
        .into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    Ok(())
}
