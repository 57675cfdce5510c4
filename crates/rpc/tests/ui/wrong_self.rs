//! Methods that take the endpoint in a way that it is not given.

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
struct Note;

#[derive(Serialize, Deserialize, RpcMessage)]
struct Other;

struct Hello;

#[rpc_endpoint]
impl Hello {
    async fn by_value(self, _: Note) {}

    async fn shared(self: std::sync::Arc<Self>, _: Other) {}

    async fn forgotten(_: Note) {}

    fn on_start() {}

    async fn on_stop(self) {}
}

fn main() {}
