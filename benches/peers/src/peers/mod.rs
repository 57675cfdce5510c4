//! Those that do the work, each in a file of its own, and who can do what.

use std::time::Duration;

use clap::ValueEnum;

use crate::work::Work;

pub(crate) mod kameo;
pub(crate) mod ractor;
pub(crate) mod raw;
pub(crate) mod spark_rpc;
pub(crate) mod tarpc;
pub(crate) mod tonic;

/// One way to do the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// Bare sockets, or in one process a shared vector: the limit
    Raw,
    /// The same, but a reader tries again for up to 100 µs before it sleeps
    RawPoll,
    /// spark-rpc with its defaults
    SparkRpc,
    /// spark-rpc with `busy_poll` set to 100 µs
    SparkRpcPoll,
    /// gRPC: one HTTP/2 connection
    Tonic,
    /// tarpc over TCP with bincode
    Tarpc,
    /// ractor, in one process
    Ractor,
    /// kameo, in one process
    Kameo,
}

impl Peer {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 8] = [
        Self::Raw,
        Self::RawPoll,
        Self::SparkRpc,
        Self::SparkRpcPoll,
        Self::Tonic,
        Self::Tarpc,
        Self::Ractor,
        Self::Kameo,
    ];

    /// Its name on the command line and in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::RawPoll => "raw-poll",
            Self::SparkRpc => "spark-rpc",
            Self::SparkRpcPoll => "spark-rpc-poll",
            Self::Tonic => "tonic",
            Self::Tarpc => "tarpc",
            Self::Ractor => "ractor",
            Self::Kameo => "kameo",
        }
    }

    /// How long a reader tries again before it sleeps, in those that let us say.
    pub(crate) fn poll(self) -> Duration {
        match self {
            Self::RawPoll | Self::SparkRpcPoll => Duration::from_micros(100),
            _ => Duration::ZERO,
        }
    }

    /// Why it does not do this work; `None` if it does.
    pub(crate) fn cannot(self, work: Work) -> Option<&'static str> {
        match (self, work) {
            (Self::Tonic | Self::Tarpc, Work::LocalSend | Work::LocalAsk) => {
                Some("has no calls within a process")
            }
            (Self::RawPoll | Self::SparkRpcPoll, Work::LocalSend | Work::LocalAsk) => {
                Some("there is nothing to poll within a process")
            }
            (Self::Tarpc, Work::Send) => Some("has no one-way messages"),
            (Self::Ractor, Work::Ask | Work::Send) => Some(
                "ractor_cluster changes how ractor handles local messages too, so it needs a build of its own",
            ),
            (Self::Kameo, Work::Ask | Work::Send) => {
                Some("its remote calls go through libp2p, 150 further crates")
            }
            _ => None,
        }
    }
}
