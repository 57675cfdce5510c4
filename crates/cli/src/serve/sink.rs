//! The endpoint `sink`.

use spark_rpc::{
    BoxError, DecodeError, EndpointContext, Inbound, Parcel, Reply, RpcCallContext, RpcEndpoint, RpcMessage,
};

use super::events::Events;
use crate::messages::{Count, CountNow, Counted, Text, Usage};
use crate::process::ProcessUsage;

/// Counts one-way messages and the bytes of their contents, without reading them. Asked, it answers with the counts.
pub(crate) struct Sink {
    counted: Counted,
    events: Events,
}

impl Sink {
    pub(crate) fn new(events: Events) -> Self {
        Self {
            counted: Counted::default(),
            events,
        }
    }
}

pub(crate) enum SinkInbound {
    OneWay {
        bytes: usize,
    },
    Count(Reply<Counted>),
    /// The same for people: the text of the question does not count.
    Text(Reply<Text>),
    Usage(Reply<ProcessUsage>),
}

impl Inbound for SinkInbound {
    #[inline]
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        if let Some(bytes) = parcel.discard() {
            return Ok(Some(Self::OneWay { bytes }));
        }
        if let Some((Count, reply)) = parcel.request()? {
            return Ok(Some(Self::Count(reply)));
        }
        if let Some((CountNow, reply)) = parcel.request()? {
            return Ok(Some(Self::Count(reply)));
        }
        if let Some((Text { .. }, reply)) = parcel.request()? {
            return Ok(Some(Self::Text(reply)));
        }
        if let Some((Usage, reply)) = parcel.request()? {
            return Ok(Some(Self::Usage(reply)));
        }
        Ok(None)
    }

    fn message(&self) -> &'static str {
        match self {
            Self::OneWay { .. } => "any",
            Self::Count(_) => Count::NAME,
            Self::Text(_) => Text::NAME,
            Self::Usage(_) => Usage::NAME,
        }
    }

    fn is_control(parcel: &Parcel<'_>) -> bool {
        parcel.holds::<CountNow>() || parcel.holds::<Usage>()
    }
}

impl RpcEndpoint for Sink {
    type Inbound = SinkInbound;

    const CONNECTION_EVENTS: bool = false;

    async fn handle(&mut self, message: SinkInbound, _: &RpcCallContext) -> Result<(), BoxError> {
        match message {
            SinkInbound::OneWay { bytes } => {
                self.counted.messages += 1;
                self.counted.bytes += bytes as u64;
            }
            SinkInbound::Count(reply) => reply.send(self.counted),
            SinkInbound::Text(reply) => reply.send(Text {
                text: format!("messages={} bytes={}", self.counted.messages, self.counted.bytes),
            }),
            SinkInbound::Usage(reply) => reply.send(ProcessUsage::of_this_process()),
        }
        Ok(())
    }

    async fn on_stop(&mut self, _: &EndpointContext) -> Result<(), BoxError> {
        self.events.sink(self.counted);
        Ok(())
    }
}
