//! Results as a Markdown table.

use serde_json::Value;

use super::plan::Work;

const HEAD: &str = "\
| work | in flight | bytes | CPUs | per second | p50 µs | p99 µs | p99.9 µs | CPU µs/op client | CPU µs/op server | RSS MiB client | RSS MiB server |
| --- | --: | --: | --- | --: | --: | --: | --: | --: | --: | --: | --: |
";

/// One row for each result; a figure that a result lacks shows as a dash. Of bulk, whose throughput is in bytes, an
/// operation is a mebibyte.
pub(super) fn render(rows: &[(&Work, Value)]) -> String {
    let mut text = HEAD.to_owned();
    for (work, result) in rows {
        let latency = &result["latency_us"];
        let cells = [
            name(work, result),
            number(&result["in_flight"], 0),
            number(&result["size"], 0),
            work.pinned.to_string(),
            per_second(result),
            number(&latency["p50"], 1),
            number(&latency["p99"], 1),
            number(&latency["p999"], 1),
            cost(result, "client"),
            cost(result, "server"),
            memory(&result["client"]),
            memory(&result["server"]),
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

fn number(value: &Value, digits: usize) -> String {
    value
        .as_f64()
        .map_or("–".to_owned(), |value| format!("{value:.digits$}"))
}

fn name(work: &Work, result: &Value) -> String {
    match (result["chunk"].as_u64(), result["clients"].as_u64()) {
        (Some(chunk), _) => format!("{} of {} KiB", work.name, chunk >> 10),
        (_, Some(clients)) => format!("{} by {clients}", work.name),
        _ => work.name.to_owned(),
    }
}

/// Bulk is measured beside a bare loop.
fn is_bulk(result: &Value) -> bool {
    result["bare"].is_object()
}

fn per_second(result: &Value) -> String {
    let value = &result["throughput_per_s"];
    match value.as_f64() {
        Some(rate) if is_bulk(result) => {
            format!("{:.0} MB, {} of bare", rate / 1e6, number(&result["ratio"], 2))
        }
        Some(rate) if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        Some(rate) if rate >= 1e3 => format!("{:.1} k", rate / 1e3),
        _ => number(value, 1),
    }
}

/// CPU time of one side, divided by the operations of the whole run.
fn cost(result: &Value, side: &str) -> String {
    let cpu = result[side]["cpu_s"].as_f64();
    let (rate, seconds) = (result["throughput_per_s"].as_f64(), result["seconds"].as_f64());
    match (cpu, rate, seconds) {
        (Some(cpu), Some(rate), Some(seconds)) if rate * seconds > 0.0 => {
            let each = cpu * 1e6 / (rate * seconds);
            if is_bulk(result) {
                format!("{:.0} a MiB", each * f64::from(1 << 20))
            } else {
                format!("{each:.2}")
            }
        }
        _ => "–".to_owned(),
    }
}

fn memory(side: &Value) -> String {
    side["rss_kib"]
        .as_f64()
        .map_or("–".to_owned(), |kib| format!("{:.1}", kib / 1024.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::plan::PLAN;
    use super::*;

    #[test]
    fn figures_are_scaled_and_missing_ones_are_dashes() {
        let result = json!({"work": "local-send", "in_flight": 64, "size": 16, "seconds": 2.0,
            "throughput_per_s": 1_500_000.0, "latency_us": {"p50": 80.04, "p99": 100},
            "client": {"cpu_s": 1.5, "rss_kib": 5120}});
        let text = render(&[(&PLAN[0], result)]);
        let row = text.lines().last().unwrap();
        assert_eq!(
            row,
            "| local-send | 64 | 16 | one CPU | 1.50 M | 80.0 | 100.0 | – | 0.50 | – | 5.0 | – |"
        );
        let columns: Vec<_> = text.lines().map(|line| line.matches('|').count()).collect();
        assert_eq!(columns, [13, 13, 13]);
    }

    #[test]
    fn bulk_is_told_in_bytes_and_beside_a_bare_loop() {
        let result = json!({"work": "chunks", "in_flight": 12, "size": 1 << 30, "seconds": 2.0, "chunk": 65_536,
            "throughput_per_s": 2_000_000_000.0, "latency_us": {"p50": null}, "bare": {"mb_per_s": 2400.0},
            "ratio": 0.833, "client": {"cpu_s": 1.0, "rss_kib": 5120}, "server": {"cpu_s": 2.0, "rss_kib": 10_240}});
        let chunks = PLAN.iter().find(|work| work.name == "chunks").unwrap();
        let text = render(&[(chunks, result)]);
        assert_eq!(
            text.lines().last().unwrap(),
            "| chunks of 64 KiB | 12 | 1073741824 | a CPU each | 2000 MB, 0.83 of bare | – | – | – | 262 a MiB | \
             524 a MiB | 5.0 | 10.0 |"
        );
    }

    #[test]
    fn downloads_say_how_many_there_were() {
        let result = json!({"work": "downloads", "clients": 1000, "throughput_per_s": 900.0});
        let downloads = PLAN.iter().find(|work| work.name == "downloads").unwrap();
        let text = render(&[(downloads, result)]);
        let row = text.lines().last().unwrap();
        assert!(
            row.starts_with("| downloads by 1000 | – | – | a CPU each | 900.0 |"),
            "{row}"
        );
    }
}
