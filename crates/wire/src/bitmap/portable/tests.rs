//! The portable form, written and read back, cut off and contradictory.

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
        range in (0_u32..200_000, 0_u32..20_000),
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
