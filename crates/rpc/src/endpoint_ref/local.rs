//! The ways of messages within an env.

use std::sync::Arc;

use super::{LocalRoute, Route, RpcEndpointRef};
use crate::ask::{Ask, LocalWait, Meta, State, timeout};
use crate::config::RpcTimeout;
use crate::dispatcher::DispatchError;
use crate::error::{AskError, AskPhase, SendError};
use crate::mailbox::{PostError, now};
use crate::message::{OneWay, Request};
use crate::parcel::{LocalOneWay, LocalRequest, Parcel};
use crate::reply::Reply;
use crate::slot::ReplySlot;

impl RpcEndpointRef {
    #[inline]
    pub(super) fn post_one_way<M: OneWay>(
        &self,
        route: &LocalRoute,
        message: &mut LocalOneWay<M>,
    ) -> Result<(), DispatchError> {
        let posted = route.env.dispatcher.post(
            route.mailbox.as_ref(),
            self.name(),
            &mut Parcel::local(message, M::CONTROL),
            size_of::<M>(),
            None,
        )?;
        if let Some(waker) = posted.waker {
            waker.wake();
        }
        Ok(())
    }

    /// The error of a message that is refused for good. Apart from what every message runs through, where it would only
    /// be carried along.
    #[cold]
    pub(super) fn refused(
        &self,
        route: &LocalRoute,
        message: &'static str,
        error: &DispatchError,
    ) -> SendError {
        let error = self.local_send_error(message, error);
        self.count_refused(route, message, &error);
        error
    }

    /// Counts a message that the inbox has refused for good, and logs the first.
    pub(super) fn count_refused(&self, route: &LocalRoute, message: &'static str, error: &SendError) {
        if let SendError::Full { reason, .. } = error
            && let Some(mailbox) = route.env.dispatcher.current(route.mailbox.as_ref(), self.name())
            && mailbox.counters().rejected()
        {
            tracing::warn!(
                endpoint = self.name(),
                message,
                reason,
                "the inbox refuses messages"
            );
        }
    }

    pub(super) fn local_send_error(&self, message: &'static str, error: &DispatchError) -> SendError {
        let endpoint = || self.name().to_owned();
        match error {
            DispatchError::EnvStopped => SendError::EnvStopped,
            DispatchError::NotFound | DispatchError::Refused(PostError::Stopped) => {
                SendError::EndpointNotFound { endpoint: endpoint() }
            }
            DispatchError::Refused(PostError::Full(full)) => SendError::Full {
                endpoint: self.address().clone(),
                reason: format!("inbox {full}"),
            },
            DispatchError::Refused(PostError::Unknown | PostError::Undecodable(_)) => {
                SendError::UnknownMessage {
                    endpoint: endpoint(),
                    message,
                }
            }
        }
    }

    pub(super) fn ask_local<M: Request>(
        &self,
        route: &LocalRoute,
        message: M,
        meta: &Meta,
    ) -> State<M::Reply> {
        let slot = ReplySlot::take();
        let reply = Reply::local(Arc::clone(&slot));
        let mut parcel = LocalRequest(Some((message, reply)));
        match self.post_request(route, &mut parcel) {
            Ok(number) => State::Local(LocalWait::new(slot, number)),
            Err(DispatchError::Refused(PostError::Full(_))) => {
                let reference = self.clone();
                let (deadline, began) = (meta.deadline(), meta.began);
                let timeout = Arc::clone(&meta.timeout);
                State::Slow(Box::pin(async move {
                    reference
                        .ask_local_when_room(parcel, slot, deadline, began, timeout)
                        .await
                }))
            }
            Err(error) => {
                let error = self.local_ask_error(M::NAME, error);
                // The handle must not answer that it was dropped.
                if let Some((_, reply)) = parcel.0.take() {
                    reply.refuse(crate::error::Failure::EnvStopped);
                }
                State::Failed(Some(error))
            }
        }
    }

    async fn ask_local_when_room<M: Request>(
        self,
        mut parcel: LocalRequest<M>,
        slot: Arc<ReplySlot<M::Reply>>,
        deadline: std::time::Instant,
        began: std::time::Instant,
        timeout_setting: Arc<RpcTimeout>,
    ) -> Result<M::Reply, AskError> {
        let Route::Local(route) = &self.inner.route else {
            return Err(self.no_route_ask());
        };
        let meta = Meta {
            reference: self.clone(),
            message: M::NAME,
            timeout: timeout_setting,
            began,
        };
        let until = tokio::time::Instant::from_std(deadline);
        loop {
            match self.post_request(route, &mut parcel) {
                Ok(number) => {
                    let room = now().saturating_duration_since(began);
                    let wait = LocalWait::after_room(slot, number, room);
                    return Ask::new(State::Local(wait), meta, None).await;
                }
                Err(full @ DispatchError::Refused(PostError::Full(_))) => {
                    if tokio::time::timeout_at(until, self.room(size_of::<M>()))
                        .await
                        .is_err()
                    {
                        self.count_refused(route, M::NAME, &self.local_send_error(M::NAME, &full));
                        let phases = vec![(AskPhase::WaitingForRoom, now().saturating_duration_since(began))];
                        return Err(timeout(&meta, None, phases));
                    }
                }
                Err(error) => return Err(self.local_ask_error(M::NAME, error)),
            }
        }
    }

    fn post_request<M: Request>(
        &self,
        route: &LocalRoute,
        parcel: &mut LocalRequest<M>,
    ) -> Result<u64, DispatchError> {
        let posted = route.env.dispatcher.post(
            route.mailbox.as_ref(),
            self.name(),
            &mut Parcel::local(parcel, M::CONTROL),
            size_of::<M>(),
            None,
        )?;
        if let Some(waker) = posted.waker {
            waker.wake();
        }
        Ok(posted.number)
    }

    fn local_ask_error(&self, message: &'static str, error: DispatchError) -> AskError {
        let endpoint = self.name().to_owned();
        match error {
            DispatchError::EnvStopped => AskError::EnvStopped,
            DispatchError::NotFound | DispatchError::Refused(PostError::Stopped) => {
                AskError::EndpointNotFound { endpoint }
            }
            DispatchError::Refused(PostError::Full(full)) => AskError::Rejected {
                endpoint,
                reason: format!("inbox {full}"),
            },
            DispatchError::Refused(PostError::Unknown) => AskError::UnknownMessage {
                endpoint,
                message: message.to_owned(),
            },
            DispatchError::Refused(PostError::Undecodable(error)) => AskError::Undecodable {
                endpoint,
                message: message.to_owned(),
                reason: error.to_string(),
            },
        }
    }
}
