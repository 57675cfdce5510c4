//! Java objects as a person wants to read them.

mod known;

use std::collections::{HashMap, HashSet};

use spark_rpc_javaobj::{Content, Elements, Graph, InstanceRef, Item, Object, ObjectId, Value};

use crate::printable::{Bounds, Clean, Hex, bounded};
use crate::room::Room;
use crate::text::{Dump, short_name};

/// Prints what stands at a stream's top level, in short and fit for a terminal.
///
/// Classes lose their packages, except in the first line. What everybody knows is printed as what it means: boxes as their values,
/// Scala's options, tuples and collections by their elements, case objects and classes by name, references by their URI,
/// exceptions with their stack traces as Java prints them. Small objects stand in one line. The exact tree, with proxies and
/// hashes and all, is [`Graph`]'s own `Display`. Even if everything is wanted there is an end to it: a text that many places
/// lead to stands at each of them, until that takes 16 MiB more than all texts have.
pub fn java_to_text(graph: &Graph, bounds: &Bounds) -> String {
    let mut out = String::new();
    if bounded(&mut out, 0, bounds, |out| out.write_str(&write(graph, bounds))) {
        out.push_str("\n… the rest is left out for its length");
    }
    out
}

/// The same, as it came.
pub(crate) fn write(graph: &Graph, bounds: &Bounds) -> String {
    let mut writer = Writer {
        graph,
        bounds,
        left: bounds.values,
        room: Room::of(graph, bounds.bytes.saturating_add(1)),
        depth: 0,
        shared: graph.shared(graph.roots()),
        seen: HashMap::new(),
    };
    let mut all = Vec::new();
    for content in graph.contents() {
        all.push(match content {
            Content::Block(bytes) => writer.block(bytes),
            Content::Value(value) => writer.root(*value),
            Content::Reset => "reset".to_owned(),
            Content::Exception(value) => format!("the writer gave up: {}", writer.value(*value)),
            _ => continue,
        });
    }
    all.join("\n")
}

struct Writer<'a> {
    graph: &'a Graph,
    bounds: &'a Bounds,
    /// How many more values are printed.
    left: usize,
    /// How much text.
    room: Room,
    depth: usize,
    /// Objects that more than one place leads to.
    shared: HashSet<ObjectId>,
    /// Those of them that have been printed, with their numbers.
    seen: HashMap<ObjectId, usize>,
}

/// What fits into one line is put there.
const LINE: usize = 88;
const DEPTH: usize = 100;
/// Characters of a string that are printed.
const CHARS: usize = 200;

impl<'a> Writer<'a> {
    /// The object of a message, with the whole name of its class.
    fn root(&mut self, value: Value) -> String {
        let text = self.value(value);
        let class = self.graph.class_name(value).unwrap_or_default();
        let short = short_name(class);
        match text.strip_prefix(short) {
            Some(rest) if rest.starts_with([' ', '{']) || rest.is_empty() => {
                format!("{}{rest}", self.name(class))
            }
            _ => text,
        }
    }

    fn value(&mut self, value: Value) -> String {
        if self.left == 0 || self.depth == DEPTH {
            return "…".to_owned();
        }
        self.left -= 1;
        match value {
            Value::Null => "null".to_owned(),
            Value::Object(id) => {
                self.depth += 1;
                let text = self.object(id);
                self.depth -= 1;
                text
            }
            Value::Descriptor(id) => format!("descriptor of {}", self.name(self.graph[id].name())),
            Value::Boolean(value) => value.to_string(),
            Value::Byte(value) => value.to_string(),
            Value::Char(unit) => match char::from_u32(unit.into()) {
                Some(char) => format!("{char:?}"),
                None => format!("'\\u{unit:04x}'"),
            },
            Value::Short(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Long(value) => value.to_string(),
            Value::Float(value) => format!("{value:?}"),
            Value::Double(value) => format!("{value:?}"),
        }
    }

    fn object(&mut self, id: ObjectId) -> String {
        let graph = self.graph;
        match &graph[id] {
            Object::String(string) => return self.text(&string.to_string_lossy()),
            Object::Enum { constant, .. } => {
                return self.name(graph.as_str(Value::Object(*constant)).unwrap_or("?"));
            }
            Object::Class(class) => return format!("class {}", self.name(graph[*class].name())),
            _ => {}
        }
        if let Some(known) = self.known(id) {
            return known;
        }
        let mut mark = String::new();
        let is_empty = matches!(&graph[id], Object::Array(array) if array.elements.is_empty());
        if self.shared.contains(&id) && !is_empty {
            let new = self.seen.len() + 1;
            let number = *self.seen.entry(id).or_insert(new);
            if number != new {
                return format!("@{number}");
            }
            mark = format!(" @{number}");
        }
        match &graph[id] {
            Object::Array(array) => self.array(graph[array.class].name(), &array.elements) + &mark,
            _ => match graph.instance(Value::Object(id)) {
                Some(instance) => self.instance(instance, &mark),
                None => "?".to_owned(),
            },
        }
    }

    fn instance(&mut self, object: InstanceRef<'a>, mark: &str) -> String {
        let mut twice = HashSet::new();
        let mut names = HashSet::new();
        for field in object.parts().flat_map(|(desc, _)| desc.fields()) {
            if !names.insert(field.name.as_str()) {
                twice.insert(field.name.as_str());
            }
        }
        let class = self.name(short_name(object.class_name()));
        let mut lines = Vec::new();
        for (desc, part) in object.parts() {
            for (field, value) in desc.fields().iter().zip(&part.fields) {
                let owner = match twice.contains(field.name.as_str()) {
                    true => format!("{}.", self.name(short_name(desc.name()))),
                    false => String::new(),
                };
                let name = self.name(&field.name);
                lines.push(format!("{owner}{name}: {}", self.value(*value)));
            }
            for item in &part.annotation {
                lines.push(match item {
                    Item::Block(bytes) => format!("+ {}", self.block(bytes)),
                    Item::Value(value) => format!("+ {}", self.value(*value)),
                });
            }
        }
        group(&format!("{class}{mark} {{"), lines, "}")
    }

    fn array(&mut self, class: &str, elements: &Elements) -> String {
        let count = elements.len();
        if let Elements::Byte(bytes) = elements {
            return format!("{count} bytes {}", Hex(bytes, self.bounds.hex));
        }
        let name = match class.strip_prefix("[L").and_then(|name| name.strip_suffix(';')) {
            Some(name) => short_name(name),
            None => class,
        };
        let name = self.name(name);
        let shown = if matches!(elements, Elements::Object(_)) {
            100
        } else {
            32
        };
        let shown = self.most(shown);
        let values = (0..count.min(shown)).filter_map(|at| elements.get(at));
        let mut texts: Vec<String> = values.map(|value| self.value(value)).collect();
        if count > shown {
            texts.push(format!("… {} more", count - shown));
        }
        group(&format!("{name}: {count} ["), texts, "]")
    }

    /// How much of something long is printed: so much, or if everything is wanted everything.
    fn most(&self, usual: usize) -> usize {
        if self.bounds.chars == usize::MAX {
            usize::MAX
        } else {
            usual
        }
    }

    /// A string in quotes.
    fn text(&mut self, text: &str) -> String {
        match self.room.take(text, self.most(CHARS)) {
            (whole, true) => format!("{whole:?}"),
            (begin, false) => format!("{begin:?}… ({} bytes)", text.len()),
        }
    }

    /// What should be a few words in one line.
    fn name(&mut self, name: &str) -> String {
        Clean(&self.room.name(name).0).to_string()
    }

    fn block(&self, bytes: &[u8]) -> String {
        format!("{} bytes {}", bytes.len(), Dump(bytes, self.bounds))
    }
}

/// Puts parts into one line if they fit, else each on a line of its own, indented.
fn group(begin: &str, parts: Vec<String>, end: &str) -> String {
    let long = parts.iter().map(|part| part.len() + 2).sum::<usize>() + begin.len() > LINE;
    if parts.is_empty() {
        return format!("{begin}{end}");
    }
    let (pad, is_block) = (
        if begin.ends_with('{') { " " } else { "" },
        long || parts.iter().any(|part| part.contains('\n')),
    );
    if !is_block {
        return format!("{begin}{pad}{}{pad}{end}", parts.join(", "));
    }
    let mut out = begin.to_owned();
    for part in parts {
        for line in part.split('\n') {
            out.push_str("\n  ");
            out.push_str(line);
        }
    }
    out.push('\n');
    out.push_str(end);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use spark_rpc_javaobj::{
        Array, ClassDesc, ClassFlags, ClassTable, JavaObject, NettyRpcEndpointRef, Profile, RpcAddress,
        RpcFailure, ScalaEnum, Throwable, ToJava, to_graph,
    };

    use super::*;

    fn in_short<T: ToJava>(value: &T) -> [String; 2] {
        ["3.5.9", "4.1.4"].map(|version| {
            let table = ClassTable::new(Profile::of(version).unwrap());
            java_to_text(&to_graph(value, &table).unwrap(), &Bounds::BRIEF)
        })
    }

    fn both(text: &str) -> [String; 2] {
        [text.to_owned(), text.to_owned()]
    }

    #[test]
    fn known_shapes_are_told_by_what_they_mean_in_both_versions_of_scala() {
        assert_eq!(in_short(&7), both("7"));
        assert_eq!(in_short(&()), both("()"));
        assert_eq!(in_short(&Some("x".to_owned())), both("Some(\"x\")"));
        assert_eq!(in_short(&None::<String>), both("None"));
        assert_eq!(in_short(&vec![1, 2]), both("List of 2 [1, 2]"));
        assert_eq!(in_short(&("a".to_owned(), true)), both("(\"a\", true)"));
        assert_eq!(in_short(&Duration::from_secs(120)), both("120 seconds"));
        let address = RpcAddress {
            host: "h".to_owned(),
            port: 7077,
        };
        let reference = NettyRpcEndpointRef::new("Master", Some(address.clone()), Duration::from_secs(1));
        assert_eq!(in_short(&reference), both("ref spark://Master@h:7077"));
        assert_eq!(in_short(&address), both("h:7077"));
        let alive = ScalaEnum {
            module: "org.apache.spark.deploy.master.WorkerState$".to_owned(),
            id: 0,
        };
        assert_eq!(in_short(&alive), both("WorkerState #0"));
        let map = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        assert_eq!(in_short(&map), both("Map of 2 [(\"a\", 1), (\"b\", 2)]"));
        let large: BTreeMap<_, _> = (0..5).map(|number| (number, ())).collect();
        for text in in_short(&large) {
            assert!(text.starts_with("HashMap ") && text.contains('4'), "{text}");
        }
    }

    #[derive(Debug, JavaObject)]
    #[java(class = "a.b.Kill$", module)]
    struct Kill;

    #[test]
    fn case_objects_have_their_name_and_exceptions_their_message() {
        assert_eq!(in_short(&Kill), both("Kill"));
        let failure = RpcFailure {
            error: Throwable::new("java.lang.IllegalStateException", "boom"),
        };
        for text in in_short(&failure) {
            assert!(
                text.starts_with("org.apache.spark.rpc.netty.RpcFailure {"),
                "{text}"
            );
            assert!(
                text.contains("e: java.lang.IllegalStateException: boom"),
                "{text}"
            );
        }
    }

    #[test]
    fn objects_in_a_circle_and_lists_of_lists_end() {
        let mut graph = Graph::new();
        let class = graph.add_class(ClassDesc::new("[Ljava.lang.Object;", 0, ClassFlags::SERIALIZABLE));
        let first = graph.add_string("");
        let elements = |of| Elements::Object(vec![Value::Object(of); 2]);
        let mut last = first;
        for _ in 0..60 {
            last = graph.add(Object::Array(Array {
                class,
                elements: elements(last),
            }));
        }
        graph.set(
            first,
            Object::Array(Array {
                class,
                elements: elements(last),
            }),
        );
        graph.push(Content::Value(Value::Object(last)));
        let text = java_to_text(&graph, &Bounds::BRIEF);
        assert!(text.lines().count() < 200, "{text}");
    }

    /// Threads have two mebibytes of stack, and so have those of tests.
    #[test]
    fn as_deep_as_a_stream_may_be_it_is_told() {
        let mut graph = Graph::new();
        let array = graph.add_class(ClassDesc::new("[Ljava.lang.Object;", 0, ClassFlags::SERIALIZABLE));
        let mut last = Value::Object(graph.add_string("the bottom"));
        for _ in 0..120 {
            let elements = Elements::Object(vec![last]);
            last = Value::Object(graph.add(Object::Array(Array {
                class: array,
                elements,
            })));
        }
        graph.push(Content::Value(last));
        let bytes = graph.write().unwrap().into();
        for (json, bounds) in [
            (false, Bounds::BRIEF),
            (true, Bounds::BRIEF),
            (false, Bounds::FULL),
            (true, Bounds::FULL),
        ] {
            let style = crate::Style {
                json,
                bounds,
                ..crate::Style::default()
            };
            let mut told = 0;
            crate::decode(&bytes, style, &mut |_| told += 1);
            assert_eq!(told, 1);
        }
        let (graph, ..) = Graph::read_leniently(&bytes, &spark_rpc_javaobj::Limits::default(), true);
        java_to_text(&graph, &Bounds::FULL);
    }

    /// Pairs of the same pair, which doubles with each level.
    #[test]
    fn what_doubles_at_every_level_ends() {
        let table = ClassTable::default();
        let mut encoder = spark_rpc_javaobj::Encoder::new(&table);
        let mut last = encoder.string("x");
        for _ in 0..60 {
            let level = spark_rpc_javaobj::Level::new("scala.Tuple2");
            let level = level.with("_1", "Ljava/lang/Object;", last);
            last = encoder.instance(vec![level.with("_2", "Ljava/lang/Object;", last)]);
        }
        let graph = encoder.finish(last).unwrap();
        assert!(java_to_text(&graph, &Bounds::BRIEF).lines().count() < 200);
    }
}
