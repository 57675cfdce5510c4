//! A peer that does what a test tells it to, right or wrong.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use spark_rpc_net::{Listener, Network, SocketOptions, Stream};
use spark_rpc_wire::{Event, FrameDecoder, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// The other end of a connection, speaking raw frames as a test says.
///
/// It neither answers nor checks anything on its own. What a test expects and does not get is a panic that says what
/// came instead; nothing is waited for longer than the [patience](Self::set_patience), 10 s of tokio's time by default.
///
/// # Examples
///
/// ```
/// use spark_rpc_net::{Network, SocketOptions};
/// use spark_rpc_testkit::{Ending, MemoryNetwork, ScriptedPeer};
/// use spark_rpc_wire::{Message, RequestId, RpcRequest, RpcResponse};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> std::io::Result<()> {
/// let net = MemoryNetwork::new(42);
/// let (a, b) = (net.host("a"), net.host("b"));
/// let mut listener = b.bind("b", 7077, &SocketOptions::default()).await?;
/// let mut client = ScriptedPeer::connect(&a, "b", 7077).await;
/// let mut server = ScriptedPeer::accept(&mut *listener).await;
///
/// client.send(RpcRequest { request_id: RequestId(7), body: "ping".into() }).await;
/// let Message::RpcRequest(request) = server.expect_frame().await else { panic!() };
/// server.send(RpcResponse { request_id: request.request_id, body: "pong".into() }).await;
/// server.close();
///
/// let Message::RpcResponse(response) = client.expect_frame().await else { panic!() };
/// assert_eq!(response.body, "pong");
/// assert_eq!(client.expect_close().await, Ending::Closed);
/// # Ok(())
/// # }
/// ```
pub struct ScriptedPeer {
    stream: Box<dyn Stream>,
    decoder: FrameDecoder,
    /// Bytes that have been read and not yet been decoded.
    input: BytesMut,
    /// How many bytes of a raw body are still to come.
    body: u64,
    patience: Duration,
}

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The other side closed it in order.
    Closed,
    /// The other side reset it, or a fault of the network did.
    Reset,
}

impl ScriptedPeer {
    /// Takes over a connection.
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            decoder: FrameDecoder::new(FrameDecoder::DEFAULT_MAX_FRAME),
            input: BytesMut::new(),
            body: 0,
            patience: PATIENCE,
        }
    }

    /// Connects to `host:port`.
    ///
    /// # Panics
    ///
    /// Panics if that fails or takes longer than 10 s.
    pub async fn connect(network: &dyn Network, host: &str, port: u16) -> Self {
        let options = SocketOptions::default();
        match timeout(PATIENCE, network.connect(host, port, &options)).await {
            Ok(Ok(stream)) => Self::new(stream),
            Ok(Err(e)) => panic!("scripted peer: {e}"),
            Err(_) => panic!("scripted peer: cannot connect to {host}:{port} within {PATIENCE:?}"),
        }
    }

    /// Waits for the next connection of `listener`.
    ///
    /// # Panics
    ///
    /// Panics if there is none within 10 s.
    pub async fn accept(listener: &mut dyn Listener) -> Self {
        match timeout(PATIENCE, listener.accept()).await {
            Ok(Ok(stream)) => Self::new(stream),
            Ok(Err(e)) => panic!("scripted peer: cannot accept on port {}: {e}", listener.port()),
            Err(_) => panic!(
                "scripted peer: nobody came to port {} within {PATIENCE:?}",
                listener.port()
            ),
        }
    }

    /// Sets how long to wait for what is expected, and for room to send.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Returns the connection, for its names.
    pub fn stream(&self) -> &dyn Stream {
        &*self.stream
    }

    /// Waits for the next frame. A body behind it is then due by [`expect_body`](Self::expect_body).
    ///
    /// # Panics
    ///
    /// Panics if the connection ends first, if the bytes are no sound frame, or if they take too long.
    pub async fn expect_frame(&mut self) -> Message<Bytes> {
        assert!(
            self.body == 0,
            "{self:?}: expected a frame, but {} bytes of a body come first",
            self.body
        );
        loop {
            if let Some(message) = self.next_frame() {
                return message;
            }
            self.read_for("a frame").await;
        }
    }

    /// Waits for the whole raw body that the last frame announced; empty if it announced none.
    ///
    /// # Panics
    ///
    /// Panics if the connection ends first, or if the bytes take too long.
    pub async fn expect_body(&mut self) -> Bytes {
        let mut collected = BytesMut::new();
        while self.body > 0 {
            if self.input.is_empty() {
                self.read_for("the rest of a body").await;
            }
            let mut input = &self.input[..];
            let before = input.len();
            match self.decoder.next(&mut input) {
                Ok(Some(Event::Body { data, remaining })) => {
                    collected.extend_from_slice(&data);
                    self.body = remaining;
                }
                other => panic!("scripted peer: expected the rest of a body, but got {other:?}"),
            }
            let consumed = before - input.len();
            self.input.advance(consumed);
        }
        collected.freeze()
    }

    /// Waits for `length` bytes, whatever they are. Comes between frames, or instead of any.
    ///
    /// # Panics
    ///
    /// Panics in the middle of a frame, if the connection ends first, or if the bytes take too long.
    pub async fn expect_raw(&mut self, length: usize) -> Bytes {
        assert!(
            self.decoder.is_idle() && self.body == 0,
            "{self:?}: raw bytes in the middle of a frame"
        );
        while self.input.len() < length {
            self.read_for("raw bytes").await;
        }
        self.input.split_to(length).freeze()
    }

    /// Waits for the other side to end the connection, or its direction of it, and returns how it did.
    ///
    /// # Panics
    ///
    /// Panics if bytes come instead, if an end comes in the middle of a frame, or if none comes in time.
    pub async fn expect_close(&mut self) -> Ending {
        loop {
            if self.body > 0 && !self.input.is_empty() {
                panic!(
                    "{self:?}: expected the connection to end, but got {} bytes of a body",
                    self.input.len()
                );
            }
            if self.body == 0
                && let Some(message) = self.next_frame()
            {
                panic!("{self:?}: expected the connection to end, but got {message:?}");
            }
            match self.read("the connection's end").await {
                Ok(0) if self.decoder.is_idle() && self.body == 0 => return Ending::Closed,
                Ok(0) => panic!("{self:?}: the connection ended in the middle of a frame"),
                Ok(_) => {}
                Err(e) if is_reset(&e) => return Ending::Reset,
                Err(e) => panic!("{self:?}: expected the connection to end, but reading fails: {e}"),
            }
        }
    }

    /// Waits for `duration` and sees that nothing comes.
    ///
    /// # Panics
    ///
    /// Panics if anything does, an end included.
    pub async fn expect_silence(&mut self, duration: Duration) {
        assert!(
            self.input.is_empty(),
            "{self:?}: expected silence, but got {:?}",
            self.input
        );
        let Ok(result) = timeout(duration, self.stream.read_buf(&mut self.input)).await else {
            return;
        };
        panic!(
            "{self:?}: expected silence, but got {:?} ({result:?})",
            self.input
        );
    }

    /// Sends a message as a whole frame. Bodies that follow a frame go out by [`send_raw`](Self::send_raw).
    ///
    /// # Panics
    ///
    /// Panics if the message cannot be encoded, or if the connection does not take it in time.
    pub async fn send(&mut self, message: impl Into<Message<Bytes>>) {
        self.send_raw(encode(&message.into())).await;
    }

    /// Sends the first `length` bytes of a message's frame, and so leaves the other side waiting for the rest.
    ///
    /// # Panics
    ///
    /// Panics if the frame is not longer than that, and as [`send`](Self::send).
    pub async fn send_part(&mut self, message: impl Into<Message<Bytes>>, length: usize) {
        let frame = encode(&message.into());
        assert!(
            length < frame.len(),
            "{length} bytes are no part of a frame of {}",
            frame.len()
        );
        self.send_raw(&frame[..length]).await;
    }

    /// Sends a frame of any type and content, which need not exist or be sound.
    ///
    /// # Panics
    ///
    /// Panics if the connection does not take it in time.
    pub async fn send_frame(&mut self, message_type: i8, content: &[u8]) {
        self.send_length(1 + content.len() as i64).await;
        self.send_raw(message_type.to_be_bytes()).await;
        self.send_raw(content).await;
    }

    /// Sends a length field that announces `length` more bytes, whether they will come or not.
    ///
    /// The field itself holds 8 more, as in Spark's `TransportFrameDecoder`.
    ///
    /// # Panics
    ///
    /// Panics if the connection does not take it in time.
    pub async fn send_length(&mut self, length: i64) {
        self.send_raw(length.saturating_add(8).to_be_bytes()).await;
    }

    /// Sends any bytes.
    ///
    /// # Panics
    ///
    /// Panics if the connection does not take them in time.
    pub async fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        match timeout(self.patience, self.stream.write_all(bytes.as_ref())).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => panic!("{self:?}: cannot send: {e}"),
            Err(_) => panic!(
                "{self:?}: the other side has not taken the bytes within {:?}",
                self.patience
            ),
        }
    }

    /// Ends the sending direction and goes on receiving.
    ///
    /// # Panics
    ///
    /// Panics if the connection has failed.
    pub async fn half_close(&mut self) {
        if let Err(e) = self.stream.shutdown().await {
            panic!("{self:?}: cannot end the sending direction: {e}");
        }
    }

    /// Closes the connection. Bytes that have arrived unread make that a reset, as on any socket.
    pub fn close(self) {}

    /// Resets the connection.
    ///
    /// # Panics
    ///
    /// Panics if the kind of stream cannot do that.
    pub fn reset(mut self) {
        if let Err(e) = self.stream.reset_on_drop() {
            panic!("{self:?}: cannot reset: {e}");
        }
    }

    /// Takes a frame from what has been read.
    fn next_frame(&mut self) -> Option<Message<Bytes>> {
        let mut input = &self.input[..];
        let before = input.len();
        let message = match self.decoder.next(&mut input) {
            Ok(Some(Event::Frame(frame))) => match frame.clone().decode() {
                Ok(message) => Some(message.into_owned()),
                Err(e) => panic!("scripted peer: expected a frame, but got {frame:?}: {e}"),
            },
            Ok(None) => None,
            Ok(Some(body)) => panic!("scripted peer: expected a frame, but got {body:?}"),
            Err(e) => panic!("scripted peer: expected a frame, but got {:?}: {e}", self.input),
        };
        let consumed = before - input.len();
        self.input.advance(consumed);

        let announced = match &message {
            Some(Message::StreamResponse(response)) => response.byte_count,
            Some(Message::UploadStream(upload)) => upload.byte_count,
            _ => 0,
        };
        if announced > 0 {
            self.body = announced.unsigned_abs();
            self.decoder
                .expect_body(self.body)
                .expect("a frame has just been returned");
        }
        message
    }

    /// Reads some bytes that have to come.
    async fn read_for(&mut self, what: &str) {
        match self.read(what).await {
            Ok(0) => panic!("{self:?}: expected {what}, but the connection ended"),
            Ok(_) => {}
            Err(e) => panic!("{self:?}: expected {what}, but reading fails: {e}"),
        }
    }

    async fn read(&mut self, what: &str) -> io::Result<usize> {
        match timeout(self.patience, self.stream.read_buf(&mut self.input)).await {
            Ok(result) => result,
            Err(_) => panic!("{self:?}: waited {:?} in vain for {what}", self.patience),
        }
    }
}

impl fmt::Debug for ScriptedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ScriptedPeer({} to {})",
            self.stream.local(),
            self.stream.peer()
        )
    }
}

fn encode(message: &Message<Bytes>) -> Vec<u8> {
    let mut frame = Vec::new();
    match message.encode(&mut frame) {
        Ok(()) => frame,
        Err(e) => panic!("scripted peer: cannot encode {message:?}: {e}"),
    }
}

fn is_reset(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe)
}

const PATIENCE: Duration = Duration::from_secs(10);
