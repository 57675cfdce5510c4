//! The works `ask` and `local-ask`: a number of tasks, each asking one question after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spark_rpc::RpcEndpointRef;
use tokio::task::JoinSet;

use super::mirror::Mirror;
use super::plan::Plan;
use super::report::Report;
use super::server::Server;
use super::{Measured, Meter, Payload};
use crate::exit::Failure;
use crate::peer;
use crate::process::ProcessUsage;

/// Asks an endpoint of an env in this process.
pub(crate) async fn local(plan: &Plan) -> Result<Report, Failure> {
    let env = plan.client().await?;
    let mirror = env.setup_endpoint("mirror", Mirror).map_err(Failure::no)?;
    let payload = Payload::of_size(plan.size);
    let (warm_up, time) = (plan.warm_up(), plan.seconds);
    let measured = ask_for(&mirror, payload, plan.in_flight, warm_up, time, async || Ok(None)).await?;
    Ok(Report::of_intervals(plan, &measured))
}

/// Asks `echo` of a server.
pub(crate) async fn remote(plan: &Plan) -> Result<Report, Failure> {
    let server = Server::of(plan).await?;
    let payload = Payload::of_size(plan.size);
    let (warm_up, time) = (plan.warm_up(), plan.seconds);
    let echo = server.endpoint("echo");
    let measured = ask_for(&echo, payload, plan.in_flight, warm_up, time, async || {
        server.usage().await
    })
    .await?;
    Ok(Report::of_intervals(plan, &measured))
}

/// Asks `target` from `in_flight` tasks.
pub(crate) async fn ask_for(
    target: &RpcEndpointRef,
    payload: Payload,
    in_flight: usize,
    warm_up: Duration,
    time: Duration,
    server: impl AsyncFn() -> Result<Option<ProcessUsage>, Failure>,
) -> Result<Measured, Failure> {
    let meter = Arc::new(Meter::new());
    // Reading the clock twice costs more than a tenth of a local ask.
    let every = if payload.as_slice().len() > LARGE {
        1
    } else {
        TIMED_EVERY
    };
    let mut askers = JoinSet::new();
    for number in 0..in_flight {
        let (target, payload, meter) = (target.clone(), payload.clone(), Arc::clone(&meter));
        // Not all of them time the same wave.
        let skip = number as u64 % every;
        askers.spawn(async move { ask_until_over(&target, &payload, &meter, every, skip).await });
    }
    let count = async || Ok(meter.done());
    let measured = tokio::select! {
        measured = meter.measure(warm_up, time, count, server) => measured?,
        failure = first_failure(&mut askers) => return Err(failure),
    };
    while let Some(ended) = askers.join_next().await {
        ended.map_err(Failure::no)??;
    }
    Ok(measured)
}

async fn ask_until_over(
    target: &RpcEndpointRef,
    payload: &Payload,
    meter: &Meter,
    every: u64,
    skip: u64,
) -> Result<(), Failure> {
    let mut untimed = skip;
    loop {
        for _ in 0..untimed {
            let reply = target.ask(payload.clone()).await;
            reply.map_err(|error| peer::ask_failed(&error))?;
        }
        meter.add(untimed);
        if meter.is_over() {
            return Ok(());
        }
        let began = Instant::now();
        let reply = target.ask(payload.clone()).await;
        meter.record(began.elapsed());
        meter.add(1);
        if reply.map_err(|error| peer::ask_failed(&error))? != *payload {
            return Err(Failure::no("a reply differs from what was asked"));
        }
        untimed = every - 1;
    }
}

/// Resolves when one of the tasks fails; those that end because the work is over do not count.
pub(crate) async fn first_failure(tasks: &mut JoinSet<Result<(), Failure>>) -> Failure {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => return failure,
            Err(panicked) => return Failure::no(panicked),
        }
    }
    std::future::pending().await
}

const TIMED_EVERY: u64 = 16;
/// Payloads beyond this cost more than the clock.
const LARGE: usize = 4096;
