//! The primitives, written and read back, and lengths that cannot be right.

use proptest::prelude::*;

use super::*;

/// Writes with `put`, reads with `read`, and checks that everything was read.
fn read_back<T>(
    put: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> T {
    let mut out = Vec::new();
    put(&mut out).unwrap();
    let mut reader = Reader::new("Test", &out);
    let value = read(&mut reader).unwrap();
    assert_eq!(reader.remaining(), 0);
    assert_eq!(reader.position(), out.len());
    value
}

fn sample_bitmaps() -> Vec<Bitmap> {
    vec![
        Bitmap::from_iter([1, 2, 3]),
        Bitmap::default(),
        (0..100_000).collect(),
    ]
}

/// PROTO-03
#[test]
fn arrays_and_strings_begin_with_their_count() {
    let mut out = Vec::new();
    put_string(&mut out, "é").unwrap();
    put_byte_array(&mut out, &[7]).unwrap();
    put_string_array(&mut out, &["a", ""]).unwrap();
    put_int_array(&mut out, &[-1]).unwrap();
    put_long_array(&mut out, &[2]).unwrap();
    assert_eq!(
        out,
        [
            &[0, 0, 0, 2, 0xc3, 0xa9][..],
            &[0, 0, 0, 1, 7],
            &[0, 0, 0, 2, 0, 0, 0, 1, b'a', 0, 0, 0, 0],
            &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
            &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2],
        ]
        .concat()
    );
}

/// PROTO-03. The buffer that is too small for a bitmap does not exist here: a `Vec` grows.
#[test]
fn bitmaps_and_arrays_of_them_survive() {
    for bitmap in sample_bitmaps() {
        let put = |out: &mut Vec<u8>| {
            bitmap.encode(out);
            Ok(())
        };
        assert_eq!(read_back(put, |reader| reader.bitmap("f")), bitmap);
    }
    for bitmaps in [sample_bitmaps(), Vec::new()] {
        assert_eq!(
            read_back(
                |out| put_bitmap_array(out, &bitmaps),
                |reader| reader.bitmap_array("f")
            ),
            bitmaps
        );
    }
}

/// PROTO-04
#[test]
fn a_negative_length_or_one_beyond_the_bytes_is_refused_for_every_type() {
    type Read = fn(&mut Reader<'_>) -> Result<(), DecodeError>;
    let reads: [(Read, i32); 6] = [
        (|reader| reader.string("f").map(drop), 16),
        (|reader| reader.byte_array("f").map(drop), 16),
        (|reader| reader.string_array("f").map(drop), 4),
        (|reader| reader.int_array("f").map(drop), 4),
        (|reader| reader.long_array("f").map(drop), 2),
        (|reader| reader.bitmap_array("f").map(drop), 2),
    ];
    for (read, most) in reads {
        for length in [-1, i32::MIN, most + 1, i32::MAX] {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.extend_from_slice(&[0; 16]);
            let refused = DecodeError::LengthOutOfBounds {
                message: "Test",
                field: "f",
                length,
                available: 16,
            };
            assert_eq!(read(&mut Reader::new("Test", &bytes)), Err(refused));
        }
        let truncated = DecodeError::Truncated {
            message: "Test",
            field: "f",
            needed: 4,
            available: 3,
        };
        assert_eq!(read(&mut Reader::new("Test", &[0; 3])), Err(truncated));
    }
}

proptest! {
    /// PROTO-03
    #[test]
    fn strings_and_arrays_survive(
        text in any::<String>(),
        bytes in any::<Vec<u8>>(),
        texts in any::<Vec<String>>(),
        ints in any::<Vec<i32>>(),
        longs in any::<Vec<i64>>(),
    ) {
        let read = read_back(|out| put_string(out, &text), |reader| reader.string("f").map(str::to_owned));
        prop_assert_eq!(read, text);
        let read = read_back(|out| put_byte_array(out, &bytes), |reader| reader.byte_array("f").map(<[u8]>::to_vec));
        prop_assert_eq!(read, bytes);
        let read = read_back(
            |out| put_string_array(out, &texts),
            |reader| Ok(reader.string_array("f")?.into_iter().map(str::to_owned).collect::<Vec<_>>()),
        );
        prop_assert_eq!(read, texts);
        prop_assert_eq!(read_back(|out| put_int_array(out, &ints), |reader| reader.int_array("f")), ints);
        prop_assert_eq!(read_back(|out| put_long_array(out, &longs), |reader| reader.long_array("f")), longs);
    }
}
