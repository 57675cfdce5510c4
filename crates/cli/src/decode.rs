//! `spark-rpc decode`: what recorded bytes mean.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use spark_rpc_inspect::{Bounds, Filter, NoDigit, Story, Style, Told, decode, decode_from, from_hex};

use crate::exit::{Exit, Failure};
use crate::output::{self, BOLD, RED, styled};

/// Tell what recorded bytes of Spark's RPC mean
///
/// FILE holds what went one way over a connection, or one frame of it; the body of a message; a Java object stream, which
/// begins with ac ed; or a recording that `spark-rpc tap --write` made. Which of these is recognised by how it begins,
/// and so are hexadecimal digits, with blanks and line ends anywhere. `-` reads standard input.
///
/// Where the bytes stop making sense, what was understood is printed, then the place and the reason. Places count from the
/// input's first byte, in a recording from the first of the direction. What follows an authentication is encrypted, and said to be.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spark-rpc decode client.bin
  spark-rpc decode recording.json --filter endpoint=Master --brief
  spark-rpc decode frames.bin --json | jq 'select(.endpoint == \"Master\").content.value'
  tcpflow -r capture.pcap port 7077; for flow in *.07077; do spark-rpc decode $flow --brief; done
  echo 'aced0005 7400 0568656c6c6f' | spark-rpc decode -

With --json, one object for each frame, a line each: offset, length, type, request_id (a string),
sender, receiver, endpoint, stream, chunk, error, content (codec, length, class, value, cut) and
problem (at, text), as far as there are such. In Java values an object is
{\"class\", \"fields\", \"also\"}; a second mention of one is {\"ref\": N}, the first has \"id\": N.

Exit codes: 0 all of it makes sense, 1 some of it does not, 2 bad usage")]
pub(crate) struct DecodeArgs {
    /// What to read; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Take the input for hexadecimal digits, whatever it looks like
    #[arg(long)]
    pub(crate) hex: bool,

    #[command(flatten)]
    pub(crate) style: StyleArgs,
}

/// How frames are printed, for `decode` and `tap`.
#[derive(Debug, Args)]
pub(crate) struct StyleArgs {
    /// Print JSON objects, one a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Print one line for each frame
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) brief: bool,

    /// Leave nothing out: large arrays, long strings, deep trees, whole stack traces
    #[arg(long)]
    pub(crate) full: bool,

    /// Print only frames of which this holds; all have to hold if there are several. NAME is type, endpoint, class (a part of
    /// the name), direction (to-server, to-client), id or connection. Answers count as their requests
    #[arg(long, value_name = "NAME=VALUE[,VALUE...]")]
    pub(crate) filter: Vec<Filter>,
}

impl StyleArgs {
    /// What the arguments mean.
    pub(crate) fn style(&self) -> Style {
        Style {
            json: self.json,
            brief: self.brief,
            bounds: if self.full { Bounds::FULL } else { Bounds::BRIEF },
            filter: self.filter.iter().cloned().fold(Filter::default(), Filter::and),
            ..Style::default()
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &DecodeArgs) -> Result<Exit, Failure> {
    let json = args.style.json;
    let told = open(&args.file).and_then(|input| {
        tell(input, args.hex, args.style.style(), &mut |told| {
            print(&told, json);
        })
    });
    let story = told.map_err(|error| {
        let text = format_args!("{}: {error}", args.file.display());
        match error.kind() {
            io::ErrorKind::InvalidData => Failure::no(text),
            _ => Failure::usage(text),
        }
    })?;
    if story.held_back() > 0 && !json {
        let frames = crate::tap::frames_of(story.held_back());
        output::note(format_args!("{frames} did not pass the filter"));
    }
    Ok(if story.problems() == 0 {
        Exit::Done
    } else {
        Exit::No
    })
}

/// Prints what an event says.
pub(crate) fn print(told: &spark_rpc_inspect::Told, json: bool) {
    if json {
        output::line(&told.head);
        return;
    }
    let head = styled(if told.is_problem { RED } else { BOLD }, &told.head);
    match told.details.trim_end() {
        "" => output::line(head),
        details => output::line(format_args!("{head}\n{details}")),
    }
}

fn open(file: &Path) -> io::Result<Box<dyn Read>> {
    Ok(if file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file)?)
    })
}

fn tell(mut input: impl Read, hex: bool, style: Style, out: &mut dyn FnMut(Told)) -> io::Result<Story> {
    if !hex {
        return decode_from(input, style, out);
    }
    let mut digits = Vec::new();
    input.read_to_end(&mut digits)?;
    let length = digits.len();
    let bytes = from_hex(&digits).map_err(|at| NoDigit { at, length })?;
    Ok(decode(&bytes.into(), style, out))
}
