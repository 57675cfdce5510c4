//! All objects of a stream and how they refer to each other.

use std::collections::{HashMap, HashSet};
use std::ops::Index;

use crate::class::{ClassDesc, Field, FieldKind};
use crate::object::{Content, Elements, Instance, Item, Object, Part, Value};
use crate::string::JavaString;

/// Names an object of a [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub(crate) u32);

/// Names a class descriptor of a [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassId(pub(crate) u32);

/// A whole stream: its objects and class descriptors, and what stands at its top level.
///
/// Objects refer to each other by id, so cycles and shared objects are nothing special. [`read`](Self::read) and
/// [`write`](Self::write) are exact opposites for what a JVM writes.
///
/// # Examples
///
/// Making a stream by hand, without a class of one's own:
///
/// ```
/// use spark_rpc_javaobj::{Content, Graph, Limits, Value};
///
/// let mut graph = Graph::new();
/// let hello = graph.add_string("hello");
/// graph.push(Content::Value(Value::Object(hello)));
/// let bytes = graph.write()?;
/// assert_eq!(bytes, b"\xac\xed\x00\x05\x74\x00\x05hello");
///
/// let graph = Graph::read(&bytes, &Limits::default())?;
/// assert_eq!(graph.as_str(graph.root().unwrap()), Some("hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    pub(crate) objects: Vec<Object>,
    pub(crate) classes: Vec<ClassDesc>,
    pub(crate) contents: Vec<Content>,
}

impl Graph {
    /// Makes an empty stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what stands at the top level, in order.
    pub fn contents(&self) -> &[Content] {
        &self.contents
    }

    /// Returns the first value at the top level.
    pub fn root(&self) -> Option<Value> {
        self.contents.iter().find_map(|content| match content {
            Content::Value(value) => Some(*value),
            _ => None,
        })
    }

    /// Returns all objects; their ids are [`ObjectId`]s in this order.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// Returns all class descriptors; their ids are [`ClassId`]s in this order.
    pub fn classes(&self) -> &[ClassDesc] {
        &self.classes
    }

    /// Appends to the top level.
    pub fn push(&mut self, content: Content) {
        self.contents.push(content);
    }

    /// Adds an object, which is written when something at the top level leads to it.
    ///
    /// # Panics
    ///
    /// Panics when the graph has 2³² objects.
    pub fn add(&mut self, object: Object) -> ObjectId {
        let id = u32::try_from(self.objects.len()).expect("fewer than 2^32 objects");
        self.objects.push(object);
        ObjectId(id)
    }

    /// Adds a string object.
    pub fn add_string(&mut self, text: impl Into<JavaString>) -> ObjectId {
        self.add(Object::String(text.into()))
    }

    /// Adds a class descriptor.
    ///
    /// # Panics
    ///
    /// Panics when the graph has 2³² of them.
    pub fn add_class(&mut self, class: ClassDesc) -> ClassId {
        let id = u32::try_from(self.classes.len()).expect("fewer than 2^32 classes");
        self.classes.push(class);
        ClassId(id)
    }

    /// Replaces an object, which lets objects refer to each other in a circle.
    ///
    /// # Panics
    ///
    /// Panics when `id` is of another graph and this one has no such object.
    pub fn set(&mut self, id: ObjectId, object: Object) {
        self.objects[id.0 as usize] = object;
    }

    /// Returns the object that a value refers to.
    pub fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(id) => self.objects.get(id.0 as usize),
            _ => None,
        }
    }

    /// Returns the text of a value that is a string.
    pub fn as_str(&self, value: Value) -> Option<&str> {
        match self.object(value)? {
            Object::String(string) => string.as_str(),
            _ => None,
        }
    }

    /// Returns a view of a value that is an object with fields.
    pub fn instance(&self, value: Value) -> Option<InstanceRef<'_>> {
        match self.object(value)? {
            Object::Instance(instance) => Some(InstanceRef {
                graph: self,
                instance,
            }),
            _ => None,
        }
    }

    /// Returns the name of an object's class, in Java's words: `java.lang.String` for a string, `[I` for an `int[]`.
    pub fn class_name(&self, value: Value) -> Option<&str> {
        Some(match self.object(value)? {
            Object::Instance(instance) => self[instance.class].name(),
            Object::String(_) => "java.lang.String",
            Object::Array(array) => self[array.class].name(),
            Object::Enum { class, .. } => self[*class].name(),
            Object::Class(_) => "java.lang.Class",
        })
    }

    /// Returns the descriptor of a field's type: one letter, or such as `Ljava/lang/String;`.
    pub fn field_type<'a>(&'a self, field: &'a Field) -> Option<&'a str> {
        match field.type_name {
            Some(id) => self.as_str(Value::Object(id)),
            None => Some(match field.kind {
                FieldKind::Byte => "B",
                FieldKind::Char => "C",
                FieldKind::Double => "D",
                FieldKind::Float => "F",
                FieldKind::Int => "I",
                FieldKind::Long => "J",
                FieldKind::Short => "S",
                FieldKind::Boolean => "Z",
                FieldKind::Object | FieldKind::Array => return None,
            }),
        }
    }

    /// Returns a class and its superclasses, the topmost first.
    pub fn hierarchy(&self, class: ClassId) -> Vec<ClassId> {
        let mut classes: Vec<_> = self.upwards(class).collect();
        classes.reverse();
        classes
    }

    /// Returns the classes that have data in an object of this class, the topmost first: all of its hierarchy, but of an
    /// externalizable class only itself, since its `writeExternal` answers for those above.
    pub fn data_classes(&self, class: ClassId) -> Vec<ClassId> {
        let desc = self.classes.get(class.0 as usize);
        if desc.is_some_and(|desc| desc.flags().is_externalizable()) {
            return vec![class];
        }
        self.hierarchy(class)
    }

    /// A class and its superclasses, the topmost last.
    fn upwards(&self, class: ClassId) -> impl Iterator<Item = ClassId> + use<'_> {
        let above = |class: &ClassId| {
            let desc = self.classes.get(class.0 as usize);
            desc.and_then(|desc| desc.super_class)
        };
        // A circle cannot come out of a stream, but be made by hand.
        std::iter::successors(Some(class), above).take(self.classes.len() + 1)
    }

    /// Returns the objects to which more than one place leads, of those that these values lead to.
    pub fn shared(&self, roots: impl IntoIterator<Item = Value>) -> HashSet<ObjectId> {
        let mut seen = HashSet::new();
        let mut shared = HashSet::new();
        let mut todo: Vec<Value> = roots.into_iter().collect();
        while let Some(value) = todo.pop() {
            let (Value::Object(id), Some(object)) = (value, self.object(value)) else {
                continue;
            };
            if !seen.insert(id) {
                shared.insert(id);
                continue;
            }
            match object {
                Object::Instance(instance) => {
                    for part in &instance.parts {
                        todo.extend(&part.fields);
                        todo.extend(part.annotation.iter().filter_map(|item| match item {
                            Item::Value(value) => Some(*value),
                            Item::Block(_) => None,
                        }));
                    }
                }
                Object::Array(array) => {
                    if let Elements::Object(elements) = &array.elements {
                        todo.extend(elements);
                    }
                }
                Object::String(_) | Object::Enum { .. } | Object::Class(_) => {}
            }
        }
        shared
    }

    /// Returns the values at the top level, an exception that a writer left among them.
    pub fn roots(&self) -> impl Iterator<Item = Value> + '_ {
        self.contents.iter().filter_map(|content| match content {
            Content::Value(value) | Content::Exception(value) => Some(*value),
            Content::Block(_) | Content::Reset => None,
        })
    }

    /// Returns about how many bytes of memory the objects take.
    pub(crate) fn weight(&self) -> usize {
        let items = |items: &[Item]| size_of_val(items);
        let objects = self.objects.iter().map(|object| match object {
            Object::Instance(instance) => {
                let parts = instance.parts.iter();
                parts
                    .map(|part| {
                        size_of::<Part>() + part.fields.len() * size_of::<Value>() + items(&part.annotation)
                    })
                    .sum()
            }
            Object::String(string) => string.encoded_len(),
            // Bytes are shared, not copied.
            Object::Array(array) if array.elements.kind() == FieldKind::Byte => 0,
            Object::Array(array) => array.elements.len() * size_of::<Value>(),
            Object::Enum { .. } | Object::Class(_) => 0,
        });
        let classes = self
            .classes
            .iter()
            .map(|class| size_of::<ClassDesc>() + size_of_val(class.fields()) + items(&class.annotation));
        objects.sum::<usize>() + classes.sum::<usize>() + self.objects.len() * size_of::<Object>()
    }

    /// Copies an object and all that it leads to from another graph.
    ///
    /// # Panics
    ///
    /// Panics when `value` does not belong to `from`.
    pub fn import(&mut self, from: &Self, value: Value) -> Value {
        Import {
            from,
            to: self,
            objects: HashMap::new(),
            classes: HashMap::new(),
            todo: Vec::new(),
        }
        .run(value)
    }
}

impl Index<ObjectId> for Graph {
    type Output = Object;

    fn index(&self, id: ObjectId) -> &Object {
        &self.objects[id.0 as usize]
    }
}

impl Index<ClassId> for Graph {
    type Output = ClassDesc;

    fn index(&self, id: ClassId) -> &ClassDesc {
        &self.classes[id.0 as usize]
    }
}

/// An object with fields, seen together with its class.
#[derive(Debug, Clone, Copy)]
pub struct InstanceRef<'a> {
    graph: &'a Graph,
    instance: &'a Instance,
}

impl<'a> InstanceRef<'a> {
    /// Returns the name of the object's class.
    pub fn class_name(&self) -> &'a str {
        self.class().name()
    }

    /// Returns the descriptor of the object's class.
    pub fn class(&self) -> &'a ClassDesc {
        &self.graph[self.instance.class]
    }

    /// Tells whether the class has this name or descends from one that has.
    pub fn is_a(&self, class: &str) -> bool {
        let mut classes = self.graph.upwards(self.instance.class);
        classes.any(|id| {
            let desc = self.graph.classes.get(id.0 as usize);
            desc.is_some_and(|desc| desc.name() == class)
        })
    }

    /// Returns the data of one class of the hierarchy.
    pub fn part(&self, class: &str) -> Option<&'a Part> {
        self.parts()
            .find(|(desc, _)| desc.name() == class)
            .map(|(_, part)| part)
    }

    /// Returns the data of all classes of the hierarchy that [have any](Graph::data_classes), superclasses first.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = (&'a ClassDesc, &'a Part)> + use<'a> {
        let graph = self.graph;
        self.instance
            .parts
            .iter()
            .map(move |part| (&graph[part.class], part))
    }

    /// Returns the value of a field; where several classes have one of this name, that of the lowest.
    pub fn field(&self, name: &str) -> Option<Value> {
        self.parts()
            .rev()
            .find_map(|(desc, part)| field_of(desc, part, name))
    }

    /// Returns the value of a field that a certain class of the hierarchy declares.
    pub fn field_of(&self, class: &str, name: &str) -> Option<Value> {
        self.parts()
            .filter(|(desc, _)| desc.name() == class)
            .find_map(|(desc, part)| field_of(desc, part, name))
    }

    /// Returns what the class itself wrote beside its fields.
    pub fn annotation(&self) -> &'a [Item] {
        self.instance
            .parts
            .last()
            .map_or(&[], |part| part.annotation.as_slice())
    }
}

fn field_of(desc: &ClassDesc, part: &Part, name: &str) -> Option<Value> {
    let at = desc.fields().iter().position(|field| field.name == name)?;
    part.fields.get(at).copied()
}

/// A copy under way. Works from a list instead of by recursion, so any graph can be copied.
struct Import<'a> {
    from: &'a Graph,
    to: &'a mut Graph,
    objects: HashMap<ObjectId, ObjectId>,
    classes: HashMap<ClassId, ClassId>,
    todo: Vec<Todo>,
}

enum Todo {
    Object(ObjectId),
    Class(ClassId),
}

impl Import<'_> {
    fn run(mut self, value: Value) -> Value {
        let copy = self.value(value);
        while let Some(todo) = self.todo.pop() {
            match todo {
                Todo::Object(id) => self.copy_object(id),
                Todo::Class(id) => self.copy_class(id),
            }
        }
        copy
    }

    fn copy_object(&mut self, id: ObjectId) {
        let mut object = self.from[id].clone();
        match &mut object {
            Object::Instance(instance) => {
                instance.class = self.class(instance.class);
                for part in &mut instance.parts {
                    part.class = self.class(part.class);
                    part.fields
                        .iter_mut()
                        .for_each(|value| *value = self.value(*value));
                    self.items(&mut part.annotation);
                }
            }
            Object::String(_) => {}
            Object::Array(array) => {
                array.class = self.class(array.class);
                if let Elements::Object(elements) = &mut array.elements {
                    elements.iter_mut().for_each(|value| *value = self.value(*value));
                }
            }
            Object::Enum { class, constant } => {
                *class = self.class(*class);
                *constant = self.object(*constant);
            }
            Object::Class(class) => *class = self.class(*class),
        }
        let copy = self.objects[&id];
        self.to.set(copy, object);
    }

    fn copy_class(&mut self, id: ClassId) {
        let mut class = self.from[id].clone();
        if let crate::class::ClassKind::Plain { fields, .. } = &mut class.kind {
            for field in fields {
                field.type_name = field.type_name.map(|id| self.object(id));
            }
        }
        self.items(&mut class.annotation);
        class.super_class = class.super_class.map(|id| self.class(id));
        let copy = self.classes[&id];
        self.to.classes[copy.0 as usize] = class;
    }

    fn items(&mut self, items: &mut [Item]) {
        for item in items {
            if let Item::Value(value) = item {
                *value = self.value(*value);
            }
        }
    }

    fn value(&mut self, value: Value) -> Value {
        match value {
            Value::Object(id) => Value::Object(self.object(id)),
            Value::Descriptor(id) => Value::Descriptor(self.class(id)),
            plain => plain,
        }
    }

    fn object(&mut self, id: ObjectId) -> ObjectId {
        let (to, todo) = (&mut self.to, &mut self.todo);
        *self.objects.entry(id).or_insert_with(|| {
            todo.push(Todo::Object(id));
            to.add_string("")
        })
    }

    fn class(&mut self, id: ClassId) -> ClassId {
        let (from, to, todo) = (self.from, &mut self.to, &mut self.todo);
        *self.classes.entry(id).or_insert_with(|| {
            todo.push(Todo::Class(id));
            let desc = &from[id];
            to.add_class(ClassDesc::new(desc.name(), desc.uid(), desc.flags()))
        })
    }
}
