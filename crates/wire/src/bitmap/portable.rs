//! RoaringBitmap's portable serialization.
//!
//! Little-endian: a cookie that tells whether there are run containers, the number of containers, for each its key and
//! cardinality, their offsets, and the containers. The form is described at <https://github.com/RoaringBitmap/RoaringFormatSpec>.

use super::{
    Bitmap,
    container::{ARRAY_LIMIT, Container, WORDS},
};

/// Begins a bitmap without run containers; the number of containers follows.
const COOKIE: u32 = 12346;
/// The lower half of what begins a bitmap with run containers; the upper half is their number less one.
const COOKIE_WITH_RUNS: u32 = 12347;
/// A bitmap with run containers has offsets only if it has at least this many containers.
const OFFSETS_FROM: usize = 4;
/// Bytes of a container with one bit per value.
const BITS_LEN: usize = WORDS * 8;
/// A key of 16 bits leaves room for so many containers.
const MOST_CONTAINERS: usize = 1 << 16;

/// Bytes that are no bitmap in the portable form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BitmapError {
    /// The bytes end inside the bitmap.
    #[error("{needed} bytes needed, {available} available")]
    Truncated {
        /// Bytes which the part being read needs.
        needed: usize,
        /// Bytes which are left.
        available: usize,
    },
    /// The first bytes are not those of a bitmap.
    #[error("unknown cookie {cookie}")]
    UnknownCookie {
        /// The first four bytes.
        cookie: u32,
    },
    /// There cannot be so many containers.
    #[error("{count} containers, more than 65536")]
    TooManyContainers {
        /// Containers announced.
        count: u32,
    },
    /// Keys, values or runs are not in ascending order, or a run leaves its container.
    #[error("the values are not in ascending order")]
    NotAscending,
    /// A container does not hold as many values as it announces.
    #[error("a container announces {announced} values and holds {found}")]
    WrongCardinality {
        /// Values announced.
        announced: u32,
        /// Values found.
        found: u32,
    },
}

impl Bitmap {
    /// Bytes of the shortest bitmap, the empty one.
    pub(crate) const SHORTEST: usize = 8;

    /// Decodes the bitmap at the front of `bytes`, and returns how many bytes it took.
    ///
    /// What it allocates is bounded by those bytes. The offsets in the header are not looked at: containers lie one after
    /// the other.
    ///
    /// # Errors
    ///
    /// Returns a [`BitmapError`] if the bytes end early or contradict themselves.
    pub fn decode(bytes: &[u8]) -> Result<(Bitmap, usize), BitmapError> {
        let mut rest = bytes;
        let cookie = take_u32(&mut rest)?;
        let (count, run_flags) = if cookie == COOKIE {
            let count = take_u32(&mut rest)?;
            (count, None)
        } else if cookie & 0xffff == COOKIE_WITH_RUNS {
            let count = (cookie >> 16) + 1;
            (count, Some(take(&mut rest, (count as usize).div_ceil(8))?))
        } else {
            return Err(BitmapError::UnknownCookie { cookie });
        };
        if count as usize > MOST_CONTAINERS {
            return Err(BitmapError::TooManyContainers { count });
        }
        let count = count as usize;
        let descriptions = take(&mut rest, count * 4)?;
        if run_flags.is_none() || count >= OFFSETS_FROM {
            take(&mut rest, count * 4)?;
        }

        let mut containers: Vec<(u16, Container)> = Vec::new();
        for (at, description) in descriptions.chunks_exact(4).enumerate() {
            let key = u16::from_le_bytes([description[0], description[1]]);
            if containers.last().is_some_and(|(before, _)| *before >= key) {
                return Err(BitmapError::NotAscending);
            }
            let cardinality = u32::from(u16::from_le_bytes([description[2], description[3]])) + 1;
            let has_runs = run_flags.is_some_and(|flags| flags[at / 8] >> (at % 8) & 1 == 1);
            let container = if has_runs {
                take_runs(&mut rest, cardinality)?
            } else if cardinality <= ARRAY_LIMIT {
                take_array(&mut rest, cardinality)?
            } else {
                take_bits(&mut rest, cardinality)?
            };
            containers.push((key, container));
        }
        Ok((Bitmap { containers }, bytes.len() - rest.len()))
    }

    /// Appends the portable form to `out`. Containers that came as runs go as runs.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        let count = self.containers.len();
        if self.has_runs() {
            out.extend_from_slice(&(COOKIE_WITH_RUNS | ((count - 1) as u32) << 16).to_le_bytes());
            let flags = out.len();
            out.resize(flags + count.div_ceil(8), 0);
            for (at, (_, container)) in self.containers.iter().enumerate() {
                out[flags + at / 8] |= u8::from(matches!(container, Container::Runs(_))) << (at % 8);
            }
        } else {
            out.extend_from_slice(&COOKIE.to_le_bytes());
            out.extend_from_slice(&(count as u32).to_le_bytes());
        }
        for (key, container) in &self.containers {
            out.extend_from_slice(&key.to_le_bytes());
            out.extend_from_slice(&((container.cardinality() - 1) as u16).to_le_bytes());
        }
        if self.has_offsets() {
            let mut offset = self.header_len();
            for (_, container) in &self.containers {
                out.extend_from_slice(&(offset as u32).to_le_bytes());
                offset += container.encoded_len();
            }
        }
        self.containers
            .iter()
            .for_each(|(_, container)| container.encode(out));
    }

    /// Returns how many bytes [`encode`](Self::encode) appends.
    pub fn encoded_len(&self) -> usize {
        self.header_len()
            + self
                .containers
                .iter()
                .map(|(_, container)| container.encoded_len())
                .sum::<usize>()
    }

    fn header_len(&self) -> usize {
        let count = self.containers.len();
        let flags_or_count = if self.has_runs() { count.div_ceil(8) } else { 4 };
        4 + flags_or_count + count * if self.has_offsets() { 8 } else { 4 }
    }

    fn has_runs(&self) -> bool {
        self.containers
            .iter()
            .any(|(_, container)| matches!(container, Container::Runs(_)))
    }

    fn has_offsets(&self) -> bool {
        !self.has_runs() || self.containers.len() >= OFFSETS_FROM
    }
}

impl Container {
    fn encoded_len(&self) -> usize {
        match self {
            Container::Array(values) => values.len() * 2,
            Container::Bits(..) => BITS_LEN,
            Container::Runs(runs) => 2 + runs.len() * 4,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Container::Array(values) => values.iter().for_each(|value| put_u16(out, *value)),
            Container::Bits(words, _) => words
                .iter()
                .for_each(|word| out.extend_from_slice(&word.to_le_bytes())),
            Container::Runs(runs) => {
                put_u16(out, runs.len() as u16);
                for (first, last) in runs {
                    put_u16(out, *first);
                    put_u16(out, last - first);
                }
            }
        }
    }
}

fn take_array(rest: &mut &[u8], cardinality: u32) -> Result<Container, BitmapError> {
    let bytes = take(rest, cardinality as usize * 2)?;
    let values: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    if !values.is_sorted_by(|a, b| a < b) {
        return Err(BitmapError::NotAscending);
    }
    Ok(Container::Array(values))
}

fn take_bits(rest: &mut &[u8], announced: u32) -> Result<Container, BitmapError> {
    let bytes = take(rest, BITS_LEN)?;
    let mut words = Box::new([0; WORDS]);
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let found = words.iter().map(|word| word.count_ones()).sum();
    if found != announced {
        return Err(BitmapError::WrongCardinality { announced, found });
    }
    Ok(Container::Bits(words, announced))
}

fn take_runs(rest: &mut &[u8], announced: u32) -> Result<Container, BitmapError> {
    let count = take(rest, 2)?;
    let count = u16::from_le_bytes([count[0], count[1]]);
    let mut runs: Vec<(u16, u16)> = Vec::with_capacity(usize::from(count).min(rest.len() / 4));
    for run in take(rest, usize::from(count) * 4)?.chunks_exact(4) {
        let first = u16::from_le_bytes([run[0], run[1]]);
        let more = u16::from_le_bytes([run[2], run[3]]);
        let last = first.checked_add(more).ok_or(BitmapError::NotAscending)?;
        if runs.last().is_some_and(|(_, before)| *before >= first) {
            return Err(BitmapError::NotAscending);
        }
        runs.push((first, last));
    }
    let container = Container::Runs(runs);
    match container.cardinality() {
        found if found == announced => Ok(container),
        found => Err(BitmapError::WrongCardinality { announced, found }),
    }
}

fn take<'a>(rest: &mut &'a [u8], needed: usize) -> Result<&'a [u8], BitmapError> {
    let Some((bytes, behind)) = rest.split_at_checked(needed) else {
        return Err(BitmapError::Truncated {
            needed,
            available: rest.len(),
        });
    };
    *rest = behind;
    Ok(bytes)
}

fn take_u32(rest: &mut &[u8]) -> Result<u32, BitmapError> {
    let bytes = take(rest, 4)?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(bitmap: &Bitmap) -> Vec<u8> {
        let mut out = Vec::new();
        bitmap.encode(&mut out);
        assert_eq!(out.len(), bitmap.encoded_len());
        out
    }

    #[test]
    fn arrays_are_written_with_their_offset() {
        assert_eq!(
            encoded(&Bitmap::from_iter([1, 5, 0x1_0002])),
            [
                0x3a, 0x30, 0, 0, 2, 0, 0, 0, // cookie, two containers
                0, 0, 1, 0, 1, 0, 0, 0, // key 0 with two values, key 1 with one
                24, 0, 0, 0, 28, 0, 0, 0, // offsets
                1, 0, 5, 0, 2, 0,
            ]
        );
        assert_eq!(encoded(&Bitmap::default()), [0x3a, 0x30, 0, 0, 0, 0, 0, 0]);
    }

    /// One container of runs: 10..=19 and 65535 alone.
    const RUNS: [u8; 19] = [
        0x3b, 0x30, 0, 0, 1, 0, 0, 10, 0, 2, 0, 10, 0, 9, 0, 0xff, 0xff, 0, 0,
    ];

    #[test]
    fn runs_are_read_and_written_as_runs() {
        let (bitmap, length) = Bitmap::decode(&RUNS).unwrap();
        assert_eq!(length, RUNS.len());
        assert_eq!(bitmap.ranges().collect::<Vec<_>>(), [(10, 19), (65535, 65535)]);
        assert_eq!(bitmap, Bitmap::from_iter((10..20).chain([65535])));
        assert!(bitmap.contains(15) && bitmap.contains(65535) && !bitmap.contains(20));
        assert_eq!(encoded(&bitmap), RUNS);
    }

    #[test]
    fn four_billion_values_in_few_bytes_stay_small() {
        let count = 1 << 16;
        let mut bytes = (COOKIE_WITH_RUNS | (count - 1) << 16).to_le_bytes().to_vec();
        bytes.resize(bytes.len() + count as usize / 8, 0xff);
        (0..count).for_each(|key| bytes.extend_from_slice(&(key | 0xffff_0000).to_le_bytes()));
        bytes.resize(bytes.len() + count as usize * 4, 0); // offsets, which nobody reads
        (0..count).for_each(|_| bytes.extend_from_slice(&[1, 0, 0, 0, 0xff, 0xff]));

        let (bitmap, length) = Bitmap::decode(&bytes).unwrap();
        assert_eq!(length, bytes.len());
        assert_eq!(bitmap.len(), 1 << 32);
        assert_eq!(bitmap.ranges().collect::<Vec<_>>(), [(0, u32::MAX)]);
    }

    #[test]
    fn bitmaps_that_are_cut_off_are_refused_wherever_they_end() {
        for whole in [
            encoded(&Bitmap::from_iter([1, 5, 0x1_0002])),
            RUNS.to_vec(),
            encoded(&(0..5000).collect()),
        ] {
            for n in 0..whole.len() {
                assert!(
                    matches!(Bitmap::decode(&whole[..n]), Err(BitmapError::Truncated { .. })),
                    "{n} bytes"
                );
            }
        }
    }

    #[test]
    fn bitmaps_that_contradict_themselves_are_refused() {
        let refused = |bytes: &[u8]| Bitmap::decode(bytes).unwrap_err();
        assert_eq!(
            refused(&[1, 2, 3, 4]),
            BitmapError::UnknownCookie { cookie: 0x0403_0201 }
        );
        let many = [0x3a, 0x30, 0, 0, 1, 0, 1, 0];
        assert_eq!(refused(&many), BitmapError::TooManyContainers { count: 65537 });

        let mut keys = encoded(&Bitmap::from_iter([1, 0x1_0002]));
        keys[12] = 0;
        assert_eq!(refused(&keys), BitmapError::NotAscending);

        let mut values = encoded(&Bitmap::from_iter([1, 5]));
        values[16] = 5;
        assert_eq!(refused(&values), BitmapError::NotAscending);

        let mut bits = encoded(&(0..5000).collect());
        bits[20] ^= 0xff;
        assert!(matches!(
            refused(&bits),
            BitmapError::WrongCardinality { announced: 5000, .. }
        ));

        let mut runs = RUNS;
        runs[15] = 15;
        runs[16] = 0;
        assert_eq!(
            refused(&runs),
            BitmapError::NotAscending,
            "the second run begins inside the first"
        );
        let mut runs = RUNS;
        runs[17] = 1;
        assert_eq!(
            refused(&runs),
            BitmapError::NotAscending,
            "the second run leaves its container"
        );
        let mut runs = RUNS;
        runs[7] = 11;
        assert_eq!(
            refused(&runs),
            BitmapError::WrongCardinality {
                announced: 12,
                found: 11
            }
        );
    }

    proptest! {
        #[test]
        fn every_bitmap_survives(
            values in proptest::collection::vec(0_u32..400_000, 0..300),
            range in (0_u32..200_000, 0_u32..100_000),
            tail in any::<Vec<u8>>(),
        ) {
            let bitmap: Bitmap = values.into_iter().chain(range.0..range.0 + range.1).collect();
            let mut bytes = encoded(&bitmap);
            let length = bytes.len();
            bytes.extend_from_slice(&tail);
            let (read, taken) = Bitmap::decode(&bytes).unwrap();
            prop_assert_eq!(taken, length);
            prop_assert_eq!(&read, &bitmap);
            prop_assert_eq!(encoded(&read), &bytes[..length]);
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(runs in any::<bool>(), count in 0_u16..6, bytes in any::<Vec<u8>>()) {
            let mut input = if runs {
                (COOKIE_WITH_RUNS | u32::from(count) << 16).to_le_bytes().to_vec()
            } else {
                [COOKIE.to_le_bytes(), u32::from(count).to_le_bytes()].concat()
            };
            input.extend_from_slice(&bytes);
            if let Ok((bitmap, _)) = Bitmap::decode(&input) {
                let again = encoded(&bitmap);
                prop_assert_eq!(Bitmap::decode(&again), Ok((bitmap, again.len())));
            }
        }
    }
}
