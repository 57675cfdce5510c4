//! The file that is transferred.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::exit::Failure;

/// Makes a file of `size` bytes, which is removed when it is dropped. Each page of it says where it begins.
///
/// It is made in memory where the system has a folder for that, so that no disk is written to meanwhile.
pub(crate) fn make(size: u64) -> Result<NamedTempFile, Failure> {
    let shared_memory = Path::new("/dev/shm");
    let made = if shared_memory.is_dir() {
        NamedTempFile::with_prefix_in("spark-rpc-bench-", shared_memory)
    } else {
        NamedTempFile::with_prefix("spark-rpc-bench-")
    };
    let filled = made.and_then(|file| fill(file.as_file(), size).map(|()| file));
    filled.map_err(|error| Failure::no(format_args!("cannot make a file of {size} bytes: {error}")))
}

fn fill(mut file: &File, size: u64) -> io::Result<()> {
    let mut piece = vec![7; PIECE];
    let mut at = 0;
    while at < size {
        for (page, offset) in piece.chunks_mut(PAGE).zip((at..).step_by(PAGE)) {
            page[..8].copy_from_slice(&offset.to_be_bytes());
        }
        let length = PIECE.min(usize::try_from(size - at).unwrap_or(PIECE));
        file.write_all(&piece[..length])?;
        at += length as u64;
    }
    Ok(())
}

/// Whether `piece` can be what the file holds from `offset` on. Only the beginnings of pages are told apart.
pub(crate) fn is_from(piece: &[u8], offset: u64) -> bool {
    let begin = offset.to_be_bytes();
    !offset.is_multiple_of(PAGE as u64) || piece.iter().zip(begin).all(|(byte, expected)| *byte == expected)
}

const PIECE: usize = 1 << 20;
const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_says_where_it_begins() {
        let size = PIECE + PAGE + 13;
        let file = make(size as u64).unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(bytes.len(), size);
        for offset in [0, PAGE, PIECE - PAGE, PIECE, PIECE + PAGE] {
            assert!(is_from(&bytes[offset..], offset as u64), "{offset}");
        }
        assert!(!is_from(&bytes[PAGE..], 2 * PAGE as u64));
    }
}
