//! What can be seen of connections from between their ends.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cutter::{Excerpt, Piece};
use crate::direction::Direction;

/// Something that happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The connection's number; the first has 1.
    pub connection: u64,
    /// When, counted from the begin of the watch.
    #[serde(
        rename = "at_us",
        serialize_with = "write_time",
        deserialize_with = "read_time"
    )]
    pub at: Duration,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum What {
    /// A connection was opened on both sides.
    Opened {
        /// Who opened it.
        from: String,
        /// With whom it was connected.
        to: String,
    },
    /// Somebody came, but could not be connected.
    Unreachable {
        /// Who came.
        from: String,
        /// Why not.
        why: String,
    },
    /// A frame passed.
    Frame {
        /// Which way.
        direction: Direction,
        /// What of it was kept.
        #[serde(flatten)]
        excerpt: Excerpt,
    },
    /// The raw body behind a frame passed.
    Body {
        /// Which way.
        direction: Direction,
        /// Where it began.
        offset: u64,
        /// How many bytes it had.
        length: u64,
    },
    /// What follows in this direction is passed on and counted, but not understood.
    Opaque {
        /// Which way.
        direction: Direction,
        /// From where on.
        offset: u64,
        /// Why.
        why: String,
        /// Whether that is as it should be.
        encrypted: bool,
    },
    /// The direction ended within a frame or body.
    Cut {
        /// Which way.
        direction: Direction,
        /// What there was.
        #[serde(flatten)]
        excerpt: Excerpt,
        /// Whether it is a raw body.
        body: bool,
        /// How many bytes of it there were.
        arrived: u64,
    },
    /// The direction ended.
    Ended {
        /// Which way.
        direction: Direction,
        /// After so many bytes.
        offset: u64,
        /// Whether it was torn off.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Both directions have ended.
    Closed,
    /// Events before this one could not be recorded in time.
    Lost {
        /// How many.
        events: u64,
    },
}

impl What {
    /// Makes an event of what a cutter found.
    pub fn of(direction: Direction, piece: Piece) -> Self {
        match piece {
            Piece::Frame(excerpt) => Self::Frame { direction, excerpt },
            Piece::Body { offset, length } => Self::Body {
                direction,
                offset,
                length,
            },
            Piece::Opaque { offset, why } => Self::Opaque {
                direction,
                offset,
                why: why.to_string(),
                encrypted: why.is_encrypted(),
            },
            Piece::Cut {
                excerpt,
                body,
                arrived,
            } => Self::Cut {
                direction,
                excerpt,
                body,
                arrived,
            },
        }
    }

    /// Which way it went, if it went at all.
    pub fn direction(&self) -> Option<Direction> {
        match self {
            Self::Frame { direction, .. }
            | Self::Body { direction, .. }
            | Self::Opaque { direction, .. }
            | Self::Cut { direction, .. }
            | Self::Ended { direction, .. } => Some(*direction),
            Self::Opened { .. } | Self::Unreachable { .. } | Self::Closed | Self::Lost { .. } => None,
        }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn weight(&self) -> usize {
        let own = size_of::<Event>();
        match self {
            Self::Frame { excerpt, .. } | Self::Cut { excerpt, .. } => own + excerpt.data.len(),
            _ => own,
        }
    }
}

fn write_time<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_micros)
}
