//! The file, as streams or as chunks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use spark_rpc::RpcEnv;
use spark_rpc::transport::wire::StreamChunkId;
use spark_rpc::transport::{TransportClient, TransportClientFactory};
use tokio::task::JoinSet;

use super::server::BulkServer;
use super::source;
use crate::bench::plan::Plan;
use crate::exit::Failure;

/// One way to get the file.
pub(crate) enum Download {
    Streams {
        env: RpcEnv,
        uri: String,
        at_once: usize,
    },
    Chunks {
        client: TransportClient,
        _factory: TransportClientFactory,
        chunk: u64,
        length: u64,
        at_once: usize,
    },
}

impl Download {
    /// As streams, each over a connection of its own.
    pub(crate) fn streams(server: &BulkServer, plan: &Plan) -> Self {
        Self::Streams {
            env: server.env.clone(),
            uri: server.stream().to_owned(),
            at_once: plan.in_flight,
        }
    }

    /// As chunks over one connection.
    pub(crate) async fn chunks(server: &BulkServer, plan: &Plan) -> Result<Self, Failure> {
        let (client, factory) = server.chunks(plan).await?;
        Ok(Self::Chunks {
            client,
            _factory: factory,
            chunk: plan.chunk,
            length: plan.size as u64,
            at_once: plan.in_flight,
        })
    }

    /// Gets the file again and again until `time` has passed, once at least; returns the bytes.
    pub(crate) async fn run(&mut self, time: Duration) -> Result<u64, Failure> {
        let end = Instant::now() + time;
        match self {
            Self::Streams { env, uri, at_once } => {
                let mut readers = JoinSet::new();
                for _ in 0..*at_once {
                    readers.spawn(read_stream(env.clone(), uri.clone(), end));
                }
                sum(readers).await
            }
            Self::Chunks {
                client,
                chunk,
                length,
                at_once,
                ..
            } => {
                let next = Arc::new(AtomicU64::new(0));
                let mut readers = JoinSet::new();
                for block in blocks(*at_once) {
                    readers.spawn(read_chunks(
                        client.clone(),
                        *chunk,
                        *length,
                        block,
                        Arc::clone(&next),
                        end,
                    ));
                }
                sum(readers).await
            }
        }
    }
}

async fn read_stream(env: RpcEnv, uri: String, end: Instant) -> Result<u64, Failure> {
    let mut bytes = 0;
    loop {
        let mut file = env.open_channel(&uri).await.map_err(Failure::no)?;
        while let Some(piece) = file.chunk().await.map_err(Failure::no)? {
            bytes += piece.len() as u64;
        }
        if Instant::now() >= end {
            return Ok(bytes);
        }
    }
}

/// Fetches the `block` chunks that are `next`, asked for together, until the time is over and the file has been read once.
async fn read_chunks(
    client: TransportClient,
    chunk: u64,
    length: u64,
    block: usize,
    next: Arc<AtomicU64>,
    end: Instant,
) -> Result<u64, Failure> {
    let chunks = length.div_ceil(chunk);
    let mut bytes = 0;
    loop {
        let first = next.fetch_add(block as u64, Ordering::Relaxed);
        if first >= chunks && Instant::now() >= end {
            return Ok(bytes);
        }
        let block =
            (first..first + block as u64).map(|number| fetch_chunk(&client, chunk, length, number % chunks));
        bytes += try_join_all(block).await?.into_iter().sum::<u64>();
    }
}

/// How many chunks are asked for together, for each of those who ask.
fn blocks(at_once: usize) -> impl Iterator<Item = usize> {
    let askers = at_once.min(ASKERS);
    (0..askers).map(move |asker| (at_once + asker) / askers)
}

/// Fetches one chunk and looks whether it is the right one; returns its bytes.
pub(crate) async fn fetch_chunk(
    client: &TransportClient,
    chunk: u64,
    length: u64,
    index: u64,
) -> Result<u64, Failure> {
    let id = StreamChunkId {
        stream_id: i64::try_from(chunk).unwrap_or(i64::MAX),
        chunk_index: i32::try_from(index).map_err(|_| Failure::usage("--chunk: there would be too many"))?,
    };
    let fetched = client.fetch_chunk(id, Some(super::LIMIT)).await;
    let fetched = fetched.map_err(Failure::no)?;
    let offset = index * chunk;
    let expected = chunk.min(length - offset);
    if fetched.len() as u64 != expected || !source::is_from(&fetched, offset) {
        return Err(Failure::no(format_args!(
            "chunk {index} is not what it should be"
        )));
    }
    Ok(expected)
}

async fn sum(mut readers: JoinSet<Result<u64, Failure>>) -> Result<u64, Failure> {
    let mut bytes = 0;
    while let Some(read) = readers.join_next().await {
        bytes += read.map_err(Failure::no)??;
    }
    Ok(bytes)
}

/// Chunks belong to blocks, and whoever wants a list of blocks asks for all of their chunks at once, as Spark does. While one
/// list is on its way, the next ones have been asked for.
const ASKERS: usize = 4;
