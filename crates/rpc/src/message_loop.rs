//! The loops that handle an endpoint's messages (Spark's `MessageLoop`).
//!
//! A loop owns its endpoint. Handler futures are part of the loop's own future: nothing is boxed for a message of a
//! serial endpoint.

use std::any::Any;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use spark_rpc_engine::{InboxMessage, Load, Step, Taken};
use tracing::Span;

use crate::endpoint::{ConcurrentRpcEndpoint, EndpointContext, Inbound, RpcCallContext, RpcEndpoint};
use crate::error::{BoxError, EndpointError, panic_text};
use crate::mailbox::{Batch, EndpointMailbox, Item, Letter, Mailbox, Turn, now};

/// A loop's hold on its endpoint. However the loop ends, even before its first step or by a panic, what waits is failed
/// and then `ended` is dropped, from which the env learns of it.
pub(crate) struct Seat<I: Inbound, G> {
    pub(crate) mailbox: Arc<EndpointMailbox<I>>,
    pub(crate) context: Arc<EndpointContext>,
    #[expect(dead_code, reason = "held for its drop")]
    pub(crate) ended: G,
}

impl<I: Inbound, G> Drop for Seat<I, G> {
    fn drop(&mut self) {
        // After an orderly stop nothing waits any more.
        self.mailbox.abandon();
    }
}

/// Handles the messages of a serial endpoint until it has stopped.
///
/// Thousands of endpoints wait in this future at a time, so its size counts: an `async fn` would keep its arguments
/// twice, and whatever seldom runs is boxed.
#[expect(clippy::manual_async_fn, reason = "half the size")]
pub(crate) fn run_serial<E: RpcEndpoint, G: Send>(
    seat: Seat<E::Inbound, G>,
    mut endpoint: E,
) -> impl Future<Output = ()> + Send {
    async move {
        let mut call = RpcCallContext {
            endpoint: Arc::clone(&seat.context),
            sender: None,
        };
        let mut batch = VecDeque::new();
        loop {
            match poll_fn(|cx| seat.mailbox.poll_batch(cx, &mut batch)).await {
                Turn::Start => Box::pin(start(&mut endpoint, &seat.mailbox, &seat.context)).await,
                Turn::Batch => run_batch(&mut endpoint, &mut batch, &seat.mailbox, &mut call).await,
                Turn::Stop => {
                    Box::pin(stop(&mut endpoint, &seat.mailbox, &seat.context)).await;
                    return;
                }
            }
        }
    }
}

async fn start<E: RpcEndpoint>(
    endpoint: &mut E,
    mailbox: &EndpointMailbox<E::Inbound>,
    context: &EndpointContext,
) {
    let result = callback("on_start", || endpoint.on_start(context)).await;
    if let Err(error) = result {
        mailbox.start_failed();
        report(endpoint, error, mailbox, context).await;
    }
    mailbox.step_done(0, 0);
}

async fn stop<E: RpcEndpoint>(
    endpoint: &mut E,
    mailbox: &EndpointMailbox<E::Inbound>,
    context: &EndpointContext,
) {
    context.clear_self_ref();
    let result = callback("on_stop", || endpoint.on_stop(context)).await;
    if let Err(error) = result {
        report(endpoint, error, mailbox, context).await;
    }
    mailbox.step_done(0, 0);
}

/// Handles a whole batch and reports it done.
#[expect(clippy::manual_async_fn, reason = "smaller, see run_serial")]
fn run_batch<E: RpcEndpoint>(
    endpoint: &mut E,
    batch: &mut Batch<E::Inbound>,
    mailbox: &EndpointMailbox<E::Inbound>,
    call: &mut RpcCallContext,
) -> impl Future<Output = ()> + Send {
    async move {
        let mut done = Load::default();
        let mut turn = now();
        loop {
            mailbox.take_urgent(batch);
            let result = match batch.front().map(|taken| &taken.message) {
                None => break,
                Some(InboxMessage::Message(_)) => {
                    let mut watch = Watch::default();
                    let work = begin(endpoint, batch, mailbox, call, &mut watch, &mut done);
                    // A handler that waits may wait for long: what was handled before it is reported now.
                    let pauses = || done = report_but(watch.bytes, done, mailbox);
                    let result = catch(pin!(work), watch.span.as_deref(), pauses).await;
                    watch.end(result, mailbox)
                }
                Some(_) => {
                    mailbox.consumed(done.items, done.bytes);
                    done = Load::default();
                    Box::pin(run_event(endpoint, batch, call, &mut done)).await
                }
            };
            if let Err(error) = result {
                Box::pin(report(endpoint, error, mailbox, &call.endpoint)).await;
            }
            if done.items >= mailbox.report_every.items || done.bytes >= mailbox.report_every.bytes {
                mailbox.consumed(done.items, done.bytes);
                done = Load::default();
                // Lets the other tasks of this thread run, however long the batch is.
                if now().saturating_duration_since(turn) > LONGEST_TURN {
                    tokio::task::yield_now().await;
                    turn = now();
                }
            }
        }
        mailbox.step_done(done.items, done.bytes);
    }
}

/// Reports what is done apart from the message of `bytes` that is being handled; returns what is left to report.
#[cold]
fn report_but<I: Inbound>(bytes: usize, done: Load, mailbox: &EndpointMailbox<I>) -> Load {
    if done.items > 1 {
        mailbox.consumed(done.items - 1, done.bytes - bytes);
    }
    Load { items: 1, bytes }
}

/// Takes the message in front of the batch and begins to handle it.
///
/// A function of its own, and not part of the loop's future: there the message would be kept beside the handler's future,
/// which has it, too.
#[inline(always)]
fn begin<'a, E: RpcEndpoint>(
    endpoint: &'a mut E,
    batch: &mut Batch<E::Inbound>,
    mailbox: &EndpointMailbox<E::Inbound>,
    call: &'a mut RpcCallContext,
    watch: &mut Watch,
    done: &mut Load,
) -> impl Future<Output = Result<(), BoxError>> + Send + use<'a, E> {
    let Some(Taken {
        message: InboxMessage::Message(letter),
        bytes,
    }) = batch.pop_front()
    else {
        unreachable!("a message is in front");
    };
    done.items += 1;
    done.bytes += bytes;
    watch.bytes = bytes;
    mailbox.begin_alone();
    call.sender = letter.sender;
    watch.begin(letter.content.message(), letter.posted, mailbox, call);
    endpoint.handle(letter.content, call)
}

/// Handles the connection event in front of the batch.
async fn run_event<E: RpcEndpoint>(
    endpoint: &mut E,
    batch: &mut Batch<E::Inbound>,
    call: &RpcCallContext,
    done: &mut Load,
) -> Result<(), EndpointError> {
    let event = batch.pop_front().expect("an event is in front");
    done.items += 1;
    done.bytes += event.bytes;
    let context = &call.endpoint;
    match event.message {
        InboxMessage::RemoteProcessConnected(address) => {
            callback("on_connected", || endpoint.on_connected(&address, context)).await
        }
        InboxMessage::RemoteProcessDisconnected(address) => {
            callback("on_disconnected", || endpoint.on_disconnected(&address, context)).await
        }
        InboxMessage::RemoteProcessConnectionError(cause, address) => {
            callback("on_network_error", || {
                endpoint.on_network_error(&cause, &address, context)
            })
            .await
        }
        InboxMessage::Message(_) => unreachable!("an event is in front"),
    }
}

/// What is measured and traced about one message while it is handled.
#[derive(Default)]
struct Watch {
    message: &'static str,
    bytes: usize,
    /// Boxed, as it is seldom there and its room would be.
    span: Option<Box<Span>>,
    /// The mailbox's age when handling began, if somebody observes.
    began: u64,
    /// Nanoseconds for which the message had waited by then.
    waited: u64,
}

impl Watch {
    #[inline(always)]
    fn begin<I: Inbound>(
        &mut self,
        message: &'static str,
        posted: u64,
        mailbox: &EndpointMailbox<I>,
        call: &RpcCallContext,
    ) {
        self.message = message;
        if tracing::enabled!(tracing::Level::DEBUG) {
            let sender = call.sender_address().map(tracing::field::display);
            let span = tracing::debug_span!("rpc.handle", endpoint = call.name(), message, sender);
            self.span = Some(Box::new(span));
        }
        if mailbox.observed.is_some() {
            self.began = mailbox.age();
            self.waited = self.began.saturating_sub(posted);
        }
    }

    #[inline]
    fn end<I: Inbound>(self, result: Caught, mailbox: &EndpointMailbox<I>) -> Result<(), EndpointError> {
        if let Some(observed) = &mailbox.observed {
            let wait = Duration::from_nanos(self.waited);
            let handling = Duration::from_nanos(mailbox.age().saturating_sub(self.began));
            observed.record(self.message, wait, handling);
        }
        let message = self.message;
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(EndpointError::Handler { message, source }),
            Err(panic) => Err(panicked(message, &*panic)),
        }
    }
}

/// Handles messages of a concurrent endpoint, up to `limit` at once, until it has stopped. Several of these may run
/// beside each other.
pub(crate) async fn run_lane<E: ConcurrentRpcEndpoint, G: Send>(
    seat: Seat<E::Inbound, G>,
    endpoint: Arc<E>,
    limit: usize,
) {
    let mut running = FuturesUnordered::new();
    let mut stopped = false;
    poll_fn(|cx| {
        loop {
            // A step begins before the next one is taken: if its handler blocks this thread, what waits is left to the
            // other lanes.
            let mut took = false;
            if !stopped && running.len() < limit {
                match seat.mailbox.poll_step(cx) {
                    Poll::Ready(Some(step)) => {
                        took = true;
                        running.push(run_step(
                            Arc::clone(&endpoint),
                            Arc::clone(&seat.mailbox),
                            Arc::clone(&seat.context),
                            step,
                        ));
                    }
                    Poll::Ready(None) => stopped = true,
                    Poll::Pending => {}
                }
            }
            match running.poll_next_unpin(cx) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) if stopped => return Poll::Ready(()),
                Poll::Ready(None) | Poll::Pending if took => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

async fn run_step<E: ConcurrentRpcEndpoint>(
    endpoint: Arc<E>,
    mailbox: Arc<EndpointMailbox<E::Inbound>>,
    context: Arc<EndpointContext>,
    step: Step<Item<E::Inbound>>,
) {
    let (messages, bytes, result) = match step {
        Step::Start => {
            let result = callback("on_start", || endpoint.on_start(&context)).await;
            if result.is_err() {
                mailbox.start_failed();
            }
            (0, 0, result)
        }
        Step::Stop => {
            context.clear_self_ref();
            (0, 0, callback("on_stop", || endpoint.on_stop(&context)).await)
        }
        Step::Deliver(taken) => {
            let result = match taken.message {
                InboxMessage::Message(letter) => {
                    handle_concurrent(&*endpoint, letter, &mailbox, &context).await
                }
                InboxMessage::RemoteProcessConnected(address) => {
                    callback("on_connected", || endpoint.on_connected(&address, &context)).await
                }
                InboxMessage::RemoteProcessDisconnected(address) => {
                    callback("on_disconnected", || endpoint.on_disconnected(&address, &context)).await
                }
                InboxMessage::RemoteProcessConnectionError(cause, address) => {
                    callback("on_network_error", || {
                        endpoint.on_network_error(&cause, &address, &context)
                    })
                    .await
                }
            };
            (1, taken.bytes, result)
        }
        Step::Batch => unreachable!("a concurrent loop takes single steps"),
    };
    if let Err(error) = result {
        mailbox.counters().error();
        let handled = AssertUnwindSafe(async { endpoint.on_error(error, &context).await })
            .catch_unwind()
            .await;
        log_panic_in_on_error(handled, &context);
    }
    mailbox.step_done(messages, bytes);
}

async fn handle_concurrent<E: ConcurrentRpcEndpoint>(
    endpoint: &E,
    letter: Letter<E::Inbound>,
    mailbox: &EndpointMailbox<E::Inbound>,
    context: &Arc<EndpointContext>,
) -> Result<(), EndpointError> {
    mailbox.begin_beside_others();
    let call = RpcCallContext {
        endpoint: Arc::clone(context),
        sender: letter.sender,
    };
    let mut watch = Watch::default();
    watch.begin(letter.content.message(), letter.posted, mailbox, &call);
    // Called inside of what is caught: a panic before there is a future would take the other handlers of this loop along.
    let work = async { endpoint.handle(letter.content, &call).await };
    let result = catch(pin!(work), watch.span.as_deref(), || {}).await;
    watch.end(result, mailbox)
}

/// How a callback ended, if need be in a panic.
type Caught = Result<Result<(), BoxError>, Box<dyn Any + Send>>;

/// Runs a callback inside `span` and catches its panic. Calls `pauses` whenever it has to wait.
#[inline]
async fn catch(
    mut work: Pin<&mut impl Future<Output = Result<(), BoxError>>>,
    span: Option<&Span>,
    mut pauses: impl FnMut(),
) -> Caught {
    poll_fn(|cx| {
        let _entered = span.map(Span::enter);
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
            Ok(Poll::Pending) => {
                pauses();
                Poll::Pending
            }
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

/// Runs a life-cycle or connection callback; its error and its panic, also one before there is a future, become an
/// [`EndpointError`].
async fn callback<F: Future<Output = Result<(), BoxError>>>(
    callback: &'static str,
    work: impl FnOnce() -> F,
) -> Result<(), EndpointError> {
    match catch(pin!(async { work().await }), None, || {}).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(source)) => Err(EndpointError::Callback { callback, source }),
        Err(panic) => Err(panicked(callback, &*panic)),
    }
}

fn panicked(what: &'static str, panic: &(dyn Any + Send)) -> EndpointError {
    EndpointError::Panicked {
        what,
        message: panic_text(panic),
    }
}

async fn report<E: RpcEndpoint>(
    endpoint: &mut E,
    error: EndpointError,
    mailbox: &EndpointMailbox<E::Inbound>,
    context: &EndpointContext,
) {
    mailbox.counters().error();
    let handled = AssertUnwindSafe(async { endpoint.on_error(error, context).await })
        .catch_unwind()
        .await;
    log_panic_in_on_error(handled, context);
}

fn log_panic_in_on_error(result: Result<(), Box<dyn Any + Send>>, context: &EndpointContext) {
    if let Err(panic) = result {
        let message = panic_text(&*panic);
        tracing::error!(endpoint = context.name(), message, "on_error panicked; ignored");
    }
}

/// A loop that has been at work for this long lets others run.
const LONGEST_TURN: Duration = Duration::from_micros(500);
