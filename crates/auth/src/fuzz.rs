//! One plain function for each thing that reads a peer's bytes, for fuzzers: any input, no panic, little memory.
//!
//! The functions check what must hold whatever comes in, and panic if it does not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::cipher::PrivacyKeys;
use crate::engine::{AuthMessage, Challenge, ClientHandshake, EngineVersion};
use crate::sasl::{Protection, SaslClient, SaslMessage, SaslServer};
use crate::tls::{self, CertificateInfo, TlsConnection};
use crate::{Decryptor, Encryptor, Secret};

/// One of the functions.
pub type Target = fn(&[u8]);

/// All functions that take nothing else than bytes, with their names.
pub const TARGETS: [(&str, Target); 18] = [
    ("auth_message", auth_message),
    ("engine_challenge", engine_challenge),
    ("engine_response", engine_response),
    ("engine_public_key", engine_public_key),
    ("gcm_records", gcm_records),
    ("gcm_altered", gcm_altered),
    ("privacy_records", privacy_records),
    ("privacy_altered", privacy_altered),
    ("sasl_message", sasl_message),
    ("sasl_challenge", sasl_challenge),
    ("sasl_response", sasl_response),
    ("sasl_proof", sasl_proof),
    ("pem", pem),
    ("tls_client", tls_client),
    ("encrypted_key", encrypted_key),
    ("trust_store", trust_store),
    ("sasl_start", sasl_start),
    ("counter_records", counter_records),
];

/// An auth message that can be read is written as it was.
pub fn auth_message(bytes: &[u8]) {
    if let Ok(message) = AuthMessage::decode(bytes) {
        assert_eq!(message.encode(), bytes);
        assert!(bytes.len() <= AuthMessage::MAX_LEN);
    }
}

/// What a client of the auth engine may send to a server. Nobody guesses the secret.
pub fn engine_challenge(bytes: &[u8]) {
    if let Ok(challenge) = Challenge::decode(bytes) {
        assert!(challenge.accept(&secret(), EngineVersion::V2).is_err());
    }
}

/// What a server of the auth engine may answer.
pub fn engine_response(bytes: &[u8]) {
    let (client, _) = ClientHandshake::start("app", &secret(), EngineVersion::V2).expect("randomness");
    assert!(client.finish(bytes).is_err());
}

/// Any public key of somebody who knows the secret.
pub fn engine_public_key(bytes: &[u8]) {
    let mut public = [0; 32];
    for (to, from) in public.iter_mut().zip(bytes) {
        *to = *from;
    }
    let challenge = crate::engine::seal_for_fuzzing(&public, "app", &secret());
    let challenge = Challenge::decode(&challenge).expect("a message of ours");
    let _ = challenge.accept(&secret(), EngineVersion::V1);
}

/// AES-GCM messages from a stranger, in pieces.
pub fn gcm_records(bytes: &[u8]) {
    for key in [&[1; 16][..], &[1; 32]] {
        records(bytes, Decryptor::gcm(key), 64 * 1024);
    }
}

/// AES-GCM messages with one byte altered on the way.
pub fn gcm_altered(bytes: &[u8]) {
    altered(bytes, Encryptor::gcm(&[1; 16]), Decryptor::gcm(&[1; 16]));
}

/// DIGEST-MD5 blocks from a stranger, in pieces.
pub fn privacy_records(bytes: &[u8]) {
    records(bytes, Decryptor::privacy(&privacy_keys(), 1024), 2048);
}

/// DIGEST-MD5 blocks with one byte altered on the way.
pub fn privacy_altered(bytes: &[u8]) {
    altered(
        bytes,
        Encryptor::privacy(&privacy_keys(), 100),
        Decryptor::privacy(&privacy_keys(), 100),
    );
}

/// A SASL message that can be read is written as it was, apart from the length that nobody looks at.
pub fn sasl_message(bytes: &[u8]) {
    if let Ok(message) = SaslMessage::decode(bytes) {
        let again = message.encode();
        assert_eq!(SaslMessage::decode(&again), Ok(message));
        assert_eq!(again.len(), bytes.len());
        assert!(bytes.len() <= SaslMessage::MAX_LEN);
    }
}

/// What a SASL server may send first.
pub fn sasl_challenge(bytes: &[u8]) {
    for protection in [Protection::Authentication, Protection::Encryption] {
        let _ = SaslClient::new("user", &secret(), protection).respond(bytes);
    }
}

/// What a SASL client may send. Nobody guesses the secret.
pub fn sasl_response(bytes: &[u8]) {
    let (server, _) =
        SaslServer::start(b"", "user", &secret(), Protection::Authentication).expect("randomness");
    assert!(server.finish(bytes).is_err());
}

/// What a SASL server may send last. Nobody guesses the secret.
pub fn sasl_proof(bytes: &[u8]) {
    let (_, challenge) =
        SaslServer::start(b"", "user", &secret(), Protection::Authentication).expect("randomness");
    let (client, _) = SaslClient::new("user", &secret(), Protection::Authentication)
        .respond(&challenge)
        .expect("a challenge of ours");
    assert!(client.finish(bytes).is_err());
}

/// Certificates and keys in PEM, and a certificate as a peer sends it.
pub fn pem(bytes: &[u8]) {
    let _ = tls::material::certificates(bytes);
    let _ = tls::material::private_key(bytes, None);
    let _ = CertificateInfo::from_der(bytes);
}

/// A private key under a password, without the PEM around it. One that asks for more work than any tool does is left out:
/// files are their owner's.
pub fn encrypted_key(bytes: &[u8]) {
    if !asks_for_much_work(bytes) {
        let text = STANDARD.encode(bytes);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        let label = "ENCRYPTED PRIVATE KEY";
        let pem = format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            lines.join("\n")
        );
        let _ = tls::material::private_key(pem.as_bytes(), Some(&secret()));
    }
}

/// A trust store, in whatever form. As for keys, too much work is left out.
pub fn trust_store(bytes: &[u8]) {
    if !asks_for_much_work(bytes) {
        let _ = tls::material::trusted(bytes, Some(&secret()));
        let _ = tls::TlsIdentity::from_pkcs12(bytes, &secret());
    }
}

/// The first SASL message of a stranger, as a server takes it.
pub fn sasl_start(bytes: &[u8]) {
    for least in [Protection::Authentication, Protection::Encryption] {
        let started = SaslServer::start(bytes, "user", &secret(), least);
        assert_eq!(started.is_ok(), bytes.is_empty(), "there is no initial response");
    }
}

/// AES-CTR has no form: whatever comes in comes out, another text of the same length.
pub fn counter_records(bytes: &[u8]) {
    let mut decryptor = Decryptor::ctr(&[1; 16], &[2; 16]);
    let mut plain = Vec::new();
    for mut piece in bytes.chunks(37) {
        decryptor
            .decrypt(&mut piece, &mut plain, usize::MAX)
            .expect("a stream has no end");
        assert!(piece.is_empty());
    }
    assert_eq!((plain.len(), decryptor.held()), (bytes.len(), 0));
}

/// Whether numbers of three bytes and more are in it that may be rounds of hashing: an INTEGER in DER is 2, its length,
/// its value. What follows another 2 is taken for the length or value of a shorter one.
fn asks_for_much_work(bytes: &[u8]) -> bool {
    let integer = |pair: &[u8]| pair[0] == 2 && (3..=8).contains(&pair[1]);
    bytes.windows(3).any(|at| at[0] != 2 && integer(&at[1..]))
}

/// What a TLS server may send to a client.
pub fn tls_client(bytes: &[u8]) {
    let client = tls::TlsClient::new(tls::TlsClientOptions {
        trust: tls::TrustSource::Anybody,
        names: tls::NameCheck::Off,
        identity: None,
        protocol: tls::TlsProtocol::default(),
    });
    let client = client.expect("nothing is loaded");
    tls_bytes(client.connect("localhost").expect("a name"), bytes);
}

/// What a TLS client may send to `server`.
pub fn tls_server(server: &tls::TlsServer, bytes: &[u8]) {
    tls_bytes(server.accept().expect("a loaded configuration"), bytes);
}

fn tls_bytes(mut connection: TlsConnection, bytes: &[u8]) {
    let mut plain = Vec::new();
    let mut output = Vec::new();
    for mut piece in bytes.chunks(61) {
        if connection.receive(&mut piece, &mut plain, usize::MAX).is_err() {
            break;
        }
        connection.take_output(&mut output);
    }
    assert_eq!(plain, b"", "no stranger gets as far as plaintext");
}

fn records(bytes: &[u8], mut decryptor: Decryptor, most_held: usize) {
    let Some((size, bytes)) = bytes.split_first() else {
        return;
    };
    let mut plain = Vec::new();
    for mut piece in bytes.chunks(usize::from(*size) + 1) {
        if decryptor.decrypt(&mut piece, &mut plain, usize::MAX).is_err() {
            assert!(decryptor.decrypt(&mut &[0][..], &mut plain, 1).is_err());
            break;
        }
        assert!(piece.is_empty());
        assert!(decryptor.held() <= most_held);
    }
    assert_eq!(plain, b"", "nobody guesses a tag");
}

/// The first bytes say where to alter the encrypted form of the others, and how.
fn altered(bytes: &[u8], mut encryptor: Encryptor, mut decryptor: Decryptor) {
    let Some(([high, low, change], text)) = bytes.split_first_chunk::<3>() else {
        return;
    };
    let mut wire = Vec::new();
    encryptor.encrypt(text, &mut wire).expect("a fresh key");
    let Some(at) = usize::from(u16::from_be_bytes([*high, *low])).checked_rem(wire.len()) else {
        return;
    };
    wire[at] ^= change;
    let mut plain = Vec::new();
    let result = decryptor
        .decrypt(&mut &wire[..], &mut plain, usize::MAX)
        .and_then(|()| decryptor.finish());
    assert_eq!(result.is_ok(), *change == 0);
    assert!(text.starts_with(&plain), "what comes out is what went in");
}

fn secret() -> Secret {
    Secret::new("a secret that no fuzzer knows").expect("it is not empty")
}

fn privacy_keys() -> PrivacyKeys {
    PrivacyKeys {
        integrity: Zeroizing::new([1; 16]),
        confidentiality: Zeroizing::new([2; 16]),
    }
}
