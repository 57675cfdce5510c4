use std::collections::VecDeque;

use super::*;

type Messages = Inbox<&'static str>;

const SMALL: Bounds = Bounds {
    max_items: 2,
    max_bytes: 10,
};

fn started(delivery: Delivery) -> Messages {
    started_with(delivery, Bounds::NONE)
}

fn started_with(delivery: Delivery, bounds: Bounds) -> Messages {
    let mut inbox = Inbox::new(delivery, bounds);
    assert_eq!(inbox.next_step(), Some(Step::Start));
    inbox.step_done(0, 0);
    inbox
}

fn post(inbox: &mut Messages, message: &'static str) -> Posted {
    inbox.post(message, Lane::Normal, 1).unwrap()
}

fn post_control(inbox: &mut Messages, message: &'static str) -> Posted {
    inbox.post(message, Lane::Control, 1).unwrap()
}

fn deliver(message: &'static str) -> Option<Step<&'static str>> {
    Some(Step::Deliver(Taken { message, bytes: 1 }))
}

fn full(inbox: &mut Messages, message: &'static str, lane: Lane, bytes: usize) -> Full {
    match inbox.post(message, lane, bytes) {
        Err(Rejected {
            message: back,
            reason: RejectReason::Full(full),
        }) if back == message => full,
        other => panic!("{other:?} instead of full"),
    }
}

fn names(batch: &VecDeque<Taken<&'static str>>) -> Vec<&'static str> {
    batch.iter().map(|taken| taken.message).collect()
}

// Life cycle.

#[test]
fn start_comes_first_and_alone() {
    for delivery in [Delivery::Serial, Delivery::Concurrent] {
        let mut inbox = Messages::new(delivery, Bounds::NONE);
        post(&mut inbox, "a");
        assert_eq!(inbox.next_step(), Some(Step::Start));
        assert_eq!(inbox.next_step(), None, "on_start still runs");
        assert_eq!(inbox.take_batch(&mut VecDeque::new()), None);
        inbox.step_done(0, 0);
        assert_eq!(inbox.next_step(), deliver("a"));
    }
}

#[test]
fn idle_consumers_look_again_after_the_start_and_after_the_stop() {
    let mut inbox = Messages::new(Delivery::Concurrent, Bounds::NONE);
    assert_eq!(inbox.next_step(), Some(Step::Start));
    assert!(inbox.step_done(0, 0), "what came meanwhile may run now");

    post(&mut inbox, "a");
    assert_eq!(inbox.next_step(), deliver("a"));
    inbox.stop();
    assert!(!inbox.step_done(1, 1), "whoever finishes takes the stop itself");
    assert_eq!(inbox.next_step(), Some(Step::Stop));
    assert!(inbox.step_done(0, 0), "nothing will come any more");
}

#[test]
fn a_serial_endpoint_handles_one_message_at_a_time_in_order() {
    let mut inbox = started(Delivery::Serial);
    post(&mut inbox, "a");
    post(&mut inbox, "b");
    assert_eq!(inbox.next_step(), deliver("a"));
    assert_eq!(inbox.next_step(), None);
    inbox.step_done(1, 1);
    assert_eq!(inbox.next_step(), deliver("b"));
    inbox.step_done(1, 1);
    assert_eq!(inbox.next_step(), None);
}

#[test]
fn a_concurrent_endpoint_handles_any_number_at_once() {
    let mut inbox = started(Delivery::Concurrent);
    for message in ["a", "b", "c"] {
        post(&mut inbox, message);
        assert_eq!(inbox.next_step(), deliver(message));
    }
    assert_eq!(inbox.running(), 3);
    assert_eq!(inbox.next_step(), None);
}

#[test]
fn a_failed_start_leaves_the_endpoint_open_but_never_concurrent() {
    let mut inbox = Messages::new(Delivery::Concurrent, Bounds::NONE);
    inbox.next_step();
    inbox.start_failed();
    inbox.step_done(0, 0);
    post(&mut inbox, "a");
    post(&mut inbox, "b");
    assert_eq!(inbox.next_step(), deliver("a"));
    assert_eq!(inbox.next_step(), None);
    inbox.step_done(1, 1);
    assert_eq!(inbox.next_step(), deliver("b"));
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
fn stop_waits_for_every_concurrent_handler() {
    let mut inbox = started(Delivery::Concurrent);
    for message in ["a", "b", "c"] {
        post(&mut inbox, message);
        inbox.next_step().unwrap();
    }
    inbox.stop();
    for still_running in [3, 2, 1] {
        assert_eq!(inbox.running(), still_running);
        assert_eq!(inbox.next_step(), None);
        inbox.step_done(1, 1);
    }
    assert_eq!(inbox.next_step(), Some(Step::Stop));
    assert_eq!(inbox.next_step(), None, "on_stop still runs");
    assert!(!inbox.is_stopped());
    inbox.step_done(0, 0);
    assert!(inbox.is_stopped());
}

#[test]
fn an_endpoint_stopped_before_it_started_still_starts_and_handles_what_came_before() {
    let mut inbox = Messages::new(Delivery::Concurrent, Bounds::NONE);
    post(&mut inbox, "a");
    inbox.stop();
    assert_eq!(inbox.next_step(), Some(Step::Start));
    assert_eq!(inbox.next_step(), None);
    inbox.step_done(0, 0);
    assert_eq!(inbox.next_step(), deliver("a"));
    inbox.step_done(1, 1);
    assert_eq!(inbox.next_step(), Some(Step::Stop));
}

#[test]
fn an_endpoint_stopped_while_it_starts_finishes_that_first() {
    let mut inbox = Messages::new(Delivery::Serial, Bounds::NONE);
    assert_eq!(inbox.next_step(), Some(Step::Start));
    inbox.stop();
    assert_eq!(inbox.next_step(), None);
    inbox.step_done(0, 0);
    assert_eq!(inbox.next_step(), Some(Step::Stop));
}

#[test]
fn only_the_first_stop_counts() {
    let mut inbox = started(Delivery::Serial);
    assert!(!inbox.is_closed());
    assert!(inbox.stop());
    assert!(!inbox.stop());
    assert!(inbox.is_closed());
    assert_eq!(inbox.next_step(), Some(Step::Stop));
    assert!(!inbox.stop());
    inbox.step_done(0, 0);
    assert!(!inbox.stop());
    assert_eq!(inbox.next_step(), None, "stopped once");
}

#[test]
#[should_panic(expected = "step_done without a running step")]
fn a_step_done_too_many_is_a_mistake() {
    started(Delivery::Serial).step_done(0, 0);
}

// Batches and lanes.

#[test]
fn a_batch_holds_everything_that_waited_in_order() {
    let mut inbox = started(Delivery::Serial);
    let mut batch = VecDeque::new();
    assert_eq!(inbox.take_batch(&mut batch), None);
    for message in ["a", "b", "c"] {
        post(&mut inbox, message);
    }
    assert_eq!(inbox.take_batch(&mut batch), Some(Step::Batch));
    assert_eq!(names(&batch), ["a", "b", "c"]);
    assert!(inbox.is_empty());
    assert_eq!(inbox.running(), 1, "a batch is one step");

    post(&mut inbox, "d");
    assert_eq!(inbox.take_batch(&mut VecDeque::new()), None, "one at a time");
}

#[test]
fn a_batch_is_swapped_with_the_consumers_empty_one() {
    let mut inbox = started(Delivery::Serial);
    let mut batch = VecDeque::with_capacity(100);
    post(&mut inbox, "a");
    inbox.take_batch(&mut batch);
    assert!(inbox.queue.capacity() >= 100, "the storage goes round");
}

#[test]
fn batches_meet_the_boundaries_of_life_too() {
    let mut inbox = Messages::new(Delivery::Serial, Bounds::NONE);
    let mut batch = VecDeque::new();
    post(&mut inbox, "a");
    assert_eq!(inbox.take_batch(&mut batch), Some(Step::Start));
    inbox.step_done(0, 0);
    inbox.stop();
    assert_eq!(inbox.take_batch(&mut batch), Some(Step::Batch));
    batch.clear();
    inbox.step_done(1, 1);
    assert_eq!(inbox.take_batch(&mut batch), Some(Step::Stop));
    inbox.step_done(0, 0);
    assert_eq!(inbox.take_batch(&mut batch), None);
}

#[test]
#[should_panic(expected = "the last batch is not used up")]
fn taking_a_batch_into_one_that_is_not_used_up_is_a_mistake() {
    let mut inbox = started(Delivery::Serial);
    post(&mut inbox, "a");
    let mut batch = VecDeque::new();
    inbox.take_batch(&mut batch);
    inbox.step_done(1, 1);
    inbox.take_batch(&mut batch);
}

#[test]
fn control_messages_pass_the_others_step_by_step() {
    for delivery in [Delivery::Serial, Delivery::Concurrent] {
        let mut inbox = started(delivery);
        post(&mut inbox, "a");
        post_control(&mut inbox, "x");
        post(&mut inbox, "b");
        post_control(&mut inbox, "y");
        for message in ["x", "y", "a", "b"] {
            assert_eq!(inbox.next_step(), deliver(message));
            inbox.step_done(1, 1);
        }
    }
}

#[test]
fn control_messages_pass_the_others_also_in_a_batch_at_work() {
    let mut inbox = started(Delivery::Serial);
    post(&mut inbox, "a");
    post_control(&mut inbox, "urgent");
    let mut batch = VecDeque::new();
    assert_eq!(inbox.take_batch(&mut batch), Some(Step::Batch));
    assert_eq!(batch.pop_front().unwrap().message, "urgent");
    inbox.step_done(1, 1);

    post(&mut inbox, "b");
    assert_eq!(inbox.take_batch(&mut batch), Some(Step::Batch));
    post_control(&mut inbox, "urgent too");
    inbox.take_control(&mut batch);
    assert_eq!(names(&batch), ["urgent too", "a", "b"]);
}

#[test]
fn control_messages_never_pass_one_another() {
    let mut inbox = started(Delivery::Serial);
    let mut batch = VecDeque::new();
    post(&mut inbox, "a");
    inbox.take_batch(&mut batch);
    post_control(&mut inbox, "1");
    post_control(&mut inbox, "2");
    inbox.take_control(&mut batch);
    assert_eq!(names(&batch), ["1", "2", "a"]);

    batch.pop_front();
    post_control(&mut inbox, "3");
    inbox.take_control(&mut batch);
    assert_eq!(names(&batch), ["2", "a"], "2 came before 3");
    batch.pop_front();
    inbox.take_control(&mut batch);
    assert_eq!(names(&batch), ["3", "a"]);
}

#[test]
fn control_messages_that_join_a_batch_late_do_not_pass_one_another_either() {
    let mut inbox = started(Delivery::Serial);
    let mut batch = VecDeque::new();
    post(&mut inbox, "a");
    inbox.take_batch(&mut batch);
    batch.pop_front();
    post_control(&mut inbox, "1");
    inbox.take_control(&mut batch);
    post_control(&mut inbox, "2");
    inbox.take_control(&mut batch);
    assert_eq!(names(&batch), ["1"]);
}

#[test]
fn a_batch_of_control_messages_is_not_overtaken_by_later_ones() {
    let mut inbox = started(Delivery::Serial);
    let mut batch = VecDeque::new();
    post_control(&mut inbox, "1");
    post_control(&mut inbox, "2");
    inbox.take_batch(&mut batch);
    post_control(&mut inbox, "3");
    inbox.take_control(&mut batch);
    assert_eq!(names(&batch), ["1", "2"]);
    batch.clear();
    inbox.take_control(&mut batch);
    assert_eq!(names(&batch), ["3"], "it may still join the step");
}

#[test]
fn only_a_post_that_a_sleeping_consumer_would_miss_wakes() {
    let mut serial = started(Delivery::Serial);
    assert!(post(&mut serial, "a").wake);
    serial.next_step();
    assert!(!post(&mut serial, "b").wake, "the consumer looks again by itself");
    assert!(!post_control(&mut serial, "x").wake);
    serial.step_done(1, 1);
    assert!(post(&mut serial, "c").wake);

    let mut concurrent = Messages::new(Delivery::Concurrent, Bounds::NONE);
    assert!(post(&mut concurrent, "a").wake, "for the start");
    concurrent.next_step();
    assert!(!post(&mut concurrent, "b").wake, "nothing runs beside the start");
    concurrent.step_done(0, 0);
    concurrent.next_step();
    assert!(post(&mut concurrent, "c").wake, "another consumer may take it");
}

// Bounds.

#[test]
fn a_full_inbox_rejects_by_count_and_gives_the_message_back() {
    let mut inbox = started_with(Delivery::Serial, SMALL);
    post(&mut inbox, "a");
    post(&mut inbox, "b");
    let load = Load { items: 2, bytes: 2 };
    assert_eq!(
        full(&mut inbox, "c", Lane::Normal, 0),
        Full { load, bounds: SMALL }
    );
    assert_eq!(inbox.load(), load);
}

#[test]
fn a_full_inbox_rejects_by_bytes() {
    let mut inbox = started_with(Delivery::Serial, SMALL);
    inbox.post("a", Lane::Normal, 4).unwrap();
    full(&mut inbox, "b", Lane::Normal, 7);
    inbox.post("b", Lane::Normal, 6).unwrap();
}

#[test]
fn one_oversized_message_is_taken_when_nothing_else_is_held() {
    let mut inbox = started_with(Delivery::Serial, SMALL);
    inbox.post("huge", Lane::Normal, 1_000).unwrap();
    full(&mut inbox, "a", Lane::Normal, 0);
    inbox.next_step();
    full(&mut inbox, "huge", Lane::Normal, 1_000);
    inbox.step_done(1, 1_000);
    inbox.post("huge", Lane::Normal, 1_000).unwrap();
}

#[test]
fn what_was_taken_counts_until_it_is_done() {
    let mut inbox = started_with(Delivery::Serial, SMALL);
    post(&mut inbox, "a");
    post(&mut inbox, "b");
    let mut batch = VecDeque::new();
    inbox.take_batch(&mut batch);
    assert!(inbox.is_empty());
    assert_eq!(inbox.load(), Load { items: 2, bytes: 2 });
    full(&mut inbox, "c", Lane::Normal, 1);
    inbox.step_done(2, 2);
    assert_eq!(inbox.load(), Load::default());
    post(&mut inbox, "c");
}

#[test]
fn a_flood_does_not_keep_control_messages_out() {
    let mut inbox = started_with(Delivery::Serial, SMALL);
    inbox.post("huge", Lane::Normal, 1_000).unwrap();
    full(&mut inbox, "a", Lane::Normal, 1);
    inbox.post("x", Lane::Control, 4).unwrap();
    full(&mut inbox, "y", Lane::Control, 7);
    inbox.post("y", Lane::Control, 6).unwrap();
    let held = Load { items: 2, bytes: 10 };
    assert_eq!(
        full(&mut inbox, "z", Lane::Control, 0),
        Full {
            load: held,
            bounds: SMALL
        },
        "the control lane has a bound too"
    );
}

#[test]
fn the_control_lane_has_room_again_once_its_messages_are_taken() {
    let mut inbox = started_with(Delivery::Serial, SMALL);
    let mut batch = VecDeque::new();
    let fill = |inbox: &mut Messages| {
        inbox.post("x", Lane::Control, 5).unwrap();
        inbox.post("y", Lane::Control, 5).unwrap();
        full(inbox, "z", Lane::Control, 0);
    };
    fill(&mut inbox);
    inbox.next_step();
    inbox.post("z", Lane::Control, 5).unwrap();
    inbox.step_done(1, 5);

    inbox.take_batch(&mut batch);
    batch.clear();
    fill(&mut inbox);
    inbox.take_control(&mut batch);
    fill(&mut inbox);
}

#[test]
fn control_messages_do_not_pile_up_in_the_handlers_of_a_concurrent_endpoint() {
    let mut inbox = started_with(Delivery::Concurrent, SMALL);
    for message in ["a", "b"] {
        post(&mut inbox, message);
        inbox.next_step().unwrap();
    }
    for message in ["x", "y"] {
        post_control(&mut inbox, message);
        inbox.next_step().unwrap();
    }
    full(&mut inbox, "z", Lane::Control, 1);
    inbox.step_done(1, 1);
    post_control(&mut inbox, "z");
}

#[test]
fn events_enter_a_full_inbox_in_order_and_are_refused_only_by_stop() {
    let mut inbox = started_with(Delivery::Serial, SMALL);
    post(&mut inbox, "a");
    post(&mut inbox, "b");
    assert!(inbox.post_event("gone").unwrap().wake);
    assert_eq!(inbox.load(), Load { items: 3, bytes: 2 });
    let mut batch = VecDeque::new();
    inbox.take_batch(&mut batch);
    assert_eq!(names(&batch), ["a", "b", "gone"]);
    inbox.step_done(3, 2);

    inbox.stop();
    let back = inbox.post_event("gone").unwrap_err();
    assert_eq!((back.message, back.reason), ("gone", RejectReason::Stopped));
}

#[test]
fn giving_up_ends_at_once_and_takes_out_what_waits_but_not_what_runs() {
    let mut inbox = started(Delivery::Serial);
    post(&mut inbox, "running");
    inbox.next_step();
    post(&mut inbox, "a");
    post_control(&mut inbox, "x");
    post(&mut inbox, "b");
    assert_eq!(inbox.give_up(), ["x", "a", "b"]);
    assert!(inbox.is_stopped() && inbox.is_closed());
    assert_eq!(inbox.load(), Load { items: 1, bytes: 1 });
    inbox.step_done(1, 1);
    assert_eq!(inbox.load(), Load::default());
    assert_eq!(inbox.give_up(), [""; 0]);
    assert_eq!(inbox.next_step(), None, "not even `on_stop`");
    assert!(!inbox.stop());
}

#[test]
fn absurd_weights_keep_the_account_exact() {
    let mut inbox = started(Delivery::Serial);
    for lane in [Lane::Normal, Lane::Control, Lane::Normal, Lane::Control] {
        inbox.post("a", lane, usize::MAX).unwrap();
    }
    while let Some(Step::Deliver(taken)) = inbox.next_step() {
        inbox.step_done(1, taken.bytes);
    }
    assert_eq!(inbox.load(), Load::default());
}

#[test]
fn a_rejection_says_why() {
    assert_eq!(RejectReason::Stopped.to_string(), "stopped");
    let full = Full {
        load: Load { items: 2, bytes: 0 },
        bounds: SMALL,
    };
    assert_eq!(RejectReason::Full(full).to_string(), "full: 2 items of at most 2");
}

#[test]
fn asking_for_room_gives_the_answer_that_posting_would_and_changes_nothing() {
    let mut inbox = started_with(Delivery::Serial, SMALL);
    assert_eq!(inbox.admit(Lane::Normal, 1), Ok(()));
    assert_eq!(inbox.load(), Load::default());
    post(&mut inbox, "a");
    post(&mut inbox, "b");
    let load = Load { items: 2, bytes: 2 };
    let refused = RejectReason::Full(Full { load, bounds: SMALL });
    assert_eq!(inbox.admit(Lane::Normal, 1), Err(refused));
    assert_eq!(inbox.admit(Lane::Control, 1), Ok(()));
    inbox.stop();
    assert_eq!(inbox.admit(Lane::Control, 1), Err(RejectReason::Stopped));
}

#[test]
fn an_admitted_message_enters_even_if_the_room_is_gone_and_only_stop_refuses_it() {
    let mut inbox = started_with(Delivery::Serial, SMALL);
    inbox.admit(Lane::Normal, 1).unwrap();
    post(&mut inbox, "a");
    post(&mut inbox, "b");
    assert!(inbox.post_admitted("c", Lane::Normal, 1).unwrap().wake);
    assert_eq!(inbox.load(), Load { items: 3, bytes: 3 });
    inbox.stop();
    let back = inbox.post_admitted("d", Lane::Normal, 1).unwrap_err();
    assert_eq!((back.message, back.reason), ("d", RejectReason::Stopped));
}

#[test]
fn what_is_reported_consumed_makes_room_before_the_batch_is_done() {
    let mut inbox = started_with(Delivery::Serial, SMALL);
    post(&mut inbox, "a");
    post(&mut inbox, "b");
    let mut batch = VecDeque::new();
    inbox.take_batch(&mut batch);
    batch.pop_front();
    inbox.consumed(1, 1);
    assert_eq!(inbox.running(), 1);
    post(&mut inbox, "c");
    full(&mut inbox, "d", Lane::Normal, 1);
    inbox.step_done(1, 1);
    assert_eq!(inbox.load(), Load { items: 1, bytes: 1 });
}
