//! A barrier: everybody who asks is answered once enough have asked. The handler keeps the reply handles and answers
//! later; one that it forgets fails its asker at once instead of letting it wait.
//!
//! `cargo run -p spark-rpc --example reply_later`

use serde::{Deserialize, Serialize};
use spark_rpc::{Reply, RpcEnv, RpcMessage, rpc_endpoint};

/// Waits for the others; the reply says who came last.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = String)]
struct Arrive {
    who: String,
}

/// Sends everybody away who waits.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
struct Forget;

struct Barrier {
    parties: usize,
    waiting: Vec<Reply<String>>,
}

#[rpc_endpoint]
impl Barrier {
    async fn arrive(&mut self, message: Arrive, reply: Reply<String>) {
        self.waiting.push(reply);
        if self.waiting.len() == self.parties {
            for reply in self.waiting.drain(..) {
                reply.send(message.who.clone());
            }
        }
    }

    async fn forget(&mut self, _: Forget) {
        self.waiting.clear();
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let env = RpcEnv::builder("barrier").start().await?;
    let barrier = Barrier {
        parties: 3,
        waiting: Vec::new(),
    };
    let barrier = env.setup_endpoint("barrier", barrier)?;

    let arrive = |who: &str| barrier.ask(Arrive { who: who.to_owned() });
    let (a, b, c) = tokio::try_join!(arrive("ada"), arrive("bob"), arrive("cleo"))?;
    println!("all are here: {a}, {b} and {c} came last");

    let alone = arrive("dan");
    barrier.send(Forget)?;
    match alone.await {
        Ok(last) => println!("{last} came last"),
        Err(error) => println!(
            "dan is not left waiting: {error} (handled: {:?})",
            error.handled()
        ),
    }

    env.shutdown().await;
    Ok(())
}
