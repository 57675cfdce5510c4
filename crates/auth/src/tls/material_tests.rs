//! Keys and certificates in all their forms.

use std::fs;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;

use super::NameCheck;
use super::certificate::CertificateInfo;
use super::endpoint::{TlsClient, TlsServer};
use super::error::{MaterialError, TlsError};
use super::material::{IdentitySource, TlsIdentity, TrustSource, trusted};
use super::testing::{Authority, client_options, connect, fixture, server_options};
use crate::Secret;

fn file(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

fn pem_identity(key: &str, password: Option<&str>) -> Result<TlsIdentity, MaterialError> {
    TlsIdentity::from_pem(&file("chain.pem"), &file(key), password.map(secret).as_ref())
}

/// SSL-01
#[test]
fn keys_in_plain_and_encrypted_pem_and_in_a_key_store_are_the_same() {
    let plain = pem_identity("key.pem", None).unwrap();
    let encrypted = pem_identity("key-encrypted.pem", Some("keypass")).unwrap();
    let store = TlsIdentity::from_pkcs12(&file("store.p12"), &secret("changeit")).unwrap();
    for identity in [&plain, &encrypted, &store] {
        assert_eq!(identity.certificates().len(), 1);
        assert_eq!(identity.certificates()[0].subject, "CN=spark-lab,O=lab");
        assert_eq!(identity.first_to_expire(), plain.first_to_expire());
    }
    // An unneeded password does no harm.
    pem_identity("key.pem", Some("keypass")).unwrap();
}

/// SSL-01
#[test]
fn every_form_of_key_serves_connections_of_a_client_with_the_jdks_trust_store() {
    let mut options = client_options("");
    options.names = NameCheck::Off;
    options.trust = TrustSource::File {
        path: fixture("trust-1.p12"),
        password: Some(secret("changeit")),
    };
    let client = TlsClient::new(options.clone()).unwrap();
    // A client with PEM files trusts the server's own chain.
    options.trust = TrustSource::File {
        path: fixture("chain.pem"),
        password: None,
    };
    let pinning = TlsClient::new(options).unwrap();
    for identity in [
        IdentitySource::Pem {
            chain: fixture("chain.pem"),
            key: fixture("key-encrypted.pem"),
            password: Some(secret("keypass")),
        },
        IdentitySource::KeyStore {
            path: fixture("store.p12"),
            password: secret("changeit"),
        },
    ] {
        let server = TlsServer::new(server_options(identity)).unwrap();
        connect(&server, &client).unwrap();
        connect(&server, &pinning).unwrap();
    }
    let other = Authority::new("ca").issue("spark-lab");
    let impostor = TlsServer::new(server_options(other.identity())).unwrap();
    assert!(connect(&impostor, &client).is_err());
    assert!(connect(&impostor, &pinning).is_err());
}

/// SSL-01
#[test]
fn a_wrong_or_missing_password_is_an_error() {
    assert!(matches!(
        pem_identity("key-encrypted.pem", Some("wrong")),
        Err(MaterialError::Password)
    ));
    assert!(matches!(
        pem_identity("key-encrypted.pem", None),
        Err(MaterialError::PasswordMissing)
    ));
    assert!(matches!(
        TlsIdentity::from_pkcs12(&file("store.p12"), &secret("wrong")),
        Err(MaterialError::Password)
    ));
}

/// An operator who is told of a wrong password looks in the wrong place.
#[test]
fn a_file_that_is_no_store_is_not_blamed_on_the_password() {
    let store = file("store.p12");
    for bytes in [
        &b""[..],
        b"no store at all",
        &store[..store.len() / 2],
        &store[..store.len() - 1],
    ] {
        let error = TlsIdentity::from_pkcs12(bytes, &secret("changeit")).unwrap_err();
        assert!(
            matches!(error, MaterialError::Format(_)),
            "{}: {error}",
            bytes.len()
        );
    }
}

#[test]
fn forms_that_are_not_read_say_how_to_convert_them() {
    let error = pem_identity("key-old-form.pem", Some("keypass")).unwrap_err();
    assert!(error.to_string().contains("openssl pkcs8"), "{error}");
    let jks = [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2];
    let error = TlsIdentity::from_pkcs12(&jks, &secret("changeit")).unwrap_err();
    assert!(error.to_string().contains("keytool"), "{error}");
}

#[test]
fn files_without_what_is_wanted_are_named() {
    assert!(matches!(
        TlsIdentity::from_pem(&file("key.pem"), &file("key.pem"), None),
        Err(MaterialError::NoCertificate)
    ));
    assert!(matches!(
        TlsIdentity::from_pem(&file("chain.pem"), &file("chain.pem"), None),
        Err(MaterialError::NoKey)
    ));
    let source = IdentitySource::Pem {
        chain: fixture("chain.pem"),
        key: fixture("chain.pem"),
        password: None,
    };
    let error = TlsServer::new(server_options(source)).unwrap_err();
    assert!(matches!(error, TlsError::Content { .. }));
    assert!(error.to_string().contains("chain.pem"), "{error}");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let other = Authority::new("ca").issue("other");
    assert!(matches!(
        TlsIdentity::from_pem(&file("chain.pem"), other.key.as_bytes(), None),
        Err(MaterialError::KeyMismatch)
    ));
}

#[test]
fn trust_stores_hold_the_certificates_that_were_imported() {
    let password = secret("changeit");
    let subjects = |found: Vec<CertificateDer<'static>>| -> Vec<String> {
        let mut subjects: Vec<_> = found
            .iter()
            .map(|der| CertificateInfo::from_der(der).unwrap().subject)
            .collect();
        subjects.sort();
        subjects
    };
    let found = trusted(&file("trust-2.p12"), Some(&password)).unwrap();
    assert_eq!(subjects(found), ["CN=other", "CN=spark-lab,O=lab"]);
    let found = trusted(&file("chain.pem"), None).unwrap();
    assert_eq!(subjects(found), ["CN=spark-lab,O=lab"]);
    assert!(
        matches!(
            trusted(&file("store.p12"), Some(&password)),
            Err(MaterialError::NoCertificate)
        ),
        "a key's own certificate is not thereby trusted"
    );
    assert!(trusted(&file("trust-1.p12"), Some(&secret("wrong"))).is_err());
}

#[test]
fn expiry_is_a_value() {
    let issued = Authority::new("ca").issue_until("server", 2030);
    let identity = TlsIdentity::from_pem(issued.chain.as_bytes(), issued.key.as_bytes(), None).unwrap();
    let info = &identity.certificates()[0];
    // 31 December 2030, midnight.
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_924_905_600);
    let day = Duration::from_secs(86_400);
    assert_eq!(identity.first_to_expire().not_after, end);
    assert_eq!(info.issuer, "CN=ca");
    assert_eq!(info.remaining(end - day), day);
    assert_eq!(info.remaining(end + day), Duration::ZERO);
    assert!(info.is_valid_at(end) && !info.is_valid_at(end + day));
    assert!(!info.is_valid_at(SystemTime::UNIX_EPOCH));
}
