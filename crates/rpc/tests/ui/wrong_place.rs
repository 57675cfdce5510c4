//! The attribute stands on something else.

use serde::{Deserialize, Serialize};
use spark_rpc::rpc_endpoint;

#[derive(Serialize, Deserialize)]
#[rpc_endpoint]
struct Hello;

#[rpc_endpoint]
impl Clone for Hello {
    fn clone(&self) -> Self {
        Hello
    }
}

#[rpc_endpoint]
impl Hello {
    fn new() -> Self {
        Hello
    }
}

fn main() {}
