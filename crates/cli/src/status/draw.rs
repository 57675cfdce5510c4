//! The report as people read it.

use std::time::{SystemTime, UNIX_EPOCH};

use anstyle::Style;

use super::report::Report;
use super::table::{Cell, Table, cut};
use crate::output::{BOLD, DIM, GREEN, RED, YELLOW, styled};

/// How the report is shown.
pub(super) struct View {
    /// How many letters fit into a line.
    pub(super) width: usize,
    /// Show all of what has ended, and not only the last of it.
    pub(super) all: bool,
    /// The web server was not asked.
    pub(super) rpc_only: bool,
    /// Milliseconds since the beginning of 1970.
    pub(super) now_ms: i64,
}

/// The report's lines.
pub(super) fn lines(report: &Report, view: &View) -> Vec<String> {
    let (state, capacity) = head(report);
    let wide =
        anstream::adapter::strip_str(&state).to_string().chars().count() + 2 + capacity.chars().count();
    let mut lines = if wide <= view.width {
        vec![format!("{state}  {capacity}")]
    } else {
        vec![state, cut(&capacity, view.width)]
    };
    if !report.master.web_ui_answered {
        let why = if view.rpc_only {
            "was not asked"
        } else {
            "did not answer"
        };
        let text = format!("states and use are not known: the Master's web server, which tells them, {why}");
        lines.push(styled(DIM, cut(&text, view.width)));
    }
    section(
        &mut lines,
        view,
        "WORKERS",
        "no worker has registered",
        workers(report),
        None,
    );
    let (apps, left_out) = applications(report, view);
    section(
        &mut lines,
        view,
        "APPLICATIONS",
        "no application has registered",
        apps,
        left_out,
    );
    let (drivers, left_out) = drivers(report, view);
    if drivers.is_some() {
        section(&mut lines, view, "DRIVERS", "", drivers, left_out);
    }
    lines
}

fn section(
    lines: &mut Vec<String>,
    view: &View,
    title: &str,
    nothing: &str,
    table: Option<Table>,
    left_out: Option<String>,
) {
    lines.push(String::new());
    lines.push(styled(BOLD, title));
    match table {
        Some(table) => lines.extend(table.lines(view.width)),
        None => lines.push(nothing.to_owned()),
    }
    lines.extend(left_out.map(|text| styled(DIM, text)));
}

/// The Master and its state; what the living workers have.
fn head(report: &Report) -> (String, String) {
    let master = &report.master;
    let state = match master.state {
        "alive" => styled(GREEN, "alive"),
        "standby" => styled(YELLOW, "on standby: another Master leads"),
        _ => styled(YELLOW, "recovering: it has just taken over"),
    };
    // Where states are known, those that are gone do not count.
    let alive: Vec<_> = report
        .workers
        .iter()
        .filter(|worker| worker.state.as_deref().is_none_or(|state| state == "alive"))
        .collect();
    let sum = |part: Option<i64>, whole: i64, unit: fn(i64) -> String| match part {
        Some(part) => format!("{} of {} in use", unit(part), unit(whole)),
        None => unit(whole),
    };
    let cores: i64 = alive.iter().map(|worker| i64::from(worker.cores)).sum();
    let cores_used: Option<i64> = alive.iter().map(|worker| worker.cores_used).sum();
    let memory: i64 = alive.iter().map(|worker| i64::from(worker.memory_mib)).sum();
    let memory_used: Option<i64> = alive.iter().map(|worker| worker.memory_used_mib).sum();
    let workers = match alive.len() {
        0 => {
            return (
                format!("{}  {state}", styled(BOLD, &master.url)),
                "no worker".to_owned(),
            );
        }
        1 => "1 worker".to_owned(),
        count => format!("{count} workers"),
    };
    let capacity = format!(
        "{workers}, cores: {}, memory: {}",
        sum(cores_used, cores, |cores| cores.to_string()),
        sum(memory_used, memory, mebibytes),
    );
    (format!("{}  {state}", styled(BOLD, &master.url)), capacity)
}

fn workers(report: &Report) -> Option<Table> {
    let mut table = Table::default()
        .text("ID")
        .word("STATE")
        .number("CORES")
        .number("MEMORY")
        .text("RESOURCES")
        .unless_narrow(2)
        .text("WEB")
        .unless_narrow(1);
    for worker in &report.workers {
        let resources = worker.resources.iter();
        let resources: Vec<_> = resources
            .map(|(name, all)| format!("{} {name}", all.len()))
            .collect();
        table.row([
            Cell::new(&worker.id),
            state(worker.state.as_deref(), None),
            Cell::new(of(worker.cores_used, i64::from(worker.cores), |cores| {
                cores.to_string()
            })),
            Cell::new(of(
                worker.memory_used_mib,
                i64::from(worker.memory_mib),
                mebibytes,
            )),
            Cell::new(resources.join(", ")),
            Cell::new(&worker.web_ui),
        ]);
    }
    (!report.workers.is_empty()).then_some(table)
}

fn applications(report: &Report, view: &View) -> (Option<Table>, Option<String>) {
    let mut table = Table::default()
        .text("ID")
        .unless_narrow(4)
        .text("NAME")
        .text("USER")
        .unless_narrow(2)
        .word("STATE")
        .number("CORES")
        .number("MEMORY EACH")
        .unless_narrow(3)
        .number("SUBMITTED")
        .text("WEB")
        .unless_narrow(1);
    let (shown, left_out) = chosen(&report.applications, |app| app.active, view.all);
    for app in &shown {
        let wanted = app
            .cores_wanted
            .map_or_else(|| "all".to_owned(), |cores| cores.to_string());
        let cores = match app.cores_used {
            Some(used) if app.active => format!("{used} of {wanted}"),
            _ => wanted,
        };
        table.row([
            Cell::new(&app.id),
            Cell::new(&app.name),
            Cell::new(&app.user),
            state(app.state.as_deref(), Some(app.active)),
            Cell::new(cores),
            Cell::new(app.memory_per_executor_mib.map_or_else(String::new, mebibytes)),
            Cell::new(ago(app.submitted_ms, view.now_ms)),
            Cell::new(if app.active { &*app.web_ui } else { "" }),
        ]);
    }
    ((!shown.is_empty()).then_some(table), left_out)
}

fn drivers(report: &Report, view: &View) -> (Option<Table>, Option<String>) {
    let mut table = Table::default()
        .text("ID")
        .text("CLASS")
        .word("STATE")
        .number("CORES")
        .unless_narrow(4)
        .number("MEMORY")
        .unless_narrow(3)
        .number("SUBMITTED")
        .text("WORKER")
        .unless_narrow(2)
        .text("ERROR")
        .unless_narrow(1);
    let (shown, left_out) = chosen(&report.drivers, |driver| driver.active, view.all);
    for driver in &shown {
        table.row([
            Cell::new(&driver.id),
            Cell::new(&driver.main_class),
            state(driver.state.as_deref(), Some(driver.active)),
            Cell::new(driver.cores),
            Cell::new(mebibytes(i64::from(driver.memory_mib))),
            Cell::new(ago(driver.submitted_ms, view.now_ms)),
            Cell::new(driver.worker.as_deref().unwrap_or_default()),
            Cell::new(driver.error.as_deref().unwrap_or_default()),
        ]);
    }
    ((!shown.is_empty()).then_some(table), left_out)
}

/// Those that are active, and of those that have ended the last ones, unless all are wanted.
fn chosen<T>(of: &[T], active: impl Fn(&T) -> bool, all: bool) -> (Vec<&T>, Option<String>) {
    let (mut shown, ended): (Vec<&T>, Vec<&T>) = of.iter().partition(|one| active(one));
    let left_out = if all { 0 } else { ended.len().saturating_sub(ENDED) };
    shown.extend(&ended[left_out..]);
    let text = format!("and {left_out} that ended earlier (--all shows them)");
    (shown, (left_out > 0).then_some(text))
}

/// A state in a plain word. A Master tells its states only on its web pages; whether something has ended it tells anyhow.
fn state(state: Option<&str>, active: Option<bool>) -> Cell {
    let word = match (state, active) {
        (Some("unknown"), _) => "not heard of",
        (Some("relaunching"), _) => "restarting",
        (Some("submitted"), _) => "waiting",
        (Some(word), _) => word,
        (None, Some(true)) => "active",
        (None, Some(false)) => "ended",
        (None, None) => "?",
    };
    let style = match word {
        "alive" | "running" => GREEN,
        "dead" | "failed" | "error" | "killed" => RED,
        "waiting" | "decommissioned" | "not heard of" | "restarting" => YELLOW,
        "finished" | "ended" => DIM,
        _ => Style::new(),
    };
    Cell::in_style(style, word)
}

fn of(part: Option<i64>, whole: i64, unit: fn(i64) -> String) -> String {
    match part {
        Some(part) => format!("{} of {}", unit(part), unit(whole)),
        None => unit(whole),
    }
}

/// Mebibytes in the unit that suits them.
fn mebibytes(mib: i64) -> String {
    match mib {
        0 => "0".to_owned(),
        1..1024 => format!("{mib} MiB"),
        _ if mib % 1024 == 0 => format!("{} GiB", mib / 1024),
        _ => format!("{:.1} GiB", mib as f64 / 1024.0),
    }
}

/// How long ago something was. The Master's clock and this one may differ a little.
fn ago(then_ms: i64, now_ms: i64) -> String {
    let seconds = now_ms.saturating_sub(then_ms).max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// This machine's clock, in milliseconds since the beginning of 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How many of those that have ended are shown.
const ENDED: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_the_ones_that_people_use() {
        assert_eq!(
            [0, 512, 2048, 2560].map(mebibytes),
            ["0", "512 MiB", "2 GiB", "2.5 GiB"]
        );
        let ages = [-5, 59, 119, 120, 7199, 7200, 172_800].map(|seconds| ago(0, seconds * 1000));
        let expected = [
            "0 s ago",
            "59 s ago",
            "119 s ago",
            "2 min ago",
            "119 min ago",
            "2 h ago",
            "2 days ago",
        ];
        assert_eq!(ages, expected);
    }

    #[test]
    fn of_what_has_ended_the_last_ones_are_shown() {
        let all: Vec<_> = (0..10).collect();
        let (shown, left_out) = chosen(&all, |one| *one < 2, false);
        assert_eq!(shown, [&0, &1, &5, &6, &7, &8, &9]);
        assert_eq!(left_out.unwrap(), "and 3 that ended earlier (--all shows them)");
        assert_eq!(chosen(&all, |one| *one < 2, true).0.len(), 10);
    }
}
