//! The many forms of sequences, sets and maps in streams.

use crate::decode::{DecodeError, Decoder};
use crate::graph::InstanceRef;
use crate::object::{Elements, Item, Object, Part, Value};

/// What a collection costs for each element, before that is looked at.
const ELEMENT_COST: usize = size_of::<Value>();

impl Decoder<'_> {
    /// Returns the elements of a sequence or set of any kind: Scala's of both versions, Java's, and arrays.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::Expected`] when the value is none, or of a kind that is not known.
    pub fn sequence(&mut self, value: Value) -> Result<Vec<Value>, DecodeError> {
        match self.graph().object(value) {
            Some(Object::Array(array)) => self.array(&array.elements),
            Some(Object::Instance(_)) => self.collection(value),
            _ => Err(self.expected(value, SEQUENCE)),
        }
    }

    /// Returns the keys and values of a map of any kind.
    ///
    /// # Errors
    ///
    /// Returns [`DecodeError::Expected`] when the value is none, or of a kind that is not known.
    pub fn entries(&mut self, value: Value) -> Result<Vec<(Value, Value)>, DecodeError> {
        let mut value = value;
        for _ in 0..MOST_WRAPPERS {
            let object = self.instance(value, MAP)?;
            let class = object.class_name();
            if let Some("scala.collection.immutable.Map$EmptyMap$" | "scala.collection.immutable.Nil$") =
                self.module(value)
            {
                return Ok(Vec::new());
            }
            if let Some(number) = class.strip_prefix("scala.collection.immutable.Map$Map") {
                return small_map(&object, number).ok_or_else(|| damaged(&object, "an entry is missing"));
            }
            match class {
                "scala.collection.generic.DefaultSerializationProxy" => {
                    let pairs = self.proxied(&object)?;
                    return pairs.into_iter().map(|pair| self.pair(pair)).collect();
                }
                "java.util.Collections$EmptyMap" => return Ok(Vec::new()),
                "java.util.Collections$SingletonMap" => {
                    let entry = object.field("k").zip(object.field("v"));
                    return entry
                        .map(|entry| vec![entry])
                        .ok_or_else(|| damaged(&object, "an entry is missing"));
                }
                _ => {}
            }
            let wrapped = object
                .field("underlying")
                .or_else(|| object.field("m"))
                .filter(|_| {
                    class.contains("Wrappers$")
                        || class.starts_with("java.util.Collections$")
                        // What stands for missing keys is code. Spark writes its environment like this.
                        || class.ends_with("Map$WithDefault")
                });
            if let Some(wrapped) = wrapped {
                value = wrapped;
                continue;
            }
            // Java's maps and those of Scala 2.12 write a count and then keys and values by turns.
            let is_java_map = class == COLL_SER && object.field("tag") == Some(COLL_SER_MAP);
            let alternating = ALTERNATING_MAPS
                .into_iter()
                .find(|scala| *scala == class)
                .or_else(|| JAVA_MAPS.into_iter().find(|java| object.is_a(java)))
                .or(is_java_map.then_some(COLL_SER));
            if let Some(writer) = alternating {
                let values = self.written(&object, writer)?;
                let ends_with_nulls = writer == "java.util.concurrent.ConcurrentHashMap";
                return Ok(pairs(&values, ends_with_nulls));
            }
            break;
        }
        Err(self.expected(value, MAP))
    }

    fn collection(&mut self, value: Value) -> Result<Vec<Value>, DecodeError> {
        let mut value = value;
        for _ in 0..MOST_WRAPPERS {
            if let Some(Object::Array(array)) = self.graph().object(value) {
                return self.array(&array.elements);
            }
            let object = self.instance(value, SEQUENCE)?;
            let class = object.class_name();
            match self.module(value) {
                Some("scala.collection.immutable.Nil$" | "scala.collection.immutable.Set$EmptySet$") => {
                    return Ok(Vec::new());
                }
                _ if matches!(
                    class,
                    "java.util.Collections$EmptyList" | "java.util.Collections$EmptySet"
                ) =>
                {
                    return Ok(Vec::new());
                }
                _ => {}
            }
            if let Some(number) = class.strip_prefix("scala.collection.immutable.Set$Set") {
                return small_set(&object, number).ok_or_else(|| damaged(&object, "an element is missing"));
            }
            if object.is_a("scala.collection.immutable.Range") {
                return self.range(&object);
            }
            match class {
                "scala.collection.generic.DefaultSerializationProxy" => return self.proxied(&object),
                "scala.collection.immutable.Vector" => return self.vector(&object),
                "scala.collection.immutable.List$SerializationProxy"
                | "scala.collection.mutable.ListBuffer" => {
                    let values = self.written(&object, class)?;
                    let end = values.iter().position(|value| {
                        self.module(*value) == Some("scala.collection.immutable.ListSerializeEnd$")
                    });
                    let end = end.ok_or_else(|| damaged(&object, "the end mark is missing"))?;
                    return Ok(values[..end].to_vec());
                }
                "scala.collection.mutable.ArrayBuffer"
                | "scala.collection.mutable.ResizableArray"
                | "scala.collection.mutable.ArraySeq" => {
                    return self.array_prefix(&object);
                }
                "java.util.Collections$SingletonList" | "java.util.Collections$SingletonSet" => {
                    let element = object.field("element");
                    return element
                        .map(|element| vec![element])
                        .ok_or_else(|| damaged(&object, "the element is missing"));
                }
                _ => {}
            }
            if object.is_a("java.util.Vector") {
                return self.array_prefix(&object);
            }
            let wrapped = if class.contains("ArraySeq$of") || class.contains("WrappedArray$of") {
                object.field("array").or_else(|| object.field("unsafeArray"))
            } else if class.contains("Wrappers$") {
                object.field("underlying")
            } else if class == "java.util.Arrays$ArrayList" {
                object.field("a")
            } else if class == "java.util.concurrent.CopyOnWriteArraySet" {
                object.field("al")
            } else if class == "java.util.EnumSet$SerializationProxy" {
                object.field("elements")
            } else if class.starts_with("java.util.Collections$") {
                object.field("list").or_else(|| object.field("c"))
            } else {
                None
            };
            if let Some(wrapped) = wrapped {
                value = wrapped;
                continue;
            }
            let is_java_sequence = class == COLL_SER && object.field("tag") != Some(COLL_SER_MAP);
            let plain = WRITTEN_SEQUENCES
                .into_iter()
                .find(|scala| *scala == class)
                .or_else(|| JAVA_SEQUENCES.into_iter().find(|java| object.is_a(java)))
                .or(is_java_sequence.then_some(COLL_SER));
            if let Some(writer) = plain {
                return self.written(&object, writer);
            }
            const TREE_SET: &str = "java.util.TreeSet";
            if object.is_a(TREE_SET) {
                // The comparator stands before the elements.
                let values = self.written(&object, TREE_SET)?;
                return Ok(values.into_iter().skip(1).collect());
            }
            break;
        }
        Err(self.expected(value, SEQUENCE))
    }

    fn array(&mut self, elements: &Elements) -> Result<Vec<Value>, DecodeError> {
        self.charge(elements.len().saturating_mul(ELEMENT_COST))?;
        Ok((0..elements.len()).filter_map(|at| elements.get(at)).collect())
    }

    /// Returns the objects that one class of the hierarchy wrote by hand, without the blocks between them. A class below it
    /// may have written something of its own.
    fn written(&mut self, object: &InstanceRef<'_>, class: &str) -> Result<Vec<Value>, DecodeError> {
        let all = object.part(class).into_iter().flat_map(|part| &part.annotation);
        let values: Vec<_> = all
            .filter_map(|item| match item {
                Item::Value(value) => Some(*value),
                Item::Block(_) => None,
            })
            .collect();
        self.charge(values.len().saturating_mul(ELEMENT_COST))?;
        Ok(values)
    }

    /// Scala 2.13's proxy of nearly all collections: a count, the elements, and an end mark when the count was unknown.
    fn proxied(&mut self, object: &InstanceRef<'_>) -> Result<Vec<Value>, DecodeError> {
        let mut values = self.written(object, object.class_name())?;
        let count = match object.annotation().first() {
            Some(Item::Block(bytes)) => bytes.first_chunk().map(|bytes| i32::from_be_bytes(*bytes)),
            _ => None,
        };
        let count = count.ok_or_else(|| damaged(object, "the count is missing"))?;
        if count < 0 {
            let end = values.pop().and_then(|end| self.module(end));
            if end != Some("scala.collection.generic.SerializeEnd$") {
                return Err(damaged(object, "the end mark is missing"));
            }
        } else if values.len() != count as usize {
            return Err(damaged(object, "the count is wrong"));
        }
        Ok(values)
    }

    fn pair(&mut self, value: Value) -> Result<(Value, Value), DecodeError> {
        let tuple = self.instance(value, "scala.Tuple2")?;
        let element = |name: &str| {
            let special = || {
                let fields = tuple.class().fields().iter();
                let mut special = fields.filter(|field| field.name.starts_with(&format!("{name}$mc")));
                special
                    .next()
                    .and_then(|field| tuple.field_of(tuple.class_name(), &field.name))
            };
            special().or_else(|| tuple.field(name))
        };
        element("_1")
            .zip(element("_2"))
            .ok_or_else(|| self.expected(value, "scala.Tuple2"))
    }

    /// The beginning of an array that has room for more.
    fn array_prefix(&mut self, object: &InstanceRef<'_>) -> Result<Vec<Value>, DecodeError> {
        let size = ["size0", "length", "elementCount"];
        let size = size.iter().find_map(|name| object.field(name));
        let array = object
            .field("array")
            .or_else(|| object.field("elementData"))
            .map(|value| self.graph().object(value));
        let (Some(Value::Int(size)), Some(Some(Object::Array(array)))) = (size, array) else {
            return Err(damaged(object, "it has no array"));
        };
        let mut values = self.array(&array.elements)?;
        match usize::try_from(size) {
            Ok(size) if size <= values.len() => values.truncate(size),
            _ => return Err(damaged(object, "the size is wrong")),
        }
        Ok(values)
    }

    fn range(&mut self, range: &InstanceRef<'_>) -> Result<Vec<Value>, DecodeError> {
        let int = |name: &str| match range.field(name) {
            Some(Value::Int(number)) => Ok(number),
            _ => Err(damaged(range, "a bound is missing")),
        };
        let count = int("scala$collection$immutable$Range$$numRangeElements")?;
        let (start, step) = (int("start")?, int("step")?);
        let count = usize::try_from(count).map_err(|_| damaged(range, "it is too long"))?;
        self.charge(count.saturating_mul(ELEMENT_COST))?;
        let all = std::iter::successors(Some(start), |number| Some(number.wrapping_add(step)));
        Ok(all.take(count).map(Value::Int).collect())
    }

    /// Scala 2.12's vector: a tree of arrays of 32, and the path to one element (`focus`) that may be newer than the tree.
    fn vector(&mut self, vector: &InstanceRef<'_>) -> Result<Vec<Value>, DecodeError> {
        let int = |name: &str| match vector.field(name) {
            Some(Value::Int(number)) if number >= 0 => Ok(number as usize),
            _ => Err(damaged(vector, "a number is missing")),
        };
        let (start, end, focus) = (int("startIndex")?, int("endIndex")?, int("focus")?);
        let count = end
            .checked_sub(start)
            .ok_or_else(|| damaged(vector, "it ends before its start"))?;
        let displays: Vec<_> = (0..6)
            .map(|level| vector.field(&format!("display{level}")))
            .collect();
        let mut values = Vec::new();
        for index in start..start + count {
            self.charge(ELEMENT_COST)?;
            // The lowest level at which the ways to the element and to the focus are still the same.
            let level = match index ^ focus {
                0..32 => 0,
                difference => difference.ilog(32) as usize,
            };
            let mut node = displays.get(level).copied().flatten();
            for level in (0..=level).rev() {
                let array = node.and_then(|node| self.graph().object(node));
                node = match array {
                    Some(Object::Array(array)) => array.elements.get(index >> (5 * level) & 31),
                    _ => None,
                };
            }
            values.push(node.ok_or_else(|| damaged(vector, "an element is missing"))?);
        }
        Ok(values)
    }
}

/// Returns keys and values by turns as pairs; some maps end with a pair of nulls.
fn pairs(values: &[Value], ends_with_nulls: bool) -> Vec<(Value, Value)> {
    let (pairs, _) = values.as_chunks();
    let end = pairs.iter().position(|pair| *pair == [Value::Null, Value::Null]);
    let end = end.filter(|_| ends_with_nulls).unwrap_or(pairs.len());
    pairs[..end].iter().map(|[key, value]| (*key, *value)).collect()
}

/// `Map1` to `Map4`, whose fields Scala 2.13 names `scala$collection$immutable$Map$Map2$$key1`.
fn small_map(object: &InstanceRef<'_>, number: &str) -> Option<Vec<(Value, Value)>> {
    let part = object.part(object.class_name())?;
    let find = |name: String| field_ending_in(object, part, &name);
    (1..=number.parse::<usize>().ok().filter(|count| *count <= 4)?)
        .map(|at| find(format!("key{at}")).zip(find(format!("value{at}"))))
        .collect()
}

/// `Set1` to `Set4`.
fn small_set(object: &InstanceRef<'_>, number: &str) -> Option<Vec<Value>> {
    let part = object.part(object.class_name())?;
    (1..=number.parse::<usize>().ok().filter(|count| *count <= 4)?)
        .map(|at| field_ending_in(object, part, &format!("elem{at}")))
        .collect()
}

fn field_ending_in(object: &InstanceRef<'_>, part: &Part, name: &str) -> Option<Value> {
    let mut fields = object.class().fields().iter();
    let at = fields.position(|field| field.name.rsplit('$').next() == Some(name))?;
    part.fields.get(at).copied()
}

fn damaged(object: &InstanceRef<'_>, what: &'static str) -> DecodeError {
    DecodeError::Damaged {
        class: object.class_name().to_owned(),
        what,
    }
}

const SEQUENCE: &str = "a sequence or set";
const MAP: &str = "a map";

/// How many views may lie around a collection.
const MOST_WRAPPERS: usize = 8;

const WRITTEN_SEQUENCES: [&str; 3] = [
    "scala.collection.immutable.HashSet$SerializationProxy",
    "scala.collection.mutable.HashSet",
    "scala.collection.mutable.LinkedHashSet",
];

const JAVA_SEQUENCES: [&str; 6] = [
    "java.util.ArrayList",
    "java.util.LinkedList",
    "java.util.ArrayDeque",
    "java.util.HashSet",
    "java.util.PriorityQueue",
    "java.util.concurrent.CopyOnWriteArrayList",
];

const ALTERNATING_MAPS: [&str; 3] = [
    "scala.collection.immutable.HashMap$SerializationProxy",
    "scala.collection.mutable.HashMap",
    "scala.collection.mutable.LinkedHashMap",
];

/// Those that end with a null have an odd number of objects.
const JAVA_MAPS: [&str; 7] = [
    "java.util.HashMap",
    "java.util.Hashtable",
    "java.util.TreeMap",
    "java.util.EnumMap",
    "java.util.IdentityHashMap",
    "java.util.concurrent.ConcurrentHashMap",
    "java.util.concurrent.ConcurrentSkipListMap",
];

/// What `List.of`, `Set.of` and `Map.of` are written as, and the number by which a map is told from the others.
const COLL_SER: &str = "java.util.CollSer";
const COLL_SER_MAP: Value = Value::Int(3);
