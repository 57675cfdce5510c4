//! What a reader accepts before it gives up.

use std::fmt;

/// Bounds on what is read from one stream.
///
/// A stream that exceeds one of them ends in a typed error ([`ReadError::LimitExceeded`](crate::ReadError)); nothing is
/// reserved for a length that is only announced. The same bounds hold for the second step, in which Rust values are
/// made of a graph: an object that is referred to a thousand times is converted, and counted, a thousand times.
///
/// # Examples
///
/// ```
/// use spark_rpc_javaobj::Limits;
///
/// let limits = Limits { depth: 32, memory: 1 << 20, ..Limits::default() };
/// assert!(limits.handles > 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep objects may lie in each other. Reading needs stack in proportion. Default: 128, for which 1 MiB suffices even in debug builds.
    pub depth: usize,
    /// How many objects, strings and class descriptors there may be. Default: 2²² (4 194 304).
    pub handles: usize,
    /// How many bytes one string may take in the stream. Default: 64 MiB.
    pub string_bytes: usize,
    /// How many elements one array may have. Default: 2²⁷ (128 Mi, enough for the largest message that Spark sends).
    pub array_elements: usize,
    /// About how many bytes of memory the values may take together. Default: 512 MiB.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 128,
            handles: 1 << 22,
            string_bytes: 64 << 20,
            array_elements: 1 << 27,
            memory: 512 << 20,
        }
    }
}

/// Names a field of [`Limits`] in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::depth`]
    Depth,
    /// [`Limits::handles`]
    Handles,
    /// [`Limits::string_bytes`]
    StringBytes,
    /// [`Limits::array_elements`]
    ArrayElements,
    /// [`Limits::memory`]
    Memory,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Depth => "levels of nesting",
            Self::Handles => "objects",
            Self::StringBytes => "bytes in a string",
            Self::ArrayElements => "elements in an array",
            Self::Memory => "bytes of memory",
        })
    }
}
