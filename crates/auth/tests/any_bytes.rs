//! Any bytes, and good bytes with something wrong, through everything that reads a peer's bytes.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use proptest::prelude::*;
use spark_rpc_auth::engine::{ClientHandshake, EngineVersion};
use spark_rpc_auth::sasl::{Protection, SaslMessage, SaslServer};
use spark_rpc_auth::tls::{
    ClientAuth, IdentitySource, NameCheck, TlsClient, TlsClientOptions, TlsIdentity, TlsProtocol, TlsServer,
    TlsServerOptions, TrustSource,
};
use spark_rpc_auth::{Secret, fuzz};

/// Beginnings that get an input past the first checks.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let secret = Secret::new("swordfish").unwrap();
        let (_, challenge) = ClientHandshake::start("app", &secret, EngineVersion::V2).unwrap();
        let (_, offer) = SaslServer::start(b"", "user", &secret, Protection::Authentication).unwrap();
        let response =
            b"charset=utf-8,username=\"dXNlcg==\",realm=\"default\",nonce=\"x\",nc=00000001,cnonce=\"y\",\
            digest-uri=\"null/default\",maxbuf=65536,response=0123,qop=auth-conf,cipher=\"3des\"";
        let message = SaslMessage {
            app_id: "sparkSaslUser",
            token: response,
        }
        .encode();
        let mut gcm = vec![200];
        gcm.extend(1000_u64.to_be_bytes());
        gcm.push(24);
        gcm.extend([9; 400]);
        let mut privacy = vec![200];
        privacy.extend(38_u64.to_be_bytes());
        privacy.extend([9; 24]);
        privacy.extend([0, 1, 0, 0, 0, 0]);
        let client = TlsClient::new(TlsClientOptions {
            trust: TrustSource::Anybody,
            names: NameCheck::Off,
            identity: None,
            protocol: TlsProtocol::default(),
        });
        let mut hello = Vec::new();
        let mut connection = client.unwrap().connect("localhost").unwrap();
        connection.take_output(&mut hello);
        let mut answer = Vec::new();
        let mut accepted = server().accept().unwrap();
        accepted
            .receive(&mut &hello[..], &mut Vec::new(), usize::MAX)
            .unwrap();
        accepted.take_output(&mut answer);
        let proof = b"rspauth=0123456789abcdef0123456789abcdef".to_vec();
        vec![
            challenge,
            offer,
            response.to_vec(),
            message,
            gcm,
            privacy,
            hello,
            answer,
            proof,
            data("chain.pem"),
            data("key.pem"),
        ]
    })
}

fn data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name);
    fs::read(path).unwrap()
}

fn server() -> &'static TlsServer {
    static SERVER: OnceLock<TlsServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let identity = TlsIdentity::from_pem(&data("chain.pem"), &data("key.pem"), None).unwrap();
        TlsServer::new(TlsServerOptions {
            identity: IdentitySource::Memory(identity),
            clients: ClientAuth::NotAsked,
            protocol: TlsProtocol::default(),
        })
        .unwrap()
    })
}

fn feed(bytes: &[u8]) {
    for (_, target) in fuzz::TARGETS {
        target(bytes);
    }
    fuzz::tls_server(server(), bytes);
}

/// A sample, cut off and with a few bytes overwritten.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (
        prop::sample::select(samples().to_vec()),
        edits,
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(mut bytes, edits, end, cut)| {
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if cut {
                bytes.truncate(end.index(bytes.len()));
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        feed(&bytes);
    }

    #[test]
    fn damaged_messages_do_no_harm(bytes in damaged()) {
        feed(&bytes);
    }
}

/// Each begins with the number of its target, as in the fuzzer that starts from them.
#[test]
fn the_seeds_of_the_fuzzer_do_no_harm_and_there_is_one_for_each_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/auth");
    let mut without: Vec<_> = fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let (choice, rest) = bytes.split_first().unwrap();
        let (name, target) = fuzz::TARGETS[usize::from(*choice)];
        target(rest);
        without.retain(|other| *other != name);
    }
    without.retain(|name| *name != "tls_client");
    assert_eq!(without, [""; 0]);
}

#[test]
fn empty_and_one_byte_inputs_do_no_harm() {
    feed(&[]);
    for byte in 0..=255 {
        feed(&[byte]);
    }
}

#[test]
fn every_sample_cut_off_anywhere_does_no_harm() {
    for sample in samples() {
        for length in (0..=sample.len()).step_by(1 + sample.len() / 40) {
            feed(&sample[..length]);
        }
    }
}
