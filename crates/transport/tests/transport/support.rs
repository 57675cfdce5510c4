//! Two hosts, handlers that record what they see, and waiting for it.

// tidy: allow-file(sleep): on virtual time, a sleep waits for nothing and says when something happens.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use spark_rpc_net::{Listener, Network, SocketOptions};
use spark_rpc_testkit::{Host, MemoryNetwork, ScriptedPeer};
use spark_rpc_transport::{
    ConnectionError, Flow, HandlerFactory, ManagedBuffer, NoStreams, Responder, RpcHandler, StreamManager,
    TransportClient, TransportClientFactory, TransportConf, TransportContext, TransportServer,
};
use spark_rpc_wire::{Body, StreamChunkId};
use tokio::sync::Notify;

/// Where servers listen.
pub(crate) const PORT: u16 = 7077;

/// Longer than anything that a test waits for; virtual, so nobody waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Fails instead of waiting forever.
#[track_caller]
pub(crate) fn soon<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(done) => done,
            Err(_) => panic!("{caller}: waited in vain"),
        }
    }
}

/// Lets everything that is on its way arrive: longer than any latency of the network, and virtual.
pub(crate) async fn settle() {
    tokio::time::sleep(millis(50)).await;
}

/// What a connection's handler has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Active,
    Request(Vec<u8>),
    OneWay(Vec<u8>),
    Caught(String),
    Terminated,
    Inactive,
}

/// The events of all connections of one side, in order.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<RecordInner>);

#[derive(Default)]
struct RecordInner {
    seen: Mutex<Vec<(u64, Seen)>>,
    changed: Notify,
}

impl Record {
    pub(crate) fn note(&self, client: &TransportClient, seen: Seen) {
        self.0.seen.lock().unwrap().push((client.id(), seen));
        self.0.changed.notify_waiters();
    }

    /// Everything, whatever the connection.
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.0
            .seen
            .lock()
            .unwrap()
            .iter()
            .map(|(_, seen)| seen.clone())
            .collect()
    }

    /// Everything from all connections but the one that came first.
    pub(crate) fn all_but_first(&self) -> Vec<Seen> {
        let seen = self.0.seen.lock().unwrap();
        let first = seen.first().map(|(id, _)| *id);
        let others = seen.iter().filter(|(id, _)| Some(*id) != first);
        others.map(|(_, seen)| seen.clone()).collect()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Seen) -> bool) -> usize {
        self.all().iter().filter(|seen| wanted(seen)).count()
    }

    /// Bodies of the one-way messages, in order.
    pub(crate) fn one_ways(&self) -> Vec<Vec<u8>> {
        let bodies = self.all().into_iter().filter_map(|seen| match seen {
            Seen::OneWay(body) => Some(body),
            _ => None,
        });
        bodies.collect()
    }

    #[track_caller]
    pub(crate) fn until(&self, done: impl Fn(&[Seen]) -> bool) -> impl Future<Output = ()> {
        let record = self.clone();
        soon(async move {
            loop {
                let mut changed = std::pin::pin!(record.0.changed.notified());
                changed.as_mut().enable();
                if done(&record.all()) {
                    return;
                }
                changed.await;
            }
        })
    }

    #[track_caller]
    pub(crate) fn until_seen(&self, wanted: Seen) -> impl Future<Output = ()> {
        self.until(move |seen| seen.contains(&wanted))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.seen.lock().unwrap().fmt(f)
    }
}

type OnMessage = dyn Fn(&TransportClient, Body<'_>, Option<Responder>) -> Flow + Send + Sync;

/// Makes handlers that record what they see and do what a test says.
#[derive(Clone)]
pub(crate) struct Handlers {
    pub(crate) record: Record,
    on_message: Arc<OnMessage>,
    streams: Arc<dyn StreamManager>,
}

impl Handlers {
    /// They answer as the handler of Spark's `RpcIntegrationSuite` does.
    pub(crate) fn hello() -> Self {
        Self::new(|_, body, responder| {
            if let Some(responder) = responder {
                answer_hello(&body, responder);
            }
            Flow::Continue
        })
    }

    /// They answer each request with its own body.
    pub(crate) fn echo() -> Self {
        Self::new(|_, body, responder| {
            if let Some(responder) = responder {
                responder.success(&body);
            }
            Flow::Continue
        })
    }

    /// They never answer, and never say so: every responder is kept.
    pub(crate) fn silent() -> Self {
        let (handlers, _) = Self::keeping();
        handlers
    }

    /// They keep every responder for the test, which answers when it likes.
    pub(crate) fn keeping() -> (Self, Kept) {
        let kept = Kept::default();
        let keep = kept.clone();
        let handlers = Self::new(move |_, _, responder| {
            keep.0.lock().unwrap().extend(responder);
            Flow::Continue
        });
        (handlers, kept)
    }

    pub(crate) fn new(
        on_message: impl Fn(&TransportClient, Body<'_>, Option<Responder>) -> Flow + Send + Sync + 'static,
    ) -> Self {
        Self {
            record: Record::default(),
            on_message: Arc::new(on_message),
            streams: Arc::new(NoStreams),
        }
    }

    pub(crate) fn with_streams(mut self, streams: impl StreamManager + 'static) -> Self {
        self.streams = Arc::new(streams);
        self
    }
}

/// Responders that a handler has kept, oldest first.
#[derive(Clone, Default)]
pub(crate) struct Kept(pub(crate) Arc<Mutex<Vec<Responder>>>);

impl Kept {
    pub(crate) fn take_first(&self) -> Responder {
        self.0.lock().unwrap().remove(0)
    }
}

fn answer_hello(body: &[u8], responder: Responder) {
    let text = String::from_utf8_lossy(body);
    match text.split_once('/') {
        Some(("hello", name)) => responder.success(format!("Hello, {name}!").as_bytes()),
        Some(("return error", what)) => responder.failure(&format!("Returned: {what}")),
        Some(("throw error", what)) => panic!("Thrown: {what}"),
        _ => responder.failure("what?"),
    }
}

impl HandlerFactory for Handlers {
    fn handler(&self, client: &TransportClient) -> Box<dyn RpcHandler> {
        let streams = RecordedStreams {
            handlers: self.clone(),
            client: client.clone(),
        };
        Box::new(Handler {
            handlers: self.clone(),
            streams,
        })
    }
}

struct Handler {
    handlers: Handlers,
    streams: RecordedStreams,
}

impl RpcHandler for Handler {
    fn receive(&mut self, client: &TransportClient, request: Body<'_>, responder: Responder) -> Flow {
        self.handlers.record.note(client, Seen::Request(request.to_vec()));
        (self.handlers.on_message)(client, request, Some(responder))
    }

    fn receive_one_way(&mut self, client: &TransportClient, message: Body<'_>) -> Flow {
        self.handlers.record.note(client, Seen::OneWay(message.to_vec()));
        (self.handlers.on_message)(client, message, None)
    }

    fn stream_manager(&self) -> &dyn StreamManager {
        &self.streams
    }

    fn channel_active(&mut self, client: &TransportClient) {
        self.handlers.record.note(client, Seen::Active);
    }

    fn exception_caught(&mut self, client: &TransportClient, cause: &ConnectionError) {
        self.handlers.record.note(client, Seen::Caught(cause.to_string()));
    }

    fn channel_inactive(&mut self, client: &TransportClient) {
        self.handlers.record.note(client, Seen::Inactive);
    }
}

struct RecordedStreams {
    handlers: Handlers,
    client: TransportClient,
}

impl StreamManager for RecordedStreams {
    fn get_chunk(&self, client: &TransportClient, id: StreamChunkId) -> Result<ManagedBuffer, String> {
        self.handlers.streams.get_chunk(client, id)
    }

    fn open_stream(&self, client: &TransportClient, stream_id: &str) -> Result<ManagedBuffer, String> {
        self.handlers.streams.open_stream(client, stream_id)
    }

    fn connection_terminated(&self, client: &TransportClient) {
        assert_eq!(*client, self.client, "each connection has a handler of its own");
        self.handlers.record.note(client, Seen::Terminated);
        self.handlers.streams.connection_terminated(client);
    }
}

/// Two hosts, `client` and `server`, on a network of their own.
pub(crate) struct Hosts {
    pub(crate) net: MemoryNetwork,
    pub(crate) client: Host,
    pub(crate) server: Host,
}

pub(crate) fn hosts() -> Hosts {
    let net = MemoryNetwork::new(1);
    Hosts {
        client: net.host("client"),
        server: net.host("server"),
        net,
    }
}

impl Hosts {
    /// A server on [`PORT`] with default settings.
    pub(crate) async fn serve(&self, handlers: &Handlers) -> TransportServer {
        self.serve_with(TransportConf::default(), handlers).await
    }

    pub(crate) async fn serve_with(&self, conf: TransportConf, handlers: &Handlers) -> TransportServer {
        context(&self.server, conf, handlers)
            .create_server("server", PORT, Vec::new())
            .await
            .unwrap()
    }

    /// A client factory with default settings whose side answers like [`Handlers::hello`].
    pub(crate) fn factory(&self) -> TransportClientFactory {
        self.factory_with(TransportConf::default())
    }

    pub(crate) fn factory_with(&self, conf: TransportConf) -> TransportClientFactory {
        context(&self.client, conf, &Handlers::hello()).create_client_factory(Vec::new())
    }

    /// A listener on [`PORT`] whose connections the test plays itself.
    pub(crate) async fn listen(&self) -> Box<dyn Listener> {
        let options = SocketOptions::default();
        self.server.bind("server", PORT, &options).await.unwrap()
    }

    /// A connection to [`PORT`] that the test plays itself.
    pub(crate) async fn raw_client(&self) -> ScriptedPeer {
        ScriptedPeer::connect(&self.client, "server", PORT).await
    }
}

pub(crate) fn context(host: &Host, conf: TransportConf, handlers: &Handlers) -> TransportContext {
    TransportContext::new(conf, Arc::new(host.clone()), Arc::new(handlers.clone())).unwrap()
}

/// Connects to [`PORT`] of the host `server`.
pub(crate) async fn connect(factory: &TransportClientFactory) -> TransportClient {
    soon(factory.create_client("server", PORT)).await.unwrap()
}

/// Connects `factory` to a scripted peer.
pub(crate) async fn connect_scripted(
    factory: &TransportClientFactory,
    listener: &mut dyn Listener,
) -> (TransportClient, ScriptedPeer) {
    let (client, peer) = tokio::join!(connect(factory), ScriptedPeer::accept(listener));
    (client, peer)
}

/// The request that a scripted peer gets next.
pub(crate) async fn expect_request(peer: &mut ScriptedPeer) -> spark_rpc_wire::RpcRequest<Bytes> {
    match peer.expect_frame().await {
        spark_rpc_wire::Message::RpcRequest(request) => request,
        other => panic!("expected a request, but got {other:?}"),
    }
}

pub(crate) fn response(
    id: spark_rpc_wire::RequestId,
    body: &'static str,
) -> spark_rpc_wire::RpcResponse<Bytes> {
    spark_rpc_wire::RpcResponse {
        request_id: id,
        body: body.into(),
    }
}
