//! Rust values to a graph.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;

use crate::class::{ClassDesc, ClassFlags, ClassKind, Field, FieldKind};
use crate::graph::{ClassId, Graph, ObjectId};
use crate::ids::{ClassInfo, ClassTable, Scala};
use crate::object::{Array, Content, Elements, Instance, Item, Object, Part, Value};
use crate::writer::WriteError;

/// A Rust value that can be written as a Java object.
///
/// `#[derive(JavaObject)]` implements it for structs and enums; see the [crate's page](crate) for the types that have
/// it already.
pub trait ToJava {
    /// Returns the descriptor of the type that a field has that holds such values, such as `I` or `Lscala/Option;`.
    ///
    /// It is used for classes that the [`ClassTable`] does not know; of the others it knows the fields.
    fn descriptor(scala: Scala) -> Cow<'static, str> {
        let _ = scala;
        Cow::Borrowed("Ljava/lang/Object;")
    }

    /// Adds the value to the graph under construction.
    ///
    /// Numbers and truth values stay plain; where an object is needed, [`Encoder::object`] puts them in a box.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError`] when Java has no such value.
    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError>;
}

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A number or character beyond what Java's type holds.
    #[error("{value} does not fit into {class}")]
    OutOfRange {
        /// The value.
        value: String,
        /// The Java type.
        class: &'static str,
    },
    /// More elements than a collection can have.
    #[error("{length} elements are more than a collection can have")]
    TooLarge {
        /// How many there are.
        length: usize,
    },
    /// Java has nothing of this kind.
    #[error("{0}")]
    Unsupported(String),
    /// The peer's class has a field of another type.
    #[error("the field {field} of {class} has the type {kind:?} and cannot hold {value}")]
    Misfit {
        /// The class.
        class: String,
        /// The field.
        field: String,
        /// What the field holds.
        kind: FieldKind,
        /// What it should hold.
        value: String,
    },
    /// The graph cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes one value as a whole stream, for a peer whose classes `table` describes.
///
/// # Errors
///
/// Returns [`EncodeError`] when Java has no such value.
pub fn to_bytes<T: ToJava + ?Sized>(value: &T, table: &ClassTable) -> Result<Vec<u8>, EncodeError> {
    Ok(to_graph(value, table)?.write()?)
}

/// Makes a graph of one value, for a peer whose classes `table` describes.
///
/// # Errors
///
/// Returns [`EncodeError`] when Java has no such value.
pub fn to_graph<T: ToJava + ?Sized>(value: &T, table: &ClassTable) -> Result<Graph, EncodeError> {
    let mut encoder = Encoder::new(table);
    let root = encoder.object(value)?;
    encoder.finish(root)
}

/// A graph under construction, for one peer.
#[derive(Debug)]
pub struct Encoder<'t> {
    table: &'t ClassTable,
    graph: Graph,
    classes: HashMap<String, ClassId>,
    type_names: HashMap<String, ObjectId>,
    /// Objects of which a JVM has only one: modules, enum constants, empty lists.
    singletons: HashMap<String, Value>,
    /// The first value that its field cannot hold.
    misfit: Option<EncodeError>,
}

/// The data of one class of an object's hierarchy, by name.
#[derive(Debug, Clone)]
pub struct Level<'a> {
    /// The class.
    pub class: &'a str,
    /// The `serialVersionUID`, where the class fixes it.
    pub uid: Option<i64>,
    /// How its objects are written.
    pub flags: ClassFlags,
    /// The fields.
    pub fields: Vec<LevelField<'a>>,
    /// What the class writes beside its fields.
    pub annotation: Vec<Item>,
}

/// A field of a [`Level`].
#[derive(Debug, Clone)]
pub struct LevelField<'a> {
    /// The name.
    pub name: &'a str,
    /// The descriptor of its type, unless the table knows the class.
    pub descriptor: Cow<'a, str>,
    /// What it holds.
    pub value: Value,
}

impl<'a> Level<'a> {
    /// Makes a level without fields.
    pub fn new(class: &'a str) -> Self {
        Self {
            class,
            uid: None,
            flags: ClassFlags::SERIALIZABLE,
            fields: Vec::new(),
            annotation: Vec::new(),
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'a str, descriptor: &'a str, value: Value) -> Self {
        self.fields.push(LevelField {
            name,
            descriptor: Cow::Borrowed(descriptor),
            value,
        });
        self
    }

    /// Sets the id that every version of the class has.
    #[must_use]
    pub fn fixed(mut self, uid: i64) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Adds what the class writes beside its fields.
    #[must_use]
    pub fn writing(mut self, annotation: Vec<Item>) -> Self {
        self.flags = ClassFlags::WRITE_OBJECT;
        self.annotation = annotation;
        self
    }
}

impl<'t> Encoder<'t> {
    /// Begins an empty graph.
    pub fn new(table: &'t ClassTable) -> Self {
        Self {
            table,
            graph: Graph::new(),
            classes: HashMap::new(),
            type_names: HashMap::new(),
            singletons: HashMap::new(),
            misfit: None,
        }
    }

    /// Ends the graph with one value at its top level.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::Misfit`] when an [instance](Self::instance) has a field that cannot hold what it was given.
    pub fn finish(mut self, root: Value) -> Result<Graph, EncodeError> {
        self.graph.push(Content::Value(root));
        match self.misfit {
            Some(error) => Err(error),
            None => Ok(self.graph),
        }
    }

    /// Returns what is known of the peer's classes.
    pub fn table(&self) -> &'t ClassTable {
        self.table
    }

    /// Returns the peer's version of Scala.
    pub fn scala(&self) -> Scala {
        self.table.scala()
    }

    /// Returns the graph so far.
    pub fn graph(&mut self) -> &mut Graph {
        &mut self.graph
    }

    /// Adds a value as an object, in a box if it is none.
    ///
    /// # Errors
    ///
    /// As [`ToJava::to_java`].
    pub fn object<T: ToJava + ?Sized>(&mut self, value: &T) -> Result<Value, EncodeError> {
        let value = value.to_java(self)?;
        Ok(self.boxed(value))
    }

    /// Adds values as objects.
    ///
    /// # Errors
    ///
    /// As [`ToJava::to_java`].
    pub fn objects<'v, T: ToJava + 'v>(
        &mut self,
        values: impl IntoIterator<Item = &'v T>,
    ) -> Result<Vec<Value>, EncodeError> {
        values.into_iter().map(|value| self.object(value)).collect()
    }

    /// Adds a string.
    pub fn string(&mut self, text: &str) -> Value {
        Value::Object(self.graph.add_string(text))
    }

    /// Puts a number or truth value into its box, such as `java.lang.Integer`; leaves objects as they are.
    pub fn boxed(&mut self, value: Value) -> Value {
        let (class, descriptor, uid) = match value {
            Value::Null | Value::Object(_) | Value::Descriptor(_) => return value,
            Value::Boolean(_) => ("java.lang.Boolean", "Z", -3665804199014368530),
            Value::Char(_) => ("java.lang.Character", "C", 3786198910865385080),
            Value::Byte(_) => ("java.lang.Byte", "B", -7183698231559129828),
            Value::Short(_) => ("java.lang.Short", "S", 7515723908773894738),
            Value::Int(_) => ("java.lang.Integer", "I", 1360826667806852920),
            Value::Long(_) => ("java.lang.Long", "J", 4290774380558885855),
            Value::Float(_) => ("java.lang.Float", "F", -2671257302660747028),
            Value::Double(_) => ("java.lang.Double", "D", -9172774392245257468),
        };
        let level = Level::new(class).fixed(uid).with("value", descriptor, value);
        if matches!(value, Value::Boolean(_) | Value::Char(_)) {
            self.instance(vec![level])
        } else {
            let number = Level::new("java.lang.Number").fixed(-8742448824652078965);
            self.instance(vec![number, level])
        }
    }

    /// Adds an array; its class is named as `Class.getName` does it: `[I`, `[Ljava.lang.String;`.
    pub fn array(&mut self, class: &str, elements: Elements) -> Value {
        let class = self.class(class, || Level::new(class));
        Value::Object(self.graph.add(Object::Array(Array { class, elements })))
    }

    /// Adds a `byte[]`.
    pub fn byte_array(&mut self, bytes: Bytes) -> Value {
        self.array("[B", Elements::Byte(bytes))
    }

    /// Adds an object with the given data, superclasses first.
    ///
    /// Where the table knows the class, the object gets that class's superclasses and fields: fields that are not given
    /// are zero or null, and given ones that the class has not are left out. So a struct can serve several versions. Numbers
    /// take the width that the class has, if they fit; what does not is told by [`finish`](Self::finish).
    ///
    /// # Panics
    ///
    /// Panics when there is no level.
    pub fn instance(&mut self, levels: Vec<Level<'_>>) -> Value {
        let lowest = levels.last().expect("an object has a class");
        let class = self.class_at(lowest.class, &levels);
        let classes = self.graph.data_classes(class);
        let mut given: HashMap<&str, Level<'_>> =
            levels.into_iter().map(|level| (level.class, level)).collect();
        let parts = classes.into_iter().map(|class| {
            let desc = &self.graph[class];
            let level = given.remove(desc.name());
            let given: Vec<_> = desc
                .fields()
                .iter()
                .map(|field| {
                    let mut fields = level.iter().flat_map(|level| &level.fields);
                    let given = fields.find(|given| given.name == field.name);
                    (field.kind, given.map(|given| given.value))
                })
                .collect();
            let has_annotation = desc.flags().has_annotation();
            let fields = given
                .into_iter()
                .enumerate()
                .map(|(at, (kind, given))| {
                    let fitting = given.and_then(|value| self.fit(value, kind));
                    if let (Some(value), None) = (given, fitting) {
                        self.misfit(class, at, value);
                    }
                    fitting.unwrap_or(Value::default_of(kind))
                })
                .collect();
            let annotation = level.map(|level| level.annotation).unwrap_or_default();
            Part {
                class,
                fields,
                annotation: if has_annotation { annotation } else { Vec::new() },
            }
        });
        let parts = parts.collect();
        Value::Object(self.graph.add(Object::Instance(Instance { class, parts })))
    }

    /// Adds a Scala object (`object X`, `case object X`), whose class's name ends with `$`.
    pub fn module(&mut self, class: &str) -> Value {
        self.module_of(vec![Level::new(class)])
    }

    /// Adds a Scala object with what is known of its class and superclasses, in case the table does not know them.
    ///
    /// # Panics
    ///
    /// Panics when there is no level.
    pub fn module_of(&mut self, levels: Vec<Level<'_>>) -> Value {
        let class = levels.last().expect("a module has a class").class;
        self.singleton(class.to_owned(), |out| match out.scala() {
            Scala::V2_12 => out.instance(levels),
            Scala::V2_13 => {
                let class = out.class_at(class, &levels);
                let class = Value::Object(out.graph.add(Object::Class(class)));
                let proxy = Level::new("scala.runtime.ModuleSerializationProxy").fixed(1);
                out.instance(vec![proxy.with("moduleClass", "Ljava/lang/Class;", class)])
            }
        })
    }

    /// Adds a constant of a Java enum.
    pub fn enum_constant(&mut self, class: &str, constant: &str) -> Value {
        self.singleton(format!("{class}.{constant}"), |out| {
            let flags = ClassFlags::ENUM;
            let levels = ["java.lang.Enum", class].map(|class| Level {
                flags,
                ..Level::new(class).fixed(0)
            });
            let class = out.class_at(class, &levels);
            let constant = out.graph.add_string(constant);
            Value::Object(out.graph.add(Object::Enum { class, constant }))
        })
    }

    /// Adds a value of a Scala `Enumeration`, which is a Scala object whose class's name ends with `$`.
    pub fn enumeration_value(&mut self, module: &str, id: i32) -> Value {
        self.singleton(format!("{module}#{id}"), |out| {
            const ENUMERATION: &str = "Lscala/Enumeration;";
            let enumeration = Level::new("scala.Enumeration").fixed(8476000850333817230);
            let outer = out.module_of(vec![enumeration, Level::new(module)]);
            let value = Level::new("scala.Enumeration$Value")
                .fixed(7091335633555234129)
                .with("$outer", ENUMERATION, outer)
                .with("scala$Enumeration$$outerEnum", ENUMERATION, outer);
            let val = Level::new("scala.Enumeration$Val")
                .fixed(-3501153230598116017)
                .with("i", "I", Value::Int(id))
                .with("name", "Ljava/lang/String;", Value::Null);
            out.instance(vec![value, val])
        })
    }

    /// Returns the object that was made under this key before, or makes it.
    pub(crate) fn singleton(&mut self, key: String, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if let Some(value) = self.singletons.get(&key) {
            return *value;
        }
        let value = make(self);
        self.singletons.insert(key, value);
        value
    }

    /// Makes a value fit a field: in a box, or out of it, or as a number of another width.
    fn fit(&mut self, value: Value, kind: FieldKind) -> Option<Value> {
        if value.fits(kind) {
            return Some(value);
        }
        if !kind.is_primitive() {
            return Some(self.boxed(value));
        }
        let boxed = self.graph.instance(value);
        let plain = boxed.and_then(|boxed| boxed.field("value")).unwrap_or(value);
        let integer = plain.integer();
        Some(match (kind, plain) {
            _ if plain.fits(kind) => plain,
            // As for Scala, which has no number that is null.
            (_, Value::Null) => Value::default_of(kind),
            (FieldKind::Byte, _) => Value::Byte(integer?.try_into().ok()?),
            (FieldKind::Short, _) => Value::Short(integer?.try_into().ok()?),
            (FieldKind::Int, _) => Value::Int(integer?.try_into().ok()?),
            (FieldKind::Long, _) => Value::Long(integer?),
            (FieldKind::Double, Value::Float(value)) => Value::Double(value.into()),
            _ => return None,
        })
    }

    /// Remembers that a field cannot hold a value.
    #[cold]
    fn misfit(&mut self, class: ClassId, field: usize, value: Value) {
        let desc = &self.graph[class];
        let field = &desc.fields()[field];
        let error = EncodeError::Misfit {
            class: desc.name().to_owned(),
            field: field.name.clone(),
            kind: field.kind,
            value: match self.graph.class_name(value) {
                Some(class) => class.to_owned(),
                None => format!("{value:?}"),
            },
        };
        self.misfit.get_or_insert(error);
    }

    /// Returns the descriptor of the class of a level, and makes those of its superclasses.
    fn class_at(&mut self, class: &str, levels: &[Level<'_>]) -> ClassId {
        if let Some(id) = self.classes.get(class) {
            return *id;
        }
        let level = levels.iter().position(|level| level.class == class);
        let known = self.known(class);
        let super_class = match (known, level) {
            (Some(info), _) => info.super_class.as_deref(),
            (None, Some(at)) => at.checked_sub(1).map(|above| levels[above].class),
            (None, None) => None,
        };
        // A peer may have taught a circle. No chain of real classes is as long as this.
        let super_class = super_class
            .filter(|name| *name != class && self.height(name) < crate::Limits::default().depth / 2);
        let super_class = super_class.map(|name| self.class_at(name, levels));
        let id = match level {
            Some(at) => self.class(class, || levels[at].clone()),
            None => self.class(class, || Level::new(class)),
        };
        self.graph.classes[id.0 as usize].super_class = super_class;
        id
    }

    /// Counts the superclasses that the table knows of.
    fn height(&self, class: &str) -> usize {
        let next = |name: &&str| self.known(name).and_then(|info| info.super_class.as_deref());
        std::iter::successors(Some(class), next).take(1000).count()
    }

    /// Returns what the table knows of a class, unless that is only its id.
    fn known(&self, class: &str) -> Option<&'t ClassInfo> {
        self.table
            .class(class)
            .filter(|info| info.flags != ClassFlags::NONE)
    }

    /// Returns the descriptor of a class by the table, else by what is given.
    fn class<'a>(&mut self, name: &str, given: impl FnOnce() -> Level<'a>) -> ClassId {
        if let Some(id) = self.classes.get(name) {
            return *id;
        }
        let id = match self.known(name) {
            Some(info) => {
                let fields = info
                    .fields
                    .iter()
                    .map(|field| (field.name.as_str(), Cow::Borrowed(field.descriptor.as_str())));
                self.add_class(name, info.uid, info.flags, fields.collect())
            }
            None => {
                let level = given();
                let learned = self.table.class(name).map(|info| info.uid);
                let mut fields: Vec<_> = level
                    .fields
                    .into_iter()
                    .map(|field| (field.name, field.descriptor))
                    .collect();
                // The order in which a JVM has them: what is no object first, then by name.
                let kind = |descriptor: &str| !descriptor.starts_with(['L', '[']);
                fields.sort_by(|(name, descriptor), (other_name, other)| {
                    kind(other).cmp(&kind(descriptor)).then(name.cmp(other_name))
                });
                self.add_class(name, learned.or(level.uid).unwrap_or(0), level.flags, fields)
            }
        };
        self.classes.insert(name.to_owned(), id);
        id
    }

    fn add_class(
        &mut self,
        name: &str,
        uid: i64,
        class_flags: ClassFlags,
        all: Vec<(&str, Cow<'_, str>)>,
    ) -> ClassId {
        let fields = all.into_iter().map(|(name, descriptor)| {
            let code = descriptor.bytes().next();
            let kind = code.and_then(FieldKind::from_code).unwrap_or(FieldKind::Object);
            let type_name = (!kind.is_primitive()).then(|| self.type_name(&descriptor));
            Field {
                name: name.to_owned(),
                kind,
                type_name,
            }
        });
        let all = fields.collect();
        let mut class = ClassDesc::new(name, uid, class_flags);
        if let ClassKind::Plain { fields, .. } = &mut class.kind {
            *fields = all;
        }
        self.graph.add_class(class)
    }

    /// A JVM has one string for each type.
    fn type_name(&mut self, descriptor: &str) -> ObjectId {
        if let Some(id) = self.type_names.get(descriptor) {
            return *id;
        }
        let id = self.graph.add_string(descriptor);
        self.type_names.insert(descriptor.to_owned(), id);
        id
    }
}
