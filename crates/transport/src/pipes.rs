//! Pipes that are lent to those who send files, and taken back.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};

use spark_rpc_net::Pipe;

/// The pipes of one context.
///
/// A user has only so much room in pipes, and each takes two descriptors. So there are few, and who finds none left sends
/// without one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pipes(Arc<Mutex<Stock>>);

#[derive(Debug, Default)]
struct Stock {
    idle: Vec<Pipe>,
    lent: usize,
}

/// A pipe that goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct LentPipe {
    /// Always there until then.
    pipe: Option<Pipe>,
    owner: Pipes,
}

impl Pipes {
    /// Lends an empty one, unless too many are lent or the system has none.
    pub(crate) fn lend(&self) -> Option<LentPipe> {
        let pipe = {
            let mut stock = self.stock();
            if stock.lent == MOST_LENT {
                return None;
            }
            stock.lent += 1;
            stock.idle.pop()
        };
        // From here on, dropping it counts it back.
        let mut lent = LentPipe {
            pipe,
            owner: self.clone(),
        };
        if lent.pipe.is_none() {
            lent.pipe = Some(Pipe::new().ok()?);
        }
        Some(lent)
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Deref for LentPipe {
    type Target = Pipe;

    fn deref(&self) -> &Pipe {
        self.pipe.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for LentPipe {
    fn deref_mut(&mut self) -> &mut Pipe {
        self.pipe.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for LentPipe {
    fn drop(&mut self) {
        let pipe = self.pipe.take();
        let mut stock = self.owner.stock();
        stock.lent -= 1;
        // What is left in one belongs to a connection that has ended.
        if let Some(empty) = pipe.filter(|pipe| pipe.held() == 0)
            && stock.idle.len() < MOST_IDLE
        {
            stock.idle.push(empty);
        }
    }
}

/// A quarter of what a user may have by default, in pages.
const MOST_LENT: usize = 16;
/// Enough for as many threads as send at once on a few CPUs.
const MOST_IDLE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_comes_back_unless_something_is_left_in_it() {
        let pipes = Pipes::default();
        drop(pipes.lend().unwrap());
        assert_eq!(pipes.stock().idle.len(), 1);
        pipes.lend().unwrap().push(b"left").unwrap();
        assert_eq!(pipes.stock().idle.len(), 0);
        assert_eq!(pipes.stock().lent, 0);
    }

    #[test]
    fn only_so_many_are_lent_and_few_are_kept() {
        let pipes = Pipes::default();
        let lent: Vec<_> = std::iter::from_fn(|| pipes.lend()).collect();
        assert_eq!(lent.len(), MOST_LENT);
        drop(lent);
        assert_eq!(pipes.stock().idle.len(), MOST_IDLE);
        assert_eq!(pipes.lend().map(|pipe| pipe.held()), Some(0));
    }
}
