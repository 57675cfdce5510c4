//! Strangers at the door: how many, for how long, and what becomes of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use spark_rpc_net::Stream;
use tokio::task::JoinSet;

use crate::TransportConf;
use crate::bootstrap::ServerBootstrap;
use crate::connections::Connections;
use crate::context::ContextParts;
use crate::guard::guarded;
use crate::link::TransportCounters;
use crate::security::{GateError, Passed, PeerIdentity};

/// Takes accepted streams through the gates of the bootstraps. Dropping it turns away all who have not passed yet.
pub(crate) struct Admission {
    door: Arc<Door>,
    guarded: bool,
    handshakes: JoinSet<()>,
    /// The last stranger was turned away; said once until there is room again.
    refusing: bool,
}

struct Door {
    parts: Arc<ContextParts>,
    bootstraps: Vec<Arc<dyn ServerBootstrap>>,
    connections: Arc<Connections>,
    waiting: Arc<Waiting>,
}

impl Admission {
    pub(crate) fn new(
        parts: &Arc<ContextParts>,
        bootstraps: Vec<Arc<dyn ServerBootstrap>>,
        connections: &Arc<Connections>,
    ) -> Self {
        Self {
            guarded: bootstraps.iter().any(|bootstrap| bootstrap.gate().is_some()),
            door: Arc::new(Door {
                parts: Arc::clone(parts),
                bootstraps,
                connections: Arc::clone(connections),
                waiting: Arc::default(),
            }),
            handshakes: JoinSet::new(),
            refusing: false,
        }
    }

    /// Connections that have been accepted and not yet passed.
    pub(crate) fn waiting(&self) -> usize {
        self.door.waiting.all()
    }

    pub(crate) fn take(&mut self, stream: Box<dyn Stream>) {
        if !self.guarded {
            self.door.start(stream, PeerIdentity::unknown());
            return;
        }
        while self.handshakes.try_join_next().is_some() {}
        let host = stream.peer().host;
        let parts = &self.door.parts;
        match Waiting::enter(&self.door.waiting, &host, &parts.conf) {
            Ok(place) => {
                self.refusing = false;
                let door = Arc::clone(&self.door);
                self.handshakes
                    .spawn_on(async move { door.admit(stream, place).await }, &parts.runtime);
            }
            Err(setting) => {
                TransportCounters::add(&parts.counters.handshakes_refused, 1);
                if !std::mem::replace(&mut self.refusing, true) {
                    let setting = parts.conf.key(setting);
                    tracing::warn!(peer = %stream.peer(), setting, "refusing connections: too many are not authenticated yet");
                }
            }
        }
    }
}

impl Door {
    async fn admit(&self, stream: Box<dyn Stream>, place: Place) {
        let peer = stream.peer();
        let limit = self.parts.conf.handshake_timeout;
        let passed = tokio::time::timeout(limit, self.pass(stream)).await;
        let passed = passed.unwrap_or_else(|_| {
            Err(GateError::TimedOut {
                limit,
                setting: self.parts.conf.key("handshakeTimeout"),
            })
        });
        match passed {
            Ok(Passed { stream, identity }) => {
                self.parts.note_session(&peer, &identity);
                drop(place);
                self.start(stream, identity);
            }
            Err(error) => {
                TransportCounters::add(&self.parts.counters.handshakes_failed, 1);
                match error {
                    // Such as a port scan, or a check that the port is open.
                    GateError::Closed => tracing::debug!(%peer, %error, "connection not authenticated"),
                    _ => tracing::warn!(%peer, %error, "connection refused: not authenticated"),
                }
            }
        }
    }

    async fn pass(&self, stream: Box<dyn Stream>) -> Result<Passed, GateError> {
        let mut so_far = Passed {
            stream,
            identity: PeerIdentity::unknown(),
        };
        for gate in self.bootstraps.iter().filter_map(|bootstrap| bootstrap.gate()) {
            let Passed { stream, identity } = gate.pass(so_far.stream).await?;
            so_far.stream = stream;
            so_far.identity.add(identity);
        }
        Ok(so_far)
    }

    fn start(&self, stream: Box<dyn Stream>, identity: PeerIdentity) {
        guarded(&stream.peer(), "handler factory", || {
            self.connections.start(stream, None, identity, |client| {
                let handler = self.parts.handlers.handler(client);
                self.bootstraps
                    .iter()
                    .fold(handler, |handler, bootstrap| bootstrap.wrap(client, handler))
            })
        });
    }
}

/// Who has been accepted and has not passed yet.
#[derive(Default)]
struct Waiting {
    hosts: Mutex<Hosts>,
}

#[derive(Default)]
struct Hosts {
    all: usize,
    by_host: BTreeMap<String, usize>,
}

impl Waiting {
    fn all(&self) -> usize {
        self.hosts().all
    }

    /// Takes a place, or names the setting that leaves none.
    fn enter(waiting: &Arc<Self>, host: &str, conf: &TransportConf) -> Result<Place, &'static str> {
        let mut hosts = waiting.hosts();
        if hosts.all >= conf.max_unauthenticated {
            return Err("maxUnauthenticated");
        }
        let of_host = hosts.by_host.get(host).copied().unwrap_or(0);
        if of_host >= conf.max_unauthenticated_per_address {
            return Err("maxUnauthenticatedPerAddress");
        }
        hosts.by_host.insert(host.to_owned(), of_host + 1);
        hosts.all += 1;
        Ok(Place {
            waiting: Arc::clone(waiting),
            host: host.to_owned(),
        })
    }

    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// One place among those who wait; given up when dropped.
struct Place {
    waiting: Arc<Waiting>,
    host: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut hosts = self.waiting.hosts();
        hosts.all -= 1;
        if let Some(of_host) = hosts.by_host.get_mut(&self.host) {
            *of_host -= 1;
            if *of_host == 0 {
                hosts.by_host.remove(&self.host);
            }
        }
    }
}

impl ContextParts {
    /// Counts and logs what protects a new connection.
    pub(crate) fn note_session(&self, peer: &spark_rpc_net::SocketName, identity: &PeerIdentity) {
        tracing::debug!(%peer, ?identity, "connection authenticated");
        let Some(mechanism) = identity.weak else { return };
        TransportCounters::add(&self.counters.weak_sessions, 1);
        if !self.said_weak.swap(true, Ordering::Relaxed) {
            tracing::warn!(%peer, mechanism, "a weak mechanism protects this connection; later ones are only counted");
        }
    }
}

/// Whether a weak mechanism has been told of.
pub(crate) type SaidWeak = AtomicBool;
