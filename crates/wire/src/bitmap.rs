//! Sets of `u32` in RoaringBitmap's portable form, which carry the map ids of merged shuffle chunks.
//!
//! Written here because all we need is reading, writing and walking, bounded by the bytes that were received: containers stay
//! in the form in which they came, so that a few bytes which mean four billion values stay a few bytes.

mod container;
mod portable;

use std::fmt;

use self::container::Container;
pub use self::portable::BitmapError;

/// A set of `u32` (Java's `RoaringBitmap`).
///
/// Two bitmaps are equal when they hold the same values, however those are packed.
#[derive(Clone, Default)]
pub struct Bitmap {
    /// The upper halves of the values, ascending, each with the lower halves that go with it. None is empty.
    containers: Vec<(u16, Container)>,
}

impl Bitmap {
    /// Tells whether `value` is in the set.
    pub fn contains(&self, value: u32) -> bool {
        let (key, low) = ((value >> 16) as u16, value as u16);
        match self.containers.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(at) => self.containers[at].1.contains(low),
            Err(_) => false,
        }
    }

    /// Returns how many values there are: up to 2³².
    pub fn len(&self) -> u64 {
        self.containers
            .iter()
            .map(|(_, container)| u64::from(container.cardinality()))
            .sum()
    }

    /// Tells whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }

    /// Returns the values, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges().flat_map(|(first, last)| first..=last)
    }

    /// Returns the longest runs of neighbouring values as first and last, ascending.
    ///
    /// Their number is bounded by the bytes that the bitmap took, which that of the values is not.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut parts = self
            .containers
            .iter()
            .flat_map(|(key, container)| {
                let base = u32::from(*key) << 16;
                container
                    .ranges()
                    .map(move |(first, last)| (base | u32::from(first), base | u32::from(last)))
            })
            .peekable();
        std::iter::from_fn(move || {
            let (first, mut last) = parts.next()?;
            while let Some((_, further)) = parts.next_if(|(next, _)| last.checked_add(1) == Some(*next)) {
                last = further;
            }
            Some((first, last))
        })
    }
}

impl FromIterator<u32> for Bitmap {
    /// Packs the values as Java does one by one: without run containers.
    fn from_iter<I: IntoIterator<Item = u32>>(values: I) -> Bitmap {
        let mut values: Vec<u32> = values.into_iter().collect();
        values.sort_unstable();
        values.dedup();
        let containers = values
            .chunk_by(|a, b| a >> 16 == b >> 16)
            .map(|chunk| {
                let low = chunk.iter().map(|value| *value as u16).collect();
                ((chunk[0] >> 16) as u16, Container::from_ascending(low))
            })
            .collect();
        Bitmap { containers }
    }
}

impl PartialEq for Bitmap {
    fn eq(&self, other: &Bitmap) -> bool {
        self.ranges().eq(other.ranges())
    }
}

impl Eq for Bitmap {}

impl fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        write!(f, "Bitmap({} values:", self.len())?;
        for (first, last) in self.ranges().take(SHOWN) {
            write!(f, " {first}..={last}")?;
        }
        f.write_str(if self.ranges().nth(SHOWN).is_some() {
            " ..)"
        } else {
            ")"
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_come_back_ascending_and_once() {
        let bitmap = Bitmap::from_iter([70_000, 3, 1, 3, u32::MAX, 0]);
        assert_eq!(bitmap.iter().collect::<Vec<_>>(), [0, 1, 3, 70_000, u32::MAX]);
        assert_eq!(bitmap.len(), 5);
        assert!(bitmap.contains(70_000) && !bitmap.contains(70_001) && !bitmap.contains(4_000_000));
    }

    #[test]
    fn ranges_join_across_containers() {
        let bitmap: Bitmap = (65_000..140_000).chain([200_000]).collect();
        assert_eq!(
            bitmap.ranges().collect::<Vec<_>>(),
            [(65_000, 139_999), (200_000, 200_000)]
        );
    }

    #[test]
    fn debug_shows_the_count_and_the_first_ranges() {
        assert_eq!(format!("{:?}", Bitmap::default()), "Bitmap(0 values:)");
        assert_eq!(
            format!("{:?}", (0..100).map(|n| n * 2).collect::<Bitmap>()),
            "Bitmap(100 values: 0..=0 2..=2 4..=4 6..=6 ..)"
        );
    }

    proptest! {
        #[test]
        fn a_bitmap_is_the_set_of_its_values(values in proptest::collection::btree_set(0_u32..300_000, 0..500)) {
            let bitmap: Bitmap = values.iter().copied().collect();
            prop_assert_eq!(bitmap.len(), values.len() as u64);
            prop_assert!(bitmap.iter().eq(values.iter().copied()));
        }
    }
}
