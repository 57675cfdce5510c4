//! Results as a Markdown table.

use serde_json::Value;

use super::plan::Work;

const HEAD: &str = "\
| work | in flight | bytes | CPUs | per second | p50 µs | p99 µs | p99.9 µs | CPU µs/op client | CPU µs/op server | RSS MiB client | RSS MiB server |
| --- | --: | --: | --- | --: | --: | --: | --: | --: | --: | --: | --: |
";

/// One row for each result; a figure that a result lacks shows as a dash.
pub(super) fn render(rows: &[(&Work, Value)]) -> String {
    let mut text = HEAD.to_owned();
    for (work, result) in rows {
        let latency = &result["latency_us"];
        let cells = [
            work.name.to_owned(),
            number(&result["in_flight"], 0),
            number(&result["size"], 0),
            work.pinned.to_string(),
            per_second(&result["throughput_per_s"]),
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

fn per_second(value: &Value) -> String {
    match value.as_f64() {
        Some(rate) if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        Some(rate) if rate >= 1e3 => format!("{:.1} k", rate / 1e3),
        _ => number(value, 1),
    }
}

/// CPU time of one side, divided by the operations of the whole run.
fn cost(result: &Value, side: &str) -> String {
    let figures = (
        result[side]["cpu_s"].as_f64(),
        result["throughput_per_s"].as_f64(),
        result["seconds"].as_f64(),
    );
    match figures {
        (Some(cpu), Some(rate), Some(seconds)) if rate * seconds > 0.0 => {
            format!("{:.2}", cpu * 1e6 / (rate * seconds))
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
}
