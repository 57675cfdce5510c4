//! An endpoint whose handlers block, on a thread of its own, beside one that must stay responsive.
//!
//! `cargo run -p spark-rpc --example isolated_endpoint`

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcEnv, RpcMessage, rpc_endpoint};

/// Work that takes its time.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = String)]
struct Compress {
    text: String,
}

/// Something quick.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Tick;

struct Compressor;

#[rpc_endpoint]
impl Compressor {
    // Blocks its thread, as a call into a C library or a file system may. On a thread of its own it may do so.
    fn compress(&mut self, work: Compress) -> String {
        std::thread::sleep(Duration::from_millis(300));
        let mut text = work.text;
        let mut last = None;
        text.retain(|c| last.replace(c) != Some(c));
        text
    }
}

struct Clock {
    ticks: u64,
}

#[rpc_endpoint]
impl Clock {
    async fn tick(&mut self, _: Tick) -> u64 {
        self.ticks += 1;
        self.ticks
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let env = RpcEnv::builder("isolated").start().await?;
    let compressor = env.setup_isolated_endpoint("compressor", Compressor)?;
    let clock = env.setup_endpoint("clock", Clock { ticks: 0 })?;

    let text = "aaabbbcccd".to_owned();
    let mut work = std::pin::pin!(compressor.ask(Compress { text }));
    let began = Instant::now();
    loop {
        tokio::select! {
            short = &mut work => {
                println!("compressed to {:?} after {} ms", short?, began.elapsed().as_millis());
                break;
            }
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                println!("meanwhile: tick {}", clock.ask(Tick).await?);
            }
        }
    }

    env.shutdown().await;
    Ok(())
}
