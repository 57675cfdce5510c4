//! Callbacks with signatures of their own.

#![allow(unused_variables)]

use serde::{Deserialize, Serialize};
use spark_rpc::{EndpointContext, EndpointError, RpcAddress, rpc_endpoint};

#[derive(Serialize, Deserialize)]
struct Hello;

#[rpc_endpoint]
impl Hello {
    async fn on_start(&mut self, context: &EndpointContext, more: u64) {}

    async fn on_stop(&mut self) -> u64 {
        1
    }

    async fn on_error(&mut self, error: EndpointError) -> Result<(), std::fmt::Error> {
        Ok(())
    }

    #[rpc(raw)]
    async fn on_disconnected(&mut self, address: &RpcAddress) {}
}

fn main() {}
