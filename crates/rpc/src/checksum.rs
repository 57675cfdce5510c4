//! How both sides of a download talk about what the file holds.

use std::fmt;
use std::str::FromStr;

use twox_hash::XxHash3_128;

/// The checksum of a file's content: XXH3 with 128 bits, as `xxh128sum` computes it.
///
/// It finds damage and mix-ups, not forgery: whoever can change a file on its way can change its checksum, too. Against
/// those help TLS and the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileChecksum(u128);

/// Computes a checksum from the pieces of a content.
pub(crate) struct Summing(Box<XxHash3_128>);

impl Summing {
    pub(crate) fn new() -> Self {
        Self(Box::default())
    }

    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.0.write(piece);
    }

    pub(crate) fn end(&self) -> FileChecksum {
        FileChecksum(self.0.finish_128())
    }
}

/// In hexadecimal digits, the first one counting most.
impl fmt::Display for FileChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for FileChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileChecksum({self})")
    }
}

/// What a server says of a file that it has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What it has sent should have this checksum.
    Sum(FileChecksum),
    /// The file is not any more what it was when it began to send it.
    Changed,
    /// It cannot say.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sum(sum) => write!(f, "{ALGORITHM} {sum}"),
            Self::Changed => f.write_str(CHANGED),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl FromStr for Verdict {
    type Err = std::convert::Infallible;

    /// What is not understood, such as the checksum of a later version, says nothing.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sum = text
            .strip_prefix(ALGORITHM)
            .and_then(|text| text.strip_prefix(' '))
            .filter(|digits| digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u128::from_str_radix(digits, 16).ok());
        Ok(match (sum, text) {
            (Some(sum), _) => Self::Sum(FileChecksum(sum)),
            (None, CHANGED) => Self::Changed,
            (None, _) => Self::Unknown,
        })
    }
}

/// The stream that holds the verdict on another one.
pub(crate) fn stream_of_verdict(stream: &str) -> String {
    let slash = if stream.starts_with('/') { "" } else { "/" };
    format!("/{OWN_SPACE}/{CHECKSUM}{slash}{stream}")
}

/// The stream on which a verdict is asked for; `None` for every other one.
pub(crate) fn subject_of_verdict(stream: &str) -> Option<&str> {
    let path = stream.strip_prefix('/').unwrap_or(stream);
    path.strip_prefix(OWN_SPACE)?
        .strip_prefix('/')?
        .strip_prefix(CHECKSUM)
        .filter(|subject| subject.starts_with('/'))
}

/// What no folder may be called. A JVM has none of this name and answers that there is no such stream.
pub(crate) const OWN_SPACE: &str = ".spark-rpc";
/// Longer than any verdict.
pub(crate) const LONGEST_VERDICT: u64 = 256;
const CHECKSUM: &str = "checksum";
const ALGORITHM: &str = "xxh3-128";
const CHANGED: &str = "changed";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &[u8]) -> FileChecksum {
        let mut summing = Summing::new();
        summing.add(content);
        summing.end()
    }

    #[test]
    fn it_is_what_other_programs_compute() {
        // Those of `xxh128sum`.
        assert_eq!(of(b"").to_string(), "99aa06d3014798d86001c324468d497f");
        assert_eq!(of(b"abc").to_string(), "06b05ab6733a618578af5f94892f3950");
        let mut pieces = Summing::new();
        let long: Vec<u8> = (0..100_000).map(|i| (i % 251) as u8).collect();
        long.chunks(777).for_each(|piece| pieces.add(piece));
        assert_eq!(pieces.end(), of(&long));
    }

    #[test]
    fn a_verdict_is_read_as_it_was_written_and_anything_else_says_nothing() {
        for verdict in [
            Verdict::Sum(of(b"abc")),
            Verdict::Sum(FileChecksum(1)),
            Verdict::Changed,
            Verdict::Unknown,
        ] {
            assert_eq!(verdict.to_string().parse(), Ok(verdict));
            assert!((verdict.to_string().len() as u64) < LONGEST_VERDICT);
        }
        let digits = "0".repeat(31);
        for other in [
            "",
            "xxh3-128",
            "xxh3-128 ",
            "sha-256 00",
            "changed ",
            &format!("xxh3-128 +{digits}"),
            &format!("xxh3-128 {digits}"),
        ] {
            assert_eq!(other.parse(), Ok(Verdict::Unknown), "{other}");
        }
    }

    #[test]
    fn the_stream_of_a_verdict_names_its_subject() {
        assert_eq!(stream_of_verdict("/files/a b"), "/.spark-rpc/checksum/files/a b");
        for stream in ["/files/a", "/x/checksum/y"] {
            assert_eq!(subject_of_verdict(&stream_of_verdict(stream)), Some(stream));
        }
        for other in [
            "/files/a",
            "/.spark-rpc",
            "/.spark-rpc/checksum",
            "/.spark-rpc/checksums/a",
            "/.spark-rpcs/checksum/a",
        ] {
            assert_eq!(subject_of_verdict(other), None, "{other}");
        }
    }
}
