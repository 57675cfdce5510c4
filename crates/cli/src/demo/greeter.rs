//! The endpoint `greeter` of the demo's server.

use std::fmt;

use spark_rpc::{BoxError, EndpointContext, Reply, RpcAddress, RpcCallContext, RpcEndpointRef, rpc_endpoint};
use tokio::sync::oneshot;

use super::messages::{
    AskBack, Divide, Greeting, Note, Notes, SayHi, StopSpare, WaitForever, WhoAreYou, WhoIsConnected,
};

/// Greets, counts, divides, asks back, and remembers who is connected.
pub(crate) struct Greeter {
    notes: Vec<u64>,
    connected: Vec<String>,
    spare: Option<(RpcEndpointRef, oneshot::Receiver<String>)>,
    /// Askers that will never be answered.
    waiting: Vec<Reply<()>>,
}

impl Greeter {
    /// `spare` is the endpoint to stop when asked to, and what its `on_stop` says.
    pub(crate) fn new(spare: RpcEndpointRef, farewell: oneshot::Receiver<String>) -> Self {
        Self {
            notes: Vec::new(),
            connected: Vec::new(),
            spare: Some((spare, farewell)),
            waiting: Vec::new(),
        }
    }
}

#[rpc_endpoint]
impl Greeter {
    async fn say_hi(&mut self, hi: SayHi) -> Greeting {
        Greeting {
            text: format!("hi {}", hi.name),
            process: std::process::id(),
        }
    }

    async fn note(&mut self, note: Note) {
        self.notes.push(note.number);
    }

    async fn notes(&mut self, _: Notes) -> Vec<u64> {
        self.notes.clone()
    }

    async fn divide(&mut self, divide: Divide) -> Result<u64, DivisionByZero> {
        divide.dividend.checked_div(divide.divisor).ok_or(DivisionByZero)
    }

    async fn ask_back(&mut self, ask: AskBack) -> Result<String, BoxError> {
        Ok(ask.whom.ask(WhoAreYou).await?)
    }

    async fn who_is_connected(&mut self, _: WhoIsConnected) -> Vec<String> {
        self.connected.clone()
    }

    async fn stop_spare(&mut self, _: StopSpare, call: &RpcCallContext) -> Result<String, BoxError> {
        let (spare, farewell) = self.spare.take().ok_or("it has been stopped already")?;
        call.env().ok_or("the env is gone")?.stop(&spare);
        Ok(farewell.await?)
    }

    async fn wait_forever(&mut self, _: WaitForever, reply: Reply<()>) {
        self.waiting.push(reply);
    }

    async fn on_connected(&mut self, address: &RpcAddress, _: &EndpointContext) {
        self.connected.push(address.to_string());
    }
}

#[derive(Debug)]
pub(crate) struct DivisionByZero;

impl fmt::Display for DivisionByZero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("division by zero")
    }
}

impl std::error::Error for DivisionByZero {}
