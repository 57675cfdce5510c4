//! What was found, for people.

use std::time::Duration;

use spark_rpc_inspect::probe::{Endpoint, Findings, Listening, Peer, Refused, Trust};

use super::report::proof;
use crate::output::{BOLD, GREEN, RED, YELLOW, short, styled};

/// The findings as lines: one for each thing, then the advice.
pub(super) fn lines(found: &Findings, advice: &[String]) -> Vec<String> {
    let mut lines = vec![row("listening", listening(found))];
    if let Some(tls) = &found.tls {
        let subject = tls.subject.as_deref().unwrap_or("nobody");
        lines.push(row(
            "TLS",
            format_args!("{}, certificate of {}", tls.protocol, clean(subject)),
        ));
        lines.push(row(
            "certificate",
            match &tls.trust {
                Trust::NotAsked => "not checked".to_owned(),
                Trust::Trusted => styled(GREEN, "trusted"),
                Trust::Refused(why) => styled(RED, format_args!("not trusted: {}", clean(why))),
            },
        ));
    }
    lines.extend(authentication(found));
    if let Some(Peer::Jvm { versions, scala, .. }) = &found.peer {
        lines.push(row("version", version(versions, *scala)));
    }
    if !found.endpoints.is_empty() {
        let there: Vec<_> = found
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.exists)
            .collect();
        let names: Vec<_> = there.iter().map(|endpoint| endpoint.name).collect();
        let names = if names.is_empty() {
            "none of the well-known ones".to_owned()
        } else {
            names.join(", ")
        };
        lines.push(row("endpoints", names));
        if let Some(role) = role(&there) {
            lines.push(row("role", role));
        }
    }
    let connected = format!("connected in {}", short(found.connected_in));
    lines.push(row(
        "time",
        match min_and_median(&found.round_trips) {
            Some((min, median)) => format!(
                "{connected}; round trip min {}, median {} of {}",
                short(min),
                short(median),
                found.round_trips.len()
            ),
            None => connected,
        },
    ));
    if !advice.is_empty() {
        lines.push(String::new());
        lines.push(styled(BOLD, "What follows"));
        lines.extend(advice.iter().flat_map(|text| wrapped(text, WIDTH)));
    }
    lines
}

fn row(name: &str, text: impl std::fmt::Display) -> String {
    format!("{}{text}", styled(BOLD, format_args!("{name:<15}")))
}

fn listening(found: &Findings) -> String {
    match &found.listening {
        Listening::Spark => match &found.peer {
            Some(Peer::Jvm { .. }) => styled(GREEN, "Spark's RPC, in a JVM"),
            Some(Peer::Rust) => styled(GREEN, "Spark's RPC, by spark-rpc"),
            _ => styled(GREEN, "Spark's RPC"),
        },
        Listening::Transport { text } => {
            let text = if text.is_empty() {
                "something that is no answer"
            } else {
                text
            };
            styled(
                YELLOW,
                format_args!("Spark's transport without an env; it says: {}", clean(text)),
            )
        }
        Listening::Tls => styled(YELLOW, "TLS, and nothing known inside"),
        Listening::Other(protocol) if found.tls.is_some() => {
            styled(RED, format_args!("{protocol} inside of TLS"))
        }
        Listening::Other(protocol) => styled(RED, format_args!("{protocol}, not Spark")),
        Listening::Unknown { first } => styled(
            RED,
            format_args!("something unknown; it begins with {}", first.escape_ascii()),
        ),
        Listening::Closes => styled(RED, "something that hangs up"),
        _ => styled(RED, "something that says nothing"),
    }
}

fn authentication(found: &Findings) -> Vec<String> {
    let found = &found.authentication;
    let mut lines = Vec::new();
    match found.wanted {
        None => {}
        Some(false) => lines.push(row("authentication", styled(RED, "not wanted"))),
        Some(true) => {
            let mut accepted = Vec::new();
            if found.engine() {
                accepted.push("auth engine".to_owned());
            }
            if let Some(qop) = found.sasl() {
                let weak = styled(YELLOW, "weak");
                accepted.push(match qop {
                    "" => format!("SASL DIGEST-MD5 ({weak})"),
                    qop => format!("SASL DIGEST-MD5 ({weak}; {})", clean(qop)),
                });
            }
            let accepted = if accepted.is_empty() {
                "nothing known".to_owned()
            } else {
                accepted.join(", ")
            };
            lines.push(row(
                "authentication",
                format_args!("wanted; accepted: {accepted}"),
            ));
        }
    }
    match (&found.refused, found.proof) {
        (Some(Refused::Secret { text }), _) => {
            lines.push(row(
                "secret",
                styled(RED, format_args!("refused: {}", clean(text))),
            ));
        }
        (Some(Refused::NotShown), _) => lines.push(row("secret", "not used")),
        (Some(_), _) => lines.push(row(
            "secret",
            styled(RED, "right, but nothing is understood afterwards"),
        )),
        (None, Some(found)) => lines.push(row(
            "secret",
            format_args!("{} by {}", styled(GREEN, "accepted"), proof(found)),
        )),
        (None, None) => {}
    }
    lines
}

fn version(versions: &[&str], scala: Option<&str>) -> String {
    let line = |version: &str| {
        version
            .rsplit_once('.')
            .map_or_else(|| version.to_owned(), |(line, _)| line.to_owned())
    };
    let spark = match versions {
        [] => return "a Spark whose class ids nobody here knows".to_owned(),
        [one] => format!("Spark {}, with the class ids of {one}", line(one)),
        [first, .., last] => format!(
            "Spark {} to {}, with class ids that these share",
            line(first),
            line(last)
        ),
    };
    match scala {
        Some(scala) => format!("{spark}; Scala {scala}"),
        None => spark,
    }
}

/// What the endpoints that are there have in common, by the one that tells most.
fn role(there: &[&Endpoint]) -> Option<&'static str> {
    // Drivers have many of them, and the first that is found tells most.
    there.first().map(|endpoint| endpoint.role)
}

/// The shortest and the middle one.
pub(super) fn min_and_median(times: &[Duration]) -> Option<(Duration, Duration)> {
    let mut times = times.to_vec();
    times.sort_unstable();
    Some((*times.first()?, times[times.len() / 2]))
}

/// A peer's text, without what would steer a terminal.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(LONGEST)
        .collect()
}

/// A sentence as an item of a list.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec!["-".to_owned()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is the first");
        if last.chars().count() + 1 + word.chars().count() > width {
            lines.push(format!("  {word}"));
        } else {
            last.push(' ');
            last.push_str(word);
        }
    }
    lines
}

const WIDTH: usize = 100;
/// How much of a peer's text is shown.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_share_their_ids_are_a_range() {
        assert_eq!(
            version(&["3.5.9"], Some("2.12")),
            "Spark 3.5, with the class ids of 3.5.9; Scala 2.12"
        );
        assert_eq!(
            version(&["4.2.1", "4.3.0"], Some("2.13")),
            "Spark 4.2 to 4.3, with class ids that these share; Scala 2.13"
        );
        assert!(version(&[], None).contains("nobody here knows"));
    }

    #[test]
    fn advice_is_wrapped_between_words() {
        let lines = wrapped("one two three four", 10);
        assert_eq!(lines, ["- one two", "  three", "  four"]);
    }
}
