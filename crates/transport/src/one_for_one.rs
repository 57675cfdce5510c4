//! Streams whose chunks are handed out once, in order.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard};

use spark_rpc_wire::StreamChunkId;

use crate::client::TransportClient;
use crate::managed_buffer::ManagedBuffer;
use crate::stream_manager::{StreamManager, not_found};

/// Serves registered streams chunk by chunk (Spark's `OneForOneStreamManager`).
///
/// A stream belongs to the connection that it was [registered](Self::register_stream) for, and if that has proven an
/// identity, to one application. Its chunks are fetched once each, in order; with the last one the stream is forgotten,
/// and so are the streams of a connection that ends. Buffers that were not handed out are then released.
///
/// Ids are drawn anew for each stream, from the operating system's randomness, so that none can be guessed from
/// another.
///
/// One manager serves many connections; share it by an [`Arc`].
pub struct OneForOneStreamManager {
    streams: Mutex<BTreeMap<i64, Arc<StreamState>>>,
    ids: Ids,
}

/// Chunks in the order in which they are fetched; `None` stands for one that is not there.
pub type Chunks = Box<dyn Iterator<Item = Option<ManagedBuffer>> + Send>;

struct StreamState {
    app_id: Option<String>,
    connection: TransportClient,
    rest: Mutex<Rest>,
}

struct Rest {
    /// `None` while it is being asked for the next chunk, and after the last one.
    chunks: Option<std::iter::Peekable<Chunks>>,
    /// The chunk that may be fetched next.
    next: i32,
}

/// Where ids come from.
enum Ids {
    System,
    /// Predictable, for simulations.
    Seeded(Mutex<u64>),
}

impl OneForOneStreamManager {
    /// Makes a manager without streams.
    #[must_use]
    pub fn new() -> Self {
        Self::with_ids(Ids::System)
    }

    /// Makes a manager whose ids follow from `seed`. Anybody can guess them: this is for simulations.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::with_ids(Ids::Seeded(Mutex::new(seed)))
    }

    fn with_ids(ids: Ids) -> Self {
        Self {
            streams: Mutex::default(),
            ids,
        }
    }

    /// Registers a stream for `connection` and returns its id.
    ///
    /// `app_id` is the application that it belongs to: a connection with a proven identity may read it only if it is that
    /// one. `chunks` is asked for a chunk when that one or the one before is fetched, on the connection's task, so it must
    /// not block; a file is best [opened later](ManagedBuffer::path). It is dropped with the connection, whatever is left
    /// of it.
    ///
    /// A stream for a connection that has ended would never be forgotten, so it is dropped at once; its id is then as
    /// unknown as any other.
    pub fn register_stream<C>(&self, app_id: Option<String>, chunks: C, connection: &TransportClient) -> i64
    where
        C: IntoIterator<Item = Option<ManagedBuffer>>,
        C::IntoIter: Send + 'static,
    {
        let chunks: Chunks = Box::new(chunks.into_iter());
        let state = Arc::new(StreamState {
            app_id,
            connection: connection.clone(),
            rest: Mutex::new(Rest {
                chunks: Some(chunks.peekable()),
                next: 0,
            }),
        });
        let mut streams = self.streams();
        let id = loop {
            let id = self.ids.draw();
            if !streams.contains_key(&id) {
                break id;
            }
        };
        streams.insert(id, state);
        drop(streams);
        if connection.has_ended() {
            let forgotten = self.streams().remove(&id);
            drop(forgotten);
        }
        id
    }

    /// Streams that are registered and not read to their end.
    #[must_use]
    pub fn streams_held(&self) -> usize {
        self.streams().len()
    }

    fn authorized(&self, client: &TransportClient, stream_id: i64) -> Result<Arc<StreamState>, String> {
        let known = self.streams().get(&stream_id).cloned();
        let state = known.ok_or("java.lang.IllegalArgumentException: Unknown stream ID.")?;
        if state.connection != *client {
            return Err(format!(
                "java.lang.SecurityException: Channel not authorized to read stream {stream_id}: streams may only be \
                 read from the connection that registered them."
            ));
        }
        if let Some(client_id) = client.client_id()
            && state.app_id.as_deref() != Some(client_id)
        {
            let app_id = state.app_id.as_deref().unwrap_or("null");
            return Err(format!(
                "java.lang.SecurityException: Client {client_id} not authorized to read stream {stream_id} (app {app_id})."
            ));
        }
        Ok(state)
    }

    /// Takes the next chunk, which must be the one with `index`; `None` is a chunk that is not there.
    fn take(&self, client: &TransportClient, id: StreamChunkId) -> Result<Option<ManagedBuffer>, String> {
        let StreamChunkId {
            stream_id,
            chunk_index,
        } = id;
        let state = self.authorized(client, stream_id)?;
        let mut chunks = {
            let mut rest = state.rest();
            if rest.next != chunk_index {
                return Err(format!(
                    "java.lang.IllegalStateException: Received out-of-order chunk index {chunk_index} (expected {})",
                    rest.next
                ));
            }
            let Some(chunks) = rest.chunks.take() else {
                return Err(beyond_end(chunk_index));
            };
            rest.next = rest.next.saturating_add(1);
            chunks
        };
        // The iterator is the registering side's code, which runs under no lock.
        let chunk = chunks.next();
        if chunk.is_some() && chunks.peek().is_some() {
            state.rest().chunks = Some(chunks);
        } else {
            self.streams().remove(&stream_id);
        }
        chunk.ok_or_else(|| beyond_end(chunk_index))
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<i64, Arc<StreamState>>> {
        self.streams
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl StreamManager for OneForOneStreamManager {
    fn check_authorization(&self, client: &TransportClient, stream_id: i64) -> Result<(), String> {
        self.authorized(client, stream_id).map(drop)
    }

    fn get_chunk(&self, client: &TransportClient, id: StreamChunkId) -> Result<ManagedBuffer, String> {
        self.take(client, id)?
            .ok_or_else(|| "java.lang.IllegalStateException: Chunk was not found".to_owned())
    }

    fn check_stream_authorization(&self, client: &TransportClient, stream_id: &str) -> Result<(), String> {
        self.check_authorization(client, parse(stream_id)?.stream_id)
    }

    /// Opens the stream called `<stream id>_<chunk index>`, which is that chunk.
    fn open_stream(&self, client: &TransportClient, stream_id: &str) -> Result<ManagedBuffer, String> {
        self.take(client, parse(stream_id)?)?
            .ok_or_else(|| not_found(stream_id))
    }

    fn connection_terminated(&self, client: &TransportClient) {
        let mut gone = Vec::new();
        self.streams().retain(|_, state| {
            let stays = state.connection != *client;
            if !stays {
                gone.push(Arc::clone(state));
            }
            stays
        });
        let mut failure: Option<Box<dyn Any + Send>> = None;
        for state in gone {
            // Dropped and not read to its end: what is not there yet need not be made to be released.
            let chunks = state.rest().chunks.take();
            let released = catch_unwind(AssertUnwindSafe(|| drop(chunks)));
            failure = failure.or(released.err());
        }
        if let Some(failure) = failure {
            resume_unwind(failure);
        }
    }
}

impl StreamState {
    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Ids {
    /// Never negative, as in Spark.
    fn draw(&self) -> i64 {
        let bits = match self {
            Ids::System => getrandom::u64().expect("the operating system has randomness"),
            Ids::Seeded(state) => {
                // SplitMix64: a full period, so that ids hardly ever meet.
                let mut state = state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut bits = *state;
                bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                bits ^ (bits >> 31)
            }
        };
        (bits >> 1) as i64
    }
}

fn beyond_end(chunk_index: i32) -> String {
    format!("java.lang.IllegalStateException: Requested chunk index beyond end {chunk_index}")
}

fn parse(stream_id: &str) -> Result<StreamChunkId, String> {
    let parts = stream_id.split_once('_').and_then(|(stream, chunk)| {
        Some(StreamChunkId {
            stream_id: stream.parse().ok()?,
            chunk_index: chunk.parse().ok()?,
        })
    });
    parts.ok_or_else(|| {
        "java.lang.IllegalArgumentException: Stream id and chunk index should be specified.".to_owned()
    })
}

impl Default for OneForOneStreamManager {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for OneForOneStreamManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneForOneStreamManager")
            .field("streams", &self.streams_held())
            .finish_non_exhaustive()
    }
}
