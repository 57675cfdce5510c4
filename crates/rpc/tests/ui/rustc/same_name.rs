//! Two messages that have the same name on the wire.

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
struct Note;

mod other {
    #[derive(serde::Serialize, serde::Deserialize, spark_rpc::RpcMessage)]
    #[rpc(reply = u64)]
    pub struct Note;
}

struct Hello;

#[rpc_endpoint]
impl Hello {
    async fn note(&mut self, _: Note) {}

    async fn other_note(&mut self, _: other::Note) -> u64 {
        1
    }
}

fn main() {}
