//! The work `downloads`: many clients that each fetch the same file, all at once, and what that costs the server.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spark_rpc::{FileChannel, FileError, RpcEnv};
use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinSet;

use super::meter::{Measured, Spent, new_histogram};
use super::plan::Plan;
use super::report::Report;
use super::server::Server;
use crate::exit::Failure;
use crate::process::{ProcessUsage, raise_open_files};
use crate::progress::Progress;

/// Runs the work.
pub(crate) async fn run(plan: &Plan) -> Result<Report, Failure> {
    let most = raise_open_files().saturating_sub(OTHER_FILES);
    if (plan.count as u64) > most {
        let count = plan.count;
        return Err(Failure::usage(format_args!(
            "--clients {count}: this process may open {most} (ulimit -n)"
        )));
    }
    let failed = |error| Failure::no(format_args!("cannot make a file to be served: {error}"));
    let folder = tempfile::tempdir().map_err(failed)?;
    let content: Vec<u8> = (0..plan.size).map(|i| (i % 251) as u8).collect();
    std::fs::write(folder.path().join("file"), content).map_err(failed)?;
    let mut files = OsString::from("bench=");
    files.push(folder.path());
    let server = Server::with(plan, &["--files".into(), files]).await?;
    let uri: Arc<str> = format!("{}/bench/file", server.address.to_spark_url()).into();

    // What is only paid once is not counted: the file is read from the disk, threads are started.
    for _ in 0..WARM_UP {
        let opened = server.env.open_channel(&uri).await.map_err(Failure::no)?;
        read(opened).await.map_err(Failure::no)?;
    }
    let before = (ProcessUsage::of_this_process(), server.usage().await?);
    let began = Instant::now();
    let fetched = fetch_all(plan, &server.env, &uri).await?;
    let took = began.elapsed();
    let after = (ProcessUsage::of_this_process(), server.usage().await?);

    let done = plan.count - fetched.failures.len();
    if let Some(first) = fetched.failures.first() {
        let (failures, count) = (fetched.failures.len(), plan.count);
        return Err(Failure::no(format_args!(
            "{failures} of {count} downloads failed, the first one: {first}"
        )));
    }
    let server_usage = before.1.zip(after.1);
    let measured = Measured {
        took,
        intervals: vec![done as f64 / took.as_secs_f64()],
        latency: fetched.latency,
        client: Spent::between(before.0, after.0),
        server: server_usage.map(|(before, after)| Spent::between(before, after)),
    };
    Ok(Report::new(plan, &measured)
        .add("clients", plan.count)
        .add("failures", fetched.failures.len())
        .add(
            "mib_per_s",
            (done * plan.size) as f64 / took.as_secs_f64() / f64::from(1 << 20),
        )
        .add(
            "server_rss_kib_before",
            server_usage.map(|(before, _)| before.rss_kib),
        )
        .add(
            "server_rss_kib_peak",
            server_usage.map(|(_, after)| after.peak_kib),
        ))
}

struct FetchedAll {
    latency: hdrhistogram::Histogram<u64>,
    failures: Vec<FileError>,
}

/// Lets every client open the file, and read it once all have: so all are under way at the same time.
async fn fetch_all(plan: &Plan, env: &RpcEnv, uri: &Arc<str>) -> Result<FetchedAll, Failure> {
    let progress = Arc::new(Progress::start("downloads", plan.count as u64));
    let all_are_open = Arc::new(Barrier::new(plan.count));
    let connecting = Arc::new(Semaphore::new(plan.in_flight));
    let mut clients = JoinSet::new();
    for _ in 0..plan.count {
        let (env, uri, progress) = (env.clone(), Arc::clone(uri), Arc::clone(&progress));
        let (all_are_open, connecting) = (Arc::clone(&all_are_open), Arc::clone(&connecting));
        clients.spawn(async move {
            let turn = connecting.acquire().await;
            let began = Instant::now();
            let opened = env.open_channel(&uri).await;
            drop(turn);
            all_are_open.wait().await;
            let fetched = match opened {
                Ok(channel) => read(channel).await,
                Err(error) => Err(error),
            };
            progress.add(1);
            fetched.map(|()| began.elapsed())
        });
    }
    let mut fetched = FetchedAll {
        latency: new_histogram(),
        failures: Vec::new(),
    };
    while let Some(client) = clients.join_next().await {
        match client.map_err(Failure::no)? {
            Ok(took) => fetched.latency.saturating_record(nanoseconds(took)),
            Err(error) => fetched.failures.push(error),
        }
    }
    Ok(fetched)
}

async fn read(mut channel: FileChannel) -> Result<(), FileError> {
    while channel.chunk().await?.is_some() {}
    Ok(())
}

fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

/// Files of this process that are no connections of the work.
const OTHER_FILES: u64 = 64;
const WARM_UP: usize = 10;
