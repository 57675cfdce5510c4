//! Data to be sent, wherever they are.

use std::fmt;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

/// Data that a [`StreamManager`](crate::StreamManager) hands out or a client uploads (Spark's `ManagedBuffer`).
///
/// They are in memory, or a part of a file that is opened already or will be when its turn has come, or they are computed
/// then. Files are read on
/// tokio's blocking threads, never on those that drive connections, and on a plain socket of Linux the system sends them
/// by itself (`splice`, `sendfile`).
///
/// There is no mapped file, as Spark has for segments beyond `spark.storage.memoryMapThreshold`: when a file is cut short
/// under a mapping, the next access ends the process (SIGBUS), and no safe interface can prevent that. A segment is read
/// by calls that fail instead, and what the system sends by itself is copied as little.
///
/// Dropping a buffer releases it. That happens exactly once, whatever becomes of the transfer: after the last byte has
/// been handed to the socket, or when the connection ends before that.
pub struct ManagedBuffer {
    data: Data,
    release: Release,
}

/// A part of an open file.
#[derive(Clone, Debug)]
pub struct FileSegment {
    /// The file. Its own position is neither used nor moved.
    pub file: Arc<File>,
    /// Where the part begins.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

pub(crate) enum Data {
    Bytes(Bytes),
    Open(FileSegment),
    Lazy(OpenFile),
    Computed(Compute),
}

/// Makes a body, on a thread that may wait for a disk.
pub(crate) type Compute = Box<dyn FnOnce() -> io::Result<Bytes> + Send>;

/// Opens a file, on a thread that may wait for a disk.
pub(crate) type OpenFile = Box<dyn FnOnce() -> io::Result<FileSegment> + Send>;

/// What is called when a buffer is released.
#[derive(Default)]
pub(crate) struct Release(Vec<Box<dyn FnOnce() + Send>>);

impl ManagedBuffer {
    /// Makes a buffer of a part of an open file.
    #[must_use]
    pub fn file(segment: FileSegment) -> Self {
        Self::new(Data::Open(segment))
    }

    /// Makes a buffer of `length` bytes of the file at `path` from `offset` on, opened when its turn has come.
    #[must_use]
    pub fn path(path: impl Into<PathBuf>, offset: u64, length: u64) -> Self {
        let path = path.into();
        Self::lazy(move || {
            Ok(FileSegment {
                file: Arc::new(File::open(path)?),
                offset,
                length,
            })
        })
    }

    /// Makes a buffer of whatever `open` will open when its turn has come. It runs on a thread that may wait for a disk.
    #[must_use]
    pub fn lazy(open: impl FnOnce() -> io::Result<FileSegment> + Send + 'static) -> Self {
        Self::new(Data::Lazy(Box::new(open)))
    }

    /// Makes a buffer of the few bytes that `compute` will return when its turn has come, once what was asked for before
    /// has been handed to the socket. It runs on a thread that may wait; what the peer asked for later waits for it.
    #[must_use]
    pub fn computed(compute: impl FnOnce() -> io::Result<Bytes> + Send + 'static) -> Self {
        Self::new(Data::Computed(Box::new(compute)))
    }

    /// Calls `hook` when the buffer is released. Several hooks are called in the order in which they were given.
    #[must_use]
    pub fn on_release(mut self, hook: impl FnOnce() + Send + 'static) -> Self {
        self.release.0.push(Box::new(hook));
        self
    }

    /// Its size in bytes, unless that will only be known when it is opened.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match &self.data {
            Data::Bytes(bytes) => Some(bytes.len() as u64),
            Data::Open(segment) => Some(segment.length),
            Data::Lazy(_) | Data::Computed(_) => None,
        }
    }

    pub(crate) fn into_parts(self) -> (Data, Release) {
        (self.data, self.release)
    }

    fn new(data: Data) -> Self {
        Self {
            data,
            release: Release::default(),
        }
    }
}

impl From<Bytes> for ManagedBuffer {
    fn from(bytes: Bytes) -> Self {
        Self::new(Data::Bytes(bytes))
    }
}

impl From<Vec<u8>> for ManagedBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&'static str> for ManagedBuffer {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<FileSegment> for ManagedBuffer {
    fn from(segment: FileSegment) -> Self {
        Self::file(segment)
    }
}

impl fmt::Debug for ManagedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.data {
            Data::Bytes(_) => "bytes",
            Data::Open(_) => "file",
            Data::Lazy(_) => "file to be opened",
            Data::Computed(_) => "to be computed",
        };
        f.debug_struct("ManagedBuffer")
            .field("kind", &kind)
            .field("length", &self.length())
            .finish_non_exhaustive()
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        for hook in self.0.drain(..) {
            // A hook that panics keeps neither the others nor the connection.
            if catch_unwind(AssertUnwindSafe(hook)).is_err() {
                tracing::error!("a hook panicked while a buffer was released");
            }
        }
    }
}

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Release").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_buffer_is_released_once_and_hooks_run_in_order() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let note = |what: &'static str| {
            let calls = Arc::clone(&calls);
            move || calls.lock().unwrap().push(what)
        };
        let buffer = ManagedBuffer::from("text")
            .on_release(note("first"))
            .on_release(note("second"));
        let (data, release) = buffer.into_parts();
        drop(data);
        assert_eq!(*calls.lock().unwrap(), [""; 0], "taking it apart is no release");
        drop(release);
        assert_eq!(*calls.lock().unwrap(), ["first", "second"]);
    }

    #[test]
    fn a_hook_that_panics_keeps_no_other() {
        let called = Arc::new(Mutex::new(false));
        let note = Arc::clone(&called);
        let buffer = ManagedBuffer::from("text")
            .on_release(|| panic!("a bad hook"))
            .on_release(move || *note.lock().unwrap() = true);
        drop(buffer);
        assert!(*called.lock().unwrap());
    }
}
