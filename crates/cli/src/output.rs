//! What the user sees: lines on standard output, errors and notes on standard error, colours only on terminals.

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

/// Writes one line to standard output at once, or ends the process.
pub(crate) fn line(text: impl Display) {
    let mut out = anstream::stdout().lock();
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) {
        cannot_write(&error);
    }
}

/// Ends the process, since standard output takes nothing more. Of a reader that has gone away, as `head` does, nothing is
/// told; the status is then the one that a shell gives to a process that SIGPIPE ended.
pub(crate) fn cannot_write(cause: &io::Error) -> ! {
    if cause.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(128 + 13);
    }
    error(format_args!("standard output cannot be written: {cause}"));
    std::process::exit(1)
}

/// Writes one line to standard error.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Writes an error in the form that clap's own errors have.
pub(crate) fn error(text: impl Display) {
    let (text, red, end) = (harmless(text), RED.render(), RED.render_reset());
    note(format_args!("{red}error:{end} {text}"));
}

/// Writes a warning to standard error.
pub(crate) fn warning(text: impl Display) {
    let (text, yellow, end) = (harmless(text), YELLOW.render(), YELLOW.render_reset());
    note(format_args!("{yellow}warning:{end} {text}"));
}

/// Errors hold words of peers, which must not steer the terminal.
fn harmless(text: impl Display) -> String {
    let steers = |c: char| c.is_control() && !['\n', '\t'].contains(&c);
    let text = text.to_string();
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}

/// `text` in `style`, where the stream shows styles.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{}{text}{}", style.render(), style.render_reset())
}

/// A duration with three digits that count.
pub(crate) fn short(duration: std::time::Duration) -> String {
    let us = duration.as_secs_f64() * 1e6;
    let (value, unit) = match us {
        us if us < 1e3 => (us, "µs"),
        us if us < 1e6 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    let digits = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.digits$} {unit}")
}

/// A number with a letter for thousands and millions.
pub(crate) fn count(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.2} M", n / 1e6),
        n if n >= 1e4 => format!("{:.1} k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

/// A number of bytes with three digits that count.
pub(crate) fn size(bytes: f64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1000.0 {
        return format!("{bytes:.0} bytes");
    }
    let (mut value, mut unit) = (bytes / 1024.0, 0);
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.digits$} {}", units[unit])
}

pub(crate) const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn durations_keep_about_three_digits() {
        assert_eq!(short(Duration::from_nanos(1_234)), "1.23 µs");
        assert_eq!(short(Duration::from_micros(85)), "85.0 µs");
        assert_eq!(short(Duration::from_micros(312_400)), "312 ms");
        assert_eq!(short(Duration::from_secs(2)), "2.00 s");
    }

    #[test]
    fn sizes_keep_about_three_digits() {
        assert_eq!(size(0.0), "0 bytes");
        assert_eq!(size(999.0), "999 bytes");
        assert_eq!(size(1000.0), "0.98 KiB");
        assert_eq!(size(1_048_576.0), "1.00 MiB");
        assert_eq!(size(36.0 * 1024.0), "36.0 KiB");
        assert_eq!(size(1e30).split_once(' ').unwrap().1, "TiB");
    }

    #[test]
    fn large_numbers_get_a_letter() {
        assert_eq!(count(950.4), "950");
        assert_eq!(count(62_400.0), "62.4 k");
        assert_eq!(count(1_840_000.0), "1.84 M");
    }
}
