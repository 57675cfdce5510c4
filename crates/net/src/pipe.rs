//! A pipe of the system's between files and a socket.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// Parts of several files, and bytes between them, that go to a socket as if they were one file.
///
/// What `sendfile` sends goes through such a pipe as well, but one that holds 16 pages and ends with each file. With this
/// one, many small parts reach the socket in one call, and share segments.
///
/// It is filled with [`push`](Self::push) and [`push_file`](Self::push_file), emptied with [`send`](Self::send), and
/// can then be used for the next socket. Pages of files are held, not copied: one that is changed before it is sent is
/// sent changed.
#[derive(Debug)]
pub struct Pipe {
    entry: OwnedFd,
    exit: OwnedFd,
    held: usize,
}

impl Pipe {
    /// Makes an empty one with room for a mebibyte; each part takes whole pages of it. It takes two descriptors.
    ///
    /// # Errors
    ///
    /// What the system says, which lets a user without privileges have only some memory in pipes
    /// (`/proc/sys/fs/pipe-user-pages-soft`) and in each one (`/proc/sys/fs/pipe-max-size`).
    pub fn new() -> io::Result<Self> {
        let (exit, entry) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        fcntl_setpipe_size(&entry, ROOM)?;
        Ok(Self { entry, exit, held: 0 })
    }

    /// The bytes in it.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// Adds as many of `bytes` as it has room for.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when it is full, and whatever else the system says.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = rustix::io::write(&self.entry, bytes)?;
        self.held += n;
        Ok(n)
    }

    /// Adds as many of the `count` bytes of `file` from `offset` on as it has room for; 0 means that the file ends there.
    /// The file is read, so this may wait for a disk.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when it is full;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for files that cannot be sent this way; whatever else the system says.
    pub fn push_file(&mut self, file: &File, offset: u64, count: usize) -> io::Result<usize> {
        let mut offset = offset;
        let n = splice(
            file,
            Some(&mut offset),
            &self.entry,
            None,
            count,
            SpliceFlags::NONBLOCK,
        )?;
        self.held += n;
        Ok(n)
    }

    /// Sends as much of what it holds as the socket takes; with `more`, the system may hold the end back a moment, to send
    /// it together with what follows. The socket must be in non-blocking mode.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the socket takes nothing, or the pipe is empty, and whatever else
    /// the system says.
    pub fn send(&mut self, socket: BorrowedFd<'_>, more: bool) -> io::Result<usize> {
        let mut flags = SpliceFlags::NONBLOCK;
        flags.set(SpliceFlags::MORE, more);
        let n = splice(&self.exit, None, socket, None, self.held, flags)?;
        self.held -= n;
        Ok(n)
    }
}

/// As much as the system lets everybody have in one pipe by default.
const ROOM: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn file(content: &[u8]) -> File {
        let path = std::env::temp_dir().join(format!("spark-rpc-net-pipe-{}", fresh_name()));
        File::create_new(&path).unwrap().write_all(content).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    }

    fn fresh_name() -> String {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    #[test]
    fn parts_of_files_and_bytes_between_them_arrive_in_order() {
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let (one, two) = (file(b"0123456789"), file(b"abcdefghij"));
        let mut pipe = Pipe::new().unwrap();
        assert_eq!(pipe.push(b"head ").unwrap(), 5);
        assert_eq!(pipe.push_file(&one, 3, 4).unwrap(), 4);
        assert_eq!(pipe.push(b" and ").unwrap(), 5);
        assert_eq!(pipe.push_file(&two, 8, 100).unwrap(), 2, "the file ends there");
        assert_eq!(pipe.push_file(&two, 10, 100).unwrap(), 0);
        assert_eq!(pipe.held(), 16);
        while pipe.held() > 0 {
            pipe.send(near.as_fd(), false).unwrap();
        }
        drop(near);
        let mut got = String::new();
        far.read_to_string(&mut got).unwrap();
        assert_eq!(got, "head 3456 and ij");
    }

    #[test]
    fn a_full_pipe_says_so_and_goes_on_when_it_has_been_emptied() {
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        let long = file(&[7; 4 << 20]);
        let mut pipe = Pipe::new().unwrap();
        let (mut pushed, mut sent, mut got) = (0, 0, 0);
        let mut rounds = 0;
        while sent < 4 << 20 {
            while pushed < 4 << 20 {
                match pipe.push_file(&long, pushed as u64, (4 << 20) - pushed) {
                    Ok(n) => pushed += n,
                    Err(full) => {
                        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
                        assert_eq!(pipe.push(b"x").unwrap_err().kind(), io::ErrorKind::WouldBlock);
                        rounds += 1;
                        break;
                    }
                }
            }
            while pipe.held() > 0 {
                match pipe.send(near.as_fd(), false) {
                    Ok(n) => sent += n,
                    Err(full) => assert_eq!(full.kind(), io::ErrorKind::WouldBlock),
                }
                let mut space = vec![0; 64 << 10];
                while let Ok(n) = far.read(&mut space) {
                    assert!(space[..n].iter().all(|byte| *byte == 7));
                    got += n;
                }
            }
        }
        assert_eq!((pushed, got), (4 << 20, 4 << 20));
        assert!(rounds >= 3, "it holds a mebibyte");
    }

    #[test]
    fn a_socket_whose_reader_is_gone_fails() {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        drop(far);
        let mut pipe = Pipe::new().unwrap();
        pipe.push(b"x").unwrap();
        let gone = pipe.send(near.as_fd(), false).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(pipe.held(), 1);
    }
}
