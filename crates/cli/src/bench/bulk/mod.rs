//! The works `stream` and `chunks`, and asks beside them.
//!
//! A file goes over and over from a server process to this one, in turns with the same file sent by a bare `sendfile`
//! loop to a bare reader: whatever else the machine does at the time, it does to both.

mod bare;
mod beside;
mod download;
mod server;
mod source;

use std::time::{Duration, Instant};

use serde_json::json;

use super::meter::{Measured, Spent, median, new_histogram};
use super::plan::Plan;
use super::report::Report;
use crate::bench::Work;
use crate::exit::Failure;
use crate::process::ProcessUsage;
use crate::progress::Progress;

pub(crate) use beside::run as ask_beside;
pub(crate) use server::run as run_server;

use bare::Bare;
use download::Download;
use server::BulkServer;

/// Runs the work.
pub(crate) async fn run(plan: &Plan) -> Result<Report, Failure> {
    let progress = Progress::start("measuring", 2 * ROUNDS);
    let file = source::make(plan.size as u64)?;
    let server = BulkServer::start(plan, file.path()).await?;
    let mut ours = match plan.work {
        Work::Chunks => Download::chunks(&server, plan).await?,
        _ => Download::streams(&server, plan),
    };
    let mut bare = Some(server.bare(plan).await?);
    let slice = plan.seconds / (2 * ROUNDS as u32);
    let length = plan.size as u64;

    // The warm-up: both ways once.
    ours.run(Duration::ZERO).await?;
    download_bare(&mut bare, length, Duration::ZERO).await?;

    let (mut our_total, mut bare_total) = (Total::default(), Total::default());
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let bare_speed = bare_total
            .add(&server, async || download_bare(&mut bare, length, slice).await)
            .await?;
        progress.add(1);
        let our_speed = our_total.add(&server, async || ours.run(slice).await).await?;
        progress.add(1);
        ratios.push(our_speed / bare_speed);
    }

    let measured = Measured {
        took: our_total.took,
        intervals: our_total.speeds.clone(),
        latency: new_histogram(),
        client: our_total.spent(ProcessUsage::of_this_process(), our_total.receiver_us),
        server: Some(our_total.spent(server.usage().await?, our_total.sender_us)),
    };
    let mut report = Report::of_intervals(plan, &measured);
    if plan.work == Work::Chunks {
        report = report.add("chunk", plan.chunk);
    }
    let cost = |total: &Total| {
        json!({
            "mb_per_s": super::report::rounded(median(&total.speeds) / 1e6),
            "sender_s_per_gib": super::report::rounded(total.per_gib(total.sender_us)),
            "receiver_s_per_gib": super::report::rounded(total.per_gib(total.receiver_us)),
        })
    };
    Ok(report
        .add("congestion", congestion(plan))
        .add("ours", cost(&our_total))
        .add("bare", cost(&bare_total))
        .add("ratio", median(&ratios))
        .add(
            "sender_ratio",
            our_total.per_gib(our_total.sender_us) / bare_total.per_gib(bare_total.sender_us),
        ))
}

/// What one way has taken, over all rounds.
#[derive(Default)]
struct Total {
    bytes: u64,
    took: Duration,
    sender_us: u64,
    receiver_us: u64,
    /// Bytes per second in each round.
    speeds: Vec<f64>,
}

impl Total {
    /// Measures one more round of `work`, which returns its bytes; returns its speed.
    async fn add(
        &mut self,
        server: &BulkServer,
        work: impl AsyncFnOnce() -> Result<u64, Failure>,
    ) -> Result<f64, Failure> {
        let (sender, receiver) = (server.usage().await?, ProcessUsage::of_this_process());
        let began = Instant::now();
        let bytes = work().await?;
        let took = began.elapsed();
        self.receiver_us += ProcessUsage::of_this_process().cpu_us - receiver.cpu_us;
        self.sender_us += server.usage().await?.cpu_us - sender.cpu_us;
        self.bytes += bytes;
        self.took += took;
        let speed = bytes as f64 / took.as_secs_f64();
        self.speeds.push(speed);
        Ok(speed)
    }

    /// Seconds of CPU time for each GiB.
    fn per_gib(&self, cpu_us: u64) -> f64 {
        cpu_us as f64 / 1e6 / (self.bytes as f64 / f64::from(1 << 30))
    }

    fn spent(&self, now: ProcessUsage, cpu_us: u64) -> Spent {
        Spent {
            cpu: Duration::from_micros(cpu_us),
            rss_kib: now.rss_kib,
        }
    }
}

/// Downloads the whole file, again and again until `time` has passed; returns the bytes.
async fn download_bare(bare: &mut Option<Bare>, length: u64, time: Duration) -> Result<u64, Failure> {
    let Some(mut reader) = bare.take() else {
        return Err(Failure::no("the bare connection is lost"));
    };
    let work = tokio::task::spawn_blocking(move || {
        let end = Instant::now() + time;
        let mut bytes = 0;
        loop {
            reader.download(length)?;
            bytes += length;
            if Instant::now() >= end {
                return Ok::<_, std::io::Error>((reader, bytes));
            }
        }
    });
    let (reader, bytes) = work.await.map_err(Failure::no)?.map_err(Failure::no)?;
    *bare = Some(reader);
    Ok(bytes)
}

/// The congestion control of both ways.
fn congestion(plan: &Plan) -> Option<String> {
    let of_system = || std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").ok();
    let name = plan.conf.transport.congestion.clone().or_else(of_system)?;
    Some(name.trim().to_owned())
}

const ROUNDS: u64 = 5;
/// What a process may take to say something.
const LIMIT: Duration = Duration::from_secs(10);
