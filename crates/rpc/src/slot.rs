//! Where the reply to a local ask is put.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use crate::error::AskError;
use crate::reply::unanswered;

/// One reply on its way from a handler to an asker in the same env. The asker and the reply handle share it.
#[derive(Debug)]
pub(crate) struct ReplySlot<R> {
    state: Mutex<State<R>>,
}

#[derive(Debug)]
enum State<R> {
    Waiting(Option<Waker>),
    Done(Result<R, AskError>),
    /// The reply handle was dropped unused, if need be by a panic.
    Abandoned {
        panicked: bool,
    },
    /// The asker has gone, or has taken the reply.
    Closed,
}

impl<R: Send + 'static> ReplySlot<R> {
    /// An empty slot; one that is left over from an earlier ask of this thread, if there is one.
    #[inline]
    pub(crate) fn take() -> Arc<Self> {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().of::<R>()?.pop());
        spare.ok().flatten().unwrap_or_else(|| {
            Arc::new(Self {
                state: Mutex::new(State::Waiting(None)),
            })
        })
    }

    /// The asker waits no longer. The slot is kept for a later ask if the reply handle has gone, too.
    pub(crate) fn leave(mut slot: Arc<Self>) {
        let Some(alone) = Arc::get_mut(&mut slot) else {
            return slot.close();
        };
        // What is still in there may be dropped by code of the user, so it goes first.
        *alone
            .state
            .get_mut()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = State::Waiting(None);
        let kept = SPARE.try_with(|spare| match spare.borrow_mut().of::<R>() {
            Some(slots) if slots.len() < most_spare::<R>() => {
                slots.push(slot);
                None
            }
            _ => Some(slot),
        });
        drop(kept);
    }
}

impl<R> ReplySlot<R> {
    /// Puts the reply in; returns whether somebody still waits for it.
    pub(crate) fn complete(&self, result: Result<R, AskError>) -> bool {
        self.settle(State::Done(result))
    }

    /// Notes that there will be no reply.
    #[cold]
    pub(crate) fn abandon(&self, panicked: bool) {
        self.settle(State::Abandoned { panicked });
    }

    #[inline]
    fn settle(&self, settled: State<R>) -> bool {
        let mut state = self.state();
        let State::Waiting(waker) = &mut *state else {
            // What nobody wants is dropped by code of the user, so the lock goes first.
            drop(state);
            drop(settled);
            return false;
        };
        let waker = waker.take();
        *state = settled;
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Takes the reply of `endpoint` out.
    pub(crate) fn poll(&self, endpoint: &str, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        let mut state = self.state();
        match &mut *state {
            State::Waiting(waker) => {
                match waker {
                    Some(known) if known.will_wake(cx.waker()) => {}
                    _ => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            State::Done(_) => match std::mem::replace(&mut *state, State::Closed) {
                State::Done(result) => Poll::Ready(result),
                _ => unreachable!("the state was looked at under the same lock"),
            },
            State::Abandoned { panicked } => {
                let failure = unanswered(endpoint, *panicked);
                *state = State::Closed;
                Poll::Ready(Err(failure.into()))
            }
            State::Closed => Poll::Pending,
        }
    }

    fn close(&self) {
        let state = std::mem::replace(&mut *self.state(), State::Closed);
        drop(state);
    }

    fn state(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { types: Vec::new() }) };
}

/// Slots of one thread that wait for their next use, so that in the steady state an ask allocates nothing.
struct Spare {
    /// A `Vec<Arc<ReplySlot<R>>>` for each type of reply; the one used last comes first.
    types: Vec<(TypeId, Box<dyn Any>)>,
}

impl Spare {
    #[inline]
    fn of<R: Send + 'static>(&mut self) -> Option<&mut Vec<Arc<ReplySlot<R>>>> {
        let wanted = TypeId::of::<R>();
        if self.types.first().is_none_or(|(known, _)| *known != wanted) {
            self.bring_forward::<R>(wanted);
        }
        self.types.first_mut()?.1.downcast_mut()
    }

    #[cold]
    fn bring_forward<R: Send + 'static>(&mut self, wanted: TypeId) {
        match self.types.iter().position(|(known, _)| *known == wanted) {
            Some(at) => self.types.swap(0, at),
            None => {
                self.types.truncate(MOST_TYPES - 1);
                let slots: Vec<Arc<ReplySlot<R>>> = Vec::new();
                self.types.insert(0, (wanted, Box::new(slots)));
            }
        }
    }
}

/// How many spare slots a thread keeps for replies of one type.
const fn most_spare<R>() -> usize {
    let fit = MOST_BYTES / size_of::<ReplySlot<R>>();
    if fit < MOST_SLOTS { fit } else { MOST_SLOTS }
}

const MOST_TYPES: usize = 16;
const MOST_SLOTS: usize = 1024;
const MOST_BYTES: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_once_both_sides_have_left_it() {
        let first: Arc<ReplySlot<u8>> = ReplySlot::take();
        let at = Arc::as_ptr(&first);
        assert!(first.complete(Ok(1)));
        ReplySlot::leave(first);

        let second: Arc<ReplySlot<u8>> = ReplySlot::take();
        assert_eq!(Arc::as_ptr(&second), at);
        assert!(second.complete(Ok(2)), "the reply that nobody took is gone");
    }

    #[test]
    fn a_slot_whose_handler_may_still_answer_is_not_used_again() {
        let asker: Arc<ReplySlot<u16>> = ReplySlot::take();
        let handler = Arc::clone(&asker);
        ReplySlot::leave(asker);

        let next: Arc<ReplySlot<u16>> = ReplySlot::take();
        assert!(!Arc::ptr_eq(&next, &handler));
        assert!(!handler.complete(Ok(1)), "nobody waits for it any more");
    }

    #[test]
    fn types_do_not_share_slots_and_few_are_remembered() {
        fn once<R: Send + 'static>() {
            ReplySlot::leave(ReplySlot::<R>::take());
        }
        once::<u8>();
        once::<[u8; 1]>();
        once::<[u8; 2]>();
        once::<u8>();
        once::<[u64; 20_000]>();
        SPARE.with(|spare| {
            let spare = spare.borrow();
            assert_eq!(spare.types.len(), 4);
            assert!(spare.types.len() <= MOST_TYPES);
        });
        assert_eq!(most_spare::<[u64; 20_000]>(), 0, "large ones are not kept");
    }
}
