//! Apache Spark's RPC layer in Rust: named endpoints with mailboxes, references that work the same near and far.

pub mod config;

mod address;

pub use address::{InvalidAddress, RpcAddress, RpcEndpointAddress};
