//! `spark-rpc bench`: one kind of work, measured.

use crate::exit::{Exit, Failure};
use crate::stop::StopSignals;
use crate::{output, process, runtime};

mod args;
mod asking;
mod bulk;
mod connections;
mod downloads;
mod endpoints;
mod meter;
mod mirror;
mod payload;
mod plan;
mod report;
mod sending;
mod server;
mod start;
mod tally;

pub(crate) use args::{BenchArgs, Beside, Work};
pub(crate) use asking::ask_for;
pub(crate) use bulk::run_server as run_bulk_server;
pub(crate) use meter::{Measured, Meter};
pub(crate) use payload::Payload;
pub(crate) use sending::send_for;

use plan::Plan;
use report::Report;

/// Runs the command.
pub(crate) fn run(args: BenchArgs) -> Result<Exit, Failure> {
    let json = args.json;
    let plan = Plan::of(args)?;
    if let Some(cpu) = plan.client_cpu {
        // Before the runtime, whose threads inherit it.
        process::pin_to(cpu, "--client-cpu")?;
    }
    let runtime = runtime::full()?;
    let report = runtime.block_on(async { StopSignals::listen()?.unless_stopped(measure(&plan)).await });
    // After a signal there is still work under way that nobody waits for.
    runtime.shutdown_background();
    let report = report?;
    if json {
        output::line(report.to_json());
    } else {
        report.print();
    }
    Ok(Exit::Done)
}

async fn measure(plan: &Plan) -> Result<Report, Failure> {
    match plan.work {
        Work::LocalAsk => asking::local(plan).await,
        Work::LocalSend => sending::local(plan).await,
        Work::Ask => match plan.beside {
            Some(bulk) => bulk::ask_beside(plan, bulk).await,
            None => asking::remote(plan).await,
        },
        Work::Send => sending::remote(plan).await,
        Work::Connections => connections::run(plan).await,
        Work::Downloads => downloads::run(plan).await,
        Work::Endpoints => endpoints::run(plan).await,
        Work::Start => start::run(plan).await,
        Work::Stream | Work::Chunks => bulk::run(plan).await,
    }
}
