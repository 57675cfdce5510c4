//! Files that change while connections are open.

use std::fs;

use super::endpoint::{Material, TlsClient, TlsServer};
use super::error::TlsError;
use super::material::{IdentitySource, TrustSource};
use super::testing::{Authority, Issued, client_options, connect, fixture, say, server_options};
use crate::Secret;
use crate::testing::Folder;

fn server_with(folder: &Folder, issued: &Issued) -> TlsServer {
    let source = IdentitySource::Pem {
        chain: folder.write("chain.pem", issued.chain.as_bytes()),
        key: folder.write("key.pem", issued.key.as_bytes()),
        password: None,
    };
    TlsServer::new(server_options(source)).unwrap()
}

fn client_with(folder: &Folder, trust: &str) -> TlsClient {
    let mut options = client_options("");
    options.trust = TrustSource::File {
        path: folder.write("trust", trust.as_bytes()),
        password: None,
    };
    TlsClient::new(options).unwrap()
}

#[test]
fn a_changed_certificate_is_for_new_connections_and_old_ones_live_on() {
    let (folder, authority) = (Folder::new(), Authority::new("ca"));
    let server = server_with(&folder, &authority.issue_until("old", 2900));
    let client = TlsClient::new(client_options(&authority.pem())).unwrap();
    let [mut ours, mut theirs] = connect(&server, &client).unwrap();
    let not_after = |server: &TlsServer| server.first_to_expire().unwrap().not_after;
    let expiry = not_after(&server);

    assert!(!server.reload(Material::Identity).unwrap(), "nothing has changed");
    let renewed = authority.issue("new");
    folder.write("chain.pem", renewed.chain.as_bytes());
    assert!(
        matches!(server.reload(Material::Identity), Err(TlsError::Content { .. })),
        "the new certificate with the old key: somebody is still copying"
    );
    assert_eq!(not_after(&server), expiry);
    folder.write("key.pem", renewed.key.as_bytes());
    assert!(
        !server.reload(Material::Trust).unwrap(),
        "nothing was asked of clients"
    );
    assert!(server.reload(Material::Identity).unwrap());

    assert!(not_after(&server) > expiry);
    assert_eq!(server.certificates()[0].subject, "CN=new");
    assert_eq!(say(&mut ours, &mut theirs, b"still here"), b"still here");
    assert_eq!(ours.peer().unwrap().subject, "CN=old");
    let [ours, _] = connect(&server, &client).unwrap();
    assert_eq!(ours.peer().unwrap().subject, "CN=new");
}

/// SSL-02
#[test]
fn a_missing_or_corrupt_trust_store_is_an_error_at_the_start() {
    let folder = Folder::new();
    let client = |path| {
        let mut options = client_options("");
        options.trust = TrustSource::File {
            path,
            password: Some(Secret::new("changeit").unwrap()),
        };
        TlsClient::new(options)
    };
    assert!(matches!(
        client(folder.path().join("missing")),
        Err(TlsError::File { .. })
    ));
    for content in [
        &b""[..],
        b"nonsense",
        b"-----BEGIN CERTIFICATE-----\n!",
        &[0xfe, 0xed, 0xfe, 0xed],
    ] {
        assert!(matches!(
            client(folder.write("corrupt", content)),
            Err(TlsError::Content { .. })
        ));
    }
}

/// SSL-02
#[test]
fn a_changed_trust_store_is_loaded() {
    let (folder, first, second) = (Folder::new(), Authority::new("a"), Authority::new("b"));
    let server = TlsServer::new(server_options(second.issue("server").identity())).unwrap();
    let client = client_with(&folder, &first.pem());
    assert!(connect(&server, &client).is_err());
    assert!(!client.reload(Material::Trust).unwrap());

    folder.write("trust", (first.pem() + &second.pem()).as_bytes());
    assert!(client.reload(Material::Trust).unwrap());
    connect(&server, &client).unwrap();
}

/// SSL-02
#[test]
fn a_trust_store_that_vanishes_or_breaks_later_keeps_what_was_loaded() {
    let (folder, authority) = (Folder::new(), Authority::new("a"));
    let server = TlsServer::new(server_options(authority.issue("server").identity())).unwrap();
    let client = client_with(&folder, &authority.pem());
    folder.write("trust", b"broken");
    assert!(client.reload(Material::Trust).is_err());
    fs::remove_file(folder.path().join("trust")).unwrap();
    assert!(client.reload(Material::Trust).is_err());
    connect(&server, &client).unwrap();
}

/// SSL-02
#[cfg(unix)]
#[test]
fn a_link_that_points_elsewhere_and_a_changed_target_are_both_noticed() {
    let (folder, first, second) = (Folder::new(), Authority::new("a"), Authority::new("b"));
    let link = folder.path().join("link");
    let (one, two) = (
        folder.write("one", first.pem().as_bytes()),
        folder.write("two", second.pem().as_bytes()),
    );
    std::os::unix::fs::symlink(&one, &link).unwrap();
    let mut options = client_options("");
    options.trust = TrustSource::File {
        path: link.clone(),
        password: None,
    };
    let client = TlsClient::new(options).unwrap();

    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&two, &link).unwrap();
    assert!(client.reload(Material::Trust).unwrap());
    let server = TlsServer::new(server_options(second.issue("server").identity())).unwrap();
    connect(&server, &client).unwrap();

    fs::write(&two, first.pem()).unwrap();
    assert!(client.reload(Material::Trust).unwrap());
    assert!(connect(&server, &client).is_err());
}

/// SSL-02
#[test]
fn a_trust_store_of_the_jdk_with_one_more_certificate_is_loaded() {
    let folder = Folder::new();
    let copy = |name: &str| fs::read(fixture(name)).unwrap();
    let mut options = client_options("");
    options.trust = TrustSource::File {
        path: folder.write("trust", &copy("trust-1.p12")),
        password: Some(Secret::new("changeit").unwrap()),
    };
    let client = TlsClient::new(options).unwrap();
    folder.write("trust", &copy("trust-2.p12"));
    assert!(client.reload(Material::Trust).unwrap());
}

#[test]
fn nothing_secret_is_printed() {
    let (folder, authority) = (Folder::new(), Authority::new("ca"));
    let issued = authority.issue("server");
    let server = server_with(&folder, &issued);
    let mut options = client_options(&authority.pem());
    options.identity = Some(IdentitySource::KeyStore {
        path: fixture("store.p12"),
        password: Secret::new("changeit").unwrap(),
    });
    let mut all = format!("{options:?} {server:#?} {:?}", issued.identity());
    let client = TlsClient::new(options).unwrap();
    all += &format!("{client:?}");
    let server_with_memory = TlsServer::new(server_options(issued.identity())).unwrap();
    for connection in connect(&server_with_memory, &client).unwrap() {
        all += &format!("{connection:?}");
    }
    let key: String = issued.key.lines().skip(1).take(1).collect();
    for secret in ["changeit", "PRIVATE KEY", &key, "99, 104, 97"] {
        assert!(!all.contains(secret), "{all}");
    }
}
