//! The work `endpoints`: many endpoints in one env, and what they cost.

use std::time::Instant;

use super::meter::{Measured, Spent, new_histogram};
use super::plan::Plan;
use super::report::Report;
use super::tally::Tally;
use crate::exit::Failure;
use crate::messages::Count;
use crate::peer;
use crate::process::ProcessUsage;
use crate::progress::Progress;

/// Runs the work.
pub(crate) async fn run(plan: &Plan) -> Result<Report, Failure> {
    let progress = Progress::start("endpoints", 2 * plan.count as u64);
    let env = plan.client().await?;
    let mut endpoints = Vec::with_capacity(plan.count);
    let before = ProcessUsage::of_this_process();
    let began = Instant::now();
    for number in 0..plan.count {
        let endpoint = env.setup_endpoint(&format!("endpoint-{number}"), Tally::default());
        endpoints.push(endpoint.map_err(Failure::no)?);
        progress.add(1);
        if number % LOOK_AROUND == 0 {
            // A signal may ask for the end.
            tokio::task::yield_now().await;
        }
    }
    let took = began.elapsed();

    // Each has started and answered before memory is read.
    let mut latency = new_histogram();
    for endpoint in &endpoints {
        let began = Instant::now();
        endpoint
            .ask(Count)
            .await
            .map_err(|error| peer::ask_failed(&error))?;
        latency.saturating_record(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        progress.add(1);
    }
    let after = ProcessUsage::of_this_process();

    let count = plan.count as f64;
    let measured = Measured {
        took,
        intervals: vec![count / took.as_secs_f64()],
        latency,
        client: Spent::between(before, after),
        server: None,
    };
    let bytes = after.rss_kib.saturating_sub(before.rss_kib) * 1024;
    Ok(Report::new(plan, &measured)
        .add("endpoints", plan.count)
        .add("bytes_each", bytes as f64 / count)
        .add("setup_ns_each", took.as_nanos() as f64 / count))
}

/// After so many endpoints.
const LOOK_AROUND: usize = 1000;
