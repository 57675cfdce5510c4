//! The spark-rpc command.
fn main() {}
