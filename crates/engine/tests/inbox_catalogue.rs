//! The inbox as Spark's `InboxSuite` knows it, driven the way a message loop drives it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, mpsc};
use std::thread;

use spark_rpc_engine::{Bounds, Delivery, Inbox, InboxMessage, Lane, Load, Step};

/// What the endpoint of these tests has seen.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    started: usize,
    messages: Vec<String>,
    stopped: usize,
}

/// Runs steps on this thread until there is none left for now.
fn process<M>(inbox: &mut Inbox<M>, seen: &mut Seen, mut handle: impl FnMut(M) -> String) {
    while let Some(step) = inbox.next_step() {
        match step {
            Step::Start => {
                seen.started += 1;
                inbox.step_done(0, 0);
            }
            Step::Deliver(taken) => {
                seen.messages.push(handle(taken.message));
                inbox.step_done(1, taken.bytes);
            }
            Step::Batch => unreachable!("no batch was asked for"),
            Step::Stop => {
                seen.stopped += 1;
                inbox.step_done(0, 0);
            }
        }
    }
}

/// INBOX-01
#[test]
fn a_posted_message_is_seen_once_and_the_endpoint_starts_and_stops_once() {
    let mut inbox = Inbox::new(Delivery::Concurrent, Bounds::NONE);
    let mut seen = Seen::default();
    inbox.post("hi", Lane::Normal, 2).unwrap();
    process(&mut inbox, &mut seen, str::to_owned);
    assert!(inbox.is_empty());
    assert_eq!(seen.messages, ["hi"]);

    inbox.stop();
    process(&mut inbox, &mut seen, str::to_owned);
    assert!(inbox.is_empty() && inbox.is_stopped());
    assert_eq!(
        seen,
        Seen {
            started: 1,
            messages: vec!["hi".to_owned()],
            stopped: 1
        }
    );
}

/// INBOX-02
#[test]
fn a_message_that_wants_a_reply_is_handed_over_once_together_with_its_reply_handle() {
    struct Ask(&'static str, mpsc::Sender<String>);

    let mut inbox = Inbox::new(Delivery::Serial, Bounds::NONE);
    let mut seen = Seen::default();
    let (reply, replies) = mpsc::channel();
    assert!(inbox.post(Ask("hi", reply), Lane::Normal, 2).is_ok());
    process(&mut inbox, &mut seen, |Ask(content, reply)| {
        reply.send(format!("{content} yourself")).unwrap();
        content.to_owned()
    });
    assert_eq!(seen.messages, ["hi"]);
    assert_eq!(
        replies.iter().collect::<Vec<_>>(),
        ["hi yourself"],
        "one reply, and the handle is gone"
    );
}

/// INBOX-04
#[test]
fn connection_messages_pass_through_in_order_with_address_and_cause() {
    type Message = InboxMessage<&'static str, (&'static str, u16), String>;
    let address = ("localhost", 11_111);
    let events: [Message; 3] = [
        InboxMessage::RemoteProcessConnected(address),
        InboxMessage::RemoteProcessConnectionError("Oops".to_owned(), address),
        InboxMessage::RemoteProcessDisconnected(address),
    ];

    let mut inbox = Inbox::new(Delivery::Serial, Bounds::NONE);
    inbox.post(Message::Message("before"), Lane::Normal, 6).unwrap();
    for event in events.clone() {
        inbox.post_event(event).unwrap();
    }
    let mut received = Vec::new();
    process(&mut inbox, &mut Seen::default(), |message| {
        received.push(message);
        String::new()
    });
    assert_eq!(received[0], Message::Message("before"));
    assert_eq!(received[1..], events);
}

/// INBOX-05
#[test]
fn a_handler_that_dies_leaves_no_step_running_and_the_endpoint_usable() {
    let mut inbox = Inbox::new(Delivery::Serial, Bounds::NONE);
    inbox.post("deadly", Lane::Normal, 6).unwrap();
    assert_eq!(inbox.next_step(), Some(Step::Start));
    inbox.step_done(0, 0);

    let Some(Step::Deliver(taken)) = inbox.next_step() else {
        panic!("a message waits")
    };
    let death = std::panic::catch_unwind(|| {
        if taken.message == "deadly" {
            std::panic::resume_unwind(Box::new("out of memory"));
        }
    });
    inbox.step_done(1, taken.bytes);
    assert_eq!(death.unwrap_err().downcast_ref::<&str>(), Some(&"out of memory"));
    assert_eq!(inbox.running(), 0);
    assert_eq!(inbox.load(), Load::default());

    let mut seen = Seen::default();
    inbox.post("next", Lane::Normal, 4).unwrap();
    inbox.stop();
    process(&mut inbox, &mut seen, str::to_owned);
    assert_eq!((seen.messages, seen.stopped), (vec!["next".to_owned()], 1));
}

const POSTERS: usize = 10;
const POSTS: usize = 100;

/// An inbox behind a lock, with consumers that sleep while there is nothing to do.
struct Shared {
    inbox: Mutex<Inbox<usize>>,
    work: Condvar,
}

impl Shared {
    /// Posts its share, and in the middle of it calls `midway`; returns how many were rejected.
    fn posts(&self, midway: impl Fn(&Self)) -> usize {
        let mut rejected = 0;
        for n in 0..POSTS {
            if n == POSTS / 2 {
                midway(self);
            }
            match self.inbox.lock().unwrap().post(n, Lane::Normal, 1) {
                Ok(posted) if posted.wake => self.work.notify_one(),
                Ok(_) => {}
                Err(_) => rejected += 1,
            }
        }
        rejected
    }

    fn stop(&self) {
        assert!(self.inbox.lock().unwrap().stop());
        self.work.notify_all();
    }

    /// Runs steps until the endpoint has stopped; returns how often it started, handled a message, and stopped here.
    fn consume(&self, batches: bool) -> [usize; 3] {
        let mut counts = [0; 3];
        let mut batch = VecDeque::new();
        let mut inbox = self.inbox.lock().unwrap();
        while !inbox.is_stopped() {
            let step = if batches {
                inbox.take_batch(&mut batch)
            } else {
                inbox.next_step()
            };
            let Some(step) = step else {
                inbox = self.work.wait(inbox).unwrap();
                continue;
            };
            drop(inbox);
            let done = match step {
                Step::Start => {
                    counts[0] += 1;
                    0
                }
                Step::Deliver(_) => 1,
                Step::Batch => batch.drain(..).count(),
                Step::Stop => {
                    counts[2] += 1;
                    0
                }
            };
            counts[1] += done;
            inbox = self.inbox.lock().unwrap();
            inbox.step_done(done, done);
            if inbox.is_stopped() {
                self.work.notify_all();
            }
        }
        counts
    }
}

/// INBOX-03
#[test]
fn many_posters_and_consumers_lose_no_message_and_start_and_stop_once() {
    for (delivery, batches) in [
        (Delivery::Concurrent, false),
        (Delivery::Serial, false),
        (Delivery::Serial, true),
    ] {
        let shared = Shared {
            inbox: Mutex::new(Inbox::new(delivery, Bounds::NONE)),
            work: Condvar::new(),
        };
        let (rejected, counts) = thread::scope(|scope| {
            let consumers: Vec<_> = (0..2).map(|_| scope.spawn(|| shared.consume(batches))).collect();
            let posters: Vec<_> = (0..POSTERS)
                .map(|poster| {
                    let shared = &shared;
                    scope.spawn(move || {
                        shared.posts(|shared| {
                            if poster == 0 {
                                shared.stop();
                            }
                        })
                    })
                })
                .collect();
            let rejected: usize = posters.into_iter().map(|poster| poster.join().unwrap()).sum();
            let mut counts = [0; 3];
            for consumer in consumers {
                for (sum, count) in counts.iter_mut().zip(consumer.join().unwrap()) {
                    *sum += count;
                }
            }
            (rejected, counts)
        });

        let [started, handled, stopped] = counts;
        assert_eq!(handled + rejected, POSTERS * POSTS);
        assert_eq!((started, stopped), (1, 1));
        assert!(
            rejected >= POSTS / 2,
            "the one who stopped it is rejected from then on"
        );
        let inbox = shared.inbox.into_inner().unwrap();
        assert!(inbox.is_empty());
        assert_eq!((inbox.running(), inbox.load()), (0, Load::default()));
    }
}
