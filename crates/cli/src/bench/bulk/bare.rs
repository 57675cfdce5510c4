//! The yardstick: a loop around `sendfile` and a loop around `read`, on blocking sockets.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use spark_rpc::transport::TransportConf;
use spark_rpc::{Network, SocketOptions, Stream, TcpNetwork};

use crate::exit::Failure;

/// Sends `file` to everybody who connects, each time that he asks; returns the port.
pub(crate) async fn serve(file: Arc<File>, length: u64, conf: &TransportConf) -> io::Result<u16> {
    let mut listener = TcpNetwork.bind("127.0.0.1", 0, &options(conf)).await?;
    let port = listener.port();
    tokio::spawn(async move {
        while let Ok(stream) = listener.accept().await {
            let file = Arc::clone(&file);
            // Ends with the connection, or with the process.
            std::thread::spawn(move || send_on_demand(&blocking(&*stream)?, &file, length));
        }
    });
    Ok(port)
}

/// The reading side.
pub(crate) struct Bare {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Bare {
    pub(crate) async fn connect(port: u16, conf: &TransportConf) -> Result<Self, Failure> {
        let stream = TcpNetwork.connect("127.0.0.1", port, &options(conf)).await;
        let socket = stream.and_then(|stream| blocking(&*stream));
        Ok(Self {
            socket: socket.map_err(Failure::no)?,
            buffer: vec![0; PIECE],
        })
    }

    /// Asks for the file and reads its `length` bytes. Blocks.
    pub(crate) fn download(&mut self, length: u64) -> io::Result<()> {
        self.socket.write_all(b"?")?;
        let mut missing = length;
        while missing > 0 {
            let most = PIECE.min(usize::try_from(missing).unwrap_or(PIECE));
            let read = self.socket.read(&mut self.buffer[..most])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            missing -= read as u64;
        }
        Ok(())
    }
}

fn send_on_demand(mut socket: &TcpStream, file: &File, length: u64) -> io::Result<()> {
    let mut demand = [0];
    while socket.read(&mut demand)? == 1 {
        send(socket, file, length)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn send(socket: &TcpStream, file: &File, length: u64) -> io::Result<()> {
    let mut offset = 0;
    while let Ok(missing) = usize::try_from(length - offset as u64)
        && missing > 0
    {
        nix::sys::sendfile::sendfile64(socket, file, Some(&mut offset), missing.min(PIECE))?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn send(mut socket: &TcpStream, mut file: &File, _: u64) -> io::Result<()> {
    io::Seek::rewind(&mut file)?;
    io::copy(&mut file, &mut socket).map(drop)
}

/// The same socket with blocking calls. What made it is no longer used.
fn blocking(stream: &dyn Stream) -> io::Result<TcpStream> {
    let socket = stream.as_fd().ok_or(io::ErrorKind::Unsupported)?;
    let socket = TcpStream::from(socket.try_clone_to_owned()?);
    socket.set_nonblocking(false)?;
    Ok(socket)
}

fn options(conf: &TransportConf) -> SocketOptions {
    SocketOptions {
        receive_buffer: conf.receive_buffer,
        send_buffer: conf.send_buffer,
        congestion: conf.congestion.clone(),
        ..SocketOptions::default()
    }
}

/// Bytes of one call.
const PIECE: usize = 1 << 20;
