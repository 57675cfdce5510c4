//! The write queue beside an obvious model of it: one list of whole frames or bodies for each lane.

use std::collections::{BTreeSet, VecDeque};

use spark_rpc_engine::{Bounds, CHUNK, Full, Lane, Load, Next, PASSING, Weighed, WriteQueue};

/// What an owner may do with a write queue.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Push {
        lane: Lane,
        len: usize,
    },
    PushOwned {
        lane: Lane,
        len: usize,
    },
    PushAnswer {
        lane: Lane,
        len: usize,
        owned: bool,
    },
    PushBulk {
        weight: usize,
        answer: bool,
    },
    Next,
    /// Takes one more body if that is allowed.
    NextBulk,
    /// Reports the oldest chunk that is being written.
    Written,
    Clear,
}

impl Op {
    /// Makes some operation of any numbers.
    pub(crate) fn new(kind: u8, small: u8, large: u32) -> Self {
        let lane = if small.is_multiple_of(4) {
            Lane::Control
        } else {
            Lane::Normal
        };
        let len = large as usize % [1, 40, 3_000, CHUNK, CHUNK + 2, 2 * CHUNK][usize::from(small / 4) % 6];
        match kind {
            0..=99 => Op::Push { lane, len },
            100..=124 => Op::PushOwned { lane, len },
            125..=139 => Op::PushAnswer {
                lane,
                len,
                owned: large.is_multiple_of(3),
            },
            140..=159 => Op::PushBulk {
                weight: len,
                answer: large.is_multiple_of(3),
            },
            160..=204 => Op::Next,
            205..=209 => Op::NextBulk,
            210..=252 => Op::Written,
            _ => Op::Clear,
        }
    }
}

#[derive(Debug)]
struct Frame {
    bytes: Vec<u8>,
    owned: bool,
    answer: bool,
}

impl Frame {
    fn new(number: u32, len: usize, owned: bool) -> Self {
        // No two neighbours look alike, and neither do their parts.
        let bytes = (0..len)
            .map(|place| (place as u32 ^ number.wrapping_mul(31)) as u8)
            .collect();
        Self {
            bytes,
            owned,
            answer: false,
        }
    }
}

#[derive(Default)]
struct Model {
    control: VecDeque<Frame>,
    normal: VecDeque<Frame>,
    bulk: VecDeque<Weighed<u32>>,
    /// Which of the bodies answer requests.
    bulk_answers: BTreeSet<u32>,
    /// Bytes of frames that have gone before the oldest body.
    passed: usize,
    /// Chunks and bodies that were taken and are not yet reported written.
    taken: VecDeque<Load>,
    /// Answers among them, and among those that were reported when others were still being written.
    taken_answers: Load,
}

impl Model {
    fn lane(&mut self, lane: Lane) -> &mut VecDeque<Frame> {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Normal => &mut self.normal,
        }
    }

    fn waiting(&self) -> Load {
        let frames = self.control.iter().chain(&self.normal);
        let weights = frames.map(|frame| frame.bytes.len());
        sum(weights.chain(self.bulk.iter().map(|body| body.weight)))
    }

    fn load(&self) -> Load {
        self.taken
            .iter()
            .fold(self.waiting(), |load, taken| add(load, *taken))
    }

    /// Answers that wait or are being written.
    fn answers(&self) -> Load {
        let frames = self.control.iter().chain(&self.normal);
        let weights = frames.filter(|frame| frame.answer).map(|frame| frame.bytes.len());
        let bodies = self
            .bulk
            .iter()
            .filter(|body| self.bulk_answers.contains(&body.body));
        let waiting = sum(weights.chain(bodies.map(|body| body.weight)));
        add(waiting, self.taken_answers)
    }

    fn take(&mut self, load: Load, answers: Load) {
        self.taken.push_back(load);
        self.taken_answers = add(self.taken_answers, answers);
    }

    fn take_body(&mut self, body: &Weighed<u32>) {
        let load = Load {
            items: 1,
            bytes: body.weight,
        };
        let is_answer = self.bulk_answers.contains(&body.body);
        self.take(load, if is_answer { load } else { Load::default() });
        self.passed = 0;
    }
}

fn add(one: Load, other: Load) -> Load {
    Load {
        items: one.items + other.items,
        bytes: one.bytes + other.bytes,
    }
}

/// Runs `ops` on a write queue and on the model of it, then takes what still waits.
///
/// # Panics
///
/// Panics where the two differ.
pub(crate) fn check(bounds: Bounds, ops: impl IntoIterator<Item = Op>) {
    let mut queue = WriteQueue::new(bounds);
    let mut model = Model::default();
    let mut number = 0;
    for op in ops {
        number += 1;
        match op {
            Op::Push { lane, len } => {
                let frame = Frame::new(number, len, false);
                let full = full(&model, bounds, lane, len);
                let was_empty = queue.is_empty();
                match queue.push(lane, &frame.bytes, || vec![0xff; 3]) {
                    Ok(pushed) => {
                        assert_eq!((full, pushed.was_empty), (None, was_empty));
                        model.lane(lane).push_back(frame);
                    }
                    Err(refused) => assert_eq!(full, Some(refused)),
                }
            }
            Op::PushOwned { lane, len } => {
                let frame = Frame::new(number, len, true);
                let full = full(&model, bounds, lane, len);
                let was_empty = queue.is_empty();
                match queue.push_owned(lane, frame.bytes.clone()) {
                    Ok(pushed) => {
                        assert_eq!((full, pushed.was_empty), (None, was_empty));
                        model.lane(lane).push_back(frame);
                    }
                    Err((back, refused)) => {
                        assert!(back == frame.bytes, "the frame comes back");
                        assert_eq!(full, Some(refused));
                    }
                }
            }
            Op::PushAnswer { lane, len, owned } => {
                let mut frame = Frame::new(number, len, owned);
                frame.answer = true;
                let was_empty = queue.is_empty();
                let pushed = if owned {
                    queue.push_owned_answer(lane, frame.bytes.clone())
                } else {
                    queue.push_answer(lane, &frame.bytes, Vec::new)
                };
                assert_eq!(pushed.was_empty, was_empty);
                model.lane(lane).push_back(frame);
            }
            Op::PushBulk { weight, answer: true } => {
                let was_empty = queue.is_empty();
                assert_eq!(queue.push_bulk_answer(weight, number).was_empty, was_empty);
                model.bulk_answers.insert(number);
                model.bulk.push_back(Weighed { weight, body: number });
            }
            Op::PushBulk {
                weight,
                answer: false,
            } => {
                let full = full(&model, bounds, Lane::Normal, weight);
                let was_empty = queue.is_empty();
                match queue.push_bulk(weight, number) {
                    Ok(pushed) => {
                        assert_eq!((full, pushed.was_empty), (None, was_empty));
                        model.bulk.push_back(Weighed { weight, body: number });
                    }
                    Err((back, refused)) => assert_eq!((back, full), (number, Some(refused))),
                }
            }
            Op::Next => next(&mut queue, &mut model),
            Op::NextBulk => {
                let alone = model.control.is_empty() && model.normal.is_empty();
                let fits = model.bulk.front().is_some_and(|body| body.body.is_multiple_of(2));
                let expected = if alone && fits {
                    model.bulk.pop_front()
                } else {
                    None
                };
                assert_eq!(queue.next_bulk_if(|body| body.is_multiple_of(2)), expected);
                if let Some(body) = &expected {
                    model.take_body(body);
                }
            }
            Op::Written => {
                if let Some(load) = model.taken.pop_front() {
                    queue.written(load.items, load.bytes);
                    if model.taken.is_empty() {
                        model.taken_answers = Load::default();
                    }
                }
            }
            Op::Clear => {
                let (load, bodies) = queue.clear();
                assert_eq!(load, model.waiting());
                assert!(bodies.eq(model.bulk.drain(..).map(|body| body.body)));
                model.passed = 0;
                model.control.clear();
                model.normal.clear();
            }
        }
        assert_eq!(queue.load(), model.load());
        assert_eq!(queue.is_empty(), model.waiting().items == 0);
        let answers = model.answers();
        let over = answers.items > bounds.max_items || answers.bytes > bounds.max_bytes;
        assert_eq!(queue.is_over(), over);
        for bytes in [0, 1, bounds.max_bytes] {
            let lanes = [Lane::Normal, Lane::Control];
            let fits = lanes.map(|lane| full(&model, bounds, lane, bytes).is_none());
            assert_eq!(queue.has_room(bytes), fits == [true, true]);
        }
    }
    while !queue.is_empty() {
        next(&mut queue, &mut model);
    }
    assert_eq!(model.waiting(), Load::default());
}

fn full(model: &Model, bounds: Bounds, lane: Lane, bytes: usize) -> Option<Full> {
    let load = match lane {
        Lane::Normal => model.load(),
        // What waits there, without what is being written.
        Lane::Control => sum(model.control.iter().map(|frame| frame.bytes.len())),
    };
    let fits = load.items < bounds.max_items
        && (load.items == 0 || load.bytes.saturating_add(bytes) <= bounds.max_bytes);
    (!fits).then_some(Full { load, bounds })
}

fn sum(weights: impl Iterator<Item = usize>) -> Load {
    weights.fold(Load::default(), |load, weight| Load {
        items: load.items + 1,
        bytes: load.bytes + weight,
    })
}

/// Takes what is next and finds it at the front of the lane whose turn it is.
fn next(queue: &mut WriteQueue<u32>, model: &mut Model) {
    let lane = if model.control.is_empty() {
        Lane::Normal
    } else {
        Lane::Control
    };
    let chunk = match queue.next_write() {
        None => return assert_eq!(model.waiting(), Load::default()),
        Some(Next::Bulk(body)) => {
            assert!(model.control.is_empty());
            assert!(
                model.normal.is_empty() || model.passed >= PASSING,
                "frames go first"
            );
            model.take_body(&body);
            return assert_eq!(model.bulk.pop_front(), Some(body));
        }
        Some(Next::Chunk(chunk)) => chunk,
    };
    if lane == Lane::Normal && !model.bulk.is_empty() {
        assert!(model.passed < PASSING, "bodies have their turn");
        model.passed += chunk.bytes.len();
    }
    let frames: Vec<Frame> = model.lane(lane).drain(..chunk.frames).collect();
    let expected: Vec<u8> = frames.iter().flat_map(|frame| &frame.bytes).copied().collect();
    assert!(
        chunk.bytes == expected,
        "{} frames, whole and in order",
        chunk.frames
    );
    assert!(chunk.frames > 0);
    if chunk.frames > 1 {
        assert!(chunk.bytes.len() <= CHUNK);
        assert!(frames.iter().all(|frame| !frame.owned), "owned frames are alone");
    }
    if let (false, Some(follower)) = (frames[0].owned, model.lane(lane).front()) {
        assert!(
            follower.owned || chunk.bytes.len() + follower.bytes.len() > CHUNK,
            "the next frame would have fitted"
        );
    }
    let load = Load {
        items: chunk.frames,
        bytes: chunk.bytes.len(),
    };
    let answers = frames.iter().filter(|frame| frame.answer);
    model.take(load, sum(answers.map(|frame| frame.bytes.len())));
}
