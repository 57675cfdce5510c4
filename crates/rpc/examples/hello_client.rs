//! Asks the endpoint of `hello_server` and takes its leave.
//!
//! `cargo run -p spark-rpc --example hello_client [spark://hello@ADDRESS:PORT] [NAME]`

use spark_rpc::RpcEnv;

mod hello;
use hello::{SayBye, SayHi};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let uri = arguments.next();
    let uri = uri.as_deref().unwrap_or("spark://hello@127.0.0.1:52345");
    let name = arguments.next().unwrap_or_else(|| "spafka".to_owned());

    // A client needs no listener; the endpoint could still call it back over this connection.
    let env = RpcEnv::builder("client").client_mode().start().await?;
    let hello = env.setup_endpoint_ref(uri).await?;

    let reply = hello.ask(SayHi { name: name.clone() }).await?;
    println!("{reply}");
    hello.send(SayBye { name })?;

    // Writes what is still queued, then closes.
    env.shutdown().await;
    Ok(())
}
