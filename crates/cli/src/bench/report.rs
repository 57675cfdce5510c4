//! What a measurement has found, for programs and for people.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Map, Value};

use super::meter::{Measured, Spent};
use super::plan::Plan;
use crate::output::{self, BOLD, count, short, styled};

/// The one object that `--json` prints. Numbers that the work does not know are null.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    work: String,
    in_flight: usize,
    size: usize,
    seconds: f64,
    throughput_per_s: f64,
    latency_us: Latency,
    client: Used,
    server: Used,
    #[serde(flatten)]
    added: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Used {
    cpu_s: Option<f64>,
    rss_kib: Option<u64>,
}

impl Used {
    fn of(spent: Option<Spent>) -> Self {
        Self {
            cpu_s: spent.map(|spent| spent.cpu.as_secs_f64()),
            rss_kib: spent.map(|spent| spent.rss_kib),
        }
    }
}

impl Report {
    pub(crate) fn new(plan: &Plan, measured: &Measured) -> Self {
        let quantile = |q| {
            let ns = (!measured.latency.is_empty()).then(|| measured.latency.value_at_quantile(q))?;
            Some(rounded(ns as f64 / 1e3))
        };
        Self {
            work: plan
                .work
                .to_possible_value()
                .map_or_else(String::new, |work| work.get_name().to_owned()),
            in_flight: plan.in_flight,
            size: plan.size,
            seconds: rounded(measured.took.as_secs_f64()),
            throughput_per_s: rounded(measured.per_second()),
            latency_us: Latency {
                p50: quantile(0.5),
                p99: quantile(0.99),
                p999: quantile(0.999),
            },
            client: Used::of(Some(measured.client)),
            server: Used::of(measured.server),
            added: Map::new(),
        }
    }

    /// A report that also has the single intervals.
    pub(crate) fn of_intervals(plan: &Plan, measured: &Measured) -> Self {
        let intervals: Vec<f64> = measured.intervals.iter().copied().map(rounded).collect();
        Self::new(plan, measured).add("intervals_per_s", intervals)
    }

    /// Adds what only this work knows.
    pub(crate) fn add(mut self, name: &str, value: impl Serialize) -> Self {
        let value = match serde_json::to_value(value).unwrap_or(Value::Null) {
            Value::Number(number) if number.is_f64() => number.as_f64().map(rounded).into(),
            other => other,
        };
        self.added.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text can always be written")
    }

    /// Prints it for people.
    pub(crate) fn print(&self) {
        let Self { work, size, .. } = self;
        output::line(format_args!(
            "{}, {} at a time, {size} bytes, {:.2} s",
            styled(BOLD, work),
            self.in_flight,
            self.seconds
        ));
        row(
            "throughput",
            format_args!("{}/s", styled(BOLD, count(self.throughput_per_s))),
        );
        if let (Some(p50), Some(p99), Some(p999)) =
            (self.latency_us.p50, self.latency_us.p99, self.latency_us.p999)
        {
            let us = |us: f64| short(Duration::from_secs_f64(us / 1e6));
            let text = format!("p50 {}, p99 {}, p99.9 {}", us(p50), us(p99), us(p999));
            row("latency", text);
        }
        for (side, used) in [("client", &self.client), ("server", &self.server)] {
            if let (Some(cpu), Some(rss)) = (used.cpu_s, used.rss_kib) {
                row(
                    side,
                    format_args!("{cpu:.2} s of CPU, {:.1} MiB resident", rss as f64 / 1024.0),
                );
            }
        }
        for (name, value) in &self.added {
            let value = match value {
                Value::Array(numbers) => {
                    let numbers = numbers.iter().filter_map(Value::as_f64).map(count);
                    numbers.collect::<Vec<_>>().join(", ")
                }
                Value::Object(parts) => {
                    let parts = parts
                        .iter()
                        .map(|(name, value)| format!("{value} {}", name.replace('_', " ")));
                    parts.collect::<Vec<_>>().join(", ")
                }
                other => other.to_string(),
            };
            row(&name.replace('_', " "), value);
        }
    }
}

fn row(name: &str, text: impl std::fmt::Display) {
    output::line(format_args!("  {name:<24}{text}"));
}

/// Three digits behind the point are more than any of this is worth.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
