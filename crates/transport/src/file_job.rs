//! Work on files, for threads that may wait for a disk.

#[cfg(target_os = "linux")]
mod direct;
mod feed;

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use spark_rpc_engine::{AskId, Weighed};

use crate::client::TransportClient;
use crate::managed_buffer::FileSegment;
use crate::outgoing::{FileBody, FileSource, Head, Hold, Opened};

#[cfg(target_os = "linux")]
pub(crate) use direct::Direct;
use feed::Feed;

/// Bodies that lie in files and leave one after the other, for as long as no frame waits for its turn.
///
/// A job travels to a thread that may wait, works there until something else is needed, and comes back with
/// [`pause`](Self::pause) saying what. With a socket of its own it sends by itself; else it reads pieces that others write.
#[derive(Debug)]
pub(crate) struct FileJob {
    feed: Feed,
    current: Option<Current>,
    /// Nothing is sent by the system itself.
    copied: bool,
    #[cfg(target_os = "linux")]
    direct: Option<Direct>,
    /// Read from files, to be written to the stream.
    pub(crate) piece: Vec<u8>,
    /// Bytes that the socket has taken in the last run.
    pub(crate) sent: u64,
    /// Those whose bytes are in `piece` to the last.
    finished: Vec<Current>,
    known: KnownLength,
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
    /// What the connection's queue counts for it.
    weight: usize,
    _hold: Hold,
}

/// How long the file was that was looked at last. Many parts of one file then cost one look.
#[derive(Debug, Default)]
struct KnownLength(Option<(Arc<File>, u64)>);

impl FileJob {
    /// Makes a job of `first` and of what waits behind it in the queue of `client`.
    pub(crate) fn new(client: TransportClient, first: Weighed<FileBody>, zero_copy: bool) -> Self {
        Self {
            feed: Feed::new(client, first),
            current: None,
            copied: !zero_copy,
            #[cfg(target_os = "linux")]
            direct: None,
            piece: Vec::new(),
            sent: 0,
            finished: Vec::new(),
            known: KnownLength::default(),
            failed_uploads: Vec::new(),
            unopened: Unopened::default(),
            pause: Pause::More,
        }
    }

    /// Lets it send by itself.
    #[cfg(target_os = "linux")]
    pub(crate) fn directly(mut self, direct: Direct) -> Self {
        self.direct = Some(direct);
        self
    }

    /// Sends until the socket stays full for a moment, or this run's share is used up; or reads the next piece.
    pub(crate) fn run(mut self) -> Self {
        self.piece.clear();
        self.sent = 0;
        self.known = KnownLength::default();
        self.pause = self.go_on();
        self.feed.report();
        self
    }

    fn go_on(&mut self) -> Pause {
        #[cfg(target_os = "linux")]
        if let Some(mut direct) = self.direct.take() {
            let pause = direct.send_share(self);
            self.direct = Some(direct);
            return pause;
        }
        self.fill().unwrap_or_else(Pause::File)
    }

    /// The piece has been written: whatever was read to its end is released.
    pub(crate) fn piece_written(&mut self) {
        for body in self.finished.drain(..) {
            self.feed.body_left(body.weight);
        }
        self.feed.report();
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
                pass(rest, read);
            }
            if current.is_over() {
                current.check_end(&mut KnownLength::default())?;
                self.finished.push(current);
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
            let Weighed { weight, body } = self.feed.next()?;
            let FileBody {
                head,
                source,
                mut hold,
            } = body;
            let (bytes, rest) = match begin(&head, source, &mut hold, &mut self.known) {
                Ok(begun) => begun,
                Err(error) => match self.failed(head, error) {
                    Some(failure) => (failure, None),
                    None => {
                        self.feed.body_left(weight);
                        continue;
                    }
                },
            };
            return Some(Current {
                head: bytes,
                head_sent: 0,
                end: rest.as_ref().map_or(0, |rest| rest.offset + rest.length),
                rest,
                copied: self.copied,
                buffer: Vec::new(),
                buffer_sent: 0,
                weight,
                _hold: hold,
            });
        }
    }

    /// Notes that a body cannot be sent; returns what is sent in its place.
    fn failed(&mut self, head: Head, error: io::Error) -> Option<Vec<u8>> {
        tracing::debug!(what = ?head, %error, "a file cannot be sent");
        self.unopened.count += 1;
        self.unopened
            .first
            .get_or_insert_with(|| format!("{head:?}: {error}"));
        if let Head::Upload { id, .. } = head {
            self.failed_uploads.push((id, Arc::new(error)));
            return None;
        }
        failure(head, &error)
    }
}

impl Current {
    fn is_over(&self) -> bool {
        self.head_sent == self.head.len()
            && self.buffer_sent == self.buffer.len()
            && self.rest.as_ref().is_none_or(|rest| rest.length == 0)
    }

    /// Looks whether the file is still as long as it was. What the system sends by itself, it may take from the file
    /// later than it says; of a file that was cut short meanwhile, it then sends zeros.
    fn check_end(&self, known: &mut KnownLength) -> io::Result<()> {
        match &self.rest {
            Some(rest) if known.length(&rest.file, self.end)? < self.end => Err(ends_early(rest)),
            _ => Ok(()),
        }
    }
}

impl KnownLength {
    /// The length of `file`, looked at anew unless it was known to be `enough`.
    fn length(&mut self, file: &Arc<File>, enough: u64) -> io::Result<u64> {
        if let Some((known, length)) = &self.0
            && Arc::ptr_eq(known, file)
            && *length >= enough
        {
            return Ok(*length);
        }
        let length = file.metadata()?.len();
        self.0 = Some((Arc::clone(file), length));
        Ok(length)
    }

    /// Fails unless the file is as long as `segment` says.
    fn check(&mut self, segment: &FileSegment) -> io::Result<()> {
        let FileSegment { offset, length, .. } = *segment;
        let end = offset.checked_add(length);
        let held = self.length(&segment.file, end.unwrap_or(u64::MAX))?;
        if end.is_some_and(|end| end <= held) {
            return Ok(());
        }
        let text = format!("the file holds {held} bytes, and {length} from {offset} on were to be sent");
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
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
fn begin(
    head: &Head,
    source: FileSource,
    hold: &mut Hold,
    known: &mut KnownLength,
) -> io::Result<(Vec<u8>, Option<FileSegment>)> {
    let opened = catch_unwind(AssertUnwindSafe(|| source.open()));
    let opened = opened.unwrap_or_else(|_| Err(io::Error::other("opening it panicked")))?;
    if let Opened::Segment(segment) = &opened {
        known.check(segment)?;
    }
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

/// Leaves the first `n` bytes of `segment` behind.
fn pass(segment: &mut FileSegment, n: u64) {
    segment.offset += n;
    segment.length -= n;
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

/// What is read at once.
const PIECE: usize = 256 << 10;
