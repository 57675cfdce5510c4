//! Java objects as JSON.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json, json};
use spark_rpc_javaobj::{Content, Elements, Graph, Item, Object, ObjectId, Value};

use crate::printable::{Bounds, Hex};
use crate::room::Room;

/// Makes JSON of what stands at a stream's top level.
///
/// | Java | JSON |
/// | --- | --- |
/// | `null`, truth values, numbers, strings | the same; what is no number (`NaN`) is a string |
/// | an object | `{"class": …, "fields": {…}}`, and `"also"`: what its classes wrote beside the fields |
/// | an array | `{"class": …, "length": …, "elements": […]}`; of bytes `"hex"` in place of the elements |
/// | a constant of an enum | `{"class": …, "constant": …}` |
/// | a class | `{"class": "java.lang.Class", "name": …}` |
/// | raw bytes | `{"length": …, "hex": …}` |
/// | an object that was there already | `{"ref": 3}`; the first one has `"id": 3` |
///
/// Returns also whether something was left out for its size. Even if everything is wanted there is an end to it: a text that
/// many places lead to stands at each of them, until that takes 16 MiB more than all texts have.
pub fn java_to_json(graph: &Graph, bounds: &Bounds) -> (Json, bool) {
    let mut writer = Writer {
        graph,
        bounds,
        left: bounds.values,
        room: Room::of(graph, usize::MAX),
        cut: false,
        depth: 0,
        shared: graph.shared(graph.roots()),
        seen: HashMap::new(),
    };
    let mut all: Vec<Json> = Vec::new();
    for content in graph.contents() {
        all.push(match content {
            Content::Block(bytes) => writer.bytes(bytes),
            Content::Value(value) => writer.value(*value),
            Content::Exception(value) => json!({ "writer_gave_up": writer.value(*value) }),
            Content::Reset => continue,
            _ => Json::Null,
        });
    }
    let json = match all.len() {
        1 => all.remove(0),
        _ => Json::Array(all),
    };
    (json, writer.cut)
}

struct Writer<'a> {
    graph: &'a Graph,
    bounds: &'a Bounds,
    /// How many more values are written.
    left: usize,
    /// How much text.
    room: Room,
    cut: bool,
    depth: usize,
    /// Objects that more than one place leads to.
    shared: HashSet<ObjectId>,
    /// Those of them that have been written.
    seen: HashMap<ObjectId, usize>,
}

/// Readers of JSON have a limit, too.
const DEPTH: usize = 100;

impl Writer<'_> {
    fn value(&mut self, value: Value) -> Json {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => {
                self.cut = true;
                return Json::Null;
            }
        }
        match value {
            Value::Null => Json::Null,
            Value::Object(id) => self.object(id),
            Value::Descriptor(id) => json!({ "descriptor": self.name(self.graph[id].name()) }),
            Value::Boolean(value) => value.into(),
            Value::Byte(value) => value.into(),
            Value::Char(unit) => String::from_utf16_lossy(&[unit]).into(),
            Value::Short(value) => value.into(),
            Value::Int(value) => value.into(),
            Value::Long(value) => value.into(),
            Value::Float(value) if value.is_finite() => f64::from(value).into(),
            Value::Float(value) => value.to_string().into(),
            Value::Double(value) if value.is_finite() => value.into(),
            Value::Double(value) => value.to_string().into(),
        }
    }

    fn object(&mut self, id: ObjectId) -> Json {
        let graph = self.graph;
        let object = &graph[id];
        if let Object::String(string) = object {
            return self.text(&string.to_string_lossy());
        }
        if self.depth == DEPTH {
            self.cut = true;
            return Json::Null;
        }
        let mut json = Map::new();
        if self.shared.contains(&id) {
            let new = self.seen.len() + 1;
            let number = *self.seen.entry(id).or_insert(new);
            if number != new {
                return json!({ "ref": number });
            }
            json.insert("id".to_owned(), number.into());
        }
        self.depth += 1;
        let class = graph.class_name(Value::Object(id)).unwrap_or_default();
        json.insert("class".to_owned(), self.name(class).into());
        match object {
            Object::Enum { constant, .. } => {
                let constant = graph.as_str(Value::Object(*constant)).unwrap_or_default();
                json.insert("constant".to_owned(), self.text(constant));
            }
            Object::Class(class) => {
                json.insert("name".to_owned(), self.name(graph[*class].name()).into());
            }
            Object::Array(array) => {
                json.insert("length".to_owned(), array.elements.len().into());
                let (name, elements) = self.elements(&array.elements);
                json.insert(name.to_owned(), elements);
            }
            _ => self.instance(id, &mut json),
        }
        self.depth -= 1;
        Json::Object(json)
    }

    fn instance(&mut self, id: ObjectId, json: &mut Map<String, Json>) {
        let Some(instance) = self.graph.instance(Value::Object(id)) else {
            return;
        };
        let mut fields = Map::new();
        let mut also = Vec::new();
        for (desc, part) in instance.parts() {
            for (field, value) in desc.fields().iter().zip(&part.fields) {
                let value = self.value(*value);
                let mut name = self.name(&field.name);
                if fields.contains_key(&name) {
                    name = format!("{}.{name}", self.name(desc.name()));
                }
                fields.insert(name, value);
            }
            for item in &part.annotation {
                also.push(match item {
                    Item::Block(bytes) => self.bytes(bytes),
                    Item::Value(value) => self.value(*value),
                });
            }
        }
        json.insert("fields".to_owned(), Json::Object(fields));
        if !also.is_empty() {
            json.insert("also".to_owned(), Json::Array(also));
        }
    }

    fn elements(&mut self, elements: &Elements) -> (&'static str, Json) {
        if let Elements::Byte(bytes) = elements {
            self.cut |= bytes.len() > self.bounds.hex;
            return ("hex", Hex(bytes, self.bounds.hex).to_string().into());
        }
        let mut all = Vec::new();
        for at in 0..elements.len() {
            if self.left == 0 {
                self.cut = true;
                break;
            }
            all.push(self.value(elements.get(at).unwrap_or(Value::Null)));
        }
        ("elements", Json::Array(all))
    }

    fn bytes(&mut self, bytes: &[u8]) -> Json {
        self.cut |= bytes.len() > self.bounds.hex;
        json!({ "length": bytes.len(), "hex": Hex(bytes, self.bounds.hex).to_string() })
    }

    fn text(&mut self, text: &str) -> Json {
        match self.room.take(text, self.bounds.chars) {
            (whole, true) => whole.into(),
            (begin, false) => {
                self.cut = true;
                format!("{begin}…").into()
            }
        }
    }

    fn name(&mut self, name: &str) -> String {
        let (name, whole) = self.room.name(name);
        self.cut |= !whole;
        name
    }
}
