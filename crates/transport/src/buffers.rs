//! Buffers that are lent and taken back, so that an idle connection holds none.

use std::cell::RefCell;
use std::sync::Mutex;

use spark_rpc_wire::Recycler;

#[cfg(target_os = "linux")]
use crate::pipes::Pipes;

/// Byte buffers shared by the connections of one context.
#[derive(Debug)]
pub(crate) struct BufferPool {
    /// Empty ones, for frames to be written.
    free: Mutex<Vec<Vec<u8>>>,
    /// Those of bulk data that arrives.
    pub(crate) bulk: Recycler,
    /// What files go through on their way to sockets.
    #[cfg(target_os = "linux")]
    pub(crate) pipes: Pipes,
}

impl Default for BufferPool {
    fn default() -> Self {
        Self {
            free: Mutex::default(),
            bulk: Recycler::new(MOST_BULK_KEPT),
            #[cfg(target_os = "linux")]
            pipes: Pipes::default(),
        }
    }
}

impl BufferPool {
    /// Lends an empty buffer.
    pub(crate) fn lend(&self) -> Vec<u8> {
        self.free
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .pop()
            .unwrap_or_default()
    }

    /// Takes a buffer back. Large ones and more than a few are freed.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() > LARGEST_KEPT {
            return;
        }
        buffer.clear();
        let mut free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if free.len() < MOST_KEPT {
            free.push(buffer);
        }
    }
}

/// Runs `work` with this thread's read buffer of `len` bytes. Connections on one thread read in turn, so one buffer
/// serves them all.
pub(crate) fn with_read_buffer<T>(len: usize, work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = READ_BUFFER.take();
    if buffer.len() < len {
        buffer = vec![0; len];
    }
    let result = work(&mut buffer[..len]);
    READ_BUFFER.set(buffer);
    result
}

/// Runs `work` with this thread's buffer for encoding one frame, empty. `work` may move the contents out.
pub fn with_frame_buffer<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut buffer = FRAME_BUFFER.take();
    buffer.clear();
    let result = work(&mut buffer);
    if buffer.capacity() <= LARGEST_KEPT {
        FRAME_BUFFER.set(buffer);
    }
    result
}

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static FRAME_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

const LARGEST_KEPT: usize = 256 * 1024;
const MOST_KEPT: usize = 32;
/// A few pieces of a stream, or chunks, for one reader who keeps up.
const MOST_BULK_KEPT: usize = 16 << 20;
