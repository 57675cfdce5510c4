//! What can be typed. What it means is decided where it is used.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use spark_rpc::{RpcAddress, RpcEndpointAddress};
use tracing_subscriber::filter::LevelFilter;

use crate::bench::BenchArgs;
use crate::decode::DecodeArgs;
use crate::exit::Failure;
use crate::java_body::JavaBody;
use crate::serve::{ServedFolder, served_folder};
use crate::settings::{bind_address, key_value, seconds, some_seconds};
use crate::tap::TapArgs;

/// Apache Spark's RPC layer in Rust, from a shell.
#[derive(Debug, Parser)]
#[command(name = "spark-rpc", version, after_help = AFTER_HELP, arg_required_else_help = true)]
#[command(max_term_width = 100, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// What the library logs on standard error: off, error, warn, info, debug or trace [default: warn for serve, off for
    /// demo, else error]
    #[arg(long, global = true, value_name = "LEVEL", env = "SPARK_RPC_LOG")]
    pub(crate) log: Option<LevelFilter>,
}

impl Cli {
    /// The level to log at. Commands that end soon tell what went wrong by themselves.
    pub(crate) fn log_level(&self) -> LevelFilter {
        self.log.unwrap_or(match self.command {
            Command::Serve(_) => LevelFilter::WARN,
            Command::Demo(_) => LevelFilter::OFF,
            _ => LevelFilter::ERROR,
        })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Serve(ServeArgs),
    Ping(PingArgs),
    Ask(AskArgs),
    Send(SendArgs),
    Get(GetArgs),
    Doctor(DoctorArgs),
    Status(StatusArgs),
    Bench(BenchArgs),
    Decode(DecodeArgs),
    Tap(TapArgs),
    Completions(CompletionsArgs),
    #[command(hide = true)]
    BulkServer(BulkServerArgs),
    #[command(hide = true)]
    DemoServer(DemoServerArgs),
    #[command(hide = true)]
    DemoClient(DemoClientArgs),
}

/// See everything at work, in seconds
///
/// Starts a server process and a client process over TCP on loopback and shows: connection events, sends, asks, a failing
/// ask, a reference passed inside a message and called back, an endpoint being stopped, a file being fetched, a server that
/// dies and comes back, and a short measurement. Each step is checked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spark-rpc demo

Exit codes: 0 every step did what it should, 1 one did not, 2 bad usage")]
pub(crate) struct DemoArgs {}

/// The server process of `bench stream` and `bench chunks`
#[derive(Debug, Args)]
pub(crate) struct BulkServerArgs {
    /// What to send
    #[arg(long)]
    pub(crate) file: PathBuf,

    #[arg(long)]
    pub(crate) cpu: Option<usize>,

    #[command(flatten)]
    pub(crate) conf: ConfArgs,
}

/// The server process of `demo`
#[derive(Debug, Args)]
pub(crate) struct DemoServerArgs {
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,

    /// What it serves
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
}

/// The client process of `demo`
#[derive(Debug, Args)]
pub(crate) struct DemoClientArgs {
    #[arg(long)]
    pub(crate) server: RpcAddress,

    /// What the server serves
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
}

/// Run a server with the endpoints `echo` and `sink`, and files if wanted
///
/// `echo` answers with the content that it was asked with, byte for byte. `sink` counts one-way messages and their bytes;
/// asked, it answers with the counts. --files serves what is below a folder, to be fetched by `get`.
///
/// The first line on standard output is the address, spark://HOST:PORT. The server runs until Ctrl-C or SIGTERM, then
/// finishes what it has accepted, at most for spark.rpc.shutdown.drainLimit; a second signal ends it at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spark-rpc serve
  spark-rpc serve --bind 127.0.0.1:7077 --json
  spark-rpc serve --files target/classes --files data=/srv/data
  spark-rpc serve --properties-file conf/spark-defaults.conf --conf spark.rpc.askTimeout=30s
  spark-rpc serve --bind 0.0.0.0:7077 --secret-file /etc/spark-rpc/secret
  spark-rpc serve --bind 0.0.0.0:7077 --tls-cert host.pem --tls-key host.key --secret-file secret

Beyond loopback it serves only those who authenticate: without a secret or TLS it does not start.

Exit codes: 0 drained, 1 could not start or had to cut off, 2 bad usage")]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes any free one, a taken port makes the next ones be tried
    #[arg(long, value_name = "ADDR[:PORT]", default_value = "127.0.0.1", value_parser = bind_address)]
    pub(crate) bind: RpcAddress,

    /// Tell others this host instead of the one to listen on
    #[arg(long, value_name = "HOST")]
    pub(crate) advertise: Option<String>,

    /// Serve everything below DIR as spark://HOST:PORT/NAME/..., NAME being the folder's last component if it is not given;
    /// repeatable
    #[arg(long, value_name = "[NAME=]DIR", value_parser = served_folder)]
    pub(crate) files: Vec<ServedFolder>,

    /// After the address, write events as JSON objects, one a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Tell no events
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Run on this CPU only, with one thread
    #[arg(long, value_name = "N")]
    pub(crate) cpu: Option<usize>,

    /// Also stop when standard input ends, as it does when the process on its other end dies
    #[arg(long)]
    pub(crate) stop_with_stdin: bool,

    #[command(flatten)]
    pub(crate) conf: ConfArgs,
}

/// Find out whether an endpoint exists and how long a round trip takes
///
/// Ctrl-C ends it early; what has been measured until then is told.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spark-rpc ping spark://echo@127.0.0.1:7077
  spark-rpc ping spark://Master@10.0.0.1:7077 -c 10 -i 1

Exit codes: 0 it exists, 1 it does not, 2 bad usage, 3 unreachable or no answer in time")]
pub(crate) struct PingArgs {
    /// The endpoint, spark://NAME@HOST:PORT
    pub(crate) uri: RpcEndpointAddress,

    /// How often to ask
    #[arg(short, long, value_name = "N", default_value_t = 4, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,

    /// Seconds between two questions
    #[arg(short, long, value_name = "SECONDS", default_value = "0.2", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) interval: Duration,

    #[command(flatten)]
    pub(crate) limit: LimitArgs,
}

/// Ask an endpoint and print its answer
///
/// With --text the message is `Text`, one string, in the native codec; the answer is expected to be the same. The endpoint
/// `echo` of `spark-rpc serve` answers with the text, `sink` with its counts.
///
/// With --java and --json the message is a Java object, as a JVM sends it, and so is the answer, which is printed as a tree
/// or as JSON.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spark-rpc ask spark://echo@127.0.0.1:7077 --text hello
  spark-rpc ask spark://sink@127.0.0.1:7077 --text 'how many?'
  spark-rpc ask spark://Master@10.0.0.1:7077 \\
    --java 'case-object:org.apache.spark.deploy.DeployMessages$RequestMasterState$'
  spark-rpc ask spark://endpoint-verifier@10.0.0.1:7077 --json \\
    '{\"class\": \"org.apache.spark.rpc.netty.RpcEndpointVerifier$CheckExistence\", \"name\": \"Master\"}'

Exit codes: 0 answered, 1 the endpoint does not exist or answers with a failure, 2 bad usage,
3 unreachable or no answer in time")]
pub(crate) struct AskArgs {
    /// The endpoint, spark://NAME@HOST:PORT
    pub(crate) uri: RpcEndpointAddress,

    #[command(flatten)]
    pub(crate) body: BodyArgs,

    #[command(flatten)]
    pub(crate) limit: LimitArgs,
}

/// Send a message to an endpoint, without an answer
///
/// With --text the message is `Text`, one string, in the native codec; with --java and --json it is a Java object, as a JVM
/// sends it. The endpoint is looked up first; the command ends when the message has been written to the connection.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spark-rpc send spark://sink@127.0.0.1:7077 --text hello
  spark-rpc send spark://worker-log@10.0.0.1:7077 --java string:hello

Exit codes: 0 sent, 1 the endpoint does not exist, 2 bad usage, 3 unreachable or no answer in time")]
pub(crate) struct SendArgs {
    /// The endpoint, spark://NAME@HOST:PORT
    pub(crate) uri: RpcEndpointAddress,

    #[command(flatten)]
    pub(crate) body: BodyArgs,

    #[command(flatten)]
    pub(crate) limit: LimitArgs,
}

/// Fetch a file that a server has
///
/// The file is written beside its destination and renamed when it is whole: what was there before stays until then, and a
/// fetch that fails or is stopped leaves nothing behind. At the end a line tells size, time and rate, and whether the server
/// gave a checksum to verify it by, as all but JVMs do unless the setting spark.rpc.files.checksum is false
/// at either end.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spark-rpc get spark://127.0.0.1:7077/data/words.txt
  spark-rpc get spark://10.0.0.1:7077/jars/app.jar -o /tmp
  spark-rpc get spark://10.0.0.1:7077/data/all.tar -o - | tar x

With --json, one object: uri, path, bytes, seconds, bytes_per_s, and xxh3_128, which is null if nothing was verified.

Exit codes: 0 fetched, 1 not served, changed or damaged on the way, stopped, or cannot be written here,
2 bad usage, 3 unreachable or broken off")]
pub(crate) struct GetArgs {
    /// The file, spark://HOST:PORT/PATH, with blanks and the like written as %20
    pub(crate) uri: String,

    /// Where it goes; - is standard output, which is not checked, and has got a part when a fetch breaks off
    /// [default: the URI's last part, in the current folder]
    #[arg(short, long, value_name = "FILE|DIR|-")]
    pub(crate) output: Option<PathBuf>,

    /// Print one JSON object instead of the line
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) limit: LimitArgs,
}

/// Find out what listens at an address, and what is wrong with it
///
/// Asks from outside, read-only, over one connection at a time: is it Spark's RPC or something else; is authentication
/// wanted, and which mechanisms are accepted; which version of Spark and Scala it is; which well-known endpoints it has;
/// how long a round trip takes. A JVM logs an error for the one or two objects by whose refusal it tells its version, and
/// a failed authentication where it wants one. With a secret that is right it looks inside.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spark-rpc doctor spark://10.0.0.1:7077
  spark-rpc doctor 10.0.0.1:7077 --secret-file /etc/spark-rpc/secret
  spark-rpc doctor 10.0.0.1:7077 --json | jq .spark

With --json, one object; what is not known is null:
  address, connect_us
  listening       spark, spark_transport (no env), tls, http, ssh, unknown, closes, silent
  said            what something unknown said
  tls             protocol, subject, not_after_s (since the beginning of 1970), trusted
  authentication  wanted, mechanisms (auth_engine, sasl_digest_md5), sasl_qop, succeeded, refused
  peer            jvm or spark-rpc
  spark           the versions that have its class ids; a patch stands for its line
  scala, class_ids
  endpoints       well-known names, and whether they exist
  round_trip_us   min, median
  advice          sentences

Exit codes: 0 it speaks Spark's RPC, 1 it does not or refuses the secret, 2 bad usage, 3 nothing listens")]
pub(crate) struct DoctorArgs {
    /// Where, spark://HOST:PORT or HOST:PORT
    pub(crate) address: RpcAddress,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) limit: LimitArgs,
}

/// Show the workers, applications and drivers of a standalone Master
///
/// The Master of a standalone cluster of Spark 3.4 to 4.3 is asked by RPC, as its own web pages do. By RPC it does not tell
/// the states of workers and applications, nor what is in use; that comes from its web server, where that answers.
/// Nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spark-rpc status spark://10.0.0.1:7077
  spark-rpc status 10.0.0.1:7077 --watch --interval 5
  spark-rpc status spark://10.0.0.1:7077 --json | jq -r '.workers[] | select(.state != \"alive\").id'

With --json, one object (with --watch, one a line); what is not known is null:
  master        url, state (alive, standby, recovering, completing_recovery), web_ui_port, rest_port,
                web_ui_answered
  workers       id, host, port, state (alive, dead, decommissioned, unknown), cores, cores_used, memory_mib,
                memory_used_mib, resources (name to addresses), web_ui, last_heartbeat_ms
  applications  id, name, user, active, state (waiting, running, finished, failed, killed, unknown), cores_wanted
                (null: all), cores_used, memory_per_executor_mib, submitted_ms, duration_ms, driver, web_ui
  drivers       id, main_class, jar, active, state (submitted, running, finished, relaunching, unknown, killed,
                failed, error), worker, error, cores, memory_mib, supervised, submitted_ms
Times are milliseconds since the beginning of 1970 by the Master's clock.

Exit codes: 0 shown, 1 there is no Master or it wants authentication, 2 bad usage, 3 unreachable or no
answer in time")]
pub(crate) struct StatusArgs {
    /// The Master, spark://HOST:PORT or HOST:PORT
    pub(crate) master: RpcAddress,

    /// Show it again and again, until Ctrl-C
    #[arg(long, short)]
    pub(crate) watch: bool,

    /// Seconds between two looks of --watch
    #[arg(long, short, value_name = "SECONDS", default_value = "2", value_parser = some_seconds, allow_negative_numbers = true, requires = "watch")]
    pub(crate) interval: Duration,

    /// Show all applications and drivers that have ended, and not only the last five
    #[arg(long)]
    pub(crate) all: bool,

    /// Do not ask the Master's web server
    #[arg(long)]
    pub(crate) rpc_only: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) limit: LimitArgs,
}

/// Write shell completions to standard output
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spark-rpc completions bash > ~/.local/share/bash-completion/completions/spark-rpc
  spark-rpc completions zsh > ~/.zfunc/_spark-rpc
  spark-rpc completions fish > ~/.config/fish/completions/spark-rpc.fish")]
pub(crate) struct CompletionsArgs {
    pub(crate) shell: Shell,
}

/// The message to ask or send.
#[derive(Debug, Args)]
#[group(id = "body", required = true, multiple = false)]
pub(crate) struct BodyArgs {
    /// A text
    #[arg(long, value_name = "TEXT", allow_negative_numbers = true)]
    pub(crate) text: Option<String>,

    /// A Java object: string:TEXT, int:N, long:N, double:X, bool:true, bytes:HEX, case-object:CLASS$, null, unit
    #[arg(long, value_name = "TYPE:VALUE")]
    pub(crate) java: Option<JavaBody>,

    /// A Java object in JSON: {"class": NAME, FIELD: VALUE, ...} for any class that Spark sends, as far as its fields are
    /// plain: numbers, texts, options, lists, maps, other such objects; `spark-rpc decode --json` prints what it understands
    #[arg(long, value_name = "BODY")]
    pub(crate) json: Option<String>,
}

impl BodyArgs {
    /// The Java object, if it is one.
    pub(crate) fn java(&self) -> Result<Option<JavaBody>, Failure> {
        match (&self.java, &self.json) {
            (Some(body), _) => Ok(Some(body.clone())),
            (None, Some(json)) => JavaBody::from_json(json).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// How long to wait for a peer, and the settings that say everything else.
#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// Seconds to wait for the connection and each answer
    /// [default: what the settings say about spark.rpc.askTimeout or spark.network.timeout, else 5]
    #[arg(long, value_name = "SECONDS", value_parser = some_seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) conf: ConfArgs,
}

/// Settings under Spark's keys.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConfArgs {
    /// Set one of Spark's keys; wins over the file
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) conf: Vec<(String, String)>,

    /// Read Spark's keys from a file such as spark-defaults.conf
    #[arg(long, value_name = "FILE")]
    pub(crate) properties_file: Option<PathBuf>,

    /// Authenticate with the secret in this file, a text; both sides need the same
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,

    /// How to authenticate with the secret, which may also come from the environment variable _SPARK_AUTH_SECRET
    /// [default: engine]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) auth: Option<Auth>,

    /// Speak TLS; the certificates of this side in PEM, its own one first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Speak TLS; trust these certificates in PEM and what they have signed, for the host that is connected to
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
}

/// How to authenticate, and what encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Auth {
    /// Spark's auth engine, version 2, and AES-GCM
    Engine,
    /// Spark's auth engine as Spark sets it up by default: version 1 and AES-CTR, which is weak
    SparkEngine,
    /// SASL DIGEST-MD5 with 3DES, which is weak
    SaslEncryption,
    /// SASL DIGEST-MD5 and nothing that encrypts, which is weak
    Sasl,
}

impl Auth {
    /// The name to type.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

const AFTER_HELP: &str = "\
Examples:
  spark-rpc demo                                           see everything at work, in seconds
  spark-rpc serve --bind 127.0.0.1:7077                    run a server
  spark-rpc ping spark://echo@127.0.0.1:7077               does the endpoint exist?
  spark-rpc ask spark://echo@127.0.0.1:7077 --text hello   ask it something
  spark-rpc serve --files data                             hand out files
  spark-rpc get spark://127.0.0.1:7077/data/words.txt      fetch one
  spark-rpc doctor spark://10.0.0.1:7077                   what listens there, and is it well?
  spark-rpc status spark://10.0.0.1:7077                   look at a standalone cluster
  spark-rpc bench ask --in-flight 64                       measure
  spark-rpc decode capture.bin                             what do these bytes mean?
  spark-rpc tap --to 127.0.0.1:7077                        what do these two say to each other?

Exit codes:
  0  everything was as it should be
  1  the answer is no: no such endpoint, a failed step, a server that could not start
  2  bad usage: the message names the argument
  3  unreachable, or no answer in time

Colours and progress appear on terminals only; NO_COLOR switches colours off.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }
}
