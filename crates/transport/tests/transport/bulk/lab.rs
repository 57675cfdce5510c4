//! A server that serves bulk and takes it, and a client of it, over any network.

use std::collections::HashMap;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use spark_rpc_net::{Network, TcpNetwork};
use spark_rpc_testkit::MemoryNetwork;
use spark_rpc_transport::{
    ConnectionError, Flow, HandlerFactory, ManagedBuffer, MergedMetaResponder, Responder, RpcHandler,
    StreamManager, TransportClient, TransportClientFactory, TransportConf, TransportContext, TransportServer,
    UploadSink,
};
use spark_rpc_wire::{Body, MergedBlockMetaRequest, StreamChunkId};

/// What lies between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Net {
    Memory,
    Tcp,
    #[cfg(unix)]
    Unix,
}

/// The networks of the kernel.
pub(super) const SOCKETS: &[Net] = &[
    Net::Tcp,
    #[cfg(unix)]
    Net::Unix,
];

pub(super) struct Lab {
    pub(super) server: TransportServer,
    pub(super) serving: TransportContext,
    pub(super) asking: TransportContext,
    pub(super) factory: TransportClientFactory,
    pub(super) uploads: Uploads,
    host: &'static str,
    pub(super) folder: Folder,
}

impl Lab {
    pub(super) async fn new(net: Net, streams: impl StreamManager + 'static) -> Self {
        Self::with(net, TransportConf::default(), |_| Arc::new(streams)).await
    }

    /// `streams` gets the lab's folder.
    pub(super) async fn with(
        net: Net,
        conf: TransportConf,
        streams: impl FnOnce(&Path) -> Arc<dyn StreamManager>,
    ) -> Self {
        let folder = Folder::new();
        let (near, far, host): (Arc<dyn Network>, Arc<dyn Network>, _) = match net {
            Net::Memory => {
                let net = MemoryNetwork::new(1);
                (
                    Arc::new(net.host("client")),
                    Arc::new(net.host("server")),
                    "server",
                )
            }
            Net::Tcp => (Arc::new(TcpNetwork), Arc::new(TcpNetwork), "127.0.0.1"),
            #[cfg(unix)]
            Net::Unix => {
                let net = spark_rpc_net::UnixNetwork::new(folder.path("sockets"));
                (Arc::new(net.clone()), Arc::new(net), "server")
            }
        };
        let handlers = Handlers::serving(streams(folder.root()));
        let uploads = handlers.uploads.clone();
        let serving = TransportContext::new(conf.clone(), far, Arc::new(handlers)).unwrap();
        let server = serving.create_server(host, 0, Vec::new()).await.unwrap();
        let asking = TransportContext::new(conf, near, Arc::new(spark_rpc_transport::NoRpcHandler)).unwrap();
        Self {
            server,
            serving,
            factory: asking.create_client_factory(Vec::new()),
            asking,
            uploads,
            host,
            folder,
        }
    }

    /// The pooled connection.
    pub(super) async fn client(&self) -> TransportClient {
        within(self.factory.create_client(self.host, self.server.port()))
            .await
            .unwrap()
    }

    /// One more connection.
    pub(super) async fn another(&self) -> TransportClient {
        let client = self
            .factory
            .create_unmanaged_client(self.host, self.server.port());
        within(client).await.unwrap()
    }

    pub(super) fn in_transfer(&self) -> u64 {
        self.serving.counters().bodies_in_transfer()
    }
}

/// Fails instead of waiting for ever, on real time, too.
#[track_caller]
pub(super) fn within<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(Duration::from_secs(600), work).await {
            Ok(done) => done,
            Err(_) => panic!("{caller}: waited in vain"),
        }
    }
}

/// Looks again and again, whenever the others had their turn.
#[track_caller]
pub(super) fn until(done: impl Fn() -> bool) -> impl Future<Output = ()> {
    within(async move {
        while !done() {
            tokio::time::sleep(Duration::from_millis(1)).await; // tidy: allow(sleep): between two looks; virtual time over the in-memory network
        }
    })
}

/// Bytes of which no two stretches look alike.
pub(super) fn pattern(len: usize) -> Bytes {
    let mut state = 0x1234_5678_u32;
    let next = std::iter::from_fn(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        Some(state.to_le_bytes())
    });
    next.flatten().take(len).collect()
}

pub(super) fn chunk(stream_id: i64, chunk_index: i32) -> StreamChunkId {
    StreamChunkId {
        stream_id,
        chunk_index,
    }
}

type Make = dyn Fn() -> ManagedBuffer + Send + Sync;

/// Serves what was put in, as often as it is asked for.
#[derive(Clone, Default)]
pub(super) struct Shelf {
    streams: HashMap<String, Arc<Make>>,
    chunks: HashMap<(i64, i32), Arc<Make>>,
}

impl Shelf {
    pub(super) fn stream<B: Into<ManagedBuffer>>(
        mut self,
        name: &str,
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> Self {
        self.streams
            .insert(name.to_owned(), Arc::new(move || make().into()));
        self
    }

    pub(super) fn chunk<B: Into<ManagedBuffer>>(
        mut self,
        stream: i64,
        index: i32,
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> Self {
        self.chunks
            .insert((stream, index), Arc::new(move || make().into()));
        self
    }
}

impl StreamManager for Shelf {
    fn get_chunk(&self, _: &TransportClient, id: StreamChunkId) -> Result<ManagedBuffer, String> {
        let make = self.chunks.get(&(id.stream_id, id.chunk_index));
        make.map(|make| make()).ok_or_else(|| format!("no chunk {id}"))
    }

    fn open_stream(&self, _: &TransportClient, name: &str) -> Result<ManagedBuffer, String> {
        let make = self.streams.get(name);
        make.map(|make| make()).ok_or_else(|| format!("no stream {name}"))
    }
}

/// What became of uploads, by the text of their meta.
#[derive(Clone, Default)]
pub(super) struct Uploads(Arc<Mutex<HashMap<String, Upload>>>);

#[derive(Clone, Debug, Default)]
pub(super) struct Upload {
    pub(super) bytes: Vec<u8>,
    pub(super) completed: bool,
    /// Why the rest did not come.
    pub(super) failed: Option<String>,
}

impl Uploads {
    pub(super) fn get(&self, meta: &str) -> Upload {
        self.0.lock().unwrap().get(meta).cloned().unwrap_or_default()
    }

    fn change(&self, meta: &str, change: impl FnOnce(&mut Upload)) {
        change(self.0.lock().unwrap().entry(meta.to_owned()).or_default());
    }
}

#[derive(Clone)]
pub(super) struct Handlers {
    pub(super) streams: Arc<dyn StreamManager>,
    pub(super) uploads: Uploads,
    /// Why connections ended, if that was an error.
    pub(super) caught: Arc<Mutex<Vec<ConnectionError>>>,
}

impl Handlers {
    pub(super) fn serving(streams: Arc<dyn StreamManager>) -> Self {
        Self {
            streams,
            uploads: Uploads::default(),
            caught: Arc::default(),
        }
    }
}

impl HandlerFactory for Handlers {
    fn handler(&self, _: &TransportClient) -> Box<dyn RpcHandler> {
        Box::new(self.clone())
    }
}

impl RpcHandler for Handlers {
    fn receive(&mut self, _: &TransportClient, request: Body<'_>, responder: Responder) -> Flow {
        responder.success(&request);
        Flow::Continue
    }

    fn receive_one_way(&mut self, _: &TransportClient, _: Body<'_>) -> Flow {
        Flow::Continue
    }

    fn stream_manager(&self) -> &dyn StreamManager {
        &*self.streams
    }

    fn exception_caught(&mut self, _: &TransportClient, cause: &ConnectionError) {
        self.caught.lock().unwrap().push(cause.clone());
    }

    /// The meta says what happens: see [`Sink`]; `none` is not taken.
    fn receive_stream(
        &mut self,
        _: &TransportClient,
        meta: Bytes,
        count: u64,
    ) -> Result<Box<dyn UploadSink>, String> {
        let meta = String::from_utf8(meta.to_vec()).unwrap();
        if meta == "none" {
            return Err("nobody takes this".into());
        }
        // A length that was announced is no reason to make room for it.
        assert!(count < 1 << 50);
        self.uploads.change(&meta, |_| ());
        Ok(Box::new(Sink {
            meta,
            uploads: self.uploads.clone(),
        }))
    }

    /// The merge id says what happens.
    fn receive_merged_meta_request(
        &mut self,
        _: &TransportClient,
        request: MergedBlockMetaRequest,
        responder: MergedMetaResponder,
    ) {
        match request.shuffle_merge_id {
            0 => responder.success(2, "two bitmaps"),
            1 => responder.failure("no such block"),
            2 => responder.success(3, pattern(100_000)),
            _ => drop(responder),
        }
    }
}

/// Fails where its meta says: `fail data`, `panic data`, `fail end`, `drop end`; `stall` takes no second piece.
struct Sink {
    meta: String,
    uploads: Uploads,
}

impl UploadSink for Sink {
    fn data(&mut self, data: Body<'_>) -> Result<Flow, String> {
        assert!(!data.is_empty());
        match &*self.meta {
            "fail data" => return Err("the disk is full".into()),
            "panic data" => panic!("the disk is on fire"),
            _ => {}
        }
        self.uploads
            .change(&self.meta, |upload| upload.bytes.extend_from_slice(&data));
        if self.meta == "stall" {
            return Ok(Flow::Wait(Box::pin(std::future::pending())));
        }
        Ok(Flow::Continue)
    }

    fn complete(self: Box<Self>, responder: Responder) {
        self.uploads.change(&self.meta, |upload| upload.completed = true);
        match &*self.meta {
            "fail end" => responder.failure("the disk is full"),
            "drop end" => drop(responder),
            _ => responder.success(self.meta.as_bytes()),
        }
    }

    fn failed(self: Box<Self>, cause: &ConnectionError) {
        self.uploads
            .change(&self.meta, |upload| upload.failed = Some(cause.to_string()));
    }
}

/// A folder that is removed with the test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("spark-rpc-bulk-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes `bytes` to the file `name` in `folder`.
pub(super) fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}
