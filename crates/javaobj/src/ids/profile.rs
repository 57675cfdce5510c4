//! The classes of one version of Spark, from a data file.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::class::{ClassFlags, FieldKind};
use crate::graph::Graph;

/// The classes of one version of Spark: their ids, superclasses and fields.
///
/// Most of Spark's classes do not fix their `serialVersionUID`, so it differs between versions, and a JVM accepts only
/// its own. The profiles come with this crate as data files, made from Spark's own jars.
#[derive(Debug)]
pub struct Profile {
    spark: String,
    scala: Scala,
    classes: HashMap<String, ClassInfo>,
}

/// The Scala library that a program was compiled for; collections and case objects differ between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scala {
    /// Scala 2.12, as in Spark 3 from PyPI.
    V2_12,
    /// Scala 2.13, as in Spark 4.
    V2_13,
}

/// What is known of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassInfo {
    /// The name, such as `java.lang.Integer`.
    pub name: String,
    /// The `serialVersionUID`.
    pub uid: i64,
    /// How objects are written.
    pub flags: ClassFlags,
    /// The nearest serialisable superclass.
    pub super_class: Option<String>,
    /// The class's own fields, in the order of the data.
    pub fields: Vec<FieldInfo>,
}

/// A field of a [`ClassInfo`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldInfo {
    /// The type's descriptor, such as `I` or `Ljava/lang/String;`.
    pub descriptor: String,
    /// The name.
    pub name: String,
}

impl FieldInfo {
    /// Returns what the field holds.
    pub fn kind(&self) -> FieldKind {
        let code = self.descriptor.bytes().next();
        code.and_then(FieldKind::from_code).unwrap_or(FieldKind::Object)
    }
}

impl Profile {
    /// Returns all profiles, the oldest version first.
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// Returns the profile of the newest version.
    pub fn newest() -> &'static Self {
        ALL.last().expect("there are data files")
    }

    /// Returns the profile of a version such as `3.5.9`; else that of another patch of the same line, which is a guess.
    pub fn of(spark: &str) -> Option<&'static Self> {
        let line = |version: &str| version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let exact = ALL.iter().find(|profile| profile.spark == spark);
        exact.or_else(|| ALL.iter().rfind(|profile| line(&profile.spark) == line(spark)))
    }

    /// Returns the version of Spark.
    pub fn spark(&self) -> &str {
        &self.spark
    }

    /// Returns the version of Scala.
    pub fn scala(&self) -> Scala {
        self.scala
    }

    /// Returns what is known of a class.
    pub fn class(&self, name: &str) -> Option<&ClassInfo> {
        self.classes.get(name)
    }

    /// Counts the classes of a stream that have the id of this version, and those that have another.
    pub fn compare(&self, graph: &Graph) -> (usize, usize) {
        let mut same = 0;
        let mut different = 0;
        for desc in graph.classes() {
            match self.class(desc.name()) {
                Some(info) if info.uid == desc.uid() => same += 1,
                Some(_) => different += 1,
                None => {}
            }
        }
        (same, different)
    }

    fn parse(text: &str) -> Self {
        let (head, rows) = text.split_once('\n').expect("a data file has lines");
        let words: Vec<_> = head.split(' ').collect();
        let ["#", "spark", spark, "scala", scala] = words[..] else {
            panic!("a data file begins with its versions, not with {head}")
        };
        let classes = rows.lines().map(ClassInfo::parse);
        Self {
            spark: spark.to_owned(),
            scala: match scala {
                "2.12" => Scala::V2_12,
                _ => Scala::V2_13,
            },
            classes: classes.map(|info| (info.name.clone(), info)).collect(),
        }
    }
}

impl ClassInfo {
    /// Reads a row: name, id, kind, superclass, fields.
    fn parse(row: &str) -> Self {
        let columns: Vec<_> = row.split('\t').collect();
        let [name, uid, kind, super_class, fields] = columns[..] else {
            panic!("a row of a data file has five columns: {row}")
        };
        Self {
            name: name.to_owned(),
            uid: uid.parse().expect("the id is a number"),
            flags: match kind {
                "S" => ClassFlags::SERIALIZABLE,
                "W" => ClassFlags::WRITE_OBJECT,
                "X" => ClassFlags::EXTERNALIZABLE,
                "E" => ClassFlags::ENUM,
                other => panic!("no class is of the kind {other}"),
            },
            super_class: (!super_class.is_empty()).then(|| super_class.to_owned()),
            fields: fields
                .split(',')
                .filter_map(|field| field.split_once(' '))
                .map(|(descriptor, name)| FieldInfo {
                    descriptor: descriptor.to_owned(),
                    name: name.to_owned(),
                })
                .collect(),
        }
    }
}

/// Parsed once, since they never change.
static ALL: LazyLock<Vec<Profile>> =
    LazyLock::new(|| FILES.iter().map(|text| Profile::parse(text)).collect());

const FILES: [&str; 6] = [
    include_str!("../../data/spark-3.4.4.tsv"),
    include_str!("../../data/spark-3.5.9.tsv"),
    include_str!("../../data/spark-4.0.5.tsv"),
    include_str!("../../data/spark-4.1.4.tsv"),
    include_str!("../../data/spark-4.2.1.tsv"),
    include_str!("../../data/spark-4.3.0.tsv"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_by_itself_and_by_its_line() {
        assert_eq!(Profile::of("3.5.9").unwrap().spark(), "3.5.9");
        assert_eq!(Profile::of("3.5.1").unwrap().spark(), "3.5.9");
        assert!(Profile::of("2.4.0").is_none());
        assert!(Profile::all().is_sorted_by_key(|profile| profile.spark()));
    }

    #[test]
    fn every_file_knows_the_classes_that_every_peer_needs() {
        for profile in Profile::all() {
            for name in [
                "org.apache.spark.rpc.RpcAddress",
                "org.apache.spark.rpc.netty.RpcFailure",
                "org.apache.spark.SparkException",
                "scala.Some",
                "scala.Tuple2",
                "java.lang.Integer",
            ] {
                assert!(profile.class(name).is_some(), "{name} in {}", profile.spark());
            }
            let throwable = profile.class("java.lang.Throwable").unwrap();
            assert_eq!(throwable.flags, ClassFlags::WRITE_OBJECT);
            assert_eq!(throwable.fields[2].kind(), FieldKind::Array);
        }
    }
}
