//! `cargo deny`: licences, banned crates and origins always; advisories when their database can be had.

use std::process::Stdio;
use std::time::Duration;

use crate::process::{self, cargo, on_ci, output_of};
use crate::report::Outcome;

/// A network that swallows packets must not hold up the rest.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

pub(super) fn check() -> Outcome {
    if output_of(&mut cargo(["deny", "--version"])).is_none() {
        let text = "cargo-deny is not installed; `cargo install --locked cargo-deny` adds it".to_owned();
        return if on_ci() {
            Outcome::Failed(text)
        } else {
            Outcome::LeftOut(text)
        };
    }
    run().unwrap_or_else(Outcome::Failed)
}

fn run() -> Result<Outcome, String> {
    let rules = [
        "deny",
        "--workspace",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ];
    if !process::run(&mut cargo(rules))? {
        return Ok(Outcome::Failed("see above".to_owned()));
    }
    let mut fetch = cargo(["deny", "fetch", "db"]);
    fetch
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if process::run_within(&mut fetch, FETCH_LIMIT) != Ok(true) {
        return Ok(Outcome::Passed(
            "without advisories: their database is out of reach".to_owned(),
        ));
    }
    let advisories = ["deny", "--offline", "--workspace", "check", "advisories"];
    Ok(Outcome::of(process::run(&mut cargo(advisories))))
}
