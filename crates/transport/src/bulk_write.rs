//! The bulk body that a connection is writing.

use std::future::Future;
use std::io::{self, IoSlice};
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use spark_rpc_engine::{AskId, Weighed};
use spark_rpc_net::Stream;
use tokio::task::JoinHandle;

use crate::client::TransportClient;
#[cfg(target_os = "linux")]
use crate::file_job::Direct;
use crate::file_job::{FileJob, Pause, Unopened};
use crate::outgoing::{FileBody, Hold, Outgoing};

/// Bodies that are being written; nothing else goes to the socket before they have left.
///
/// A body in memory is written from where it is. Files are the work of another thread, so that no disk is waited for
/// here: it sends by itself on a plain socket, and reads pieces for this side to write elsewhere.
pub(crate) struct BulkWrite {
    state: State,
    /// What the write queue counts for a body in memory. Jobs report files by themselves.
    pub(crate) in_memory: Option<usize>,
    /// Uploads that could not begin, for those who wait for their answers.
    pub(crate) failed_uploads: Vec<(AskId, Arc<io::Error>)>,
    pub(crate) unopened: Unopened,
}

enum State {
    Memory {
        head: Vec<u8>,
        body: Bytes,
        written: usize,
        _hold: Hold,
    },
    /// Another thread is at it.
    Working(JoinHandle<FileJob>),
    /// The socket is full.
    NoRoom(FileJob),
    /// A piece is being written.
    Piece {
        job: FileJob,
        written: usize,
    },
    Done,
}

/// Why a body could not be written. Either way the connection has lost its place in the protocol.
#[derive(Debug)]
pub(crate) enum BulkError {
    Socket(io::Error),
    File(io::Error),
}

impl From<io::Error> for BulkError {
    fn from(error: io::Error) -> Self {
        BulkError::Socket(error)
    }
}

impl BulkWrite {
    /// Begins with `first`; files that wait behind it go with it.
    pub(crate) fn new(first: Weighed<Outgoing>, client: &TransportClient, stream: &dyn Stream) -> Self {
        let weight = first.weight;
        let (state, in_memory) = match first.body {
            Outgoing::Ready { head, body, hold } => {
                let memory = State::Memory {
                    head,
                    body,
                    written: 0,
                    _hold: hold,
                };
                (memory, Some(weight))
            }
            Outgoing::File(body) => (
                State::Working(work(job(Weighed { weight, body }, client, stream))),
                None,
            ),
        };
        Self {
            state,
            in_memory,
            failed_uploads: Vec::new(),
            unopened: Unopened::default(),
        }
    }

    /// Whether everything has left.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether the socket is not what it waits for.
    pub(crate) fn is_working(&self) -> bool {
        matches!(self.state, State::Working(_))
    }

    /// Writes on; returns how many bytes have left, which may be none.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut dyn Stream,
    ) -> Poll<Result<u64, BulkError>> {
        match &mut self.state {
            State::Memory {
                head, body, written, ..
            } => {
                let n = match head.get(*written..) {
                    Some(rest) if !rest.is_empty() => {
                        let slices = [IoSlice::new(rest), IoSlice::new(body)];
                        ready!(Pin::new(stream).poll_write_vectored(cx, &slices))?
                    }
                    _ if body.is_empty() => 0,
                    _ => ready!(Pin::new(stream).poll_write(cx, &body[*written - head.len()..]))?,
                };
                *written += n;
                if *written == head.len() + body.len() {
                    self.state = State::Done;
                } else if n == 0 {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
                }
                Poll::Ready(Ok(n as u64))
            }
            State::Working(job) => {
                let job =
                    ready!(Pin::new(job).poll(cx)).map_err(|lost| BulkError::File(io::Error::other(lost)))?;
                self.came_back(job)
            }
            State::NoRoom(_) => {
                ready!(poll_room(cx, stream))?;
                if let State::NoRoom(job) = std::mem::replace(&mut self.state, State::Done) {
                    self.state = State::Working(work(job));
                }
                Poll::Ready(Ok(0))
            }
            State::Piece { job, written } => {
                let n = ready!(Pin::new(&mut *stream).poll_write(cx, &job.piece[*written..]))?;
                if n == 0 {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
                }
                *written += n;
                if *written == job.piece.len()
                    && let State::Piece { mut job, .. } = std::mem::replace(&mut self.state, State::Done)
                {
                    job.piece_written();
                    if !matches!(job.pause, Pause::Done) {
                        self.state = State::Working(work(job));
                    }
                }
                Poll::Ready(Ok(n as u64))
            }
            State::Done => Poll::Ready(Ok(0)),
        }
    }

    fn came_back(&mut self, mut job: FileJob) -> Poll<Result<u64, BulkError>> {
        self.failed_uploads.append(&mut job.failed_uploads);
        self.unopened.add(std::mem::take(&mut job.unopened));
        let sent = std::mem::take(&mut job.sent);
        self.state = match std::mem::replace(&mut job.pause, Pause::Done) {
            Pause::Socket(error) => return Poll::Ready(Err(BulkError::Socket(error))),
            Pause::File(error) => return Poll::Ready(Err(BulkError::File(error))),
            pause if !job.piece.is_empty() => {
                job.pause = pause;
                State::Piece { job, written: 0 }
            }
            Pause::NoRoom => State::NoRoom(job),
            Pause::More => State::Working(work(job)),
            Pause::Done => State::Done,
        };
        Poll::Ready(Ok(sent))
    }
}

fn job(first: Weighed<FileBody>, client: &TransportClient, stream: &dyn Stream) -> FileJob {
    let shared = client.shared();
    let job = FileJob::new(client.clone(), first, shared.conf.zero_copy);
    #[cfg(target_os = "linux")]
    // Without a descriptor for a duplicate, pieces are read and written here.
    if let Some(Ok(socket)) = stream.as_fd().map(|socket| socket.try_clone_to_owned()) {
        // BBR counts segments to measure the rate at which it then sends: the short ones at the ends of files, which a
        // pipe would spare, let it send faster.
        let fills_segments = shared.conf.zero_copy && !spark_rpc_net::is_paced(socket.as_fd());
        let pipe = fills_segments.then(|| shared.pool.pipes.lend()).flatten();
        return job.directly(Direct::new(socket, pipe));
    }
    let _ = stream;
    job
}

/// Lets a thread that may wait for a disk go on with `job`.
fn work(job: FileJob) -> JoinHandle<FileJob> {
    tokio::task::spawn_blocking(|| job.run())
}

#[cfg(target_os = "linux")]
fn poll_room(cx: &mut Context<'_>, stream: &dyn Stream) -> Poll<io::Result<usize>> {
    stream.poll_write_fd(cx, &mut |socket| {
        if spark_rpc_net::wait_for_room(socket, std::time::Duration::ZERO)? {
            Ok(0)
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    })
}

#[cfg(not(target_os = "linux"))]
fn poll_room(_: &mut Context<'_>, _: &dyn Stream) -> Poll<io::Result<usize>> {
    Poll::Ready(Ok(0))
}
