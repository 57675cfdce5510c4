//! The works `send` and `local-send`: one-way messages as fast as they are taken.

use std::sync::Arc;
use std::time::Duration;

use spark_rpc::{Request, RpcEndpointRef};
use tokio::task::JoinSet;

use super::asking::first_failure;
use super::plan::Plan;
use super::report::Report;
use super::server::Server;
use super::tally::Tally;
use super::{Measured, Meter, Payload};
use crate::exit::Failure;
use crate::messages::{Count, CountNow, Counted};
use crate::peer;
use crate::process::ProcessUsage;

/// Sends to an endpoint of an env in this process.
pub(crate) async fn local(plan: &Plan) -> Result<Report, Failure> {
    let env = plan.client().await?;
    let tally = env
        .setup_endpoint("tally", Tally::default())
        .map_err(Failure::no)?;
    let payload = Payload::of_size(plan.size);
    let (warm_up, time) = (plan.warm_up(), plan.seconds);
    let sent = send_for(&tally, payload, plan.in_flight, warm_up, time, async || Ok(None)).await?;
    Ok(Report::of_intervals(plan, &sent.measured)
        .add("sent", sent.sent)
        .add("received", sent.received))
}

/// Sends to `sink` of a server.
pub(crate) async fn remote(plan: &Plan) -> Result<Report, Failure> {
    let server = Server::of(plan).await?;
    let payload = Payload::of_size(plan.size);
    let (warm_up, time) = (plan.warm_up(), plan.seconds);
    let usage = async || server.usage().await;
    let sent = send_for(server.sink(), payload, plan.in_flight, warm_up, time, usage).await?;
    Ok(Report::of_intervals(plan, &sent.measured)
        .add("sent", sent.sent)
        .add("received", sent.received))
}

/// What was sent in all, the warm-up included, and what of it the receiver has counted.
pub(crate) struct Sent {
    pub(crate) measured: Measured,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// Sends to `target`, which counts, from a number of tasks. What counts is what has arrived.
pub(crate) async fn send_for(
    target: &RpcEndpointRef,
    payload: Payload,
    senders: usize,
    warm_up: Duration,
    time: Duration,
    server: impl AsyncFn() -> Result<Option<ProcessUsage>, Failure>,
) -> Result<Sent, Failure> {
    let meter = Arc::new(Meter::new());
    let before = counted(target, Count).await?;
    let mut tasks = JoinSet::new();
    for _ in 0..senders {
        let (target, payload, meter) = (target.clone(), payload.clone(), Arc::clone(&meter));
        tasks.spawn(async move { send_until_over(&target, &payload, &meter).await });
    }
    let count = async || counted(target, CountNow).await;
    let measured = tokio::select! {
        measured = meter.measure(warm_up, time, count, server) => measured?,
        failure = first_failure(&mut tasks) => return Err(failure),
    };
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(Failure::no)??;
    }
    // The question comes behind everything that was sent, so this counts all of it.
    let received = counted(target, Count).await? - before;
    let sent = meter.done();
    if sent != received {
        return Err(Failure::no(format_args!(
            "{sent} messages were sent, but {received} received"
        )));
    }
    Ok(Sent {
        measured,
        sent,
        received,
    })
}

async fn send_until_over(target: &RpcEndpointRef, payload: &Payload, meter: &Meter) -> Result<(), Failure> {
    while !meter.is_over() {
        for _ in 0..BURST {
            if target.send(payload.clone()).is_err() {
                // Most likely there is no room; if it is something else, this says so.
                let sent = target.send_wait(payload.clone()).await;
                sent.map_err(|error| peer::send_failed(&error))?;
            }
        }
        meter.add(BURST);
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn counted<Q: Request<Reply = Counted>>(target: &RpcEndpointRef, question: Q) -> Result<u64, Failure> {
    let counted = target.ask(question).await;
    Ok(counted.map_err(|error| peer::ask_failed(&error))?.messages)
}

/// Messages between two looks at the meter.
const BURST: u64 = 1000;
