//! One run as a JSON object, with the field names of `spark-rpc bench --json`.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::meter::{Measured, median};
use crate::process::Usage;
use crate::work::Run;

/// Figures that the work does not know are null.
pub(crate) fn object(run: &Run, measured: &Measured) -> Value {
    let intervals: Vec<f64> = measured.intervals.iter().copied().map(rounded).collect();
    json!({
        "peer": run.peer.name(),
        "work": run.work.name(),
        "in_flight": run.in_flight,
        "size": run.size,
        "seconds": rounded(measured.took.as_secs_f64()),
        "throughput_per_s": rounded(median(&measured.intervals)),
        "latency_us": latency(&measured.latency),
        "client": used(Some(measured.client)),
        "server": used(measured.server),
        "intervals_per_s": intervals,
    })
}

fn latency(histogram: &Histogram<u64>) -> Value {
    let quantile = |q| (!histogram.is_empty()).then(|| rounded(histogram.value_at_quantile(q) as f64 / 1e3));
    json!({"p50": quantile(0.5), "p99": quantile(0.99), "p999": quantile(0.999)})
}

fn used(usage: Option<Usage>) -> Value {
    json!({
        "cpu_s": usage.map(|usage| rounded(usage.cpu_us as f64 / 1e6)),
        "rss_kib": usage.map(|usage| usage.rss_kib),
    })
}

/// Three digits behind the point are more than any of this is worth.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
