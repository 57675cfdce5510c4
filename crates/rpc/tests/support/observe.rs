//! What `tracing` is told, for tests to look at.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

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
