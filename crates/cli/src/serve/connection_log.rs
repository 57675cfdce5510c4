//! The endpoint that tells about connections.

use spark_rpc::{
    BoxError, ConnectionError, DecodeError, EndpointContext, Inbound, Parcel, RpcAddress, RpcCallContext,
    RpcEndpoint,
};

use super::events::Events;

/// Takes no messages, only connection events, which it reports.
pub(crate) struct ConnectionLog {
    events: Events,
}

impl ConnectionLog {
    pub(crate) fn new(events: Events) -> Self {
        Self { events }
    }
}

/// There is none.
pub(crate) enum NoMessage {}

impl Inbound for NoMessage {
    fn accept(_: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(None)
    }

    fn message(&self) -> &'static str {
        match *self {}
    }
}

impl RpcEndpoint for ConnectionLog {
    type Inbound = NoMessage;

    async fn handle(&mut self, message: NoMessage, _: &RpcCallContext) -> Result<(), BoxError> {
        match message {}
    }

    async fn on_connected(&mut self, address: &RpcAddress, _: &EndpointContext) -> Result<(), BoxError> {
        self.events.connected(address);
        Ok(())
    }

    async fn on_disconnected(&mut self, address: &RpcAddress, _: &EndpointContext) -> Result<(), BoxError> {
        self.events.disconnected(address);
        Ok(())
    }

    async fn on_network_error(
        &mut self,
        cause: &ConnectionError,
        address: &RpcAddress,
        _: &EndpointContext,
    ) -> Result<(), BoxError> {
        self.events.network_error(cause, address);
        Ok(())
    }
}
