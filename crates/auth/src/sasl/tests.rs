//! Both sides against each other, and against somebody in between.

use super::client::SaslClient;
use super::server::SaslServer;
use super::session::{Protection, SaslError, SaslSession};
use crate::Secret;

const USER: &str = "sparkSaslUser";
const AUTH: Protection = Protection::Authentication;
const CONF: Protection = Protection::Encryption;

fn secret() -> Secret {
    Secret::new("swordfish").unwrap()
}

fn server(least: Protection) -> (SaslServer, String) {
    let (server, challenge) = SaslServer::start(b"", USER, &secret(), least).unwrap();
    (server, String::from_utf8(challenge).unwrap())
}

fn client(wanted: Protection) -> SaslClient {
    SaslClient::new(USER, &secret(), wanted)
}

/// A whole exchange in which somebody in between may change the client's response.
fn exchange(
    wanted: Protection,
    least: Protection,
    change: impl FnOnce(String) -> String,
) -> Result<[SaslSession; 2], SaslError> {
    let (server, challenge) = server(least);
    let (client, response) = client(wanted).respond(challenge.as_bytes())?;
    let response = change(String::from_utf8(response).unwrap());
    let (server, proof) = server.finish(response.as_bytes())?;
    Ok([client.finish(&proof)?, server])
}

/// SASL-01
#[test]
fn the_same_secret_on_both_sides_authenticates_both() {
    for wanted in [AUTH, CONF] {
        let sessions = exchange(wanted, AUTH, |same| same).unwrap();
        assert_eq!(sessions.map(|session| session.protection()), [wanted; 2]);
    }
}

/// SASL-01
#[test]
fn a_long_secret_has_line_feeds_inside_and_works() {
    let secret = Secret::generate(256).unwrap();
    let (server, challenge) = SaslServer::start(b"", USER, &secret, CONF).unwrap();
    let (client, response) = SaslClient::new(USER, &secret, CONF).respond(&challenge).unwrap();
    let (_, proof) = server.finish(&response).unwrap();
    client.finish(&proof).unwrap();
}

/// SASL-02
#[test]
fn different_secrets_do_not_match() {
    let other = Secret::new("swordfisH").unwrap();
    let (server, challenge) = server(AUTH);
    let (client, response) = SaslClient::new(USER, &other, AUTH)
        .respond(challenge.as_bytes())
        .unwrap();
    assert_eq!(server.finish(&response).unwrap_err(), SaslError::Mismatch);
    let forged = format!("rspauth={}", "0".repeat(32));
    assert_eq!(client.finish(forged.as_bytes()).unwrap_err(), SaslError::Mismatch);
}

/// SASL-02
#[test]
fn another_user_with_the_right_secret_is_not_told_apart() {
    let (server, challenge) = server(AUTH);
    let (_, response) = SaslClient::new("sparkSaslUseR", &secret(), AUTH)
        .respond(challenge.as_bytes())
        .unwrap();
    assert_eq!(server.finish(&response).unwrap_err(), SaslError::Mismatch);
    // The proof of the one user under the name of another.
    let rename = |text: String| text.replace("c3BhcmtTYXNsVXNlcg==", "cm9vdA==");
    assert_eq!(exchange(AUTH, AUTH, rename).unwrap_err(), SaslError::Mismatch);
}

#[test]
fn a_response_to_an_earlier_challenge_is_refused() {
    let (_, challenge) = server(AUTH);
    let (_, response) = client(AUTH).respond(challenge.as_bytes()).unwrap();
    let (later, _) = server(AUTH);
    assert_eq!(
        later.finish(&response).unwrap_err(),
        SaslError::Unexpected("nonce")
    );
}

#[test]
fn a_server_that_insists_on_encryption_gets_it_or_nothing() {
    assert!(exchange(CONF, CONF, |same| same).is_ok());
    let wanted = AUTH;
    assert_eq!(
        exchange(AUTH, CONF, |same| same).unwrap_err(),
        SaslError::Protection { wanted },
        "the client sees that its protection is not on offer"
    );
    // One that does not care what is on offer.
    let (_, offer) = server(AUTH);
    let (insisting, challenge) = server(CONF);
    let nonce = |text: &str| text.split('"').nth(3).unwrap().to_owned();
    let offer = offer.replace(&nonce(&offer), &nonce(&challenge));
    let (_, response) = client(AUTH).respond(offer.as_bytes()).unwrap();
    let wanted = CONF;
    assert_eq!(
        insisting.finish(&response).unwrap_err(),
        SaslError::Protection { wanted }
    );
}

#[test]
fn an_offer_without_encryption_does_not_talk_a_client_out_of_it() {
    let (_, challenge) = server(AUTH);
    let wanted = CONF;
    for weaker in ["auth", "auth,auth-int", ""] {
        let weaker = challenge.replace("auth-conf,auth", weaker);
        assert_eq!(
            client(CONF).respond(weaker.as_bytes()).unwrap_err(),
            SaslError::Protection { wanted }
        );
    }
    let weaker = challenge.replace("3des", "rc4-40,des");
    assert_eq!(
        client(CONF).respond(weaker.as_bytes()).unwrap_err(),
        SaslError::Unexpected("cipher")
    );
    let weaker = challenge.replace("md5-sess", "md5");
    assert_eq!(
        client(CONF).respond(weaker.as_bytes()).unwrap_err(),
        SaslError::Unexpected("algorithm")
    );
}

#[test]
fn a_choice_that_is_changed_on_the_way_is_noticed() {
    let weaker = |text: String| text.replace("qop=auth-conf,cipher=\"3des\"", "qop=auth");
    assert_eq!(exchange(CONF, AUTH, weaker).unwrap_err(), SaslError::Mismatch);
    let stronger = |text: String| text.replace("qop=auth", "qop=auth-conf,cipher=\"3des\"");
    assert_eq!(exchange(AUTH, AUTH, stronger).unwrap_err(), SaslError::Mismatch);
    let other_cipher = |text: String| text.replace("3des", "rc4-40");
    assert_eq!(
        exchange(CONF, AUTH, other_cipher).unwrap_err(),
        SaslError::Unexpected("cipher")
    );
}

#[test]
fn every_directive_of_a_response_is_looked_at() {
    type Change = fn(String) -> String;
    let changes: [(Change, SaslError); 9] = [
        (
            |text| text.replace("null/default", "http/default"),
            SaslError::Unexpected("digest-uri"),
        ),
        (
            |text| text.replace("realm=\"default\"", "realm=\"other\""),
            SaslError::Unexpected("realm"),
        ),
        (
            |text| text.replace("nc=00000001", "nc=00000002"),
            SaslError::Unexpected("nc"),
        ),
        (
            |text| text.replace("qop=auth", "qop=auth-int"),
            SaslError::Unexpected("qop"),
        ),
        (
            |text| text.replace("maxbuf=65536", "maxbuf=16"),
            SaslError::Unexpected("maxbuf"),
        ),
        (
            |text| text + ",authzid=\"root\"",
            SaslError::Unexpected("authzid"),
        ),
        (
            |text| text.replace(",cnonce", ",other"),
            SaslError::Missing("cnonce"),
        ),
        (
            |text| text + ",response=0",
            SaslError::Syntax("a directive comes twice"),
        ),
        (|_| String::new(), SaslError::Missing("realm")),
    ];
    for (change, expected) in changes {
        assert_eq!(exchange(AUTH, AUTH, change).unwrap_err(), expected);
    }
}

#[test]
fn every_flipped_bit_of_a_proof_is_noticed() {
    for at in 0..32 {
        for bit in 0..7 {
            let altered = exchange(AUTH, AUTH, |text| {
                let start = text.find("response=").unwrap() + "response=".len();
                let mut bytes = text.into_bytes();
                bytes[start + at] ^= 1 << bit;
                String::from_utf8(bytes).unwrap()
            });
            assert!(altered.is_err(), "bit {bit} of character {at}");
        }
    }
}

#[test]
fn an_initial_response_is_refused() {
    assert!(matches!(
        SaslServer::start(b"x", USER, &secret(), AUTH),
        Err(SaslError::InitialResponse { bytes: 1 })
    ));
}

#[test]
fn without_encryption_there_are_no_ciphers() {
    let [client, server] = exchange(AUTH, AUTH, |same| same).unwrap();
    assert!(client.into_ciphers(1024, 1024).is_none());
    assert!(server.into_ciphers(1024, 1024).is_none());
}

#[test]
fn a_peer_that_takes_only_small_blocks_gets_small_blocks() {
    let (server, challenge) = server(AUTH);
    let challenge = format!("{challenge},maxbuf=126");
    let (client, response) = client(CONF).respond(challenge.as_bytes()).unwrap();
    let (_, proof) = server.finish(&response).unwrap();
    let session = client.finish(&proof).unwrap();
    let (mut encryptor, _) = session.into_ciphers(65_536, 65_536).unwrap();
    let mut wire = Vec::new();
    encryptor.encrypt(&[0; 1000], &mut wire).unwrap();
    let mut blocks = 0;
    let mut rest = &wire[..];
    while !rest.is_empty() {
        let length = u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize;
        assert!(length - 8 <= 126);
        rest = &rest[length..];
        blocks += 1;
    }
    assert_eq!(blocks, 10);
}

#[test]
fn nothing_secret_is_printed() {
    let (server, challenge) = server(AUTH);
    let printed = client(CONF);
    let mut all = format!("{printed:?} {server:#?}");
    let (client, response) = client(CONF).respond(challenge.as_bytes()).unwrap();
    all += &format!("{client:?}");
    let (session, proof) = server.finish(&response).unwrap();
    all += &format!("{session:?} {:?}", client.finish(&proof).unwrap());
    all += &format!("{:?}", session.into_ciphers(10, 10).unwrap());
    all += &format!("{} {:?}", SaslError::Mismatch, SaslError::Mismatch);
    // "c3dvcmRmaXNo" is the secret in Base64.
    for secret in ["swordfish", "c3dvcmRmaXNo", "115, 119", "[1"] {
        assert!(!all.contains(secret), "{all}");
    }
}
