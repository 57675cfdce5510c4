//! The connections of one server or one client factory, and their tasks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use spark_rpc_net::{SocketName, Stream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::client::TransportClient;
use crate::context::ContextParts;
use crate::driver::Driver;
use crate::error::ConnectionError;
use crate::handler::RpcHandler;
use crate::link::{Shared, TransportCounters};
use crate::security::PeerIdentity;

/// Owns the tasks of its connections: dropping it aborts them.
pub(crate) struct Connections {
    parts: Arc<ContextParts>,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    open: BTreeMap<u64, Entry>,
    closed: bool,
}

struct Entry {
    client: TransportClient,
    /// `None` for a moment, until the task has been spawned.
    task: Option<AbortHandle>,
}

impl Connections {
    pub(crate) fn new(parts: Arc<ContextParts>) -> Arc<Self> {
        Arc::new(Self {
            parts,
            inner: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Starts to drive `stream`; `None` if this set has been closed, or the runtime has ended. `peer` names the other end, if the socket's own
    /// name for it is not what the users know it by. `identity` is what the peer has proven.
    pub(crate) fn start(
        self: &Arc<Self>,
        stream: Box<dyn Stream>,
        peer: Option<SocketName>,
        identity: PeerIdentity,
        handler: impl FnOnce(&TransportClient) -> Box<dyn RpcHandler>,
    ) -> Option<TransportClient> {
        let parts = &self.parts;
        let id = parts.next_id();
        let shared = Shared::new(
            id,
            peer.unwrap_or_else(|| stream.peer()),
            stream.local(),
            Arc::clone(&parts.conf),
            Arc::clone(&parts.pool),
            Arc::clone(&parts.counters),
        );
        let client = TransportClient::new(Arc::new(shared));
        client.set_identity(identity);
        let handler = handler(&client);
        {
            let mut inner = self.inner();
            if inner.closed {
                return None;
            }
            TransportCounters::add(&parts.counters.connections_opened, 1);
            let entry = Entry {
                client: client.clone(),
                task: None,
            };
            inner.open.insert(id, entry);
        }
        let driver = Driver::new(client.clone(), stream, handler, Arc::downgrade(self));
        // Not under the lock: a runtime that has ended drops the driver here and now, which reports its end.
        let task = parts.runtime.spawn(driver).abort_handle();
        match self.inner().open.get_mut(&id) {
            Some(entry) => entry.task = Some(task),
            // It has already ended, or has just been aborted together with the others.
            None => task.abort(),
        }
        let never_ran = matches!(
            client.shared().link().ended.as_deref(),
            Some(ConnectionError::Aborted { .. })
        );
        (!never_ran).then_some(client)
    }

    pub(crate) fn len(&self) -> usize {
        self.inner().open.len()
    }

    /// A driver reports that it is done.
    pub(crate) fn ended(&self, id: u64) {
        let entry = self.inner().open.remove(&id);
        drop(entry);
        self.changed.notify_waiters();
    }

    /// Takes no further connections, closes those that are open, and waits for their end; those that take longer than
    /// `limit` are aborted. Returns how many those were.
    pub(crate) async fn close(&self, limit: Duration) -> usize {
        let open: Vec<TransportClient> = {
            let mut inner = self.inner();
            inner.closed = true;
            inner.open.values().map(|entry| entry.client.clone()).collect()
        };
        open.iter().for_each(TransportClient::close);
        let all_ended = async {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                if self.len() == 0 {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(limit, all_ended).await.is_ok() {
            return 0;
        }
        self.abort()
    }

    /// Ends every connection at once; returns how many there were.
    pub(crate) fn abort(&self) -> usize {
        let open = {
            let mut inner = self.inner();
            inner.closed = true;
            std::mem::take(&mut inner.open)
        };
        open.values().for_each(|entry| {
            entry.client.abort();
            entry.task.iter().for_each(AbortHandle::abort);
        });
        open.len()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.abort();
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("open", &self.len())
            .finish_non_exhaustive()
    }
}
