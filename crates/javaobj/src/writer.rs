//! A [`Graph`] to bytes.

use bytes::BufMut;

use crate::class::{ClassDesc, ClassKind, Field};
use crate::graph::{ClassId, Graph, ObjectId};
use crate::object::{Array, Content, Elements, Instance, Item, Object, Part, Value};
use crate::string::{self, JavaString};
use crate::tag;

/// Why a graph cannot be written. A graph that was read can, so this is always a mistake in one made by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// An id of another graph.
    #[error("an id leads to nothing in this graph")]
    Dangling,
    /// Objects lie in each other deeper than a JVM's reader, or ours, would follow.
    #[error("more than {max} levels of nesting")]
    TooDeep {
        /// How many are written.
        max: usize,
    },
    /// The parts of an object are not those of its class's [data classes](Graph::data_classes).
    #[error("an object of {class} has not the parts that its class has")]
    WrongParts {
        /// The class.
        class: String,
    },
    /// A part has not one value of the right kind for each field.
    #[error("the values of {class} do not fit its fields")]
    WrongFields {
        /// The class.
        class: String,
    },
    /// A class cannot be that of this kind of object, or its descriptor contradicts itself.
    #[error("{class} cannot be the class of {what}")]
    WrongClass {
        /// The class.
        class: String,
        /// What it is used for.
        what: &'static str,
    },
    /// A name of a class or field, or a number of fields, beyond 65535.
    #[error("{what} of {class} takes {length}, the most is 65535")]
    TooLong {
        /// The class.
        class: String,
        /// What is too long.
        what: &'static str,
        /// How long it is.
        length: usize,
    },
    /// An array or block of 2³¹ elements or more.
    #[error("{length} elements are more than an array can have")]
    TooLarge {
        /// How many there are.
        length: usize,
    },
    /// An enum constant's name, or a field's type, that is no string.
    #[error("{what} of {class} is no string")]
    NoString {
        /// The class.
        class: String,
        /// What should be a string.
        what: &'static str,
    },
}

impl Graph {
    /// Writes the stream, 128 levels of nesting at most.
    ///
    /// # Errors
    ///
    /// Returns [`WriteError`] when the graph was made by hand and contradicts itself.
    pub fn write(&self) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        self.write_to(&mut out, crate::Limits::default().depth)?;
        Ok(out)
    }

    /// Appends the stream to `out`, with at most `depth` levels of nesting.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); `out` then holds a useless beginning.
    pub fn write_to(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), WriteError> {
        let mut writer = Writer {
            graph: self,
            out,
            objects: vec![0; self.objects.len()],
            classes: vec![0; self.classes.len()],
            written: Vec::new(),
            depth,
            max_depth: depth,
        };
        writer.out.extend_from_slice(&tag::MAGIC);
        self.contents
            .iter()
            .try_for_each(|content| writer.content(content))
    }
}

#[derive(Clone, Copy)]
enum Written {
    Object(ObjectId),
    Class(ClassId),
}

struct Writer<'a> {
    graph: &'a Graph,
    out: &'a mut Vec<u8>,
    /// The handle of each object, 0 for those not written yet.
    objects: Vec<u32>,
    /// The same for class descriptors.
    classes: Vec<u32>,
    /// What has a handle, in the order of the handles.
    written: Vec<Written>,
    /// How many levels more.
    depth: usize,
    max_depth: usize,
}

impl<'a> Writer<'a> {
    fn content(&mut self, content: &'a Content) -> Result<(), WriteError> {
        match content {
            Content::Block(bytes) => self.block(bytes),
            Content::Value(value) => self.value(*value),
            Content::Reset => {
                self.out.push(tag::RESET);
                self.forget();
                Ok(())
            }
            Content::Exception(value) => {
                self.out.push(tag::EXCEPTION);
                self.forget();
                self.value(*value)?;
                self.forget();
                Ok(())
            }
        }
    }

    /// Takes as long as what is forgotten, so that many resets in a row cost little.
    fn forget(&mut self) {
        for written in self.written.drain(..) {
            match written {
                Written::Object(id) => self.objects[id.0 as usize] = 0,
                Written::Class(id) => self.classes[id.0 as usize] = 0,
            }
        }
    }

    /// Writes an object, null, or a field that holds neither.
    fn value(&mut self, value: Value) -> Result<(), WriteError> {
        match value {
            Value::Null => self.out.push(tag::NULL),
            Value::Object(id) => return self.object(id),
            Value::Descriptor(id) => return self.class(Some(id)),
            Value::Boolean(value) => self.out.push(value.into()),
            Value::Byte(value) => self.out.push(value as u8),
            Value::Char(value) => self.out.put_u16(value),
            Value::Short(value) => self.out.put_i16(value),
            Value::Int(value) => self.out.put_i32(value),
            Value::Long(value) => self.out.put_i64(value),
            Value::Float(value) => self.out.put_f32(value),
            Value::Double(value) => self.out.put_f64(value),
        }
        Ok(())
    }

    fn object(&mut self, id: ObjectId) -> Result<(), WriteError> {
        let index = id.0 as usize;
        let graph = self.graph;
        let object = graph.objects.get(index).ok_or(WriteError::Dangling)?;
        if self.objects[index] != 0 {
            self.reference(self.objects[index]);
            return Ok(());
        }
        self.descend()?;
        match object {
            Object::Instance(instance) => self.instance(id, instance)?,
            Object::String(text) => self.string(id, text),
            Object::Array(array) => self.array(id, array)?,
            Object::Enum { class, constant } => {
                self.check_class(*class, "an enum constant", |desc| desc.flags().is_enum())?;
                self.out.push(tag::ENUM);
                self.class(Some(*class))?;
                self.new_object(id);
                self.string_object(*constant, *class, "a constant")?;
            }
            Object::Class(class) => {
                self.out.push(tag::CLASS);
                self.class(Some(*class))?;
                self.new_object(id);
            }
        }
        self.depth += 1;
        Ok(())
    }

    fn instance(&mut self, id: ObjectId, instance: &'a Instance) -> Result<(), WriteError> {
        self.check_class(instance.class, "an object", |desc| !desc.flags().is_enum())?;
        let classes = self.graph.data_classes(instance.class);
        if !instance
            .parts
            .iter()
            .map(|part| part.class)
            .eq(classes.iter().copied())
        {
            return Err(WriteError::WrongParts {
                class: self.class_name(instance.class),
            });
        }
        self.out.push(tag::OBJECT);
        self.class(Some(instance.class))?;
        self.new_object(id);
        instance.parts.iter().try_for_each(|part| self.part(part))
    }

    fn part(&mut self, part: &'a Part) -> Result<(), WriteError> {
        let desc = &self.graph[part.class];
        let flags = desc.flags();
        if flags.is_serializable() == flags.is_externalizable() || !flags.is_delimited() {
            return Err(self.wrong_class(part.class, "an object"));
        }
        if desc.writes_fields() {
            let kinds = desc.fields().iter().map(|field| field.kind);
            if part.fields.len() != kinds.len()
                || !part
                    .fields
                    .iter()
                    .zip(kinds)
                    .all(|(value, kind)| value.fits(kind))
            {
                return Err(self.wrong_fields(part.class));
            }
            part.fields.iter().try_for_each(|value| self.value(*value))?;
        } else if !part.fields.is_empty() {
            return Err(self.wrong_fields(part.class));
        }
        if flags.has_annotation() {
            self.annotation(&part.annotation)
        } else if part.annotation.is_empty() {
            Ok(())
        } else {
            Err(self.wrong_class(part.class, "an object with an annotation"))
        }
    }

    fn annotation(&mut self, items: &'a [Item]) -> Result<(), WriteError> {
        for item in items {
            match item {
                Item::Block(bytes) => self.block(bytes)?,
                Item::Value(value) if value.fits(crate::FieldKind::Object) => self.value(*value)?,
                Item::Value(_) => return Err(WriteError::Dangling),
            }
        }
        self.out.push(tag::END_BLOCK_DATA);
        Ok(())
    }

    fn block(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        match u8::try_from(bytes.len()) {
            Ok(length) => self.out.extend_from_slice(&[tag::BLOCK_DATA, length]),
            Err(_) => {
                self.out.push(tag::BLOCK_DATA_LONG);
                self.length(bytes.len())?;
            }
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn string(&mut self, id: ObjectId, text: &JavaString) {
        let length = text.encoded_len();
        match u16::try_from(length) {
            Ok(length) => {
                self.out.push(tag::STRING);
                self.out.put_u16(length);
            }
            Err(_) => {
                self.out.push(tag::LONG_STRING);
                self.out.put_u64(length as u64);
            }
        }
        self.new_object(id);
        text.encode(self.out);
    }

    fn array(&mut self, id: ObjectId, array: &'a Array) -> Result<(), WriteError> {
        let kind = array.elements.kind();
        self.check_class(array.class, "an array of these elements", |desc| {
            match desc.name().as_bytes() {
                [b'[', b'L' | b'[', ..] => !kind.is_primitive(),
                [b'[', code] => *code == kind.code(),
                _ => false,
            }
        })?;
        self.out.push(tag::ARRAY);
        self.class(Some(array.class))?;
        self.new_object(id);
        self.length(array.elements.len())?;
        match &array.elements {
            Elements::Byte(all) => self.out.extend_from_slice(all),
            Elements::Object(all) => {
                for value in all {
                    if !value.fits(crate::FieldKind::Object) {
                        return Err(self.wrong_class(array.class, "an array of these elements"));
                    }
                    self.value(*value)?;
                }
            }
            Elements::Boolean(all) => self.out.extend(all.iter().map(|value| u8::from(*value))),
            Elements::Char(all) => all.iter().for_each(|value| self.out.put_u16(*value)),
            Elements::Short(all) => all.iter().for_each(|value| self.out.put_i16(*value)),
            Elements::Int(all) => all.iter().for_each(|value| self.out.put_i32(*value)),
            Elements::Long(all) => all.iter().for_each(|value| self.out.put_i64(*value)),
            Elements::Float(all) => all.iter().for_each(|value| self.out.put_f32(*value)),
            Elements::Double(all) => all.iter().for_each(|value| self.out.put_f64(*value)),
        }
        Ok(())
    }

    fn class(&mut self, class: Option<ClassId>) -> Result<(), WriteError> {
        let Some(id) = class else {
            self.out.push(tag::NULL);
            return Ok(());
        };
        let index = id.0 as usize;
        let graph = self.graph;
        let desc = graph.classes.get(index).ok_or(WriteError::Dangling)?;
        if self.classes[index] != 0 {
            self.reference(self.classes[index]);
            return Ok(());
        }
        self.descend()?;
        match &desc.kind {
            ClassKind::Plain {
                name,
                uid,
                flags,
                fields,
            } => {
                self.out.push(tag::CLASS_DESC);
                self.utf(name, name, "the name")?;
                self.out.put_i64(*uid);
                self.classes[index] = self.new_handle(Written::Class(id));
                self.out.push(flags.0);
                self.short_length(fields.len(), name, "the number of fields")?;
                for field in fields {
                    self.field(id, name, field)?;
                }
            }
            ClassKind::Proxy { interfaces } => {
                self.out.push(tag::PROXY_CLASS_DESC);
                self.classes[index] = self.new_handle(Written::Class(id));
                self.length(interfaces.len())?;
                for name in interfaces {
                    self.utf(name, name, "the name")?;
                }
            }
        }
        self.annotation(&desc.annotation)?;
        self.class(desc.super_class)?;
        self.depth += 1;
        Ok(())
    }

    fn field(&mut self, class: ClassId, class_name: &str, field: &Field) -> Result<(), WriteError> {
        self.out.push(field.kind.code());
        self.utf(&field.name, class_name, "the name of a field")?;
        match field.type_name {
            Some(id) if !field.kind.is_primitive() => self.string_object(id, class, "the type of a field"),
            None if field.kind.is_primitive() => Ok(()),
            _ => Err(self.wrong_fields(class)),
        }
    }

    fn string_object(&mut self, id: ObjectId, class: ClassId, what: &'static str) -> Result<(), WriteError> {
        match self.graph.object(Value::Object(id)) {
            Some(Object::String(_)) => self.object(id),
            Some(_) => Err(WriteError::NoString {
                class: self.class_name(class),
                what,
            }),
            None => Err(WriteError::Dangling),
        }
    }

    /// Writes a text with a length of two bytes in front.
    fn utf(&mut self, text: &str, class: &str, what: &'static str) -> Result<(), WriteError> {
        self.short_length(string::encoded_len(text), class, what)?;
        string::encode(text, self.out);
        Ok(())
    }

    fn short_length(&mut self, length: usize, class: &str, what: &'static str) -> Result<(), WriteError> {
        let Ok(short) = u16::try_from(length) else {
            // A name that is too long is no help in a message.
            let class = class.chars().take(200).collect();
            return Err(WriteError::TooLong { class, what, length });
        };
        self.out.put_u16(short);
        Ok(())
    }

    fn length(&mut self, length: usize) -> Result<(), WriteError> {
        self.out
            .put_i32(i32::try_from(length).map_err(|_| WriteError::TooLarge { length })?);
        Ok(())
    }

    fn reference(&mut self, handle: u32) {
        self.out.push(tag::REFERENCE);
        self.out.put_u32(handle);
    }

    fn new_object(&mut self, id: ObjectId) {
        self.objects[id.0 as usize] = self.new_handle(Written::Object(id));
    }

    fn new_handle(&mut self, written: Written) -> u32 {
        let handle = tag::FIRST_HANDLE + self.written.len() as u32;
        self.written.push(written);
        handle
    }

    fn descend(&mut self) -> Result<(), WriteError> {
        self.depth = self
            .depth
            .checked_sub(1)
            .ok_or(WriteError::TooDeep { max: self.max_depth })?;
        Ok(())
    }

    fn check_class(
        &self,
        class: ClassId,
        what: &'static str,
        fits: impl Fn(&ClassDesc) -> bool,
    ) -> Result<(), WriteError> {
        match self.graph.classes.get(class.0 as usize) {
            None => Err(WriteError::Dangling),
            Some(desc) if fits(desc) => Ok(()),
            Some(_) => Err(self.wrong_class(class, what)),
        }
    }

    fn class_name(&self, class: ClassId) -> String {
        let desc = self.graph.classes.get(class.0 as usize);
        desc.map_or("?", ClassDesc::name).to_owned()
    }

    fn wrong_class(&self, class: ClassId, what: &'static str) -> WriteError {
        WriteError::WrongClass {
            class: self.class_name(class),
            what,
        }
    }

    fn wrong_fields(&self, class: ClassId) -> WriteError {
        WriteError::WrongFields {
            class: self.class_name(class),
        }
    }
}
