//! What can be wrong with a stream.

use crate::limits::Limit;

/// Why bytes are no Java object stream, or none that is accepted. Positions count bytes from the stream's begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The stream does not begin as all do.
    #[error("no Java object stream: it begins with {found:02x?} instead of [ac, ed, 00, 05]")]
    NotJava {
        /// The first bytes, at most four.
        found: Vec<u8>,
    },
    /// The stream ends in the middle.
    #[error("the stream ends at byte {at}, where {needed} more are needed at least")]
    Truncated {
        /// Where the missing bytes should stand.
        at: usize,
        /// How many of them.
        needed: usize,
    },
    /// The stream holds nothing.
    #[error("the stream holds no object")]
    Empty,
    /// A byte that begins nothing that may stand in its place.
    #[error("byte {at} is {tag:#04x}, where {expected} is expected")]
    UnexpectedTag {
        /// Where it stands.
        at: usize,
        /// The byte.
        tag: u8,
        /// What may stand there.
        expected: &'static str,
    },
    /// A reference to something that does not exist, or not yet.
    #[error("byte {at}: reference {handle:#010x} leads to {found}, where {expected} is expected")]
    BadReference {
        /// Where the reference stands.
        at: usize,
        /// The handle.
        handle: u32,
        /// What it leads to.
        found: &'static str,
        /// What it should lead to.
        expected: &'static str,
    },
    /// A length below zero.
    #[error("byte {at}: the length {length} is negative")]
    NegativeLength {
        /// Where it stands.
        at: usize,
        /// The length.
        length: i64,
    },
    /// Bytes of a string that are no modified UTF-8.
    #[error("byte {at} does not belong into a string")]
    BadString {
        /// The first wrong byte.
        at: usize,
    },
    /// The name of a class or field that has half a surrogate pair.
    #[error("byte {at}: the name is no text")]
    BadName {
        /// Where the name begins.
        at: usize,
    },
    /// A letter that stands for no type of field.
    #[error("byte {at}: no field has the type {code:#04x}")]
    BadFieldType {
        /// Where it stands.
        at: usize,
        /// The letter.
        code: u8,
    },
    /// A class used for what it is not: an array of a class that is none, an object of an enum, …
    #[error("byte {at}: {class} (flags {flags:#04x}) cannot be the class of {what}")]
    WrongClass {
        /// Where its use stands.
        at: usize,
        /// The name.
        class: String,
        /// The descriptor's flags.
        flags: u8,
        /// What it is used for.
        what: &'static str,
    },
    /// An object of a class that writes its data without saying where they end (protocol version 1).
    #[error("byte {at}: the data of {class} have no visible end (stream protocol 1)")]
    Unbounded {
        /// Where the data begin.
        at: usize,
        /// The class.
        class: String,
    },
    /// The writer failed in the middle of an object.
    #[error("byte {at}: the writer gave up in the middle of an object: {exception}")]
    Aborted {
        /// Where its exception begins.
        at: usize,
        /// Class and message of its exception.
        exception: String,
    },
    /// More than the reader accepts.
    #[error("byte {at}: more than {max} {limit}")]
    LimitExceeded {
        /// Where the limit was passed.
        at: usize,
        /// What there is too much of.
        limit: Limit,
        /// How much of it is accepted.
        max: usize,
    },
}

impl ReadError {
    /// Returns where in the stream the error is.
    pub fn at(&self) -> usize {
        match self {
            Self::NotJava { .. } | Self::Empty => 0,
            Self::Truncated { at, .. }
            | Self::UnexpectedTag { at, .. }
            | Self::BadReference { at, .. }
            | Self::NegativeLength { at, .. }
            | Self::BadString { at }
            | Self::BadName { at }
            | Self::BadFieldType { at, .. }
            | Self::WrongClass { at, .. }
            | Self::Unbounded { at, .. }
            | Self::Aborted { at, .. }
            | Self::LimitExceeded { at, .. } => *at,
        }
    }
}
