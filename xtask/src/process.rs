//! Child processes: cargo itself, and what it builds.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The cargo that started this program, with `args`.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

/// Whether this is a CI machine, where every tool is required and `Cargo.lock` must be up to date.
pub(crate) fn on_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// `--locked` on CI, nothing elsewhere.
pub(crate) fn locked() -> Option<&'static str> {
    on_ci().then_some("--locked")
}

/// Shows the command, runs it, and says whether it succeeded.
pub(crate) fn run(command: &mut Command) -> Result<bool, String> {
    announce(command);
    command
        .status()
        .map(|status| status.success())
        .map_err(|error| cannot_start(command, &error))
}

/// Like [`run`], and returns what the command printed to both streams, without colours.
pub(crate) fn run_and_read(command: &mut Command) -> Result<(bool, String), String> {
    announce(command);
    if io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(command, &error))?;
    let seen = Mutex::new(Vec::new());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(|| forward(out, io::stdout(), &seen));
        scope.spawn(|| forward(err, io::stderr(), &seen));
    });
    let status = child.wait().map_err(|error| cannot_start(command, &error))?;
    let seen = seen
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok((status.success(), without_colours(&String::from_utf8_lossy(&seen))))
}

/// Runs the command silently; its standard output if it succeeded.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the command and ends it when it takes longer than `limit`.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<bool, String> {
    announce(command);
    let mut child = command.spawn().map_err(|error| cannot_start(command, &error))?;
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) => {
                // Both fail only when the child has ended by itself in the meantime.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no end after {} s", limit.as_secs()));
            }
            Err(error) => return Err(format!("cannot wait for it: {error}")),
        }
    }
}

/// Copies one stream line by line, keeping a copy in `seen`.
fn forward(from: Option<impl Read>, mut to: impl Write, seen: &Mutex<Vec<u8>>) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // A reader of ours that has gone away is no reason to lose the result.
        let _ = to.write_all(&line);
        seen.lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .append(&mut line);
    }
}

fn announce(command: &Command) {
    let mut line = String::from("$");
    let program = std::path::Path::new(command.get_program());
    for part in program.file_name().into_iter().chain(command.get_args()) {
        line.push(' ');
        line += &part.to_string_lossy();
    }
    println!("{line}");
}

fn cannot_start(command: &Command, error: &io::Error) -> String {
    format!("cannot run {}: {error}", command.get_program().to_string_lossy())
}

/// Drops terminal escape sequences of the form `ESC [ … letter`.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            chars.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_dropped_and_the_text_stays() {
        assert_eq!(
            without_colours("\x1b[32;1mSummary\x1b[0m [ 1 s]"),
            "Summary [ 1 s]"
        );
    }

    #[test]
    fn both_streams_of_a_child_are_read_and_its_failure_is_seen() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let (success, text) = run_and_read(&mut command).unwrap();
        assert!(!success);
        assert!(text.contains("out\n") && text.contains("err\n"), "{text}");
    }

    #[test]
    fn a_child_that_does_not_end_is_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "read forever"]).stdin(Stdio::piped());
        let outcome = run_within(&mut command, Duration::from_millis(50));
        assert_eq!(outcome, Err("no end after 0 s".to_owned()));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error.contains("no-such-program-here"), "{error}");
    }
}
