//! Apache Spark's RPC layer in Rust: named endpoints with mailboxes, references that work the same near and far.

pub mod config;
