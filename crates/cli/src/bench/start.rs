//! The work `start`: from nothing to the first answer, over and over.

use std::time::{Duration, Instant};

use spark_rpc::{RpcEndpointAddress, RpcEnv};

use super::meter::{Measured, Spent, median, new_histogram};
use super::plan::Plan;
use super::report::Report;
use super::server::Server;
use crate::child::OwnChild;
use crate::exit::Failure;
use crate::messages::Text;
use crate::peer;
use crate::process::ProcessUsage;
use crate::progress::Progress;
use crate::serve::Echo;

/// Runs the work.
pub(crate) async fn run(plan: &Plan) -> Result<Report, Failure> {
    let progress = Progress::start("starting", 2 * plan.count as u64);
    let before = ProcessUsage::of_this_process();
    let began = Instant::now();
    let (mut envs, mut ready, mut processes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.count {
        envs.push(first_answer_of_envs(plan).await?);
        progress.add(1);
    }
    for _ in 0..plan.count {
        let times = first_answer_of_processes(plan).await?;
        ready.push(times.server_ready);
        processes.push(times.answered);
        progress.add(1);
    }
    let took = began.elapsed();

    let idle = Server::of(plan).await?.usage().await?;
    let mut latency = new_histogram();
    for time in &processes {
        latency.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }
    let measured = Measured {
        took,
        intervals: vec![1e3 / median_ms(&processes)],
        latency,
        client: Spent::between(before, ProcessUsage::of_this_process()),
        server: idle.map(|usage| Spent {
            cpu: Duration::from_micros(usage.cpu_us),
            rss_kib: usage.rss_kib,
        }),
    };
    Ok(Report::new(plan, &measured)
        .add("starts", plan.count)
        .add("envs_ms", median_ms(&envs))
        .add("processes_ms", median_ms(&processes))
        .add("server_process_ready_ms", median_ms(&ready)))
}

/// A server env and a client env in this process, over TCP.
async fn first_answer_of_envs(plan: &Plan) -> Result<Duration, Failure> {
    let began = Instant::now();
    let server: RpcEnv = plan.start(plan.env()).await?;
    server.setup_endpoint("echo", Echo).map_err(Failure::no)?;
    let client = plan.client().await?;
    let echo = client.endpoint_ref(RpcEndpointAddress::new("echo", server.address().cloned()));
    let text = Text {
        text: "first".to_owned(),
    };
    let reply = echo.ask(text).await;
    let took = began.elapsed();
    reply.map_err(|error| peer::ask_failed(&error))?;
    client.shutdown().await;
    server.shutdown().await;
    Ok(took)
}

struct Times {
    server_ready: Duration,
    answered: Duration,
}

/// A server process, and when that is ready, a client process.
async fn first_answer_of_processes(plan: &Plan) -> Result<Times, Failure> {
    let began = Instant::now();
    let mut server = OwnChild::start(&plan.serve_arguments())?;
    let address = server.address().await?;
    let server_ready = began.elapsed();
    let uri = format!("spark://echo@{address}");
    let mut client = OwnChild::start(&["ask", uri.as_str(), "--text", "first"])?;
    let answer = client.line(ANSWER_LIMIT).await?;
    let answered = began.elapsed();
    if answer != "first" {
        return Err(Failure::no(format_args!("echo answered {answer:?}")));
    }
    Ok(Times {
        server_ready,
        answered,
    })
}

fn median_ms(times: &[Duration]) -> f64 {
    let ms: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    median(&ms)
}

const ANSWER_LIMIT: Duration = Duration::from_secs(10);
