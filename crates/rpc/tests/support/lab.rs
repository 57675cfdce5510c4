//! One endpoint for most tests.

use std::sync::{Arc, Mutex};

use spark_rpc::{
    BoxError, ConnectionError, EndpointContext, EndpointError, Reply, RpcAddress, RpcCallContext,
    RpcEndpoint, RpcEndpointRef,
};
use tokio::sync::Semaphore;

use super::Log;
use super::messages::*;
use crate::inbound;

inbound!(LabInbound {
    ask: Echo, Sum, Misbehave, Keep, WhoAmI, WhoAsks, EchoThrough, Unwritable;
    tell: Note, Fail, Block, Remember, Bulk, Urgent;
});

/// Does what its messages say and writes down what happens to it.
#[derive(Clone, Default)]
pub struct Lab {
    pub log: Log,
    /// Opens what `Block` waits for: one permit for each.
    pub gate: Gate,
    /// The reply handles of `Keep`.
    pub kept: Arc<Mutex<Vec<Reply<u64>>>>,
    /// The references of `Remember`.
    pub remembered: Arc<Mutex<Vec<RpcEndpointRef>>>,
    /// Callbacks that fail, and how.
    pub failing: Vec<(&'static str, How)>,
    pub sum: u64,
}

#[derive(Clone)]
pub struct Gate(pub Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    pub fn open(&self, permits: usize) {
        self.0.add_permits(permits);
    }
}

impl Lab {
    pub fn failing(callback: &'static str, how: How) -> Self {
        Self {
            failing: vec![(callback, how)],
            ..Self::default()
        }
    }

    fn callback(&self, name: &'static str, entry: String) -> Result<(), BoxError> {
        if !entry.is_empty() {
            self.log.push(entry);
        }
        match self.failing.iter().find(|(callback, _)| *callback == name) {
            Some((_, How::Panic)) => panic!("Oops!"),
            Some(_) => Err("Oops!".into()),
            None => Ok(()),
        }
    }
}

impl RpcEndpoint for Lab {
    type Inbound = LabInbound;

    async fn handle(&mut self, message: LabInbound, call: &RpcCallContext) -> Result<(), BoxError> {
        match message {
            LabInbound::Echo(Echo(text), reply) => reply.send(text),
            LabInbound::Sum(_, reply) => reply.send(self.sum),
            LabInbound::Misbehave(Misbehave(How::Error), reply) => reply.fail("Oops!"),
            LabInbound::Misbehave(Misbehave(How::Drop), reply) => drop(reply),
            LabInbound::Misbehave(Misbehave(How::Panic), _reply) => panic!("Oops!"),
            LabInbound::Keep(Keep(number), reply) => {
                self.kept.lock().unwrap().push(reply);
                self.log.push(format!("keep {number}"));
            }
            LabInbound::WhoAmI(_, reply) => match call.self_ref() {
                Some(me) => reply.send(me),
                None => reply.fail("no reference of my own"),
            },
            LabInbound::WhoAsks(_, reply) => {
                reply.send(call.sender_address().map(ToString::to_string));
            }
            LabInbound::EchoThrough(EchoThrough(other, text), reply) => {
                let echoed = other.ask(Echo(text)).await;
                reply.send(echoed.map_err(|error| error.to_string()));
            }
            LabInbound::Unwritable(_, reply) => reply.send(Broken),
            LabInbound::Note(Note(number)) => {
                self.sum += number;
                self.log.push(format!("note {number}"));
            }
            LabInbound::Fail(Fail(How::Panic)) => panic!("Oops!"),
            LabInbound::Fail(_) => return Err("Oops!".into()),
            LabInbound::Block(_) => {
                self.log.push("blocked");
                self.gate.0.acquire().await?.forget();
                self.log.push("unblocked");
            }
            LabInbound::Remember(Remember(other)) => {
                self.remembered.lock().unwrap().push(other);
                self.log.push("remembered");
            }
            LabInbound::Bulk(Bulk(bytes)) => self.log.push(format!("bulk {}", bytes.len())),
            LabInbound::Urgent(Urgent(number)) => self.log.push(format!("urgent {number}")),
        }
        Ok(())
    }

    async fn on_start(&mut self, context: &EndpointContext) -> Result<(), BoxError> {
        let me = context
            .self_ref()
            .map_or("nobody".to_owned(), |me| me.to_string());
        self.callback("on_start", format!("start {me}"))
    }

    async fn on_stop(&mut self, context: &EndpointContext) -> Result<(), BoxError> {
        let me = context
            .self_ref()
            .map_or("nobody".to_owned(), |me| me.to_string());
        self.callback("on_stop", format!("stop {me}"))
    }

    async fn on_error(&mut self, error: EndpointError, _: &EndpointContext) {
        self.log.push(format!("error {error}"));
        let _ = self.callback("on_error", String::new());
    }

    async fn on_connected(&mut self, address: &RpcAddress, _: &EndpointContext) -> Result<(), BoxError> {
        self.callback("on_connected", format!("connected {address}"))
    }

    async fn on_disconnected(&mut self, address: &RpcAddress, _: &EndpointContext) -> Result<(), BoxError> {
        self.callback("on_disconnected", format!("disconnected {address}"))
    }

    async fn on_network_error(
        &mut self,
        cause: &ConnectionError,
        address: &RpcAddress,
        _: &EndpointContext,
    ) -> Result<(), BoxError> {
        self.callback("on_network_error", format!("failed {address}: {cause}"))
    }
}
