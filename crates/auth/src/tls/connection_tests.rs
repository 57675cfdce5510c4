//! Two sides without a socket between them.

use super::connection::{TlsConnection, TlsConnectionError};
use super::endpoint::{ClientAuth, TlsClient, TlsServer};
use super::material::TrustSource;
use super::testing::{Authority, client_options, connect, connect_to, say, server_options};
use super::{NameCheck, TlsProtocol, TlsVersions};

fn pair() -> [TlsConnection; 2] {
    let authority = Authority::new("ca");
    let server = TlsServer::new(server_options(authority.issue("server").identity())).unwrap();
    let client = TlsClient::new(client_options(&authority.pem())).unwrap();
    connect(&server, &client).unwrap()
}

#[test]
fn what_is_said_arrives_in_both_directions() {
    let [mut client, mut server] = pair();
    assert_eq!(say(&mut client, &mut server, b"hello"), b"hello");
    let long = vec![7; 300_000];
    assert!(say(&mut server, &mut client, &long) == long);
    assert_eq!(client.peer().unwrap().subject, "CN=server");
    assert_eq!(server.peer(), None, "the client was not asked");
    assert!(client.protocol().unwrap().starts_with("TLSv1_3 TLS_"));
}

#[test]
fn nothing_readable_is_on_the_wire_and_pieces_do_not_matter() {
    let [mut client, mut server] = pair();
    let mut wire = Vec::new();
    client.send(b"attack at dawn", &mut wire).unwrap();
    assert!(!wire.windows(6).any(|window| window == b"attack"));
    let mut plain = Vec::new();
    for byte in &wire {
        server
            .receive(&mut std::slice::from_ref(byte), &mut plain, usize::MAX)
            .unwrap();
    }
    assert_eq!(plain, b"attack at dawn");
}

#[test]
fn no_more_comes_out_than_there_is_room_for() {
    let [mut client, mut server] = pair();
    let mut wire = Vec::new();
    client.send(&vec![7; 100_000], &mut wire).unwrap();
    let (mut input, mut plain) = (&wire[..], Vec::new());
    while plain.len() < 100_000 {
        let before = plain.len();
        server.receive(&mut input, &mut plain, 999).unwrap();
        assert!((1..=999).contains(&(plain.len() - before)));
    }
    assert_eq!(input, b"");
}

#[test]
fn a_flipped_bit_ends_the_connection_and_the_peer_is_told() {
    let [mut client, mut server] = pair();
    let mut wire = Vec::new();
    client.send(b"attack at dawn", &mut wire).unwrap();
    let last = wire.len() - 1;
    wire[last] ^= 1;
    let mut plain = Vec::new();
    let failed = server.receive(&mut &wire[..], &mut plain, usize::MAX);
    assert!(matches!(failed, Err(TlsConnectionError::Failed(_))));
    assert_eq!(plain, b"");
    assert_eq!(
        server.receive(&mut &wire[..], &mut plain, usize::MAX),
        Err(TlsConnectionError::Dead)
    );
    let mut alert = Vec::new();
    server.take_output(&mut alert);
    assert_ne!(alert, b"");
    let told = client.receive(&mut &alert[..], &mut plain, usize::MAX);
    assert!(matches!(told, Err(TlsConnectionError::Failed(_))));
}

#[test]
fn a_repeated_record_is_refused() {
    let [mut client, mut server] = pair();
    let mut wire = Vec::new();
    client.send(b"once", &mut wire).unwrap();
    let mut plain = Vec::new();
    server.receive(&mut &wire[..], &mut plain, usize::MAX).unwrap();
    assert!(server.receive(&mut &wire[..], &mut plain, usize::MAX).is_err());
    assert_eq!(plain, b"once");
}

#[test]
fn an_end_without_farewell_is_told_from_one_with() {
    let [mut client, mut server] = pair();
    assert_eq!(server.finish(), Err(TlsConnectionError::Truncated));
    let (mut wire, mut plain) = (Vec::new(), Vec::new());
    client.send(b"last", &mut wire).unwrap();
    client.close(&mut wire);
    wire.extend(b"not the client's");
    let mut input = &wire[..];
    server.receive(&mut input, &mut plain, usize::MAX).unwrap();
    assert_eq!(plain, b"last");
    assert_eq!(input, b"");
    assert_eq!(server.finish(), Ok(()));
}

#[test]
fn nothing_is_sent_before_the_handshake_is_over() {
    let authority = Authority::new("ca");
    let client = TlsClient::new(client_options(&authority.pem())).unwrap();
    let mut connection = client.connect("localhost").unwrap();
    let mut wire = Vec::new();
    assert_eq!(
        connection.send(b"early", &mut wire),
        Err(TlsConnectionError::Handshaking)
    );
    assert_eq!(wire, b"");
}

#[test]
fn other_protocols_are_refused() {
    let authority = Authority::new("ca");
    let server = TlsServer::new(server_options(authority.issue("server").identity())).unwrap();
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0, 0, 0, 0, 0, 0, 0, 43, 3, 1, 2, 3],
        &[0x16, 3, 1, 0xff, 0xff, 1],
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ] {
        let mut connection = server.accept().unwrap();
        let result = connection.receive(&mut &bytes[..], &mut Vec::new(), usize::MAX);
        assert!(result.is_err(), "{bytes:?}");
    }
}

#[test]
fn an_address_may_stand_in_brackets() {
    let authority = Authority::new("ca");
    let server = TlsServer::new(server_options(authority.issue("server").identity())).unwrap();
    let client = TlsClient::new(client_options(&authority.pem())).unwrap();
    for host in ["::1", "[::1]", "localhost"] {
        connect_to(host, &server, &client).unwrap();
    }
    assert!(connect_to("[::2]", &server, &client).is_err());
}

#[test]
fn a_server_with_an_unknown_authority_or_another_name_is_refused() {
    let (authority, other) = (Authority::new("ca"), Authority::new("ca"));
    let server = TlsServer::new(server_options(authority.issue("server").identity())).unwrap();
    let stranger = TlsClient::new(client_options(&other.pem())).unwrap();
    assert!(connect(&server, &stranger).is_err());

    let client = TlsClient::new(client_options(&authority.pem())).unwrap();
    assert!(connect_to("127.0.0.1", &server, &client).is_err());
    for host in ["no host", "[::1", "[localhost", "[]"] {
        assert!(
            matches!(client.connect(host), Err(TlsConnectionError::Host { .. })),
            "{host}"
        );
    }

    let mut options = client_options(&authority.pem());
    options.names = NameCheck::Off;
    let careless = TlsClient::new(options).unwrap();
    connect_to("127.0.0.1", &server, &careless).unwrap();
    connect_to("no host", &server, &careless).unwrap();
    let mut options = client_options(&other.pem());
    options.names = NameCheck::Off;
    let stranger = TlsClient::new(options).unwrap();
    assert!(connect(&server, &stranger).is_err(), "no name is not no trust");
}

#[test]
fn a_client_without_trust_takes_everybody_when_told_so() {
    let server = TlsServer::new(server_options(Authority::new("x").issue("y").identity())).unwrap();
    let mut options = client_options("");
    options.trust = TrustSource::Anybody;
    let client = TlsClient::new(options).unwrap();
    connect(&server, &client).unwrap();
}

#[test]
fn an_expired_certificate_is_refused_also_when_it_is_trusted_itself() {
    let authority = Authority::new("ca");
    let expired = authority.issue_until("server", 2001);
    let server = TlsServer::new(server_options(expired.identity())).unwrap();
    for trust in [authority.pem(), expired.chain] {
        let client = TlsClient::new(client_options(&trust)).unwrap();
        let error = connect(&server, &client).unwrap_err();
        assert!(error.to_string().contains("certificate expired"), "{error}");
    }
}

#[test]
fn a_server_that_asks_learns_who_the_client_is_and_refuses_others() {
    let (authority, other) = (Authority::new("ca"), Authority::new("other"));
    let mut options = server_options(authority.issue("server").identity());
    options.clients = ClientAuth::Required(TrustSource::Pem(authority.pem().into_bytes()));
    let server = TlsServer::new(options).unwrap();

    let client = |identity| {
        let mut options = client_options(&authority.pem());
        options.identity = identity;
        TlsClient::new(options).unwrap()
    };
    let known = client(Some(authority.issue("worker-1").identity()));
    let [_, connection] = connect(&server, &known).unwrap();
    assert_eq!(connection.peer().unwrap().subject, "CN=worker-1");
    assert!(known.first_to_expire().is_some());

    assert!(connect(&server, &client(None)).is_err());
    let stranger = client(Some(other.issue("worker-1").identity()));
    assert!(connect(&server, &stranger).is_err());
    let expired = client(Some(authority.issue_until("worker-1", 2001).identity()));
    assert!(connect(&server, &expired).is_err());
}

#[test]
fn a_server_cannot_ask_for_certificates_and_take_any() {
    let mut options = server_options(Authority::new("ca").issue("server").identity());
    options.clients = ClientAuth::Required(TrustSource::Anybody);
    assert!(TlsServer::new(options).is_err());
}

#[test]
fn versions_and_cipher_suites_are_those_allowed() {
    let authority = Authority::new("ca");
    let protocol = |versions, suites: &[&str]| TlsProtocol {
        versions,
        cipher_suites: suites.iter().map(|&name| name.to_owned()).collect(),
    };
    let attempt = |of_server: TlsProtocol, of_client: TlsProtocol| {
        let mut options = server_options(authority.issue("server").identity());
        options.protocol = of_server;
        let server = TlsServer::new(options).unwrap();
        let mut options = client_options(&authority.pem());
        options.protocol = of_client;
        let client = TlsClient::new(options).unwrap();
        connect(&server, &client).map(|[client, _]| client.protocol().unwrap())
    };
    let (only13, only12) = (TlsVersions::Only13, TlsVersions::Only12);
    let old = protocol(only12, &["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]);
    assert!(
        attempt(protocol(only13, &[]), old.clone()).is_err(),
        "no way down to TLS 1.2 unless it is allowed"
    );
    assert_eq!(
        attempt(protocol(TlsVersions::From12, &[]), old).unwrap(),
        "TLSv1_2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    );
    let chosen = protocol(only13, &["tls_aes_128_gcm_sha256", "TLS_NO_SUCH_SUITE"]);
    assert_eq!(
        attempt(chosen, TlsProtocol::default()).unwrap(),
        "TLSv1_3 TLS_AES_128_GCM_SHA256"
    );
    let mut options = server_options(authority.issue("server").identity());
    options.protocol = protocol(only13, &["TLS_RSA_WITH_RC4_128_MD5"]);
    assert!(TlsServer::new(options).is_err(), "nothing is left");
}
