//! Connections to peers, opened once and shared.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use spark_rpc_engine::{ClientPool, Pick};
use spark_rpc_net::{SocketName, Stream};
use tokio::sync::Notify;

use crate::bootstrap::ClientBootstrap;
use crate::client::TransportClient;
use crate::connections::Connections;
use crate::context::ContextParts;
use crate::error::ConnectError;
use crate::link::now;
use crate::security::{Passed, PeerIdentity};

/// Opens connections and keeps them for reuse (Spark's `TransportClientFactory`).
///
/// Each address has a fixed number of places for connections; callers that meet in one place share one attempt, and its
/// failure. A connection that has died is replaced when somebody asks for it. Dropping the factory ends its
/// connections.
pub struct TransportClientFactory {
    parts: Arc<ContextParts>,
    bootstraps: Vec<Arc<dyn ClientBootstrap>>,
    peers: Mutex<Peers>,
    connections: Arc<Connections>,
    closed: AtomicBool,
    /// Ends attempts under way.
    closing: Notify,
}

struct Peers {
    known: BTreeMap<(String, u16), Arc<Peer>>,
    /// With so many addresses, those without a connection are forgotten.
    clean_at: usize,
}

struct Peer {
    pool: Mutex<Pool>,
    changed: Notify,
    turn: AtomicUsize,
}

struct Pool {
    clients: ClientPool<TransportClient>,
    /// Of each place, how many attempts have failed and how the last one did.
    failures: Vec<(u64, Option<ConnectError>)>,
}

impl TransportClientFactory {
    pub(crate) fn new(parts: &Arc<ContextParts>, bootstraps: Vec<Arc<dyn ClientBootstrap>>) -> Self {
        Self {
            parts: Arc::clone(parts),
            bootstraps,
            peers: Mutex::default(),
            connections: Connections::new(Arc::clone(parts)),
            closed: AtomicBool::new(false),
            closing: Notify::new(),
        }
    }

    /// Returns a live connection to `host:port`, opening one if needed.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says whether the network, a bootstrap or this factory's own end was the cause.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up an attempt that only this caller waited for; another one waiting takes over.
    pub async fn create_client(&self, host: &str, port: u16) -> Result<TransportClient, ConnectError> {
        self.client(host, port, false).await
    }

    /// Like [`create_client`](Self::create_client), but fails at once when the last attempt failed moments ago (within
    /// 95 % of the setting `io.retryWait`).
    ///
    /// # Errors
    ///
    /// Also [`ConnectError::FastFail`].
    ///
    /// # Cancel safety
    ///
    /// As [`create_client`](Self::create_client).
    pub async fn create_client_fast_fail(
        &self,
        host: &str,
        port: u16,
    ) -> Result<TransportClient, ConnectError> {
        self.client(host, port, true).await
    }

    /// Opens a new connection that nobody else is given.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the attempt.
    pub async fn create_unmanaged_client(
        &self,
        host: &str,
        port: u16,
    ) -> Result<TransportClient, ConnectError> {
        let address = SocketName {
            host: host.to_owned(),
            port,
        };
        self.while_open(&address, self.open(&address)).await
    }

    /// Connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Opens nothing more, ends attempts under way with [`ConnectError::FactoryClosed`], lets open connections write what
    /// is queued, and closes them; those that take longer than `limit` are aborted. Returns how many those were.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the connections closing.
    pub async fn close(&self, limit: Duration) -> usize {
        self.end_attempts();
        let count = self.connections.close(limit).await;
        self.forget_peers();
        count
    }

    /// Ends everything at once; returns how many connections were open.
    pub fn abort(&self) -> usize {
        self.end_attempts();
        let count = self.connections.abort();
        self.forget_peers();
        count
    }

    async fn client(&self, host: &str, port: u16, fast_fail: bool) -> Result<TransportClient, ConnectError> {
        let address = SocketName {
            host: host.to_owned(),
            port,
        };
        let peer = self.peer(host, port);
        self.while_open(&address, self.pooled(&address, &peer, fast_fail))
            .await
    }

    async fn pooled(
        &self,
        address: &SocketName,
        peer: &Peer,
        fast_fail: bool,
    ) -> Result<TransportClient, ConnectError> {
        let slot = peer.turn.fetch_add(1, Ordering::Relaxed) % self.parts.conf.connections_per_peer;
        let mut waited_for = None;
        loop {
            let mut changed = std::pin::pin!(peer.changed.notified());
            changed.as_mut().enable();
            let pick = {
                let mut pool = peer.pool();
                if let (Some(attempt), (last, Some(error))) = (waited_for, &pool.failures[slot])
                    && attempt != *last
                {
                    // Trying again one after the other, the last in line would wait many times the limit.
                    return Err(error.clone());
                }
                waited_for = Some(pool.failures[slot].0);
                pool.clients.pick(slot, fast_fail, now())
            };
            match pick {
                Pick::Reuse(client) => {
                    client.touch();
                    if client.is_active() {
                        return Ok(client);
                    }
                    peer.pool().clients.discard(slot, |held| *held == client);
                }
                Pick::Wait => changed.await,
                Pick::FailFast { since, window } => {
                    return Err(ConnectError::FastFail {
                        address: address.clone(),
                        since,
                        window,
                    });
                }
                Pick::Connect => {
                    let mut attempt = Attempt {
                        peer,
                        slot,
                        failure: None,
                        done: false,
                    };
                    let result = self.open(address).await;
                    match &result {
                        Ok(client) => attempt.succeed(client.clone()),
                        Err(error) => attempt.failure = Some(error.clone()),
                    }
                    return result;
                }
            }
        }
    }

    async fn open(&self, address: &SocketName) -> Result<TransportClient, ConnectError> {
        let client = self.limited(address, self.connect(address)).await?;
        let bootstrapped = async {
            for bootstrap in &self.bootstraps {
                bootstrap
                    .bootstrap(&client)
                    .await
                    .map_err(|reason| ConnectError::Bootstrap {
                        address: address.clone(),
                        bootstrap: bootstrap.name(),
                        reason,
                    })?;
            }
            Ok(())
        };
        let mut unfinished = CloseUnlessDone(Some(client.clone()));
        self.limited(address, bootstrapped).await?;
        unfinished.0 = None;
        Ok(client)
    }

    async fn connect(&self, address: &SocketName) -> Result<TransportClient, ConnectError> {
        let options = self.parts.socket_options();
        let stream = self
            .parts
            .network
            .connect(&address.host, address.port, &options)
            .await;
        let stream = stream.map_err(|error| ConnectError::Network {
            address: address.clone(),
            source: Arc::new(error),
        })?;
        let Passed { stream, identity } = self.pass_gates(stream, address).await?;
        self.connections
            .start(stream, Some(address.clone()), identity, |client| {
                self.parts.handlers.handler(client)
            })
            .ok_or_else(|| ConnectError::FactoryClosed {
                address: address.clone(),
            })
    }

    async fn pass_gates(
        &self,
        stream: Box<dyn Stream>,
        address: &SocketName,
    ) -> Result<Passed, ConnectError> {
        let mut so_far = Passed {
            stream,
            identity: PeerIdentity::unknown(),
        };
        for bootstrap in &self.bootstraps {
            let Some(gate) = bootstrap.gate() else { continue };
            let passed = gate.pass(so_far.stream, &address.host).await;
            let passed = passed.map_err(|error| ConnectError::Bootstrap {
                address: address.clone(),
                bootstrap: bootstrap.name(),
                reason: error.to_string(),
            })?;
            so_far.stream = passed.stream;
            so_far.identity.add(passed.identity);
        }
        if so_far.identity != PeerIdentity::unknown() {
            self.parts.note_session(address, &so_far.identity);
        }
        Ok(so_far)
    }

    async fn limited<T>(
        &self,
        address: &SocketName,
        work: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        let Some(limit) = self.parts.conf.connection_creation_timeout else {
            return work.await;
        };
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let setting = self.parts.conf.key("connectionCreationTimeout");
            Err(ConnectError::TimedOut {
                address: address.clone(),
                limit,
                setting,
            })
        })
    }

    /// Does `work` unless the factory is closed before or meanwhile.
    async fn while_open<T>(
        &self,
        address: &SocketName,
        work: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        let mut closing = std::pin::pin!(self.closing.notified());
        closing.as_mut().enable();
        self.check_open(address)?;
        let mut work = std::pin::pin!(work);
        poll_fn(|cx| match closing.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(ConnectError::FactoryClosed {
                address: address.clone(),
            })),
            Poll::Pending => work.as_mut().poll(cx),
        })
        .await
    }

    fn end_attempts(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.closing.notify_waiters();
    }

    fn check_open(&self, address: &SocketName) -> Result<(), ConnectError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(ConnectError::FactoryClosed {
                address: address.clone(),
            });
        }
        Ok(())
    }

    fn peer(&self, host: &str, port: u16) -> Arc<Peer> {
        let mut peers = self.peers();
        let address = (host.to_owned(), port);
        if let Some(peer) = peers.known.get(&address) {
            return Arc::clone(peer);
        }
        if peers.known.len() >= peers.clean_at {
            // Whoever holds one is about to use it.
            peers
                .known
                .retain(|_, peer| Arc::strong_count(peer) > 1 || peer.has_live_connection());
            // Where most are alive, the next look is worth its cost only after as many more.
            peers.clean_at = PEERS_BEFORE_CLEANING.max(2 * peers.known.len());
        }
        let conf = &self.parts.conf;
        let peer = Arc::new(Peer {
            pool: Mutex::new(Pool {
                clients: ClientPool::new(conf.connections_per_peer, conf.fast_fail_window()),
                failures: vec![(0, None); conf.connections_per_peer],
            }),
            changed: Notify::new(),
            turn: AtomicUsize::new(0),
        });
        peers.known.insert(address, Arc::clone(&peer));
        peer
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn forget_peers(&self) {
        for peer in std::mem::take(&mut self.peers().known).into_values() {
            peer.pool().clients.drain();
            peer.changed.notify_waiters();
        }
    }
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            clean_at: PEERS_BEFORE_CLEANING,
        }
    }
}

impl Peer {
    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn has_live_connection(&self) -> bool {
        self.pool().clients.held().any(TransportClient::is_active)
    }
}

impl Drop for TransportClientFactory {
    fn drop(&mut self) {
        self.abort();
    }
}

impl fmt::Debug for TransportClientFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportClientFactory")
            .field("peers", &self.peers().known.len())
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// One attempt to fill a place; ends the others' wait also when it is dropped half-way.
struct Attempt<'a> {
    peer: &'a Peer,
    slot: usize,
    /// `None` if it was given up.
    failure: Option<ConnectError>,
    done: bool,
}

impl Attempt<'_> {
    fn succeed(&mut self, client: TransportClient) {
        self.done = true;
        let mut pool = self.peer.pool();
        pool.clients.connected(self.slot, client);
        pool.failures[self.slot].1 = None;
        drop(pool);
        self.peer.changed.notify_waiters();
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.done {
            let mut pool = self.peer.pool();
            let network = self.failure.as_ref().is_some_and(ConnectError::is_network);
            pool.clients.failed(self.slot, network, now());
            if let Some(failure) = self.failure.take() {
                let (attempts, last) = &mut pool.failures[self.slot];
                *attempts += 1;
                *last = Some(failure);
            }
            drop(pool);
            self.peer.changed.notify_waiters();
        }
    }
}

/// Ends a connection whose bootstraps did not finish.
struct CloseUnlessDone(Option<TransportClient>);

impl Drop for CloseUnlessDone {
    fn drop(&mut self) {
        if let Some(client) = &self.0 {
            client.abort();
        }
    }
}

/// So many addresses are kept without a look at them.
const PEERS_BEFORE_CLEANING: usize = 1024;
