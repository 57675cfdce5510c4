//! Noticing that peers come and go, and telling apart a peer that has left from one that never had an address.
//!
//! `cargo run -p spark-rpc --example connection_events`

use serde::{Deserialize, Serialize};
use spark_rpc::{BoxError, EndpointContext, Reply, RpcAddress, RpcEnv, RpcMessage, rpc_endpoint};

/// Asks to be told when somebody leaves.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = RpcAddress)]
struct NextToLeave;

#[derive(Default)]
struct Porter {
    waiting: Vec<Reply<RpcAddress>>,
}

#[rpc_endpoint]
impl Porter {
    async fn on_connected(&mut self, address: &RpcAddress, _: &EndpointContext) -> Result<(), BoxError> {
        println!("{address} is here");
        Ok(())
    }

    async fn on_disconnected(&mut self, address: &RpcAddress, _: &EndpointContext) -> Result<(), BoxError> {
        println!("{address} has left");
        for reply in self.waiting.drain(..) {
            reply.send(address.clone());
        }
        Ok(())
    }

    async fn next_to_leave(&mut self, _: NextToLeave, reply: Reply<RpcAddress>) {
        self.waiting.push(reply);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let house = RpcEnv::builder("house").bind("127.0.0.1:0").start().await?;
    let porter = house.setup_endpoint("porter", Porter::default())?;

    // A server has two addresses: that of its socket, and once it has sent a message the one under which it listens.
    let server = RpcEnv::builder("server").bind("127.0.0.1:0").start().await?;
    server.setup_endpoint_ref(&porter.to_string()).await?;

    // A client has only the first.
    let client = RpcEnv::builder("client").client_mode().start().await?;
    client.setup_endpoint_ref(&porter.to_string()).await?;

    for visitor in [server, client] {
        let gone = porter.ask(NextToLeave);
        visitor.shutdown().await;
        println!("the porter has seen {} go", gone.await?);
    }

    house.shutdown().await;
    Ok(())
}
