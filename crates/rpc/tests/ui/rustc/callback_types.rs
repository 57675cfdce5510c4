//! A callback with parameters of other types.

use serde::{Deserialize, Serialize};
use spark_rpc::{EndpointContext, rpc_endpoint};

#[derive(Serialize, Deserialize)]
struct Hello;

#[rpc_endpoint]
impl Hello {
    async fn on_connected(&mut self, _: &EndpointContext) {}

    async fn on_start(&mut self, _: &u64) {}

    async fn on_stop(&mut self) -> Result<(), u64> {
        Err(1)
    }
}

fn main() {}
