//! A handler returns something else than its message's reply.

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = String)]
struct SayHi;

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Count;

struct Hello;

#[rpc_endpoint]
impl Hello {
    async fn say_hi(&mut self, _: SayHi) -> u64 {
        1
    }

    async fn count(&mut self, _: Count) -> Result<String, std::fmt::Error> {
        Ok(String::new())
    }
}

fn main() {}
