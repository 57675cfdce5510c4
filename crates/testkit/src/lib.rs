//! Test helpers: an in-memory network with faults on virtual time, and a scripted peer.
//!
//! [`MemoryNetwork`] gives each env of a test a [`Host`], which is a `spark_rpc_net::Network`. Run the test with
//! `#[tokio::test(start_paused = true)]` and hours of virtual time pass in no real time at all. [`ScriptedPeer`] is the
//! other side of a connection, on this network or any, for tests that decide over each frame themselves.

mod memory;
mod rng;
mod scripted;

pub use memory::{Counters, Crash, Happening, Host, Link, MemoryNetwork, MemorySettings, TraceEvent};
pub use rng::Rng;
pub use scripted::{Ending, ScriptedPeer};
