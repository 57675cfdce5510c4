//! Test helpers: an in-memory network with faults on virtual time, and a scripted peer.
//!
//! [`MemoryNetwork`] gives each env of a test a [`Host`], which is a `spark_rpc_net::Network`. Run the test with
//! `#[tokio::test(start_paused = true)]` and hours of virtual time pass in no real time at all.

mod memory;
mod rng;

pub use memory::{Counters, Crash, Happening, Host, Link, MemoryNetwork, MemorySettings, TraceEvent};
pub use rng::Rng;
