//! What `tracing` is told, for tests to look at.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use metrics_util::debugging::{DebugValue, Snapshotter};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Events and spans of this thread, one line each: level or `SPAN`, message or name, fields.
#[derive(Clone, Debug, Default)]
pub struct Captured(Arc<Mutex<Vec<String>>>);

/// Captures what this thread is told from now on, until the guard is dropped.
pub fn capture() -> (Captured, DefaultGuard) {
    let captured = Captured::default();
    let subscriber = Registry::default().with(captured.clone());
    (captured, tracing::subscriber::set_default(subscriber))
}

impl Captured {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// How many lines contain this.
    pub fn count(&self, text: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(text)).count()
    }

    /// The first line that contains this.
    pub fn line(&self, text: &str) -> String {
        match self.lines().into_iter().find(|line| line.contains(text)) {
            Some(line) => line,
            None => panic!("no {text:?} in:\n{}", self.text()),
        }
    }
}

impl<S: Subscriber> Layer<S> for Captured {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(event.metadata().level().to_string(), "message");
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut line = Line(format!("SPAN {}", attributes.metadata().name()), "");
        attributes.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}

/// The text so far, and which field is written without its name.
struct Line(String, &'static str);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            name if name == self.1 => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

/// What a recorder has been told.
pub struct Metrics(Vec<(String, Vec<String>, DebugValue)>);

impl Metrics {
    pub fn of(snapshotter: &Snapshotter) -> Self {
        let all = snapshotter.snapshot().into_vec();
        Self(
            all.into_iter()
                .map(|(key, _, _, value)| {
                    let (_, key) = key.into_parts();
                    let labels = key.labels().map(|label| label.value().to_owned()).collect();
                    (key.name().to_owned(), labels, value)
                })
                .collect(),
        )
    }

    pub fn value(&self, name: &str, labels: &[&str]) -> &DebugValue {
        let found = self
            .0
            .iter()
            .find(|(known, values, _)| known == name && values == labels);
        match found {
            Some((_, _, value)) => value,
            None => panic!("no {name} {labels:?} in {:?}", self.0),
        }
    }

    pub fn counter(&self, name: &str, labels: &[&str]) -> u64 {
        match self.value(name, labels) {
            DebugValue::Counter(count) => *count,
            other => panic!("{name} is {other:?}"),
        }
    }

    pub fn gauge(&self, name: &str, labels: &[&str]) -> f64 {
        match self.value(name, labels) {
            DebugValue::Gauge(value) => value.into_inner(),
            other => panic!("{name} is {other:?}"),
        }
    }

    pub fn histogram(&self, name: &str, labels: &[&str]) -> Vec<f64> {
        match self.value(name, labels) {
            DebugValue::Histogram(values) => values.iter().map(|value| value.into_inner()).collect(),
            other => panic!("{name} is {other:?}"),
        }
    }
}
