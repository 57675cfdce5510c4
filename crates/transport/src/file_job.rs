//! Work on files, for threads that may wait for a disk.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use spark_rpc_engine::AskId;

use crate::managed_buffer::FileSegment;
use crate::outgoing::{FileBody, FileSource, Head, Hold, Opened};

/// Bodies that lie in files and leave together, in order.
///
/// A job travels to a thread that may wait, works there until something else is needed, and comes back with
/// [`pause`](Self::pause) saying what. On a plain socket it sends by itself; else it reads pieces that others write.
#[derive(Debug)]
pub(crate) struct FileJob {
    waiting: VecDeque<FileBody>,
    current: Option<Current>,
    /// Nothing is sent by the system itself.
    copied: bool,
    /// Read from files, to be written to the stream.
    pub(crate) piece: Vec<u8>,
    /// Bytes that the socket has taken in the last run.
    pub(crate) sent: u64,
    /// Those whose bytes are in `piece` to the last.
    finished: Vec<Hold>,
    /// Uploads that could not begin.
    pub(crate) failed_uploads: Vec<(AskId, Arc<io::Error>)>,
    pub(crate) unopened: Unopened,
    pub(crate) pause: Pause,
}

/// Bodies that could not begin, to be counted and told. Peers can ask for what is not there as often as they like.
#[derive(Debug, Default)]
pub(crate) struct Unopened {
    pub(crate) count: u64,
    /// What the first one was, and why.
    pub(crate) first: Option<String>,
}

/// Why a job came back.
#[derive(Debug)]
pub(crate) enum Pause {
    /// Its share is used up, or a piece is full.
    More,
    /// The socket is full.
    NoRoom,
    /// Everything has been sent or stands in the last piece.
    Done,
    /// The socket failed.
    Socket(io::Error),
    /// A file failed when its announcement had begun to leave.
    File(io::Error),
}

/// One body under way.
#[derive(Debug)]
struct Current {
    /// The announcement, or the failure in its place.
    head: Vec<u8>,
    head_sent: usize,
    rest: Option<FileSegment>,
    /// Where the file must still end, or behind.
    end: u64,
    /// The file cannot be sent by the system itself.
    copied: bool,
    /// Read from the file, and from where on it is not sent yet.
    buffer: Vec<u8>,
    buffer_sent: usize,
    hold: Hold,
}

impl FileJob {
    pub(crate) fn new(bodies: VecDeque<FileBody>, zero_copy: bool) -> Self {
        Self {
            waiting: bodies,
            current: None,
            copied: !zero_copy,
            piece: Vec::new(),
            sent: 0,
            finished: Vec::new(),
            failed_uploads: Vec::new(),
            unopened: Unopened::default(),
            pause: Pause::More,
        }
    }

    /// Reads the next piece.
    pub(crate) fn read(mut self) -> Self {
        self.piece.clear();
        self.finished.clear();
        self.pause = self.fill().unwrap_or_else(Pause::File);
        self
    }

    /// The piece has been written: whatever was read to its end is released.
    pub(crate) fn piece_written(&mut self) {
        self.finished.clear();
    }

    fn fill(&mut self) -> io::Result<Pause> {
        while self.piece.len() < PIECE {
            let Some(mut current) = self.current() else {
                return Ok(Pause::Done);
            };
            self.piece.extend_from_slice(&current.head[current.head_sent..]);
            current.head_sent = current.head.len();
            self.piece
                .extend_from_slice(&current.buffer[current.buffer_sent..]);
            current.buffer_sent = current.buffer.len();
            if let Some(rest) = &mut current.rest {
                let room = PIECE.saturating_sub(self.piece.len()) as u64;
                let begin = self.piece.len();
                self.piece.resize(begin + rest.length.min(room) as usize, 0);
                let read = read_whole(rest, &mut self.piece[begin..])?;
                rest.offset += read;
                rest.length -= read;
            }
            if current.is_over() {
                current.check_end()?;
                self.finished.push(current.hold);
            } else {
                self.current = Some(current);
            }
        }
        Ok(Pause::More)
    }

    /// Takes the body under way, or begins the next one.
    fn current(&mut self) -> Option<Current> {
        if let Some(current) = self.current.take() {
            return Some(current);
        }
        loop {
            let FileBody {
                head,
                source,
                mut hold,
            } = self.waiting.pop_front()?;
            match begin(&head, source, &mut hold) {
                Ok((bytes, segment)) => return Some(Current::new(bytes, segment, self.copied, hold)),
                Err(error) => {
                    tracing::debug!(what = ?head, %error, "a file cannot be sent");
                    self.unopened.count += 1;
                    self.unopened
                        .first
                        .get_or_insert_with(|| format!("{head:?}: {error}"));
                    if let Head::Upload { id, .. } = head {
                        self.failed_uploads.push((id, Arc::new(error)));
                    } else if let Some(failure) = failure(head, &error) {
                        return Some(Current::new(failure, None, self.copied, hold));
                    }
                }
            }
        }
    }
}

impl Current {
    fn new(head: Vec<u8>, rest: Option<FileSegment>, copied: bool, hold: Hold) -> Self {
        Self {
            head,
            head_sent: 0,
            end: rest.as_ref().map_or(0, |rest| rest.offset + rest.length),
            rest,
            copied,
            buffer: Vec::new(),
            buffer_sent: 0,
            hold,
        }
    }

    fn is_over(&self) -> bool {
        self.head_sent == self.head.len()
            && self.buffer_sent == self.buffer.len()
            && self.rest.as_ref().is_none_or(|rest| rest.length == 0)
    }

    /// Looks whether the file is still as long as it was. What the system sends by itself, it may take from the file
    /// later than it says; of a file that was cut short meanwhile, it then sends zeros.
    fn check_end(&self) -> io::Result<()> {
        match &self.rest {
            Some(rest) if rest.file.metadata()?.len() < self.end => Err(ends_early(rest)),
            _ => Ok(()),
        }
    }
}

impl Unopened {
    /// Adds what another one has counted later.
    pub(crate) fn add(&mut self, later: Self) {
        self.count += later.count;
        self.first = self.first.take().or(later.first);
    }
}

/// Opens a file and makes the announcement of what is to be sent of it; what is in memory already stands behind that.
fn begin(head: &Head, source: FileSource, hold: &mut Hold) -> io::Result<(Vec<u8>, Option<FileSegment>)> {
    let opened = catch_unwind(AssertUnwindSafe(|| source.open()));
    let opened = opened.unwrap_or_else(|_| Err(io::Error::other("opening it panicked")))?;
    hold.count(opened.length());
    let mut bytes = Vec::new();
    head.encode(opened.length(), &mut bytes)
        .map_err(io::Error::other)?;
    match opened {
        Opened::Segment(segment) => Ok((bytes, Some(segment))),
        Opened::Bytes(body) => {
            bytes.extend_from_slice(&body);
            Ok((bytes, None))
        }
    }
}

fn failure(head: Head, error: &io::Error) -> Option<Vec<u8>> {
    let text = match (&head, error.kind()) {
        (Head::Stream(stream_id), io::ErrorKind::NotFound) => format!("Stream '{stream_id}' was not found."),
        (_, io::ErrorKind::NotFound) => format!("java.io.FileNotFoundException: {error}"),
        _ => format!("java.io.IOException: {error}"),
    };
    head.failure(&text)
}

/// Fills `buffer` from the beginning of `segment`.
fn read_whole(segment: &FileSegment, buffer: &mut [u8]) -> io::Result<u64> {
    let mut read = 0;
    while read < buffer.len() {
        match read_at(&segment.file, &mut buffer[read..], segment.offset + read as u64) {
            Ok(0) => return Err(ends_early(segment)),
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read as u64)
}

fn ends_early(segment: &FileSegment) -> io::Error {
    let text = format!("the file has shrunk: {} bytes are missing", segment.length);
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

#[cfg(unix)]
fn read_at(file: &std::fs::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &std::fs::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(target_os = "linux")]
mod socket {
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::time::Duration;

    use spark_rpc_net::{send_bytes, send_file, wait_for_room};

    use super::*;

    impl FileJob {
        /// Sends until the socket stays full for a moment, or this run's share is used up.
        pub(crate) fn send(mut self, socket: &OwnedFd) -> Self {
            self.piece.clear();
            self.finished.clear();
            self.sent = 0;
            self.pause = self.send_share(socket.as_fd());
            self
        }

        fn send_share(&mut self, socket: BorrowedFd<'_>) -> Pause {
            let mut waits = WAITS;
            while self.sent < SHARE {
                let Some(mut current) = self.current() else {
                    return Pause::Done;
                };
                let more = !self.waiting.is_empty();
                let sent = current.send_once(socket, more);
                if !current.is_over() {
                    self.current = Some(current);
                } else if let Err(error) = current.check_end() {
                    return Pause::File(error);
                }
                match sent {
                    Ok(n) => self.sent += n,
                    Err(Pause::NoRoom) if waits > 0 => {
                        waits -= 1;
                        match wait_for_room(socket, WAIT) {
                            Ok(true) => {}
                            Ok(false) => return Pause::NoRoom,
                            Err(error) => return Pause::Socket(error),
                        }
                    }
                    Err(pause) => return pause,
                }
            }
            Pause::More
        }
    }

    impl Current {
        /// Makes one call that sends something; `more` bodies follow.
        fn send_once(&mut self, socket: BorrowedFd<'_>, more: bool) -> Result<u64, Pause> {
            let rest = self.rest.as_mut().filter(|rest| rest.length > 0);
            if self.head_sent < self.head.len() {
                let n = taken(send_bytes(
                    socket,
                    &self.head[self.head_sent..],
                    more || rest.is_some(),
                ))?;
                self.head_sent += n;
                return Ok(n as u64);
            }
            if self.copied {
                return self.send_copy(socket, more);
            }
            let Some(rest) = rest else { return Ok(0) };
            let count = rest.length.min(SHARE) as usize;
            match send_file(socket, &rest.file, rest.offset, count) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    self.copied = true;
                    Ok(0)
                }
                Ok(0) => Err(Pause::File(ends_early(rest))),
                sent => {
                    let n = taken(sent)? as u64;
                    rest.offset += n;
                    rest.length -= n;
                    Ok(n)
                }
            }
        }

        fn send_copy(&mut self, socket: BorrowedFd<'_>, more: bool) -> Result<u64, Pause> {
            if let Some(rest) = self
                .rest
                .as_mut()
                .filter(|_| self.buffer_sent == self.buffer.len())
            {
                self.buffer.resize(rest.length.min(COPIED) as usize, 0);
                self.buffer_sent = self.buffer.len();
                let read = read_whole(rest, &mut self.buffer).map_err(Pause::File)?;
                rest.offset += read;
                rest.length -= read;
                self.buffer_sent = 0;
            }
            let more = more || self.rest.as_ref().is_some_and(|rest| rest.length > 0);
            let n = taken(send_bytes(socket, &self.buffer[self.buffer_sent..], more))?;
            self.buffer_sent += n;
            Ok(n as u64)
        }
    }

    fn taken(sent: io::Result<usize>) -> Result<usize, Pause> {
        sent.or_else(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Err(Pause::NoRoom),
            io::ErrorKind::Interrupted => Ok(0),
            _ => Err(Pause::Socket(error)),
        })
    }

    /// What one run sends at the most. Long enough that the way to another thread and back does not count, short enough
    /// that a connection looks around often.
    const SHARE: u64 = 16 << 20;
    /// A fast reader makes room within this time, which costs less than coming back when it has. A slow one is awaited
    /// without a thread.
    const WAIT: Duration = Duration::from_millis(1);
    /// So often in one run, so that no reader keeps a thread for long.
    const WAITS: usize = 16;
    const COPIED: u64 = 256 << 10;
}

/// What is read at once.
const PIECE: usize = 256 << 10;
