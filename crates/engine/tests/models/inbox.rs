//! The inbox beside an obvious model of it: every message knows its lane, and everything is counted by looking.

use std::collections::VecDeque;

use spark_rpc_engine::{
    Bounds, Delivery, Full, Inbox, Lane, Load, Posted, RejectReason, Rejected, Step, Taken,
};

/// What an owner may do with an inbox.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Post {
        lane: Lane,
        bytes: usize,
    },
    /// Posts a message that was admitted when there still was room.
    PostAdmitted {
        lane: Lane,
        bytes: usize,
    },
    PostEvent,
    /// Takes a step as a consumer that wants single messages.
    Next,
    /// Takes a step as a consumer that wants batches.
    Batch,
    /// Handles the first message of the batch at work, and reports it at once or only with the batch.
    Work {
        report: bool,
    },
    TakeControl,
    /// Reports one of the running steps done.
    Done {
        which: usize,
    },
    StartFailed,
    Stop,
    GiveUp,
}

impl Op {
    /// Makes some operation of any numbers.
    pub(crate) fn new(kind: u8, small: u8, large: u32) -> Self {
        match kind {
            0..=69 => Op::Post {
                lane: Lane::Normal,
                bytes: large as usize % 40,
            },
            70..=109 => Op::Post {
                lane: Lane::Control,
                bytes: large as usize % 40,
            },
            110..=112 => Op::PostAdmitted {
                lane: if small.is_multiple_of(2) {
                    Lane::Control
                } else {
                    Lane::Normal
                },
                bytes: large as usize % 40,
            },
            113..=119 => Op::PostEvent,
            120..=149 => Op::Next,
            150..=174 => Op::Batch,
            175..=199 => Op::Work {
                report: small.is_multiple_of(2),
            },
            200..=214 => Op::TakeControl,
            215..=247 => Op::Done {
                which: small as usize,
            },
            248..=249 => Op::StartFailed,
            250..=253 => Op::Stop,
            _ => Op::GiveUp,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message {
    id: u32,
    control: bool,
    bytes: usize,
}

#[derive(Debug)]
enum Running {
    Start,
    Stop,
    /// Handed out one by one, or as a batch whose rest is in `batch`.
    Messages {
        taken: Vec<Message>,
        batch: bool,
    },
}

#[derive(Debug)]
struct Model {
    delivery: Delivery,
    bounds: Bounds,
    started: bool,
    open: bool,
    closed: bool,
    stopping: bool,
    stopped: bool,
    waiting: Vec<Message>,
    running: Vec<Running>,
    /// What the consumer has not yet handled of its batch.
    batch: VecDeque<Message>,
}

impl Model {
    fn load(&self) -> Load {
        let taken = self.running.iter().flat_map(|running| match running {
            Running::Messages { taken, .. } => taken.as_slice(),
            Running::Start | Running::Stop => &[],
        });
        count(self.waiting.iter().chain(taken))
    }

    fn concurrent(&self) -> bool {
        self.open && !self.closed && self.delivery == Delivery::Concurrent
    }

    /// Why a message may not enter.
    fn obstacle(&self, lane: Lane, bytes: usize) -> Option<RejectReason> {
        if self.closed {
            return Some(RejectReason::Stopped);
        }
        let held = match lane {
            Lane::Normal => self.load(),
            Lane::Control => {
                let mut held = count(self.waiting.iter().filter(|message| message.control));
                held.items += self.running.len().saturating_sub(self.bounds.max_items);
                held
            }
        };
        let fits = held.items < self.bounds.max_items
            && (held.items == 0 || held.bytes + bytes <= self.bounds.max_bytes);
        (!fits).then_some(RejectReason::Full(Full {
            load: held,
            bounds: self.bounds,
        }))
    }

    /// Takes what waits in one lane, in order.
    fn take(&mut self, control: bool) -> Vec<Message> {
        let (taken, rest) = self
            .waiting
            .iter()
            .partition(|message| message.control == control);
        self.waiting = rest;
        taken
    }

    /// What may run next, if anything: the start, messages, or the stop.
    fn may_run(&self) -> Option<Next> {
        if self.stopped {
            return None;
        }
        if !self.started {
            return Some(Next::Start);
        }
        let free = self.running.is_empty() || self.concurrent();
        if !self.open || !free || self.stopping {
            return None;
        }
        match (self.waiting.is_empty(), self.closed) {
            (false, _) => Some(Next::Messages),
            (true, true) => Some(Next::Stop),
            (true, false) => None,
        }
    }
}

enum Next {
    Start,
    Messages,
    Stop,
}

fn count<'a>(messages: impl Iterator<Item = &'a Message>) -> Load {
    messages.fold(Load::default(), |load, message| Load {
        items: load.items + 1,
        bytes: load.bytes + message.bytes,
    })
}

fn weighed(message: Message) -> Taken<u32> {
    Taken {
        message: message.id,
        bytes: message.bytes,
    }
}

/// Runs `ops` on an inbox and on the model of it, then lets both come to their end.
///
/// # Panics
///
/// Panics where the two differ, and when the inbox does not come to its end.
pub(crate) fn check(delivery: Delivery, bounds: Bounds, ops: impl IntoIterator<Item = Op>) {
    let mut pair = Pair {
        inbox: Inbox::new(delivery, bounds),
        batch: VecDeque::new(),
        model: Model {
            delivery,
            bounds,
            started: false,
            open: false,
            closed: false,
            stopping: false,
            stopped: false,
            waiting: Vec::new(),
            running: Vec::new(),
            batch: VecDeque::new(),
        },
        ids: 0,
    };
    for op in ops {
        pair.apply(op);
        pair.compare();
    }
    pair.apply(Op::Stop);
    while !pair.model.stopped || !pair.model.running.is_empty() {
        if pair.model.running.is_empty() {
            assert!(pair.model.may_run().is_some(), "stuck: {:?}", pair.model);
            pair.apply(Op::Next);
        } else {
            pair.apply(Op::Done { which: 0 });
        }
        pair.compare();
    }
    assert!(pair.inbox.is_empty());
    assert_eq!(pair.inbox.load(), Load::default());
}

struct Pair {
    inbox: Inbox<u32>,
    batch: VecDeque<Taken<u32>>,
    model: Model,
    ids: u32,
}

impl Pair {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Post { lane, bytes } => self.post(lane, bytes),
            Op::PostAdmitted { lane, bytes } => {
                self.ids += 1;
                let posted = self.inbox.post_admitted(self.ids, lane, bytes);
                self.let_in(posted, lane == Lane::Control, bytes);
            }
            Op::PostEvent => {
                self.ids += 1;
                let posted = self.inbox.post_event(self.ids);
                self.let_in(posted, false, 0);
            }
            Op::Next => self.next(),
            Op::Batch => self.take_batch(),
            Op::Work { report } => {
                let expected = self.model.batch.pop_front();
                assert_eq!(self.batch.pop_front(), expected.map(weighed));
                if let (true, Some(message)) = (report, expected) {
                    self.inbox.consumed(1, message.bytes);
                    for running in &mut self.model.running {
                        if let Running::Messages { taken, .. } = running {
                            taken.retain(|other| *other != message);
                        }
                    }
                }
            }
            Op::TakeControl => self.take_control(),
            Op::Done { which } => self.done(which),
            Op::StartFailed => {
                if matches!(self.model.running[..], [Running::Start]) {
                    self.inbox.start_failed();
                    self.model.delivery = Delivery::Serial;
                }
            }
            Op::GiveUp => {
                self.model.closed = true;
                self.model.stopped = true;
                let mut expected = self.model.take(true);
                expected.append(&mut self.model.take(false));
                let expected: Vec<u32> = expected.iter().map(|message| message.id).collect();
                assert_eq!(self.inbox.give_up(), expected);
            }
            Op::Stop => {
                assert_eq!(self.inbox.stop(), !self.model.closed);
                self.model.closed = true;
            }
        }
    }

    fn post(&mut self, lane: Lane, bytes: usize) {
        self.ids += 1;
        let id = self.ids;
        assert_eq!(
            self.inbox.admit(lane, bytes).err(),
            self.model.obstacle(lane, bytes)
        );
        match (self.inbox.post(id, lane, bytes), self.model.obstacle(lane, bytes)) {
            (Ok(posted), None) => self.posted(posted.wake, lane == Lane::Control, bytes),
            (Err(rejected), Some(reason)) => {
                assert_eq!((rejected.message, rejected.reason), (id, reason));
            }
            (got, expected) => panic!("{got:?}, but the obstacle is {expected:?}"),
        }
    }

    /// Follows a post that no bound may keep out.
    fn let_in(&mut self, posted: Result<Posted, Rejected<u32>>, control: bool, bytes: usize) {
        match posted {
            Ok(posted) => {
                assert!(!self.model.closed);
                self.posted(posted.wake, control, bytes);
            }
            Err(rejected) => {
                assert!(self.model.closed);
                assert_eq!(
                    (rejected.message, rejected.reason),
                    (self.ids, RejectReason::Stopped)
                );
            }
        }
    }

    fn posted(&mut self, wake: bool, control: bool, bytes: usize) {
        assert_eq!(
            wake,
            self.model.running.is_empty() || self.model.concurrent(),
            "only a consumer that is at work and alone looks again by itself"
        );
        self.model.waiting.push(Message {
            id: self.ids,
            control,
            bytes,
        });
    }

    fn next(&mut self) {
        let expected = match self.model.may_run() {
            None => None,
            Some(Next::Messages) => {
                let first = self.model.waiting.iter().position(|message| message.control);
                let message = self.model.waiting.remove(first.unwrap_or(0));
                self.model.running.push(Running::Messages {
                    taken: vec![message],
                    batch: false,
                });
                Some(Step::Deliver(weighed(message)))
            }
            Some(boundary) => Some(self.pass(&boundary)),
        };
        assert_eq!(self.inbox.next_step(), expected);
    }

    fn take_batch(&mut self) {
        // Batches are for serial consumers, which use one up before they take the next.
        if self.model.delivery == Delivery::Concurrent || !self.batch.is_empty() {
            return;
        }
        let expected = match self.model.may_run() {
            None => None,
            Some(Next::Messages) => {
                let mut taken = self.model.take(true);
                if taken.is_empty() {
                    taken = self.model.take(false);
                }
                self.model.batch.extend(&taken);
                self.model.running.push(Running::Messages { taken, batch: true });
                Some(Step::Batch)
            }
            Some(boundary) => Some(self.pass(&boundary)),
        };
        assert_eq!(self.inbox.take_batch(&mut self.batch), expected);
    }

    fn pass(&mut self, boundary: &Next) -> Step<u32> {
        if let Next::Start = boundary {
            self.model.started = true;
            self.model.running.push(Running::Start);
            Step::Start
        } else {
            self.model.stopping = true;
            self.model.running.push(Running::Stop);
            Step::Stop
        }
    }

    fn take_control(&mut self) {
        let [Running::Messages { batch: true, .. }] = self.model.running[..] else {
            return;
        };
        self.inbox.take_control(&mut self.batch);
        if !self.model.batch.front().is_some_and(|first| first.control) {
            let control = self.model.take(true);
            for message in control.iter().rev() {
                self.model.batch.push_front(*message);
            }
            if let Some(Running::Messages { taken, .. }) = self.model.running.first_mut() {
                taken.extend(control);
            }
        }
    }

    fn done(&mut self, which: usize) {
        if self.model.running.is_empty() {
            return;
        }
        let which = which % self.model.running.len();
        let load = match self.model.running.swap_remove(which) {
            Running::Start => {
                self.model.open = !self.model.stopped;
                Load::default()
            }
            Running::Stop => {
                self.model.stopped = true;
                Load::default()
            }
            Running::Messages { taken, batch } => {
                if batch {
                    // A handler that dies takes the rest of its batch with it.
                    self.batch.clear();
                    self.model.batch.clear();
                }
                count(taken.iter())
            }
        };
        self.inbox.step_done(load.items, load.bytes);
    }

    fn compare(&self) {
        let Self { inbox, model, .. } = self;
        assert_eq!(inbox.load(), model.load());
        assert_eq!(inbox.running(), model.running.len());
        assert_eq!(inbox.is_empty(), model.waiting.is_empty());
        assert_eq!(inbox.is_closed(), model.closed);
        assert_eq!(inbox.is_stopped(), model.stopped);
        let batch = model.batch.iter().copied().map(weighed);
        assert!(self.batch.iter().cloned().eq(batch));
        let boundary = model
            .running
            .iter()
            .any(|running| !matches!(running, Running::Messages { .. }));
        assert!(!boundary || model.running.len() == 1, "start and stop run alone");
    }
}
