//! The write queue: what waits for a peer that does not read.

use spark_rpc_net::Listener;
use spark_rpc_testkit::{MemoryNetwork, MemorySettings, ScriptedPeer};
use spark_rpc_transport::{TransportClient, TransportClientFactory, TransportConf};

use crate::log::Log;
use crate::support::{Hosts, connect_scripted, settle, soon};

/// A client whose peer takes `window` bytes and then no more until the test reads them.
struct Narrow {
    client: TransportClient,
    peer: ScriptedPeer,
    _rest: (Box<dyn Listener>, TransportClientFactory),
}

async fn narrow(conf: TransportConf) -> Narrow {
    let settings = MemorySettings {
        send_buffer: WINDOW,
        ..MemorySettings::default()
    };
    let net = MemoryNetwork::with_settings(1, settings);
    let hosts = Hosts {
        client: net.host("client"),
        server: net.host("server"),
        net,
    };
    let mut listener = hosts.listen().await;
    let factory = hosts.factory_with(conf);
    let (client, peer) = connect_scripted(&factory, &mut *listener).await;
    Narrow {
        client,
        peer,
        _rest: (listener, factory),
    }
}

const WINDOW: usize = 64;

#[tokio::test(start_paused = true)]
async fn the_log_counts_everything_that_a_lost_connection_did_not_write() {
    let Narrow { client, peer, _rest } = narrow(TransportConf::default()).await;
    let log = Log::begin();
    // The first goes out by itself and gets stuck half-way; the others wait behind it.
    client.send(&[1; 500]).unwrap();
    settle().await;
    for _ in 0..2 {
        client.send(&[2; 500]).unwrap();
    }
    peer.reset();
    soon(client.closed()).await;
    assert_eq!(log.with("unwritten=3").len(), 1, "{:?}", log.with("connection"));
    assert_eq!(client.queued_bytes(), 0, "nothing waits any more");
}
