//! A master and its workers, each in an env of its own: workers register by sending a reference to themselves, and the
//! master hands out work to whoever is free.
//!
//! `cargo run -p spark-rpc --example worker_pool`

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spark_rpc::{BoxError, EndpointContext, Reply, RpcEndpointRef, RpcEnv, RpcMessage, rpc_endpoint};

/// A worker is there and free.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
struct Register {
    worker: RpcEndpointRef,
}

/// Work for the pool.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct CountPrimes {
    below: u64,
}

/// Work for one worker.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Task {
    below: u64,
}

/// A worker has finished: from a task of the master to the master itself.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
struct Free {
    worker: RpcEndpointRef,
}

#[derive(Default)]
struct Master {
    free: Vec<RpcEndpointRef>,
    waiting: VecDeque<(CountPrimes, Reply<u64>)>,
}

#[rpc_endpoint]
impl Master {
    async fn register(&mut self, message: Register, call: &spark_rpc::RpcCallContext) {
        println!("{} registers", message.worker);
        self.free.push(message.worker);
        self.assign(call);
    }

    async fn free(&mut self, message: Free, call: &spark_rpc::RpcCallContext) {
        self.free.push(message.worker);
        self.assign(call);
    }

    // Taking the reply handle means: answered later.
    async fn count(&mut self, job: CountPrimes, reply: Reply<u64>, call: &spark_rpc::RpcCallContext) {
        self.waiting.push_back((job, reply));
        self.assign(call);
    }
}

impl Master {
    /// Brings free workers and waiting jobs together.
    fn assign(&mut self, context: &EndpointContext) {
        while let (Some(master), Some(worker)) = (context.self_ref(), self.free.pop()) {
            let Some((job, reply)) = self.waiting.pop_front() else {
                self.free.push(worker);
                return;
            };
            tokio::spawn(async move {
                let result = worker.ask(Task { below: job.below }).await;
                let worker_lives = result.is_ok();
                reply.complete(result);
                if worker_lives {
                    // The master may have been stopped meanwhile.
                    let _ = master.send(Free { worker });
                }
            });
        }
    }
}

struct Worker {
    master: RpcEndpointRef,
}

#[rpc_endpoint]
impl Worker {
    async fn on_start(&mut self, context: &EndpointContext) -> Result<(), BoxError> {
        if let Some(worker) = context.self_ref() {
            self.master.send(Register { worker })?;
        }
        Ok(())
    }

    async fn work(&mut self, task: Task) -> u64 {
        let prime = |n: &u64| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
        (2..task.below).filter(prime).count() as u64
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = RpcEnv::builder("master").bind("127.0.0.1:0").start().await?;
    let uri = server.setup_endpoint("master", Master::default())?.to_string();

    // Workers without listeners: the master calls them over the connections that they open.
    let mut envs = Vec::new();
    for n in 0..3 {
        let env = RpcEnv::builder("worker").client_mode().start().await?;
        let master = env.setup_endpoint_ref(&uri).await?;
        // The work keeps a thread busy, so it gets one of its own.
        env.setup_isolated_endpoint(&format!("worker-{n}"), Worker { master })?;
        envs.push(env);
    }

    let client = RpcEnv::builder("client").client_mode().start().await?;
    let master = client.setup_endpoint_ref(&uri).await?;
    let asks: Vec<_> = (1..=9)
        .map(|n| master.ask_within(CountPrimes { below: n * 20_000 }, Duration::from_secs(60)))
        .collect();
    for (n, ask) in (1..=9_u64).zip(asks) {
        println!("{} primes below {}", ask.await?, n * 20_000);
    }

    client.shutdown().await;
    for env in envs {
        env.shutdown().await;
    }
    server.shutdown().await;
    Ok(())
}
