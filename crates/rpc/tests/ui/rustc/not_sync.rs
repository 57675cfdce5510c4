//! An endpoint that cannot be shared, although no method needs it for itself.

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
struct Note;

struct Cells(std::cell::Cell<u64>);

#[rpc_endpoint]
impl Cells {
    fn note(&self, _: Note) {
        self.0.set(1);
    }
}

fn main() {}
