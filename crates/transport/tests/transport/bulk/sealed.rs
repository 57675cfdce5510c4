//! Bodies behind TLS, where nothing can be sent as it lies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use spark_rpc_net::{Network, TcpNetwork};
use spark_rpc_transport::{ManagedBuffer, StreamManager, TransportClient, TransportConf, TransportContext};

use super::lab::{Folder, pattern, until, within, write};
use crate::attacks::tls;
use crate::support::Handlers;

/// Serves `memory` and `file`, and counts what is released.
struct Counted {
    folder: Folder,
    released: Arc<AtomicUsize>,
}

impl StreamManager for Counted {
    fn open_stream(&self, _: &TransportClient, stream_id: &str) -> Result<ManagedBuffer, String> {
        let buffer = match stream_id {
            "memory" => pattern(LENGTH).into(),
            _ => ManagedBuffer::path(self.folder.path(stream_id), 0, LENGTH as u64),
        };
        let released = Arc::clone(&self.released);
        Ok(buffer.on_release(move || {
            released.fetch_add(1, Ordering::Relaxed);
        }))
    }
}

/// PROTO-06
#[tokio::test]
async fn a_body_is_encrypted_in_parts_and_its_buffer_released_once() {
    let folder = Folder::new();
    write(folder.root(), "file", &pattern(LENGTH));
    let released = Arc::new(AtomicUsize::new(0));
    let handlers = Handlers::echo().with_streams(Counted {
        folder,
        released: Arc::clone(&released),
    });
    let network: Arc<dyn Network> = Arc::new(TcpNetwork);
    let context = TransportContext::new(TransportConf::default(), network, Arc::new(handlers)).unwrap();
    let (server, client) = tls::bootstraps();
    let server = within(context.create_server("127.0.0.1", 0, vec![server]))
        .await
        .unwrap();
    let factory = context.create_client_factory(vec![client]);
    let connect = || within(factory.create_client("127.0.0.1", server.port()));
    let mut expected = 0;
    for name in ["memory", "file"] {
        let client = connect().await.unwrap();
        let written = context.counters().bytes_written();
        let mut body = within(client.open_stream(name, None)).await.unwrap();
        let mut read = Vec::new();
        while let Some(piece) = within(body.chunk()).await.unwrap() {
            read.extend_from_slice(&piece);
        }
        assert!(read == pattern(LENGTH), "{name}: {} bytes", read.len());
        // What is counted is what was given to TLS: the request, the announcement and the body, not the records.
        let frames = (13 + name.len()) + (21 + name.len());
        let counted = context.counters().bytes_written() - written;
        assert_eq!(counted, (frames + LENGTH) as u64, "{name}");
        expected += 1;
        until(|| released.load(Ordering::Relaxed) == expected).await;

        // Half-way.
        let mut body = within(client.open_stream(name, None)).await.unwrap();
        assert!(within(body.chunk()).await.unwrap().is_some());
        client.abort();
        within(client.closed()).await;
        expected += 1;
        until(|| released.load(Ordering::Relaxed) == expected).await;
    }
    drop(factory);
    until(|| context.counters().connections_open() == 0).await;
    assert_eq!(released.load(Ordering::Relaxed), expected);
}

/// Longer than what sockets and pipes hold.
const LENGTH: usize = 12 << 20;
