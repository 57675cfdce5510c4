//! Asks, alone and beside a transfer between the same two processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use spark_rpc::RpcEndpointRef;
use spark_rpc::transport::TransportClient;
use tokio::task::JoinSet;

use super::download::fetch_chunk;
use super::server::BulkServer;
use super::source;
use crate::bench::Beside;
use crate::bench::asking::{ask_for, first_failure};
use crate::bench::plan::Plan;
use crate::bench::report::{Report, rounded};
use crate::bench::{Measured, Meter, Payload};
use crate::exit::Failure;

/// Runs the work `ask` with `--beside`.
pub(crate) async fn run(plan: &Plan, bulk: Beside) -> Result<Report, Failure> {
    let file = source::make(LENGTH)?;
    let server = BulkServer::start(plan, file.path()).await?;
    let mut transfer = JoinSet::new();
    let moved = Arc::new(AtomicU64::new(0));
    let (alone, beside, bytes, took) = match bulk {
        Beside::Stream => {
            let echo = server.echo();
            let alone = asks(plan, &server, &echo).await?;
            let (env, uri) = (server.env.clone(), server.stream().to_owned());
            let count = Arc::clone(&moved);
            transfer.spawn(async move {
                loop {
                    let mut file = env.open_channel(&uri).await.map_err(Failure::no)?;
                    while let Some(piece) = file.chunk().await.map_err(Failure::no)? {
                        count.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    }
                }
            });
            let began = Instant::now();
            let beside = unless_failed(&mut transfer, asks(plan, &server, &echo)).await?;
            (alone, beside, moved.load(Ordering::Relaxed), began.elapsed())
        }
        Beside::Chunks => {
            let (client, _factory) = server.chunks(plan).await?;
            let alone = bare_asks(plan, &server, &client).await?;
            let next = Arc::new(AtomicU64::new(0));
            for _ in 0..((48 << 20) / plan.chunk).clamp(1, 64) {
                let (client, next, count) = (client.clone(), Arc::clone(&next), Arc::clone(&moved));
                let chunk = plan.chunk;
                transfer.spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed) % LENGTH.div_ceil(chunk);
                        let bytes = fetch_chunk(&client, chunk, LENGTH, number).await?;
                        count.fetch_add(bytes, Ordering::Relaxed);
                    }
                });
            }
            let began = Instant::now();
            let beside = unless_failed(&mut transfer, bare_asks(plan, &server, &client)).await?;
            (alone, beside, moved.load(Ordering::Relaxed), began.elapsed())
        }
    };
    let quantile = |q| rounded(alone.latency.value_at_quantile(q) as f64 / 1e3);
    let alone = json!({
        "throughput_per_s": rounded(alone.per_second()),
        "p50_us": quantile(0.5),
        "p99_us": quantile(0.99),
        "p999_us": quantile(0.999),
    });
    let report = Report::of_intervals(plan, &beside)
        .add("alone", alone)
        .add("bulk_mb_per_s", bytes as f64 / 1e6 / took.as_secs_f64());
    Ok(match bulk {
        Beside::Stream => report.add("beside", "stream"),
        Beside::Chunks => report.add("beside", "chunks").add("chunk", plan.chunk),
    })
}

/// Asks an endpoint of the server.
async fn asks(plan: &Plan, server: &BulkServer, echo: &RpcEndpointRef) -> Result<Measured, Failure> {
    let payload = Payload::of_size(plan.size);
    let usage = async || Ok(Some(server.usage().await?));
    ask_for(echo, payload, plan.in_flight, plan.warm_up(), plan.seconds, usage).await
}

/// Asks over the connection that chunks come over, where there are no endpoints.
async fn bare_asks(plan: &Plan, server: &BulkServer, client: &TransportClient) -> Result<Measured, Failure> {
    let meter = Arc::new(Meter::new());
    let mut askers = JoinSet::new();
    for _ in 0..plan.in_flight {
        let (client, meter, body) = (client.clone(), Arc::clone(&meter), vec![7; plan.size]);
        askers.spawn(async move {
            while !meter.is_over() {
                let began = Instant::now();
                let answer = client.send_rpc(&body, Some(LIMIT)).await.map_err(Failure::no)?;
                meter.record(began.elapsed());
                meter.add(1);
                if answer != body {
                    return Err(Failure::no("a reply differs from what was asked"));
                }
            }
            Ok(())
        });
    }
    let usage = async || Ok(Some(server.usage().await?));
    let count = async || Ok(meter.done());
    let measuring = meter.measure(plan.warm_up(), plan.seconds, count, usage);
    let measured = unless_failed(&mut askers, measuring).await?;
    while let Some(ended) = askers.join_next().await {
        ended.map_err(Failure::no)??;
    }
    Ok(measured)
}

/// Does `work`, but fails as soon as one of the tasks beside it does.
async fn unless_failed<T>(
    tasks: &mut JoinSet<Result<(), Failure>>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        failure = first_failure(tasks) => Err(failure),
    }
}

/// The file's length; it goes over and over.
const LENGTH: u64 = 256 << 20;
/// For an ask beside a transfer that does not let it pass.
const LIMIT: Duration = Duration::from_secs(60);
