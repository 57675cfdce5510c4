//! Both sides against each other, and against somebody in between.

use super::golden_tests::key_id;
use super::handshake::{Challenge, ClientHandshake, HandshakeError};
use super::message::AuthMessage;
use super::seal::seal;
use super::session::{EngineSession, EngineVersion, SessionCipher};
use crate::entropy::Entropy;
use crate::{CipherError, Decryptor, Encryptor, Secret};

const APP: &str = "app";

fn secret() -> Secret {
    Secret::new("swordfish").unwrap()
}

fn start(version: EngineVersion) -> (ClientHandshake, Vec<u8>) {
    ClientHandshake::start(APP, &secret(), version).unwrap()
}

fn accept(challenge: &[u8], version: EngineVersion) -> Result<(EngineSession, Vec<u8>), HandshakeError> {
    Challenge::decode(challenge)?.accept(&secret(), version)
}

fn connected(version: EngineVersion) -> [EngineSession; 2] {
    let (client, challenge) = start(version);
    let (server, response) = accept(&challenge, version).unwrap();
    [client.finish(&response).unwrap(), server]
}

fn ciphers(version: EngineVersion, cipher: SessionCipher) -> [(Encryptor, Decryptor); 2] {
    connected(version).map(|session| session.into_ciphers(cipher))
}

/// ENGINE-01
#[test]
fn both_sides_derive_the_same_key() {
    for version in [EngineVersion::V1, EngineVersion::V2] {
        let [client, server] = connected(version);
        assert_eq!(key_id(&client), key_id(&server));
        assert_eq!(client.ivs(), server.ivs());
        assert_ne!(client.ivs()[0], client.ivs()[1]);
    }
}

/// ENGINE-03
#[test]
fn a_response_for_another_application_is_refused() {
    let (client, challenge) = start(EngineVersion::V2);
    let mut response = AuthMessage::decode(&accept(&challenge, EngineVersion::V2).unwrap().1).unwrap();
    response.app_id = "ppa".to_owned();
    assert!(matches!(
        client.finish(&response.encode()),
        Err(HandshakeError::WrongAppId { .. })
    ));
}

/// ENGINE-03
#[test]
fn a_challenge_under_another_name_cannot_be_opened() {
    let (_, challenge) = start(EngineVersion::V2);
    let mut challenge = AuthMessage::decode(&challenge).unwrap();
    challenge.app_id = "ppa".to_owned();
    assert!(matches!(
        accept(&challenge.encode(), EngineVersion::V2),
        Err(HandshakeError::Refused)
    ));
}

/// ENGINE-03
#[test]
fn another_secret_is_refused_by_either_side() {
    let other = Secret::new("swordfisH").unwrap();
    let (client, challenge) = start(EngineVersion::V2);
    let read = Challenge::decode(&challenge).unwrap();
    assert_eq!(
        read.accept(&other, EngineVersion::V2).unwrap_err(),
        HandshakeError::Refused
    );

    // A server that cannot open the challenge may answer all the same; it still has to know the secret.
    let forged = seal(&[9; 32], APP, &other, &challenge, &mut Entropy::System).unwrap();
    assert_eq!(
        client.finish(&forged.encode()).unwrap_err(),
        HandshakeError::Refused
    );
}

/// ENGINE-03
#[test]
fn every_flipped_bit_of_a_challenge_is_noticed() {
    let (_, challenge) = start(EngineVersion::V2);
    for bit in 0..challenge.len() * 8 {
        let mut altered = challenge.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(accept(&altered, EngineVersion::V2).is_err(), "bit {bit}");
    }
}

/// ENGINE-03
#[test]
fn every_flipped_bit_of_a_response_is_noticed() {
    let random = vec![5; 32 + 16 + 12];
    let begin = || {
        let mut entropy = Entropy::Scripted(random.clone());
        ClientHandshake::start_with(APP, &secret(), EngineVersion::V2, &mut entropy).unwrap()
    };
    let (client, challenge) = begin();
    let (_, response) = accept(&challenge, EngineVersion::V2).unwrap();
    client.finish(&response).unwrap();
    for bit in 0..response.len() * 8 {
        let mut altered = response.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(begin().0.finish(&altered).is_err(), "bit {bit}");
    }
}

#[test]
fn a_response_to_another_challenge_is_refused() {
    let (_, earlier) = start(EngineVersion::V2);
    let (_, response) = accept(&earlier, EngineVersion::V2).unwrap();
    let (client, challenge) = start(EngineVersion::V2);
    assert_eq!(
        client.finish(&response).unwrap_err(),
        HandshakeError::Refused,
        "replayed response"
    );
    let (client, _) = start(EngineVersion::V2);
    assert_eq!(
        client.finish(&challenge).unwrap_err(),
        HandshakeError::Refused,
        "a client's message sent back"
    );
}

/// ENGINE-04
#[test]
fn a_replayed_challenge_is_answered_and_gains_nothing() {
    let (client, challenge) = start(EngineVersion::V2);
    let (first, response) = accept(&challenge, EngineVersion::V2).unwrap();
    let (second, _) = accept(&challenge, EngineVersion::V2).unwrap();
    let client = client.finish(&response).unwrap();
    assert_eq!(key_id(&client), key_id(&first));
    assert_ne!(key_id(&client), key_id(&second));

    // What the true client sent in the first session is of no use in the second.
    let mut recorded = Vec::new();
    let (mut encryptor, _) = client.into_ciphers(SessionCipher::AesGcm);
    encryptor.encrypt(b"pay 5 to eve", &mut recorded).unwrap();
    let (_, mut decryptor) = second.into_ciphers(SessionCipher::AesGcm);
    let error = decryptor.decrypt(&mut &recorded[..], &mut Vec::new(), usize::MAX);
    assert_eq!(error, Err(CipherError::Tag));
}

#[test]
fn a_public_key_of_low_order_is_refused() {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    for public in [[0; 32], one, minus_one] {
        let challenge = seal(&public, APP, &secret(), &[], &mut Entropy::System).unwrap();
        assert_eq!(
            accept(&challenge.encode(), EngineVersion::V1).unwrap_err(),
            HandshakeError::LowOrderKey
        );
        let (client, challenge) = start(EngineVersion::V1);
        let response = seal(&public, APP, &secret(), &challenge, &mut Entropy::System).unwrap();
        assert_eq!(
            client.finish(&response.encode()).unwrap_err(),
            HandshakeError::LowOrderKey
        );
    }
}

#[test]
fn an_app_id_that_no_peer_would_read_is_not_sent() {
    let long = "x".repeat(AuthMessage::MAX_APP_ID_LEN + 1);
    assert!(matches!(
        ClientHandshake::start(&long, &secret(), EngineVersion::V2),
        Err(HandshakeError::AppIdTooLong { bytes: 1025 })
    ));
}

#[test]
fn no_handshake_without_randomness() {
    let mut entropy = Entropy::Scripted(vec![1; 31]);
    assert!(matches!(
        ClientHandshake::start_with(APP, &secret(), EngineVersion::V2, &mut entropy),
        Err(HandshakeError::Randomness(_))
    ));
}

/// ENGINE-05
#[test]
fn counter_mode_keeps_the_length_and_works_in_both_directions_at_once() {
    for version in [EngineVersion::V1, EngineVersion::V2] {
        let [mut client, mut server] = ciphers(version, SessionCipher::AesCtr);
        let mut halves = [(&mut client.0, &mut server.1), (&mut server.0, &mut client.1)];
        for (encryptor, decryptor) in &mut halves {
            for length in [32_768 + 1, 1, 17, 0, 5] {
                let sent: Vec<u8> = (0..length).map(|at: u32| at as u8).collect();
                let (mut wire, mut plain) = (Vec::new(), Vec::new());
                encryptor.encrypt(&sent, &mut wire).unwrap();
                assert_eq!(wire.len(), sent.len());
                assert!(wire != sent || length == 0);
                let mut input = &wire[..];
                while !input.is_empty() {
                    decryptor.decrypt(&mut input, &mut plain, 1000).unwrap();
                }
                assert!(plain == sent);
            }
        }
    }
}

#[test]
fn sides_that_disagree_on_version_or_cipher_read_no_plaintext() {
    // A downgrade cannot be negotiated because nothing is: who was told something else reads garbage or fails.
    let (client, challenge) = start(EngineVersion::V1);
    let (server, response) = accept(&challenge, EngineVersion::V2).unwrap();
    let (mut encryptor, _) = client
        .finish(&response)
        .unwrap()
        .into_ciphers(SessionCipher::AesGcm);
    let (_, mut decryptor) = server.into_ciphers(SessionCipher::AesGcm);
    let mut wire = Vec::new();
    encryptor.encrypt(b"hello", &mut wire).unwrap();
    assert_eq!(
        decryptor.decrypt(&mut &wire[..], &mut Vec::new(), usize::MAX),
        Err(CipherError::Header {
            announced: 40,
            expected: 24
        })
    );

    let [client, server] = connected(EngineVersion::V2);
    let (mut encryptor, _) = client.into_ciphers(SessionCipher::AesCtr);
    let (_, mut decryptor) = server.into_ciphers(SessionCipher::AesGcm);
    let mut wire = Vec::new();
    encryptor.encrypt(&[0; 64], &mut wire).unwrap();
    let result = decryptor.decrypt(&mut &wire[..], &mut Vec::new(), usize::MAX);
    assert!(result.is_err(), "a server with GCM refuses counter mode");
}

#[test]
fn nothing_secret_is_printed() {
    let (client, challenge) = start(EngineVersion::V2);
    let (server, response) = accept(&challenge, EngineVersion::V2).unwrap();
    let printed = format!("{client:?}");
    let session = client.finish(&response).unwrap();
    let secrets = [
        format!("{:?}", session.key()),
        format!("{:?}", session.ivs()[0]),
        "swordfish".to_owned(),
    ];
    let mut all = format!("{printed} {session:?} {server:#?}");
    let (encryptor, decryptor) = session.into_ciphers(SessionCipher::AesGcm);
    all += &format!("{encryptor:?} {decryptor:?} {:?}", secret());
    all += &format!("{}", HandshakeError::Refused);
    let digits = |text: &str| -> String { text.chars().filter(|c| !c.is_whitespace()).collect() };
    for secret in secrets {
        let secret = digits(secret.trim_matches(['[', ']']));
        assert!(!digits(&all).contains(&secret), "{all}");
    }
}
