//! `spark-rpc tap`: between two Spark processes, telling what passes.

use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use clap::Args;
use spark_rpc::RpcAddress;
use spark_rpc_inspect::{Direction, Fields, Inlet, Outlet, Recorder, Story, Style, Tap, Totals, outlet};

use crate::decode::{StyleArgs, print};
use crate::exit::{Exit, Failure};
use crate::output::{self, BOLD, YELLOW, styled};
use crate::runtime;
use crate::serve::is_loopback;
use crate::settings::bind_address;
use crate::stop::StopSignals;

/// Sit between two Spark processes and tell what they say
///
/// Point the client at the address of the tap instead of the server's. Everything is passed on byte for byte, also what
/// makes no sense. Each frame is printed with the seconds since the start, the number of its connection, and an arrow: →
/// is what the connecting side says, ← what the other one does. Answers say to which request they belong and how long
/// they took.
///
/// The connection never waits for the terminal: what cannot be printed in time is left out and counted. The bodies of streams,
/// uploads and chunks are counted, and so is everything behind an authentication that ends in encryption.
///
/// Spark tells addresses inside messages. Answers, and messages to references that came over a connection, go back over
/// it; but whoever is told the address of a third process calls it directly, past the tap.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spark-rpc tap --to 10.0.0.1:7077
  spark-rpc tap --listen 127.0.0.1:7078 --to 10.0.0.1:7077 --brief
  spark-rpc tap --to 10.0.0.1:7077 --filter endpoint=Master --filter class=Heartbeat,RegisterWorker
  spark-rpc tap --to 10.0.0.1:7077 --filter type=RpcFailure,StreamFailure
  spark-rpc tap --to 10.0.0.1:7077 --write talk.json; spark-rpc decode talk.json --brief

The file of --write has a line of JSON for each event: connection, at_us, event, and for frames
direction, offset, length and data: the hexadecimal digits of what follows the length field, up to
4 MiB. It holds all that passed, whatever --filter says, secrets inside messages too, and is
readable for its owner only.

With --json, one object a line: event (listening, opened, frame, body, opaque, cut, ended, closed,
unreachable, not_printed, summary), at_us, connection, direction; for frames also what
`spark-rpc decode --json` prints, and answers (subject, took_us).

Exit codes: 0 ended by Ctrl-C or SIGTERM, 1 could not listen or record, 2 bad usage")]
pub(crate) struct TapArgs {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDR[:PORT]", default_value = "127.0.0.1", value_parser = bind_address)]
    pub(crate) listen: RpcAddress,

    /// Where to pass everything on to, HOST:PORT or spark://HOST:PORT
    #[arg(long, value_name = "ADDR")]
    pub(crate) to: RpcAddress,

    /// Record what passes in a new file, for `spark-rpc decode`
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,

    /// Listen beyond loopback, too: everybody who reaches the tap reaches what is behind it
    #[arg(long)]
    pub(crate) expose: bool,

    #[command(flatten)]
    pub(crate) style: StyleArgs,
}

/// What waits to be printed, at most.
const PRINTED: (usize, usize) = (10_000, 32 << 20);
/// What waits to be recorded. A disk may pause for longer than anybody who reads.
const RECORDED: (usize, usize) = (200_000, 256 << 20);
/// How long the output may take to catch up at the end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs the command.
pub(crate) fn run(args: &TapArgs) -> Result<Exit, Failure> {
    if !args.expose && !is_loopback(&args.listen) {
        return Err(Failure::usage(format_args!(
            "--listen {}: everybody who reaches this address would reach {}; add --expose if that is what you want",
            args.listen, args.to
        )));
    }
    let runtime = runtime::full()?;
    let exit = runtime.block_on(tap(args));
    runtime.shutdown_background();
    exit
}

async fn tap(args: &TapArgs) -> Result<Exit, Failure> {
    let mut signals = StopSignals::listen()?;
    let to = args.to.to_string();
    let bound = Tap::bind(&args.listen.to_string(), &to).await;
    let tap = bound.map_err(|error| Failure::no(format_args!("--listen {}: {error}", args.listen)))?;
    let address = tap.local_addr().map_err(|error| Failure::no(error.to_string()))?;

    let mut threads = Vec::new();
    let mut outlets = Vec::new();
    if let Some(file) = &args.write {
        let recorder = create(file).and_then(|file| Recorder::new(file, &to));
        let recorder =
            recorder.map_err(|error| Failure::usage(format_args!("--write {}: {error}", file.display())))?;
        let (outlet, inlet) = outlet(RECORDED.0, RECORDED.1);
        outlets.push(outlet);
        let name = file.display().to_string();
        threads.push(start(move || record(&inlet, recorder, &name)));
    }
    let json = args.style.json;
    let (outlet, inlet): (Outlet, Inlet) = outlet(PRINTED.0, PRINTED.1);
    outlets.push(outlet);
    listening(json, &address.to_string(), &to);
    let style = args.style.style();
    threads.push(start(move || tell(&inlet, style)));

    let totals = tap
        .run(outlets, async {
            signals.next().await;
        })
        .await;

    let mut all_told = true;
    let mut all_well = true;
    for ended in threads {
        match ended.recv_timeout(LAST_WORDS) {
            Ok(well) => all_well &= well,
            Err(_) => all_told = false,
        }
    }
    summary(json, &totals, all_told);
    Ok(if all_well { Exit::Done } else { Exit::No })
}

/// Runs something that may wait on a thread of its own, and returns where it says whether all went well.
fn start(work: impl FnOnce() -> bool + Send + 'static) -> mpsc::Receiver<bool> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive
}

fn create(file: &Path) -> std::io::Result<BufWriter<File>> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o600);
    options.open(file).map(BufWriter::new)
}

/// Writes events to the file; at every pause the file is up to date.
fn record(inlet: &Inlet, mut recorder: Recorder<BufWriter<File>>, name: &str) -> bool {
    let mut write = || -> std::io::Result<()> {
        while let Some(first) = inlet.wait() {
            let mut next = Some(first);
            while let Some(taken) = next {
                recorder.write_taken(&taken)?;
                next = inlet.try_take();
            }
            recorder.flush()?;
        }
        Ok(())
    };
    match write() {
        Ok(()) => true,
        Err(error) => {
            output::error(format_args!("--write {name}: {error}; nothing more is recorded"));
            false
        }
    }
}

/// Prints events until the tap ends.
fn tell(inlet: &Inlet, style: Style) -> bool {
    let json = style.json;
    let mut story = Story::new(style);
    while let Some(taken) = inlet.wait() {
        if taken.lost > 0 {
            not_printed(json, taken.lost);
        }
        if let Some(told) = taken.event.and_then(|event| story.tell(&event)) {
            print(&told, json);
        }
    }
    if story.held_back() > 0 && !json {
        output::note(format_args!(
            "{} did not pass the filter",
            frames_of(story.held_back())
        ));
    }
    true
}

/// A number of frames.
pub(crate) fn frames_of(count: u64) -> String {
    format!("{count} {}", if count == 1 { "frame" } else { "frames" })
}

fn listening(json: bool, address: &str, to: &str) {
    if json {
        let mut line = Fields::new();
        line.put("event", "listening")
            .put("address", address)
            .put("to", to);
        output::line(line.to_line());
    } else {
        output::line(format_args!("listening on {address}, passing on to {to}"));
    }
}

fn not_printed(json: bool, lost: u64) {
    if json {
        let mut line = Fields::new();
        line.put("event", "not_printed").put("events", lost);
        output::line(line.to_line());
    } else {
        let text = format!("          {lost} events are not printed: the output was too slow");
        output::line(styled(YELLOW, text));
    }
}

fn summary(json: bool, totals: &Totals, all_told: bool) {
    let (frames, bytes) = (totals.frames, totals.bytes);
    let types = totals.by_type();
    let text = if json {
        let mut line = Fields::new();
        line.put("event", "summary");
        line.put("connections", totals.connections);
        line.put("unreachable", totals.unreachable);
        for (direction, name) in [
            (Direction::ToServer, "to_server"),
            (Direction::ToClient, "to_client"),
        ] {
            let at = direction.index();
            line.put(
                name,
                serde_json::json!({ "frames": frames[at], "bytes": bytes[at] }),
            );
        }
        let types = types.map(|(kind, count)| (kind.name().to_owned(), count.into()));
        line.put("types", serde_json::Value::Object(types.collect()));
        line.to_line()
    } else {
        let connections = match totals.connections {
            1 => "1 connection".to_owned(),
            count => format!("{count} connections"),
        };
        let mut text = styled(
            BOLD,
            format_args!(
                "{connections}, {} turned away; → {} in {} bytes; ← {} in {} bytes",
                totals.unreachable,
                frames_of(frames[0]),
                bytes[0],
                frames_of(frames[1]),
                bytes[1]
            ),
        );
        for (kind, count) in types {
            text += &format!("\n{count:>8} {kind}");
        }
        text
    };
    // An output that does not take what is there already would not take this either.
    if all_told {
        output::line(text);
    } else {
        output::note(text);
        output::note("the end is not printed: the output is too slow");
    }
}
