//! An endpoint that greets. Run it, then `hello_client` in another terminal.
//!
//! `cargo run -p spark-rpc --example hello_server [ADDRESS:PORT]`

use spark_rpc::{RpcCallContext, RpcEnv, rpc_endpoint};

mod hello;
use hello::{SayBye, SayHi};

struct Hello {
    greeted: u64,
}

#[rpc_endpoint]
impl Hello {
    async fn say_hi(&mut self, hi: SayHi) -> String {
        self.greeted += 1;
        format!("hi {}, you are number {}", hi.name, self.greeted)
    }

    async fn say_bye(&mut self, bye: SayBye, call: &RpcCallContext) {
        let from = call.sender_address().map(ToString::to_string);
        println!("bye {}, from {}", bye.name, from.as_deref().unwrap_or("here"));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bind = std::env::args().nth(1);
    let bind = bind.as_deref().unwrap_or("127.0.0.1:52345");

    let env = RpcEnv::builder("greeter").bind(bind).start().await?;
    let hello = env.setup_endpoint("hello", Hello { greeted: 0 })?;
    println!("{hello}");

    tokio::select! {
        () = env.await_termination() => {}
        _ = tokio::signal::ctrl_c() => {
            env.shutdown().await;
        }
    }
    Ok(())
}
