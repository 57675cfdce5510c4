//! Chunks, which envs do not serve: on the transport below them.

use std::sync::Arc;
use std::time::Duration;

use spark_rpc::TcpNetwork;
use spark_rpc::config::{RpcConf, SecurityConf};
use spark_rpc_transport::auth::Secret;
use spark_rpc_transport::auth::tls::{TlsClient, TlsServer, TrustSource};
use spark_rpc_transport::security::{
    AuthClientBootstrap, AuthServerBootstrap, SecretKeyHolder, TlsClientBootstrap, TlsServerBootstrap,
};
use spark_rpc_transport::{
    ClientBootstrap, Flow, HandlerFactory, ManagedBuffer, NoRpcHandler, OneForOneStreamManager, Responder,
    RpcHandler, ServerBootstrap, StreamManager, TransportClient, TransportContext, TransportServer,
};
use spark_rpc_wire::{Body, StreamChunkId};

use super::{pattern, right};
use crate::{Outcome, text};

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

/// One secret for whoever asks, as in Spark's envs.
#[derive(Debug)]
struct OneSecret(Secret);

impl SecretKeyHolder for OneSecret {
    fn secret(&self, _: &str) -> Option<Secret> {
        Some(self.0.clone())
    }
}

/// Registers a stream of as many chunks of a size as it is asked for, and answers with its id.
#[derive(Clone)]
struct Chunks(Arc<OneForOneStreamManager>);

impl RpcHandler for Chunks {
    fn receive(&mut self, client: &TransportClient, request: Body<'_>, responder: Responder) -> Flow {
        let request = String::from_utf8_lossy(&request).into_owned();
        let mut numbers = request.split(' ').map(|number| number.parse().unwrap_or(0));
        let (count, size) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let chunks = (0..count).map(move |_| Some(ManagedBuffer::from(pattern(size))));
        let owner = client.client_id().map(str::to_owned);
        let id = self.0.register_stream(owner, chunks, client);
        responder.success(id.to_string().as_bytes());
        Flow::Continue
    }

    fn receive_one_way(&mut self, _: &TransportClient, _: Body<'_>) -> Flow {
        Flow::Continue
    }

    fn stream_manager(&self) -> &dyn StreamManager {
        &*self.0
    }
}

impl HandlerFactory for Chunks {
    fn handler(&self, _: &TransportClient) -> Box<dyn RpcHandler> {
        Box::new(self.clone())
    }
}

pub(super) struct Server {
    _context: TransportContext,
    server: TransportServer,
}

impl Server {
    pub(super) async fn start(conf: &RpcConf) -> Result<Self, String> {
        let chunks = Chunks(Arc::default());
        let context = TransportContext::new(conf.transport.clone(), Arc::new(TcpNetwork), Arc::new(chunks));
        let context = context.map_err(text)?;
        let server = context.create_server("127.0.0.1", 0, servers(&conf.security)?);
        Ok(Self {
            server: server.await.map_err(text)?,
            _context: context,
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.server.port()
    }
}

/// Fetches chunks from a JVM.
pub(super) async fn fetch(conf: &RpcConf, port: u16, count: i32, size: usize) -> Outcome {
    let context = TransportContext::new(
        conf.transport.clone(),
        Arc::new(TcpNetwork),
        Arc::new(NoRpcHandler),
    );
    let factory = context
        .map_err(text)?
        .create_client_factory(clients(&conf.security)?);
    let client = factory.create_client("127.0.0.1", port).await.map_err(text)?;
    let wanted = format!("{count} {size}");
    let id = client.send_rpc(wanted.as_bytes(), LIMIT);
    let id = String::from_utf8_lossy(&id.await.map_err(text)?)
        .parse()
        .map_err(text)?;
    for index in 0..count {
        let chunk = StreamChunkId {
            stream_id: id,
            chunk_index: index,
        };
        let chunk = client.fetch_chunk(chunk, LIMIT).await.map_err(text)?;
        if !right(&chunk, size) {
            return Err(format!("chunk {index} is not what it should be"));
        }
    }
    factory.close(Duration::from_secs(5)).await;
    Ok(())
}

fn servers(conf: &SecurityConf) -> Result<Vec<Arc<dyn ServerBootstrap>>, String> {
    let mut made: Vec<Arc<dyn ServerBootstrap>> = Vec::new();
    if let Some(ssl) = &conf.ssl {
        let server = TlsServer::new(ssl.server_options().map_err(text)?).map_err(text)?;
        made.push(Arc::new(TlsServerBootstrap::new(Arc::new(server))));
    }
    if let Some(secret) = &conf.secret {
        let secret = Arc::new(OneSecret(secret.clone()));
        made.push(Arc::new(AuthServerBootstrap::new(secret, conf.auth.clone())));
    }
    Ok(made)
}

fn clients(conf: &SecurityConf) -> Result<Vec<Arc<dyn ClientBootstrap>>, String> {
    let mut made: Vec<Arc<dyn ClientBootstrap>> = Vec::new();
    if let Some(ssl) = &conf.ssl {
        let mut options = ssl.client_options(false).map_err(text)?;
        // As envs do.
        if let Some(path) = ssl.trust_store.clone() {
            let password = ssl.trust_store_password.clone();
            options.trust = TrustSource::File { path, password };
        }
        let client = TlsClient::new(options).map_err(text)?;
        made.push(Arc::new(TlsClientBootstrap::new(
            Arc::new(client),
            conf.auth.timeout,
        )));
    }
    if let Some(secret) = &conf.secret {
        let secret = Arc::new(OneSecret(secret.clone()));
        made.push(Arc::new(AuthClientBootstrap::new(
            &*conf.user,
            secret,
            conf.auth.clone(),
        )));
    }
    Ok(made)
}
