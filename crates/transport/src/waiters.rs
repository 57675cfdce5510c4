//! Tasks that wait for the same thing.

use std::collections::BTreeMap;
use std::task::Waker;

/// Wakers of those who wait, each in a place of its own, so that whoever gives up leaves nothing behind.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next: u64,
    waiting: BTreeMap<u64, Waker>,
}

impl Waiters {
    /// Remembers `waker` in `place`, which is given out at the first call.
    pub(crate) fn enter(&mut self, place: &mut Option<u64>, waker: &Waker) {
        let place = *place.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        match self.waiting.get_mut(&place) {
            Some(known) => known.clone_from(waker),
            None => {
                self.waiting.insert(place, waker.clone());
            }
        }
    }

    /// Forgets one; without effect when it has been taken.
    pub(crate) fn leave(&mut self, place: u64) {
        self.waiting.remove(&place);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes all of them out, in the order in which they came.
    pub(crate) fn take_all(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(std::mem::take(&mut self.waiting).into_values());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Nothing;

    impl Wake for Nothing {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn whoever_gives_up_leaves_nothing_behind() {
        let mut waiters = Waiters::default();
        for _ in 0..3 {
            let mut place = None;
            waiters.enter(&mut place, &Arc::new(Nothing).into());
            waiters.leave(place.unwrap());
        }
        assert!(waiters.is_empty());
    }

    #[test]
    fn looking_again_renews_the_waker_and_takes_no_second_place() {
        let (old, new): (Waker, Waker) = (Arc::new(Nothing).into(), Arc::new(Nothing).into());
        let mut waiters = Waiters::default();
        let mut place = None;
        waiters.enter(&mut place, &old);
        waiters.enter(&mut place, &new);
        let mut taken = Vec::new();
        waiters.take_all(&mut taken);
        assert_eq!(taken.len(), 1);
        assert!(taken[0].will_wake(&new) && !taken[0].will_wake(&old));
    }

    #[test]
    fn the_place_of_one_that_was_woken_is_not_given_to_another() {
        let mut waiters = Waiters::default();
        let (mut first, mut second) = (None, None);
        waiters.enter(&mut first, &Arc::new(Nothing).into());
        waiters.take_all(&mut Vec::new());
        waiters.enter(&mut second, &Arc::new(Nothing).into());
        waiters.leave(first.unwrap());
        assert!(!waiters.is_empty());
    }
}
