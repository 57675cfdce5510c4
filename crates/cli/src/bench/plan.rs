//! What the arguments of `bench` mean.

use std::ffi::OsString;
use std::time::Duration;

use spark_rpc::config::RpcConf;
use spark_rpc::{RpcAddress, RpcEnv, RpcEnvBuilder};

use crate::args::{BenchArgs, ConfArgs, Work};
use crate::exit::Failure;

/// One measurement, with nothing left open.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) work: Work,
    pub(crate) in_flight: usize,
    pub(crate) size: usize,
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
        let own_server_only = matches!(args.work, Work::Start);
        let remote = matches!(
            args.work,
            Work::Ask | Work::Send | Work::Connections | Work::Start
        );
        if args.connect.is_some() && (!remote || own_server_only) {
            return refuse("--connect", "this work uses no server that runs already");
        }
        if args.server_cpu.is_some() && !remote {
            return refuse("--server-cpu", "this work has no server process");
        }
        let count = match (args.work, args.count) {
            (Work::Connections, count) => count.unwrap_or(10_000),
            (Work::Endpoints, count) => count.unwrap_or(100_000),
            (Work::Start, count) => count.unwrap_or(20),
            (_, None) => 0,
            (_, Some(_)) => return refuse("--count", "this work is measured by time, see --seconds"),
        };
        let in_flight = args.in_flight.unwrap_or(match args.work {
            Work::Ask | Work::LocalAsk => 64,
            Work::Connections => 16,
            _ => 1,
        });
        if in_flight > 1 && matches!(args.work, Work::Endpoints | Work::Start) {
            return refuse("--in-flight", "this work goes one by one");
        }
        Ok(Self {
            work: args.work,
            in_flight,
            size: args.size,
            seconds: args.seconds,
            count,
            server_cpu: args.server_cpu,
            client_cpu: args.client_cpu,
            connect: args.connect,
            conf: args.conf.to_conf()?,
            conf_args: args.conf,
        })
    }

    /// An env of this process.
    pub(crate) fn env(&self) -> RpcEnvBuilder {
        RpcEnv::builder("bench").conf(self.conf.clone())
    }

    /// The arguments of a server process with the same settings.
    pub(crate) fn serve_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["serve", "--quiet", "--stop-with-stdin"].map(Into::into).into();
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
