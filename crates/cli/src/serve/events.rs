//! What a server tells while it runs: JSON lines for programs, or notes for people.

use serde_json::{Value, json};
use spark_rpc::{ConnectionError, RpcAddress, ShutdownReport};

use crate::messages::Counted;
use crate::output;

/// Tells events: as JSON objects on standard output, or as sentences on standard error, or not at all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Events {
    Json,
    Notes,
    Nothing,
}

impl Events {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        match (json, quiet) {
            (_, true) => Self::Nothing,
            (true, false) => Self::Json,
            (false, false) => Self::Notes,
        }
    }

    pub(crate) fn listening(self, address: &RpcAddress, folders: &[String]) {
        self.tell(
            || {
                json!({
                    "event": "listening",
                    "address": address.to_spark_url(),
                    "endpoints": ["echo", "sink"],
                    "files": folders,
                })
            },
            || {
                let files: String = folders.iter().map(|uri| format!("files below {uri}; ")).collect();
                format!("endpoints echo and sink at {address}; {files}Ctrl-C ends the server")
            },
        );
    }

    pub(crate) fn connected(self, address: &RpcAddress) {
        self.tell(
            || json!({"event": "connected", "peer": address.to_string()}),
            || format!("connected: {address}"),
        );
    }

    pub(crate) fn disconnected(self, address: &RpcAddress) {
        self.tell(
            || json!({"event": "disconnected", "peer": address.to_string()}),
            || format!("disconnected: {address}"),
        );
    }

    pub(crate) fn network_error(self, cause: &ConnectionError, address: &RpcAddress) {
        self.tell(
            || json!({"event": "network_error", "peer": address.to_string(), "cause": cause.to_string()}),
            || format!("network error: {cause}"),
        );
    }

    pub(crate) fn draining(self, reason: &str) {
        self.tell(
            || json!({"event": "draining", "reason": reason}),
            || format!("{reason}: draining"),
        );
    }

    pub(crate) fn sink(self, counted: Counted) {
        self.tell(
            || json!({"event": "sink", "messages": counted.messages, "bytes": counted.bytes}),
            || {
                format!(
                    "sink has counted {} messages, {} bytes",
                    counted.messages, counted.bytes
                )
            },
        );
    }

    pub(crate) fn shut_down(self, report: &ShutdownReport) {
        self.tell(
            || {
                json!({
                    "event": "shut_down",
                    "clean": report.is_clean(),
                    "took_ms": report.took.as_millis() as u64,
                    "endpoints_aborted": report.endpoints_aborted,
                    "connections_aborted": report.connections_aborted,
                    "messages_dropped": report.messages_dropped,
                })
            },
            || describe(report),
        );
    }

    fn tell(self, json: impl FnOnce() -> Value, note: impl FnOnce() -> String) {
        match self {
            Self::Json => output::line(json()),
            Self::Notes => output::note(note()),
            Self::Nothing => {}
        }
    }
}

fn describe(report: &ShutdownReport) -> String {
    let took = output::short(report.took);
    if report.is_clean() {
        return format!("shut down in {took}; everything had finished");
    }
    format!(
        "shut down in {took}, but cut off: endpoints {:?}, {} connections, {} messages",
        report.endpoints_aborted, report.connections_aborted, report.messages_dropped
    )
}
