//! What can be set about the in-memory network, a link and a crash.

use std::ops::Range;
use std::time::Duration;

/// Settings of a [`MemoryNetwork`](crate::MemoryNetwork).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemorySettings {
    /// How many bytes of one direction may be sent and not yet read by the peer; default 64 KiB, at least 1.
    pub send_buffer: usize,
    /// The largest segment in bytes; default 8 KiB, at least 1. Each segment's size is drawn from 1 up to it.
    pub max_segment: usize,
    /// The link between hosts that [`set_link`](crate::MemoryNetwork::set_link) says nothing about.
    pub link: Link,
    /// Whether connections across a partition are reset when it heals, as by a firewall that lost its state; default
    /// false: they go on.
    pub reset_on_heal: bool,
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self {
            send_buffer: 64 << 10,
            max_segment: 8 << 10,
            link: Link::default(),
            reset_on_heal: false,
        }
    }
}

/// How fast bytes go between two hosts, alike in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The range from which the latency of each segment is drawn; default 1 to 5 ms. Segments of one direction of a
    /// connection never overtake each other. Tokio's timers, and so arrivals, have a resolution of 1 ms.
    pub latency: Range<Duration>,
    /// The throughput per direction, shared by all connections between the two hosts; `None`, the default, is no limit.
    pub bytes_per_second: Option<u64>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(1)..Duration::from_millis(5),
            bytes_per_second: None,
        }
    }
}

impl Link {
    /// A link without latency and limit, as between a host and itself.
    pub const INSTANT: Self = Self {
        latency: Duration::ZERO..Duration::ZERO,
        bytes_per_second: None,
    };

    /// A link on which every segment takes `latency`.
    pub fn fixed(latency: Duration) -> Self {
        Self {
            latency: latency..latency,
            bytes_per_second: None,
        }
    }
}

/// What the rest of the network notices of a host's crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// After which delay its peers' connections are reset; with `None` they hear nothing, until the host is back and
    /// answers their next bytes with a reset.
    pub peers_see_reset: Option<Duration>,
    /// Whether connecting to it is refused; otherwise it hangs, until the host is back.
    pub refuse_connects: bool,
}

impl Crash {
    /// A process that dies while its machine lives on: the kernel resets its connections and refuses new ones.
    pub const PROCESS: Self = Self {
        peers_see_reset: Some(Duration::ZERO),
        refuse_connects: true,
    };

    /// A machine that loses its power: silence.
    pub const POWER_LOSS: Self = Self {
        peers_see_reset: None,
        refuse_connects: false,
    };
}
