//! The way to one remote address: a connection, and what waits for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use spark_rpc_engine::{Admission, Bounds, Lane, Outbox, OutboxRejected, Ticket};
use spark_rpc_transport::{ConnectError, PendingRequest, SendError as TransportSendError, TransportClient};
use tokio::task::AbortHandle;

use crate::address::RpcAddress;
use crate::codec::PeerMemory;
use crate::env::EnvShared;
use crate::error::AskError;
use crate::mailbox::now;

/// The way to one remote address, shared by all references that lead there (the shell of Spark's `Outbox`).
pub(crate) struct Peer {
    pub(crate) address: RpcAddress,
    pub(crate) memory: Arc<PeerMemory>,
    env: Weak<EnvShared>,
    state: Mutex<State>,
    connects: AtomicU64,
}

struct State {
    outbox: Outbox<OutboxMessage, TransportClient>,
    /// How many outboxes there were before this one.
    generation: u64,
    connecting: Option<AbortHandle>,
    closed: bool,
}

/// A message that waits for a connection.
pub(crate) enum OutboxMessage {
    OneWay {
        lane: Lane,
        frame: Vec<u8>,
    },
    Ask {
        lane: Lane,
        frame: Vec<u8>,
        deadline: Instant,
        slot: Arc<OutboxSlot>,
    },
}

/// What became of a message handed to a [`Peer`].
pub(crate) enum PeerSend {
    /// There is a connection; the message is untouched.
    Connected(TransportClient),
    /// It waits for the connection.
    Queued(Place),
}

/// Where a message waits. Each outbox numbers its tickets anew, so a ticket alone could name somebody else's message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    generation: u64,
    ticket: Ticket,
}

/// Why a [`Peer`] did not take a message.
pub(crate) enum PeerError {
    EnvStopped,
    Full(spark_rpc_engine::Full),
}

impl Peer {
    pub(crate) fn new(address: RpcAddress, env: Weak<EnvShared>, bounds: Bounds) -> Self {
        Self {
            memory: Arc::new(PeerMemory::new(0, Some(address.clone()))),
            address,
            env,
            state: Mutex::new(State {
                outbox: Outbox::new(bounds),
                generation: 0,
                connecting: None,
                closed: false,
            }),
            connects: AtomicU64::new(0),
        }
    }

    /// Hands over a message: returns the connection, or queues what `message` makes and connects if nobody does yet.
    pub(crate) fn send(
        self: &Arc<Self>,
        message: impl FnOnce() -> (OutboxMessage, usize),
    ) -> Result<PeerSend, PeerError> {
        let mut state = self.state();
        if state.closed {
            return Err(PeerError::EnvStopped);
        }
        if let Some(client) = state.outbox.connection() {
            return Ok(PeerSend::Connected(client.clone()));
        }
        if state.outbox.is_stopped() {
            // The connection has failed; as in Spark the next message begins anew.
            state.renew(self);
        }
        let generation = state.generation;
        let (message, bytes) = message();
        match state.outbox.send(message, bytes) {
            Ok(Admission::Queued(ticket)) => Ok(PeerSend::Queued(Place { generation, ticket })),
            Ok(Admission::Connect(ticket)) => {
                state.connecting = self.start_connecting();
                if state.connecting.is_none() {
                    state.outbox.fail();
                    return Err(PeerError::EnvStopped);
                }
                Ok(PeerSend::Queued(Place { generation, ticket }))
            }
            Ok(Admission::Pass(..)) => unreachable!("there was no connection under the same lock"),
            Err(OutboxRejected::Full(_, full)) => Err(PeerError::Full(full)),
            Err(OutboxRejected::Stopped(_)) => Err(PeerError::EnvStopped),
        }
    }

    /// Takes back a message that still waits.
    pub(crate) fn withdraw(&self, place: Place) {
        let mut state = self.state();
        if state.generation != place.generation {
            return;
        }
        let message = state.outbox.withdraw(place.ticket);
        drop(state);
        drop(message);
    }

    /// The connection has ended; the next message opens another one.
    pub(crate) fn lost(self: &Arc<Self>, client: &TransportClient) {
        let mut state = self.state();
        if state.outbox.connection() == Some(client) && !state.closed {
            state.renew(self);
        }
    }

    /// Takes no further messages; those that wait fail.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let waiting = state.outbox.fail();
        let connecting = state.connecting.take();
        drop(state);
        if let Some(task) = connecting {
            task.abort();
        }
        self.fail(waiting, &AskError::EnvStopped);
    }

    /// The connection, if there is one and nothing waits.
    pub(crate) fn connection(&self) -> Option<TransportClient> {
        self.state().outbox.connection().cloned()
    }

    /// Connections made to this address so far.
    pub(crate) fn connects(&self) -> u64 {
        self.connects.load(Ordering::Relaxed)
    }

    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state();
        state.outbox.connection().is_none() && state.outbox.load().items == 0
    }

    fn start_connecting(self: &Arc<Self>) -> Option<AbortHandle> {
        let env = self.env.upgrade()?;
        let peer = Arc::clone(self);
        let runtime = env.runtime.clone();
        Some(
            runtime
                .spawn(async move { peer.connect(&env).await })
                .abort_handle(),
        )
    }

    async fn connect(self: Arc<Self>, env: &EnvShared) {
        let address = &self.address;
        let created = {
            // The turn ends with the connect: a peer that does not read what has waited for it must not keep others
            // from connecting.
            let Ok(_turn) = env.connecting.acquire().await else {
                return;
            };
            tracing::debug!(peer = %address, "connecting");
            env.create_client(address).await
        };
        match created {
            Ok(client) => self.connected(client).await,
            Err(error) => {
                tracing::warn!(peer = %address, %error, "cannot connect");
                let waiting = self.state().outbox.fail();
                self.fail(waiting, &AskError::Connect(error));
            }
        }
    }

    async fn connected(&self, client: TransportClient) {
        if self.connects.fetch_add(1, Ordering::Relaxed) > 0 {
            tracing::info!(peer = %self.address, "connected again");
        }
        if self.state().outbox.connected(client.clone()).is_some() {
            return;
        }
        loop {
            let next = self.state().outbox.drain();
            let Some(message) = next else { return };
            let in_hand = InHand::of(self, &message);
            if let Err(error) = deliver(message, &client).await {
                let waiting = self.state().outbox.fail();
                in_hand.lost(waiting, &error);
                return;
            }
            in_hand.delivered();
        }
    }

    /// Answers everything that waited with the cause. One-way messages are counted and logged once.
    fn fail(&self, waiting: Vec<OutboxMessage>, cause: &AskError) {
        self.fail_with(waiting, 0, cause);
    }

    /// As [`fail`](Self::fail), after `dropped` one-way messages that had left the outbox already.
    fn fail_with(&self, waiting: Vec<OutboxMessage>, mut dropped: u64, cause: &AskError) {
        for message in waiting {
            match message {
                OutboxMessage::OneWay { .. } => dropped += 1,
                OutboxMessage::Ask { slot, .. } => slot.fail(cause.clone()),
            }
        }
        if dropped > 0 {
            if let Some(env) = self.env.upgrade() {
                env.count_dropped(dropped);
            }
            tracing::warn!(peer = %self.address, dropped, %cause, "one-way messages dropped: they waited for a connection");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn renew(&mut self, peer: &Peer) {
        let bounds = peer.env.upgrade().map_or(Bounds::NONE, |env| env.outbox_bounds());
        self.outbox = Outbox::new(bounds);
        self.generation += 1;
        self.connecting = None;
    }
}

/// A message that has left the outbox and is not sent yet. If delivering it is cut off, it is accounted for here.
struct InHand<'a> {
    peer: &'a Peer,
    /// An ask's slot; `None` for a one-way message, which has nobody to tell.
    asker: Option<Arc<OutboxSlot>>,
    settled: bool,
}

impl<'a> InHand<'a> {
    fn of(peer: &'a Peer, message: &OutboxMessage) -> Self {
        let asker = match message {
            OutboxMessage::OneWay { .. } => None,
            OutboxMessage::Ask { slot, .. } => Some(Arc::clone(slot)),
        };
        Self {
            peer,
            asker,
            settled: false,
        }
    }

    fn delivered(mut self) {
        self.settled = true;
    }

    /// Fails it together with those that waited behind it.
    fn lost(mut self, waiting: Vec<OutboxMessage>, cause: &AskError) {
        self.settle(waiting, cause);
    }

    fn settle(&mut self, waiting: Vec<OutboxMessage>, cause: &AskError) {
        self.settled = true;
        if let Some(slot) = &self.asker {
            slot.fail(cause.clone());
        }
        self.peer
            .fail_with(waiting, u64::from(self.asker.is_none()), cause);
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(Vec::new(), &AskError::EnvStopped);
        }
    }
}

/// Sends one message on a fresh connection, waiting for room as long as the connection lives.
async fn deliver(message: OutboxMessage, client: &TransportClient) -> Result<(), AskError> {
    match message {
        OutboxMessage::OneWay { lane, mut frame } => loop {
            match client.send_frame(lane, &mut frame) {
                Ok(()) => return Ok(()),
                Err(TransportSendError::Full(_)) => client.wait_for_room().await,
                Err(error) => return Err(not_sent(error)),
            }
        },
        OutboxMessage::Ask {
            lane,
            mut frame,
            deadline,
            slot,
        } => loop {
            let left = deadline.saturating_duration_since(now());
            match slot.send(|| client.request_frame(lane, &mut frame, Some(left))) {
                Ok(()) => return Ok(()),
                Err(TransportSendError::Full(_)) => client.wait_for_room().await,
                Err(TransportSendError::TooManyRequests { .. }) => client.wait_for_request_room().await,
                Err(error) => return Err(not_sent(error)),
            }
        },
    }
}

fn not_sent(error: TransportSendError) -> AskError {
    match error {
        TransportSendError::Closed(cause) => AskError::Disconnected(cause),
        other => AskError::NotSent(other),
    }
}

impl From<ConnectError> for AskError {
    fn from(error: ConnectError) -> Self {
        AskError::Connect(error)
    }
}

/// Where an ask that waits for a connection learns what became of it.
#[derive(Debug, Default)]
pub(crate) struct OutboxSlot {
    state: Mutex<SlotState>,
}

#[derive(Debug)]
enum SlotState {
    Waiting(Option<Waker>),
    Sent(PendingRequest),
    Failed(AskError),
    Gone,
}

impl Default for SlotState {
    fn default() -> Self {
        SlotState::Waiting(None)
    }
}

impl OutboxSlot {
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<PendingRequest, AskError>> {
        let mut state = self.state();
        if let SlotState::Waiting(waker) = &mut *state {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        match std::mem::replace(&mut *state, SlotState::Gone) {
            SlotState::Sent(pending) => Poll::Ready(Ok(pending)),
            SlotState::Failed(error) => Poll::Ready(Err(error)),
            SlotState::Gone | SlotState::Waiting(_) => Poll::Pending,
        }
    }

    /// The asker waits no longer.
    pub(crate) fn leave(&self) {
        let state = std::mem::replace(&mut *self.state(), SlotState::Gone);
        drop(state);
    }

    /// Stops waiting because the time is over; `false` if the outcome is there already.
    pub(crate) fn give_up(&self) -> bool {
        let mut state = self.state();
        let waits = matches!(*state, SlotState::Waiting(_));
        if waits {
            *state = SlotState::Gone;
        }
        waits
    }

    /// Sends the request, unless nobody waits for it any more. Under the lock, so that an asker whose time is over
    /// knows for certain whether it was sent.
    fn send(
        &self,
        request: impl FnOnce() -> Result<PendingRequest, TransportSendError>,
    ) -> Result<(), TransportSendError> {
        let mut state = self.state();
        let SlotState::Waiting(waker) = &mut *state else {
            return Ok(());
        };
        let waker = waker.take();
        match request() {
            Ok(pending) => *state = SlotState::Sent(pending),
            Err(error) => {
                *state = SlotState::Waiting(waker);
                return Err(error);
            }
        }
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    fn fail(&self, error: AskError) {
        let mut state = self.state();
        let SlotState::Waiting(waker) = &mut *state else {
            return;
        };
        let waker = waker.take();
        *state = SlotState::Failed(error);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(slot: &OutboxSlot) -> Poll<Result<PendingRequest, AskError>> {
        slot.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_sent() {
        let slot = OutboxSlot::default();
        assert!(poll(&slot).is_pending());
        assert!(slot.give_up(), "it can be said for certain that it was not sent");
        slot.send(|| unreachable!("sent all the same")).unwrap();
    }

    #[test]
    fn an_outcome_that_is_there_counts_although_the_time_is_over() {
        let slot = OutboxSlot::default();
        slot.fail(AskError::EnvStopped);
        assert!(!slot.give_up());
        assert!(matches!(poll(&slot), Poll::Ready(Err(AskError::EnvStopped))));
    }

    #[test]
    fn an_ask_whose_delivery_is_cut_off_is_answered() {
        let peer = Peer::new(RpcAddress::new("far", 7077), Weak::new(), Bounds::NONE);
        let slot = Arc::new(OutboxSlot::default());
        let message = OutboxMessage::Ask {
            lane: Lane::Normal,
            frame: Vec::new(),
            deadline: now(),
            slot: Arc::clone(&slot),
        };
        drop(InHand::of(&peer, &message));
        assert!(matches!(poll(&slot), Poll::Ready(Err(AskError::EnvStopped))));

        let slot = Arc::new(OutboxSlot::default());
        let message = OutboxMessage::Ask {
            lane: Lane::Normal,
            frame: Vec::new(),
            deadline: now(),
            slot: Arc::clone(&slot),
        };
        InHand::of(&peer, &message).delivered();
        assert!(poll(&slot).is_pending(), "the transport answers it");
    }
}
