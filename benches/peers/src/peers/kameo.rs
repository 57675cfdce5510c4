//! kameo: an actor in this process.

use kameo::actor::{ActorRef, Spawn};
use kameo::mailbox;
use kameo::message::{Context, Message};
use kameo::{Actor, Reply};

use crate::Outcome;
use crate::counter::Counter;
use crate::drive::{Asker, Sender};
use crate::payload::Payload;

#[derive(Actor)]
struct Lab {
    received: Counter,
}

struct Tell(Payload);
struct Question(Payload);

#[derive(Reply)]
struct Answer(Payload);

impl Message<Tell> for Lab {
    type Reply = ();

    async fn handle(&mut self, Tell(payload): Tell, _: &mut Context<Self, ()>) {
        std::hint::black_box(payload);
        self.received.add(1);
    }
}

impl Message<Question> for Lab {
    type Reply = Answer;

    async fn handle(&mut self, Question(payload): Question, _: &mut Context<Self, Answer>) -> Answer {
        Answer(payload)
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    lab: ActorRef<Lab>,
}

pub(crate) fn local(received: Counter) -> Client {
    // Its default has room for 64 messages, with which sending is slower.
    let lab = Lab::spawn_with_mailbox(Lab { received }, mailbox::unbounded());
    Client { lab }
}

impl Asker for Client {
    async fn ask(&mut self, payload: &Payload) -> Outcome<Payload> {
        let Answer(reply) = self
            .lab
            .ask(Question(payload.clone()))
            .await
            .map_err(|error| error.to_string())?;
        Ok(reply)
    }
}

impl Sender for Client {
    async fn burst(&mut self, payload: &Payload, count: u64) -> Outcome<()> {
        for _ in 0..count {
            let told = self.lab.tell(Tell(payload.clone())).await;
            told.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
