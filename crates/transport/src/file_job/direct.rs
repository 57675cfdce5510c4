//! Files that the system sends by itself.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use spark_rpc_net::{Pipe, send_bytes, send_file, wait_for_room};

use super::*;
use crate::pipes::LentPipe;

/// The socket that a job sends to.
#[derive(Debug)]
pub(crate) struct Direct {
    socket: OwnedFd,
    /// What many small bodies go through, so that the socket takes them as one.
    pipe: Option<LentPipe>,
    /// Those whose last byte is in the pipe.
    piped: Vec<Current>,
}

impl Direct {
    pub(crate) fn new(socket: OwnedFd, pipe: Option<LentPipe>) -> Self {
        Self {
            socket,
            pipe,
            piped: Vec::new(),
        }
    }

    pub(super) fn send_share(&mut self, job: &mut FileJob) -> Pause {
        let mut waits = WAITS;
        while job.sent < SHARE {
            match self.send_some(job) {
                Ok(Some(n)) => job.sent += n,
                Ok(None) => return Pause::Done,
                Err(Pause::NoRoom) if waits > 0 => {
                    waits -= 1;
                    match wait_for_room(self.socket.as_fd(), WAIT) {
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

    /// Makes one call that sends something; `None` when nothing is left.
    fn send_some(&mut self, job: &mut FileJob) -> Result<Option<u64>, Pause> {
        if let Some(pipe) = &mut self.pipe {
            if pipe.held() == 0 {
                fill(pipe, &mut self.piped, job)?;
            }
            if pipe.held() > 0 {
                let n = taken(pipe.send(self.socket.as_fd(), job.current.is_some()))?;
                if pipe.held() == 0 {
                    self.piped_have_left(&mut job.feed)?;
                }
                return Ok(Some(n as u64));
            }
        }
        let Some(mut current) = job.current() else {
            return Ok(None);
        };
        let sent = current.send_once(self.socket.as_fd());
        if !current.is_over() {
            job.current = Some(current);
        } else {
            let mut known = KnownLength::default();
            current.check_end(&mut known).map_err(Pause::File)?;
            job.feed.body_left(current.weight);
        }
        sent.map(Some)
    }

    fn piped_have_left(&mut self, feed: &mut Feed) -> Result<(), Pause> {
        let mut known = KnownLength::default();
        for body in self.piped.drain(..) {
            body.check_end(&mut known).map_err(Pause::File)?;
            feed.body_left(body.weight);
        }
        feed.report();
        Ok(())
    }
}

/// Puts as many bodies into the empty pipe as it holds, up to one that cannot go through it.
fn fill(pipe: &mut Pipe, piped: &mut Vec<Current>, job: &mut FileJob) -> Result<(), Pause> {
    while let Some(mut current) = job.current() {
        let pushed = if current.copied {
            Ok(())
        } else {
            current.push(pipe)
        };
        if current.is_over() {
            piped.push(current);
            continue;
        }
        match pushed {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => current.copied = true,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(Pause::File(error)),
            _ => {}
        }
        job.current = Some(current);
        break;
    }
    Ok(())
}

impl Current {
    /// Puts it into `pipe` until that is full.
    fn push(&mut self, pipe: &mut Pipe) -> io::Result<()> {
        while self.head_sent < self.head.len() {
            self.head_sent += pipe.push(&self.head[self.head_sent..])?;
        }
        while let Some(rest) = self.rest.as_mut().filter(|rest| rest.length > 0) {
            let count = rest.length.min(SHARE) as usize;
            match pipe.push_file(&rest.file, rest.offset, count) {
                Ok(0) => return Err(ends_early(rest)),
                pushed => pass(rest, pushed? as u64),
            }
        }
        Ok(())
    }

    /// Makes one call that sends something.
    fn send_once(&mut self, socket: BorrowedFd<'_>) -> Result<u64, Pause> {
        let rest = self.rest.as_mut().filter(|rest| rest.length > 0);
        if self.head_sent < self.head.len() {
            let n = taken(send_bytes(socket, &self.head[self.head_sent..], rest.is_some()))?;
            self.head_sent += n;
            return Ok(n as u64);
        }
        if self.copied {
            return self.send_copy(socket);
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
                pass(rest, n);
                Ok(n)
            }
        }
    }

    fn send_copy(&mut self, socket: BorrowedFd<'_>) -> Result<u64, Pause> {
        if let Some(rest) = self
            .rest
            .as_mut()
            .filter(|_| self.buffer_sent == self.buffer.len())
        {
            self.buffer.resize(rest.length.min(COPIED) as usize, 0);
            self.buffer_sent = self.buffer.len();
            let read = read_whole(rest, &mut self.buffer).map_err(Pause::File)?;
            pass(rest, read);
            self.buffer_sent = 0;
        }
        let more = self.rest.as_ref().is_some_and(|rest| rest.length > 0);
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
