//! One end of a connection, as its owner holds it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use spark_rpc_net::{SocketName, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Shared;

pub(super) struct MemoryStream {
    shared: Arc<Shared>,
    connection: u64,
    end: usize,
    local: SocketName,
    peer: SocketName,
}

impl MemoryStream {
    pub(super) fn new(shared: Arc<Shared>, connection: u64, end: usize) -> Self {
        let (local, peer) = shared.core.with(|state, _| state.names(connection, end));
        Self {
            shared,
            connection,
            end,
            local,
            peer,
        }
    }
}

impl Stream for MemoryStream {
    fn peer(&self) -> SocketName {
        self.peer.clone()
    }

    fn local(&self) -> SocketName {
        self.local.clone()
    }

    fn reset_on_drop(&mut self) -> io::Result<()> {
        self.shared
            .core
            .with(|state, _| state.reset_on_drop(self.connection, self.end));
        Ok(())
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.shared
            .core
            .with(|state, now| state.poll_read(now, self.connection, self.end, cx, buf))
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.shared
            .core
            .with(|state, now| state.poll_write(now, self.connection, self.end, cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(
            self.shared
                .core
                .with(|state, now| state.shut_down(now, self.connection, self.end)),
        )
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.shared
            .core
            .with(|state, now| state.drop_end(now, self.connection, self.end));
    }
}

impl fmt::Debug for MemoryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MemoryStream(#{}, {} to {})",
            self.connection, self.local, self.peer
        )
    }
}
