//! What a user writes: endpoints, their messages, and what their callbacks are told.

use std::future::Future;
use std::sync::{Arc, OnceLock, RwLock};

use spark_rpc_transport::{ConnectionError, TransportClient};

use crate::address::RpcAddress;
use crate::endpoint_ref::RpcEndpointRef;
use crate::env::WeakRpcEnv;
use crate::error::{BoxError, DecodeError, EndpointError};
use crate::parcel::Parcel;

/// The messages of one endpoint, one variant each.
///
/// [`#[rpc_endpoint]`](macro@crate::rpc_endpoint) writes the enum and this impl. By hand it looks like this:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use spark_rpc::{DecodeError, Inbound, Parcel, Reply, RpcMessage};
///
/// #[derive(Serialize, Deserialize, RpcMessage)]
/// #[rpc(reply = u64)]
/// struct Count;
///
/// #[derive(Serialize, Deserialize, RpcMessage)]
/// struct Reset;
///
/// enum CounterInbound {
///     Count(Count, Reply<u64>),
///     Reset(Reset),
/// }
///
/// impl Inbound for CounterInbound {
///     fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
///         if let Some((message, reply)) = parcel.request()? {
///             return Ok(Some(Self::Count(message, reply)));
///         }
///         if let Some(message) = parcel.one_way()? {
///             return Ok(Some(Self::Reset(message)));
///         }
///         Ok(None)
///     }
///
///     fn message(&self) -> &'static str {
///         match self {
///             Self::Count(..) => Count::NAME,
///             Self::Reset(_) => Reset::NAME,
///         }
///     }
/// }
/// ```
pub trait Inbound: Sized + Send + 'static {
    /// Takes the message out of `parcel` if it is one of these; `None` if it is not.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], passed on from the parcel.
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError>;

    /// The message's name, for logs and metrics.
    fn message(&self) -> &'static str;

    /// Whether the message in `parcel` passes others: see [`RpcMessage::CONTROL`](crate::RpcMessage::CONTROL).
    ///
    /// Asked for messages from other envs, before they are decoded; for those of this env the type itself tells. The
    /// default says no, so an endpoint with control messages has to say which they are:
    /// `parcel.holds::<Heartbeat>()`.
    fn is_control(parcel: &Parcel<'_>) -> bool {
        let _ = parcel;
        false
    }
}

/// An endpoint that handles one message at a time (Spark's `ThreadSafeRpcEndpoint`).
///
/// Every callback has `&mut self`, so nothing needs a lock; a handler that awaits keeps the next message waiting.
/// [`#[rpc_endpoint]`](macro@crate::rpc_endpoint) on an `impl` block writes the impl of this trait from one method per
/// message; this is what it writes, and what can be written by hand.
///
/// Life cycle, as in Spark: `on_start` is the first thing that runs, `on_stop` the last, and nothing runs beside either.
/// Messages queued before the stop are handled first. An error or a panic in any callback goes to
/// [`on_error`](Self::on_error) and ends nothing; an endpoint whose `on_start` failed stays registered.
pub trait RpcEndpoint: Send + 'static {
    /// The messages that it handles.
    type Inbound: Inbound;

    /// Whether the connection callbacks are of interest. `false` saves a wake-up per endpoint and connection.
    const CONNECTION_EVENTS: bool = true;

    /// Handles one message. A request's reply handle is inside `message`.
    ///
    /// # Errors
    ///
    /// An error here has no asker; it goes to [`on_error`](Self::on_error).
    ///
    /// # Panics
    ///
    /// A panic of the future is an error of this message. Write it as an `async fn`, or return an `async` block: code
    /// that panics before there is a future ends the endpoint, and fails what waits for it.
    fn handle(
        &mut self,
        message: Self::Inbound,
        call: &RpcCallContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Runs before the first message.
    fn on_start(&mut self, context: &EndpointContext) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// Runs after the last message. [`EndpointContext::self_ref`] is `None` by now.
    fn on_stop(&mut self, context: &EndpointContext) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// Takes the errors and panics of the other callbacks. The default logs them.
    fn on_error(
        &mut self,
        error: EndpointError,
        context: &EndpointContext,
    ) -> impl Future<Output = ()> + Send {
        log_error(&error, context);
        async {}
    }

    /// A connection has been made, or the peer on one has told its own address.
    fn on_connected(
        &mut self,
        address: &RpcAddress,
        context: &EndpointContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = (address, context);
        async { Ok(()) }
    }

    /// A connection has ended. The peer may still be there: two envs may have several connections.
    fn on_disconnected(
        &mut self,
        address: &RpcAddress,
        context: &EndpointContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = (address, context);
        async { Ok(()) }
    }

    /// A connection fails; `on_disconnected` follows.
    fn on_network_error(
        &mut self,
        cause: &ConnectionError,
        address: &RpcAddress,
        context: &EndpointContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = (cause, address, context);
        async { Ok(()) }
    }
}

/// An endpoint that handles many messages at the same time (Spark's plain `RpcEndpoint`).
///
/// Its callbacks have `&self`. Life cycle and errors are those of [`RpcEndpoint`]: nothing runs beside `on_start` and
/// `on_stop`, and after a failed `on_start` messages are handled one by one. Every `ConcurrentRpcEndpoint` can be set up
/// as a serial one, too.
pub trait ConcurrentRpcEndpoint: Send + Sync + 'static {
    /// The messages that it handles.
    type Inbound: Inbound;

    /// Whether the connection callbacks are of interest.
    const CONNECTION_EVENTS: bool = true;

    /// Handles one message; others may be handled meanwhile.
    ///
    /// # Errors
    ///
    /// An error here has no asker; it goes to [`on_error`](Self::on_error).
    fn handle(
        &self,
        message: Self::Inbound,
        call: &RpcCallContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Runs before the first message.
    fn on_start(&self, context: &EndpointContext) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// Runs after the last message.
    fn on_stop(&self, context: &EndpointContext) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// Takes the errors and panics of the other callbacks. The default logs them.
    fn on_error(&self, error: EndpointError, context: &EndpointContext) -> impl Future<Output = ()> + Send {
        log_error(&error, context);
        async {}
    }

    /// A connection has been made, or the peer on one has told its own address.
    fn on_connected(
        &self,
        address: &RpcAddress,
        context: &EndpointContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = (address, context);
        async { Ok(()) }
    }

    /// A connection has ended.
    fn on_disconnected(
        &self,
        address: &RpcAddress,
        context: &EndpointContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = (address, context);
        async { Ok(()) }
    }

    /// A connection fails; `on_disconnected` follows.
    fn on_network_error(
        &self,
        cause: &ConnectionError,
        address: &RpcAddress,
        context: &EndpointContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = (cause, address, context);
        async { Ok(()) }
    }
}

impl<E: ConcurrentRpcEndpoint> RpcEndpoint for E {
    type Inbound = <E as ConcurrentRpcEndpoint>::Inbound;

    const CONNECTION_EVENTS: bool = <E as ConcurrentRpcEndpoint>::CONNECTION_EVENTS;

    fn handle(
        &mut self,
        message: Self::Inbound,
        call: &RpcCallContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        ConcurrentRpcEndpoint::handle(self, message, call)
    }

    fn on_start(&mut self, context: &EndpointContext) -> impl Future<Output = Result<(), BoxError>> + Send {
        ConcurrentRpcEndpoint::on_start(self, context)
    }

    fn on_stop(&mut self, context: &EndpointContext) -> impl Future<Output = Result<(), BoxError>> + Send {
        ConcurrentRpcEndpoint::on_stop(self, context)
    }

    fn on_error(
        &mut self,
        error: EndpointError,
        context: &EndpointContext,
    ) -> impl Future<Output = ()> + Send {
        ConcurrentRpcEndpoint::on_error(self, error, context)
    }

    fn on_connected(
        &mut self,
        address: &RpcAddress,
        context: &EndpointContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        ConcurrentRpcEndpoint::on_connected(self, address, context)
    }

    fn on_disconnected(
        &mut self,
        address: &RpcAddress,
        context: &EndpointContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        ConcurrentRpcEndpoint::on_disconnected(self, address, context)
    }

    fn on_network_error(
        &mut self,
        cause: &ConnectionError,
        address: &RpcAddress,
        context: &EndpointContext,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        ConcurrentRpcEndpoint::on_network_error(self, cause, address, context)
    }
}

/// What an endpoint knows of itself: its name, its env, its own reference.
#[derive(Debug)]
pub struct EndpointContext {
    name: Arc<str>,
    env: WeakRpcEnv,
    self_ref: OnceLock<RwLock<Option<RpcEndpointRef>>>,
}

impl EndpointContext {
    pub(crate) fn new(name: Arc<str>, env: WeakRpcEnv) -> Self {
        Self {
            name,
            env,
            self_ref: OnceLock::new(),
        }
    }

    pub(crate) fn set_self_ref(&self, reference: RpcEndpointRef) {
        let _ = self.self_ref.set(RwLock::new(Some(reference)));
    }

    pub(crate) fn clear_self_ref(&self) {
        if let Some(reference) = self.self_ref.get() {
            *reference.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
        }
    }

    /// The name under which the endpoint was set up.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The endpoint's own reference, from `on_start` until `on_stop` begins; `None` in `on_stop`.
    #[must_use]
    pub fn self_ref(&self) -> Option<RpcEndpointRef> {
        let reference = self.self_ref.get()?;
        reference
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clone()
    }

    /// The env; `None` once its last handle has been dropped.
    #[must_use]
    pub fn env(&self) -> Option<crate::RpcEnv> {
        self.env.upgrade()
    }

    /// Stops the endpoint (Spark's `RpcEndpoint.stop`): messages queued so far are still handled. Without effect when it
    /// is stopped already, also if another endpoint has its name by now.
    pub fn stop(&self) {
        if let (Some(env), Some(reference)) = (self.env.upgrade(), self.self_ref())
            && let Some(mailbox) = reference.mailbox()
        {
            env.shared().dispatcher.stop_one(mailbox);
        }
    }
}

/// What a handler is told about one message.
///
/// Everything of [`EndpointContext`] is there, too.
#[derive(Debug)]
pub struct RpcCallContext {
    pub(crate) endpoint: Arc<EndpointContext>,
    pub(crate) sender: Option<Arc<Sender>>,
}

impl RpcCallContext {
    /// The address of the sending env, or for one in client mode that of its socket; `None` if the sender is in this
    /// env.
    #[must_use]
    pub fn sender_address(&self) -> Option<&RpcAddress> {
        self.sender.as_deref().map(|sender| &sender.address)
    }

    /// The connection that the message came on; `None` if the sender is in this env.
    #[must_use]
    pub fn connection(&self) -> Option<&TransportClient> {
        self.sender.as_deref().map(|sender| &sender.client)
    }
}

impl std::ops::Deref for RpcCallContext {
    type Target = EndpointContext;

    fn deref(&self) -> &EndpointContext {
        &self.endpoint
    }
}

/// Who sent a message over the network.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) address: RpcAddress,
    pub(crate) client: TransportClient,
}

fn log_error(error: &EndpointError, context: &EndpointContext) {
    tracing::error!(endpoint = context.name(), %error, "an endpoint's callback failed; the endpoint goes on");
}
