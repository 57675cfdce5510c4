//! A stream as a tree that a person can read.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};

use crate::class::{ClassDesc, ClassKind};
use crate::graph::{ClassId, Graph, ObjectId};
use crate::object::{Content, Elements, Item, Object, Value};

/// Prints everything at the top level; see [`Graph::show`].
impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tree = Tree::new(self, f, self.roots());
        for (at, content) in self.contents().iter().enumerate() {
            if at > 0 {
                tree.out.write_char('\n')?;
            }
            match content {
                Content::Block(bytes) => tree.block(bytes)?,
                Content::Value(value) => tree.value(*value)?,
                Content::Reset => tree.out.write_str("reset")?,
                Content::Exception(value) => {
                    tree.out.write_str("the writer gave up: ")?;
                    tree.value(*value)?;
                }
            }
        }
        Ok(())
    }
}

impl Graph {
    /// Prints one value as a tree.
    ///
    /// Each object is printed once; one to which several lead has a number, and `@3` stands for it everywhere else.
    /// Long strings, arrays and blocks are cut. The alternate form `{:#}` has all of them, of a string the first time that it
    /// is printed; not so the names of classes and fields, if they are longer than any that are real.
    ///
    /// # Examples
    ///
    /// ```
    /// use spark_rpc_javaobj::{Graph, Limits};
    ///
    /// let bytes = b"\xac\xed\0\x05sr\0\x01A\0\0\0\0\0\0\0\x01\x02\0\x01I\0\x04portxp\0\0\x1b\xa5";
    /// let graph = Graph::read(bytes, &Limits::default())?;
    /// assert_eq!(graph.show(graph.root().unwrap()).to_string(), "A {\n  port: 7077\n}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn show(&self, value: Value) -> impl fmt::Display + '_ {
        Show { graph: self, value }
    }
}

struct Show<'a> {
    graph: &'a Graph,
    value: Value,
}

impl fmt::Display for Show<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Tree::new(self.graph, f, [self.value]).value(self.value)
    }
}

/// Deeper than this a tree is no longer readable, and a graph made by hand might be of any depth.
const MAX_DEPTH: usize = 200;

struct Tree<'a, 'f, 'b> {
    graph: &'a Graph,
    out: &'f mut fmt::Formatter<'b>,
    /// Objects that are met more than once, with their number once they have been printed.
    shared: HashMap<ObjectId, Option<usize>>,
    numbers: usize,
    /// Long strings that have been printed as a whole.
    whole: HashSet<ObjectId>,
    depth: usize,
    /// How much of a string, block or array is shown.
    cut: Cut,
}

#[derive(Clone, Copy)]
struct Cut {
    chars: usize,
    bytes: usize,
    numbers: usize,
    lines: usize,
}

impl<'a, 'f, 'b> Tree<'a, 'f, 'b> {
    fn new(
        graph: &'a Graph,
        out: &'f mut fmt::Formatter<'b>,
        roots: impl IntoIterator<Item = Value>,
    ) -> Self {
        let cut = if out.alternate() {
            Cut {
                chars: usize::MAX,
                bytes: usize::MAX,
                numbers: usize::MAX,
                lines: usize::MAX,
            }
        } else {
            Cut {
                chars: CHARS,
                bytes: 32,
                numbers: 16,
                lines: 100,
            }
        };
        Self {
            graph,
            out,
            shared: graph.shared(roots).into_iter().map(|id| (id, None)).collect(),
            numbers: 0,
            whole: HashSet::new(),
            depth: 0,
            cut,
        }
    }

    fn value(&mut self, value: Value) -> fmt::Result {
        match value {
            Value::Null => self.out.write_str("null"),
            Value::Object(id) => self.object(id),
            Value::Descriptor(id) => write!(self.out, "descriptor of {}", ClassName(self.graph, id)),
            Value::Boolean(value) => write!(self.out, "{value}"),
            Value::Byte(value) => write!(self.out, "{value}"),
            Value::Char(unit) => match char::from_u32(unit.into()) {
                Some(character) => write!(self.out, "{character:?}"),
                None => write!(self.out, "'\\u{unit:04x}'"),
            },
            Value::Short(value) => write!(self.out, "{value}"),
            Value::Int(value) => write!(self.out, "{value}"),
            Value::Long(value) => write!(self.out, "{value}"),
            Value::Float(value) => write!(self.out, "{value:?}"),
            Value::Double(value) => write!(self.out, "{value:?}"),
        }
    }

    fn object(&mut self, id: ObjectId) -> fmt::Result {
        let graph = self.graph;
        let Some(object) = graph.object(Value::Object(id)) else {
            return self.out.write_str("?");
        };
        match object {
            Object::String(string) => return self.text(id, &string.to_string_lossy()),
            Object::Enum { class, constant } => {
                let constant = graph.as_str(Value::Object(*constant)).unwrap_or("?");
                return write!(self.out, "enum {}.{}", ClassName(graph, *class), Name(constant));
            }
            Object::Class(class) => return write!(self.out, "class {}", ClassName(graph, *class)),
            Object::Instance(_) | Object::Array(_) => {}
        }
        let mut number = None;
        match self.shared.get(&id) {
            Some(Some(number)) => return write!(self.out, "@{number}"),
            Some(None) => {
                self.numbers += 1;
                self.shared.insert(id, Some(self.numbers));
                number = Some(self.numbers);
            }
            None => {}
        }
        let class = match object {
            Object::Instance(instance) => instance.class,
            Object::Array(array) => array.class,
            _ => unreachable!("the others have been printed"),
        };
        write!(self.out, "{}", ClassName(graph, class))?;
        if let Some(number) = number {
            write!(self.out, " @{number}")?;
        }
        if self.depth == MAX_DEPTH {
            return self.out.write_str(" …");
        }
        self.depth += 1;
        match object {
            Object::Array(array) => self.elements(&array.elements)?,
            _ => self.fields(Value::Object(id))?,
        }
        self.depth -= 1;
        Ok(())
    }

    fn fields(&mut self, value: Value) -> fmt::Result {
        let Some(instance) = self.graph.instance(value) else {
            return Ok(());
        };
        let mut names = HashSet::new();
        let mut twice = HashSet::new();
        for (desc, _) in instance.parts() {
            for field in desc.fields() {
                if !names.insert(field.name.as_str()) {
                    twice.insert(field.name.as_str());
                }
            }
        }
        self.out.write_str(" {")?;
        let mut empty = true;
        for (desc, part) in instance.parts() {
            for (field, value) in desc.fields().iter().zip(&part.fields) {
                empty = false;
                self.line()?;
                if twice.contains(field.name.as_str()) {
                    write!(self.out, "{}.", Name(desc.name()))?;
                }
                write!(self.out, "{}: ", Name(&field.name))?;
                self.value(*value)?;
            }
            for item in &part.annotation {
                empty = false;
                self.line()?;
                self.out.write_str("+ ")?;
                match item {
                    Item::Block(bytes) => self.block(bytes)?,
                    Item::Value(value) => self.value(*value)?,
                }
            }
        }
        self.close(empty, '}')
    }

    fn elements(&mut self, elements: &Elements) -> fmt::Result {
        write!(self.out, " of {} [", elements.len())?;
        match elements {
            Elements::Byte(bytes) => self.hex(bytes)?,
            Elements::Object(all) => {
                for value in all.iter().take(self.cut.lines) {
                    self.line()?;
                    self.value(*value)?;
                }
                if all.len() > self.cut.lines {
                    self.line()?;
                    write!(self.out, "… {} more", all.len() - self.cut.lines)?;
                }
                return self.close(all.is_empty(), ']');
            }
            _ => {
                for at in 0..elements.len().min(self.cut.numbers) {
                    if at > 0 {
                        self.out.write_str(", ")?;
                    }
                    self.value(elements.get(at).unwrap_or(Value::Null))?;
                }
                if elements.len() > self.cut.numbers {
                    self.out.write_str(", …")?;
                }
            }
        }
        self.out.write_char(']')
    }

    fn text(&mut self, id: ObjectId, text: &str) -> fmt::Result {
        let first = text.len() <= CHARS || self.whole.insert(id);
        let chars = if first { self.cut.chars } else { CHARS };
        match text.char_indices().nth(chars) {
            None => write!(self.out, "{text:?}"),
            Some((end, _)) => write!(self.out, "{:?}… ({} bytes)", &text[..end], text.len()),
        }
    }

    fn block(&mut self, bytes: &[u8]) -> fmt::Result {
        write!(self.out, "{} bytes ", bytes.len())?;
        self.hex(bytes)
    }

    fn hex(&mut self, bytes: &[u8]) -> fmt::Result {
        for byte in bytes.iter().take(self.cut.bytes) {
            write!(self.out, "{byte:02x}")?;
        }
        if bytes.len() > self.cut.bytes {
            self.out.write_char('…')?;
        }
        Ok(())
    }

    /// Begins a line at the current depth.
    fn line(&mut self) -> fmt::Result {
        write!(self.out, "\n{:1$}", "", self.depth * 2)
    }

    fn close(&mut self, empty: bool, bracket: char) -> fmt::Result {
        if !empty {
            write!(self.out, "\n{:1$}", "", (self.depth - 1) * 2)?;
        }
        self.out.write_char(bracket)
    }
}

/// Characters of a string that are printed, unless all are wanted.
const CHARS: usize = 200;

/// The name of a class, field or constant, up to a length that no real one has: it may be mentioned often.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 500;
        match self.0.char_indices().nth(LONGEST) {
            None => f.write_str(self.0),
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
        }
    }
}

struct ClassName<'a>(&'a Graph, ClassId);

impl fmt::Display for ClassName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.classes().get(self.1.0 as usize).map(|desc| &desc.kind) {
            Some(ClassKind::Plain { name, .. }) => write!(f, "{}", Name(name)),
            Some(ClassKind::Proxy { interfaces }) => write!(f, "proxy of {}", Name(&interfaces.join(", "))),
            None => f.write_str("?"),
        }
    }
}

/// Prints what the descriptor says: name, id, flags and fields.
impl fmt::Display for ClassDesc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ClassKind::Plain {
                name, uid, fields, ..
            } => {
                write!(f, "{name} (serialVersionUID {uid})")?;
                for (at, field) in fields.iter().enumerate() {
                    let before = if at == 0 { ": " } else { ", " };
                    write!(f, "{before}{} {}", char::from(field.kind.code()), field.name)?;
                }
                Ok(())
            }
            ClassKind::Proxy { interfaces } => write!(f, "proxy of {}", interfaces.join(", ")),
        }
    }
}
