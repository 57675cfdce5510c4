//! A reply handle has another type than the message's reply.

use serde::{Deserialize, Serialize};
use spark_rpc::{Reply, RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = String)]
struct SayHi;

struct Hello;

#[rpc_endpoint]
impl Hello {
    async fn say_hi(&mut self, _: SayHi, reply: Reply<u64>) {
        reply.send(1);
    }
}

fn main() {}
