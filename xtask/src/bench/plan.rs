//! Which benchmarks run, with how much in flight, and on which CPUs.

use std::fmt;

/// One run of `spark-rpc bench`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pub(super) name: &'static str,
    /// Requests or messages on their way at once; the command's own choice when `None`.
    in_flight: Option<u32>,
    /// Bytes of content of each message; the command's own choice when `None`.
    size: Option<u32>,
    /// Bytes of a chunk; the command's own choice when `None`.
    chunk: Option<u32>,
    pub(super) pinned: Pinned,
}

/// Where server and client run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pinned {
    /// One process only, on CPU 0.
    Alone,
    /// Server and client on CPU 0: the software's cost, without waking another CPU.
    Together,
    /// Server on CPU 0, client on CPU 1.
    Apart,
    /// Nowhere: the scheduler decides, as it will for a user.
    Free,
}

use Pinned::{Alone, Apart, Free, Together};

const fn work(name: &'static str, in_flight: Option<u32>, size: Option<u32>, pinned: Pinned) -> Work {
    Work {
        name,
        in_flight,
        size,
        chunk: None,
        pinned,
    }
}

/// A file as chunks of so many bytes.
const fn chunks(bytes: u32) -> Work {
    Work {
        chunk: Some(bytes),
        ..work("chunks", None, None, Apart)
    }
}

/// All benchmarks, in the order in which they run.
pub(super) const PLAN: [Work; 22] = [
    work("local-send", None, None, Alone),
    work("local-send", None, None, Free),
    work("local-ask", Some(1), None, Alone),
    work("local-ask", Some(64), None, Alone),
    work("ask", Some(1), None, Together),
    work("ask", Some(64), None, Together),
    work("ask", Some(1), None, Apart),
    work("ask", Some(64), None, Apart),
    work("ask", Some(1024), None, Apart),
    work("ask", Some(64), Some(1024), Apart),
    work("ask", Some(64), Some(65_536), Apart),
    work("ask", Some(64), None, Free),
    work("send", None, None, Together),
    work("send", None, None, Apart),
    work("send", None, Some(1024), Apart),
    work("connections", None, None, Apart),
    work("endpoints", None, None, Alone),
    work("start", None, None, Free),
    work("downloads", None, None, Apart),
    work("stream", None, None, Apart),
    chunks(4 << 20),
    chunks(64 << 10),
];

impl Work {
    /// The arguments behind the program's name.
    pub(super) fn arguments(&self, seconds: u64) -> Vec<String> {
        let mut args = vec!["bench".to_owned(), self.name.to_owned(), "--json".to_owned()];
        let (server, client) = match self.pinned {
            Alone => (None, Some(0)),
            Together => (Some(0), Some(0)),
            Apart => (Some(0), Some(1)),
            Free => (None, None),
        };
        let options = [
            ("--seconds", Some(seconds)),
            ("--in-flight", self.in_flight.map(u64::from)),
            ("--size", self.size.map(u64::from)),
            ("--chunk", self.chunk.map(u64::from)),
            ("--server-cpu", server),
            ("--client-cpu", client),
        ];
        for (name, value) in options {
            args.extend(
                value
                    .into_iter()
                    .flat_map(|value| [name.to_owned(), value.to_string()]),
            );
        }
        args
    }

    /// How many CPUs the machine must have.
    pub(super) fn cpus_needed(&self) -> usize {
        if self.pinned == Apart { 2 } else { 1 }
    }
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Alone => "one CPU",
            Together => "both on one CPU",
            Apart => "a CPU each",
            Free => "not pinned",
        })
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(in_flight) = self.in_flight {
            write!(f, ", {in_flight} in flight")?;
        }
        if let Some(size) = self.size {
            write!(f, ", {size} bytes")?;
        }
        if let Some(chunk) = self.chunk {
            write!(f, ", {chunk} bytes each")?;
        }
        write!(f, ", {}", self.pinned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_becomes_an_argument() {
        assert_eq!(
            work("ask", Some(64), None, Apart).arguments(5).join(" "),
            "bench ask --json --seconds 5 --in-flight 64 --server-cpu 0 --client-cpu 1"
        );
        assert_eq!(
            work("start", None, None, Free).arguments(1).join(" "),
            "bench start --json --seconds 1"
        );
        assert_eq!(
            chunks(65_536).arguments(5).join(" "),
            "bench chunks --json --seconds 5 --chunk 65536 --server-cpu 0 --client-cpu 1"
        );
    }

    #[test]
    fn no_run_is_planned_twice() {
        let mut lines: Vec<_> = PLAN.iter().map(ToString::to_string).collect();
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), PLAN.len());
    }
}
