//! What an env does with one connection (Spark's `NettyRpcHandler`).

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use spark_rpc_transport::auth::engine::AuthMessage;
use spark_rpc_transport::auth::sasl::SaslMessage;
use spark_rpc_transport::{
    ConnectionError, Flow, HandlerFactory, Responder, RpcHandler, StreamManager, TransportClient,
};
use spark_rpc_wire::{Address, Body, Envelope};

use crate::address::RpcAddress;
use crate::codec::{Codec, Opened, PeerMemory};
use crate::config::WhenFull;
use crate::decoding::{self, DecodeContext};
use crate::dispatcher::DispatchError;
use crate::endpoint::Sender;
use crate::env::EnvShared;
use crate::error::Failure;
use crate::file_server::ConnectionFiles;
use crate::mailbox::{self, ConnectionEvent, Mailbox, PostError};
use crate::parcel::{Parcel, RemoteParcel};
use crate::reply::{RemoteReply, ReplyForm, fail_remote};
use crate::verifier::RpcEndpointVerifier;

/// Makes the handlers of an env's connections.
#[derive(Default)]
pub(crate) struct EnvHandlers {
    env: OnceLock<Weak<EnvShared>>,
}

impl EnvHandlers {
    pub(crate) fn set_env(&self, env: &Arc<EnvShared>) {
        let _ = self.env.set(Arc::downgrade(env));
    }
}

/// Shares the handlers with the transport.
pub(crate) struct SharedHandlers(pub(crate) Arc<EnvHandlers>);

impl HandlerFactory for SharedHandlers {
    fn handler(&self, client: &TransportClient) -> Box<dyn RpcHandler> {
        match self.0.env.get().and_then(Weak::upgrade) {
            Some(env) => Box::new(EnvHandler::new(env, client)),
            None => Box::new(spark_rpc_transport::NoRpcHandler),
        }
    }
}

/// What an env knows of the peer on one connection.
struct EnvHandler {
    socket: RpcAddress,
    /// The peer's own address, once it has said it; the first one counts.
    remote_env: Option<RpcAddress>,
    last: Option<Arc<Seen>>,
    seen: BTreeMap<Box<[u8]>, Arc<Seen>>,
    wakers: Vec<Waker>,
    context: DecodeContext,
    entered: bool,
    said_malformed: bool,
    /// How often this peer was refused an endpoint whose envelope was not known.
    denied: u64,
    files: ConnectionFiles,
}

/// An envelope that has been seen before, and where it leads.
struct Seen {
    header: Box<[u8]>,
    name: Arc<str>,
    sender: Arc<Sender>,
    mailbox: Option<Arc<dyn Mailbox>>,
    /// Whether this peer may use the endpoint.
    allowed: bool,
    /// How the first ask was answered, and most likely all others will be.
    reply: OnceLock<Arc<ReplyForm>>,
}

impl Seen {
    /// The mailbox that has the name now: the one known may have been stopped, and another one have taken its place.
    fn open_mailbox(&self, env: &EnvShared) -> Option<Arc<dyn Mailbox>> {
        env.dispatcher.current(self.mailbox.as_ref(), &self.name)
    }

    fn reply_form(&self, codec: &Arc<dyn Codec>, peer: &Arc<PeerMemory>) -> Arc<ReplyForm> {
        let new = || {
            Arc::new(ReplyForm {
                codec: Arc::clone(codec),
                peer: Arc::clone(peer),
                endpoint: Arc::clone(&self.name),
            })
        };
        let known = self.reply.get_or_init(new);
        if Arc::ptr_eq(&known.codec, codec) {
            Arc::clone(known)
        } else {
            new()
        }
    }
}

impl EnvHandler {
    fn new(env: Arc<EnvShared>, client: &TransportClient) -> Self {
        let socket = RpcAddress::from(client.peer());
        let peer = env.memory_of(&socket);
        let files = ConnectionFiles::new(Arc::clone(&env.served));
        Self {
            socket,
            remote_env: None,
            last: None,
            seen: BTreeMap::new(),
            wakers: Vec::new(),
            context: DecodeContext {
                env,
                client: Some(client.clone()),
                peer,
            },
            entered: false,
            said_malformed: false,
            denied: 0,
            files,
        }
    }

    fn env(&self) -> &Arc<EnvShared> {
        &self.context.env
    }

    /// Finds out where a message goes. Most repeat the envelope of one before.
    fn open(&mut self, body: &[u8], client: &TransportClient) -> Result<(Arc<Seen>, usize), String> {
        let len = Envelope::header_len(body).map_err(|error| error.to_string())?;
        let header = &body[..len];
        if let Some(last) = &self.last
            && *last.header == *header
        {
            return Ok((Arc::clone(last), len));
        }
        let seen = match self.seen.get(header) {
            Some(seen) => Arc::clone(seen),
            None => self.learn(body, len, client)?,
        };
        self.last = Some(Arc::clone(&seen));
        Ok((seen, len))
    }

    fn learn(&mut self, body: &[u8], len: usize, client: &TransportClient) -> Result<Arc<Seen>, String> {
        let (envelope, _) = Envelope::decode(body).map_err(|error| error.to_string())?;
        let sender_env = match envelope.sender {
            Some(Address { host, port }) => match u16::try_from(port) {
                Ok(port) => {
                    Some(RpcAddress::told(host, port).ok_or("no host has a name as long as the sender's")?)
                }
                Err(_) => None,
            },
            None => None,
        };
        if let Some(address) = &sender_env
            && self.remote_env.is_none()
        {
            self.remote_env = Some(address.clone());
            self.context.peer.set_address(address.clone());
            self.env()
                .post_to_all(&ConnectionEvent::Connected(address.clone()));
        }
        let allowed = self.may_use(client, &envelope.name);
        let seen = Arc::new(Seen {
            header: body[..len].into(),
            sender: Arc::new(Sender {
                address: sender_env.unwrap_or_else(|| self.socket.clone()),
                client: client.clone(),
            }),
            allowed,
            mailbox: self.env().dispatcher.find(&envelope.name).ok(),
            name: envelope.name.into(),
            reply: OnceLock::new(),
        });
        let worth_it = seen.mailbox.is_some() || !seen.allowed;
        if worth_it && len <= LONGEST_SEEN {
            if self.seen.len() >= MOST_SEEN {
                self.seen.clear();
            }
            self.seen.insert(seen.header.clone(), Arc::clone(&seen));
        }
        Ok(seen)
    }

    fn may_use(&mut self, client: &TransportClient, endpoint: &str) -> bool {
        let identity = client.identity();
        if endpoint == RpcEndpointVerifier::NAME || self.env().security.may_use(identity, endpoint) {
            return true;
        }
        let (peer, user, subject) = (client.peer(), &identity.user, &identity.subject);
        self.denied += 1;
        match self.denied {
            ..MOST_DENIALS_LOGGED => tracing::warn!(%peer, user, subject, endpoint, "access denied"),
            MOST_DENIALS_LOGGED => {
                tracing::warn!(%peer, user, subject, endpoint, "access denied; more of it on this connection is not told");
            }
            _ => tracing::debug!(%peer, user, subject, endpoint, "access denied"),
        }
        false
    }

    fn take(&mut self, client: &TransportClient, body: Body<'_>, responder: Option<Responder>) -> Flow {
        if !self.entered {
            decoding::enter(&self.context);
            self.entered = true;
        }
        let (seen, len) = match self.open(&body, client) {
            Ok(opened) => opened,
            Err(reason) => {
                self.malformed(client, responder, &body, &reason);
                return Flow::Continue;
            }
        };
        let content = body.slice_from(len);
        let env = self.env();
        if !seen.allowed {
            return deny(&self.context, &seen, &content, responder);
        }
        let peer = &self.context.peer;
        let Some(codec) = env.codecs.of(&content, peer) else {
            let failure = Failure::Undecodable {
                endpoint: seen.name.as_ref().to_owned(),
                message: "content".to_owned(),
                reason: "no codec recognises it".to_owned(),
            };
            refuse(env, &seen, "?", responder, None, &failure);
            return Flow::Continue;
        };
        let opened = match codec.open(&content, peer) {
            Ok(opened) => opened,
            Err(error) => {
                let failure = Failure::Undecodable {
                    endpoint: seen.name.as_ref().to_owned(),
                    message: "content".to_owned(),
                    reason: error.to_string(),
                };
                refuse(env, &seen, "?", responder, Some((&**codec, &**peer)), &failure);
                return Flow::Continue;
            }
        };
        let asks = responder.is_some();
        let mut parcel = Parcel::remote(RemoteParcel {
            codec,
            opened,
            content: &content,
            reply: responder.map(|responder| RemoteReply {
                responder,
                form: seen.reply_form(codec, peer),
            }),
            asks,
        });
        let posted = env.dispatcher.post(
            seen.mailbox.as_ref(),
            &seen.name,
            &mut parcel,
            content.len(),
            Some(&seen.sender),
        );
        match posted {
            Ok(posted) => {
                self.wakers.extend(posted.waker);
                Flow::Continue
            }
            Err(DispatchError::Refused(PostError::Full(full))) => {
                let reply = parcel.take_reply();
                let name = parcel.name().to_owned();
                let waiting = Waiting {
                    context: self.context.clone(),
                    seen: Arc::clone(&seen),
                    codec: Arc::clone(codec),
                    reply,
                    asks,
                    full,
                };
                match env.conf.inbox.when_full {
                    WhenFull::Wait { up_to } => {
                        let content = content.clone().into_bytes();
                        // Those who were queued for must run, or there will never be room.
                        self.wakers.drain(..).for_each(Waker::wake);
                        Flow::Wait(Box::pin(waiting.post_when_room(content, up_to)))
                    }
                    WhenFull::Reject => {
                        waiting.reject(&name);
                        Flow::Continue
                    }
                }
            }
            Err(error) => {
                let reply = parcel.take_reply();
                let failure = failure(&error, &seen.name, parcel.name());
                let responder = reply.map(|reply| reply.responder);
                refuse(
                    env,
                    &seen,
                    parcel.name(),
                    responder,
                    Some((&**codec, &**peer)),
                    &failure,
                );
                Flow::Continue
            }
        }
    }

    fn malformed(
        &mut self,
        client: &TransportClient,
        responder: Option<Responder>,
        body: &[u8],
        reason: &str,
    ) {
        self.env().count_unreadable();
        let authenticates = matches!(body.first(), Some(&AuthMessage::TAG | &SaslMessage::TAG));
        if !std::mem::replace(&mut self.said_malformed, true) {
            let peer = client.peer();
            if authenticates {
                tracing::warn!(%peer, reason = NO_AUTHENTICATION, "a peer cannot authenticate");
            } else {
                tracing::warn!(%peer, reason, "a message has a malformed envelope");
            }
        }
        if let Some(responder) = responder {
            responder.failure(&if authenticates {
                format!("java.lang.IllegalStateException: {NO_AUTHENTICATION}")
            } else {
                format!("java.io.StreamCorruptedException: malformed envelope: {reason}")
            });
        }
    }
}

impl RpcHandler for EnvHandler {
    fn receive(&mut self, client: &TransportClient, request: Body<'_>, responder: Responder) -> Flow {
        self.take(client, request, Some(responder))
    }

    fn receive_one_way(&mut self, client: &TransportClient, message: Body<'_>) -> Flow {
        self.take(client, message, None)
    }

    fn stream_manager(&self) -> &dyn StreamManager {
        &self.files
    }

    fn channel_active(&mut self, _client: &TransportClient) {
        self.env()
            .post_to_all(&ConnectionEvent::Connected(self.socket.clone()));
    }

    fn batch_ended(&mut self) {
        if self.entered {
            decoding::leave();
            self.entered = false;
        }
        self.wakers.drain(..).for_each(Waker::wake);
    }

    fn exception_caught(&mut self, _client: &TransportClient, cause: &ConnectionError) {
        let cause = Arc::new(cause.clone());
        let addresses = [Some(self.socket.clone()), self.remote_env.clone()];
        for address in addresses.into_iter().flatten() {
            self.env()
                .post_to_all(&ConnectionEvent::Error(Arc::clone(&cause), address));
        }
    }

    fn channel_inactive(&mut self, client: &TransportClient) {
        self.env().connection_ended(client, &self.socket);
        let addresses = [Some(self.socket.clone()), self.remote_env.take()];
        for address in addresses.into_iter().flatten() {
            self.env().post_to_all(&ConnectionEvent::Disconnected(address));
        }
    }
}

/// A message that found its inbox full. The connection's reader waits with it.
struct Waiting {
    context: DecodeContext,
    seen: Arc<Seen>,
    codec: Arc<dyn Codec>,
    reply: Option<RemoteReply>,
    asks: bool,
    full: spark_rpc_engine::Full,
}

impl Waiting {
    async fn post_when_room(mut self, content: Bytes, up_to: Duration) {
        let until = tokio::time::Instant::now() + up_to;
        let body = Body::Owned(content.clone());
        let Ok(opened) = self.codec.open(&content, &self.context.peer) else {
            return;
        };
        loop {
            if let Some(mailbox) = self.seen.open_mailbox(&self.context.env) {
                let room = mailbox::room(&*mailbox, content.len());
                if tokio::time::timeout_at(until, room).await.is_err() {
                    return self.reject(opened.name());
                }
            }
            match self.post(&body, opened.clone()) {
                Ok(()) => return,
                Err(DispatchError::Refused(PostError::Full(full))) if tokio::time::Instant::now() < until => {
                    self.full = full;
                    tokio::task::yield_now().await;
                }
                Err(DispatchError::Refused(PostError::Full(_))) => return self.reject(opened.name()),
                Err(error) => {
                    let failure = failure(&error, &self.seen.name, opened.name());
                    let responder = self.reply.take().map(|reply| reply.responder);
                    refuse(
                        &self.context.env,
                        &self.seen,
                        opened.name(),
                        responder,
                        Some((&*self.codec, &*self.context.peer)),
                        &failure,
                    );
                    return;
                }
            }
        }
    }

    fn post(&mut self, content: &Body<'_>, opened: Opened<'_>) -> Result<(), DispatchError> {
        let mut parcel = Parcel::remote(RemoteParcel {
            codec: &self.codec,
            opened,
            content,
            reply: self.reply.take(),
            asks: self.asks,
        });
        let seen = &self.seen;
        let posted = decoding::within(&self.context, || {
            self.context.env.dispatcher.post(
                seen.mailbox.as_ref(),
                &seen.name,
                &mut parcel,
                content.len(),
                Some(&seen.sender),
            )
        });
        self.reply = parcel.take_reply();
        let posted = posted?;
        if let Some(waker) = posted.waker {
            waker.wake();
        }
        Ok(())
    }

    fn reject(mut self, message: &str) {
        let failure = Failure::Rejected {
            endpoint: self.seen.name.as_ref().to_owned(),
            reason: format!("inbox {}", self.full),
        };
        let responder = self.reply.take().map(|reply| reply.responder);
        if let Some(mailbox) = self.seen.open_mailbox(&self.context.env)
            && mailbox.counters().rejected()
        {
            tracing::warn!(endpoint = %self.seen.name, message, full = %self.full, "the inbox refuses messages");
        }
        match responder {
            Some(responder) => {
                let codec = Some((&*self.codec, &*self.context.peer));
                fail_remote(responder, codec, &failure);
            }
            None => self.context.env.count_dropped(1),
        }
    }
}

fn failure(error: &DispatchError, endpoint: &str, message: &str) -> Failure {
    let endpoint = endpoint.to_owned();
    match error {
        DispatchError::EnvStopped => Failure::EnvStopped,
        DispatchError::NotFound | DispatchError::Refused(PostError::Stopped) => {
            Failure::EndpointNotFound { endpoint }
        }
        DispatchError::Refused(PostError::Full(full)) => Failure::Rejected {
            endpoint,
            reason: format!("inbox {full}"),
        },
        DispatchError::Refused(PostError::Unknown) => Failure::UnknownMessage {
            endpoint,
            message: message.to_owned(),
        },
        DispatchError::Refused(PostError::Undecodable(error)) => Failure::Undecodable {
            endpoint,
            message: message.to_owned(),
            reason: error.to_string(),
        },
    }
}

/// Answers an ask with `failure`; counts a one-way message. Each kind is logged once per endpoint.
fn refuse(
    env: &EnvShared,
    seen: &Seen,
    message: &str,
    responder: Option<Responder>,
    codec: Option<(&dyn Codec, &PeerMemory)>,
    failure: &Failure,
) {
    let first = match seen.open_mailbox(env) {
        Some(mailbox) => mailbox.counters().unreadable(),
        None => env.unknown_endpoint(&seen.name),
    };
    if first {
        let from = &seen.sender.address;
        let error = failure.to_text();
        tracing::warn!(endpoint = %seen.name, message, %from, error, "a message cannot be delivered; later ones are only counted");
    }
    match responder {
        Some(responder) => fail_remote(responder, codec, failure),
        None => env.count_dropped(1),
    }
}

/// Answers an ask of somebody who may not use the endpoint; it is neither decoded nor counted as the endpoint's.
fn deny(context: &DecodeContext, seen: &Seen, content: &Body<'_>, responder: Option<Responder>) -> Flow {
    let env = &context.env;
    match responder {
        Some(responder) => {
            let failure = Failure::Denied {
                endpoint: seen.name.as_ref().to_owned(),
            };
            let codec = env.codecs.of(content, &context.peer);
            fail_remote(responder, codec.map(|codec| (&**codec, &*context.peer)), &failure);
        }
        None => env.count_dropped(1),
    }
    Flow::Continue
}

const NO_AUTHENTICATION: &str = "the connecting side wants to authenticate, and this side does without: spark.authenticate is not the same on both";
/// How many envelopes are remembered for one connection, and how long they may be.
const MOST_SEEN: usize = 64;
const LONGEST_SEEN: usize = 1024;
/// So many refusals of one connection are logged: a peer can think up any number of names.
const MOST_DENIALS_LOGGED: u64 = 16;
