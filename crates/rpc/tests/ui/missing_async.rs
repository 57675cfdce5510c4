//! A handler returns a future instead of being async.

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Count;

struct Hello;

#[rpc_endpoint]
impl Hello {
    fn count(&mut self, _: Count) -> impl Future<Output = u64> {
        async { 1 }
    }
}

fn main() {}
