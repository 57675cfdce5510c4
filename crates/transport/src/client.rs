//! The users' handle of one connection.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use spark_rpc_engine::{AskId, Lane, Outcome};
use spark_rpc_net::SocketName;
use spark_rpc_wire::{OpenFrame, RequestId};

use crate::buffers::with_frame_buffer;
use crate::client_bulk::timing;
use crate::error::{ConnectionError, RequestError, SendError};
use crate::link::{Closing, Link, Reply, Shared, now};
use crate::security::PeerIdentity;
use crate::waiters::Waiters;

/// A connection to a peer, on which both sides may send and ask (Spark's `TransportClient`).
///
/// Clones share the connection. It lives until it is [closed](Self::close), fails, or its server or factory ends, not
/// until the last clone is dropped. Equality means the same connection.
#[derive(Clone)]
pub struct TransportClient {
    shared: Arc<Shared>,
}

impl TransportClient {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The other end: the address dialled, or for an accepted connection what the socket says.
    #[must_use]
    pub fn peer(&self) -> &SocketName {
        &self.shared.peer
    }

    /// This end of the socket.
    #[must_use]
    pub fn local(&self) -> &SocketName {
        &self.shared.local
    }

    /// A number that no other connection of the same context has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// Whether messages can be sent: the connection has neither ended nor begun to close.
    #[must_use]
    pub fn is_active(&self) -> bool {
        let link = self.shared.link();
        link.ended.is_none() && link.closing.is_none()
    }

    /// Whether it has ended for good, so that its handler has been told or is about to be.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.link().ended.is_some()
    }

    /// Requests that wait for their answer, of any kind; a stream or an upload that is arriving counts, too.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.shared.link().outstanding()
    }

    /// The identity that the peer has proven, if it has.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.shared.client_id.get().map(String::as_str)
    }

    /// Sets the identity that the peer has proven. It can be set once.
    ///
    /// # Errors
    ///
    /// Gives the id back if one is set.
    pub fn set_client_id(&self, id: String) -> Result<(), String> {
        self.shared.client_id.set(id)
    }

    /// What the peer has proven before anything was served, and what protects the connection.
    #[must_use]
    pub fn identity(&self) -> &PeerIdentity {
        self.shared.identity.get_or_init(PeerIdentity::unknown)
    }

    pub(crate) fn set_identity(&self, identity: PeerIdentity) {
        if let Some(user) = &identity.user {
            // The connection is new, so nobody else has set it.
            let _ = self.set_client_id(user.clone());
        }
        let _ = self.shared.identity.set(identity);
    }

    /// Sends a one-way message with `body`.
    ///
    /// # Errors
    ///
    /// [`SendError`]: the message has not been sent. Without an error it is on its way; whether it arrives is not known.
    pub fn send(&self, body: &[u8]) -> Result<(), SendError> {
        with_frame_buffer(|out| {
            let frame = OpenFrame::one_way(out);
            out.extend_from_slice(body);
            frame.finish(out).map_err(SendError::TooLong)?;
            self.send_frame(Lane::Normal, out)
        })
    }

    /// Queues one whole encoded frame that needs no answer. A large frame is moved out of `frame`.
    ///
    /// # Errors
    ///
    /// [`SendError`]: the frame has not been queued and `frame` is as it was.
    pub fn send_frame(&self, lane: Lane, frame: &mut Vec<u8>) -> Result<(), SendError> {
        self.shared.push(lane, frame)
    }

    /// Sends a request with `body` and waits for the answer's body, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// | Error | Was the request handled? |
    /// | --- | --- |
    /// | [`RequestError::NotSent`] | no |
    /// | [`RequestError::Failed`] | the peer says that it failed |
    /// | [`RequestError::TimedOut`], [`RequestError::Connection`] | unknown |
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the answer, not the request.
    pub async fn send_rpc(&self, body: &[u8], timeout: Option<Duration>) -> Result<Bytes, RequestError> {
        let request = with_frame_buffer(|out| {
            let frame = OpenFrame::rpc_request(out, RequestId(0));
            out.extend_from_slice(body);
            frame.finish(out).map_err(SendError::TooLong)?;
            self.request_frame(Lane::Normal, out, timeout)
        })?;
        request.await
    }

    /// Queues one whole encoded request frame, whose id is chosen here, and returns the wait for its answer.
    ///
    /// # Errors
    ///
    /// [`SendError`]: the frame has not been queued and `frame` is as it was, but for its id.
    pub fn request_frame(
        &self,
        lane: Lane,
        frame: &mut Vec<u8>,
        timeout: Option<Duration>,
    ) -> Result<PendingRequest, SendError> {
        let id = self.shared.begin(lane, frame, timing(timeout), None)?;
        Ok(PendingRequest(self.outstanding_request(id, timeout)))
    }

    pub(crate) fn outstanding_request(&self, id: AskId, timeout: Option<Duration>) -> Outstanding {
        Outstanding {
            client: self.clone(),
            id,
            waited: timeout.unwrap_or_default(),
            finished: false,
        }
    }

    pub(crate) fn wrong_answer(&self) -> RequestError {
        RequestError::WrongAnswer {
            peer: self.shared.peer.clone(),
        }
    }

    /// Waits until the write queue has room, or the connection has ended. Room is what the largest frame or upload
    /// fits into that was refused for want of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn wait_for_room(&self) {
        let done = |link: &Link| (link.has_room() || link.ended.is_some()).then_some(());
        self.wait(|link| &mut link.want_room, done).await;
    }

    /// Waits until fewer requests than allowed wait for their answer, or the connection has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn wait_for_request_room(&self) {
        let most = self.shared.conf.max_pending_requests;
        let done = |link: &Link| (link.pending.waiting() < most || link.ended.is_some()).then_some(());
        self.wait(|link| &mut link.want_request, done).await;
    }

    /// Notes that the connection is about to be used, so that it does not idle out in between.
    pub(crate) fn touch(&self) {
        self.shared.link().idle.request(now());
    }

    /// Closes the connection once everything queued has been written; later messages are refused.
    pub fn close(&self) {
        self.shared.close(Closing::Flushed);
    }

    /// Closes the connection at once; outstanding requests fail.
    pub fn abort(&self) {
        self.shared.close(Closing::Now(ConnectionError::ClosedHere {
            peer: self.shared.peer.clone(),
        }));
    }

    /// Waits until the connection has ended and returns why it did.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn closed(&self) -> Arc<ConnectionError> {
        self.wait(|link| &mut link.want_end, |link| link.ended.clone())
            .await
    }

    /// Waits among those in `list` until `done` says so.
    async fn wait<T>(&self, list: fn(&mut Link) -> &mut Waiters, done: impl Fn(&Link) -> Option<T>) -> T {
        let mut place = Place {
            shared: &self.shared,
            list,
            place: None,
        };
        poll_fn(|cx| {
            let mut link = self.shared.link();
            if let Some(done) = done(&link) {
                return Poll::Ready(done);
            }
            list(&mut link).enter(&mut place.place, cx.waker());
            Poll::Pending
        })
        .await
    }

    /// Bytes that wait for the socket.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.shared.link().queue.load().bytes
    }
}

impl PartialEq for TransportClient {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for TransportClient {}

impl fmt::Debug for TransportClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportClient")
            .field("id", &self.shared.id)
            .field("peer", &format_args!("{}", self.shared.peer))
            .finish_non_exhaustive()
    }
}

/// One task's place in a list of those who wait; given up when the task no longer does.
struct Place<'a> {
    shared: &'a Shared,
    list: fn(&mut Link) -> &mut Waiters,
    place: Option<u64>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            (self.list)(&mut self.shared.link()).leave(place);
        }
    }
}

/// The wait for the answer to one request.
///
/// Dropping it frees the request's place at once; an answer that still comes is counted and discarded.
#[derive(Debug)]
#[must_use = "dropping it discards the answer"]
pub struct PendingRequest(Outstanding);

/// The wait for an answer of any kind.
#[derive(Debug)]
pub(crate) struct Outstanding {
    client: TransportClient,
    id: AskId,
    waited: Duration,
    finished: bool,
}

impl PendingRequest {
    /// The connection that the request went out on.
    #[must_use]
    pub fn client(&self) -> &TransportClient {
        &self.0.client
    }

    pub(crate) fn into_outstanding(self) -> Outstanding {
        self.0
    }
}

impl Outstanding {
    pub(crate) fn id(&self) -> AskId {
        self.id
    }
}

impl Future for PendingRequest {
    type Output = Result<Bytes, RequestError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|reply| match reply? {
            Reply::Response(body) => Ok(body),
            _ => Err(self.0.client.wrong_answer()),
        })
    }
}

impl Future for Outstanding {
    type Output = Result<Reply, RequestError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(outcome) = self.client.shared.poll(self.id, cx.waker()) else {
            return Poll::Pending;
        };
        self.finished = true;
        Poll::Ready(match outcome {
            Outcome::Reply(Reply::Failure(text)) => Err(RequestError::Failed { text }),
            Outcome::Reply(Reply::BodyUnreadable(source)) => Err(RequestError::BodyUnreadable { source }),
            Outcome::Reply(reply) => Ok(reply),
            Outcome::TimedOut => Err(RequestError::TimedOut {
                peer: self.client.shared.peer.clone(),
                waited: self.waited,
            }),
            Outcome::Failed(cause) => Err(RequestError::Connection(cause)),
        })
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        if !self.finished {
            self.client.shared.cancel(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_end_again_and_again_costs_no_memory() {
        let name = SocketName::new("nobody", 1);
        let shared = Shared::new(
            1,
            name.clone(),
            name,
            Arc::default(),
            Arc::default(),
            Arc::default(),
        );
        let client = TransportClient::new(Arc::new(shared));
        for _ in 0..10 {
            let given_up = tokio::time::timeout(Duration::from_millis(1), client.closed()).await;
            assert!(given_up.is_err());
        }
        assert!(client.shared.link().want_end.is_empty());
    }
}
