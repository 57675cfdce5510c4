//! A handler keeps something across an await that must not leave its thread.

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
struct Note(u64);

struct Hello;

#[rpc_endpoint]
impl Hello {
    async fn note(&mut self, note: Note) {
        let kept = std::rc::Rc::new(note.0);
        std::future::ready(()).await;
        drop(kept);
    }
}

fn main() {}
