//! An endpoint's inbox, shared by those who post and the loop that handles.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use spark_rpc_engine::{
    Bounds, Delivery, Inbox, InboxMessage, Lane, Load, RejectReason, Rejected, Step, Taken,
};
use spark_rpc_transport::ConnectionError;
use tokio::sync::Notify;

use crate::address::RpcAddress;
use crate::endpoint::{Inbound, Sender};
use crate::error::DecodeError;
use crate::observe::Observed;
use crate::parcel::Parcel;

/// What waits in an endpoint's inbox.
pub(crate) type Item<I> = InboxMessage<Letter<I>, RpcAddress, Arc<ConnectionError>>;

/// Messages that a serial loop works off.
pub(crate) type Batch<I> = VecDeque<Taken<Item<I>>>;

/// What a serial loop does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Start,
    /// The batch has been filled.
    Batch,
    Stop,
}

/// An event of a connection, as it goes to all endpoints.
#[derive(Clone, Debug)]
pub(crate) enum ConnectionEvent {
    Connected(RpcAddress),
    Disconnected(RpcAddress),
    Error(Arc<ConnectionError>, RpcAddress),
}

/// A message with what is known about it.
#[derive(Debug)]
pub(crate) struct Letter<I> {
    pub(crate) content: I,
    pub(crate) sender: Option<Arc<Sender>>,
    /// Nanoseconds from the mailbox's birth; 0 when nobody observes.
    pub(crate) posted: u64,
}

/// Why a message did not get into a mailbox.
#[derive(Debug)]
pub(crate) enum PostError {
    Stopped,
    Full(spark_rpc_engine::Full),
    Unknown,
    Undecodable(DecodeError),
}

/// A message has got into a mailbox.
#[derive(Debug)]
pub(crate) struct PostedLetter {
    /// Whom to wake.
    pub(crate) waker: Option<Waker>,
    /// How many messages the mailbox has taken, this one included.
    pub(crate) number: u64,
}

/// A mailbox, whatever its endpoint's messages are.
pub(crate) trait Mailbox: Send + Sync + 'static {
    fn name(&self) -> &Arc<str>;
    /// Posts what is in `parcel`, which weighs `bytes`. The message stays in the parcel when it finds no room.
    fn post(
        &self,
        parcel: &mut Parcel<'_>,
        bytes: usize,
        sender: Option<&Arc<Sender>>,
    ) -> Result<PostedLetter, PostError>;
    fn post_event(&self, event: &ConnectionEvent);
    /// Lets queued messages be handled, then `on_stop`.
    fn stop(&self);
    fn is_stopped(&self) -> bool;
    fn poll_stopped(&self, cx: &mut Context<'_>) -> Poll<()>;
    /// Whether a message of `bytes` finds room, or the mailbox has been stopped. If neither, [`more_room`](Self::more_room)
    /// tells when to look again.
    fn has_room(&self, bytes: usize) -> bool;
    fn more_room(&self) -> &Notify;
    fn stats(&self) -> EndpointStats;
    fn progress(&self) -> Progress;
    fn counters(&self) -> &MailboxCounters;
}

/// Waits until a message of `bytes` might find room, or the mailbox has been stopped.
pub(crate) async fn room(mailbox: &dyn Mailbox, bytes: usize) {
    loop {
        let mut more = pin!(mailbox.more_room().notified());
        more.as_mut().enable();
        if mailbox.has_room(bytes) {
            return;
        }
        more.await;
    }
}

/// How far the loop of an endpoint has got.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Messages that were begun to be handled.
    pub(crate) begun: u64,
    /// When the batch at work was taken.
    pub(crate) batch_at: Instant,
}

/// What an endpoint has done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Its name.
    pub name: String,
    /// Messages that wait or are being handled.
    pub queued: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// Messages accepted so far.
    pub posted: u64,
    /// Messages that were begun to be handled.
    pub handled: u64,
    /// Messages refused because a bound was reached; one that waited for room and found it is none of them.
    pub rejected: u64,
    /// Messages that could not be decoded, or that the endpoint has no handler for.
    pub unreadable: u64,
    /// Errors and panics of callbacks.
    pub errors: u64,
}

/// What all endpoints that have ended did together, so that nothing counted is lost with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedEndpoints {
    /// How many there were.
    pub endpoints: u64,
    /// Messages accepted.
    pub posted: u64,
    /// Messages that were begun to be handled.
    pub handled: u64,
    /// Messages refused because a bound was reached.
    pub rejected: u64,
    /// Messages that could not be decoded, or that the endpoint had no handler for.
    pub unreadable: u64,
    /// Errors and panics of callbacks.
    pub errors: u64,
}

impl EndedEndpoints {
    pub(crate) fn add(&mut self, endpoint: &EndpointStats) {
        self.endpoints += 1;
        self.posted += endpoint.posted;
        self.handled += endpoint.handled;
        self.rejected += endpoint.rejected;
        self.unreadable += endpoint.unreadable;
        self.errors += endpoint.errors;
    }
}

/// Counters of one mailbox that are not part of its lock.
#[derive(Debug, Default)]
pub(crate) struct MailboxCounters {
    begun: AtomicU64,
    rejected: AtomicU64,
    unreadable: AtomicU64,
    errors: AtomicU64,
    said_rejected: AtomicBool,
    said_unreadable: AtomicBool,
}

impl MailboxCounters {
    /// Counts a refused message; returns whether it is the first, to be logged.
    pub(crate) fn rejected(&self) -> bool {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        !self.said_rejected.swap(true, Ordering::Relaxed)
    }

    /// Counts an unreadable message; returns whether it is the first, to be logged.
    pub(crate) fn unreadable(&self) -> bool {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        !self.said_unreadable.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }
}

/// The mailbox of an endpoint with messages of type `I`.
pub(crate) struct EndpointMailbox<I> {
    name: Arc<str>,
    state: Mutex<State<I>>,
    /// Control messages wait although a batch is at work.
    urgent: AtomicBool,
    counters: MailboxCounters,
    more_room: Notify,
    events: bool,
    born: Instant,
    pub(crate) observed: Option<Box<Observed>>,
    /// After so much of a batch a loop reports progress, and looks at the clock.
    pub(crate) report_every: Load,
}

struct State<I> {
    inbox: Inbox<Item<I>>,
    idle: Idle,
    /// Somebody has found no room since the last time that there was some.
    room_wanted: bool,
    want_stopped: Vec<Waker>,
    posted: u64,
    batch_at: Instant,
}

impl<I: Inbound> EndpointMailbox<I> {
    /// Makes a mailbox; with the env's name in `observed_as` it is measured.
    pub(crate) fn new(
        name: Arc<str>,
        delivery: Delivery,
        bounds: Bounds,
        events: bool,
        observed_as: Option<&str>,
    ) -> Self {
        let now = now();
        let observed = observed_as.map(|env| Box::new(Observed::new(env, &name)));
        Self {
            name,
            state: Mutex::new(State {
                inbox: Inbox::new(delivery, bounds),
                idle: Idle::default(),
                room_wanted: false,
                want_stopped: Vec::new(),
                posted: 0,
                batch_at: now,
            }),
            urgent: AtomicBool::new(false),
            counters: MailboxCounters::default(),
            more_room: Notify::new(),
            events,
            born: now,
            observed,
            report_every: Load {
                items: (bounds.max_items / 8).clamp(1, MOST_UNREPORTED),
                bytes: (bounds.max_bytes / 8).max(1),
            },
        }
    }

    /// Takes the next step of a serial loop; see [`Inbox::take_batch`].
    pub(crate) fn poll_batch(&self, cx: &mut Context<'_>, batch: &mut Batch<I>) -> Poll<Turn> {
        let mut state = self.state();
        match state.inbox.take_batch(batch) {
            Some(step) => {
                state.batch_at = now();
                Poll::Ready(match step {
                    Step::Start => Turn::Start,
                    Step::Batch => Turn::Batch,
                    Step::Stop => Turn::Stop,
                    Step::Deliver(_) => unreachable!("an inbox is asked for batches or for steps"),
                })
            }
            None => {
                if batch.capacity() > KEPT_CAPACITY {
                    *batch = VecDeque::new();
                }
                state.idle.wait(cx);
                Poll::Pending
            }
        }
    }

    /// Takes the next step of a concurrent loop; `None` once the endpoint has stopped.
    pub(crate) fn poll_step(&self, cx: &mut Context<'_>) -> Poll<Option<Step<Item<I>>>> {
        let mut state = self.state();
        match state.inbox.next_step() {
            Some(step) => {
                // The lane may be at its limit now. What is posted next must not be left to it.
                state.idle.forget(cx);
                state.batch_at = now();
                Poll::Ready(Some(step))
            }
            None if state.inbox.is_stopped() => Poll::Ready(None),
            None => {
                state.idle.wait(cx);
                Poll::Pending
            }
        }
    }

    /// Puts control messages that have come meanwhile in front of the rest of a batch.
    #[inline]
    pub(crate) fn take_urgent(&self, batch: &mut Batch<I>) {
        if self.urgent.load(Ordering::Relaxed) {
            self.urgent.store(false, Ordering::Relaxed);
            self.state().inbox.take_control(batch);
        }
    }

    /// Notes that a message is about to be handled, by the only loop of this mailbox.
    #[inline]
    pub(crate) fn begin_alone(&self) {
        // Nobody else writes, so this needs no atomic addition, which costs as much as the rest of the delivery.
        let begun = &self.counters.begun;
        begun.store(begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Notes that a message is about to be handled, by one of several loops.
    pub(crate) fn begin_beside_others(&self) {
        self.counters.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Reports progress inside a batch.
    pub(crate) fn consumed(&self, messages: usize, bytes: usize) {
        let mut state = self.state();
        state.inbox.consumed(messages, bytes);
        let room = state.takes_room_wanted();
        drop(state);
        if room {
            self.more_room.notify_waiters();
        }
    }

    /// Reports that a step is done, and with it the last messages of a batch.
    pub(crate) fn step_done(&self, messages: usize, bytes: usize) {
        let mut state = self.state();
        let look_again = state.inbox.step_done(messages, bytes);
        let room = state.takes_room_wanted();
        let mut wakers = Vec::new();
        if look_again {
            state.idle.take_all(&mut wakers);
        }
        if state.inbox.is_stopped() {
            wakers.append(&mut state.want_stopped);
        }
        drop(state);
        if room {
            self.more_room.notify_waiters();
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn start_failed(&self) {
        self.state().inbox.start_failed();
    }

    /// Gives up: stops at once and drops what waits, which fails its askers.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        let waiting = state.inbox.give_up();
        let mut wakers = std::mem::take(&mut state.want_stopped);
        // Other loops of this endpoint have nothing left to wait for.
        state.idle.take_all(&mut wakers);
        drop(state);
        drop(waiting);
        self.more_room.notify_waiters();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Nanoseconds since the mailbox was made, for [`Letter::posted`].
    pub(crate) fn age(&self) -> u64 {
        u64::try_from(now().saturating_duration_since(self.born).as_nanos()).unwrap_or(u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<I: Inbound> Mailbox for EndpointMailbox<I> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    #[inline]
    fn post(
        &self,
        parcel: &mut Parcel<'_>,
        bytes: usize,
        sender: Option<&Arc<Sender>>,
    ) -> Result<PostedLetter, PostError> {
        let lane = if parcel.is_control::<I>() {
            Lane::Control
        } else {
            Lane::Normal
        };
        let mut state = self.state();
        if let Err(reason) = state.inbox.admit(lane, bytes) {
            return Err(refused(reason));
        }
        let accepted = if sender.is_none() {
            // A local message is only moved here.
            I::accept(parcel)
        } else {
            // Decoding runs code of the message's type, so it runs without the lock.
            drop(state);
            let accepted = catch_unwind(AssertUnwindSafe(|| I::accept(parcel)));
            state = self.state();
            // What the panic said is for this side, whose panic hook has shown it.
            accepted.unwrap_or_else(|_| {
                let reason = "reading it panicked".to_owned();
                Err(DecodeError::Value { reason })
            })
        };
        // Matched where it is: `map_err` and `ok_or` would move the message twice more.
        let content = match accepted {
            Ok(Some(content)) => content,
            Ok(None) => return Err(PostError::Unknown),
            Err(error) => return Err(PostError::Undecodable(error)),
        };
        let item = InboxMessage::Message(Letter {
            content,
            sender: sender.cloned(),
            posted: if self.observed.is_some() { self.age() } else { 0 },
        });
        match state.inbox.post_admitted(item, lane, bytes) {
            Ok(posted) => {
                state.posted += 1;
                if lane == Lane::Control {
                    self.urgent.store(true, Ordering::Relaxed);
                }
                let waker = if posted.wake { state.idle.take_one() } else { None };
                Ok(PostedLetter {
                    waker,
                    number: state.posted,
                })
            }
            Err(Rejected { message, reason }) => {
                drop(state);
                drop(message);
                Err(refused(reason))
            }
        }
    }

    fn post_event(&self, event: &ConnectionEvent) {
        if !self.events {
            return;
        }
        let item = match event.clone() {
            ConnectionEvent::Connected(address) => InboxMessage::RemoteProcessConnected(address),
            ConnectionEvent::Disconnected(address) => InboxMessage::RemoteProcessDisconnected(address),
            ConnectionEvent::Error(cause, address) => {
                InboxMessage::RemoteProcessConnectionError(cause, address)
            }
        };
        let mut state = self.state();
        let posted = state.inbox.post_event(item);
        let waker = match posted {
            Ok(posted) if posted.wake => state.idle.take_one(),
            Ok(_) => None,
            Err(_) => {
                drop(state);
                tracing::debug!(endpoint = %self.name, ?event, "event dropped: the endpoint is stopped");
                return;
            }
        };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn stop(&self) {
        let mut state = self.state();
        if !state.inbox.stop() {
            return;
        }
        let mut wakers = Vec::new();
        state.idle.take_all(&mut wakers);
        drop(state);
        self.more_room.notify_waiters();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn is_stopped(&self) -> bool {
        self.state().inbox.is_closed()
    }

    fn poll_stopped(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.inbox.is_stopped() {
            return Poll::Ready(());
        }
        state.want_stopped.push(cx.waker().clone());
        Poll::Pending
    }

    fn has_room(&self, bytes: usize) -> bool {
        let mut state = self.state();
        let full = matches!(state.inbox.admit(Lane::Normal, bytes), Err(RejectReason::Full(_)));
        state.room_wanted |= full;
        !full
    }

    fn more_room(&self) -> &Notify {
        &self.more_room
    }

    fn stats(&self) -> EndpointStats {
        let state = self.state();
        let load = state.inbox.load();
        EndpointStats {
            name: self.name.as_ref().to_owned(),
            queued: load.items,
            queued_bytes: load.bytes,
            posted: state.posted,
            handled: self.counters.begun.load(Ordering::Relaxed),
            rejected: self.counters.rejected.load(Ordering::Relaxed),
            unreadable: self.counters.unreadable.load(Ordering::Relaxed),
            errors: self.counters.errors.load(Ordering::Relaxed),
        }
    }

    fn progress(&self) -> Progress {
        let state = self.state();
        Progress {
            begun: self.counters.begun.load(Ordering::Relaxed),
            batch_at: state.batch_at,
        }
    }

    fn counters(&self) -> &MailboxCounters {
        &self.counters
    }
}

/// The loops that found nothing to do: a serial endpoint's only one, or some of a concurrent one's lanes.
#[derive(Default)]
struct Idle {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Idle {
    fn wait(&mut self, cx: &Context<'_>) {
        let waker = cx.waker();
        match &self.first {
            None => self.first = Some(waker.clone()),
            Some(first) if first.will_wake(waker) => {}
            Some(_) if self.others.iter().any(|known| known.will_wake(waker)) => {}
            Some(_) => self.others.push(waker.clone()),
        }
    }

    /// Takes a loop off that has come for another reason than that it was woken from here.
    fn forget(&mut self, cx: &Context<'_>) {
        let waker = cx.waker();
        if self.first.as_ref().is_some_and(|first| first.will_wake(waker)) {
            self.first = None;
        }
        self.others.retain(|known| !known.will_wake(waker));
    }

    fn take_one(&mut self) -> Option<Waker> {
        self.others.pop().or_else(|| self.first.take())
    }

    fn take_all(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.first.take());
        wakers.append(&mut self.others);
    }
}

impl<I> State<I> {
    /// Whether there is room now that somebody wants, who is to be told.
    fn takes_room_wanted(&mut self) -> bool {
        let told = self.room_wanted && self.inbox.admit(Lane::Normal, 0).is_ok();
        self.room_wanted &= !told;
        told
    }
}

fn refused(reason: RejectReason) -> PostError {
    match reason {
        RejectReason::Stopped => PostError::Stopped,
        RejectReason::Full(full) => PostError::Full(full),
    }
}

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// So many handled messages at most count as queued still.
const MOST_UNREPORTED: usize = 256;
/// An idle endpoint keeps no queue longer than this.
const KEPT_CAPACITY: usize = 1024;

#[cfg(test)]
#[path = "mailbox_tests.rs"]
mod tests;
