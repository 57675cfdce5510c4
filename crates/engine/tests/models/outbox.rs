//! The outbox beside an obvious model of it: a list, and the state in words.

use spark_rpc_engine::{Admission, Bounds, Full, Load, Outbox, OutboxRejected, Ticket};

/// What an owner may do with an outbox.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Send {
        bytes: usize,
    },
    /// Withdraws by one of the tickets given out, however old.
    Withdraw {
        which: usize,
    },
    Connected,
    Drain,
    Fail,
}

impl Op {
    /// Makes some operation of any numbers.
    pub(crate) fn new(kind: u8, small: u8, large: u32) -> Self {
        match kind {
            0..=99 => Op::Send {
                bytes: usize::from(small) % 40,
            },
            100..=209 => Op::Withdraw {
                which: large as usize,
            },
            210..=217 => Op::Connected,
            218..=253 => Op::Drain,
            _ => Op::Fail,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Connecting,
    Draining(u32),
    Connected(u32),
    Stopped,
}

/// Runs `ops` on an outbox and on the model of it.
///
/// # Panics
///
/// Panics where the two differ.
pub(crate) fn check(bounds: Bounds, ops: impl IntoIterator<Item = Op>) {
    let mut outbox: Outbox<u32, u32> = Outbox::new(bounds);
    let mut state = State::Idle;
    let mut waiting: Vec<(u32, usize)> = Vec::new();
    let mut tickets: Vec<(Ticket, u32)> = Vec::new();
    let mut ids = 0;
    for op in ops {
        ids += 1;
        match op {
            Op::Send { bytes } => {
                let load = load(&waiting);
                let fits = load.items < bounds.max_items
                    && (load.items == 0 || load.bytes + bytes <= bounds.max_bytes);
                match (outbox.send(ids, bytes), state) {
                    (Ok(Admission::Pass(message, by)), State::Connected(connection)) => {
                        assert_eq!((message, by), (ids, connection));
                    }
                    (Err(OutboxRejected::Stopped(back)), State::Stopped) => assert_eq!(back, ids),
                    (Err(OutboxRejected::Full(back, full)), _) if !fits => {
                        assert_eq!((back, full), (ids, Full { load, bounds }));
                    }
                    (Ok(Admission::Connect(ticket)), State::Idle) if fits => {
                        state = State::Connecting;
                        waiting.push((ids, bytes));
                        tickets.push((ticket, ids));
                    }
                    (Ok(Admission::Queued(ticket)), State::Connecting | State::Draining(_)) if fits => {
                        waiting.push((ids, bytes));
                        tickets.push((ticket, ids));
                    }
                    (got, state) => panic!("{got:?} while {state:?} with {load:?}"),
                }
            }
            Op::Withdraw { which } => {
                if tickets.is_empty() {
                    continue;
                }
                // Mostly young ones: the old have left long ago.
                let which = tickets.len() - 1 - which % tickets.len().min(100);
                let (ticket, message) = tickets[which];
                let place = waiting.iter().position(|(id, _)| *id == message);
                let expected = place.map(|place| waiting.remove(place).0);
                assert_eq!(outbox.withdraw(ticket), expected);
            }
            Op::Connected => {
                let given_back = outbox.connected(ids);
                if state == State::Stopped {
                    assert_eq!(given_back, Some(ids));
                } else {
                    assert_eq!(given_back, None);
                    state = State::Draining(ids);
                }
            }
            Op::Drain => {
                let expected = match state {
                    State::Draining(connection) if waiting.is_empty() => {
                        state = State::Connected(connection);
                        None
                    }
                    State::Draining(_) => Some(waiting.remove(0).0),
                    _ => None,
                };
                assert_eq!(outbox.drain(), expected);
            }
            Op::Fail => {
                let expected: Vec<u32> = waiting.drain(..).map(|(id, _)| id).collect();
                assert_eq!(outbox.fail(), expected);
                state = State::Stopped;
            }
        }
        assert_eq!(outbox.load(), load(&waiting));
        assert_eq!(outbox.is_stopped(), state == State::Stopped);
        let connection = match state {
            State::Connected(connection) => Some(connection),
            _ => None,
        };
        assert_eq!(outbox.connection().copied(), connection);
    }
}

fn load(waiting: &[(u32, usize)]) -> Load {
    Load {
        items: waiting.len(),
        bytes: waiting.iter().map(|(_, bytes)| bytes).sum(),
    }
}
