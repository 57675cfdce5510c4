//! Endpoints that count messages without reading them.

use serde::{Deserialize, Serialize};
use spark_rpc::{
    BoxError, DecodeError, Inbound, OneWay, Parcel, Reply, Request, RpcCallContext, RpcEndpoint, RpcEnv,
    RpcMessage,
};

#[derive(Serialize, Deserialize)]
struct Note(String);

impl RpcMessage for Note {
    const NAME: &'static str = "Note";
}
impl OneWay for Note {}

#[derive(Serialize, Deserialize)]
struct Lengths;

impl RpcMessage for Lengths {
    const NAME: &'static str = "Lengths";
}
impl Request for Lengths {
    type Reply = Vec<u64>;
}

/// Takes every one-way message for its length.
#[derive(Default)]
struct Scale {
    lengths: Vec<u64>,
}

enum ScaleInbound {
    Discarded(usize),
    Lengths(Reply<Vec<u64>>),
}

impl Inbound for ScaleInbound {
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        if let Some(len) = parcel.discard() {
            return Ok(Some(Self::Discarded(len)));
        }
        Ok(parcel
            .request::<Lengths>()?
            .map(|(_, reply)| Self::Lengths(reply)))
    }

    fn message(&self) -> &'static str {
        match self {
            Self::Discarded(_) => "any",
            Self::Lengths(_) => Lengths::NAME,
        }
    }
}

impl RpcEndpoint for Scale {
    type Inbound = ScaleInbound;

    async fn handle(&mut self, message: ScaleInbound, _: &RpcCallContext) -> Result<(), BoxError> {
        match message {
            ScaleInbound::Discarded(len) => self.lengths.push(len as u64),
            ScaleInbound::Lengths(reply) => reply.send(self.lengths.clone()),
        }
        Ok(())
    }
}

#[tokio::test]
async fn discarded_messages_leave_the_length_of_their_content_and_asks_are_not_discarded() {
    let server = RpcEnv::builder("server").start().await.unwrap();
    let near = server.setup_endpoint("scale", Scale::default()).unwrap();
    let client = RpcEnv::builder("client").client_mode().start().await.unwrap();
    let far = client.setup_endpoint_ref(&near.to_string()).await.unwrap();

    far.send(Note("abc".into())).unwrap();
    assert_eq!(
        far.ask(Lengths).await.unwrap(),
        [1 + 1 + 4 + 1 + 3],
        "version, length of the name, name, length of the text, text"
    );

    near.send(Note("abc".into())).unwrap();
    let lengths = near.ask(Lengths).await.unwrap();
    assert_eq!(lengths[1], size_of::<Note>() as u64);
}
