//! Bytes to a [`Graph`].

mod classes;
mod input;

use std::mem;

use bytes::Bytes;

use crate::class::{ClassDesc, FieldKind};
use crate::graph::{ClassId, Graph, ObjectId};
use crate::limits::{Limit, Limits};
use crate::object::{Array, Content, Elements, Instance, Item, Object, Part, Value};
use crate::read_error::ReadError;
use crate::tag;

impl Graph {
    /// Reads a whole stream.
    ///
    /// # Errors
    ///
    /// Returns [`ReadError`] when the bytes are no stream, or exceed the limits.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        let mut reader = Reader::begin(bytes, None, limits)?;
        reader.read_all()?;
        Ok(reader.graph)
    }

    /// Reads a whole stream; large byte arrays share its buffer instead of being copied.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_shared(bytes: &Bytes, limits: &Limits) -> Result<Self, ReadError> {
        let mut reader = Reader::begin(bytes, Some(bytes), limits)?;
        reader.read_all()?;
        Ok(reader.graph)
    }

    /// Reads up to the end of the first object and returns how many bytes that were; what follows is not looked at.
    ///
    /// A JVM that receives a message does the same.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and [`ReadError::Empty`] when there is no object.
    pub fn read_first(bytes: &Bytes, limits: &Limits) -> Result<(Self, usize), ReadError> {
        let mut reader = Reader::begin(bytes, Some(bytes), limits)?;
        reader.read_first()?;
        Ok((reader.graph, reader.at))
    }

    /// Reads as far as it goes, for those who look at streams that may be broken: all of it, or with `first` up to the end of
    /// the first object. Returns what was read, how many bytes that were, and why it was not more.
    ///
    /// Objects that were not whole have the fields and elements that were there. Such a graph is there to be looked at;
    /// writing it is no use.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::Bytes;
    /// use spark_rpc_javaobj::{Graph, Limits};
    ///
    /// let cut = Bytes::from_static(b"\xac\xed\0\x05sr\0\x01A\0\0\0\0\0\0\0\x01\x02\0\x02I\0\x01xI\0\x01yxp\0\0\0\x03\0\0");
    /// let (graph, read, error) = Graph::read_leniently(&cut, &Limits::default(), true);
    /// assert_eq!(graph.to_string(), "A {\n  x: 3\n}");
    /// assert_eq!((read, error.is_some()), (cut.len() - 2, true));
    /// ```
    pub fn read_leniently(bytes: &Bytes, limits: &Limits, first: bool) -> (Self, usize, Option<ReadError>) {
        let mut reader = match Reader::begin(bytes, Some(bytes), limits) {
            Ok(reader) => reader,
            Err(error) => return (Self::new(), 0, Some(error)),
        };
        let read = if first {
            reader.read_first()
        } else {
            reader.read_all()
        };
        if let Some(broken) = reader.broken.take() {
            reader.graph.contents.push(Content::Value(broken));
        }
        (reader.graph, reader.at, read.err())
    }
}

/// What a handle of the stream stands for.
#[derive(Clone, Copy)]
enum Handle {
    Object(ObjectId),
    Class(ClassId),
}

struct Reader<'a> {
    input: &'a [u8],
    /// The same bytes as `input`, where they can be shared.
    shared: Option<&'a Bytes>,
    at: usize,
    limits: Limits,
    graph: Graph,
    handles: Vec<Handle>,
    /// Descriptors that have begun and not ended. Nothing may use them before.
    open_classes: Vec<ClassId>,
    depth: usize,
    memory: usize,
    /// After an error: the object that was not whole, on its way up to whoever holds it.
    broken: Option<Value>,
}

/// What an object takes in memory beside its values, roughly: itself, its handle, and the headers of its vectors.
const OBJECT_COST: usize = 96;

impl<'a> Reader<'a> {
    fn begin(input: &'a [u8], shared: Option<&'a Bytes>, limits: &Limits) -> Result<Self, ReadError> {
        if !input.starts_with(&tag::MAGIC) {
            let found = input[..input.len().min(tag::MAGIC.len())].to_vec();
            return Err(ReadError::NotJava { found });
        }
        Ok(Self {
            input,
            shared,
            at: tag::MAGIC.len(),
            limits: *limits,
            graph: Graph::new(),
            handles: Vec::new(),
            open_classes: Vec::new(),
            depth: 0,
            memory: limits.memory,
            broken: None,
        })
    }

    fn read_all(&mut self) -> Result<(), ReadError> {
        while self.at < self.input.len() {
            let content = self.read_content()?;
            self.keep(content)?;
        }
        Ok(())
    }

    fn read_first(&mut self) -> Result<(), ReadError> {
        while self.at < self.input.len() {
            let content = self.read_content()?;
            let is_value = matches!(content, Content::Value(_));
            self.keep(content)?;
            if is_value {
                return Ok(());
            }
        }
        Err(ReadError::Empty)
    }

    fn keep(&mut self, content: Content) -> Result<(), ReadError> {
        self.charge(mem::size_of::<Content>())?;
        self.graph.contents.push(content);
        Ok(())
    }

    fn read_content(&mut self) -> Result<Content, ReadError> {
        Ok(match self.peek()? {
            tag::BLOCK_DATA | tag::BLOCK_DATA_LONG => Content::Block(self.read_block()?),
            tag::RESET => {
                self.at += 1;
                self.handles.clear();
                Content::Reset
            }
            tag::EXCEPTION => Content::Exception(self.read_exception()?),
            _ => Content::Value(self.read_value()?),
        })
    }

    /// Reads the exception of a writer that failed; no handle survives it on either side.
    fn read_exception(&mut self) -> Result<Value, ReadError> {
        self.at += 1;
        self.handles.clear();
        let exception = self.read_value()?;
        self.handles.clear();
        Ok(exception)
    }

    fn read_value(&mut self) -> Result<Value, ReadError> {
        const EXPECTED: &str = "an object";
        if self.depth >= self.limits.depth {
            return Err(self.exceeded(Limit::Depth, self.limits.depth));
        }
        let at = self.at;
        let tag = self.peek()?;
        if matches!(tag, tag::CLASS_DESC | tag::PROXY_CLASS_DESC) {
            let class = self.read_class()?;
            return Ok(class.map_or(Value::Null, Value::Descriptor));
        }
        self.at += 1;
        self.depth += 1;
        let id = match tag {
            tag::NULL => {
                self.depth -= 1;
                return Ok(Value::Null);
            }
            tag::REFERENCE => {
                self.depth -= 1;
                return Ok(match self.read_handle(at, EXPECTED)? {
                    Handle::Object(id) => Value::Object(id),
                    Handle::Class(id) => {
                        self.check_complete(at, id)?;
                        Value::Descriptor(id)
                    }
                });
            }
            tag::OBJECT => self.read_instance(at)?,
            tag::STRING | tag::LONG_STRING => self.read_string(tag)?,
            tag::ARRAY => self.read_array(at)?,
            tag::ENUM => self.read_enum(at)?,
            tag::CLASS => self.read_class_object(at)?,
            tag::EXCEPTION => return Err(self.aborted(at)),
            _ => return Err(unexpected(at, tag, EXPECTED)),
        };
        self.depth -= 1;
        Ok(Value::Object(id))
    }

    fn read_instance(&mut self, at: usize) -> Result<ObjectId, ReadError> {
        let class = self.read_class_of(at, "an object")?;
        // All superclasses count, also those without data: who looks for one passes them.
        self.charge(self.graph.hierarchy(class).len() * mem::size_of::<Part>())?;
        let classes = self.graph.data_classes(class);
        for class in &classes {
            let (flags, name) = (self.graph[*class].flags(), self.graph[*class].name());
            let readable = flags.is_serializable() != flags.is_externalizable();
            if !readable || flags.is_enum() || name.starts_with('[') {
                return Err(self.wrong_class(at, *class, "an object"));
            }
        }
        let id = self.new_object(Object::Instance(Instance {
            class,
            parts: Vec::new(),
        }))?;
        let mut parts = Vec::with_capacity(classes.len());
        let mut read = Ok(());
        for class in classes {
            let mut part = Part {
                class,
                fields: Vec::new(),
                annotation: Vec::new(),
            };
            read = self.read_part(&mut part);
            parts.push(part);
            if read.is_err() {
                break;
            }
        }
        self.graph.set(id, Object::Instance(Instance { class, parts }));
        self.whole(id, read)
    }

    /// Passes an object on, or if it could not be read to its end keeps it for whoever salvages the rest.
    fn whole(&mut self, id: ObjectId, read: Result<(), ReadError>) -> Result<ObjectId, ReadError> {
        if read.is_err() {
            self.broken = Some(Value::Object(id));
        }
        read.map(|()| id)
    }

    fn read_part(&mut self, part: &mut Part) -> Result<(), ReadError> {
        let class = part.class;
        let desc = &self.graph[class];
        let (flags, count, writes_fields) = (desc.flags(), desc.fields().len(), desc.writes_fields());
        if !flags.is_delimited() {
            let class = desc.name().to_owned();
            return Err(ReadError::Unbounded { at: self.at, class });
        }
        if writes_fields {
            // Each field takes a byte at least, so its memory is paid for.
            self.need(count)?;
            self.charge(count * mem::size_of::<Value>())?;
            part.fields.reserve_exact(count);
            for index in 0..count {
                let kind = self.graph[class].fields()[index].kind;
                match self.read_field(kind) {
                    Ok(value) => part.fields.push(value),
                    Err(error) => {
                        part.fields.extend(self.broken.take());
                        return Err(error);
                    }
                }
            }
        }
        if flags.has_annotation() {
            self.read_annotation(&mut part.annotation)?;
        }
        Ok(())
    }

    fn read_field(&mut self, kind: FieldKind) -> Result<Value, ReadError> {
        Ok(match kind {
            FieldKind::Byte => Value::Byte(self.u8()? as i8),
            FieldKind::Char => Value::Char(self.u16()?),
            FieldKind::Double => Value::Double(f64::from_be_bytes(self.array()?)),
            FieldKind::Float => Value::Float(f32::from_be_bytes(self.array()?)),
            FieldKind::Int => Value::Int(i32::from_be_bytes(self.array()?)),
            FieldKind::Long => Value::Long(i64::from_be_bytes(self.array()?)),
            FieldKind::Short => Value::Short(i16::from_be_bytes(self.array()?)),
            FieldKind::Boolean => Value::Boolean(self.u8()? != 0),
            FieldKind::Object | FieldKind::Array => self.read_value()?,
        })
    }

    /// Reads blocks and objects up to the end mark.
    fn read_annotation(&mut self, items: &mut Vec<Item>) -> Result<(), ReadError> {
        loop {
            let item = match self.peek()? {
                tag::END_BLOCK_DATA => {
                    self.at += 1;
                    return Ok(());
                }
                tag::BLOCK_DATA | tag::BLOCK_DATA_LONG => Item::Block(self.read_block()?),
                _ => match self.read_value() {
                    Ok(value) => Item::Value(value),
                    Err(error) => {
                        items.extend(self.broken.take().map(Item::Value));
                        return Err(error);
                    }
                },
            };
            self.charge(mem::size_of::<Item>())?;
            items.push(item);
        }
    }

    fn read_block(&mut self) -> Result<Bytes, ReadError> {
        let tag = self.u8()?;
        let length = if tag == tag::BLOCK_DATA {
            usize::from(self.u8()?)
        } else {
            self.length()?
        };
        self.bytes(length)
    }

    fn read_string(&mut self, tag: u8) -> Result<ObjectId, ReadError> {
        let length = if tag == tag::STRING {
            usize::from(self.u16()?)
        } else {
            self.long_length()?
        };
        if length > self.limits.string_bytes {
            return Err(self.exceeded(Limit::StringBytes, self.limits.string_bytes));
        }
        let string = self.utf(length)?;
        self.new_object(Object::String(string))
    }

    fn read_array(&mut self, at: usize) -> Result<ObjectId, ReadError> {
        let class = self.read_class_of(at, "an array")?;
        let name = self.graph[class].name().as_bytes();
        let kind = match name {
            [b'[', b'L' | b'[', ..] => FieldKind::Object,
            [b'[', code] => {
                FieldKind::from_code(*code).ok_or_else(|| self.wrong_class(at, class, "an array"))?
            }
            _ => return Err(self.wrong_class(at, class, "an array")),
        };
        let id = self.new_object(Object::Array(Array {
            class,
            elements: Elements::Object(Vec::new()),
        }))?;
        let length = self.length()?;
        if length > self.limits.array_elements {
            return Err(self.exceeded(Limit::ArrayElements, self.limits.array_elements));
        }
        let elements = match kind {
            FieldKind::Object | FieldKind::Array => {
                let mut elements = Vec::new();
                let read = self.read_objects(length, &mut elements);
                let elements = Elements::Object(elements);
                self.graph.set(id, Object::Array(Array { class, elements }));
                return self.whole(id, read);
            }
            FieldKind::Byte => Elements::Byte(self.bytes(length)?),
            FieldKind::Boolean => Elements::Boolean(self.numbers(length, |[byte]| byte != 0)?),
            FieldKind::Char => Elements::Char(self.numbers(length, u16::from_be_bytes)?),
            FieldKind::Short => Elements::Short(self.numbers(length, i16::from_be_bytes)?),
            FieldKind::Int => Elements::Int(self.numbers(length, i32::from_be_bytes)?),
            FieldKind::Long => Elements::Long(self.numbers(length, i64::from_be_bytes)?),
            FieldKind::Float => Elements::Float(self.numbers(length, f32::from_be_bytes)?),
            FieldKind::Double => Elements::Double(self.numbers(length, f64::from_be_bytes)?),
        };
        self.graph.set(id, Object::Array(Array { class, elements }));
        Ok(id)
    }

    fn read_objects(&mut self, length: usize, elements: &mut Vec<Value>) -> Result<(), ReadError> {
        self.need(length)?;
        self.charge(length.saturating_mul(mem::size_of::<Value>()))?;
        elements.reserve_exact(length);
        for _ in 0..length {
            match self.read_value() {
                Ok(element) => elements.push(element),
                Err(error) => {
                    elements.extend(self.broken.take());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn numbers<T, const N: usize>(
        &mut self,
        length: usize,
        convert: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, ReadError> {
        let bytes = self.take(length.saturating_mul(N))?;
        self.charge(bytes.len())?;
        Ok(bytes.as_chunks().0.iter().map(|chunk| convert(*chunk)).collect())
    }

    fn read_enum(&mut self, at: usize) -> Result<ObjectId, ReadError> {
        let class = self.read_class_of(at, "an enum constant")?;
        if !self.graph[class].flags().is_enum() {
            return Err(self.wrong_class(at, class, "an enum constant"));
        }
        // The handle comes before the name's, so the name is filled in afterwards.
        let id = self.new_object(Object::Class(class))?;
        let constant = self.read_string_object("the name of an enum constant")?;
        self.graph.set(id, Object::Enum { class, constant });
        Ok(id)
    }

    fn read_class_object(&mut self, at: usize) -> Result<ObjectId, ReadError> {
        let class = self.read_class_of(at, "a class object")?;
        self.new_object(Object::Class(class))
    }

    /// Reads a string or a reference to one.
    fn read_string_object(&mut self, expected: &'static str) -> Result<ObjectId, ReadError> {
        let at = self.at;
        match self.u8()? {
            tag @ (tag::STRING | tag::LONG_STRING) => self.read_string(tag),
            tag::REFERENCE => match self.read_handle(at, expected)? {
                Handle::Object(id) if matches!(self.graph[id], Object::String(_)) => Ok(id),
                Handle::Object(_) => Err(self.bad_reference(at, "another object", expected)),
                Handle::Class(_) => Err(self.bad_reference(at, "a class descriptor", expected)),
            },
            tag => Err(unexpected(at, tag, expected)),
        }
    }

    fn aborted(&mut self, at: usize) -> ReadError {
        self.at = at;
        match self.read_exception() {
            Ok(value) => {
                let class = self.graph.class_name(value).unwrap_or("null");
                let message = self
                    .graph
                    .instance(value)
                    .and_then(|exception| self.graph.as_str(exception.field("detailMessage")?));
                let exception = match message {
                    Some(message) => format!("{class}: {message}"),
                    None => class.to_owned(),
                };
                ReadError::Aborted { at, exception }
            }
            Err(error) => error,
        }
    }

    fn new_object(&mut self, object: Object) -> Result<ObjectId, ReadError> {
        self.new_handle()?;
        let id = self.graph.add(object);
        self.handles.push(Handle::Object(id));
        Ok(id)
    }

    fn new_class(&mut self, class: ClassDesc) -> Result<ClassId, ReadError> {
        self.new_handle()?;
        self.charge(mem::size_of::<ClassDesc>())?;
        let id = self.graph.add_class(class);
        self.handles.push(Handle::Class(id));
        Ok(id)
    }

    fn new_handle(&mut self) -> Result<(), ReadError> {
        // Counted over the whole stream: a reset gives handles free, but not what they stood for.
        if self.graph.objects.len() + self.graph.classes.len() >= self.limits.handles {
            return Err(self.exceeded(Limit::Handles, self.limits.handles));
        }
        self.charge(OBJECT_COST)
    }

    fn read_handle(&mut self, at: usize, expected: &'static str) -> Result<Handle, ReadError> {
        let handle = u32::from_be_bytes(self.array()?);
        let index = handle.checked_sub(tag::FIRST_HANDLE);
        index
            .and_then(|index| self.handles.get(index as usize).copied())
            .ok_or(ReadError::BadReference {
                at,
                handle,
                found: "nothing",
                expected,
            })
    }

    #[cold]
    fn wrong_class(&self, at: usize, class: ClassId, what: &'static str) -> ReadError {
        let desc = &self.graph[class];
        ReadError::WrongClass {
            at,
            class: desc.name().to_owned(),
            flags: desc.flags().0,
            what,
        }
    }

    /// Reports the reference that stands at `at`.
    #[cold]
    fn bad_reference(&self, at: usize, found: &'static str, expected: &'static str) -> ReadError {
        let handle = self.input.get(at + 1..at + 5).and_then(<[u8]>::first_chunk);
        ReadError::BadReference {
            at,
            handle: handle.map_or(0, |bytes| u32::from_be_bytes(*bytes)),
            found,
            expected,
        }
    }
}

#[cold]
fn unexpected(at: usize, tag: u8, expected: &'static str) -> ReadError {
    ReadError::UnexpectedTag { at, tag, expected }
}
