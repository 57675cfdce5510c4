//! `spark-rpc get`: one served file, whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::json;
use spark_rpc::config::RpcTimeout;
use spark_rpc::{FileChecksum, FileError, RpcEnv};
use tokio::sync::Notify;

use crate::args::GetArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, BOLD, short, size, styled};
use crate::progress::Progress;
use crate::stop::StopSignals;
use crate::{peer, runtime};

/// Runs the command.
pub(crate) fn run(args: &GetArgs) -> Result<Exit, Failure> {
    let target = Target::of(args)?;
    // When it ends, it waits for the thread that removes what has come of a fetch that was stopped.
    runtime::small()?.block_on(get(args, &target))
}

async fn get(args: &GetArgs, target: &Target) -> Result<Exit, Failure> {
    let mut signals = StopSignals::listen()?;
    let env = peer::client(&args.limit).await?;
    let began = Instant::now();
    let begun = Notify::new();
    let fetched = tokio::select! {
        fetched = fetch(&env, &args.uri, target, &begun) => fetched?,
        error = nothing_comes(&args.uri, &env.conf().ask_timeout, &begun) => return Err(error),
        name = signals.next() => return Err(stopped(name, target)),
    };
    let took = began.elapsed();
    env.shutdown().await;
    tell(args, target, &fetched, took);
    Ok(Exit::Done)
}

/// Where the file goes.
#[derive(Debug)]
enum Target {
    Stdout,
    File(PathBuf),
}

impl Target {
    /// The file that was named, or the URI's last part in the folder.
    fn of(args: &GetArgs) -> Result<Self, Failure> {
        let folder = match args.output.as_deref() {
            Some(path) if path == Path::new("-") => {
                if args.json {
                    let why = "--json: with --output - the file itself goes to standard output";
                    return Err(Failure::usage(why));
                }
                return Ok(Self::Stdout);
            }
            Some(path) if path.is_dir() => path,
            Some(path) => return Self::file(path),
            None => Path::new(""),
        };
        let last = args.uri.rsplit('/').next().unwrap_or_default();
        let name = percent_decode_str(last).decode_utf8_lossy();
        // The word of somebody else must not lead out of the folder.
        if ["", ".", ".."].contains(&&*name) || name.contains(['/', '\\', '\0']) {
            return Err(Failure::usage(format_args!(
                "{}: its end names no file here; say where it goes with --output FILE",
                args.uri
            )));
        }
        Ok(Self::File(folder.join(&*name)))
    }

    fn file(path: &Path) -> Result<Self, Failure> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let is_there = folder.is_none_or(Path::is_dir);
        if !is_there || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            let why = format_args!("--output {}: there is no such folder", path.display());
            return Err(Failure::usage(why));
        }
        // A device or a pipe is not to be replaced by a file, which is all that a fetch to a file does.
        if path.metadata().is_ok_and(|there| !there.is_file()) {
            return Err(Failure::usage(format_args!(
                "--output {}: this is not a regular file; with --output - the file goes to standard output",
                path.display()
            )));
        }
        Ok(Self::File(path.to_owned()))
    }
}

/// What has come.
struct Got {
    bytes: u64,
    checksum: Option<FileChecksum>,
}

async fn fetch(env: &RpcEnv, uri: &str, target: &Target, begun: &Notify) -> Result<Got, Failure> {
    let mut bar = None;
    let mut progress = |done, all| {
        begun.notify_one();
        bar.get_or_insert_with(|| Progress::bytes("get", all)).set(done);
    };
    let fetched = match target {
        Target::File(path) => env.fetch_file_with(uri, path, progress).await.map(|fetched| Got {
            bytes: fetched.length,
            checksum: fetched.checksum,
        }),
        Target::Stdout => print(env, uri, &mut progress).await?.map(|bytes| Got {
            bytes,
            checksum: None,
        }),
    };
    fetched.map_err(|error| failed(&error))
}

/// Writes a file to standard output as it comes.
async fn print(
    env: &RpcEnv,
    uri: &str,
    progress: &mut (impl FnMut(u64, u64) + Send),
) -> Result<Result<u64, FileError>, Failure> {
    let mut channel = match env.open_channel(uri).await {
        Ok(channel) => channel,
        Err(error) => return Ok(Err(error)),
    };
    let length = channel.length();
    progress(0, length);
    loop {
        let piece = match channel.chunk().await {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(Ok(length)),
            Err(error) => return Ok(Err(error)),
        };
        // Whoever reads may be slow.
        let written = tokio::task::spawn_blocking(move || write(&piece)).await;
        written.map_err(Failure::no)?;
        progress(length - channel.remaining(), length);
    }
}

fn write(piece: &Bytes) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(piece).and_then(|()| out.flush()) {
        output::cannot_write(&error);
    }
}

/// Ends when no first byte has come in time. Once it has, the file may take as long as it needs.
async fn nothing_comes(uri: &str, limit: &RpcTimeout, begun: &Notify) -> Failure {
    if tokio::time::timeout(limit.duration, begun.notified())
        .await
        .is_ok()
    {
        std::future::pending::<()>().await;
    }
    let (waited, setting) = (short(limit.duration), &limit.setting);
    Failure::unreachable(format_args!(
        "{uri}: nothing came within {waited}; this limit is set by {setting}"
    ))
}

fn stopped(signal: &str, target: &Target) -> Failure {
    match target {
        Target::File(path) => Failure::no(format_args!(
            "stopped by {signal}; {} is as it was before",
            path.display()
        )),
        Target::Stdout => Failure::no(format_args!("stopped by {signal} before the end")),
    }
}

fn failed(error: &FileError) -> Failure {
    match error {
        FileError::BadUri { .. } => Failure::usage(error),
        FileError::Changed { .. } | FileError::Damaged { .. } => {
            Failure::no(format_args!("{error}; what had come is not kept"))
        }
        FileError::BrokenOff { .. } => Failure::unreachable(format_args!(
            "{error}; what had come is not kept, the same command begins anew"
        )),
        FileError::Connect(_) | FileError::Request { .. } | FileError::EnvStopped => {
            Failure::unreachable(error)
        }
        _ => Failure::no(error),
    }
}

fn tell(args: &GetArgs, target: &Target, got: &Got, took: Duration) {
    let Got { bytes, checksum } = *got;
    let rate = bytes as f64 / took.as_secs_f64().max(1e-9);
    let text = |what: &str| {
        let (bytes, rate) = (size(bytes as f64), size(rate));
        let checked = match checksum {
            Some(_) => "checksum verified",
            None => "not checked",
        };
        format!("{what}: {bytes} in {}, {rate}/s, {checked}", short(took))
    };
    match target {
        Target::Stdout => output::note(text(&args.uri)),
        Target::File(path) if args.json => output::line(json!({
            "uri": args.uri,
            "path": path,
            "bytes": bytes,
            "seconds": took.as_secs_f64(),
            "bytes_per_s": rate.round(),
            "xxh3_128": checksum.map(|sum| sum.to_string()),
        })),
        Target::File(path) => output::line(text(&styled(BOLD, path.display()))),
    }
}
