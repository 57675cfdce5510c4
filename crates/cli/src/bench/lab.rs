//! The endpoint of the local works.

use spark_rpc::{BoxError, DecodeError, Inbound, Parcel, Reply, RpcCallContext, RpcEndpoint, RpcMessage};

use super::Payload;
use crate::messages::{Count, CountNow, Counted};

/// Counts payloads that are sent, gives those back that are asked.
#[derive(Default)]
pub(crate) struct Lab {
    counted: Counted,
}

pub(crate) enum LabInbound {
    Sent(Payload),
    Asked(Payload, Reply<Payload>),
    Count(Reply<Counted>),
}

impl Inbound for LabInbound {
    #[inline]
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        if let Some(payload) = parcel.one_way()? {
            return Ok(Some(Self::Sent(payload)));
        }
        if let Some((payload, reply)) = parcel.request()? {
            return Ok(Some(Self::Asked(payload, reply)));
        }
        if let Some((Count, reply)) = parcel.request()? {
            return Ok(Some(Self::Count(reply)));
        }
        Ok(parcel.request()?.map(|(CountNow, reply)| Self::Count(reply)))
    }

    fn message(&self) -> &'static str {
        match self {
            Self::Sent(_) | Self::Asked(..) => Payload::NAME,
            Self::Count(_) => Count::NAME,
        }
    }
}

impl RpcEndpoint for Lab {
    type Inbound = LabInbound;

    const CONNECTION_EVENTS: bool = false;

    #[inline]
    async fn handle(&mut self, message: LabInbound, _: &RpcCallContext) -> Result<(), BoxError> {
        match message {
            LabInbound::Sent(payload) => {
                self.counted.messages += 1;
                self.counted.bytes += payload.as_slice().len() as u64;
            }
            LabInbound::Asked(payload, reply) => reply.send(payload),
            LabInbound::Count(reply) => reply.send(self.counted),
        }
        Ok(())
    }
}
