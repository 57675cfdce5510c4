//! Many runs as Markdown: medians over the rounds, and how far each peer is from the limit.

use serde_json::Value;

use crate::meter::median;
use crate::peers::Peer;

const HEAD: &str = "\
| peer | runs | per second, median (min–max) | of raw | p50 µs | p99 µs | p99.9 µs | CPU µs/op client | CPU µs/op server | RSS MiB client | RSS MiB server |
| --- | --: | --- | --: | --: | --: | --: | --: | --: | --: | --: |
";

/// A table for each kind of work among `runs`, in the order in which they first come.
pub(crate) fn render(runs: &[Value]) -> String {
    let kind = |run: &Value| [run["work"].clone(), run["in_flight"].clone(), run["size"].clone()];
    let mut kinds = Vec::new();
    for run in runs {
        if !kinds.contains(&kind(run)) {
            kinds.push(kind(run));
        }
    }
    let mut text = String::new();
    for wanted in kinds {
        let of_kind: Vec<&Value> = runs.iter().filter(|run| kind(run) == wanted).collect();
        let [work, in_flight, size] = wanted;
        let work = work.as_str().unwrap_or_default().to_owned();
        text += &format!("#### {work}, {in_flight} in flight, {size} bytes\n\n{HEAD}");
        let raw = rates(&of_kind, Peer::Raw);
        for peer in Peer::ALL {
            text += &row(&of_kind, peer, (!raw.is_empty()).then(|| median(&raw)));
        }
        text.push('\n');
    }
    text
}

fn row(runs: &[&Value], peer: Peer, raw: Option<f64>) -> String {
    let rates = rates(runs, peer);
    if rates.is_empty() {
        return String::new();
    }
    let median_of = |figure: &dyn Fn(&Value) -> Option<f64>| {
        let figures: Vec<f64> = of(runs, peer).filter_map(figure).collect();
        (!figures.is_empty()).then(|| median(&figures))
    };
    let latency = |name: &str| number(median_of(&|run| run["latency_us"][name].as_f64()), 1);
    let cost = |side: &str| number(median_of(&|run| cost(run, side)), 2);
    let memory = |side: &str| number(median_of(&|run| Some(run[side]["rss_kib"].as_f64()? / 1024.0)), 1);
    let (min, max) = rates.iter().fold((f64::MAX, 0.0_f64), |(min, max), rate| {
        (min.min(*rate), max.max(*rate))
    });
    let rate = median(&rates);
    let cells = [
        peer.name().to_owned(),
        rates.len().to_string(),
        format!("{} ({}–{})", short(rate), short(min), short(max)),
        number(raw.map(|raw| rate / raw), 3),
        latency("p50"),
        latency("p99"),
        latency("p999"),
        cost("client"),
        cost("server"),
        memory("client"),
        memory("server"),
    ];
    format!("| {} |\n", cells.join(" | "))
}

fn of<'a>(runs: &'a [&Value], peer: Peer) -> impl Iterator<Item = &'a Value> {
    runs.iter().copied().filter(move |run| run["peer"] == peer.name())
}

fn rates(runs: &[&Value], peer: Peer) -> Vec<f64> {
    of(runs, peer)
        .filter_map(|run| run["throughput_per_s"].as_f64())
        .collect()
}

/// CPU time of one side, divided by the operations of the run.
fn cost(run: &Value, side: &str) -> Option<f64> {
    let operations = run["throughput_per_s"].as_f64()? * run["seconds"].as_f64()?;
    let cpu_s = run[side]["cpu_s"].as_f64()?;
    (operations > 0.0).then(|| cpu_s * 1e6 / operations)
}

fn number(figure: Option<f64>, digits: usize) -> String {
    figure.map_or("–".to_owned(), |figure| format!("{figure:.digits$}"))
}

fn short(rate: f64) -> String {
    match rate {
        _ if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        _ if rate >= 1e3 => format!("{:.1} k", rate / 1e3),
        _ => format!("{rate:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_peer_has_one_row_with_its_medians_and_its_part_of_the_limit() {
        let run = |peer: &str, rate: f64| {
            json!({"peer": peer, "work": "ask", "in_flight": 64, "size": 64, "seconds": 2.0,
                "throughput_per_s": rate, "latency_us": {"p50": 80.04, "p99": null, "p999": null},
                "client": {"cpu_s": 1.5, "rss_kib": 5120}, "server": {"cpu_s": null, "rss_kib": null}})
        };
        let runs = [
            run("tonic", 1.0e6),
            run("raw", 4.0e6),
            run("tonic", 3.0e6),
            run("raw", 4.0e6),
        ];
        let text = render(&runs);
        let rows: Vec<_> = text.trim_end().lines().collect();
        assert_eq!(rows[0], "#### ask, 64 in flight, 64 bytes");
        assert_eq!(
            rows[4],
            "| raw | 2 | 4.00 M (4.00 M–4.00 M) | 1.000 | 80.0 | – | – | 0.19 | – | 5.0 | – |"
        );
        assert!(
            rows[5].starts_with("| tonic | 2 | 2.00 M (1.00 M–3.00 M) | 0.500 | "),
            "{}",
            rows[5]
        );
        assert_eq!(rows.len(), 6);
        let columns: Vec<_> = rows[2..].iter().map(|row| row.matches('|').count()).collect();
        assert_eq!(columns, [12; 4]);
    }
}
