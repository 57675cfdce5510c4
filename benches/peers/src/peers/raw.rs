//! What the sockets themselves allow, and in one process what a shared vector allows: no framework at all.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};

use crate::Outcome;
use crate::counter::Counter;
use crate::drive::{Asker, BURST, Sender, TIMED_EVERY};
use crate::meter::Meter;
use crate::payload::Payload;

/// A frame is its own length (8 bytes), the id (4 bytes), and the content.
const HEADER: usize = 12;
/// Set in the ids of one-way messages.
const ONE_WAY: u32 = 1 << 31;
const BUFFER: usize = 256 << 10;

fn append(out: &mut Vec<u8>, id: u32, content: &[u8]) {
    out.extend_from_slice(&((HEADER + content.len()) as u64).to_be_bytes());
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(content);
}

/// Reads frames, as many as there are at once.
struct Frames {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How long it keeps trying before it sleeps.
    poll: Duration,
}

impl Frames {
    fn new(poll: Duration) -> Self {
        Self {
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            poll,
        }
    }

    /// One read from the socket; `false` when it has ended.
    async fn read(&mut self, socket: &TcpStream) -> Outcome<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.end, 0);
        }
        let began = (!self.poll.is_zero()).then(Instant::now);
        loop {
            match socket.try_read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.end += read;
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            match began {
                Some(began) if began.elapsed() < self.poll => tokio::task::yield_now().await,
                _ => socket.readable().await?,
            }
        }
    }

    /// The next whole frame of what was read: its id and content.
    #[inline]
    fn next(&mut self) -> Option<(u32, &[u8])> {
        let held = &self.buffer[self.start..self.end];
        let len = u64::from_be_bytes(*held.first_chunk()?) as usize;
        let frame = held.get(..len)?;
        self.start += len;
        let id = u32::from_be_bytes(frame[8..HEADER].try_into().expect("four bytes"));
        Some((id, &frame[HEADER..]))
    }
}

/// Answers each frame with itself, all frames of one read with one write; counts one-way frames.
pub(crate) async fn serve(poll: Duration, received: Counter) -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(echo(socket, poll, received.clone()));
        }
    });
    Ok(address)
}

async fn echo(mut socket: TcpStream, poll: Duration, received: Counter) -> Outcome<()> {
    socket.set_nodelay(true)?;
    let mut frames = Frames::new(poll);
    let mut out = Vec::with_capacity(BUFFER);
    while frames.read(&socket).await? {
        out.clear();
        let mut told = 0;
        while let Some((id, content)) = frames.next() {
            if id & ONE_WAY == 0 {
                append(&mut out, id, content);
            } else {
                told += 1;
            }
        }
        received.add(told);
        socket.write_all(&out).await?;
    }
    Ok(())
}

/// One task that keeps `in_flight` questions under way, and asks all that one read has answered again with one write.
pub(crate) async fn ask(
    address: &str,
    poll: Duration,
    payload: Payload,
    in_flight: usize,
    meter: Arc<Meter>,
) -> Outcome<()> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    tokio::spawn(async move {
        let outcome = ask_until_over(&mut socket, poll, &payload, in_flight, &meter).await;
        meter.ended(outcome);
    });
    Ok(())
}

async fn ask_until_over(
    socket: &mut TcpStream,
    poll: Duration,
    payload: &Payload,
    in_flight: usize,
    meter: &Meter,
) -> Outcome<()> {
    let mut frames = Frames::new(poll);
    let mut out = Vec::with_capacity(BUFFER);
    let mut asked = vec![Instant::now(); in_flight];
    for id in 0..in_flight {
        append(&mut out, u32::try_from(id)?, payload.as_slice());
    }
    let mut untimed = 0;
    while !meter.is_over() {
        socket.write_all(&out).await?;
        out.clear();
        while out.is_empty() {
            if !frames.read(socket).await? {
                return Err("the server has closed the connection".into());
            }
            let now = Instant::now();
            let mut answered = 0;
            while let Some((id, content)) = frames.next() {
                if content.len() != payload.as_slice().len() {
                    return Err("a reply differs from what was asked".into());
                }
                let asked = asked.get_mut(id as usize).ok_or("an answer to nothing")?;
                untimed += 1;
                if untimed == TIMED_EVERY {
                    untimed = 0;
                    meter.record(now - *asked);
                }
                *asked = now;
                answered += 1;
                append(&mut out, id, payload.as_slice());
            }
            meter.add(answered);
        }
    }
    Ok(())
}

/// Sends frames until the meter says that it is over, a burst with each write.
pub(crate) async fn send(address: &str, payload: Payload, meter: Arc<Meter>) -> Outcome<()> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    tokio::spawn(async move {
        let outcome = send_until_over(&mut socket, &payload, &meter).await;
        // Closes the connection only after the server has read everything.
        let _ = socket.shutdown().await;
        meter.ended(outcome);
    });
    Ok(())
}

async fn send_until_over(socket: &mut TcpStream, payload: &Payload, meter: &Meter) -> Outcome<()> {
    let mut out = Vec::with_capacity(BUFFER);
    while !meter.is_over() {
        out.clear();
        for _ in 0..BURST {
            append(&mut out, ONE_WAY, payload.as_slice());
        }
        socket.write_all(&out).await?;
        meter.add(BURST);
    }
    Ok(())
}

/// A vector behind a lock that its only consumer takes whole: the least that a mailbox can be.
#[derive(Clone)]
pub(crate) struct Mailbox(Arc<Shared>);

struct Shared {
    waiting: Mutex<Vec<Item>>,
    wake: Notify,
}

enum Item {
    Told(Payload),
    Asked(Payload, oneshot::Sender<Payload>),
}

pub(crate) fn local(received: Counter) -> Mailbox {
    let mailbox = Mailbox(Arc::new(Shared {
        waiting: Mutex::new(Vec::new()),
        wake: Notify::new(),
    }));
    let shared = Arc::clone(&mailbox.0);
    tokio::spawn(async move {
        let mut taken = Vec::new();
        loop {
            std::mem::swap(
                &mut taken,
                &mut shared.waiting.lock().unwrap_or_else(PoisonError::into_inner),
            );
            if taken.is_empty() {
                shared.wake.notified().await;
                continue;
            }
            for item in taken.drain(..) {
                match item {
                    Item::Told(payload) => {
                        std::hint::black_box(payload);
                        received.add(1);
                    }
                    // Fails when the asker has been ended, which only happens when all is over.
                    Item::Asked(payload, reply) => drop(reply.send(payload)),
                }
            }
            tokio::task::coop::consume_budget().await;
        }
    });
    mailbox
}

impl Mailbox {
    #[inline]
    fn put(&self, item: Item) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(item);
        let first = waiting.len() == 1;
        drop(waiting);
        if first {
            self.0.wake.notify_one();
        }
    }
}

impl Asker for Mailbox {
    async fn ask(&mut self, payload: &Payload) -> Outcome<Payload> {
        let (reply, answer) = oneshot::channel();
        self.put(Item::Asked(payload.clone(), reply));
        Ok(answer.await?)
    }
}

impl Sender for Mailbox {
    async fn burst(&mut self, payload: &Payload, count: u64) -> Outcome<()> {
        for _ in 0..count {
            self.put(Item::Told(payload.clone()));
        }
        Ok(())
    }
}
