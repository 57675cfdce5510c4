//! Certificates made for the day, and two connections that talk to each other.

use std::path::PathBuf;

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use super::connection::{TlsConnection, TlsConnectionError};
use super::endpoint::{ClientAuth, TlsClient, TlsClientOptions, TlsServer, TlsServerOptions};
use super::material::{IdentitySource, TlsIdentity, TrustSource};
use super::{NameCheck, TlsProtocol};

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// A certificate and its key, in PEM.
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate that says `name` and is for the host `localhost` and the address `::1`, valid until the end of `until`.
    pub(crate) fn issue_until(&self, name: &str, until: i32) -> Issued {
        let mut params = CertificateParams::new(["localhost".to_owned(), "::1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        Issued {
            chain: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn issue(&self, name: &str) -> Issued {
        self.issue_until(name, 2999)
    }
}

impl Issued {
    pub(crate) fn identity(&self) -> IdentitySource {
        let identity = TlsIdentity::from_pem(self.chain.as_bytes(), self.key.as_bytes(), None);
        IdentitySource::Memory(identity.unwrap())
    }
}

/// A file in `tests/data/tls`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name)
}

pub(crate) fn server_options(identity: IdentitySource) -> TlsServerOptions {
    TlsServerOptions {
        identity,
        clients: ClientAuth::NotAsked,
        protocol: TlsProtocol::default(),
    }
}

pub(crate) fn client_options(trust: &str) -> TlsClientOptions {
    TlsClientOptions {
        trust: TrustSource::Pem(trust.as_bytes().to_vec()),
        names: NameCheck::Host,
        identity: None,
        protocol: TlsProtocol::default(),
    }
}

/// Two connections that have shaken hands, the client's first.
pub(crate) fn connect(
    server: &TlsServer,
    client: &TlsClient,
) -> Result<[TlsConnection; 2], TlsConnectionError> {
    connect_to("localhost", server, client)
}

pub(crate) fn connect_to(
    host: &str,
    server: &TlsServer,
    client: &TlsClient,
) -> Result<[TlsConnection; 2], TlsConnectionError> {
    let (mut client, mut server) = (client.connect(host)?, server.accept()?);
    // A client is done one flight before the server, which may still refuse it.
    for _ in 0..4 {
        pass(&mut client, &mut server)?;
        pass(&mut server, &mut client)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok([client, server])
}

/// Carries what `from` has to say to `to`; nothing of it is for the application.
fn pass(from: &mut TlsConnection, to: &mut TlsConnection) -> Result<(), TlsConnectionError> {
    let (mut wire, mut plain) = (Vec::new(), Vec::new());
    from.take_output(&mut wire);
    to.receive(&mut &wire[..], &mut plain, usize::MAX)?;
    assert_eq!(plain, b"");
    Ok(())
}

/// Sends `text` and returns what arrives.
pub(crate) fn say(from: &mut TlsConnection, to: &mut TlsConnection, text: &[u8]) -> Vec<u8> {
    let (mut wire, mut plain) = (Vec::new(), Vec::new());
    from.send(text, &mut wire).unwrap();
    to.receive(&mut &wire[..], &mut plain, usize::MAX).unwrap();
    plain
}
