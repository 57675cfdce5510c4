//! Maps.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use super::collections::{block, count};
use crate::decode::{DecodeError, Decoder, FromJava};
use crate::encode::{EncodeError, Encoder, Level, ToJava};
use crate::ids::Scala;
use crate::object::{Item, Value};

const OBJECT: &str = "Ljava/lang/Object;";

macro_rules! maps {
    ($($map:ident<$($parameter:ident: $bound:path),*>, $key:ident: $($bounds:path),*;)*) => {$(
        /// Scala's immutable `Map`; reads any map, Java's too.
        impl<$key: ToJava, V: ToJava, $($parameter),*> ToJava for $map<$key, V, $($parameter),*> {
            fn descriptor(_: Scala) -> Cow<'static, str> {
                Cow::Borrowed("Lscala/collection/immutable/Map;")
            }

            fn to_java(&self, out: &mut Encoder<'_>) -> Result<Value, EncodeError> {
                let entries = self.iter().map(|(key, value)| Ok((out.object(key)?, out.object(value)?)));
                let entries = entries.collect::<Result<Vec<_>, EncodeError>>()?;
                out.map(entries)
            }
        }

        impl<$key: FromJava $(+ $bounds)*, V: FromJava, $($parameter: $bound + Default),*> FromJava
            for $map<$key, V, $($parameter),*>
        {
            fn from_java(value: Value, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let entries = input.entries(value)?;
                let entries = entries.into_iter();
                entries.map(|(key, value)| Ok((input.decode(key)?, input.decode(value)?))).collect()
            }
        }
    )*};
}

maps! {
    HashMap<S: BuildHasher>, K: Eq, Hash;
    BTreeMap<>, K: Ord;
}

impl Encoder<'_> {
    /// Adds Scala's immutable `Map`.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::TooLarge`] for 2³¹ entries.
    pub fn map(&mut self, entries: Vec<(Value, Value)>) -> Result<Value, EncodeError> {
        const IDS_2_12: [i64; 4] = [
            -9131943191104946031,
            -85684685400398742,
            -6400718707310517135,
            -7992135791595275193,
        ];
        if entries.is_empty() {
            return Ok(self.module("scala.collection.immutable.Map$EmptyMap$"));
        }
        if let Some(uid_2_12) = IDS_2_12.get(entries.len() - 1) {
            return Ok(self.small_map(*uid_2_12, &entries));
        }
        match self.scala() {
            Scala::V2_12 => {
                let mut items = vec![block(&count(entries.len())?.to_be_bytes())];
                for (key, value) in entries {
                    items.extend([Item::Value(key), Item::Value(value)]);
                }
                let proxy = Level::new("scala.collection.immutable.HashMap$SerializationProxy").fixed(2);
                Ok(self.instance(vec![proxy.writing(items)]))
            }
            Scala::V2_13 => {
                let factory = self.factory("scala.collection.immutable.HashMap$", true);
                let pairs = entries.into_iter().map(|(key, value)| {
                    let pair = Level::new("scala.Tuple2");
                    self.instance(vec![pair.with("_1", OBJECT, key).with("_2", OBJECT, value)])
                });
                let pairs = pairs.collect();
                self.proxy(factory, pairs)
            }
        }
    }

    /// Adds one of the classes for one to four entries.
    fn small_map(&mut self, uid_2_12: i64, entries: &[(Value, Value)]) -> Value {
        let class = format!("scala.collection.immutable.Map$Map{}", entries.len());
        // Scala 2.13 mangles the fields' names, except those of the smallest.
        let (prefix, uid) = match self.scala() {
            Scala::V2_12 => (String::new(), uid_2_12),
            Scala::V2_13 if entries.len() == 1 => (String::new(), 3),
            Scala::V2_13 => (format!("{}$$", class.replace('.', "$")), 3),
        };
        let named = entries.iter().zip(1..).flat_map(|((key, value), at)| {
            let name = |what: &str| format!("{prefix}{what}{at}");
            [(name("key"), *key), (name("value"), *value)]
        });
        let named: Vec<_> = named.collect();
        let level = named
            .iter()
            .fold(Level::new(&class).fixed(uid), |level, (name, value)| {
                level.with(name, OBJECT, *value)
            });
        self.instance(vec![level])
    }
}
