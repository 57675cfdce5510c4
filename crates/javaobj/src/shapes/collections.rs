//! Lists, vectors, sets and arrays.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, Hash};

use bytes::Bytes;

use crate::decode::{DecodeError, Decoder, FromJava};
use crate::encode::{EncodeError, Encoder, Level, ToJava};
use crate::ids::Scala;
use crate::object::{Elements, Item, Object, Value};

const OBJECT: &str = "Ljava/lang/Object;";
const OBJECT_ARRAY: &str = "[Ljava.lang.Object;";

/// Scala's `List`, which serves wherever a `Seq` is wanted; reads any sequence, Java's too.
impl<T: ToJava> ToJava for Vec<T> {
    fn descriptor(scala: Scala) -> Cow<'static, str> {
        sequence_descriptor(scala)
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        self.as_slice().to_java(out)
    }
}

/// As for [`Vec`].
impl<T: ToJava> ToJava for [T] {
    fn descriptor(scala: Scala) -> Cow<'static, str> {
        sequence_descriptor(scala)
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        let values = out.objects(self)?;
        Ok(out.list(values))
    }
}

impl<T: FromJava> FromJava for Vec<T> {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let values = input.sequence(value)?;
        input.decode_all(values)
    }
}

fn sequence_descriptor(scala: Scala) -> Cow<'static, str> {
    // What Seq means without an import.
    Cow::Borrowed(match scala {
        Scala::V2_12 => "Lscala/collection/Seq;",
        Scala::V2_13 => "Lscala/collection/immutable/Seq;",
    })
}

/// Scala's immutable `Vector`, for fields that want no other sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ScalaVector<T>(
    /// The elements.
    pub Vec<T>,
);

impl<T: ToJava> ToJava for ScalaVector<T> {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Lscala/collection/immutable/Vector;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        let values = out.objects(&self.0)?;
        match out.scala() {
            Scala::V2_12 => out.vector_2_12(values),
            Scala::V2_13 => {
                let factory = out.factory("scala.collection.immutable.Vector$", false);
                out.proxy(factory, values)
            }
        }
    }
}

impl<T: FromJava> FromJava for ScalaVector<T> {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.decode(value).map(Self)
    }
}

/// An array, such as `String[]`: a `byte[]` is [`Bytes`], one of `int` a `JavaArray<i32>`.
///
/// Elements that are no numbers, truth values or strings need their class: [`JavaArray::of`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JavaArray<T> {
    /// The elements.
    pub elements: Vec<T>,
    class: Option<Cow<'static, str>>,
}

impl<T> JavaArray<T> {
    /// Makes an array of elements whose class follows from the Rust type.
    pub fn new(elements: Vec<T>) -> Self {
        Self {
            elements,
            class: None,
        }
    }

    /// Makes an array of objects of a class such as `scala.Tuple2`.
    pub fn of(class: &str, elements: Vec<T>) -> Self {
        Self {
            elements,
            class: Some(Cow::Owned(format!("[L{class};"))),
        }
    }
}

impl<T: ToJava> ToJava for JavaArray<T> {
    fn descriptor(scala: Scala) -> Cow<'static, str> {
        Cow::Owned(format!("[{}", T::descriptor(scala)))
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        let class = match &self.class {
            Some(class) => class.to_string(),
            None => Self::descriptor(out.scala()).replace('/', "."),
        };
        let plain: Vec<_> = self
            .elements
            .iter()
            .map(|element| element.to_java(out))
            .collect::<Result<_, _>>()?;
        let unsuitable = || EncodeError::Unsupported(format!("an element that is none of {class}"));
        /// Takes the numbers out of the values, all of which must be of one kind.
        macro_rules! numbers {
            ($kind:ident) => {
                plain
                    .iter()
                    .map(|value| match value {
                        Value::$kind(number) => Ok(*number),
                        _ => Err(unsuitable()),
                    })
                    .collect::<Result<_, _>>()?
            };
        }
        let elements = match class.as_bytes() {
            b"[Z" => Elements::Boolean(numbers!(Boolean)),
            b"[B" => {
                let bytes: Vec<i8> = numbers!(Byte);
                Elements::Byte(bytes.into_iter().map(|byte| byte as u8).collect())
            }
            b"[C" => Elements::Char(numbers!(Char)),
            b"[S" => Elements::Short(numbers!(Short)),
            b"[I" => Elements::Int(numbers!(Int)),
            b"[J" => Elements::Long(numbers!(Long)),
            b"[F" => Elements::Float(numbers!(Float)),
            b"[D" => Elements::Double(numbers!(Double)),
            _ => Elements::Object(plain.into_iter().map(|value| out.boxed(value)).collect()),
        };
        Ok(out.array(&class, elements))
    }
}

impl<T: FromJava> FromJava for JavaArray<T> {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let Some(Object::Array(array)) = input.graph().object(value) else {
            return Err(input.expected(value, "an array"));
        };
        let class = input.graph()[array.class].name();
        // Of other elements the Rust type says what they are.
        let named = class.starts_with("[L") && class != "[Ljava.lang.String;";
        Ok(Self {
            elements: input.decode(value).map(|Bare(elements)| elements)?,
            class: named.then(|| Cow::Owned(class.to_owned())),
        })
    }
}

/// The elements without the array's class.
struct Bare<T>(Vec<T>);

impl<T: FromJava> FromJava for Bare<T> {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Vec::from_java(value, input).map(Self)
    }
}

/// A `byte[]`; shares the buffer that was read.
impl ToJava for Bytes {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("[B")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        Ok(out.byte_array(self.clone()))
    }
}

impl FromJava for Bytes {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.graph().object(value) {
            Some(Object::Array(array)) => match &array.elements {
                Elements::Byte(bytes) => Ok(bytes.clone()),
                _ => Err(input.expected(value, "[B")),
            },
            _ => Err(input.expected(value, "[B")),
        }
    }
}

/// A `java.util.ArrayList`, for fields that want a Java list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct JavaList<T>(
    /// The elements.
    pub Vec<T>,
);

impl<T: ToJava> ToJava for JavaList<T> {
    fn descriptor(_: Scala) -> Cow<'static, str> {
        Cow::Borrowed("Ljava/util/List;")
    }

    fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
        let values = out.objects(&self.0)?;
        let size = count(values.len())?;
        let mut items = vec![block(&size.to_be_bytes())];
        items.extend(values.into_iter().map(Item::Value));
        let list = Level::new("java.util.ArrayList").fixed(8683452581122892189);
        Ok(out.instance(vec![list.with("size", "I", Value::Int(size)).writing(items)]))
    }
}

impl<T: FromJava> FromJava for JavaList<T> {
    fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.decode(value).map(Self)
    }
}

macro_rules! sets {
    ($($set:ident<$($parameter:ident: $bound:path),*>, $element:ident: $($bounds:path),*;)*) => {$(
        /// Scala's immutable `Set`; reads any set or sequence.
        impl<$element: ToJava, $($parameter),*> ToJava for $set<$element, $($parameter),*> {
            fn descriptor(_: Scala) -> Cow<'static, str> {
                Cow::Borrowed("Lscala/collection/immutable/Set;")
            }

            fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
                let values = out.objects(self)?;
                out.set(values)
            }
        }

        impl<$element: FromJava $(+ $bounds)*, $($parameter: $bound + Default),*> FromJava
            for $set<$element, $($parameter),*>
        {
            fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let values = input.sequence(value)?;
                input.decode_all(values)
            }
        }
    )*};
}

sets! {
    HashSet<S: BuildHasher>, T: Eq, Hash;
    BTreeSet<>, T: Ord;
}

impl Encoder<'_> {
    /// Adds Scala's `List`.
    pub fn list(&mut self, values: Vec<Value>) -> Value {
        const NIL: &str = "scala.collection.immutable.Nil$";
        if values.is_empty() {
            return self.singleton(NIL.to_owned(), |out| out.list_proxy(values));
        }
        self.list_proxy(values)
    }

    fn list_proxy(&mut self, values: Vec<Value>) -> Value {
        match self.scala() {
            Scala::V2_12 => {
                let mut items: Vec<_> = values.into_iter().map(Item::Value).collect();
                items.push(Item::Value(
                    self.module("scala.collection.immutable.ListSerializeEnd$"),
                ));
                let proxy = Level::new("scala.collection.immutable.List$SerializationProxy").fixed(1);
                self.instance(vec![proxy.writing(items)])
            }
            Scala::V2_13 => {
                let factory = self.factory("scala.collection.immutable.List$", false);
                // A list does not know its length, an empty one does.
                let size = if values.is_empty() { 0 } else { -1 };
                let mut items = vec![block(&i32::to_be_bytes(size))];
                items.extend(values.into_iter().map(Item::Value));
                if size < 0 {
                    items.push(Item::Value(self.module("scala.collection.generic.SerializeEnd$")));
                }
                self.proxy_of(factory, items)
            }
        }
    }

    /// Adds Scala's immutable `Set`.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::TooLarge`] for 2³¹ elements.
    pub fn set(&mut self, values: Vec<Value>) -> Result<Value, EncodeError> {
        const NAMES: [&str; 4] = ["elem1", "elem2", "elem3", "elem4"];
        const IDS_2_12: [i64; 4] = [
            1233385750652442003,
            -6443011234944830092,
            -3590273538119220064,
            -3622399588156184395,
        ];
        if values.is_empty() {
            return Ok(self.module("scala.collection.immutable.Set$EmptySet$"));
        }
        if let Some(uid) = IDS_2_12.get(values.len() - 1) {
            let uid = match self.scala() {
                Scala::V2_12 => *uid,
                Scala::V2_13 => 3,
            };
            let class = format!("scala.collection.immutable.Set$Set{}", values.len());
            let fields = NAMES.iter().zip(values);
            let level = fields.fold(Level::new(&class).fixed(uid), |level, (name, value)| {
                level.with(name, OBJECT, value)
            });
            return Ok(self.instance(vec![level]));
        }
        match self.scala() {
            Scala::V2_12 => {
                let mut items = vec![block(&count(values.len())?.to_be_bytes())];
                items.extend(values.into_iter().map(Item::Value));
                let proxy = Level::new("scala.collection.immutable.HashSet$SerializationProxy").fixed(2);
                Ok(self.instance(vec![proxy.writing(items)]))
            }
            Scala::V2_13 => {
                let factory = self.factory("scala.collection.immutable.HashSet$", false);
                self.proxy(factory, values)
            }
        }
    }

    /// Adds the thing that makes a Scala 2.13 collection of its elements: the companion object's `ToFactory`.
    pub(super) fn factory(&mut self, companion: &str, of_maps: bool) -> Value {
        let (class, descriptor) = if of_maps {
            (
                "scala.collection.MapFactory$ToFactory",
                "Lscala/collection/MapFactory;",
            )
        } else {
            (
                "scala.collection.IterableFactory$ToFactory",
                "Lscala/collection/IterableFactory;",
            )
        };
        // All companion objects of Scala 2.13's collections have the id 3.
        let companion = self.module_of(vec![Level::new(companion).fixed(3)]);
        let factory = Level::new(class).fixed(3);
        self.instance(vec![factory.with("factory", descriptor, companion)])
    }

    /// Adds the proxy by which nearly all of Scala 2.13's collections are written.
    pub(super) fn proxy(&mut self, factory: Value, values: Vec<Value>) -> Result<Value, EncodeError> {
        let mut items = vec![block(&count(values.len())?.to_be_bytes())];
        items.extend(values.into_iter().map(Item::Value));
        Ok(self.proxy_of(factory, items))
    }

    fn proxy_of(&mut self, factory: Value, items: Vec<Item>) -> Value {
        let proxy = Level::new("scala.collection.generic.DefaultSerializationProxy").fixed(3);
        let proxy = proxy.with("factory", "Lscala/collection/Factory;", factory);
        self.instance(vec![proxy.writing(items)])
    }

    /// Adds Scala 2.12's vector: a tree of arrays of 32 with the first path laid open.
    fn vector_2_12(&mut self, values: Vec<Value>) -> Result<Value, EncodeError> {
        let length = count(values.len())?;
        let mut displays = [Value::Null; 6];
        let mut depth = 0;
        let mut level = values;
        while depth == 0 && length > 0 || level.len() > 1 {
            let nodes = level.chunks(32).map(|chunk| {
                let mut node = chunk.to_vec();
                node.resize(32, Value::Null);
                self.array(OBJECT_ARRAY, Elements::Object(node))
            });
            level = nodes.collect();
            // 2³¹ elements have 32⁶ places and some to spare, so there is always a display.
            displays[depth] = level[0];
            depth += 1;
        }
        const NAMES: [&str; 6] = [
            "display0", "display1", "display2", "display3", "display4", "display5",
        ];
        let vector = Level::new("scala.collection.immutable.Vector").fixed(-1334388273712300479);
        let vector = vector
            .with("depth", "I", Value::Int(depth as i32))
            .with("dirty", "Z", Value::Boolean(false))
            .with("endIndex", "I", Value::Int(length))
            .with("focus", "I", Value::Int(0))
            .with("startIndex", "I", Value::Int(0));
        let vector = NAMES
            .iter()
            .zip(displays)
            .fold(vector, |vector, (name, display)| {
                vector.with(name, "[Ljava/lang/Object;", display)
            });
        Ok(self.instance(vec![vector]))
    }
}

/// Makes a block of what fits into one.
pub(super) fn block(bytes: &[u8]) -> Item {
    Item::Block(Bytes::copy_from_slice(bytes))
}

pub(super) fn count(length: usize) -> Result<i32, EncodeError> {
    i32::try_from(length).map_err(|_| EncodeError::TooLarge { length })
}
