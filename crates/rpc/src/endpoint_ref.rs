//! References: the same value and the same methods, near and far.

mod local;
mod remote;
mod wire;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use spark_rpc_transport::{MAX_TIME, TransportClient};

use self::remote::header;
use crate::address::RpcEndpointAddress;
use crate::ask::{AbortHandle, Ask, Meta, State};
use crate::codec::PeerMemory;
use crate::config::RpcTimeout;
use crate::env::EnvShared;
use crate::error::{AskError, Handled, SendError};
use crate::mailbox::{Mailbox, now};
use crate::message::{OneWay, Request};
use crate::outbox::Peer;
use crate::parcel::LocalOneWay;

/// A reference to an endpoint (Spark's `RpcEndpointRef`).
///
/// It is small and cheap to clone, works the same whether the endpoint is in this env or in another one, and can be a
/// field of a message: the receiver gets a reference that works there. One to an endpoint of a client-mode env then
/// works over the connection that it came on. Its text is a `spark://` URI.
///
/// Two references are equal when they name the same endpoint of the same env; how they lead there does not count.
///
/// # Order and delivery
///
/// Messages are delivered at most once, and never sent again by themselves. Those from one env to one endpoint arrive in
/// the order in which they were sent, as long as the connection lives; see `docs/semantics.md`.
#[derive(Clone)]
pub struct RpcEndpointRef {
    inner: Arc<RefInner>,
}

struct RefInner {
    address: RpcEndpointAddress,
    /// Which env the endpoint is in, if its text does not tell: client-mode envs have no address.
    env_id: u64,
    route: Route,
}

/// How messages get there.
enum Route {
    /// The endpoint is in this env.
    Local(LocalRoute),
    Remote(RemoteRoute),
    /// Nowhere: the reference was read outside of an env, or names a client-mode env of somebody else.
    None(Option<Arc<EnvShared>>),
}

struct LocalRoute {
    env: Arc<EnvShared>,
    /// The mailbox that had the name when the reference was made.
    mailbox: Option<Arc<dyn Mailbox>>,
}

struct RemoteRoute {
    env: Arc<EnvShared>,
    /// The connection that the reference came on.
    connection: Option<TransportClient>,
    peer: Option<Arc<Peer>>,
    /// The envelope that stands before every message.
    header: Box<[u8]>,
    memory: Arc<PeerMemory>,
}

impl RpcEndpointRef {
    pub(crate) fn local(env: Arc<EnvShared>, name: &str, mailbox: Option<Arc<dyn Mailbox>>) -> Self {
        let address = RpcEndpointAddress::new(name, env.address().cloned());
        let env_id = env.id;
        Self::new(address, env_id, Route::Local(LocalRoute { env, mailbox }))
    }

    /// A reference to an endpoint at `address`; local if that is the env's own.
    pub(crate) fn at(env: &Arc<EnvShared>, address: RpcEndpointAddress) -> Self {
        // An endpoint of a client-mode env has no address, and its own env knows it by that.
        if address.address() == env.address() {
            return Self::local(
                Arc::clone(env),
                address.name(),
                env.dispatcher.find(address.name()).ok(),
            );
        }
        Self::remote(env, address, 0, None)
    }

    fn remote(
        env: &Arc<EnvShared>,
        address: RpcEndpointAddress,
        env_id: u64,
        connection: Option<(TransportClient, Arc<PeerMemory>)>,
    ) -> Self {
        let peer = address.address().map(|address| env.peer(address));
        let header = header(env, &address);
        let (connection, memory) = match (connection, &peer) {
            (Some((connection, memory)), _) => (Some(connection), Some(memory)),
            (None, Some(peer)) => (None, Some(Arc::clone(&peer.memory))),
            (None, None) => (None, None),
        };
        let route = match (header, memory) {
            (Ok(header), Some(memory)) => Route::Remote(RemoteRoute {
                env: Arc::clone(env),
                connection,
                peer,
                header,
                memory,
            }),
            _ => Route::None(Some(Arc::clone(env))),
        };
        Self::new(address, env_id, route)
    }

    fn new(address: RpcEndpointAddress, env_id: u64, route: Route) -> Self {
        Self {
            inner: Arc::new(RefInner {
                address,
                env_id,
                route,
            }),
        }
    }

    /// The endpoint's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.inner.address.name()
    }

    /// The endpoint's address.
    #[must_use]
    pub fn address(&self) -> &RpcEndpointAddress {
        &self.inner.address
    }

    /// Whether the endpoint is in the env that this reference belongs to.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self.inner.route, Route::Local(_))
    }

    /// The mailbox of an endpoint of this env that had the name when the reference was made.
    pub(crate) fn mailbox(&self) -> Option<&Arc<dyn Mailbox>> {
        match &self.inner.route {
            Route::Local(route) => route.mailbox.as_ref(),
            Route::Remote(_) | Route::None(_) => None,
        }
    }

    /// What is remembered of the peer that the reference leads to.
    pub(crate) fn memory(&self) -> Option<&Arc<PeerMemory>> {
        match &self.inner.route {
            Route::Remote(route) => Some(&route.memory),
            Route::Local(_) | Route::None(_) => None,
        }
    }

    pub(crate) fn env(&self) -> Option<&Arc<EnvShared>> {
        match &self.inner.route {
            Route::Local(route) => Some(&route.env),
            Route::Remote(route) => Some(&route.env),
            Route::None(env) => env.as_ref(),
        }
    }

    /// Sends a one-way message.
    ///
    /// Returns at once: the message is queued, or refused with an error. It is delivered at most once, and whether it was
    /// handled is not known. To wait for room instead of an error, use [`send_wait`](Self::send_wait).
    ///
    /// # Errors
    ///
    /// [`SendError`]: the message was not sent. For an endpoint in another env nothing is known of it yet, so a missing
    /// endpoint is no error here; that env counts and logs it.
    #[inline]
    pub fn send<M: OneWay>(&self, message: M) -> Result<(), SendError> {
        match &self.inner.route {
            Route::Local(route) => match self.post_one_way(route, &mut LocalOneWay(Some(message))) {
                Ok(()) => Ok(()),
                Err(error) => Err(self.refused(route, M::NAME, &error)),
            },
            Route::Remote(route) => self.send_remote(route, &message),
            Route::None(_) => Err(self.no_route()),
        }
    }

    /// Sends a one-way message, waiting for room where [`send`](Self::send) fails with [`SendError::Full`]; at most for
    /// the env's ask timeout.
    ///
    /// # Errors
    ///
    /// [`SendError`]: the message was not sent.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, the message was not sent.
    pub async fn send_wait<M: OneWay>(&self, message: M) -> Result<(), SendError> {
        let Some(env) = self.env() else {
            return Err(self.no_route());
        };
        let deadline = tokio::time::Instant::now() + env.conf.ask_timeout.duration;
        let mut local = LocalOneWay(Some(message));
        loop {
            let result = match &self.inner.route {
                Route::Local(route) => self
                    .post_one_way(route, &mut local)
                    .map_err(|error| self.local_send_error(M::NAME, &error)),
                Route::Remote(route) => match &local.0 {
                    Some(message) => self.send_remote(route, message),
                    None => Ok(()),
                },
                Route::None(_) => Err(self.no_route()),
            };
            let Err(full @ SendError::Full { .. }) = result else {
                return result;
            };
            if tokio::time::timeout_at(deadline, self.room(size_of::<M>()))
                .await
                .is_err()
            {
                if let Route::Local(route) = &self.inner.route {
                    self.count_refused(route, M::NAME, &full);
                }
                return Err(full);
            }
        }
    }

    /// Sends `message` and returns the wait for its reply, at most for the env's ask timeout
    /// (`spark.rpc.askTimeout`).
    ///
    /// The message is on its way when this returns, in order with other messages to the same endpoint; only when the inbox
    /// near, or the queue of a connection, is full does it wait for room, while the future is polled, and others may pass it.
    /// Where too much waits for a connection already, it fails with [`AskError::Rejected`]. It is sent at most once and
    /// never again. The timeout runs from now and covers connecting, queueing and the handler's own work. A
    /// handler that awaits an ask to its own serial endpoint waits for itself, until the timeout.
    ///
    /// # Errors
    ///
    /// The future ends with [`AskError`]; [`AskError::handled`] says whether the message was handled.
    ///
    /// # Examples
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use spark_rpc::{RpcEndpointRef, RpcMessage};
    /// # #[derive(Serialize, Deserialize, RpcMessage)]
    /// # #[rpc(reply = u64)]
    /// # struct Count;
    /// # async fn example(counter: RpcEndpointRef) -> Result<(), spark_rpc::AskError> {
    /// let count: u64 = counter.ask(Count).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn ask<M: Request>(&self, message: M) -> Ask<M::Reply> {
        let timeout = match self.env() {
            Some(env) => Arc::clone(&env.ask_timeout),
            None => Arc::new(RpcTimeout::new(Duration::ZERO, "spark.rpc.askTimeout")),
        };
        self.ask_timeout(message, timeout)
    }

    /// Like [`ask`](Self::ask), with a limit of its own: a `Duration`, or an [`RpcTimeout`] that names its setting.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    pub fn ask_within<M: Request>(&self, message: M, timeout: impl Into<RpcTimeout>) -> Ask<M::Reply> {
        self.ask_timeout(message, Arc::new(within_reach(timeout.into())))
    }

    /// Like [`ask_within`](Self::ask_within), with a handle that ends the wait from elsewhere.
    pub fn ask_abortable<M: Request>(
        &self,
        message: M,
        timeout: impl Into<RpcTimeout>,
    ) -> (Ask<M::Reply>, AbortHandle) {
        let mut ask = self.ask_within(message, timeout);
        let handle = ask.abort_handle();
        (ask, handle)
    }

    /// Asks again when an attempt fails, up to `spark.rpc.numRetries` times with `spark.rpc.retry.wait` in between, as
    /// Spark did up to 2.2.
    ///
    /// **The receiver must be idempotent**: an attempt whose reply was lost may have been handled. Failures that would
    /// repeat for certain (an unknown message, a message that cannot be encoded) are not tried again.
    ///
    /// # Errors
    ///
    /// [`AskError::RetriesExhausted`] with the last attempt's error, or that error itself if it would repeat and no
    /// attempt can have been handled.
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask): attempts already sent may be handled.
    pub async fn ask_with_retry<M: Request + Clone>(
        &self,
        message: M,
        timeout: impl Into<RpcTimeout>,
    ) -> Result<M::Reply, AskError> {
        let Some(env) = self.env() else {
            return Err(self.no_route_ask());
        };
        let timeout = Arc::new(within_reach(timeout.into()));
        let attempts = env.conf.num_retries;
        let mut attempt = 1;
        // The last error says nothing about the attempts before it.
        let mut maybe_handled = false;
        loop {
            let error = match self.ask_timeout(message.clone(), Arc::clone(&timeout)).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if repeats(&error) && !maybe_handled {
                return Err(error);
            }
            maybe_handled |= error.handled() != Handled::No;
            tracing::warn!(endpoint = %self, message = M::NAME, attempt, %error, "an attempt of ask_with_retry failed");
            if attempt == attempts || repeats(&error) {
                return Err(AskError::RetriesExhausted {
                    message: M::NAME,
                    attempts: attempt,
                    last: Box::new(error),
                });
            }
            attempt += 1;
            tokio::time::sleep(env.conf.retry_wait).await;
        }
    }

    fn ask_timeout<M: Request>(&self, message: M, timeout: Arc<RpcTimeout>) -> Ask<M::Reply> {
        let meta = Meta {
            reference: self.clone(),
            message: M::NAME,
            timeout,
            began: now(),
        };
        let state = match &self.inner.route {
            Route::Local(route) => self.ask_local(route, message, &meta),
            Route::Remote(route) => self.ask_remote(route, message, &meta),
            Route::None(_) => State::Failed(Some(self.no_route_ask())),
        };
        Ask::new(state, meta, M::JAVA_REPLY)
    }

    /// Waits until one more message might find room, which weighs `bytes` if the endpoint is in this env.
    async fn room(&self, bytes: usize) {
        match &self.inner.route {
            Route::Local(LocalRoute { mailbox, env }) => {
                if let Some(mailbox) = env.dispatcher.current(mailbox.as_ref(), self.name()) {
                    crate::mailbox::room(&*mailbox, bytes).await;
                }
            }
            Route::Remote(route) => {
                let client = match (&route.connection, &route.peer) {
                    (Some(client), _) if client.is_active() => Some(client.clone()),
                    (_, Some(peer)) => peer.connection(),
                    _ => None,
                };
                match client {
                    Some(client) => client.wait_for_room().await,
                    // The outbox is full: it empties when the connection is there, or has failed.
                    None => tokio::time::sleep(ROOM_PAUSE).await,
                }
            }
            Route::None(_) => {}
        }
        tokio::task::yield_now().await;
    }

    fn no_route(&self) -> SendError {
        SendError::NoRoute {
            endpoint: self.address().clone(),
        }
    }

    fn no_route_ask(&self) -> AskError {
        AskError::NoRoute {
            endpoint: self.address().clone(),
        }
    }
}

/// Shortens a limit that no clock can reach.
fn within_reach(mut timeout: RpcTimeout) -> RpcTimeout {
    timeout.duration = timeout.duration.min(MAX_TIME);
    timeout
}

/// Whether another attempt would fail in the same way.
fn repeats(error: &AskError) -> bool {
    error.handled() == Handled::No
        && matches!(
            error,
            AskError::Unencodable(_)
                | AskError::UnknownMessage { .. }
                | AskError::Undecodable { .. }
                | AskError::NoRoute { .. }
                | AskError::EnvStopped
        )
}

impl From<Duration> for RpcTimeout {
    fn from(duration: Duration) -> Self {
        RpcTimeout::new(duration, "the timeout of the call")
    }
}

impl PartialEq for RpcEndpointRef {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for RpcEndpointRef {}

impl Hash for RpcEndpointRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl RpcEndpointRef {
    fn key(&self) -> (&RpcEndpointAddress, u64) {
        let id = if self.inner.address.address().is_some() {
            0
        } else {
            self.inner.env_id
        };
        (&self.inner.address, id)
    }
}

impl fmt::Display for RpcEndpointRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.address.fmt(f)
    }
}

impl fmt::Debug for RpcEndpointRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RpcEndpointRef({})", self.inner.address)
    }
}

/// How long a sender waits before it looks again whether an outbox has room.
const ROOM_PAUSE: Duration = Duration::from_millis(5);
