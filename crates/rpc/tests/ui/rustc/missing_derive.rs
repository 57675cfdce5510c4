//! A handler takes something that is no message.

use serde::{Deserialize, Serialize};
use spark_rpc::rpc_endpoint;

#[derive(Serialize, Deserialize)]
struct SayHi;

#[derive(Serialize, Deserialize)]
struct SayBye;

struct Hello;

#[rpc_endpoint]
impl Hello {
    async fn say_hi(&mut self, _: SayHi) -> String {
        String::new()
    }

    async fn say_bye(&mut self, _: SayBye) {}
}

fn main() {}
