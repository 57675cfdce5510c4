//! A server with somebody innocent on it, for those who attack it.

use std::sync::Arc;

use spark_rpc_testkit::ScriptedPeer;
use spark_rpc_transport::auth::Secret;
use spark_rpc_transport::security::{AuthClientBootstrap, AuthOptions, AuthServerBootstrap};
use spark_rpc_transport::{
    ClientBootstrap, ServerBootstrap, TransportClient, TransportClientFactory, TransportConf,
    TransportContext, TransportServer,
};
use spark_rpc_wire::{Message, RequestId, RpcRequest};

use crate::security::Users;
use crate::support::{Handlers, Hosts, PORT, Seen, connect, context, hosts, settle, soon};

/// A server that knows alice and bob, and alice's connection to it, which came first.
///
/// Whatever happens to the server, [`unharmed`](Self::unharmed) says that it has ended for the attackers and that alice
/// has noticed nothing.
pub(crate) struct Siege {
    pub(crate) hosts: Hosts,
    pub(crate) handlers: Handlers,
    pub(crate) context: TransportContext,
    server: TransportServer,
    innocent: TransportClient,
    _factory: TransportClientFactory,
}

impl Siege {
    /// With the strongest mechanism and default settings, and handlers that answer like an echo.
    pub(crate) async fn begin() -> Self {
        Self::with(AuthOptions::default()).await
    }

    pub(crate) async fn with(options: AuthOptions) -> Self {
        Self::of(TransportConf::default(), &Handlers::echo(), options).await
    }

    pub(crate) async fn of(conf: TransportConf, handlers: &Handlers, options: AuthOptions) -> Self {
        let users = Users::new(&[("alice", "good"), ("bob", "other")]);
        let server = AuthServerBootstrap::new(users.clone(), options.clone());
        let client = AuthClientBootstrap::new("alice", users, options);
        Self::behind(conf, handlers, Arc::new(server), Arc::new(client)).await
    }

    /// Behind any gate.
    pub(crate) async fn behind(
        conf: TransportConf,
        handlers: &Handlers,
        server: Arc<dyn ServerBootstrap>,
        client: Arc<dyn ClientBootstrap>,
    ) -> Self {
        let hosts = hosts();
        let served = context(&hosts.server, conf.clone(), handlers);
        let server = served.create_server("server", PORT, vec![server]).await.unwrap();
        let factory = context(&hosts.client, conf, &Handlers::echo()).create_client_factory(vec![client]);
        let siege = Self {
            innocent: connect(&factory).await,
            hosts,
            handlers: handlers.clone(),
            context: served,
            server,
            _factory: factory,
        };
        siege.innocent_is_served().await;
        siege
    }

    /// One who has connected, and does what the test says.
    pub(crate) async fn attacker(&self) -> ScriptedPeer {
        self.hosts.raw_client().await
    }

    /// What handlers have heard from all but the innocent.
    pub(crate) fn heard(&self) -> Vec<Seen> {
        self.handlers.record.all_but_first()
    }

    /// The requests that have been served to others.
    pub(crate) fn served(&self) -> Vec<Seen> {
        let mut heard = self.heard();
        heard.retain(|seen| matches!(seen, Seen::Request(_) | Seen::OneWay(_)));
        heard
    }

    /// Every attacker has been thrown out, and the innocent is served.
    pub(crate) async fn unharmed(&self) {
        settle().await;
        assert_eq!(self.server.connections(), 1, "who is in: {:?}", self.heard());
        self.innocent_is_served().await;
    }

    /// The same, and no attacker was served anything.
    pub(crate) async fn unharmed_and_served_nothing(&self) {
        self.unharmed().await;
        assert_eq!(self.served(), []);
    }

    pub(crate) async fn innocent_is_served(&self) {
        let answer = soon(self.innocent.send_rpc(b"innocent", None)).await;
        assert_eq!(answer.unwrap(), "innocent");
    }
}

/// The bytes of a frame.
pub(crate) fn frame(message: impl Into<Message<bytes::Bytes>>) -> Vec<u8> {
    let mut out = Vec::new();
    message.into().encode(&mut out).unwrap();
    out
}

pub(crate) fn request(id: i64, body: impl Into<bytes::Bytes>) -> RpcRequest<bytes::Bytes> {
    RpcRequest {
        request_id: RequestId(id),
        body: body.into(),
    }
}

/// What alice knows.
pub(crate) fn good() -> Secret {
    Secret::new("good").unwrap()
}

/// The answer to the handshake's last request.
pub(crate) async fn expect_response(peer: &mut ScriptedPeer) -> bytes::Bytes {
    match peer.expect_frame().await {
        Message::RpcResponse(response) => response.body,
        other => panic!("expected a response, but got {other:?}"),
    }
}

pub(crate) async fn expect_failure(peer: &mut ScriptedPeer) -> String {
    match peer.expect_frame().await {
        Message::RpcFailure(failure) => failure.error,
        other => panic!("expected a failure, but got {other:?}"),
    }
}
