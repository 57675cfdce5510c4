//! A concurrent endpoint is shared by its messages.

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
struct Note;

struct Hello;

#[rpc_endpoint(concurrent)]
impl Hello {
    async fn on_start(&mut self) {}

    async fn note(&mut self, _: Note) {}
}

fn main() {}
