//! The ways of messages to other envs.

use std::sync::Arc;
use std::time::Duration;

use spark_rpc_engine::Lane;
use spark_rpc_transport::{
    PendingRequest, SendError as TransportSendError, TransportClient, with_frame_buffer,
};
use spark_rpc_wire::{Address, Envelope, OpenFrame, RequestId};

use super::{RemoteRoute, Route, RpcEndpointRef};
use crate::address::{RpcAddress, RpcEndpointAddress};
use crate::ask::{Ask, Meta, OutboxWait, State, timeout};
use crate::codec::Codec;
use crate::config::RpcTimeout;
use crate::env::EnvShared;
use crate::error::{AskError, AskPhase, EncodeError, SendError};
use crate::mailbox::now;
use crate::message::{MessageValue, OneWay, Request, RpcMessage};
use crate::outbox::{OutboxMessage, OutboxSlot, PeerError, PeerSend};

impl RpcEndpointRef {
    pub(super) fn send_remote<M: OneWay>(&self, route: &RemoteRoute, message: &M) -> Result<(), SendError> {
        if route.env.is_sealed() {
            return Err(SendError::EnvStopped);
        }
        with_frame_buffer(|frame| {
            let open = OpenFrame::one_way(frame);
            route.write_content(&**route.codec::<M>(), message, frame)?;
            open.finish(frame)
                .map_err(|error| SendError::NotSent(TransportSendError::TooLong(error)))?;
            self.send_frame(route, lane::<M>(), frame)
        })
    }

    fn send_frame(&self, route: &RemoteRoute, lane: Lane, frame: &mut Vec<u8>) -> Result<(), SendError> {
        let mut lost = None;
        if let Some(client) = &route.connection {
            match client.send_frame(lane, frame) {
                Ok(()) => return Ok(()),
                Err(TransportSendError::Closed(cause)) => lost = Some(cause),
                Err(error) => return Err(self.not_sent(error)),
            }
        }
        let Some(peer) = &route.peer else {
            return Err(lost.map_or_else(|| self.no_route(), SendError::Disconnected));
        };
        loop {
            let sent = peer.send(|| {
                let bytes = frame.len();
                let frame = std::mem::take(frame);
                (OutboxMessage::OneWay { lane, frame }, bytes)
            });
            match sent {
                Ok(PeerSend::Queued(_)) => return Ok(()),
                Ok(PeerSend::Connected(client)) => match client.send_frame(lane, frame) {
                    Ok(()) => return Ok(()),
                    // It has not been sent, so it may go over the next connection.
                    Err(TransportSendError::Closed(_)) => peer.lost(&client),
                    Err(error) => return Err(self.not_sent(error)),
                },
                Err(PeerError::EnvStopped) => return Err(SendError::EnvStopped),
                Err(PeerError::Full(full)) => {
                    return Err(SendError::Full {
                        endpoint: self.address().clone(),
                        reason: format!("outbox {full}"),
                    });
                }
            }
        }
    }

    pub(super) fn ask_remote<M: Request>(
        &self,
        route: &RemoteRoute,
        message: M,
        meta: &Meta,
    ) -> State<M::Reply> {
        if route.env.is_sealed() {
            return State::Failed(Some(AskError::EnvStopped));
        }
        let lessons = route.memory.lessons();
        let codec = route.codec::<M>();
        let state = self.ask_once(route, &**codec, &message, meta, Duration::ZERO);
        // A peer of whom nothing is known may want Java.
        if codec.learns() || (route.memory.heard() == 0 && M::JAVA.is_some()) {
            let (reference, codec, meta) = (self.clone(), Arc::clone(codec), meta.clone());
            return State::Slow(Box::pin(
                reference.ask_until_understood(codec, message, state, meta, lessons),
            ));
        }
        state
    }

    /// Asks again as long as the peer refuses the form, so that the message was not handled, and says which it wants.
    async fn ask_until_understood<M: Request>(
        self,
        mut codec: Arc<dyn Codec>,
        message: M,
        mut state: State<M::Reply>,
        meta: Meta,
        mut lessons: u32,
    ) -> Result<M::Reply, AskError> {
        let Route::Remote(route) = &self.inner.route else {
            return Err(self.no_route_ask());
        };
        let memory = &route.memory;
        for _ in 0..MOST_LESSONS {
            let result = Ask::new(state, meta.clone(), M::JAVA_REPLY).await;
            let Err(AskError::Refused { text }) = &result else {
                return result;
            };
            // Another message may have taught the same while this one was on its way.
            let learned = route.env.codecs.learn(text, &*codec, memory) || memory.lessons() != lessons;
            let waited = now().saturating_duration_since(meta.began);
            if !learned || waited >= meta.timeout.duration {
                return result;
            }
            lessons = memory.lessons();
            codec = Arc::clone(route.codec::<M>());
            tracing::debug!(endpoint = %self, message = M::NAME, codec = codec.name(), "asking again in another form");
            state = self.ask_once(route, &*codec, &message, &meta, waited);
        }
        Ask::new(state, meta, M::JAVA_REPLY).await
    }

    fn ask_once<M: Request>(
        &self,
        route: &RemoteRoute,
        codec: &dyn Codec,
        message: &M,
        meta: &Meta,
        waited: Duration,
    ) -> State<M::Reply> {
        let lane = lane::<M>();
        with_frame_buffer(|frame| {
            let open = OpenFrame::rpc_request(frame, RequestId(0));
            if let Err(error) = route.write_content(codec, message, frame) {
                return State::Failed(Some(error.into()));
            }
            if let Err(error) = open.finish(frame) {
                return State::Failed(Some(AskError::NotSent(TransportSendError::TooLong(error))));
            }
            match self.request_frame(route, lane, frame, meta, waited) {
                Ok(RemoteAsk::Sent(pending)) => State::Remote {
                    pending,
                    connected_after: None,
                },
                Ok(RemoteAsk::Waits(wait)) => State::Outbox(wait),
                Err(RemoteAskError::Failed(error)) => State::Failed(Some(error)),
                Err(RemoteAskError::Full | RemoteAskError::TooMany(_)) => {
                    let reference = self.clone();
                    let frame = std::mem::take(frame);
                    let (began, timeout) = (meta.began, Arc::clone(&meta.timeout));
                    State::Slow(Box::pin(async move {
                        reference
                            .ask_remote_when_room::<M>(lane, frame, began, timeout)
                            .await
                    }))
                }
            }
        })
    }

    async fn ask_remote_when_room<M: Request>(
        self,
        lane: Lane,
        mut frame: Vec<u8>,
        began: std::time::Instant,
        timeout_setting: Arc<RpcTimeout>,
    ) -> Result<M::Reply, AskError> {
        let Route::Remote(route) = &self.inner.route else {
            return Err(self.no_route_ask());
        };
        let meta = Meta {
            reference: self.clone(),
            message: M::NAME,
            timeout: timeout_setting,
            began,
        };
        let until = tokio::time::Instant::from_std(meta.deadline());
        loop {
            let waited = now().saturating_duration_since(began);
            let state = match self.request_frame(route, lane, &mut frame, &meta, waited) {
                Ok(RemoteAsk::Sent(pending)) => State::Remote {
                    pending,
                    connected_after: None,
                },
                Ok(RemoteAsk::Waits(wait)) => State::Outbox(wait),
                Err(RemoteAskError::Failed(error)) => return Err(error),
                Err(full @ (RemoteAskError::Full | RemoteAskError::TooMany(_))) => {
                    let room = async {
                        match &full {
                            RemoteAskError::TooMany(client) => client.wait_for_request_room().await,
                            _ => self.room(0).await,
                        }
                    };
                    if tokio::time::timeout_at(until, room).await.is_err() {
                        let phases = vec![(AskPhase::WaitingForRoom, now().saturating_duration_since(began))];
                        return Err(timeout(&meta, route.peer.as_deref(), phases));
                    }
                    continue;
                }
            };
            return Ask::new(state, meta, M::JAVA_REPLY).await;
        }
    }

    /// Makes the request with what is left of its time after `waited`, which the caller knows without a look at the clock.
    fn request_frame(
        &self,
        route: &RemoteRoute,
        lane: Lane,
        frame: &mut Vec<u8>,
        meta: &Meta,
        waited: Duration,
    ) -> Result<RemoteAsk, RemoteAskError> {
        let deadline = meta.deadline();
        let left = Some(meta.timeout.duration.saturating_sub(waited));
        let mut lost = None;
        if let Some(client) = &route.connection {
            match client.request_frame(lane, frame, left) {
                Ok(pending) => return Ok(RemoteAsk::Sent(pending)),
                Err(TransportSendError::Closed(cause)) => lost = Some(cause),
                Err(error) => return Err(RemoteAskError::of(error, client)),
            }
        }
        let Some(peer) = &route.peer else {
            return Err(RemoteAskError::Failed(
                lost.map_or_else(|| self.no_route_ask(), AskError::Disconnected),
            ));
        };
        loop {
            let mut slot = None;
            let sent = peer.send(|| {
                let bytes = frame.len();
                let waits = Arc::new(OutboxSlot::default());
                slot = Some(Arc::clone(&waits));
                let frame = std::mem::take(frame);
                let message = OutboxMessage::Ask {
                    lane,
                    frame,
                    deadline,
                    slot: waits,
                };
                (message, bytes)
            });
            match (sent, slot) {
                (Ok(PeerSend::Queued(place)), Some(slot)) => {
                    return Ok(RemoteAsk::Waits(OutboxWait {
                        env: Arc::clone(&route.env),
                        slot,
                        peer: Arc::clone(peer),
                        place,
                        timer: None,
                    }));
                }
                (Ok(PeerSend::Connected(client)), _) => match client.request_frame(lane, frame, left) {
                    Ok(pending) => return Ok(RemoteAsk::Sent(pending)),
                    Err(TransportSendError::Closed(_)) => peer.lost(&client),
                    Err(error) => return Err(RemoteAskError::of(error, &client)),
                },
                (Err(PeerError::Full(full)), _) => {
                    return Err(RemoteAskError::Failed(AskError::Rejected {
                        endpoint: self.name().to_owned(),
                        reason: format!("outbox {full}"),
                    }));
                }
                _ => return Err(RemoteAskError::Failed(AskError::EnvStopped)),
            }
        }
    }

    fn not_sent(&self, error: TransportSendError) -> SendError {
        match error {
            TransportSendError::Full(full) => SendError::Full {
                endpoint: self.address().clone(),
                reason: format!("write queue {full}"),
            },
            TransportSendError::Closed(cause) => SendError::Disconnected(cause),
            other => SendError::NotSent(other),
        }
    }
}

enum RemoteAsk {
    Sent(PendingRequest),
    Waits(OutboxWait),
}

enum RemoteAskError {
    Full,
    /// As many requests as allowed wait for their answer on this connection.
    TooMany(TransportClient),
    Failed(AskError),
}

impl RemoteAskError {
    fn of(error: TransportSendError, client: &TransportClient) -> Self {
        match error {
            TransportSendError::Full(_) => RemoteAskError::Full,
            TransportSendError::TooManyRequests { .. } => RemoteAskError::TooMany(client.clone()),
            TransportSendError::Closed(cause) => RemoteAskError::Failed(AskError::Disconnected(cause)),
            other => RemoteAskError::Failed(AskError::NotSent(other)),
        }
    }
}

impl RemoteRoute {
    #[inline]
    fn codec<M: RpcMessage>(&self) -> &Arc<dyn Codec> {
        self.env.codecs.of_peer(&self.memory, M::JAVA.is_some())
    }

    #[inline]
    fn write_content<M: RpcMessage>(
        &self,
        codec: &dyn Codec,
        message: &M,
        frame: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        frame.extend_from_slice(&self.header);
        codec.encode(&MessageValue(message), &self.memory, frame)
    }
}

pub(super) fn lane<M: RpcMessage>() -> Lane {
    if M::CONTROL { Lane::Control } else { Lane::Normal }
}

pub(super) fn header(
    env: &EnvShared,
    address: &RpcEndpointAddress,
) -> Result<Box<[u8]>, spark_rpc_wire::EnvelopeError> {
    let mut header = Vec::new();
    let wire = |address: &RpcAddress| Address {
        host: address.host().to_owned().into(),
        port: i32::from(address.port()),
    };
    let envelope = Envelope {
        sender: env.address().map(wire),
        receiver: address.address().map(wire),
        name: address.name().into(),
    };
    envelope.encode(&mut header)?;
    Ok(header.into())
}

/// How often an ask is sent again because its form was refused; each time one more class id is known.
const MOST_LESSONS: usize = 8;
