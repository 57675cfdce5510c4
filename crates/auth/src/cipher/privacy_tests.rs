//! Blocks of DIGEST-MD5, whole, in pieces, and altered.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{CipherError, Decryptor, Encryptor, PrivacyKeys};

const LIMIT: usize = 1024;

fn keys() -> PrivacyKeys {
    PrivacyKeys {
        integrity: Zeroizing::new([0x11; 16]),
        confidentiality: Zeroizing::new(*b"0123456789abcdef"),
    }
}

fn encrypt(block: usize, writes: &[&[u8]]) -> Vec<u8> {
    let mut encryptor = Encryptor::privacy(&keys(), block);
    let mut wire = Vec::new();
    for write in writes {
        encryptor.encrypt(write, &mut wire).unwrap();
    }
    wire
}

fn decrypt(wire: &[u8], piece: usize) -> Result<Vec<u8>, CipherError> {
    let mut decryptor = Decryptor::privacy(&keys(), LIMIT);
    let mut plain = Vec::new();
    for piece in wire.chunks(piece) {
        decryptor.decrypt(&mut &piece[..], &mut plain, usize::MAX)?;
    }
    decryptor.finish()?;
    Ok(plain)
}

fn blocks(wire: &[u8]) -> Vec<&[u8]> {
    let mut rest = wire;
    let mut blocks = Vec::new();
    while let Some(length) = rest.first_chunk::<8>() {
        blocks.push(rest.split_off(..u64::from_be_bytes(*length) as usize).unwrap());
    }
    blocks
}

/// SASL-05
#[test]
fn a_large_message_is_split_into_blocks() {
    let message: Vec<u8> = (0..8192_u32).map(|at| at as u8).collect();
    let wire = encrypt(1024, &[&message]);
    let blocks = blocks(&wire);
    assert_eq!(blocks.len(), 8);
    for (number, block) in blocks.iter().enumerate() {
        assert_eq!(block.len(), 8 + 1024 + 6 + 10 + 6);
        let trailer = [0, 1, 0, 0, 0, number as u8];
        assert!(block.ends_with(&trailer), "block {number}");
    }
    assert!(decrypt(&wire, wire.len()).unwrap() == message);
}

#[test]
fn blocks_of_every_length_survive() {
    for length in 1..40 {
        let message = vec![length as u8; length];
        let wire = encrypt(LIMIT, &[&message]);
        assert_eq!((wire.len() - 14) % 8, 0);
        assert_eq!(decrypt(&wire, 3).unwrap(), message);
    }
    assert_eq!(encrypt(LIMIT, &[b""]), b"");
}

#[test]
fn the_reader_stops_when_there_is_no_more_room() {
    let wire = encrypt(10, &[&[7; 100]]);
    let mut decryptor = Decryptor::privacy(&keys(), LIMIT);
    let (mut input, mut plain) = (&wire[..], Vec::new());
    decryptor.decrypt(&mut input, &mut plain, 11).unwrap();
    assert_eq!(plain.len(), 20);
    decryptor.decrypt(&mut input, &mut plain, usize::MAX).unwrap();
    assert_eq!(plain, [7; 100]);
}

#[test]
fn every_flipped_bit_of_a_short_session_is_noticed() {
    let wire = encrypt(LIMIT, &[b"attack", b"at dawn"]);
    for bit in 0..wire.len() * 8 {
        let mut altered = wire.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(decrypt(&altered, altered.len()).is_err(), "bit {bit}");
    }
}

#[test]
fn a_wrong_tag_ends_the_direction_and_nothing_of_the_block_comes_out() {
    let mut wire = encrypt(LIMIT, &[b"attack at dawn"]);
    wire[20] ^= 1;
    let mut decryptor = Decryptor::privacy(&keys(), LIMIT);
    let (mut input, mut plain) = (&wire[..], Vec::new());
    assert_eq!(
        decryptor.decrypt(&mut input, &mut plain, usize::MAX),
        Err(CipherError::Tag)
    );
    assert_eq!(plain, b"");
    assert_eq!(
        decryptor.decrypt(&mut input, &mut plain, usize::MAX),
        Err(CipherError::Dead)
    );
}

#[test]
fn blocks_cannot_be_lost_repeated_or_moved() {
    let wire = encrypt(LIMIT, &[b"one", b"two", b"three"]);
    let blocks = blocks(&wire);
    for (order, found, expected) in [
        (vec![1], 1, 0),
        (vec![0, 0], 0, 1),
        (vec![0, 2], 2, 1),
        (vec![0, 1, 1], 1, 2),
    ] {
        let altered: Vec<u8> = order.iter().flat_map(|at| blocks[*at].to_vec()).collect();
        let version = 1;
        assert_eq!(
            decrypt(&altered, altered.len()),
            Err(CipherError::Sequence {
                version,
                found,
                expected
            }),
            "{order:?}"
        );
    }
    // With the number adjusted too, the tag tells.
    let mut altered = [blocks[0], blocks[0]].concat();
    *altered.last_mut().unwrap() = 1;
    assert_eq!(decrypt(&altered, altered.len()), Err(CipherError::Tag));
}

#[test]
fn lengths_that_no_block_has_are_refused_at_once() {
    let longest = (LIMIT + 8 + 8 + 10 + 6) as i64;
    for announced in [i64::MIN, -1, 0, 14, 14 + 8, 14 + 17, longest + 1, i64::MAX] {
        assert_eq!(
            decrypt(&announced.to_be_bytes(), 8),
            Err(CipherError::Length {
                announced,
                limit: longest as u64
            }),
            "{announced}"
        );
    }
    let wire = encrypt(LIMIT, &[&[0; LIMIT]]);
    assert!(decrypt(&wire, 100).is_ok(), "the longest block fits");
    let wire = encrypt(2 * LIMIT, &[&[0; LIMIT + 8]]);
    assert!(matches!(decrypt(&wire, 100), Err(CipherError::Length { .. })));
}

#[test]
fn a_block_that_ends_early_is_truncated() {
    let wire = encrypt(LIMIT, &[b"attack at dawn"]);
    for length in 1..wire.len() {
        assert_eq!(
            decrypt(&wire[..length], length),
            Err(CipherError::Truncated { held: length })
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_writes_in_any_pieces_arrive(
        writes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..6),
        block in 1_usize..LIMIT,
        piece in 1_usize..200,
    ) {
        let parts: Vec<&[u8]> = writes.iter().map(Vec::as_slice).collect();
        let wire = encrypt(block, &parts);
        prop_assert_eq!(decrypt(&wire, piece).unwrap(), writes.concat());
    }
}
