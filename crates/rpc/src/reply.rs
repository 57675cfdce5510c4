//! The handle by which a handler answers, now or later.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use spark_rpc_transport::Responder;

use crate::codec::{Codec, JavaForm, PeerMemory};
use crate::error::{AskError, BoxError, Failure, RemoteFailure};
use crate::message::{Encodable, ReplyEncodable, ReplyValue};
use crate::slot::ReplySlot;

/// Answers one ask, once (the replying half of Spark's `RpcCallContext`).
///
/// It may be kept and used later, from any task or thread. Dropped unused, it fails the asker at once with
/// [`AskError::Unanswered`]: a forgotten reply does not cost a timeout.
///
/// # Examples
///
/// ```
/// # use spark_rpc::Reply;
/// fn answer_later(reply: Reply<u64>) {
///     std::thread::spawn(move || reply.send(42));
/// }
/// ```
#[must_use = "dropping a reply handle fails the asker"]
pub struct Reply<R: ReplyValue> {
    way: Option<Way<R>>,
}

enum Way<R: 'static> {
    /// The asker is in this env: the value itself is handed over.
    Local(Arc<ReplySlot<R>>),
    Remote(RemoteReply, Option<&'static JavaForm<R>>),
}

impl<R: ReplyValue> Reply<R> {
    pub(crate) fn local(slot: Arc<ReplySlot<R>>) -> Self {
        Self {
            way: Some(Way::Local(slot)),
        }
    }

    pub(crate) fn remote(remote: RemoteReply, java: Option<&'static JavaForm<R>>) -> Self {
        Self {
            way: Some(Way::Remote(remote, java)),
        }
    }

    /// Answers with `value`.
    ///
    /// An asker that has given up, or whose connection has ended, is not an error: the value is dropped. A value that
    /// cannot be encoded becomes a failure for the asker.
    pub fn send(mut self, value: R) {
        match self.way.take() {
            Some(Way::Local(slot)) => _ = slot.complete(Ok(value)),
            Some(Way::Remote(remote, java)) => remote.succeed(&ReplyEncodable(&value, java)),
            None => {}
        }
    }

    /// Fails the ask (Spark's `sendFailure`): the asker gets [`AskError::Remote`].
    pub fn fail(mut self, error: impl Into<BoxError>) {
        let error = error.into();
        match self.way.take() {
            Some(Way::Local(slot)) => {
                slot.complete(Err(AskError::Remote(RemoteFailure::from_error(error))));
            }
            Some(Way::Remote(remote, _)) => remote.fail(&Failure::of_handler(error)),
            None => {}
        }
    }

    /// Answers with a handler's result.
    pub fn complete<E: Into<BoxError>>(self, result: Result<R, E>) {
        match result {
            Ok(value) => self.send(value),
            Err(error) => self.fail(error),
        }
    }

    /// Fails the ask without blaming the handler.
    pub(crate) fn refuse(mut self, failure: Failure) {
        match self.way.take() {
            Some(Way::Local(slot)) => _ = slot.complete(Err(failure.into())),
            Some(Way::Remote(remote, _)) => remote.fail(&failure),
            None => {}
        }
    }
}

impl<R: ReplyValue> Drop for Reply<R> {
    fn drop(&mut self) {
        let Some(way) = self.way.take() else { return };
        // While a panic unwinds, this handle belongs to the handler that panicked.
        let panicked = std::thread::panicking();
        match way {
            Way::Local(slot) => slot.abandon(panicked),
            Way::Remote(remote, _) => remote.abandon(panicked),
        }
    }
}

impl<R: ReplyValue> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match &self.way {
            Some(Way::Local(..)) => "local",
            Some(Way::Remote(..)) => "remote",
            None => "used",
        };
        f.debug_tuple("Reply").field(&way).finish()
    }
}

/// What an asker is told whose reply handle was dropped.
pub(crate) fn unanswered(endpoint: &str, panicked: bool) -> Failure {
    if panicked {
        Failure::Panicked {
            message: format!("in {endpoint}; its log has the text"),
        }
    } else {
        Failure::Unanswered {
            endpoint: endpoint.to_owned(),
        }
    }
}

/// The way back to an asker in another env, in the codec that it asked in.
///
/// It is a part of every inbound message that wants a reply, and these are moved about, so it is kept small.
pub(crate) struct RemoteReply {
    pub(crate) responder: Responder,
    pub(crate) form: Arc<ReplyForm>,
}

/// What the replies of one endpoint to one peer have in common.
pub(crate) struct ReplyForm {
    pub(crate) codec: Arc<dyn Codec>,
    pub(crate) peer: Arc<PeerMemory>,
    pub(crate) endpoint: Arc<str>,
}

impl RemoteReply {
    pub(crate) fn succeed(self, value: &dyn Encodable) {
        let (codec, peer) = (&*self.form.codec, &*self.form.peer);
        let encoded = self
            .responder
            .try_success_with(|out| codec.encode(value, peer, out));
        if let Err((responder, error)) = encoded {
            let reason = error.reason;
            tracing::warn!(endpoint = %self.form.endpoint, %reason, "the reply cannot be encoded");
            fail_remote(
                responder,
                Some((codec, peer)),
                &Failure::UnencodableReply { reason },
            );
        }
    }

    pub(crate) fn fail(self, failure: &Failure) {
        let form = &self.form;
        fail_remote(self.responder, Some((&*form.codec, &*form.peer)), failure);
    }

    fn abandon(self, panicked: bool) {
        let failure = unanswered(&self.form.endpoint, panicked);
        self.fail(&failure);
    }
}

/// Answers with a failure, in the asker's codec if it has a form for failures, else as text.
pub(crate) fn fail_remote(responder: Responder, codec: Option<(&dyn Codec, &PeerMemory)>, failure: &Failure) {
    let mut content = Vec::new();
    match codec {
        Some((codec, peer)) if codec.encode_failure(failure, peer, &mut content) => {
            responder.success(&content);
        }
        _ => responder.failure(&failure.to_text()),
    }
}

/// Answers an ask whose content is left as it is, see [`Raw`](crate::Raw).
#[must_use = "dropping a reply handle fails the asker"]
pub struct RawReply {
    pub(crate) way: Option<RawWay>,
}

pub(crate) enum RawWay {
    Remote(RemoteReply),
    Local(Box<dyn LocalRawReply>),
}

/// Takes the content of a reply for an asker of this env that expects a typed one.
pub(crate) trait LocalRawReply: Send {
    fn send(self: Box<Self>, content: Bytes);
    fn fail(self: Box<Self>, error: BoxError);
}

impl RawReply {
    /// Answers with `content`, which is not looked at: it should be what the codec of the asker expects.
    pub fn send(mut self, content: &[u8]) {
        match self.way.take() {
            Some(RawWay::Remote(remote)) => remote.responder.success(content),
            Some(RawWay::Local(local)) => local.send(Bytes::copy_from_slice(content)),
            None => {}
        }
    }

    /// Fails the ask: the asker gets [`AskError::Remote`].
    pub fn fail(mut self, error: impl Into<BoxError>) {
        let error = error.into();
        match self.way.take() {
            Some(RawWay::Remote(remote)) => remote.fail(&Failure::of_handler(error)),
            Some(RawWay::Local(local)) => local.fail(error),
            None => {}
        }
    }
}

impl Drop for RawReply {
    fn drop(&mut self) {
        if let Some(RawWay::Remote(remote)) = self.way.take() {
            remote.abandon(std::thread::panicking());
        }
        // A local one holds a typed handle, which does the same when it is dropped.
    }
}

impl fmt::Debug for RawReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawReply")
    }
}

// Each inbound enum that has one of these is at least as large.
const _: () = assert!(size_of::<Reply<u64>>() <= 40);
