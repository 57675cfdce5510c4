//! Local messages cost no heap allocation in the steady state.

mod support;

use allocation_counter::measure;
use spark_rpc::{BoxError, RpcCallContext, RpcEndpoint, RpcEndpointRef, RpcEnv};
use support::inbound_of_counter::CounterInbound;
use support::messages::*;
use tokio::runtime::Runtime;

/// Handles without keeping or writing anything.
struct Counter(u64);

impl RpcEndpoint for Counter {
    type Inbound = CounterInbound;

    async fn handle(&mut self, message: CounterInbound, _: &RpcCallContext) -> Result<(), BoxError> {
        match message {
            CounterInbound::Note(Note(number)) => self.0 += number,
            CounterInbound::Sum(_, reply) => reply.send(self.0),
        }
        Ok(())
    }
}

/// Everything runs on this thread, whose allocations are counted.
fn runtime() -> (Runtime, RpcEnv, RpcEndpointRef) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let env = runtime
        .block_on(RpcEnv::builder("env").client_mode().start())
        .unwrap();
    let counter = env.setup_endpoint("counter", Counter(0)).unwrap();
    (runtime, env, counter)
}

/// How often `work` allocates once it has run before, beyond what the runtime needs to run anything.
fn steady(runtime: &Runtime, work: impl AsyncFn()) -> u64 {
    for _ in 0..3 {
        runtime.block_on(work());
    }
    let runtime_alone = measure(|| runtime.block_on(tokio::task::yield_now()));
    let both = measure(|| runtime.block_on(work()));
    both.count_total.saturating_sub(runtime_alone.count_total)
}

#[test]
fn a_local_send_allocates_nothing() {
    let (runtime, _env, counter) = runtime();
    let count = steady(&runtime, async || {
        for _ in 0..100 {
            for _ in 0..100 {
                counter.send(Note(1)).unwrap();
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(count, 0, "for 10,000 messages");
}

#[test]
fn a_local_ask_allocates_nothing() {
    let (runtime, _env, counter) = runtime();
    let count = steady(&runtime, async || {
        for _ in 0..1000 {
            counter.ask(Sum()).await.unwrap();
        }
    });
    assert_eq!(count, 0, "for 1,000 asks");
}

#[test]
fn many_local_asks_at_once_allocate_nothing() {
    let (runtime, _env, counter) = runtime();
    let count = steady(&runtime, async || {
        for _ in 0..20 {
            let asks: [_; 64] = std::array::from_fn(|_| counter.ask(Sum()));
            for ask in asks {
                ask.await.unwrap();
            }
        }
    });
    assert_eq!(count, 0, "for 1,280 asks, 64 at once");
}

#[test]
fn the_counter_of_allocations_counts() {
    let info = measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(info.count_total, 1);
}
