//! TLS: a server that takes anybody who speaks it, and somebody in between.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

use std::sync::{Arc, OnceLock};

use spark_rpc_testkit::ScriptedPeer;
use spark_rpc_transport::TransportConf;
use spark_rpc_transport::auth::tls::{
    ClientAuth, IdentitySource, NameCheck, TlsClient, TlsClientOptions, TlsConnection, TlsIdentity,
    TlsProtocol, TlsServer, TlsServerOptions, TlsVersions, TrustSource,
};
use spark_rpc_transport::security::{TlsClientBootstrap, TlsServerBootstrap};
use spark_rpc_wire::OneWayMessage;

use crate::siege::{Siege, frame, request};
use crate::support::{Handlers, millis, secs, settle};

const CHAIN: &[u8] = include_bytes!("../../../../auth/tests/data/tls/chain.pem");
const KEY: &[u8] = include_bytes!("../../../../auth/tests/data/tls/key.pem");

fn client(versions: TlsVersions) -> Arc<TlsClient> {
    let client = TlsClient::new(TlsClientOptions {
        trust: TrustSource::Pem(CHAIN.to_vec()),
        names: NameCheck::Off,
        identity: None,
        protocol: TlsProtocol {
            versions,
            ..TlsProtocol::default()
        },
    });
    Arc::new(client.unwrap())
}

/// Of a server that takes anybody who speaks TLS, and of a client that trusts it.
pub(crate) fn bootstraps() -> (Arc<TlsServerBootstrap>, Arc<TlsClientBootstrap>) {
    static SERVER: OnceLock<Arc<TlsServer>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let server = TlsServer::new(TlsServerOptions {
            identity: IdentitySource::Memory(TlsIdentity::from_pem(CHAIN, KEY, None).unwrap()),
            clients: ClientAuth::NotAsked,
            protocol: TlsProtocol::default(),
        });
        Arc::new(server.unwrap())
    });
    let client = TlsClientBootstrap::new(client(TlsVersions::Only13), secs(5));
    (
        Arc::new(TlsServerBootstrap::new(Arc::clone(server))),
        Arc::new(client),
    )
}

async fn siege() -> Siege {
    let conf = TransportConf {
        handshake_timeout: secs(5),
        ..TransportConf::default()
    };
    let (server, client) = bootstraps();
    Siege::behind(conf, &Handlers::echo(), server, client).await
}

fn output(tls: &mut TlsConnection) -> Vec<u8> {
    let mut out = Vec::new();
    tls.take_output(&mut out);
    out
}

/// Shakes hands by hand; returns all that was said on the way.
async fn shake_hands(peer: &mut ScriptedPeer) -> (TlsConnection, Vec<u8>) {
    let mut tls = client(TlsVersions::Only13).connect("server").unwrap();
    let mut said = output(&mut tls);
    peer.send_raw(&said).await;
    while tls.is_handshaking() {
        let byte = peer.expect_raw(1).await;
        tls.receive(&mut &byte[..], &mut Vec::new(), usize::MAX).unwrap();
    }
    let last = output(&mut tls);
    peer.send_raw(&last).await;
    said.extend(last);
    (tls, said)
}

/// A record with a request, as it leaves somebody who has shaken hands.
fn sealed(tls: &mut TlsConnection, body: &'static str) -> Vec<u8> {
    let mut record = Vec::new();
    tls.send(&frame(request(2, body)), &mut record).unwrap();
    record
}

#[tokio::test(start_paused = true)]
async fn every_flipped_bit_of_a_record_ends_the_connection_before_it_is_handed_in() {
    let siege = siege().await;
    // Type and version in front of a record are the same for all in TLS 1.3; the ones that count are inside.
    let mut bit = 24;
    loop {
        let mut peer = siege.attacker().await;
        let (mut tls, _) = shake_hands(&mut peer).await;
        let mut record = sealed(&mut tls, "hello");
        if bit == record.len() * 8 {
            break;
        }
        record[bit / 8] ^= 1 << (bit % 8);
        bit += 1;
        peer.send_raw(record).await;
        // A length that has become longer waits for the rest, until the peer ends.
        peer.half_close().await;
        settle().await;
    }
    assert!(bit > 8 * 40, "{bit}");
    siege.unharmed_and_served_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn truncated_repeated_and_swapped_records_end_the_connection() {
    let siege = siege().await;
    let mut whole = usize::MAX;
    let mut length = 0;
    while length < whole {
        let mut peer = siege.attacker().await;
        let (mut tls, _) = shake_hands(&mut peer).await;
        let record = sealed(&mut tls, "hello");
        whole = record.len();
        peer.send_raw(&record[..length]).await;
        peer.half_close().await;
        length += 1;
    }
    siege.unharmed_and_served_nothing().await;

    let mut held = Vec::new();
    for order in [[0, 0], [1, 0], [1, 1]] {
        let mut peer = siege.attacker().await;
        let (mut tls, _) = shake_hands(&mut peer).await;
        let records = ["first", "second"].map(|body| sealed(&mut tls, body));
        for which in order {
            peer.send_raw(&records[which]).await;
        }
        held.push(peer);
    }
    siege.unharmed().await;
    assert!(siege.served().len() <= 1, "{:?}", siege.served());
}

/// Whoever alters a handshake ends it: both sides compare what they have seen of it.
#[tokio::test(start_paused = true)]
async fn every_flipped_bit_of_a_handshake_keeps_it_from_coming_to_its_end() {
    let siege = siege().await;
    let hello = output(&mut client(TlsVersions::Only13).connect("server").unwrap()).len();
    // The version before each record is looked at by nobody, as the RFC says.
    let bits = (0..hello * 8).filter(|bit| !(8..24).contains(bit)).step_by(3);
    let mut held = Vec::new();
    for bit in bits {
        let mut peer = siege.attacker().await;
        let mut tls = client(TlsVersions::Only13).connect("server").unwrap();
        let mut altered = output(&mut tls);
        altered[bit / 8] ^= 1 << (bit % 8);
        peer.send_raw(altered).await;
        held.push(peer);
    }
    settle().await;
    drop(held);
    siege.unharmed_and_served_nothing().await;
    assert_eq!(siege.heard(), [], "nobody got as far as a handler");
}

#[tokio::test(start_paused = true)]
async fn a_replayed_session_gains_nothing() {
    let siege = siege().await;
    let mut peer = siege.attacker().await;
    let (mut tls, said) = shake_hands(&mut peer).await;
    let record = sealed(&mut tls, "once");
    peer.send_raw(&record).await;
    siege
        .handlers
        .record
        .until_seen(crate::support::Seen::Request(b"once".to_vec()))
        .await;
    drop(peer);
    let mut again = siege.attacker().await;
    again.send_raw([said, record].concat()).await;
    siege.unharmed().await;
    assert_eq!(siege.served().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn older_versions_other_protocols_and_long_records_are_refused() {
    let siege = siege().await;
    let old = output(&mut client(TlsVersions::Only12).connect("server").unwrap());
    let plain = frame(OneWayMessage { body: "hello".into() });
    let mut held = Vec::new();
    for bytes in [
        old,
        plain,
        b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
        vec![22, 3, 1, 255, 255, 1, 0, 0, 0],
        vec![22, 3, 1, 64, 2, 1, 255, 255, 255],
        vec![0; 100],
    ] {
        let mut peer = siege.attacker().await;
        peer.send_raw(bytes).await;
        held.push(peer);
    }
    tokio::time::sleep(millis(5500)).await;
    siege.unharmed().await;
    assert_eq!(siege.heard(), []);
    assert_eq!(siege.context.counters().handshakes_failed(), 6);
}
