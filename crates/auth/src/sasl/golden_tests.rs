//! Recorded exchanges and sessions of two versions of Spark, replayed from both sides.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::client::SaslClient;
use super::directives::Directives;
use super::message::SaslMessage;
use super::server::SaslServer;
use super::session::{Protection, SaslError, SaslSession};
use crate::Secret;
use crate::entropy::Entropy;
use crate::testing::{VERSIONS, bytes, recorded};

const USER: &str = "sparkSaslUser";

struct Recording {
    begin: Vec<u8>,
    challenge: Vec<u8>,
    response: Vec<u8>,
    proof: Vec<u8>,
    /// What follows the exchange, from the client and from the server.
    traffic: [Vec<u8>; 2],
}

impl Recording {
    fn load(spark: &str, case: &str) -> Self {
        let connection = recorded(spark, &format!("{case}.json"));
        let (client, server) = (bytes(&connection["client"]), bytes(&connection["server"]));
        let (mut from_client, mut from_server) = (&client[..], &server[..]);
        Self {
            begin: body(&mut from_client),
            challenge: body(&mut from_server),
            response: body(&mut from_client),
            proof: body(&mut from_server),
            traffic: [from_client.to_vec(), from_server.to_vec()],
        }
    }

    fn response(&self) -> SaslMessage<'_> {
        SaslMessage::decode(&self.response).unwrap()
    }

    /// The random bytes of the nonce that stands as `name` in `token`.
    fn random(token: &[u8], name: &str) -> Vec<u8> {
        let token = Directives::parse(token).unwrap();
        STANDARD.decode(token.get(name).unwrap()).unwrap()
    }

    fn client(&self, protection: Protection) -> SaslClient {
        let mut client = SaslClient::new(USER, &secret(), protection);
        client.script(Self::random(self.response().token, "cnonce"));
        client
    }

    fn server(&self, least: Protection) -> (SaslServer, Vec<u8>) {
        let mut entropy = Entropy::Scripted(Self::random(&self.challenge, "nonce"));
        let begin = SaslMessage::decode(&self.begin).unwrap();
        assert_eq!(begin.app_id, USER);
        SaslServer::start_with(begin.token, USER, &secret(), least, &mut entropy).unwrap()
    }
}

/// Takes one frame of a request or response from the front, and returns its body.
fn body(stream: &mut &[u8]) -> Vec<u8> {
    let length = u64::from_be_bytes(stream[..8].try_into().unwrap());
    let frame = stream.split_off(..length as usize).unwrap();
    frame[8 + 1 + 8 + 4..].to_vec()
}

fn secret() -> Secret {
    Secret::new("lab-secret").unwrap()
}

fn cases() -> Vec<(String, Protection, Recording)> {
    let mut cases = Vec::new();
    for spark in VERSIONS {
        for (case, protection) in [
            ("sasl-noenc", Protection::Authentication),
            ("sasl-enc", Protection::Encryption),
        ] {
            let name = format!("{spark} {case}");
            cases.push((name, protection, Recording::load(spark, case)));
        }
    }
    cases
}

/// SASL-01
#[test]
fn our_client_says_what_the_jdk_said_and_accepts_its_proof() {
    for (name, protection, recording) in cases() {
        let (client, token) = recording
            .client(protection)
            .respond(&recording.challenge)
            .unwrap();
        let message = SaslMessage {
            app_id: USER,
            token: &token,
        };
        assert_eq!(
            String::from_utf8(message.encode()),
            String::from_utf8(recording.response.clone()),
            "{name}"
        );
        let session = client.finish(&recording.proof).unwrap();
        assert_eq!(session.protection(), protection, "{name}");
    }
}

/// SASL-01
#[test]
fn our_server_accepts_the_jdks_client_and_proves_itself_as_the_jdk_did() {
    for (name, protection, recording) in cases() {
        let (server, challenge) = recording.server(Protection::Authentication);
        let jdk = String::from_utf8(recording.challenge.clone()).unwrap();
        assert_eq!(
            String::from_utf8(challenge).unwrap(),
            jdk.replace("3des,rc4,des,rc4-56,rc4-40", "3des"),
            "{name}: all but the weaker ciphers"
        );
        let (session, proof) = server.finish(recording.response().token).unwrap();
        assert_eq!(proof, recording.proof, "{name}");
        assert_eq!(session.protection(), protection, "{name}");
    }
}

/// SASL-01
#[test]
fn recorded_encrypted_traffic_is_read_and_written_again() {
    for (name, protection, recording) in cases() {
        if protection == Protection::Authentication {
            continue;
        }
        let client = || {
            let (client, _) = recording
                .client(protection)
                .respond(&recording.challenge)
                .unwrap();
            ciphers(client.finish(&recording.proof).unwrap())
        };
        let server = || {
            let (server, _) = recording.server(protection);
            ciphers(server.finish(recording.response().token).unwrap().0)
        };
        let (mut client, mut server) = (client(), server());
        let [from_client, from_server] = &recording.traffic;
        for (wire, decryptor, encryptor) in [
            (from_client, &mut server.1, &mut client.0),
            (from_server, &mut client.1, &mut server.0),
        ] {
            // One byte at a time: what comes out then is one block each, as it was written.
            let mut again = Vec::new();
            let mut blocks = 0;
            for byte in wire {
                let mut plain = Vec::new();
                decryptor
                    .decrypt(&mut std::slice::from_ref(byte), &mut plain, 1)
                    .unwrap();
                blocks += usize::from(!plain.is_empty());
                encryptor.encrypt(&plain, &mut again).unwrap();
            }
            assert_eq!(blocks, 2, "{name}");
            assert!(again == *wire, "{name}");
            assert_eq!(decryptor.finish(), Ok(()));
        }
    }
}

fn ciphers(session: SaslSession) -> (crate::Encryptor, crate::Decryptor) {
    session
        .into_ciphers(SaslSession::DEFAULT_BLOCK, 256)
        .unwrap_or_else(|| panic!("no ciphers"))
}

/// SASL-02
#[test]
fn a_recorded_client_with_another_secret_is_refused() {
    for spark in VERSIONS {
        let recording = Recording::load(spark, "mix-wrong-secret-sasl");
        let (server, _) = recording.server(Protection::Authentication);
        let error = server.finish(recording.response().token).unwrap_err();
        assert_eq!(error, SaslError::Mismatch);
        assert!(error.to_string().contains("Mismatched response"), "{error}");
    }
}
