//! Who is woken for a message.

use std::task::Wake;

use serde::{Deserialize, Serialize};

use super::*;
use crate::message::RpcMessage;
use crate::parcel::LocalOneWay;

#[derive(Serialize, Deserialize, spark_rpc::RpcMessage)]
struct Note;

impl Inbound for Note {
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        parcel.one_way()
    }

    fn message(&self) -> &'static str {
        Note::NAME
    }
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// One of the loops of a concurrent endpoint.
struct Lane(Waker);

impl Lane {
    fn new() -> Self {
        Self(Arc::new(Nobody).into())
    }

    fn looks(&self, mailbox: &EndpointMailbox<Note>) -> Poll<Option<Step<Item<Note>>>> {
        mailbox.poll_step(&mut Context::from_waker(&self.0))
    }
}

fn post(mailbox: &EndpointMailbox<Note>) -> Waker {
    let mut note = LocalOneWay(Some(Note));
    let posted = mailbox.post(&mut Parcel::local(&mut note, false), 1, None);
    posted.unwrap().waker.expect("somebody waits")
}

#[test]
fn a_message_wakes_a_loop_that_waits_and_not_one_that_has_taken_something_unasked() {
    let mailbox = EndpointMailbox::new("lab".into(), Delivery::Concurrent, Bounds::NONE, false, None);
    let (first, busy, last) = (Lane::new(), Lane::new(), Lane::new());
    assert!(matches!(first.looks(&mailbox), Poll::Ready(Some(Step::Start))));
    mailbox.step_done(0, 0);
    for lane in [&first, &busy, &last] {
        assert!(lane.looks(&mailbox).is_pending());
    }

    // A handler of its own has woken `busy`, which takes the message that `last` was woken for, and can take no more.
    assert!(post(&mailbox).will_wake(&last.0));
    assert!(busy.looks(&mailbox).is_ready());
    assert!(last.looks(&mailbox).is_pending());

    assert!(post(&mailbox).will_wake(&last.0));
    assert!(last.looks(&mailbox).is_ready());
    assert!(
        post(&mailbox).will_wake(&first.0),
        "of the three only `first` waits"
    );
}
