//! Events, told to people or as JSON.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::json;
use spark_rpc_javaobj::Limits;
use spark_rpc_wire::MessageType;

use crate::content::Content;
use crate::cutter::Excerpt;
use crate::decoded::Decoded;
use crate::direction::Direction;
use crate::event::{Event, What};
use crate::filter::{Facts, Filter};
use crate::json::Fields;
use crate::printable::{Bounds, Bytes, Clean};

/// How events are told.
#[derive(Debug, Clone)]
pub struct Style {
    /// One JSON object for each, instead of text.
    pub json: bool,
    /// One line for each frame.
    pub brief: bool,
    /// With times and the numbers of connections, of which there may be several; else only with offsets.
    pub connections: bool,
    /// How much of each.
    pub bounds: Bounds,
    /// What of Java content is read.
    pub limits: Limits,
    /// Which frames.
    pub filter: Filter,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            json: false,
            brief: false,
            connections: true,
            bounds: Bounds::BRIEF,
            limits: LIMITS,
            filter: Filter::default(),
        }
    }
}

/// What one event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The first line, or the only one.
    pub head: String,
    /// Whether something is wrong.
    pub is_problem: bool,
    /// The other lines, each with its end.
    pub details: String,
}

/// Tells events one after the other, and remembers of earlier ones what explains later ones.
#[derive(Debug)]
pub struct Story {
    style: Style,
    asked: HashMap<(u64, Direction, i64), Asked>,
    /// About how many bytes these take.
    asked_bytes: usize,
    problems: u64,
    /// Frames that the filter held back.
    held_back: u64,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Asked {
    at: Duration,
    subject: String,
    endpoint: Option<String>,
    class: Option<String>,
}

impl Asked {
    fn weight(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.subject.len() + length(&self.endpoint) + length(&self.class)
    }
}

/// More than anybody has in mind; more would be a peer that never answers. Names may have 64 KiB each.
const MOST_ASKED_BYTES: usize = 32 << 20;

const LIMITS: Limits = Limits {
    depth: 128,
    handles: 1 << 20,
    string_bytes: 64 << 20,
    array_elements: 1 << 27,
    memory: 256 << 20,
};

impl Story {
    /// Begins a story.
    pub fn new(style: Style) -> Self {
        Self {
            style,
            asked: HashMap::new(),
            asked_bytes: 0,
            problems: 0,
            held_back: 0,
        }
    }

    /// Returns how much was wrong so far, told or not.
    pub fn problems(&self) -> u64 {
        self.problems
    }

    /// Returns how many frames the filter held back so far.
    pub fn held_back(&self) -> u64 {
        self.held_back
    }

    /// Returns how it is told.
    pub fn style(&self) -> &Style {
        &self.style
    }

    /// Tells one event, unless the filter holds it back.
    pub fn tell(&mut self, event: &Event) -> Option<Told> {
        match &event.what {
            What::Frame { direction, excerpt } => self.frame(event, *direction, excerpt, None),
            What::Cut {
                direction,
                excerpt,
                body: false,
                arrived,
            } if excerpt.length > 0 => self.frame(event, *direction, excerpt, Some(*arrived)),
            what => {
                if matches!(what, What::Closed) {
                    self.asked.retain(|(connection, ..), asked| {
                        let stays = *connection != event.connection;
                        self.asked_bytes -= if stays { 0 } else { asked.weight() };
                        stays
                    });
                }
                let is_problem = match what {
                    What::Opaque { encrypted, .. } => !encrypted,
                    What::Unreachable { .. } | What::Cut { .. } | What::Lost { .. } => true,
                    What::Ended { error, .. } => error.is_some(),
                    _ => false,
                };
                self.problems += u64::from(is_problem);
                let filter = &self.style.filter;
                if filter.is_about_frames() && matches!(what, What::Body { .. }) {
                    return None;
                }
                if !filter.lets_connection_pass(event.connection, what.direction()) {
                    return None;
                }
                let head = if self.style.json {
                    happened_json(event)
                } else {
                    let mut head = self.prefix(event, what.direction(), offset_of(what));
                    happened(what, self.style.connections, &mut head);
                    head
                };
                Some(Told {
                    head,
                    is_problem,
                    details: String::new(),
                })
            }
        }
    }

    /// Tells something about the input as a whole.
    pub fn problem(&mut self, at: u64, text: &str) -> Told {
        self.problems += 1;
        let head = if self.style.json {
            let mut json = Fields::new();
            json.put("event", "problem");
            json.put("at", at);
            json.put("text", text);
            json.to_line()
        } else {
            format!("at {at}: {}", Clean(text))
        };
        Told {
            head,
            is_problem: true,
            details: String::new(),
        }
    }

    fn frame(
        &mut self,
        event: &Event,
        direction: Direction,
        excerpt: &Excerpt,
        arrived: Option<u64>,
    ) -> Option<Told> {
        let mut decoded = Decoded::read(excerpt, &self.style.limits);
        if arrived.is_some() {
            // What is wrong is that it ends, and not what that does to the content.
            decoded.problem = None;
        }
        let id = decoded.request_id().map(|id| id.0);
        let answered = self.remember(event, direction, &decoded);
        let is_problem = decoded.problem.is_some() || arrived.is_some();
        self.problems += u64::from(is_problem);
        let facts = Facts {
            connection: event.connection,
            direction: Some(direction),
            kind: decoded.kind(),
            id,
            endpoint: decoded
                .endpoint()
                .or_else(|| answered.as_ref().and_then(|asked| asked.endpoint.as_deref())),
            classes: [
                decoded.content.as_ref().and_then(Content::name),
                answered.as_ref().and_then(|asked| asked.class.as_deref()),
            ],
        };
        if !self.style.filter.lets_pass(&facts) {
            self.held_back += 1;
            return None;
        }
        let bounds = &self.style.bounds;
        let took = answered.as_ref().map(|asked| event.at.saturating_sub(asked.at));
        if self.style.json {
            let mut json = Fields::new();
            if self.style.connections {
                json.put("at_us", micros(event.at));
                json.put("connection", event.connection);
                json.put("event", if arrived.is_some() { "cut" } else { "frame" });
                json.put("direction", direction.name());
            }
            decoded.to_json(bounds, &mut json);
            if let (Some(asked), Some(took)) = (&answered, took) {
                let subject = asked.subject.as_str();
                json.put("answers", json!({ "subject": subject, "took_us": micros(took) }));
            }
            if let Some(arrived) = arrived {
                json.put("arrived", arrived);
            }
            return Some(Told {
                head: json.to_line(),
                is_problem,
                details: String::new(),
            });
        }
        let mut head = self.prefix(event, Some(direction), Some(excerpt.offset));
        head.push_str(&decoded.title());
        match decoded.subject() {
            // The error's text begins in the same way.
            Some(_) if decoded.error().is_some() && !self.style.brief => {}
            Some(subject) => drop(write!(head, ": {subject}")),
            None => {}
        }
        if let (Some(asked), Some(took)) = (&answered, took) {
            let _ = write!(head, ", {} after {}", Span(took), asked.subject);
        }
        if let Some(arrived) = arrived {
            let _ = write!(head, " (only {} of it are there)", Bytes(arrived));
        }
        let mut details = String::new();
        if !self.style.brief {
            decoded.details(bounds, &mut details);
        } else if let Some(problem) = &decoded.problem {
            let _ = writeln!(details, "  at {}: {}", problem.at, Clean(&problem.text));
        }
        if self.style.connections {
            // The heads are what the eye runs along.
            let lines = details.lines().map(|line| format!("        {line}\n"));
            details = lines.collect();
        }
        Some(Told {
            head,
            is_problem,
            details,
        })
    }

    /// Keeps a request in mind; returns what an answer belongs to.
    fn remember(&mut self, event: &Event, direction: Direction, decoded: &Decoded) -> Option<Asked> {
        let id = decoded.request_id()?.0;
        match decoded.kind()? {
            MessageType::RpcRequest | MessageType::UploadStream | MessageType::MergedBlockMetaRequest => {
                let name = || decoded.kind().map_or("request", MessageType::name).to_owned();
                let content = decoded.content.as_ref();
                let asked = Asked {
                    at: event.at,
                    subject: decoded.subject().unwrap_or_else(name),
                    endpoint: decoded.endpoint().map(str::to_owned),
                    class: content.and_then(Content::name).map(str::to_owned),
                };
                self.take_asked((event.connection, direction, id));
                let bytes = self.asked_bytes + asked.weight();
                if bytes <= MOST_ASKED_BYTES {
                    self.asked_bytes = bytes;
                    self.asked.insert((event.connection, direction, id), asked);
                }
                None
            }
            _ => self.take_asked((event.connection, direction.reversed(), id)),
        }
    }

    fn take_asked(&mut self, key: (u64, Direction, i64)) -> Option<Asked> {
        let asked = self.asked.remove(&key)?;
        self.asked_bytes -= asked.weight();
        Some(asked)
    }

    fn prefix(&self, event: &Event, direction: Option<Direction>, offset: Option<u64>) -> String {
        let mut prefix = String::new();
        if self.style.connections {
            let _ = write!(prefix, "{:>9.4} #{} ", event.at.as_secs_f64(), event.connection);
            if let Some(direction) = direction {
                let _ = write!(prefix, "{direction} ");
            }
        } else if let Some(offset) = offset {
            let _ = write!(prefix, "at {offset}: ");
        }
        prefix
    }
}

fn offset_of(what: &What) -> Option<u64> {
    match what {
        What::Body { offset, .. } | What::Opaque { offset, .. } | What::Ended { offset, .. } => Some(*offset),
        What::Cut { excerpt, .. } => Some(excerpt.offset),
        _ => None,
    }
}

/// Says what happened beside frames.
fn happened(what: &What, connections: bool, out: &mut String) {
    let _ = match what {
        What::Opened { from, to } => write!(out, "opened by {}, passed on to {}", Clean(from), Clean(to)),
        What::Unreachable { from, why } => write!(out, "{} turned away: {}", Clean(from), Clean(why)),
        What::Body { length, .. } => write!(out, "body of {}", Bytes(*length)),
        What::Opaque { offset, why, .. } if connections => {
            write!(out, "{}; from byte {offset} on it is only counted", Clean(why))
        }
        What::Opaque { why, .. } => write!(out, "{}", Clean(why)),
        What::Cut {
            body: true,
            excerpt,
            arrived,
            ..
        } => write!(
            out,
            "ended within a body: {} of {}",
            arrived,
            Bytes(excerpt.length)
        ),
        What::Cut { arrived, .. } => write!(out, "ended within a length field, after {}", Bytes(*arrived)),
        What::Ended {
            offset, error: None, ..
        } => write!(out, "ended after {}", Bytes(*offset)),
        What::Ended {
            offset,
            error: Some(error),
            ..
        } => {
            write!(out, "torn off after {}: {}", Bytes(*offset), Clean(error))
        }
        What::Closed => write!(out, "closed"),
        What::Lost { events } => write!(
            out,
            "{events} events before this one were not recorded: the disk was too slow"
        ),
        What::Frame { .. } => Ok(()),
    };
}

fn happened_json(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A time span with a unit that suits it.
struct Span(Duration);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let us = self.0.as_secs_f64() * 1e6;
        match us {
            us if us < 1e3 => write!(f, "{us:.0} µs"),
            us if us < 1e6 => write!(f, "{:.2} ms", us / 1e3),
            us => write!(f, "{:.2} s", us / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::from_hex;

    fn frame(id: u64, body: &[u8], kind: u8) -> Event {
        let mut data = vec![kind];
        data.extend(id.to_be_bytes());
        data.extend((body.len() as u32).to_be_bytes());
        data.extend(body);
        Event {
            connection: 1,
            at: Duration::ZERO,
            what: What::Frame {
                direction: if kind == 3 {
                    Direction::ToServer
                } else {
                    Direction::ToClient
                },
                excerpt: Excerpt {
                    offset: 0,
                    length: 8 + data.len() as u64,
                    data: data.into(),
                },
            },
        }
    }

    #[test]
    fn requests_that_nobody_answers_take_a_bounded_amount_of_memory() {
        let name = "x".repeat(60_000);
        let envelope = [&from_hex(b"0000ea60").unwrap()[..], name.as_bytes(), b"\x01\x01x"].concat();
        let mut story = Story::new(Style::default());
        for id in 0..1000 {
            story.tell(&frame(id, &envelope, 3));
        }
        assert!((100..500).contains(&story.asked.len()), "{}", story.asked.len());
        assert!(story.asked_bytes <= MOST_ASKED_BYTES);
        for _ in 0..2 {
            story.tell(&frame(0, &envelope, 3));
        }
        let told = story.tell(&frame(0, b"\x01\0", 4)).unwrap();
        assert!(told.head.contains(" after x to "), "{}", told.head);
        story.tell(&Event {
            connection: 1,
            at: Duration::ZERO,
            what: What::Closed,
        });
        assert_eq!((story.asked.len(), story.asked_bytes), (0, 0));
    }
}
