//! The endpoint `spare` of the demo's server, which is there to be stopped.

use spark_rpc::{RpcCallContext, rpc_endpoint};
use tokio::sync::oneshot;

use super::messages::WhoAreYou;

/// Answers until it is stopped, then says goodbye.
pub(crate) struct Spare {
    answered: u64,
    farewell: Option<oneshot::Sender<String>>,
}

impl Spare {
    pub(crate) fn new(farewell: oneshot::Sender<String>) -> Self {
        Self {
            answered: 0,
            farewell: Some(farewell),
        }
    }
}

#[rpc_endpoint]
impl Spare {
    async fn who_are_you(&mut self, _: WhoAreYou, call: &RpcCallContext) -> String {
        self.answered += 1;
        call.name().to_owned()
    }

    async fn on_stop(&mut self) {
        if let Some(farewell) = self.farewell.take() {
            // Nobody waits for it when the whole server ends.
            let _ = farewell.send(format!("on_stop ran, after {} answer", self.answered));
        }
    }
}
