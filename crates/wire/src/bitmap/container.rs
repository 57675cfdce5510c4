//! The lower halves of up to 65536 values that share their upper half, in one of RoaringBitmap's three forms.

/// Some `u16`s, at least one.
#[derive(Clone)]
pub(super) enum Container {
    /// The values, ascending.
    Array(Vec<u16>),
    /// One bit per value, and how many are set.
    Bits(Box<[u64; WORDS]>, u32),
    /// First and last values of runs, ascending. Neighbours may touch but not overlap.
    Runs(Vec<(u16, u16)>),
}

/// Words of a container with one bit per value.
pub(super) const WORDS: usize = 1024;
/// Arrays have at most this many values; from there on, bits are smaller.
pub(super) const ARRAY_LIMIT: u32 = 4096;

impl Container {
    /// Packs ascending values as an array or as bits.
    pub(super) fn from_ascending(values: Vec<u16>) -> Container {
        let cardinality = values.len() as u32;
        if cardinality <= ARRAY_LIMIT {
            return Container::Array(values);
        }
        let mut words = Box::new([0; WORDS]);
        for value in values {
            words[usize::from(value) / 64] |= 1 << (value % 64);
        }
        Container::Bits(words, cardinality)
    }

    pub(super) fn cardinality(&self) -> u32 {
        match self {
            Container::Array(values) => values.len() as u32,
            Container::Bits(_, cardinality) => *cardinality,
            Container::Runs(runs) => runs.iter().map(|(first, last)| u32::from(last - first) + 1).sum(),
        }
    }

    pub(super) fn contains(&self, value: u16) -> bool {
        match self {
            Container::Array(values) => values.binary_search(&value).is_ok(),
            Container::Bits(words, _) => bit(words, value),
            Container::Runs(runs) => {
                let at = runs.partition_point(|(_, last)| *last < value);
                runs.get(at).is_some_and(|(first, _)| *first <= value)
            }
        }
    }

    /// Returns first and last values of runs, ascending.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        let mut from = Some(0);
        let mut at = 0;
        std::iter::from_fn(move || match self {
            Container::Array(values) => {
                let first = *values.get(at)?;
                let mut last = first;
                at += 1;
                while last < u16::MAX && values.get(at) == Some(&(last + 1)) {
                    last += 1;
                    at += 1;
                }
                Some((first, last))
            }
            Container::Bits(words, _) => {
                let first = next_bit(words, from?, true)?;
                let behind = next_bit(words, first, false);
                from = behind;
                Some((first, behind.map_or(u16::MAX, |behind| behind - 1)))
            }
            Container::Runs(runs) => {
                let run = *runs.get(at)?;
                at += 1;
                Some(run)
            }
        })
    }
}

fn bit(words: &[u64; WORDS], value: u16) -> bool {
    words[usize::from(value) / 64] >> (value % 64) & 1 == 1
}

/// Returns the first value from `from` on whose bit is `set`.
fn next_bit(words: &[u64; WORDS], from: u16, set: bool) -> Option<u16> {
    let wanted = |word: u64| if set { word } else { !word };
    let mut at = usize::from(from) / 64;
    let mut word = wanted(words[at]) & (u64::MAX << (from % 64));
    while word == 0 {
        at += 1;
        word = wanted(*words.get(at)?);
    }
    Some((at * 64) as u16 + word.trailing_zeros() as u16)
}
