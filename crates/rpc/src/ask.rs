//! The wait for a reply.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use spark_rpc_net::BoxFuture;
use spark_rpc_transport::{PendingRequest, RequestError, SendError as TransportSendError};

use crate::codec::JavaForm;
use crate::config::RpcTimeout;
use crate::decoding::{DecodeContext, within};
use crate::endpoint_ref::RpcEndpointRef;
use crate::env::EnvShared;
use crate::error::{AskError, AskPhase, AskTimeout, DecodeError};
use crate::mailbox::now;
use crate::message::ReplyValue;
use crate::outbox::{OutboxSlot, Peer, Place};
use crate::parcel::decode_reply;
use crate::slot::ReplySlot;
use crate::timers::{Due, TimerKey};

/// The wait for the reply to one ask.
///
/// The message is on its way as soon as [`ask`](RpcEndpointRef::ask) has returned; this is only the wait.
///
/// # Cancel safety
///
/// Dropping it forgets the reply, not the request. A message still waiting for a connection is withdrawn; one already
/// sent is not, and its reply is discarded on arrival. Either way nothing stays behind in a table.
#[must_use = "dropping it discards the reply"]
pub struct Ask<R: ReplyValue> {
    state: State<R>,
    meta: Meta,
    /// How the reply is read if it comes as a Java object.
    java: Option<&'static JavaForm<R>>,
    abort: Option<Arc<AbortState>>,
}

/// What is known of an ask besides its way.
#[derive(Clone)]
pub(crate) struct Meta {
    pub(crate) reference: RpcEndpointRef,
    pub(crate) message: &'static str,
    pub(crate) timeout: Arc<RpcTimeout>,
    pub(crate) began: Instant,
}

impl Meta {
    pub(crate) fn deadline(&self) -> Instant {
        self.began + self.timeout.duration
    }
}

pub(crate) enum State<R: ReplyValue> {
    Failed(Option<AskError>),
    Local(LocalWait<R>),
    Remote {
        pending: PendingRequest,
        connected_after: Option<Duration>,
    },
    Outbox(OutboxWait),
    /// Waits for room first.
    Slow(BoxFuture<'static, Result<R, AskError>>),
}

/// The wait for a handler in this env. Its env and mailbox are those of the reference in [`Meta`].
pub(crate) struct LocalWait<R> {
    pub(crate) slot: Arc<ReplySlot<R>>,
    /// How many messages the mailbox had taken, this one included.
    pub(crate) number: u64,
    /// How long it had to wait until the mailbox took it.
    room: Duration,
    pub(crate) timer: Option<TimerKey>,
}

/// The wait for a connection.
pub(crate) struct OutboxWait {
    pub(crate) env: Arc<EnvShared>,
    pub(crate) slot: Arc<OutboxSlot>,
    pub(crate) peer: Arc<Peer>,
    pub(crate) place: Place,
    pub(crate) timer: Option<TimerKey>,
}

impl<R: ReplyValue> Ask<R> {
    pub(crate) fn new(state: State<R>, meta: Meta, java: Option<&'static JavaForm<R>>) -> Self {
        Self {
            state,
            meta,
            java,
            abort: None,
        }
    }

    /// Makes a handle that ends the wait from elsewhere (Spark's `AbortableRpcFuture`). The receiver is not told.
    pub fn abort_handle(&mut self) -> AbortHandle {
        let state = self.abort.get_or_insert_with(Arc::default);
        AbortHandle {
            state: Arc::clone(state),
        }
    }

    /// Leaves nothing behind that the wait has set up outside of itself.
    fn leave(&mut self) {
        if let State::Local(wait) = std::mem::replace(&mut self.state, State::Failed(None)) {
            if let (Some(timer), Some(env)) = (wait.timer, self.meta.reference.env()) {
                env.timers.cancel(timer);
            }
            ReplySlot::leave(wait.slot);
        }
    }

    fn poll_aborted(&self, cx: &mut Context<'_>) -> Option<AskError> {
        let abort = self.abort.as_ref()?;
        let mut inner = abort
            .inner
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        match &inner.reason {
            Some(reason) => Some(AskError::Aborted {
                reason: reason.clone(),
            }),
            None => {
                inner.waker = Some(cx.waker().clone());
                None
            }
        }
    }
}

impl<R: ReplyValue> Future for Ask<R> {
    type Output = Result<R, AskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            let result = match &mut this.state {
                State::Failed(error) => Poll::Ready(Err(error.take().unwrap_or_else(polled_again))),
                State::Local(wait) => wait.poll(cx, &this.meta),
                State::Slow(work) => work.as_mut().poll(cx),
                State::Outbox(wait) => match wait.poll(cx, &this.meta) {
                    Poll::Ready(Ok(pending)) => {
                        let connected_after = Some(now().saturating_duration_since(this.meta.began));
                        this.state = State::Remote {
                            pending,
                            connected_after,
                        };
                        continue;
                    }
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Pending => Poll::Pending,
                },
                State::Remote {
                    pending,
                    connected_after,
                } => match Pin::new(&mut *pending).poll(cx) {
                    Poll::Ready(Ok(content)) => {
                        Poll::Ready(read_reply(&content, &this.meta, this.java, pending))
                    }
                    Poll::Ready(Err(error)) => {
                        Poll::Ready(Err(request_failed(error, &this.meta, pending, *connected_after)))
                    }
                    Poll::Pending => Poll::Pending,
                },
            };
            if result.is_ready() {
                this.leave();
                return result;
            }
            if let Some(error) = this.poll_aborted(cx) {
                this.leave();
                return Poll::Ready(Err(error));
            }
            return Poll::Pending;
        }
    }
}

impl<R: ReplyValue> Drop for Ask<R> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<R> LocalWait<R> {
    pub(crate) fn new(slot: Arc<ReplySlot<R>>, number: u64) -> Self {
        Self::after_room(slot, number, Duration::ZERO)
    }

    pub(crate) fn after_room(slot: Arc<ReplySlot<R>>, number: u64, room: Duration) -> Self {
        Self {
            slot,
            number,
            room,
            timer: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, meta: &Meta) -> Poll<Result<R, AskError>> {
        if let Poll::Ready(result) = self.slot.poll(meta.reference.name(), cx) {
            return Poll::Ready(result);
        }
        let Some(env) = meta.reference.env() else {
            return Poll::Ready(Err(AskError::EnvStopped));
        };
        match env.timers.poll(&mut self.timer, meta.deadline(), cx.waker()) {
            Due::Later => Poll::Pending,
            Due::Now => Poll::Ready(Err(self.timed_out(meta))),
            // Somebody may still hold the reply handle, but with the env everything that waits in it ends.
            Due::Never => Poll::Ready(Err(AskError::Unanswered {
                endpoint: meta.reference.name().to_owned(),
            })),
        }
    }

    fn timed_out(&self, meta: &Meta) -> AskError {
        let total = now().saturating_duration_since(meta.began);
        let progress = meta.reference.mailbox().map(|mailbox| mailbox.progress());
        let mut phases = Vec::new();
        if !self.room.is_zero() {
            phases.push((AskPhase::WaitingForRoom, self.room));
        }
        let in_mailbox = total.saturating_sub(self.room);
        match progress {
            Some(progress) if progress.begun >= self.number => {
                // The batch was taken after the ask was queued, or the ask joined it; either way not before.
                let queued = progress
                    .batch_at
                    .saturating_duration_since(meta.began + self.room);
                let queued = queued.min(in_mailbox);
                phases.push((AskPhase::Queued, queued));
                phases.push((AskPhase::Handling, in_mailbox - queued));
            }
            _ => phases.push((AskPhase::Queued, in_mailbox)),
        }
        timeout(meta, None, phases)
    }
}

impl OutboxWait {
    fn poll(&mut self, cx: &mut Context<'_>, meta: &Meta) -> Poll<Result<PendingRequest, AskError>> {
        if let Poll::Ready(result) = self.slot.poll(cx) {
            return Poll::Ready(result);
        }
        match self.env.timers.poll(&mut self.timer, meta.deadline(), cx.waker()) {
            Due::Later => Poll::Pending,
            Due::Now => {
                if !self.slot.give_up() {
                    return self.slot.poll(cx);
                }
                let waited = now().saturating_duration_since(meta.began);
                let phases = vec![(AskPhase::Connecting, waited)];
                Poll::Ready(Err(timeout(meta, Some(&self.peer), phases)))
            }
            Due::Never => Poll::Ready(Err(AskError::EnvStopped)),
        }
    }
}

impl Drop for OutboxWait {
    fn drop(&mut self) {
        self.slot.leave();
        self.peer.withdraw(self.place);
        if let Some(timer) = self.timer {
            self.env.timers.cancel(timer);
        }
    }
}

impl<R: ReplyValue> fmt::Debug for Ask<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("endpoint", &self.meta.reference)
            .field("message", &self.meta.message)
            .finish_non_exhaustive()
    }
}

fn read_reply<R: ReplyValue>(
    content: &[u8],
    meta: &Meta,
    java: Option<&'static JavaForm<R>>,
    pending: &PendingRequest,
) -> Result<R, AskError> {
    let Some(env) = meta.reference.env() else {
        return Err(AskError::EnvStopped);
    };
    let Some(peer) = meta.reference.memory() else {
        return Err(AskError::EnvStopped);
    };
    let codec = env.codecs.of(content, peer).ok_or(DecodeError::UnknownCodec)?;
    let context = DecodeContext {
        env: Arc::clone(env),
        client: Some(pending.client().clone()),
        peer: Arc::clone(peer),
    };
    within(&context, || decode_reply(&**codec, peer, java, content))
}

fn request_failed(
    error: RequestError,
    meta: &Meta,
    pending: &PendingRequest,
    connected_after: Option<Duration>,
) -> AskError {
    match error {
        RequestError::Failed { text } => refused(text),
        RequestError::Connection(cause) => AskError::Disconnected(cause),
        RequestError::NotSent(TransportSendError::Closed(cause)) => AskError::Disconnected(cause),
        RequestError::NotSent(error) => AskError::NotSent(error),
        _ => {
            let total = now().saturating_duration_since(meta.began);
            let connecting = connected_after.unwrap_or_default();
            let mut phases = Vec::new();
            if connected_after.is_some() {
                phases.push((AskPhase::Connecting, connecting));
            }
            phases.push((AskPhase::AwaitingReply, total.saturating_sub(connecting)));
            AskError::Timeout(Box::new(AskTimeout {
                endpoint: meta.reference.address().clone(),
                peer: Some(pending.client().peer().into()),
                message: meta.message,
                timeout: (*meta.timeout).clone(),
                phases,
            }))
        }
    }
}

/// Reads the text with which a JVM refuses a message.
fn refused(text: String) -> AskError {
    let first = text.lines().next().unwrap_or_default();
    if let Some(rest) = first.split_once("Could not find ").map(|(_, rest)| rest)
        && let Some(endpoint) = rest.strip_suffix('.')
    {
        return AskError::EndpointNotFound {
            endpoint: endpoint.to_owned(),
        };
    }
    if first.contains("RpcEnvStoppedException") {
        return AskError::EnvStopped;
    }
    // What servers answer who take the message for the first of a handshake: Spark's two kinds, and ours.
    if first.contains("Expected SaslMessage") || first.contains("Unknown challenge message") {
        return AskError::AuthenticationWanted {
            text: first.to_owned(),
        };
    }
    AskError::Refused { text }
}

pub(crate) fn timeout(meta: &Meta, peer: Option<&Peer>, phases: Vec<(AskPhase, Duration)>) -> AskError {
    AskError::Timeout(Box::new(AskTimeout {
        endpoint: meta.reference.address().clone(),
        peer: peer.map(|peer| peer.address.clone()),
        message: meta.message,
        timeout: (*meta.timeout).clone(),
        phases,
    }))
}

fn polled_again() -> AskError {
    AskError::Aborted {
        reason: "the future was polled after it had finished".to_owned(),
    }
}

/// Ends the wait for a reply from elsewhere.
#[derive(Clone, Debug)]
pub struct AbortHandle {
    state: Arc<AbortState>,
}

#[derive(Debug, Default)]
struct AbortState {
    inner: Mutex<AbortInner>,
}

#[derive(Debug, Default)]
struct AbortInner {
    reason: Option<String>,
    waker: Option<Waker>,
}

impl AbortHandle {
    /// Fails the ask with [`AskError::Aborted`], unless it has ended already. The first reason counts.
    pub fn abort(&self, reason: impl fmt::Display) {
        let mut inner = self
            .state
            .inner
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        inner.reason.get_or_insert_with(|| reason.to_string());
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
