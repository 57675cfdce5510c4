//! The endpoint `echo`.

use spark_rpc::{BoxError, DecodeError, Inbound, Parcel, Raw, RpcCallContext, RpcEndpoint};

/// Answers with the content that it was asked with, byte for byte, whatever codec wrote it. Drops one-way messages.
pub(crate) struct Echo;

pub(crate) struct EchoInbound(Raw);

impl Inbound for EchoInbound {
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(parcel.raw()?.map(Self))
    }

    fn message(&self) -> &'static str {
        "any"
    }
}

impl RpcEndpoint for Echo {
    type Inbound = EchoInbound;

    const CONNECTION_EVENTS: bool = false;

    async fn handle(&mut self, EchoInbound(raw): EchoInbound, _: &RpcCallContext) -> Result<(), BoxError> {
        if let Some(reply) = raw.reply {
            reply.send(&raw.content);
        }
        Ok(())
    }
}
