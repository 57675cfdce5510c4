//! What can be typed behind `bench`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use spark_rpc::RpcAddress;

use crate::args::ConfArgs;
use crate::settings::{byte_size, positive, some_seconds};

/// Measure one kind of work
///
/// Remote works start a server process of their own, unless --connect names one that runs `spark-rpc serve`. A second of
/// warm-up is not counted (less when --seconds is below 5). The throughput is the median of five intervals; every 16th
/// ask is timed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spark-rpc bench local-send --client-cpu 1
  spark-rpc bench ask --in-flight 1024 --server-cpu 0 --client-cpu 1
  spark-rpc bench send --connect 10.0.0.1:7077 --size 1024 --json
  spark-rpc bench connections --count 10000
  spark-rpc bench stream --size 1GiB --conf spark.rpc.io.congestion=reno
  spark-rpc bench chunks --chunk 64KiB --in-flight 64
  spark-rpc bench ask --beside stream
  spark-rpc bench downloads --clients 1000 --size 1MiB

With --json, one object: work, in_flight, size, seconds, throughput_per_s, latency_us (p50, p99, p999), client and
server (cpu_s, rss_kib), and what the work adds. What a work cannot know is null: the latency of one-way messages, the
server of local works. For stream and chunks the throughput is in bytes, and `bare` is what a sendfile loop into a
reading loop makes of the same file, in turns with ours and with the same socket settings.

Exit codes: 0 measured, 1 something failed on the way, 2 bad usage, 3 unreachable or no answer in time")]
pub(crate) struct BenchArgs {
    /// What to do
    #[arg(value_enum)]
    pub(crate) work: Work,

    /// Asks or chunks that wait at the same time, tasks that send, streams, or connections being opened
    /// [default: 64 for asks, 16 for connections, 48 MiB and at most 256 chunks, else 1]
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub(crate) in_flight: Option<usize>,

    /// Bytes of payload in each message, up to 64 of them inside of it, more shared behind a pointer; or of the file that
    /// is transferred, such as 1GiB [default: 64, 1GiB, 1MiB for downloads]
    #[arg(long, value_name = "BYTES", value_parser = byte_size, allow_negative_numbers = true)]
    pub(crate) size: Option<u64>,

    /// Bytes of a chunk [default: 4MiB]
    #[arg(long, value_name = "BYTES", value_parser = byte_size, allow_negative_numbers = true)]
    pub(crate) chunk: Option<u64>,

    /// Ask while a file is transferred between the same two processes, over and over: as a stream over a second
    /// connection, or as chunks over the same one
    #[arg(long, value_enum, value_name = "BULK")]
    pub(crate) beside: Option<Beside>,

    /// How long to measure
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = some_seconds, allow_negative_numbers = true)]
    pub(crate) seconds: Duration,

    /// How many connections, endpoints, starts or clients that download [default: 10000, 100000, 20, 1000]
    #[arg(long, visible_alias = "clients", value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub(crate) count: Option<usize>,

    /// Run the server on this CPU only
    #[arg(long, value_name = "N", conflicts_with = "connect")]
    pub(crate) server_cpu: Option<usize>,

    /// Run this process on this CPU only
    #[arg(long, value_name = "N")]
    pub(crate) client_cpu: Option<usize>,

    /// Use the server that runs there, HOST:PORT or spark://HOST:PORT
    #[arg(long, value_name = "ADDR")]
    pub(crate) connect: Option<RpcAddress>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Settings of both sides
    #[command(flatten)]
    pub(crate) conf: ConfArgs,
}

/// The kinds of work that `bench` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// One-way messages to an endpoint of the same env
    LocalSend,
    /// Asks to an endpoint of the same env
    LocalAsk,
    /// Asks over one connection
    Ask,
    /// One-way messages over one connection
    Send,
    /// Idle connections, and what each costs both sides
    Connections,
    /// Endpoints in one env, and what each costs
    Endpoints,
    /// From nothing to the first answer, as envs and as processes
    Start,
    /// A file that many clients fetch at once, each over a connection of its own
    Downloads,
    /// A file as streams, each over a connection of its own, beside a bare sendfile loop
    Stream,
    /// A file as chunks over one connection, beside a bare sendfile loop
    Chunks,
}

/// What else goes on while asks are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Beside {
    /// A stream over a second connection, as files are downloaded
    Stream,
    /// Chunks over the connection of the asks, which know no endpoint then
    Chunks,
}
