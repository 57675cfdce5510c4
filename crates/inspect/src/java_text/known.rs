//! Classes that are better told by what they mean than by what they are made of.

use std::fmt::Write;

use spark_rpc_javaobj::{Elements, Graph, InstanceRef, Item, Object, ObjectId, Value};

use super::{Writer, group};
use crate::text::short_name;

impl<'a> Writer<'a> {
    /// What is better told by what it means than by what it is made of.
    pub(super) fn known(&mut self, id: ObjectId) -> Option<String> {
        let graph = self.graph;
        let object = graph.instance(Value::Object(id))?;
        let class = object.class_name();
        let field = |name| object.field(name);
        Some(match class {
            "java.lang.Boolean"
            | "java.lang.Byte"
            | "java.lang.Short"
            | "java.lang.Integer"
            | "java.lang.Long"
            | "java.lang.Float"
            | "java.lang.Double"
            | "java.lang.Character" => self.value(field("value")?),
            "scala.Some" => format!("Some({})", self.value(field("value")?)),
            "scala.None$" => "None".to_owned(),
            "scala.runtime.BoxedUnit" => "()".to_owned(),
            "scala.runtime.ModuleSerializationProxy" => self.name(module(graph, Value::Object(id))?),
            "scala.concurrent.duration.FiniteDuration" => {
                let (length, unit) = (field("length")?, field("unit")?);
                format!("{} {}", self.value(length), self.value(unit).to_lowercase())
            }
            "org.apache.spark.rpc.netty.NettyRpcEndpointRef" => {
                let address = graph.instance(field("endpointAddress")?)?;
                format!("ref {}", self.name(graph.as_str(address.field("toString")?)?))
            }
            "org.apache.spark.rpc.RpcAddress" => {
                let Value::Int(port) = field("port")? else {
                    return None;
                };
                format!("{}:{port}", self.name(graph.as_str(field("host")?)?))
            }
            "scala.Enumeration$Val" => {
                let Value::Int(number) = field("i")? else {
                    return None;
                };
                let outer = field("$outer").or_else(|| field("scala$Enumeration$$outerEnum"))?;
                let name = field("name").and_then(|name| graph.as_str(name));
                let module = self.name(module(graph, outer).unwrap_or("?"));
                match name {
                    Some(name) => format!("{module}.{}", self.name(name)),
                    None => format!("{module} #{number}"),
                }
            }
            _ if object.is_a("java.lang.Throwable") && !self.seen.contains_key(&id) => {
                self.seen.insert(id, self.seen.len() + 1);
                self.throwable(id, object)
            }
            // In Scala 2.12 the object itself travels.
            _ if class.ends_with('$')
                && object
                    .parts()
                    .all(|(_, part)| part.fields.is_empty() && part.annotation.is_empty()) =>
            {
                self.name(short_name(class).trim_end_matches('$'))
            }
            _ if class.starts_with("scala.Tuple") => {
                let count = object.parts().flat_map(|(desc, _)| desc.fields()).count();
                let count = count.min(LARGEST_TUPLE);
                // Specialised tuples have their numbers behind empty fields.
                let places = (1..=count).map_while(|place| {
                    let value = |name: &str| object.field(name).filter(|value| *value != Value::Null);
                    value(&format!("_{place}")).or_else(|| {
                        let fields = object.parts().flat_map(|(desc, _)| desc.fields());
                        let mut names = fields.map(|field| field.name.as_str());
                        value(names.find(|name| name.starts_with(&format!("_{place}$mc")))?)
                    })
                });
                let places: Vec<Value> = places.collect();
                if places.is_empty() {
                    return None;
                }
                let texts = places.into_iter().map(|value| self.value(value)).collect();
                group("(", texts, ")")
            }
            _ => self.collection(object)?,
        })
    }

    fn collection(&mut self, object: InstanceRef<'a>) -> Option<String> {
        let graph = self.graph;
        let class = object.class_name();
        let items = || {
            object.annotation().iter().filter_map(|item| match item {
                Item::Value(value) => Some(*value),
                Item::Block(_) => None,
            })
        };
        let is_end = |value: &Value| {
            let instance = graph.instance(*value).is_some();
            instance && module(graph, *value).is_some_and(|name| name.contains("SerializeEnd"))
        };
        let (name, elements): (String, Vec<Value>) = match class {
            "scala.collection.generic.DefaultSerializationProxy" => {
                let factory = graph.instance(object.field("factory")?)?;
                let inner = factory
                    .field("factory")
                    .filter(|inner| graph.instance(*inner).is_some());
                let name = inner.and_then(|inner| module(graph, inner));
                let name = name.unwrap_or_else(|| short_name(factory.class_name()));
                (self.name(name), items().filter(|value| !is_end(value)).collect())
            }
            "scala.collection.immutable.List$SerializationProxy"
            | "scala.collection.immutable.HashMap$SerializationProxy"
            | "scala.collection.immutable.HashSet$SerializationProxy" => {
                let name = class.rsplit_once('.')?.1.split_once('$')?.0.to_owned();
                (name, items().filter(|value| !is_end(value)).collect())
            }
            "scala.collection.immutable.ArraySeq$ofRef"
            | "scala.collection.mutable.ArraySeq$ofRef"
            | "scala.collection.mutable.WrappedArray$ofRef" => match graph.object(object.field("array")?)? {
                Object::Array(array) => match &array.elements {
                    Elements::Object(elements) => ("Seq".to_owned(), elements.clone()),
                    _ => return None,
                },
                _ => return None,
            },
            _ if class.starts_with("scala.collection.immutable.Map$Map")
                || class.starts_with("scala.collection.immutable.Set$Set") =>
            {
                return self.small(object);
            }
            "java.util.ArrayList" => ("ArrayList".to_owned(), items().collect()),
            _ => return None,
        };
        if class == "scala.collection.immutable.HashMap$SerializationProxy" {
            // Scala 2.12: keys and values in turn.
            let pairs = elements.chunks_exact(2).map(|pair| (pair[0], pair[1]));
            let texts: Vec<String> = pairs
                .map(|(key, value)| format!("({}, {})", self.value(key), self.value(value)))
                .collect();
            return Some(group(&format!("{name} of {} [", texts.len()), texts, "]"));
        }
        let count = elements.len();
        let texts: Vec<String> = elements.into_iter().map(|value| self.value(value)).collect();
        Some(group(&format!("{name} of {count} ["), texts, "]"))
    }

    /// Maps and sets of up to four, whose elements are fields; the names may have the class's in front.
    fn small(&mut self, object: InstanceRef<'a>) -> Option<String> {
        let fields = || {
            object
                .parts()
                .flat_map(|(desc, part)| desc.fields().iter().zip(&part.fields))
        };
        let mut find = |name: String| {
            let found =
                fields().find(|(field, _)| field.name == name || field.name.ends_with(&format!("$${name}")));
            found.map(|(_, value)| self.value(*value))
        };
        let mut texts = Vec::new();
        for place in 1..=4 {
            match (
                find(format!("key{place}")),
                find(format!("value{place}")),
                find(format!("elem{place}")),
            ) {
                (Some(key), Some(value), _) => texts.push(format!("({key}, {value})")),
                (_, _, Some(element)) => texts.push(element),
                _ => break,
            }
        }
        let name = if object.class_name().contains(".Map$") {
            "Map"
        } else {
            "Set"
        };
        Some(group(&format!("{name} of {} [", texts.len()), texts, "]"))
    }

    /// An exception as `printStackTrace` prints it.
    fn throwable(&mut self, id: ObjectId, object: InstanceRef<'a>) -> String {
        let graph = self.graph;
        let mut out = self.name(object.class_name());
        if let Some(message) = object
            .field("detailMessage")
            .and_then(|message| graph.as_str(message))
        {
            let _ = write!(out, ": {}", self.room.take(message, usize::MAX).0);
        }
        if let Some(Object::Array(trace)) = object.field("stackTrace").and_then(|trace| graph.object(trace))
            && let Elements::Object(frames) = &trace.elements
        {
            for frame in frames.iter().take(self.most(FRAMES)) {
                if let Some(frame) = graph.instance(*frame) {
                    let [class, method, file] = [
                        ("declaringClass", "?"),
                        ("methodName", "?"),
                        ("fileName", "unknown source"),
                    ]
                    .map(|(name, unknown)| {
                        let text = frame.field(name).and_then(|value| graph.as_str(value));
                        self.name(text.unwrap_or(unknown))
                    });
                    let _ = write!(out, "\n    at {class}.{method}({file}");
                    if let Some(Value::Int(line @ 0..)) = frame.field("lineNumber") {
                        let _ = write!(out, ":{line}");
                    }
                    out.push(')');
                }
            }
            if frames.len() > self.most(FRAMES) {
                let _ = write!(out, "\n    … {} more", frames.len() - FRAMES);
            }
        }
        // A cause that was never set is the exception itself.
        let cause = object.field("cause").filter(|cause| *cause != Value::Object(id));
        if let Some(cause @ Value::Object(_)) = cause {
            let _ = write!(out, "\nCaused by: {}", self.value(cause));
        }
        out
    }
}

/// The name of a Scala object: without its package, and the `$` that ends it. The object may be there itself, its proxy,
/// or its class.
fn module(graph: &Graph, value: Value) -> Option<&str> {
    let class = match graph.object(value)? {
        Object::Instance(_) => match graph.instance(value)? {
            proxy if proxy.class_name() == "scala.runtime.ModuleSerializationProxy" => {
                graph.object(proxy.field("moduleClass")?)?
            }
            module => return Some(short_name(module.class_name()).trim_end_matches('$')),
        },
        class => class,
    };
    match class {
        Object::Class(class) => Some(short_name(graph[*class].name()).trim_end_matches('$')),
        _ => None,
    }
}

/// Scala has none with more elements.
const LARGEST_TUPLE: usize = 22;
/// Stack frames that are printed of an exception.
const FRAMES: usize = 30;
