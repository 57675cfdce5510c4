use super::*;

type TestOutbox = Outbox<&'static str, u32>;

fn outbox() -> TestOutbox {
    Outbox::new(Bounds::NONE)
}

fn wait(outbox: &mut TestOutbox, message: &'static str, bytes: usize) -> Ticket {
    match outbox.send(message, bytes) {
        Ok(Admission::Queued(ticket) | Admission::Connect(ticket)) => ticket,
        other => panic!("{other:?} instead of waiting"),
    }
}

fn drain(outbox: &mut TestOutbox) -> Vec<&'static str> {
    std::iter::from_fn(|| outbox.drain()).collect()
}

#[test]
fn only_the_first_message_asks_for_a_connection() {
    let mut outbox = outbox();
    assert!(matches!(outbox.send("a", 1), Ok(Admission::Connect(_))));
    assert!(matches!(outbox.send("b", 1), Ok(Admission::Queued(_))));
    assert!(matches!(outbox.send("c", 1), Ok(Admission::Queued(_))));
    assert_eq!(outbox.load(), Load { items: 3, bytes: 3 });
    assert_eq!(outbox.connection(), None);
    assert_eq!(outbox.drain(), None, "not before there is a connection");
}

#[test]
fn what_waited_leaves_in_order_and_nothing_passes_it_meanwhile() {
    let mut outbox = outbox();
    outbox.send("a", 1).unwrap();
    outbox.send("b", 1).unwrap();
    assert_eq!(outbox.connected(7), None);
    assert_eq!(outbox.connection(), None, "the waiting go first");
    assert_eq!(outbox.drain(), Some("a"));

    assert!(matches!(outbox.send("c", 1), Ok(Admission::Queued(_))));
    assert_eq!(outbox.drain(), Some("b"));
    // The queue is empty, yet "b" may still be on its way: only the next look ends the draining.
    outbox.drain().expect("c is there");
    assert!(matches!(outbox.send("d", 1), Ok(Admission::Queued(_))));
    assert_eq!(drain(&mut outbox), ["d"]);

    assert_eq!(outbox.connection(), Some(&7));
    assert_eq!(outbox.send("e", 1), Ok(Admission::Pass("e", 7)));
    assert_eq!(
        outbox.load(),
        Load::default(),
        "what passes through does not count"
    );
}

#[test]
fn a_withdrawn_message_is_never_sent() {
    let mut outbox = outbox();
    outbox.send("a", 1).unwrap();
    let b = wait(&mut outbox, "b", 2);
    outbox.send("c", 4).unwrap();
    assert_eq!(outbox.withdraw(b), Some("b"));
    assert_eq!(outbox.load(), Load { items: 2, bytes: 5 });
    assert_eq!(outbox.withdraw(b), None, "it was withdrawn before");
    outbox.connected(7);
    assert_eq!(drain(&mut outbox), ["a", "c"]);
}

#[test]
fn a_ticket_is_void_once_its_message_has_left_or_failed() {
    let mut outbox = outbox();
    let a = wait(&mut outbox, "a", 1);
    let b = wait(&mut outbox, "b", 1);
    let c = wait(&mut outbox, "c", 1);
    outbox.connected(7);
    assert_eq!(outbox.drain(), Some("a"));
    assert_eq!(outbox.withdraw(a), None);
    assert_eq!(outbox.withdraw(b), Some("b"), "also while the others leave");
    assert_eq!(outbox.fail(), ["c"]);
    assert_eq!(outbox.withdraw(c), None);
    assert_eq!(outbox.load(), Load::default());
}

#[test]
fn a_ticket_never_names_the_message_of_another() {
    let mut outbox = outbox();
    let a = wait(&mut outbox, "a", 1);
    outbox.withdraw(a);
    let b = wait(&mut outbox, "b", 1);
    assert_ne!(a, b);
    assert_eq!(outbox.withdraw(a), None);
    assert_eq!(outbox.load().items, 1);
}

#[test]
fn a_connection_is_kept_even_when_everything_that_wanted_it_was_withdrawn() {
    let mut outbox = outbox();
    let a = wait(&mut outbox, "a", 1);
    outbox.withdraw(a);
    assert!(
        matches!(outbox.send("b", 1), Ok(Admission::Queued(_))),
        "one attempt"
    );
    let c = wait(&mut outbox, "c", 1);
    outbox.withdraw(c);
    outbox.connected(7);
    assert_eq!(drain(&mut outbox), ["b"]);
    assert_eq!(outbox.connection(), Some(&7));
}

#[test]
fn messages_that_come_and_go_leave_nothing_behind() {
    let mut outbox = outbox();
    outbox.send("first", 1).unwrap();
    let mut longest = 0;
    for _ in 0..100_000 {
        let passing = wait(&mut outbox, "passing", 1);
        assert_eq!(outbox.withdraw(passing), Some("passing"));
        longest = longest.max(outbox.waiting.len());
    }
    assert!(longest <= MIN_COMPACTED + 1, "{longest} entries for one message");
    outbox.connected(7);
    assert_eq!(drain(&mut outbox), ["first"]);
}

#[test]
fn withdrawing_many_keeps_the_order_and_the_tickets_of_the_rest() {
    let mut outbox: Outbox<u32, ()> = Outbox::new(Bounds::NONE);
    let tickets: Vec<Ticket> = (0..1_000)
        .map(|n| match outbox.send(n, 1) {
            Ok(Admission::Connect(ticket) | Admission::Queued(ticket)) => ticket,
            other => panic!("{other:?}"),
        })
        .collect();
    for n in (0..1_000).filter(|n| n % 10 != 0) {
        assert_eq!(outbox.withdraw(tickets[n]), Some(n as u32));
    }
    assert_eq!(outbox.withdraw(tickets[500]), Some(500));
    outbox.connected(());
    let rest: Vec<u32> = std::iter::from_fn(|| outbox.drain()).collect();
    let expected: Vec<u32> = (0..1_000).step_by(10).filter(|n| *n != 500).collect();
    assert_eq!(rest, expected);
}

#[test]
fn failing_gives_back_what_waited_in_order_and_refuses_what_comes() {
    let mut outbox = outbox();
    outbox.send("a", 1).unwrap();
    outbox.send("b", 1).unwrap();
    assert!(!outbox.is_stopped());
    assert_eq!(outbox.fail(), ["a", "b"]);
    assert!(outbox.is_stopped());
    assert_eq!(outbox.load(), Load::default());
    assert_eq!(outbox.send("c", 1), Err(OutboxRejected::Stopped("c")));
    assert_eq!(outbox.fail(), [""; 0], "once");
}

#[test]
fn failing_works_in_every_state() {
    let mut idle = outbox();
    assert_eq!(idle.fail(), [""; 0]);

    let mut draining = outbox();
    draining.send("a", 1).unwrap();
    draining.send("b", 1).unwrap();
    draining.connected(7);
    assert_eq!(draining.drain(), Some("a"));
    assert_eq!(draining.fail(), ["b"]);
    assert_eq!(draining.drain(), None);

    let mut connected = outbox();
    connected.send("a", 1).unwrap();
    connected.connected(7);
    drain(&mut connected);
    assert_eq!(connected.fail(), [""; 0]);

    for mut outbox in [idle, draining, connected] {
        assert!(outbox.is_stopped());
        assert_eq!(outbox.connection(), None);
        assert_eq!(outbox.send("late", 1), Err(OutboxRejected::Stopped("late")));
    }
}

#[test]
fn a_connection_that_comes_after_the_stop_is_given_back() {
    let mut outbox = outbox();
    outbox.send("a", 1).unwrap();
    outbox.fail();
    assert_eq!(outbox.connected(7), Some(7));
    assert!(outbox.is_stopped());
    assert_eq!(outbox.connection(), None);
}

#[test]
fn a_full_outbox_gives_the_message_back_and_has_room_again_later() {
    let bounds = Bounds {
        max_items: 2,
        max_bytes: 10,
    };
    let mut outbox = TestOutbox::new(bounds);
    let a = wait(&mut outbox, "a", 4);
    let by_bytes = Full {
        load: Load { items: 1, bytes: 4 },
        bounds,
    };
    assert_eq!(outbox.send("big", 7), Err(OutboxRejected::Full("big", by_bytes)));
    outbox.send("b", 6).unwrap();
    let by_count = Full {
        load: Load { items: 2, bytes: 10 },
        bounds,
    };
    assert_eq!(outbox.send("c", 0), Err(OutboxRejected::Full("c", by_count)));

    outbox.withdraw(a);
    outbox.send("c", 4).unwrap();
    assert!(outbox.send("d", 0).is_err());
    outbox.connected(7);
    assert!(
        outbox.send("d", 0).is_err(),
        "the bound holds while the others leave"
    );
    assert_eq!(outbox.drain(), Some("b"));
    outbox.send("d", 0).unwrap();
    assert_eq!(drain(&mut outbox), ["c", "d"]);
    assert_eq!(
        outbox.send("huge", 1_000),
        Ok(Admission::Pass("huge", 7)),
        "the connection has its own bounds"
    );
}

#[test]
fn one_oversized_message_may_wait_alone() {
    let mut outbox = TestOutbox::new(Bounds {
        max_items: 9,
        max_bytes: 10,
    });
    assert!(matches!(outbox.send("huge", 1_000), Ok(Admission::Connect(_))));
    assert!(matches!(
        outbox.send("small", 1),
        Err(OutboxRejected::Full("small", _))
    ));
}

#[test]
fn a_message_that_is_refused_does_not_ask_for_a_connection() {
    let mut outbox = TestOutbox::new(Bounds {
        max_items: 0,
        max_bytes: 10,
    });
    assert!(matches!(outbox.send("a", 1), Err(OutboxRejected::Full("a", _))));
    assert_eq!(outbox.connected(7), None, "one may still come by itself");
    assert_eq!(outbox.drain(), None);
    assert_eq!(outbox.send("a", 1), Ok(Admission::Pass("a", 7)));
}

#[test]
fn absurd_weights_keep_the_account_exact() {
    let mut outbox = outbox();
    outbox.send("a", usize::MAX).unwrap();
    let b = wait(&mut outbox, "b", usize::MAX);
    assert_eq!(
        outbox.load(),
        Load {
            items: 2,
            bytes: usize::MAX
        }
    );
    outbox.withdraw(b);
    outbox.connected(7);
    assert_eq!(drain(&mut outbox), ["a"]);
    assert_eq!(outbox.load(), Load::default());
}
