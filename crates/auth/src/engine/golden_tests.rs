//! Recorded handshakes and sessions of two versions of Spark.

use hkdf::Hkdf;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::handshake::{Challenge, ClientHandshake};
use super::message::AuthMessage;
use super::seal::open;
use super::session::{EngineSession, EngineVersion, SessionCipher};
use crate::secret::hex;
use crate::testing::{VERSIONS, bytes, recorded, unhex};
use crate::{Decryptor, Encryptor, Secret};

/// The length of the frame header in front of the body of a request or response.
const FRAME_HEADER: usize = 8 + 1 + 8 + 4;

struct Vector {
    name: String,
    fields: Value,
    version: EngineVersion,
    cipher: SessionCipher,
}

impl Vector {
    fn session(&self) -> EngineSession {
        let secret = Secret::new(self.fields["secret"].as_str().unwrap()).unwrap();
        let private = bytes(&self.fields["clientPrivateKey"]).try_into().unwrap();
        let app_id = self.fields["appId"].as_str().unwrap();
        let challenge = bytes(&self.fields["challenge"]);
        ClientHandshake::recorded(private, app_id, &secret, self.version, &challenge)
            .finish(&bytes(&self.fields["response"]))
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// What was written, write by write, as far as it is recorded, with what it became on the wire.
    fn writes(&self, side: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let wire = self.fields[side].as_array().unwrap();
        let plain = self.fields["plain"].as_array().unwrap();
        let mut writes: Vec<_> = plain
            .iter()
            .zip(wire)
            .map(|(plain, wire)| (bytes(plain), bytes(wire)))
            .collect();
        if side == "client_wire" && self.fields["client_wire_3"].is_string() {
            writes.push((third_write(), bytes(&self.fields["client_wire_3"])));
        }
        writes
    }
}

fn third_write() -> Vec<u8> {
    (0..70_000_u32).map(|at| (at * 7) as u8).collect()
}

fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for spark in VERSIONS {
        for fields in recorded(spark, "engine-vectors.json").as_array().unwrap() {
            let (version, cipher) = (&fields["authEngineVersion"], &fields["cipher"]);
            vectors.push(Vector {
                name: format!("{spark}, version {version}, {cipher}"),
                fields: fields.clone(),
                version: version.to_string().parse().unwrap(),
                cipher: cipher.as_str().unwrap().parse().unwrap(),
            });
        }
    }
    assert_eq!(vectors.len(), 8, "two versions, two ciphers, two Sparks");
    vectors
}

fn encrypt(encryptor: &mut Encryptor, plain: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    encryptor.encrypt(plain, &mut wire).unwrap();
    wire
}

fn decrypt(decryptor: &mut Decryptor, mut wire: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    decryptor.decrypt(&mut wire, &mut plain, usize::MAX).unwrap();
    assert!(wire.is_empty());
    plain
}

/// ENGINE-02
#[test]
fn recorded_exchanges_give_the_recorded_keys() {
    for vector in vectors() {
        let session = vector.session();
        assert_eq!(session.key(), bytes(&vector.fields["key"]), "{}", vector.name);
        // Only the counter mode uses them, so only there are they recorded.
        if vector.cipher == SessionCipher::AesCtr {
            for (iv, name) in session.ivs().into_iter().zip(["client_in_iv", "server_in_iv"]) {
                assert_eq!(iv[..], bytes(&vector.fields[name]), "{} {name}", vector.name);
            }
        }
    }
}

/// ENGINE-02
#[test]
fn the_published_exchange_gives_the_published_keys() {
    let secret = Secret::new("secret").unwrap();
    let private = unhex("efe6b68b3fce92158e3637f6ef9d937e75558928dd4b401de04b43d300a73186");
    let challenge = unhex(concat!(
        "fb00000005617070496400000010890b6e960f48e998777267a7e4e623220000003c48ad7dc7ec9466da93bda9f11488dc94",
        "04050e02c661d87d67c782444944c6e369b27e0a416c30845a2d9e64271511ca98b41d65f8c426e18ff380f6"
    ));
    let response = unhex(concat!(
        "fb00000005617070496400000010708451c9dd2792c97c1ca66e6df449ef0000003c64fe899ecdaf458d4e25e9d5c5a380b8",
        "e6d1a184692fac065ed84f8592c18e9629f9c636809dca2ffc041f20346eb53db7873808ecad08b46b5ee3ff"
    ));
    let session = |version| {
        ClientHandshake::recorded(
            private.clone().try_into().unwrap(),
            "appId",
            &secret,
            version,
            &challenge,
        )
        .finish(&response)
        .unwrap()
    };
    let one = session(EngineVersion::V1);
    assert_eq!(
        hex(one.key()),
        "31963f15a320d5c90333f7ecf5cf3a31c7eaf151de07fef8494663a9f47cfd31"
    );
    let two = session(EngineVersion::V2);
    assert_eq!(hex(two.key()), "2d6e7a9048c8265c33a8f3747bfcc84c");
    assert_eq!(
        key_id(&two),
        "de04fd52d71040ed9d260579dacfdf4f5695f991ce8ddb1dde05a7335880906e"
    );
    for session in [one, two] {
        let [to_client, to_server] = session.ivs();
        assert_eq!(hex(to_client), "fc6a5dc8b90a9dad8f54f08b51a59ed2");
        assert_eq!(hex(to_server), "a72709baf00785cad6329ce09f631f71");
    }
}

/// What Spark's tests compare instead of keys.
pub(super) fn key_id(session: &EngineSession) -> String {
    let mut id = [0; 32];
    Hkdf::<Sha256>::new(None, session.key())
        .expand(b"keyID", &mut id)
        .unwrap();
    hex(&id)
}

/// ENGINE-05
#[test]
fn the_counter_mode_writes_and_reads_what_was_recorded() {
    for vector in vectors()
        .iter()
        .filter(|vector| vector.cipher == SessionCipher::AesCtr)
    {
        let (mut encryptor, mut decryptor) = vector.session().into_ciphers(SessionCipher::AesCtr);
        for (plain, wire) in vector.writes("client_wire") {
            assert_eq!(encrypt(&mut encryptor, &plain), wire, "{}", vector.name);
        }
        let third = encrypt(&mut encryptor, &third_write());
        assert_eq!(
            hex(&Sha256::digest(&third)),
            vector.fields["client_wire_3_sha256"].as_str().unwrap(),
            "{}",
            vector.name
        );
        for (plain, wire) in vector.writes("server_wire") {
            assert_eq!(decrypt(&mut decryptor, &wire), plain, "{}", vector.name);
        }
    }
}

/// ENGINE-06
#[test]
fn the_gcm_reader_opens_what_was_recorded_in_one_stream_and_byte_by_byte() {
    let mut long = 0;
    for vector in vectors()
        .iter()
        .filter(|vector| vector.cipher == SessionCipher::AesGcm)
    {
        for side in ["client_wire", "server_wire"] {
            let writes = vector.writes(side);
            long += usize::from(writes.len() == 3);
            let plain: Vec<u8> = writes.iter().flat_map(|(plain, _)| plain.clone()).collect();
            let wire: Vec<u8> = writes.iter().flat_map(|(_, wire)| wire.clone()).collect();
            let (_, mut decryptor) = vector.session().into_ciphers(SessionCipher::AesGcm);
            assert!(decrypt(&mut decryptor, &wire) == plain, "{} {side}", vector.name);
            let (_, mut decryptor) = vector.session().into_ciphers(SessionCipher::AesGcm);
            let mut found = Vec::new();
            for byte in &wire {
                found.extend(decrypt(&mut decryptor, std::slice::from_ref(byte)));
            }
            assert!(found == plain, "{} {side}, byte by byte", vector.name);
            assert_eq!(decryptor.finish(), Ok(()));
        }
    }
    assert_eq!(long, 3, "messages of several segments are among them");
}

/// ENGINE-06
#[test]
fn the_gcm_writer_makes_what_was_recorded_when_given_the_recorded_salts() {
    for vector in vectors()
        .iter()
        .filter(|vector| vector.cipher == SessionCipher::AesGcm)
    {
        let salt_and_nonce = vector.session().key().len() + 7;
        for (plain, wire) in vector.writes("client_wire") {
            let mut encryptor = Encryptor::gcm(vector.session().key());
            encryptor.script(wire[9..9 + salt_and_nonce].to_vec());
            assert!(encrypt(&mut encryptor, &plain) == wire, "{}", vector.name);
        }
        if let Some(total) = vector.fields["big_wire_bytes"].as_u64() {
            let (mut encryptor, _) = vector.session().into_ciphers(SessionCipher::AesGcm);
            let wire = encrypt(&mut encryptor, &vec![0; 2_500_000]);
            assert_eq!(wire.len() as u64, total);
            assert_eq!(wire[..8], total.to_be_bytes(), "one message");
        }
    }
}

/// The keys of these connections are unknown, but their handshakes can be opened with the secret.
#[test]
fn recorded_connections_are_answered_and_their_responses_opened() {
    let secret = Secret::new("lab-secret").unwrap();
    for spark in VERSIONS {
        for case in ["auth-v1-ctr", "auth-v1-gcm", "auth-v2-ctr", "auth-v2-gcm"] {
            let connection = recorded(spark, &format!("{case}.json"));
            let (client, server) = (bytes(&connection["client"]), bytes(&connection["server"]));
            let message = FRAME_HEADER..FRAME_HEADER + 89 + "sparkSaslUser".len();
            let (challenge, response) = (&client[message.clone()], &server[message]);

            let read = Challenge::decode(challenge).unwrap();
            assert_eq!(read.app_id(), "sparkSaslUser", "{spark} {case}");
            read.accept(&secret, EngineVersion::V2).unwrap();

            let response = AuthMessage::decode(response).unwrap();
            assert!(open(&response, &secret, challenge).is_some(), "{spark} {case}");
            assert!(open(&response, &secret, &[]).is_none(), "{spark} {case}");
        }
    }
}
