//! One frame as text.

use std::fmt::Write;

use spark_rpc_javaobj::Content as Top;
use spark_rpc_wire::{Address, Message};

use crate::content::{Content, Java};
use crate::decoded::Decoded;
use crate::printable::{Bounds, Bytes, Clean, Hex, bounded};

impl Decoded {
    /// Says in a line what kind of frame it is: its type, what it is about, its length.
    pub fn title(&self) -> String {
        let mut title = match (self.kind(), self.type_id) {
            (Some(kind), _) => kind.name().to_owned(),
            (None, Some(id)) => format!("frame of type {id}"),
            (None, None) => "frame".to_owned(),
        };
        if let Some(id) = self.request_id() {
            let _ = write!(title, " {id}");
        }
        match &self.message {
            Some(Message::ChunkFetchRequest(message)) => drop(write!(title, " {}", message.chunk)),
            Some(Message::ChunkFetchSuccess(message)) => drop(write!(title, " {}", message.chunk)),
            Some(Message::ChunkFetchFailure(message)) => drop(write!(title, " {}", message.chunk)),
            Some(Message::StreamRequest(message)) => drop(write!(title, " {}", Clean(&message.stream_id))),
            Some(Message::StreamResponse(message)) => drop(write!(title, " {}", Clean(&message.stream_id))),
            Some(Message::StreamFailure(message)) => drop(write!(title, " {}", Clean(&message.stream_id))),
            _ => {}
        }
        let _ = write!(title, ", {}", Bytes(self.length));
        title
    }

    /// Says in a few words what the message is about: the endpoint and the class.
    pub fn subject(&self) -> Option<String> {
        let name = self.content.as_ref().and_then(Content::name).map(short_name);
        match (self.endpoint(), name) {
            (Some(endpoint), Some(name)) => Some(format!("{} to {}", Clean(name), Clean(endpoint))),
            (Some(endpoint), None) => Some(format!("to {}", Clean(endpoint))),
            (None, Some(name)) => Some(Clean(name).to_string()),
            (None, None) => self.error().map(|error| {
                let first = error.lines().next().unwrap_or_default();
                Clean(first).to_string()
            }),
        }
    }

    /// The failure's text, of the three types that are failures.
    pub fn error(&self) -> Option<&str> {
        match self.message.as_ref()? {
            Message::ChunkFetchFailure(message) => Some(&message.error),
            Message::RpcFailure(message) => Some(&message.error),
            Message::StreamFailure(message) => Some(&message.error),
            _ => None,
        }
    }

    /// Appends lines that say everything else, each indented and ended.
    pub fn details(&self, bounds: &Bounds, out: &mut String) {
        if let Some(envelope) = &self.envelope {
            let _ = write!(out, "  to {}", Clean(&envelope.name));
            match &envelope.receiver {
                Some(receiver) => drop(write!(out, " at {}", Place(receiver))),
                None => out.push_str(", which has no address,"),
            }
            match &envelope.sender {
                Some(sender) => drop(writeln!(out, " from {}", Place(sender))),
                None => out.push_str(" from a client without an address\n"),
            }
        }
        match &self.message {
            Some(Message::StreamResponse(message)) => {
                let _ = writeln!(out, "  followed by {}", Bytes(message.byte_count.max(0) as u64));
            }
            Some(Message::UploadStream(message)) => {
                let _ = writeln!(
                    out,
                    "  with {} of meta data: {}",
                    Bytes(message.meta.len() as u64),
                    Hex(&message.meta, bounds.hex)
                );
                let _ = writeln!(out, "  followed by {}", Bytes(message.byte_count.max(0) as u64));
            }
            Some(Message::MergedBlockMetaRequest(message)) => {
                let _ = writeln!(out, "  {message:?}");
            }
            Some(Message::MergedBlockMetaSuccess(message)) => match message.bitmaps() {
                Ok(bitmaps) => {
                    for (chunk, bitmap) in bitmaps.iter().enumerate().take(bounds.lines) {
                        let _ = writeln!(out, "  chunk {chunk}: {} map ids", bitmap.len());
                    }
                }
                Err(error) => drop(writeln!(out, "  {error}")),
            },
            _ => {}
        }
        if let Some(error) = self.error() {
            out.push_str("  ");
            let cut = bounded(out, 4, bounds, |out| out.write_str(error.trim_end()));
            end_line(cut, out);
        }
        if let Some(content) = &self.content {
            self.describe(content, bounds, out);
        }
        if let Some(problem) = &self.problem {
            let _ = writeln!(out, "  at {}: {}", problem.at, Clean(&problem.text));
        }
        if self.missing > 0 && !matches!(self.message, Some(Message::ChunkFetchSuccess(_))) {
            let _ = writeln!(out, "  {} more are not looked at", Bytes(self.missing));
        }
    }

    fn describe(&self, content: &Content, bounds: &Bounds, out: &mut String) {
        match content {
            Content::Empty => out.push_str("  nothing in it\n"),
            Content::Java(java) => java.describe(bounds, out),
            Content::Native { name, body } => {
                let what = match name.as_str() {
                    "" => "reply".to_owned(),
                    "!" => "failure".to_owned(),
                    name => Clean(name).to_string(),
                };
                let _ = writeln!(
                    out,
                    "  native: {what}, {} {}",
                    Bytes(body.len() as u64 + self.missing),
                    Dump(body, bounds)
                );
            }
            Content::AuthEngine {
                app_id,
                lengths: [salt, text],
            } => {
                let _ = writeln!(
                    out,
                    "  auth engine for {}: {salt} bytes of salt, {text} bytes of cipher text",
                    Clean(app_id)
                );
            }
            Content::Sasl { app_id, token } => {
                out.push_str("  SASL");
                if let Some(app_id) = app_id {
                    let _ = write!(out, " for {}", Clean(app_id));
                }
                let _ = match token.len() {
                    0 => writeln!(out, ": begins"),
                    _ => writeln!(out, ": {}", Clean(&masked(&String::from_utf8_lossy(token)))),
                };
            }
            Content::Raw { guess, bytes } => {
                let length = bytes.len() as u64 + self.missing;
                let _ = write!(out, "  {}", guess.unwrap_or("no known codec"));
                let _ = writeln!(out, ", {} {}", Bytes(length), Dump(bytes, bounds));
            }
        }
    }
}

impl Java {
    /// Appends the tree, and what stands behind the object.
    pub(crate) fn describe(&self, bounds: &Bounds, out: &mut String) {
        out.push_str("  ");
        let cut = bounded(out, 2, bounds, |out| match bounds.is_full() {
            true => write!(out, "{:#}", self.graph),
            false => out.write_str(&crate::java_text::write(&self.graph, bounds)),
        });
        if self.graph.contents().is_empty() {
            for class in self.graph.classes() {
                let _ = write!(out, "class {}", Clean(&class.to_string()));
            }
            if matches!(self.graph.classes(), []) {
                let _ = write!(out, "{} of a Java object stream", Bytes(self.length as u64));
            }
        }
        end_line(cut, out);
        if self.error.is_none() && self.read < self.length {
            let rest = Bytes((self.length - self.read) as u64);
            let _ = writeln!(out, "  {rest} behind the object, which nobody reads");
        }
    }

    /// Whether there is more in the stream than one object and resets.
    pub fn has_several(&self) -> bool {
        let values = self.graph.contents().iter();
        values.filter(|content| !matches!(content, Top::Reset)).count() > 1
    }
}

/// The name of a class without its package.
pub fn short_name(class: &str) -> &str {
    if class.starts_with('[') || class.contains(' ') {
        return class;
    }
    class.rsplit_once('.').map_or(class, |(_, name)| name)
}

/// What may be a proof of a secret is nobody's business.
fn masked(token: &str) -> String {
    let mut parts = token.split(',').map(|part| match part.split_once('=') {
        Some((name, _)) if is_proof(name) => format!("{name}=(left out)"),
        _ => part.to_owned(),
    });
    let first = parts.next().unwrap_or_default();
    parts.fold(first, |text, part| text + "," + &part)
}

/// As readers of tokens see it: whatever the case, with blanks around.
fn is_proof(name: &str) -> bool {
    let name = name.trim();
    ["response", "rspauth"]
        .iter()
        .any(|proof| name.eq_ignore_ascii_case(proof))
}

fn end_line(cut: bool, out: &mut String) {
    if cut {
        while out.ends_with(' ') {
            out.pop();
        }
        if !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str("  … the rest is left out for its length");
    }
    out.push('\n');
}

struct Place<'a>(&'a Address<'a>);

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", Clean(&self.0.host), self.0.port)
    }
}

/// Bytes as text where they are that, else in hex.
pub(crate) struct Dump<'a>(pub(crate) &'a [u8], pub(crate) &'a Bounds);

impl std::fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(bytes, bounds) = *self;
        let begin = &bytes[..bytes.len().min(bounds.hex.saturating_mul(4))];
        match std::str::from_utf8(begin) {
            Ok(text) if !text.is_empty() && text.chars().all(|char| !char.is_control() || char == '\n') => {
                write!(f, "{:?}", text)?;
                f.write_str(if begin.len() < bytes.len() { "…" } else { "" })
            }
            _ => {
                // As other tools show bytes: what is text between the others is often all one wants to know.
                let begin = &bytes[..bytes.len().min(bounds.hex)];
                let visible = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
                write!(f, "{}", Hex(bytes, bounds.hex))?;
                if begin.split(|byte| !visible(byte)).any(|run| run.len() >= 3) {
                    let text = begin
                        .iter()
                        .map(|byte| if visible(byte) { char::from(*byte) } else { '.' });
                    write!(f, " |{}|", text.collect::<String>())?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_of_a_secret_are_left_out_however_they_are_written() {
        assert_eq!(
            masked("nonce=\"x\",response=0123,qop=auth"),
            "nonce=\"x\",response=(left out),qop=auth"
        );
        assert_eq!(masked("rspauth=0123"), "rspauth=(left out)");
        assert_eq!(masked("nc=1, Response =\"0123\""), "nc=1, Response =(left out)");
    }
}
