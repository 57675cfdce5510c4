//! spark-rpc itself, with a hand-written endpoint.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use spark_rpc::config::RpcConf;
use spark_rpc::{
    BoxError, DecodeError, Inbound, OneWay, Parcel, Reply, Request, RpcCallContext, RpcEndpoint,
    RpcEndpointRef, RpcEnv, RpcMessage,
};

use crate::Outcome;
use crate::counter::Counter;
use crate::drive::{Asker, Sender};
use crate::payload::Payload;

/// The endpoint's name.
const LAB: &str = "lab";

#[derive(Serialize, Deserialize)]
struct Tell(Payload);

impl RpcMessage for Tell {
    const NAME: &'static str = "Tell";
}

impl OneWay for Tell {}

#[derive(Serialize, Deserialize)]
struct Question(Payload);

impl RpcMessage for Question {
    const NAME: &'static str = "Question";
}

impl Request for Question {
    type Reply = Payload;
}

enum LabInbound {
    Told(Tell),
    Asked(Question, Reply<Payload>),
}

impl Inbound for LabInbound {
    #[inline]
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        if let Some(message) = parcel.one_way()? {
            return Ok(Some(Self::Told(message)));
        }
        Ok(parcel
            .request()?
            .map(|(question, reply)| Self::Asked(question, reply)))
    }

    fn message(&self) -> &'static str {
        match self {
            Self::Told(_) => Tell::NAME,
            Self::Asked(..) => Question::NAME,
        }
    }
}

struct Lab {
    received: Counter,
}

impl RpcEndpoint for Lab {
    type Inbound = LabInbound;

    #[inline]
    async fn handle(&mut self, message: LabInbound, _: &RpcCallContext) -> Result<(), BoxError> {
        match message {
            LabInbound::Told(Tell(payload)) => {
                std::hint::black_box(payload);
                self.received.add(1);
            }
            LabInbound::Asked(Question(payload), reply) => reply.send(payload),
        }
        Ok(())
    }
}

/// The settings: the defaults, but for how long a connection keeps trying to read before it sleeps.
fn conf(poll: Duration) -> RpcConf {
    let mut conf = RpcConf::default();
    conf.transport.busy_poll = poll;
    conf
}

pub(crate) async fn serve(poll: Duration, received: Counter) -> Outcome<String> {
    let env = RpcEnv::builder("server")
        .conf(conf(poll))
        .bind("127.0.0.1:0")
        .start()
        .await?;
    let uri = env.setup_endpoint(LAB, Lab { received })?.to_string();
    tokio::spawn(async move { env.await_termination().await });
    Ok(uri)
}

/// A reference, and the env that it needs.
#[derive(Clone)]
pub(crate) struct Client {
    _env: RpcEnv,
    lab: RpcEndpointRef,
}

pub(crate) async fn connect(poll: Duration, uri: &str) -> Outcome<Client> {
    let env = RpcEnv::builder("client")
        .conf(conf(poll))
        .client_mode()
        .start()
        .await?;
    let lab = env.setup_endpoint_ref(uri).await?;
    Ok(Client { _env: env, lab })
}

pub(crate) async fn local(received: Counter) -> Outcome<Client> {
    let env = RpcEnv::builder("local").client_mode().start().await?;
    let lab = env.setup_endpoint(LAB, Lab { received })?;
    Ok(Client { _env: env, lab })
}

impl Asker for Client {
    async fn ask(&mut self, payload: &Payload) -> Outcome<Payload> {
        Ok(self.lab.ask(Question(payload.clone())).await?)
    }
}

impl Sender for Client {
    async fn burst(&mut self, payload: &Payload, count: u64) -> Outcome<()> {
        for _ in 0..count {
            if self.lab.send(Tell(payload.clone())).is_err() {
                // Most likely there is no room; if it is something else, this says so.
                self.lab.send_wait(Tell(payload.clone())).await?;
            }
        }
        Ok(())
    }
}
