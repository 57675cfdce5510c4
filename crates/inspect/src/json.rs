//! One frame as JSON.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value as Json, json};
use spark_rpc_wire::{Address, Message};

use crate::content::{Content, Java};
use crate::decoded::Decoded;
use crate::java_json::java_to_json;
use crate::printable::{Bounds, Hex};

/// An object of JSON whose names keep their order.
#[derive(Debug, Default)]
pub struct Fields(Vec<(&'static str, Json)>);

impl Fields {
    /// Begins an empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a name and its value.
    pub fn put(&mut self, name: &'static str, value: impl Into<Json>) -> &mut Self {
        self.0.push((name, value.into()));
        self
    }

    /// Writes it in one line.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Decoded {
    /// Appends what there is to say: offset, length, type, the header's fields, the content, and what is wrong.
    ///
    /// Request ids are strings, since many readers of JSON keep only 53 bits of a number.
    pub fn to_json(&self, bounds: &Bounds, out: &mut Fields) {
        out.put("offset", self.offset);
        out.put("length", self.length);
        match (self.kind(), self.type_id) {
            (Some(kind), _) => out.put("type", kind.name()),
            (None, id) => out.put("type", id),
        };
        if let Some(id) = self.request_id() {
            out.put("request_id", id.to_string());
        }
        if let Some(envelope) = &self.envelope {
            out.put("sender", envelope.sender.as_ref().map(place));
            out.put("receiver", envelope.receiver.as_ref().map(place));
            out.put("endpoint", &*envelope.name);
        }
        match &self.message {
            Some(Message::ChunkFetchRequest(message)) => drop(out.put("chunk", message.chunk.to_string())),
            Some(Message::ChunkFetchSuccess(message)) => drop(out.put("chunk", message.chunk.to_string())),
            Some(Message::ChunkFetchFailure(message)) => drop(out.put("chunk", message.chunk.to_string())),
            Some(Message::StreamRequest(message)) => drop(out.put("stream", message.stream_id.as_str())),
            Some(Message::StreamFailure(message)) => drop(out.put("stream", message.stream_id.as_str())),
            Some(Message::StreamResponse(message)) => {
                out.put("stream", message.stream_id.as_str());
                out.put("body_behind", message.byte_count);
            }
            Some(Message::UploadStream(message)) => {
                out.put("meta", Hex(&message.meta, bounds.hex).to_string());
                out.put("body_behind", message.byte_count);
            }
            Some(Message::MergedBlockMetaRequest(message)) => {
                out.put("app_id", message.app_id.as_str());
                out.put("shuffle_id", message.shuffle_id);
                out.put("shuffle_merge_id", message.shuffle_merge_id);
                out.put("reduce_id", message.reduce_id);
            }
            Some(Message::MergedBlockMetaSuccess(message)) => {
                out.put("chunk_count", message.chunk_count);
            }
            _ => {}
        }
        if let Some(error) = self.error() {
            out.put("error", error);
        }
        if let Some(content) = &self.content {
            out.put("content", self.content_json(content, bounds));
        }
        if self.missing > 0 {
            out.put("not_looked_at", self.missing);
        }
        if let Some(problem) = &self.problem {
            out.put("problem", json!({ "at": problem.at, "text": problem.text }));
        }
    }

    fn content_json(&self, content: &Content, bounds: &Bounds) -> Json {
        match content {
            Content::Empty => json!({ "codec": null, "length": 0 }),
            Content::Java(java) => java.to_json(bounds),
            Content::Native { name, body } => json!({
                "codec": "native", "name": name, "length": body.len() as u64 + self.missing,
                "hex": Hex(body, bounds.hex).to_string(),
            }),
            Content::AuthEngine { app_id, .. } => json!({ "handshake": "auth engine", "app_id": app_id }),
            Content::Sasl { app_id, .. } => json!({ "handshake": "SASL", "app_id": app_id }),
            Content::Raw { guess, bytes } => json!({
                "codec": null, "guess": guess, "length": bytes.len() as u64 + self.missing,
                "hex": Hex(bytes, bounds.hex).to_string(),
            }),
        }
    }
}

impl Java {
    /// Makes JSON of the stream; see [`java_to_json`] for the value.
    pub fn to_json(&self, bounds: &Bounds) -> Json {
        let (value, cut) = java_to_json(&self.graph, bounds);
        json!({
            "codec": "java", "length": self.length, "class": self.class_name(), "value": value, "cut": cut,
        })
    }
}

fn place(address: &Address<'_>) -> String {
    format!("{}:{}", address.host, address.port)
}
