//! What a stranger may send to a TLS server. The first byte says whether the server asks for a certificate.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use spark_rpc_auth::fuzz::tls_server;
use spark_rpc_auth::tls::{
    ClientAuth, IdentitySource, TlsIdentity, TlsProtocol, TlsServer, TlsServerOptions, TlsVersions, TrustSource,
};

const CHAIN: &[u8] = include_bytes!("../../crates/auth/tests/data/tls/chain.pem");
const KEY: &[u8] = include_bytes!("../../crates/auth/tests/data/tls/key.pem");

static SERVERS: LazyLock<[TlsServer; 2]> = LazyLock::new(|| {
    let identity = TlsIdentity::from_pem(CHAIN, KEY, None).expect("they belong together");
    let asking = ClientAuth::Required(TrustSource::Pem(CHAIN.to_vec()));
    [ClientAuth::NotAsked, asking].map(|clients| {
        TlsServer::new(TlsServerOptions {
            identity: IdentitySource::Memory(identity.clone()),
            clients,
            protocol: TlsProtocol {
                versions: TlsVersions::From12,
                ..TlsProtocol::default()
            },
        })
        .expect("all of it is there")
    })
});

fuzz_target!(|bytes: &[u8]| {
    if let Some((choice, bytes)) = bytes.split_first() {
        tls_server(&SERVERS[usize::from(choice & 1)], bytes);
    }
});
