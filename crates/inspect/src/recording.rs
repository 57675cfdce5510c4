//! Events in a file.
//!
//! A recording is lines of JSON. The first one is `{"spark-rpc-recording":1,"to":"HOST:PORT"}`. Each other one is an
//! [`Event`]: `connection`, `at_us` (microseconds since the first line), `event`, and what belongs to the event. A frame has
//! `direction`, `offset` and `length` as they were on the wire, and `data`: hexadecimal digits of the bytes behind the
//! length field, as far as they were kept. The chunks and raw bodies that pass are counted and not recorded.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::event::{Event, What};
use crate::outlet::Taken;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    #[serde(rename = "spark-rpc-recording")]
    version: u32,
    to: String,
}

/// How a recording begins.
const BEGIN: &[u8] = b"{\"spark-rpc-recording\":";
const VERSION: u32 = 1;

/// Writes a recording.
#[derive(Debug)]
pub struct Recorder<W> {
    out: W,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording of what goes to the address `to`.
    ///
    /// # Errors
    ///
    /// Returns what the writer returns.
    pub fn new(out: W, to: &str) -> io::Result<Self> {
        let mut recorder = Self { out };
        recorder.line(&Head {
            version: VERSION,
            to: to.to_owned(),
        })?;
        Ok(recorder)
    }

    /// Appends an event.
    ///
    /// # Errors
    ///
    /// Returns what the writer returns.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        self.line(event)
    }

    /// Appends what came out of a queue, and before it what was lost there.
    ///
    /// # Errors
    ///
    /// Returns what the writer returns.
    pub fn write_taken(&mut self, taken: &Taken) -> io::Result<()> {
        if taken.lost > 0 {
            self.line(&Event {
                connection: taken.event.as_ref().map_or(0, |event| event.connection),
                at: taken
                    .event
                    .as_ref()
                    .map_or_else(Default::default, |event| event.at),
                what: What::Lost { events: taken.lost },
            })?;
        }
        taken.event.as_ref().map_or(Ok(()), |event| self.line(event))
    }

    /// Passes everything on to where it belongs.
    ///
    /// # Errors
    ///
    /// Returns what the writer returns.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }
}

/// Tells whether bytes are a recording.
pub(crate) fn is_recording(bytes: &[u8]) -> bool {
    bytes.starts_with(BEGIN)
}

/// Reads a line of a recording, the first of which has the number 1. There is no event in the first one, and none in an empty one.
pub(crate) fn read(number: usize, line: &[u8]) -> Option<Result<Event, String>> {
    let failed = |error: serde_json::Error| Some(Err(error.to_string()));
    if number == 1 {
        return match serde_json::from_slice::<Head>(line) {
            Ok(head) if head.version == VERSION => None,
            Ok(head) => Some(Err(format!("version {} is not known", head.version))),
            Err(error) => failed(error),
        };
    }
    if line.iter().all(u8::is_ascii_whitespace) {
        return None;
    }
    serde_json::from_slice(line).map_or_else(failed, |event| Some(Ok(event)))
}
