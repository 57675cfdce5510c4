//! The endpoint that every node has several of: it writes down what is done with it, and does what messages say.

use std::panic::resume_unwind;
use std::sync::{Arc, Weak};

use spark_rpc::{
    BoxError, ConcurrentRpcEndpoint, ConnectionError, EndpointContext, EndpointError, RpcAddress,
    RpcCallContext, RpcEndpointRef,
};

use crate::history::{Callback, Event, Recorder, Registration};
use crate::life::{Life, Way};
use crate::messages::{Act, Answer, NodeInbound, Note, Work};
use crate::plan::ms;

/// An endpoint that writes down what is done with it.
pub(crate) struct Recorded {
    registration: Registration,
    /// How long `on_start` takes; an odd number makes it fail.
    start_ms: u64,
    recorder: Recorder,
    life: Weak<Life>,
}

impl Recorded {
    pub(crate) fn new(registration: Registration, start_ms: u64, life: &Arc<Life>) -> Self {
        Self {
            registration,
            start_ms,
            recorder: life.recorder.clone(),
            life: Arc::downgrade(life),
        }
    }

    fn begin(&self, callback: Callback) -> Running {
        self.recorder.record(Event::Began {
            registration: self.registration,
            callback: callback.clone(),
        });
        Running {
            registration: self.registration,
            recorder: self.recorder.clone(),
            callback: Some(callback),
        }
    }

    async fn relay(&self, node: usize, name: &str, limit_ms: u64) {
        let Some(life) = self.life.upgrade() else { return };
        let Some(to) = life.kept_reference(node, name) else {
            return;
        };
        let order = life.order::<Work>(&to, Act::Answer, 0, !life.plan.tight);
        life.ask(to, order, Way::Plain, ms(limit_ms)).await;
    }

    fn call_back(&self, to: RpcEndpointRef, ask: bool) {
        let Some(life) = self.life.upgrade() else { return };
        if !ask {
            let order = life.order::<Note>(&to, Act::Answer, 10, true);
            return life.send(&to, order, false);
        }
        let order = life.order::<Work>(&to, Act::Answer, 10, false);
        let asker = Arc::clone(&life);
        life.spawn(async move {
            asker.ask(to, order, Way::Plain, ms(1_500)).await;
        });
    }
}

impl ConcurrentRpcEndpoint for Recorded {
    type Inbound = NodeInbound;

    async fn handle(&self, message: NodeInbound, call: &RpcCallContext) -> Result<(), BoxError> {
        let NodeInbound {
            order,
            control,
            reply,
            ..
        } = message;
        let _running = self.begin(Callback::Handle {
            id: order.id,
            place: order.place(),
            control,
            connection: call.connection().map(spark_rpc::TransportClient::id),
            sender: call.sender_address().map(ToString::to_string),
            intact: order.is_intact(),
        });
        let answer = Answer {
            id: order.id,
            by: self.registration,
        };
        match &order.act {
            Act::Answer | Act::CallBack { .. } => {}
            Act::Work { ms: takes } => tokio::time::sleep(ms(*takes)).await,
            Act::Later { ms: takes } => {
                if let (Some(reply), Some(life)) = (reply, self.life.upgrade()) {
                    let takes = *takes;
                    life.spawn(async move {
                        tokio::time::sleep(ms(takes)).await;
                        reply.send(answer);
                    });
                }
                return Ok(());
            }
            Act::Forget => return Ok(()),
            Act::Fail => {
                return match reply {
                    Some(reply) => {
                        reply.fail("the order was to fail");
                        Ok(())
                    }
                    None => Err("the order was to fail".into()),
                };
            }
            // Does not run the panic hook, which is left to panics that nobody asked for.
            Act::Panic => resume_unwind(Box::new("the order was to panic")),
            Act::Relay { node, name, limit_ms } => self.relay(*node, name, *limit_ms).await,
        }
        if let (Act::CallBack { ask }, Some(back)) = (&order.act, order.back) {
            self.call_back(back, *ask);
        }
        if let Some(reply) = reply {
            reply.send(answer);
        }
        Ok(())
    }

    async fn on_start(&self, _: &EndpointContext) -> Result<(), BoxError> {
        let _running = self.begin(Callback::Start);
        if self.start_ms > 0 {
            tokio::time::sleep(ms(self.start_ms)).await;
        }
        if self.start_ms % 2 == 1 {
            return Err("the start was to fail".into());
        }
        Ok(())
    }

    async fn on_stop(&self, context: &EndpointContext) -> Result<(), BoxError> {
        let _running = self.begin(Callback::Stop);
        assert!(
            context.self_ref().is_none(),
            "on_stop begins after self_ref has gone"
        );
        tokio::time::sleep(ms(self.start_ms / 2)).await;
        Ok(())
    }

    async fn on_error(&self, _: EndpointError, _: &EndpointContext) {
        drop(self.begin(Callback::Error));
    }

    async fn on_connected(&self, address: &RpcAddress, _: &EndpointContext) -> Result<(), BoxError> {
        drop(self.begin(Callback::Connected(address.to_string())));
        Ok(())
    }

    async fn on_disconnected(&self, address: &RpcAddress, _: &EndpointContext) -> Result<(), BoxError> {
        drop(self.begin(Callback::Disconnected(address.to_string())));
        Ok(())
    }

    async fn on_network_error(
        &self,
        _: &ConnectionError,
        address: &RpcAddress,
        _: &EndpointContext,
    ) -> Result<(), BoxError> {
        drop(self.begin(Callback::NetworkError(address.to_string())));
        Ok(())
    }
}

/// A callback that runs; writes its end down, however it ends.
struct Running {
    registration: Registration,
    recorder: Recorder,
    callback: Option<Callback>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(callback) = self.callback.take() {
            self.recorder.record(Event::Ended {
                registration: self.registration,
                callback,
            });
        }
    }
}
