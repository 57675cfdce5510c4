//! Calls on a bare socket, for files that go from the page cache to the network without passing through this process.
//!
//! They are made on the descriptor that [`Stream::as_fd`](crate::Stream::as_fd) lends, or on a duplicate of it.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, send, sockopt};

/// Sends what the socket takes of `bytes` without waiting; with `more`, the system may hold them back a moment, to send
/// them together with what follows.
///
/// # Errors
///
/// [`WouldBlock`](io::ErrorKind::WouldBlock) when the socket takes nothing, and whatever else the system says.
pub fn send_bytes(socket: BorrowedFd<'_>, bytes: &[u8], more: bool) -> io::Result<usize> {
    let mut flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    flags.set(SendFlags::MORE, more);
    Ok(send(socket, bytes, flags)?)
}

/// Sends what the socket takes of the `count` bytes of `file` from `offset` on (`sendfile`); 0 means that the file ends
/// there. The socket must be in non-blocking mode; the file is read, so this may wait for a disk.
///
/// # Errors
///
/// [`WouldBlock`](io::ErrorKind::WouldBlock) when the socket takes nothing;
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for files that cannot be sent this way; whatever else the system says.
pub fn send_file(socket: BorrowedFd<'_>, file: &File, offset: u64, count: usize) -> io::Result<usize> {
    let mut offset = offset;
    Ok(rustix::fs::sendfile(socket, file, Some(&mut offset), count)?)
}

/// Whether the socket's congestion control paces what it sends by the rate that it has measured, as BBR does.
#[must_use]
pub fn is_paced(socket: BorrowedFd<'_>) -> bool {
    // Sockets other than TCP's have none.
    sockopt::tcp_congestion(socket).is_ok_and(|name| name.starts_with("bbr"))
}

/// Waits up to `limit` until the socket takes bytes again; returns whether it does, or has failed, which the next call
/// on it will tell.
///
/// # Errors
///
/// What the system says.
pub fn wait_for_room(socket: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    let limit = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    let ready = poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(&limit));
    match ready {
        Err(rustix::io::Errno::INTR) => Ok(false),
        ready => Ok(ready? > 0),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (UnixStream, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        (near, far)
    }

    #[test]
    fn sockets_say_whether_they_are_paced() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = socket2::SockRef::from(&listener);
        for (name, paced) in [("reno", false), ("bbr", true)] {
            // What an unprivileged process may choose differs from system to system.
            if socket.set_tcp_congestion(name.as_bytes()).is_ok() {
                assert_eq!(is_paced(listener.as_fd()), paced);
            }
        }
        assert!(!is_paced(pair().0.as_fd()));
    }

    #[test]
    fn a_part_of_a_file_follows_the_bytes_sent_before_it() {
        let path = std::env::temp_dir().join(format!("spark-rpc-net-send-{}", std::process::id()));
        File::create(&path).unwrap().write_all(b"0123456789").unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (near, mut far) = pair();
        assert_eq!(send_bytes(near.as_fd(), b"head", true).unwrap(), 4);
        assert_eq!(send_file(near.as_fd(), &file, 3, 4).unwrap(), 4);
        assert_eq!(
            send_file(near.as_fd(), &file, 8, 100).unwrap(),
            2,
            "the file ends there"
        );
        assert_eq!(send_file(near.as_fd(), &file, 10, 100).unwrap(), 0);
        drop(near);
        let mut got = String::new();
        far.read_to_string(&mut got).unwrap();
        assert_eq!(got, "head345689");
    }

    #[test]
    fn a_full_socket_says_so_until_its_reader_makes_room() {
        let (near, mut far) = pair();
        let full = loop {
            if let Err(error) = send_bytes(near.as_fd(), &[7; 4096], false) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        assert!(!wait_for_room(near.as_fd(), Duration::from_millis(1)).unwrap());
        far.set_nonblocking(true).unwrap();
        let mut read = vec![0; 4096];
        while far.read(&mut read).is_ok() {}
        assert!(wait_for_room(near.as_fd(), Duration::from_secs(60)).unwrap());
    }

    #[test]
    fn a_socket_whose_reader_is_gone_fails_and_raises_no_signal() {
        let (near, far) = pair();
        drop(far);
        let gone = send_bytes(near.as_fd(), b"x", false).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
        assert!(wait_for_room(near.as_fd(), Duration::from_secs(60)).unwrap());
    }
}
