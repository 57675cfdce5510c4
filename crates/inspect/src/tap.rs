//! Sits between two peers, passes everything on and says what it was.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use spark_rpc_wire::MessageType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::cutter::Cutter;
use crate::direction::Direction;
use crate::event::{Event, What};
use crate::outlet::Outlet;
use crate::watch::Watch;

/// Passes connections on to another address, and tells what went over them.
///
/// The bytes are passed on as they came. Whoever takes the events may be slow: an [`Outlet`] does not wait for them. What is
/// malformed, encrypted or of another protocol is passed on like everything else.
///
/// # Examples
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// use spark_rpc_inspect::{Tap, outlet};
///
/// let (outlet, inlet) = outlet(1000, 16 << 20);
/// std::thread::spawn(move || while let Some(taken) = inlet.wait() { println!("{taken:?}") });
///
/// let tap = Tap::bind("127.0.0.1:7078", "10.0.0.1:7077").await?;
/// let stop = std::future::pending(); // Ctrl-C, for instance
/// let totals = tap.run(vec![outlet], stop).await;
/// println!("{} connections", totals.connections);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Tap {
    listener: TcpListener,
    to: String,
}

/// What has passed a tap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections that were passed on.
    pub connections: u64,
    /// Connections that could not be.
    pub unreachable: u64,
    /// Frames to the server and to the client.
    pub frames: [u64; 2],
    /// Bytes to the server and to the client.
    pub bytes: [u64; 2],
    /// Frames of each type, in the order of [`MessageType::ALL`].
    pub types: [u64; 13],
}

impl Totals {
    /// Returns the types that occurred, and how often.
    pub fn by_type(&self) -> impl Iterator<Item = (MessageType, u64)> {
        let all = MessageType::ALL.into_iter().zip(self.types);
        all.filter(|(_, count)| *count > 0)
    }
}

/// Of longer frames only the beginning is looked at.
const KEEP: usize = 4 << 20;
/// How many connections there may be at the same time; others wait to be accepted.
const MOST_CONNECTIONS: usize = 1024;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const BUFFER: usize = 64 << 10;

impl Tap {
    /// Listens at one address, to connect those who come with another one.
    ///
    /// # Errors
    ///
    /// Returns what is in the way of listening.
    pub async fn bind(listen: &str, to: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        Ok(Self {
            listener,
            to: to.into(),
        })
    }

    /// Returns where it listens.
    ///
    /// # Errors
    ///
    /// Returns the operating system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Passes connections on until `stop` is ready, and then cuts those that are left.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts all connections; nothing goes on behind it.
    pub async fn run(self, outlets: Vec<Outlet>, stop: impl Future<Output = ()>) -> Totals {
        let shared = Arc::new(Shared {
            to: self.to,
            began: Instant::now(),
            outlets,
            totals: Counters::default(),
        });
        // Dropping the set aborts its tasks.
        let mut connections = JoinSet::new();
        tokio::select! {
            () = accept(&self.listener, &shared, &mut connections) => {}
            () = stop => {}
        }
        connections.shutdown().await;
        shared.totals.read()
    }
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>, connections: &mut JoinSet<()>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    for number in 1.. {
        let permit = Arc::clone(&room).acquire_owned().await;
        let (client, from) = loop {
            // What has ended is taken out, or the set would only grow.
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok(accepted) => break accepted,
                // There are too many files, for instance. Others may close some.
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        };
        let shared = Arc::clone(shared);
        connections.spawn(async move {
            shared.connection(number, client, from).await;
            drop(permit);
        });
    }
}

struct Shared {
    to: String,
    began: Instant,
    outlets: Vec<Outlet>,
    totals: Counters,
}

#[derive(Default)]
struct Counters {
    connections: AtomicU64,
    unreachable: AtomicU64,
    frames: [AtomicU64; 2],
    bytes: [AtomicU64; 2],
    types: [AtomicU64; 13],
}

/// Why a connection ends for both sides at once: somebody tore it.
struct Torn;

impl Shared {
    fn tell(&self, connection: u64, what: What) {
        let event = Event {
            connection,
            at: self.began.elapsed(),
            what,
        };
        for outlet in &self.outlets {
            outlet.offer(&event);
        }
    }

    async fn connection(&self, number: u64, mut client: TcpStream, from: SocketAddr) {
        let connected = match timeout(CONNECT_LIMIT, TcpStream::connect(&self.to)).await {
            Ok(connected) => connected,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "no answer within ten seconds",
            )),
        };
        let mut server = match connected {
            Ok(server) => server,
            Err(error) => {
                self.totals.unreachable.fetch_add(1, Ordering::Relaxed);
                let why = format!("{}: {error}", self.to);
                let from = from.to_string();
                self.tell(number, What::Unreachable { from, why });
                return;
            }
        };
        // Spark does so at its ends; in the middle it matters no less.
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        self.totals.connections.fetch_add(1, Ordering::Relaxed);
        let to = server
            .peer_addr()
            .map_or_else(|_| self.to.clone(), |to| to.to_string());
        let from = from.to_string();
        self.tell(number, What::Opened { from, to });

        let watch = Mutex::new(Watch::new());
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        // One side may end its half while the other one still has to say something; but who tears it tears both.
        let _ = tokio::try_join!(
            self.half(number, Direction::ToServer, from_client, to_server, &watch),
            self.half(number, Direction::ToClient, from_server, to_client, &watch),
        );
        self.tell(number, What::Closed);
    }

    async fn half(
        &self,
        number: u64,
        direction: Direction,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        watch: &Mutex<Watch>,
    ) -> Result<(), Torn> {
        let mut cutter = Cutter::new(direction, KEEP);
        let mut buffer = vec![0; BUFFER];
        let index = direction.index();
        let error = loop {
            let length = match from.read(&mut buffer).await {
                Ok(0) => break None,
                Ok(length) => length,
                Err(error) => break Some(error),
            };
            self.totals.bytes[index].fetch_add(length as u64, Ordering::Relaxed);
            {
                // Before the bytes are passed on, so that an answer to them is told behind them.
                let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
                cutter.feed(&buffer[..length], &mut watch, &mut |piece| {
                    let what = What::of(direction, piece);
                    self.totals.count(&what);
                    self.tell(number, what);
                });
            }
            if let Err(error) = to.write_all(&buffer[..length]).await {
                break Some(error);
            }
        };
        {
            let watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
            cutter.finish(&watch, &mut |piece| self.tell(number, What::of(direction, piece)));
        }
        let ended = What::Ended {
            direction,
            offset: cutter.offset(),
            error: error.as_ref().map(ToString::to_string),
        };
        self.tell(number, ended);
        match error {
            Some(_) => Err(Torn),
            // Whoever is at the other end may be gone already.
            None => to.shutdown().await.map_err(|_| Torn),
        }
    }
}

impl Counters {
    fn count(&self, what: &What) {
        let What::Frame { direction, excerpt } = what else {
            return;
        };
        self.frames[direction.index()].fetch_add(1, Ordering::Relaxed);
        let kind = excerpt
            .data
            .first()
            .and_then(|id| MessageType::from_id(*id as i8));
        if let Some(kind) = kind {
            self.types[kind.id() as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Totals {
        let all = |counters: &[AtomicU64; 2]| counters.each_ref().map(|one| one.load(Ordering::Relaxed));
        Totals {
            connections: self.connections.load(Ordering::Relaxed),
            unreachable: self.unreachable.load(Ordering::Relaxed),
            frames: all(&self.frames),
            bytes: all(&self.bytes),
            types: self.types.each_ref().map(|one| one.load(Ordering::Relaxed)),
        }
    }
}
