//! An in-memory network of named hosts, with faults, on virtual time.
//!
//! One plain [`State`] behind one lock holds everything; `state.rs` is what hosts and listeners do to it,
//! `connection.rs` what streams do, `delivery.rs` how segments travel, `faults.rs` what goes wrong. One task per
//! network lets things arrive when they are due.

mod connection;
mod delivery;
mod faults;
mod host;
mod settings;
mod state;
mod stream;
mod trace;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

pub use host::Host;
pub use settings::{Crash, Link, MemorySettings};
use state::State;
pub use trace::{Counters, Happening, TraceEvent};

/// A network of named hosts in memory.
///
/// Everything random is drawn from one seed: latencies, and where the bytes are split into segments. On tokio's
/// current-thread runtime with paused time a seed therefore means one course of events, down to the last segment,
/// as long as the code under test is itself free of other sources of chance. `tokio::select!` without `biased` is
/// one, and so is iterating a `HashMap`.
///
/// Faults go by host name; a [`Host`] serves as its name. All take effect at once and none waits.
///
/// # Examples
///
/// ```
/// use spark_rpc_net::{Network, SocketOptions};
/// use spark_rpc_testkit::MemoryNetwork;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> std::io::Result<()> {
/// let net = MemoryNetwork::new(42);
/// let (a, b) = (net.host("a"), net.host("b"));
/// let options = SocketOptions::default();
///
/// let mut listener = b.bind("b", 7077, &options).await?;
/// let mut client = a.connect("b", 7077, &options).await?;
/// let mut server = listener.accept().await?;
///
/// client.write_u8(1).await?;
/// net.partition(&[&a], &[&b]);
/// // Nothing arrives now, for as long as virtual time may run.
/// net.heal();
/// assert_eq!(server.read_u8().await?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryNetwork {
    shared: Arc<Shared>,
    seed: u64,
}

impl MemoryNetwork {
    /// Creates a network without hosts, with default settings.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with time enabled.
    pub fn new(seed: u64) -> Self {
        Self::with_settings(seed, MemorySettings::default())
    }

    /// Creates a network without hosts.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with time enabled.
    pub fn with_settings(seed: u64, settings: MemorySettings) -> Self {
        let core = Arc::new(Core {
            state: Mutex::new(State::new(seed, settings, Instant::now())),
            earlier: Notify::new(),
        });
        let driver = tokio::spawn(drive(core.clone())).abort_handle();
        Self {
            shared: Arc::new(Shared { core, driver }),
            seed,
        }
    }

    /// Returns the seed, for the message of a failing test.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns a host, added to the network by its first mention.
    ///
    /// The value stands for the host as it is now: after a [`crash`](Self::crash) it can neither bind nor connect any
    /// more, and a [`restart`](Self::restart) gives a new one. So nothing that outlives its host by mistake can meddle.
    pub fn host(&self, name: &str) -> Host {
        let (name, boot) = self.with(|state, _| state.host(name));
        Host::new(self.shared.clone(), name, boot)
    }

    /// Sets how fast bytes go between two hosts, or between a host and itself, from the next segment on.
    ///
    /// # Panics
    ///
    /// Panics if there is no such host.
    pub fn set_link(&self, a: impl AsRef<str>, b: impl AsRef<str>, link: Link) {
        self.with(|state, _| state.set_link(a.as_ref(), b.as_ref(), link));
    }

    /// Lets nothing pass between the hosts on the left and those on the right, until [`heal`](Self::heal).
    ///
    /// What is on its way is held back. So are connects, as a SYN that is sent again and again.
    ///
    /// # Panics
    ///
    /// Panics if there is no such host.
    pub fn partition(&self, left: &[impl AsRef<str>], right: &[impl AsRef<str>]) {
        let left: Vec<&str> = left.iter().map(AsRef::as_ref).collect();
        let right: Vec<&str> = right.iter().map(AsRef::as_ref).collect();
        self.with(|state, now| state.partition(now, &left, &right));
    }

    /// Ends all partitions. What was held back arrives after a new latency, or, with
    /// [`reset_on_heal`](MemorySettings::reset_on_heal), its connections are reset.
    pub fn heal(&self) {
        self.with(State::heal);
    }

    /// Resets all connections between two hosts, at both ends and now. What is on its way is lost.
    ///
    /// # Panics
    ///
    /// Panics if there is no such host.
    pub fn cut(&self, a: impl AsRef<str>, b: impl AsRef<str>) {
        self.with(|state, now| state.cut(now, a.as_ref(), b.as_ref()));
    }

    /// Takes a host down: its listeners are gone, its connections fail with
    /// [`ConnectionAborted`](std::io::ErrorKind::ConnectionAborted), and its peers notice what `crash` says.
    ///
    /// Its tasks run on unless the test aborts them, but no longer reach anybody.
    ///
    /// # Panics
    ///
    /// Panics if there is no such host.
    pub fn crash(&self, host: impl AsRef<str>, crash: Crash) {
        self.with(|state, now| state.crash(now, host.as_ref(), crash));
    }

    /// Brings a crashed host back, without listeners and connections.
    ///
    /// Whoever still talks to it over an old connection is answered with a reset.
    ///
    /// # Panics
    ///
    /// Panics if there is no such host, or if it has not crashed.
    pub fn restart(&self, host: impl AsRef<str>) -> Host {
        self.with(|state, now| state.restart(now, host.as_ref()));
        self.host(host.as_ref())
    }

    /// Returns what happened, in order: the last 65 536 events.
    pub fn trace(&self) -> Vec<TraceEvent> {
        self.with(|state, _| state.trace().to_vec())
    }

    /// Returns a digest of everything that happened, beyond what [`trace`](Self::trace) keeps.
    ///
    /// Equal for two runs of one build exactly if their events were (but for chance 2⁻⁶⁴).
    pub fn trace_digest(&self) -> u64 {
        self.with(|state, _| state.trace().digest())
    }

    /// Returns the totals so far.
    pub fn counters(&self) -> Counters {
        self.with(|state, _| state.counters)
    }

    /// Returns how many connections there are, connecting ones and those with one end left included.
    pub fn open_connections(&self) -> usize {
        self.with(|state, _| state.connections.len())
    }

    fn with<R>(&self, change: impl FnOnce(&mut State, Instant) -> R) -> R {
        self.shared.core.with(change)
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryNetwork")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// What networks, hosts, listeners and streams hold; the driver ends with the last of them.
struct Shared {
    core: Arc<Core>,
    driver: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

struct Core {
    state: Mutex<State>,
    /// Tells the driver that something is due before what it waits for.
    earlier: Notify,
}

impl Core {
    /// Runs `change` on the state, then wakes whom it concerns.
    fn with<R>(&self, change: impl FnOnce(&mut State, Instant) -> R) -> R {
        let (result, wakes, earlier) = {
            // A panic in a test leaves nothing half done that another test would see.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let before = state.next_due();
            let result = change(&mut state, Instant::now());
            let earlier = state
                .next_due()
                .is_some_and(|after| before.is_none_or(|before| after < before));
            (result, std::mem::take(&mut state.wakes), earlier)
        };
        if earlier {
            self.earlier.notify_one();
        }
        for waker in wakes {
            waker.wake();
        }
        result
    }
}

/// Lets things arrive when they are due, until it is aborted.
async fn drive(core: Arc<Core>) {
    loop {
        let next = core.with(|state, now| {
            state.handle_due(now);
            state.next_due()
        });
        match next {
            // Either way there is something to look at.
            Some(next) => drop(timeout_at(next, core.earlier.notified()).await),
            None => core.earlier.notified().await,
        }
    }
}
