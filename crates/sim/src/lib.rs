//! Whole envs on an in-memory network and virtual time, drawn from a seed.
//!
//! [`simulate`] runs four nodes, each with an unchanged `RpcEnv`, on testkit's `MemoryNetwork`: they ask and send each
//! other things while connections are reset, nodes are parted, crash and come back under their address. The seed decides
//! it all, down to the last segment, so the same seed gives the same [history](History), and a failure can be replayed.
//!
//! A run has three parts that know nothing of each other: a [`Plan`] drawn from the seed, the [`run`] that writes a
//! history, and the [`check`]ers, pure functions of a history.
//!
//! # What makes a run repeatable, and what is left out
//!
//! Everything runs in one thread on tokio's paused clock. Time, network and chance reach an env only through tokio's
//! clock, its `Network` and the setting `spark.rpc.seed`. Isolated endpoints have threads of their own, and envs may have
//! dispatcher threads: the system's scheduler decides over these, so the simulation has neither. Nor does it see what
//! only happens between two threads; that is for other tests.

pub mod check;
mod endpoint;
pub mod history;
mod life;
mod messages;
mod plan;
mod report;
mod run;
mod workload;

pub use history::History;
pub use plan::{Action, NODES, PORT, Plan, SERVERS};
pub use report::{Report, simulate};
pub use run::run;
