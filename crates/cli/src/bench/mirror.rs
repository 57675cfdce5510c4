//! The endpoint of the work `local-ask`.

use spark_rpc::{BoxError, DecodeError, Inbound, Parcel, Reply, RpcCallContext, RpcEndpoint, RpcMessage};

use super::Payload;

/// Gives back the payloads that it is asked with.
pub(crate) struct Mirror;

pub(crate) struct MirrorInbound(Payload, Reply<Payload>);

impl Inbound for MirrorInbound {
    #[inline]
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(parcel.request()?.map(|(payload, reply)| Self(payload, reply)))
    }

    fn message(&self) -> &'static str {
        Payload::NAME
    }
}

impl RpcEndpoint for Mirror {
    type Inbound = MirrorInbound;

    const CONNECTION_EVENTS: bool = false;

    #[inline]
    async fn handle(&mut self, asked: MirrorInbound, _: &RpcCallContext) -> Result<(), BoxError> {
        let MirrorInbound(payload, reply) = asked;
        reply.send(payload);
        Ok(())
    }
}
