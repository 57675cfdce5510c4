//! The work `connections`: many connections that do nothing, and what they cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spark_rpc::{RpcEndpointAddress, RpcEndpointRef, RpcEnv};
use tokio::task::JoinSet;

use super::meter::{Measured, Spent, new_histogram};
use super::plan::Plan;
use super::report::Report;
use super::server::Server;
use crate::exit::Failure;
use crate::messages::Count;
use crate::peer;
use crate::process::{ProcessUsage, raise_open_files};
use crate::progress::Progress;

/// Runs the work.
pub(crate) async fn run(plan: &Plan) -> Result<Report, Failure> {
    let most = raise_open_files().saturating_sub(OTHER_FILES);
    if (plan.count as u64) > most {
        let count = plan.count;
        return Err(Failure::usage(format_args!(
            "--count {count}: this process may open {most} (ulimit -n)"
        )));
    }
    let server = Server::of(plan).await?;
    let before = (ProcessUsage::of_this_process(), server.usage().await?);
    let began = Instant::now();
    let (clients, latency) = open(plan, &server).await?;
    let took = began.elapsed();

    tokio::time::sleep(SETTLE).await;
    let after = (ProcessUsage::of_this_process(), server.usage().await?);
    for client in clients.iter().step_by(CHECK_EVERY) {
        let answer = client.sink.ask(Count).await;
        answer.map_err(|error| peer::ask_failed(&error))?;
    }

    let kib_each = |before: ProcessUsage, after: ProcessUsage| {
        after.rss_kib.saturating_sub(before.rss_kib) as f64 / plan.count as f64
    };
    let measured = Measured {
        took,
        intervals: vec![plan.count as f64 / took.as_secs_f64()],
        latency,
        client: Spent::between(before.0, after.0),
        server: before
            .1
            .zip(after.1)
            .map(|(before, after)| Spent::between(before, after)),
    };
    Ok(Report::new(plan, &measured)
        .add("connections", plan.count)
        .add("client_kib_each", kib_each(before.0, after.0))
        .add(
            "server_kib_each",
            before
                .1
                .zip(after.1)
                .map(|(before, after)| kib_each(before, after)),
        ))
}

/// A connection, and the env that it belongs to. Another env would share it if both were the same.
struct Client {
    sink: RpcEndpointRef,
    _env: RpcEnv,
}

/// Opens the connections, some at a time; each has answered once.
async fn open(plan: &Plan, server: &Server) -> Result<(Vec<Client>, hdrhistogram::Histogram<u64>), Failure> {
    let progress = Arc::new(Progress::start("connecting", plan.count as u64));
    let sink = RpcEndpointAddress::new("sink", Some(server.address.clone()));
    let mut openers = JoinSet::new();
    for opener in 0..plan.in_flight {
        let share = (plan.count + plan.in_flight - 1 - opener) / plan.in_flight;
        let (builder, sink, progress) = (plan.env().client_mode(), sink.clone(), Arc::clone(&progress));
        openers.spawn(async move {
            let mut opened = Vec::with_capacity(share);
            for _ in 0..share {
                let began = Instant::now();
                let env = builder.clone().start().await.map_err(Failure::no)?;
                let sink = env.endpoint_ref(sink.clone());
                let answer = sink.ask(Count).await;
                answer.map_err(|error| peer::ask_failed(&error))?;
                opened.push((Client { sink, _env: env }, began.elapsed()));
                progress.add(1);
            }
            Ok::<_, Failure>(opened)
        });
    }
    let mut clients = Vec::with_capacity(plan.count);
    let mut latency = new_histogram();
    while let Some(opened) = openers.join_next().await {
        for (client, took) in opened.map_err(Failure::no)?? {
            latency.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            clients.push(client);
        }
    }
    Ok((clients, latency))
}

/// Files of this process that are no connections of the work.
const OTHER_FILES: u64 = 64;
/// How long the connections are idle before memory is read.
const SETTLE: Duration = Duration::from_millis(500);
/// Every so manieth connection is asked whether it still lives.
const CHECK_EVERY: usize = 100;
