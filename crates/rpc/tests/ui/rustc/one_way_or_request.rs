//! A request without a reply, and a reply without a request.

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = ())]
struct Flush;

#[derive(Serialize, Deserialize, RpcMessage)]
struct SayBye;

struct Hello;

#[rpc_endpoint]
impl Hello {
    async fn flush(&mut self, _: Flush) {}

    async fn say_bye(&mut self, _: SayBye) -> String {
        String::new()
    }
}

fn main() {}
