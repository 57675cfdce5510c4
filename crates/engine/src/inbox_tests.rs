use std::collections::VecDeque;

use super::*;

fn started(delivery: Delivery) -> Inbox<&'static str> {
    let mut inbox = Inbox::new(delivery, Bounds::NONE);
    assert_eq!(inbox.next_step(), Some(Step::Start));
    inbox.step_done(0, 0);
    inbox
}

fn post(inbox: &mut Inbox<&'static str>, message: &'static str) {
    inbox.post(message, Lane::Normal, 1).unwrap();
}

fn deliver(message: &'static str) -> Option<Step<&'static str>> {
    Some(Step::Deliver(Taken { message, bytes: 1 }))
}

#[test]
fn stop_runs_what_was_queued_then_stops_alone() {
    let mut inbox = started(Delivery::Concurrent);
    post(&mut inbox, "a");
    post(&mut inbox, "b");
    assert_eq!(inbox.next_step(), deliver("a"));

    assert!(inbox.stop());
    let late = inbox.post("late", Lane::Normal, 1).unwrap_err();
    assert_eq!(
        late,
        Rejected {
            message: "late",
            reason: RejectReason::Stopped
        }
    );
    assert_eq!(inbox.next_step(), None, "a still runs, and draining is serial");

    inbox.step_done(1, 1);
    assert_eq!(inbox.next_step(), deliver("b"));
    inbox.step_done(1, 1);
    assert_eq!(inbox.next_step(), Some(Step::Stop));
    inbox.step_done(0, 0);
    assert!(inbox.is_stopped());
    assert_eq!(inbox.next_step(), None);
}

#[test]
fn control_messages_pass_the_others_also_in_a_batch_at_work() {
    let mut inbox = started(Delivery::Serial);
    post(&mut inbox, "a");
    inbox.post("urgent", Lane::Control, 1).unwrap();
    let mut batch = VecDeque::new();
    assert_eq!(inbox.take_batch(&mut batch), Some(Step::Batch));
    assert_eq!(batch.pop_front().unwrap().message, "urgent");
    inbox.step_done(1, 1);

    post(&mut inbox, "b");
    assert_eq!(inbox.take_batch(&mut batch), Some(Step::Batch));
    inbox.post("urgent too", Lane::Control, 1).unwrap();
    inbox.take_control(&mut batch);
    let order: Vec<_> = batch.drain(..).map(|taken| taken.message).collect();
    assert_eq!(order, ["urgent too", "a", "b"]);
}
