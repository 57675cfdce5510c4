//! What the arguments of `bench` mean.

use std::ffi::OsString;
use std::time::Duration;

use spark_rpc::config::RpcConf;
use spark_rpc::{RpcAddress, RpcEnv, RpcEnvBuilder};

use super::{BenchArgs, Beside, Work};
use crate::args::ConfArgs;
use crate::exit::Failure;
use crate::process;

/// One measurement, with nothing left open.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) work: Work,
    pub(crate) in_flight: usize,
    pub(crate) size: usize,
    pub(crate) chunk: u64,
    pub(crate) beside: Option<Beside>,
    pub(crate) seconds: Duration,
    pub(crate) count: usize,
    pub(crate) server_cpu: Option<usize>,
    pub(crate) client_cpu: Option<usize>,
    pub(crate) connect: Option<RpcAddress>,
    pub(crate) conf: RpcConf,
    /// The same settings as they were typed, for the server process.
    conf_args: ConfArgs,
}

impl Plan {
    /// Checks that the arguments go together, and fills in the work's own defaults.
    pub(crate) fn of(args: BenchArgs) -> Result<Self, Failure> {
        let refuse = |argument: &str, why: &str| Err(Failure::usage(format_args!("{argument}: {why}")));
        let bulk = matches!(args.work, Work::Stream | Work::Chunks);
        let own_server_only =
            bulk || args.beside.is_some() || matches!(args.work, Work::Start | Work::Downloads);
        let remote = bulk
            || matches!(
                args.work,
                Work::Ask | Work::Send | Work::Connections | Work::Downloads | Work::Start
            );
        if args.connect.is_some() && (!remote || own_server_only) {
            return refuse("--connect", "this work uses no server that runs already");
        }
        if let Some(cpu) = args.server_cpu {
            if !remote {
                return refuse("--server-cpu", "this work has no server process");
            }
            process::check_cpu(cpu, "--server-cpu")?;
        }
        let count = match (args.work, args.count) {
            (Work::Connections, count) => count.unwrap_or(10_000),
            (Work::Downloads, count) => count.unwrap_or(1_000),
            (Work::Endpoints, count) => count.unwrap_or(100_000),
            (Work::Start, count) => count.unwrap_or(20),
            (_, None) => 0,
            (_, Some(_)) => return refuse("--count", "this work is measured by time, see --seconds"),
        };
        if args.beside.is_some() && args.work != Work::Ask {
            return refuse("--beside", "only asks are measured beside something else");
        }
        let chunked = args.work == Work::Chunks || args.beside == Some(Beside::Chunks);
        if args.chunk.is_some() && !chunked {
            return refuse("--chunk", "this work has no chunks");
        }
        let chunk = args.chunk.unwrap_or(4 << 20);
        if !(1..=LARGEST_CHUNK).contains(&chunk) {
            return refuse("--chunk", "at least 1 byte and at most 1 GiB");
        }
        let size = match (args.size, bulk) {
            (None, true) => 1 << 30,
            (None, false) if args.work == Work::Downloads => 1 << 20,
            (None, false) => 64,
            (Some(0), true) => return refuse("--size", "there must be something to transfer"),
            (Some(size), false) if size > LARGEST_PAYLOAD => return refuse("--size", "at most 64 MiB"),
            (Some(size), _) => usize::try_from(size).unwrap_or(usize::MAX),
        };
        let conf = args.conf.to_conf()?;
        let in_flight = args.in_flight.unwrap_or(match args.work {
            Work::Chunks => ((48 << 20) / chunk).clamp(1, 256) as usize,
            Work::Ask | Work::LocalAsk => 64,
            Work::Connections | Work::Downloads => 16,
            _ => 1,
        });
        if in_flight > 1 && matches!(args.work, Work::Endpoints | Work::Start) {
            return refuse("--in-flight", "this work goes one by one");
        }
        Ok(Self {
            work: args.work,
            in_flight,
            size,
            chunk,
            beside: args.beside,
            seconds: args.seconds,
            count,
            server_cpu: args.server_cpu,
            client_cpu: args.client_cpu,
            connect: args.connect,
            conf,
            conf_args: args.conf,
        })
    }

    /// An env of this process, not started yet.
    pub(crate) fn env(&self) -> RpcEnvBuilder {
        RpcEnv::builder("bench").conf(self.conf.clone())
    }

    /// Starts one.
    pub(crate) async fn start(&self, env: RpcEnvBuilder) -> Result<RpcEnv, Failure> {
        let started = env.start().await;
        started.map_err(|error| self.conf_args.start_failed(&error))
    }

    /// Starts one without a listener.
    pub(crate) async fn client(&self) -> Result<RpcEnv, Failure> {
        self.start(self.env().client_mode()).await
    }

    /// The arguments of a server process with the same settings.
    pub(crate) fn serve_arguments(&self) -> Vec<OsString> {
        self.server_arguments(&["serve", "--quiet", "--stop-with-stdin"])
    }

    /// The arguments of another server process with the same settings, on the same CPU.
    pub(crate) fn server_arguments(&self, command: &[&str]) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = command.iter().map(Into::into).collect();
        if let Some(cpu) = self.server_cpu {
            arguments.extend(["--cpu".into(), cpu.to_string().into()]);
        }
        arguments.extend(self.conf_args.to_arguments());
        arguments
    }

    /// A second, or a fifth of the time for short measurements.
    pub(crate) fn warm_up(&self) -> Duration {
        (self.seconds / 5).min(Duration::from_secs(1))
    }
}

/// 64 MiB: what a write queue holds by default.
const LARGEST_PAYLOAD: u64 = 64 << 20;
const LARGEST_CHUNK: u64 = 1 << 30;
