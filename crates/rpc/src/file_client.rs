//! Files that other envs serve.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use spark_rpc_net::Network;
use spark_rpc_transport::{
    ClientBootstrap, ConnectError, ConnectionError, NoRpcHandler, RequestError, SendError, StreamBody,
    TransportClient, TransportClientFactory, TransportConf, TransportContext,
};
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Handle;

use crate::address::RpcAddress;
use crate::checksum::{FileChecksum, LONGEST_VERDICT, Summing, Verdict, stream_of_verdict};
use crate::file_server::DENIED;
use crate::file_uri::FileUri;

/// Why a served file cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The text is no URI of a served file.
    #[error("Invalid file URI: {uri} (expected spark://HOST:PORT/PATH): {reason}")]
    BadUri {
        /// The text.
        uri: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// This env has been stopped.
    #[error("RpcEnv already stopped.")]
    EnvStopped,
    /// There is no connection to the server.
    #[error(transparent)]
    Connect(ConnectError),
    /// The server's security manager does not let this side have it, whether it is there or not.
    #[error("{uri} may not be read by this peer: access denied")]
    Denied {
        /// The URI.
        uri: String,
    },
    /// The server does not serve it.
    #[error("{uri} is not served: {text}")]
    NotServed {
        /// The URI.
        uri: String,
        /// The server's own words.
        text: String,
    },
    /// The server could not be asked.
    #[error("{uri} cannot be requested: {source}")]
    Request {
        /// The URI.
        uri: String,
        /// What went wrong.
        source: RequestError,
    },
    /// The connection ended before the file had come to its end.
    #[error("{uri} broke off: {source}")]
    BrokenOff {
        /// The URI.
        uri: String,
        /// Why the connection ended.
        source: Arc<ConnectionError>,
    },
    /// The server wrote to the file, or put another one in its place, while it was fetched.
    #[error("{uri} was changed while it was fetched")]
    Changed {
        /// The URI.
        uri: String,
    },
    /// What came is not what the server has: it was damaged on its way, or the file was changed while it was fetched.
    #[error(
        "{uri} is not what the server has: the checksum of what came is {found}, it should be {expected}"
    )]
    Damaged {
        /// The URI.
        uri: String,
        /// What the server says.
        expected: FileChecksum,
        /// What came.
        found: FileChecksum,
    },
    /// The file could not be written here.
    #[error("{} cannot be written: {source}", path.display())]
    Local {
        /// Where it should go.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

/// A file that was fetched, from [`RpcEnv::fetch_file`](crate::RpcEnv::fetch_file).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// How many bytes it has.
    pub length: u64,
    /// The checksum that both the server and what came here have. `None` if the server gives none, as JVMs do, or if
    /// [`file_checksums`](crate::config::RpcConf::file_checksums) is off: then the length is all that was checked.
    pub checksum: Option<FileChecksum>,
}

/// A served file that is being read, from [`RpcEnv::open_channel`](crate::RpcEnv::open_channel).
///
/// Its bytes come without a copy from [`chunk`](Self::chunk), or through [`AsyncRead`]. It never ends early without an
/// error. A reader that does not keep up makes the server wait, and nobody else: each channel has a connection to itself.
/// One that takes nothing for the setting `spark.files.io.connectionTimeout` loses the connection. Dropping a channel
/// before its end closes the connection.
pub struct FileChannel {
    uri: Arc<str>,
    body: StreamBody,
    lease: Lease,
}

impl FileChannel {
    /// How many bytes the file has in all, as it was when it was opened.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.body.length()
    }

    /// How many bytes have not been handed out yet.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.body.remaining()
    }

    /// Waits for the next piece, which is never empty; `None` is the end.
    ///
    /// # Errors
    ///
    /// [`FileError::BrokenOff`]. What came before that is handed out first.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FileError> {
        let piece = self.body.chunk().await;
        self.lease.reusable = self.body.remaining() == 0;
        piece.map_err(|source| broken_off(&self.uri, source))
    }
}

/// An error of the connection comes as [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) around the
/// [`ConnectionError`].
impl AsyncRead for FileChannel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let read = Pin::new(&mut this.body).poll_read(cx, buf);
        this.lease.reusable = this.body.remaining() == 0;
        read
    }
}

impl fmt::Debug for FileChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileChannel")
            .field("uri", &self.uri)
            .field("length", &self.length())
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

/// The connections of one env that files come over.
pub(crate) struct Downloads {
    network: Arc<dyn Network>,
    bootstraps: Vec<Arc<dyn ClientBootstrap>>,
    conf: TransportConf,
    checksums: bool,
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// Made at first use.
    factory: Option<Arc<TransportClientFactory>>,
    /// Connections over which nothing comes. They close themselves after a while.
    idle: BTreeMap<RpcAddress, Vec<TransportClient>>,
    /// Servers that have refused to give a checksum, and are not asked again.
    without_checksums: BTreeSet<RpcAddress>,
}

impl Downloads {
    pub(crate) fn new(
        network: Arc<dyn Network>,
        bootstraps: Vec<Arc<dyn ClientBootstrap>>,
        conf: TransportConf,
        checksums: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            network,
            bootstraps,
            conf,
            checksums,
            runtime: Handle::current(),
            state: Mutex::default(),
        })
    }

    pub(crate) async fn open(self: &Arc<Self>, uri: &str) -> Result<FileChannel, FileError> {
        let FileUri { address, stream } = FileUri::parse(uri).map_err(|reason| FileError::BadUri {
            uri: uri.to_owned(),
            reason,
        })?;
        let factory = self.factory()?;
        if let Some(client) = self.take_idle(&address) {
            match self.open_over(client, &address, &stream).await {
                // It was closed while it was idle, which says nothing of the server.
                Err(RequestError::NotSent(SendError::Closed(_)) | RequestError::Connection(_)) => {}
                opened => return named(uri, opened),
            }
        }
        let client = factory
            .create_unmanaged_client(address.host(), address.port())
            .await;
        let client = client.map_err(|error| match error {
            ConnectError::FactoryClosed { .. } => FileError::EnvStopped,
            error => FileError::Connect(error),
        })?;
        named(uri, self.open_over(client, &address, &stream).await)
    }

    async fn open_over(
        self: &Arc<Self>,
        client: TransportClient,
        address: &RpcAddress,
        stream: &str,
    ) -> Result<(StreamBody, Lease), RequestError> {
        let mut lease = Lease {
            client,
            address: address.clone(),
            stream: stream.to_owned(),
            downloads: Arc::clone(self),
            reusable: false,
        };
        // How long the peer may be silent is the connection's limit.
        match lease.client.open_stream(stream, None).await {
            Ok(body) => {
                lease.reusable = body.remaining() == 0;
                Ok((body, lease))
            }
            Err(error) => {
                lease.reusable = matches!(error, RequestError::Failed { .. });
                Err(error)
            }
        }
    }

    /// Writes what `uri` names to `path`, which is there only when it is whole.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        uri: &str,
        path: &Path,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Fetched, FileError> {
        let local = |source| FileError::Local {
            path: path.to_owned(),
            source: Arc::new(source),
        };
        let mut channel = self.open(uri).await?;
        let mut part = {
            let path = path.to_owned();
            let summing = self.checksums.then(Summing::new);
            self.blocking(move || create_part(&path, summing))
                .await
                .map_err(local)?
        };
        let length = channel.length();
        progress(0, length);
        // Asked for when the file has begun to come, so that a server can begin to read it, too.
        let Lease {
            client,
            address,
            stream,
            ..
        } = &channel.lease;
        let verdict = self.verdict(uri, client.clone(), address.clone(), stream_of_verdict(stream));
        let writing = async {
            loop {
                let mut batch = Vec::new();
                let mut gathered = 0;
                while gathered < WRITTEN_AT_ONCE
                    && let Some(piece) = channel.chunk().await?
                {
                    gathered += piece.len();
                    batch.push(piece);
                }
                if batch.is_empty() {
                    return Ok(part);
                }
                let write = move || {
                    for piece in batch {
                        part.write(&piece)?;
                    }
                    Ok(part)
                };
                part = self.blocking(write).await.map_err(local)?;
                progress(length - channel.remaining(), length);
            }
        };
        let (part, verdict) = futures_util::future::try_join(writing, verdict).await?;
        let checksum = match verdict {
            Verdict::Sum(expected) => {
                let found = part.summing.as_ref().map(Summing::end);
                if let Some(found) = found.filter(|found| *found != expected) {
                    return Err(FileError::Damaged {
                        uri: uri.to_owned(),
                        expected,
                        found,
                    });
                }
                found
            }
            Verdict::Changed => return Err(FileError::Changed { uri: uri.to_owned() }),
            Verdict::Unknown => None,
        };
        let target = path.to_owned();
        self.blocking(move || part.place(&target)).await.map_err(local)?;
        Ok(Fetched { length, checksum })
    }

    /// Asks what the server has to say of `stream`, which it sends over `client`. The answer comes behind the file.
    async fn verdict(
        &self,
        uri: &str,
        client: TransportClient,
        address: RpcAddress,
        stream: String,
    ) -> Result<Verdict, FileError> {
        if !self.checksums || self.state().without_checksums.contains(&address) {
            return Ok(Verdict::Unknown);
        }
        let mut body = match client.open_stream(&stream, None).await {
            Ok(body) if body.length() <= LONGEST_VERDICT => body,
            Ok(_) => return Ok(Verdict::Unknown),
            Err(RequestError::Failed { text }) => {
                tracing::debug!(%address, text, "this server gives no checksums of files");
                self.state().note_without_checksums(address);
                return Ok(Verdict::Unknown);
            }
            Err(RequestError::Connection(cause) | RequestError::NotSent(SendError::Closed(cause))) => {
                return Err(broken_off(uri, cause));
            }
            Err(source) => {
                let uri = uri.to_owned();
                return Err(FileError::Request { uri, source });
            }
        };
        let mut text = Vec::new();
        while let Some(piece) = body.chunk().await.map_err(|source| broken_off(uri, source))? {
            text.extend_from_slice(&piece);
        }
        let verdict = String::from_utf8_lossy(&text).parse();
        Ok(verdict.unwrap_or(Verdict::Unknown))
    }

    /// Ends the connections as [`TransportClientFactory::close`] does.
    pub(crate) async fn close(&self, limit: Duration) -> usize {
        match self.end() {
            Some(factory) => factory.close(limit).await,
            None => 0,
        }
    }

    pub(crate) fn abort(&self) {
        if let Some(factory) = self.end() {
            factory.abort();
        }
    }

    fn end(&self) -> Option<Arc<TransportClientFactory>> {
        let mut state = self.state();
        state.closed = true;
        let idle = std::mem::take(&mut state.idle);
        let factory = state.factory.take();
        drop(state);
        drop(idle);
        factory
    }

    fn factory(&self) -> Result<Arc<TransportClientFactory>, FileError> {
        let mut state = self.state();
        if state.closed {
            return Err(FileError::EnvStopped);
        }
        if let Some(factory) = &state.factory {
            return Ok(Arc::clone(factory));
        }
        // The connections are the env's, whichever runtime asks first.
        let _runtime = self.runtime.enter();
        let network = Arc::clone(&self.network);
        let context = TransportContext::new(self.conf.clone(), network, Arc::new(NoRpcHandler))
            .expect("the env has checked its settings when it started");
        let factory = Arc::new(context.create_client_factory(self.bootstraps.clone()));
        state.factory = Some(Arc::clone(&factory));
        Ok(factory)
    }

    fn take_idle(&self, address: &RpcAddress) -> Option<TransportClient> {
        let mut state = self.state();
        let clients = state.idle.get_mut(address)?;
        while let Some(client) = clients.pop() {
            if client.is_active() {
                return Some(client);
            }
        }
        state.idle.remove(address);
        None
    }

    /// Keeps a connection for the next file, or closes it.
    fn put_back(&self, address: &RpcAddress, client: &TransportClient) {
        let mut state = self.state();
        if !state.closed && client.is_active() {
            state.idle.retain(|_, clients| {
                clients.retain(TransportClient::is_active);
                !clients.is_empty()
            });
            let clients = state.idle.entry(address.clone()).or_default();
            if clients.len() < self.conf.connections_per_peer {
                clients.push(client.clone());
                return;
            }
        }
        drop(state);
        client.close();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Does `work` where disks may be waited for.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let done = self.runtime.spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

impl State {
    fn note_without_checksums(&mut self, address: RpcAddress) {
        if self.without_checksums.len() >= MOST_REMEMBERED {
            self.without_checksums.clear();
        }
        self.without_checksums.insert(address);
    }
}

fn broken_off(uri: &str, source: Arc<ConnectionError>) -> FileError {
    let uri = uri.to_owned();
    FileError::BrokenOff { uri, source }
}

fn named(uri: &str, opened: Result<(StreamBody, Lease), RequestError>) -> Result<FileChannel, FileError> {
    let uri = uri.to_owned();
    match opened {
        Ok((body, lease)) => Ok(FileChannel {
            uri: uri.into(),
            body,
            lease,
        }),
        Err(RequestError::Failed { text }) if text.ends_with(DENIED) => Err(FileError::Denied { uri }),
        Err(RequestError::Failed { text }) => Err(FileError::NotServed { uri, text }),
        Err(source) => Err(FileError::Request { uri, source }),
    }
}

/// A connection that one file comes over.
struct Lease {
    client: TransportClient,
    address: RpcAddress,
    stream: String,
    downloads: Arc<Downloads>,
    /// Nothing more comes that nobody wants.
    reusable: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.reusable {
            self.downloads.put_back(&self.address, &self.client);
        } else {
            self.client.abort();
        }
    }
}

/// What has come of a file. Dropping it removes it, on a thread that may wait for a disk.
struct Part {
    file: Option<NamedTempFile>,
    /// `None` if there is nothing to compare it with.
    summing: Option<Summing>,
    runtime: Handle,
}

impl Part {
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        if let Some(summing) = &mut self.summing {
            summing.add(piece);
        }
        let file = self.file.as_mut().expect("it is taken when it is placed");
        file.as_file_mut().write_all(piece)
    }

    fn place(mut self, path: &Path) -> io::Result<()> {
        let file = self.file.take().expect("it is placed once");
        // A name that survives a power failure must not be that of an empty file.
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            self.runtime.spawn_blocking(move || drop(file));
        }
    }
}

/// Makes a file beside `path`, so that it can be renamed.
fn create_part(path: &Path, summing: Option<Summing>) -> io::Result<Part> {
    let name = path.file_name().filter(|_| !path.is_dir());
    let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::IsADirectory, "it does not name a file"))?;
    // Renaming would put a file in the place of a device or a pipe, `/dev/null` for one.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "what is there is not a regular file",
        ));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut prefix = std::ffi::OsString::from(".");
    // A long name must leave room for what makes this one its own.
    if name.len() <= LONGEST_PREFIX {
        prefix.push(name);
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        // What any new file gets: the umask is applied.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    Ok(Part {
        file: Some(builder.tempfile_in(folder.unwrap_or(Path::new(".")))?),
        summing,
        runtime: Handle::current(),
    })
}

/// Enough that going to another thread does not count.
const WRITTEN_AT_ONCE: usize = 1 << 20;
const LONGEST_PREFIX: usize = 200;
/// Servers without checksums that an env remembers.
const MOST_REMEMBERED: usize = 1024;
