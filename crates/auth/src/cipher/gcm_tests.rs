//! Messages of segments, whole, in pieces, and altered.

use proptest::prelude::*;

use super::gcm::SEGMENT_PLAIN;
use super::{CipherError, Decryptor, Encryptor};

const KEYS: [&[u8]; 2] = [&[1; 16], &[2; 32]];

fn encrypt(key: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    Encryptor::gcm(key).encrypt(plain, &mut wire).unwrap();
    wire
}

/// Everything that `wire` decrypts to when it comes in pieces of `piece` bytes.
fn decrypt(key: &[u8], wire: &[u8], piece: usize) -> Result<Vec<u8>, CipherError> {
    let mut decryptor = Decryptor::gcm(key);
    let mut plain = Vec::new();
    for piece in wire.chunks(piece) {
        decryptor.decrypt(&mut &piece[..], &mut plain, usize::MAX)?;
    }
    decryptor.finish()?;
    Ok(plain)
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 255) as u8).collect()
}

/// ENGINE-06
#[test]
fn messages_around_the_borders_of_segments_survive_whole_and_in_pieces() {
    for key in KEYS {
        for length in [
            1,
            SEGMENT_PLAIN - 1,
            SEGMENT_PLAIN,
            SEGMENT_PLAIN + 1,
            SEGMENT_PLAIN + SEGMENT_PLAIN / 2,
            2 * SEGMENT_PLAIN,
        ] {
            let plain = text(length);
            let wire = encrypt(key, &plain);
            let segments = length.div_ceil(SEGMENT_PLAIN);
            assert_eq!(wire.len(), 8 + 1 + key.len() + 7 + length + 16 * segments);
            assert_eq!(wire[..8], (wire.len() as u64).to_be_bytes());
            for piece in [wire.len(), 1, 7, 1000, 32_768, 32_769] {
                assert!(
                    decrypt(key, &wire, piece).unwrap() == plain,
                    "{length} bytes in {piece}s"
                );
            }
        }
    }
}

/// ENGINE-06
#[test]
fn a_long_message_and_several_on_one_stream_survive() {
    let mut wire = encrypt(KEYS[0], &text(3_000_000));
    wire.extend(encrypt(KEYS[0], b"second"));
    // A message without a segment, as other writers make of an empty write.
    wire.extend(32_u64.to_be_bytes());
    wire.extend([24; 24]);
    wire.extend(encrypt(KEYS[0], b"third"));
    let expected = [text(3_000_000), b"second".to_vec(), b"third".to_vec()].concat();
    assert!(decrypt(KEYS[0], &wire, wire.len()).unwrap() == expected);
    assert!(decrypt(KEYS[0], &wire, 1013).unwrap() == expected);
}

#[test]
fn nothing_is_made_of_nothing() {
    assert_eq!(encrypt(KEYS[0], b""), b"");
}

#[test]
fn the_reader_stops_when_there_is_no_more_room() {
    let wire = encrypt(KEYS[0], &text(10 * SEGMENT_PLAIN));
    let mut decryptor = Decryptor::gcm(KEYS[0]);
    let (mut input, mut plain) = (&wire[..], Vec::new());
    decryptor.decrypt(&mut input, &mut plain, 1).unwrap();
    assert_eq!(plain.len(), SEGMENT_PLAIN, "one record, no more");
    decryptor
        .decrypt(&mut input, &mut plain, SEGMENT_PLAIN + 1)
        .unwrap();
    assert_eq!(plain.len(), 3 * SEGMENT_PLAIN);
    decryptor.decrypt(&mut input, &mut plain, 0).unwrap();
    assert_eq!(plain.len(), 3 * SEGMENT_PLAIN);
    decryptor.decrypt(&mut input, &mut plain, usize::MAX).unwrap();
    assert!(plain == text(10 * SEGMENT_PLAIN));
}

/// ENGINE-06
#[test]
fn every_flipped_bit_of_a_short_message_is_noticed() {
    for key in KEYS {
        let wire = encrypt(key, b"attack at dawn");
        for bit in 0..wire.len() * 8 {
            let mut altered = wire.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(decrypt(key, &altered, wire.len()).is_err(), "bit {bit}");
        }
    }
}

/// ENGINE-06
#[test]
fn an_inverted_byte_is_a_wrong_tag_and_ends_the_direction() {
    let mut wire = encrypt(KEYS[0], &text(SEGMENT_PLAIN * 3 / 2));
    wire[100] ^= 0xff;
    let mut decryptor = Decryptor::gcm(KEYS[0]);
    let mut plain = Vec::new();
    let mut input = &wire[..];
    assert_eq!(
        decryptor.decrypt(&mut input, &mut plain, usize::MAX),
        Err(CipherError::Tag)
    );
    assert_eq!(plain, b"", "nothing unchecked comes out");
    assert_eq!(
        decryptor.decrypt(&mut input, &mut plain, usize::MAX),
        Err(CipherError::Dead)
    );
}

#[test]
fn segments_cannot_be_swapped_dropped_or_repeated() {
    let wire = encrypt(KEYS[0], &text(3 * SEGMENT_PLAIN));
    let (preamble, segments) = wire.split_at(32);
    let segments: Vec<&[u8]> = segments.chunks(32_768).collect();
    for order in [[1, 0, 2], [0, 2, 1], [0, 0, 2], [0, 1, 1], [2, 2, 2]] {
        let mut altered = preamble.to_vec();
        for at in order {
            altered.extend_from_slice(segments[at]);
        }
        assert_eq!(
            decrypt(KEYS[0], &altered, altered.len()),
            Err(CipherError::Tag),
            "{order:?}"
        );
    }
    let mut shorter = wire[..32 + 2 * 32_768].to_vec();
    let length = shorter.len() as u64;
    shorter[..8].copy_from_slice(&length.to_be_bytes());
    assert_eq!(decrypt(KEYS[0], &shorter, length as usize), Err(CipherError::Tag));
}

#[test]
fn a_message_that_ends_early_is_truncated() {
    let wire = encrypt(KEYS[1], &text(SEGMENT_PLAIN + 5));
    for length in [1, 8, 9, 47, 48, 49, 48 + 32_768, wire.len() - 1] {
        assert!(
            matches!(
                decrypt(KEYS[1], &wire[..length], 4096),
                Err(CipherError::Truncated { .. })
            ),
            "{length} bytes"
        );
    }
}

#[test]
fn lengths_that_no_message_has_are_refused_at_once() {
    for announced in [i64::MIN, -1, 0, 31, 33, 32 + 16, 32 + 32_768 + 16, i64::MAX] {
        let mut wire = announced.to_be_bytes().to_vec();
        wire.push(24);
        assert!(
            matches!(
                decrypt(KEYS[0], &wire, 9),
                Err(CipherError::Length { announced: found, .. }) if found == announced
            ),
            "{announced}"
        );
    }
    let mut wire = 1000_u64.to_be_bytes().to_vec();
    wire.push(40);
    assert_eq!(
        decrypt(KEYS[0], &wire, 9),
        Err(CipherError::Header {
            announced: 40,
            expected: 24
        })
    );
}

#[test]
fn a_huge_announced_length_reserves_nothing() {
    let mut decryptor = Decryptor::gcm(KEYS[0]);
    let length = 32 + (1_u64 << 45);
    let mut wire = length.to_be_bytes().to_vec();
    wire.extend([24; 24]);
    wire.extend([0; 100]);
    let mut plain = Vec::new();
    decryptor.decrypt(&mut &wire[..], &mut plain, usize::MAX).unwrap();
    assert_eq!((decryptor.held(), plain.capacity()), (100, 0));
}

/// What the protocol does not give, so that nobody relies on it.
#[test]
fn whole_messages_can_be_repeated_and_reordered_unnoticed() {
    let (one, two) = (encrypt(KEYS[0], b"one"), encrypt(KEYS[0], b"two"));
    let wire = [&two[..], &one, &one].concat();
    assert_eq!(decrypt(KEYS[0], &wire, wire.len()).unwrap(), b"twooneone");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_writes_in_any_pieces_arrive(
        writes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6),
        piece in 1_usize..300,
        key in prop::sample::select(KEYS.to_vec()),
    ) {
        let mut encryptor = Encryptor::gcm(key);
        let mut wire = Vec::new();
        for write in &writes {
            encryptor.encrypt(write, &mut wire).unwrap();
        }
        prop_assert_eq!(decrypt(key, &wire, piece).unwrap(), writes.concat());
    }
}
