//! ractor: an actor in this process.

use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::Outcome;
use crate::counter::Counter;
use crate::drive::{Asker, Sender};
use crate::payload::Payload;

struct Lab;

enum LabMessage {
    Told(Payload),
    Asked(Payload, RpcReplyPort<Payload>),
}

impl Actor for Lab {
    type Msg = LabMessage;
    type State = Counter;
    type Arguments = Counter;

    async fn pre_start(
        &self,
        _: ActorRef<LabMessage>,
        received: Counter,
    ) -> Result<Counter, ActorProcessingErr> {
        Ok(received)
    }

    async fn handle(
        &self,
        _: ActorRef<LabMessage>,
        message: LabMessage,
        received: &mut Counter,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            LabMessage::Told(payload) => {
                std::hint::black_box(payload);
                received.add(1);
            }
            LabMessage::Asked(payload, reply) => reply.send(payload)?,
        }
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    lab: ActorRef<LabMessage>,
}

pub(crate) async fn local(received: Counter) -> Outcome<Client> {
    let (lab, _) = Actor::spawn(None, Lab, received).await?;
    Ok(Client { lab })
}

impl Asker for Client {
    async fn ask(&mut self, payload: &Payload) -> Outcome<Payload> {
        let asked = self
            .lab
            .call(|reply| LabMessage::Asked(payload.clone(), reply), None)
            .await;
        match asked.map_err(|_| "the actor is gone")? {
            CallResult::Success(reply) => Ok(reply),
            CallResult::Timeout | CallResult::SenderError => Err("the actor gave no answer".into()),
        }
    }
}

impl Sender for Client {
    async fn burst(&mut self, payload: &Payload, count: u64) -> Outcome<()> {
        for _ in 0..count {
            self.lab
                .cast(LabMessage::Told(payload.clone()))
                .map_err(|_| "the actor is gone")?;
        }
        Ok(())
    }
}
