//! The endpoint of the work `local-send`, and of those that need many endpoints.

use spark_rpc::{BoxError, DecodeError, Inbound, Parcel, Reply, RpcCallContext, RpcEndpoint, RpcMessage};

use super::Payload;
use crate::messages::{Count, CountNow, Counted};

/// Counts payloads.
#[derive(Default)]
pub(crate) struct Tally {
    counted: Counted,
}

pub(crate) enum TallyInbound {
    Sent(Payload),
    Count(Reply<Counted>),
}

impl Inbound for TallyInbound {
    #[inline]
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        if let Some(payload) = parcel.one_way()? {
            return Ok(Some(Self::Sent(payload)));
        }
        if let Some((Count, reply)) = parcel.request()? {
            return Ok(Some(Self::Count(reply)));
        }
        Ok(parcel.request()?.map(|(CountNow, reply)| Self::Count(reply)))
    }

    fn message(&self) -> &'static str {
        match self {
            Self::Sent(_) => Payload::NAME,
            Self::Count(_) => Count::NAME,
        }
    }
}

impl RpcEndpoint for Tally {
    type Inbound = TallyInbound;

    const CONNECTION_EVENTS: bool = false;

    #[inline]
    async fn handle(&mut self, message: TallyInbound, _: &RpcCallContext) -> Result<(), BoxError> {
        match message {
            TallyInbound::Sent(payload) => {
                self.counted.messages += 1;
                self.counted.bytes += payload.as_slice().len() as u64;
            }
            TallyInbound::Count(reply) => reply.send(self.counted),
        }
        Ok(())
    }
}
