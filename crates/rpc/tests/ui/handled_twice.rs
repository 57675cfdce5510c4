//! Two handlers for one message.

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
struct Note;

struct Hello;

#[rpc_endpoint]
impl Hello {
    async fn note(&mut self, _: Note) {}

    async fn note_again(&mut self, _: Note) {}
}

fn main() {}
