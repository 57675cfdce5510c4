//! Random numbers that are the same for the same seed, everywhere and for ever.

use std::ops::Range;
use std::time::Duration;

/// A small generator of pseudo-random numbers (SplitMix64), for simulations and nothing else.
///
/// Its sequence is part of what a seed means: changing it changes every recorded failure.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// Creates a generator; equal seeds give equal sequences.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound`.
    ///
    /// # Panics
    ///
    /// Panics if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number is below 0");
        // The high half of the product is uniform up to a bias of bound / 2^64.
        let product = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).expect("the high half of 128 bits")
    }

    /// Returns whether something happens that happens `percent` times in a hundred.
    pub fn percent(&mut self, percent: u8) -> bool {
        self.below(100) < u64::from(percent)
    }

    /// Returns a duration in `range`, its start if it is empty, in steps of a nanosecond.
    pub fn duration(&mut self, range: &Range<Duration>) -> Duration {
        let width = range.end.saturating_sub(range.start).as_nanos();
        match u64::try_from(width).unwrap_or(u64::MAX) {
            0 => range.start,
            width => range.start + Duration::from_nanos(self.below(width)),
        }
    }

    /// Splits off a generator whose sequence is independent of how often this one is asked from now on.
    pub fn fork(&mut self) -> Self {
        Self(self.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_sequence_for_ever() {
        let mut rng = Rng::new(42);
        let first: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(
            first,
            [13679457532755275413, 2949826092126892291, 5139283748462763858]
        );
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut rng = Rng::new(1);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[usize::try_from(rng.below(5)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
    }

    #[test]
    fn durations_stay_in_their_range_and_an_empty_one_is_its_start() {
        let mut rng = Rng::new(1);
        let range = Duration::from_millis(3)..Duration::from_millis(5);
        assert!((0..1000).all(|_| range.contains(&rng.duration(&range))));
        assert_eq!(rng.duration(&(range.end..range.end)), range.end);
        assert_eq!(rng.duration(&(range.end..range.start)), range.end);
    }

    #[test]
    fn a_fork_does_not_notice_what_its_parent_does() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        let (mut fork_a, mut fork_b) = (a.fork(), b.fork());
        a.next_u64();
        assert_eq!(fork_a.next_u64(), fork_b.next_u64());
        assert_ne!(a.next_u64(), b.next_u64());
    }
}
