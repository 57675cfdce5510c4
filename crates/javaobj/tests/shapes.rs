//! Scala's and Java's values, against what real JVMs make of them.

mod streams;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use spark_rpc_javaobj::{
    Any, ClassTable, DecodeError, FiniteDuration, FromJava, Graph, JavaArray, JavaDate, JavaEnum, JavaList,
    Limit, Limits, Nullable, Profile, ScalaVector, TimeUnit, ToJava, from_bytes, to_bytes,
};

fn table(version: &str) -> ClassTable {
    ClassTable::pinned(Profile::of(version).unwrap())
}

fn read<T: FromJava>(version: &str, name: &str) -> Result<T, DecodeError> {
    let bytes = streams::one(&format!("samples-{version}"), name);
    from_bytes(&bytes, &Limits::default())
}

/// Checks that the sample of one version means the value.
fn means<T: FromJava + PartialEq + Debug>(version: &str, name: &str, value: &T) {
    match read::<T>(version, name) {
        Ok(found) => assert_eq!(&found, value, "{version} {name}"),
        Err(error) => panic!("{version} {name}: {error}"),
    }
}

/// Checks that the samples of both versions mean the value, and that the value becomes the samples.
fn is<T: ToJava + FromJava + PartialEq + Debug>(name: &str, value: &T) {
    for version in ["3.5.9", "4.1.4"] {
        means(version, name, value);
        becomes(version, name, value);
    }
}

/// Checks that the value becomes the sample of one version.
fn becomes<T: ToJava>(version: &str, name: &str, value: &T) {
    let expected = streams::one(&format!("samples-{version}"), name);
    let written = to_bytes(value, &table(version)).unwrap();
    if written != expected {
        let tree = |bytes: &[u8]| {
            let graph = Graph::read(bytes, &Limits::default()).unwrap();
            let classes: Vec<_> = graph.classes().iter().map(ToString::to_string).collect();
            format!("{graph}\n{}", classes.join("\n"))
        };
        assert_eq!(tree(&written), tree(&expected), "{version} {name}");
        panic!("{version} {name}: the same tree, but other bytes");
    }
}

/// Checks that the value survives where a JVM orders or shares things differently.
fn survives<T: ToJava + FromJava + PartialEq + Debug>(value: &T) {
    for version in ["3.5.9", "4.1.4"] {
        let bytes: Bytes = to_bytes(value, &table(version)).unwrap().into();
        assert_eq!(
            &from_bytes::<T>(&bytes, &Limits::default()).unwrap(),
            value,
            "{version}"
        );
    }
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

fn map(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    let all = all.iter();
    all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn numbers_strings_and_unit() {
    is("int", &42_i32);
    is("long", &42_i64);
    is("bool-true", &true);
    is("unit", &());
    is("string", &"hello".to_owned());
    is("bytes", &Bytes::from_static(&[1, 2, 3]));
    survives(&(1_i8, -2_i16, 1.5_f32, -2.5_f64, 'é', u32::MAX));
    survives(&(u8::MAX, u16::MAX, i8::MIN));
}

#[test]
fn null_is_an_absent_reference_and_no_option() {
    is("null", &Nullable::<String>(None));
    is("string", &Nullable(Some("hello".to_owned())));
    assert!(read::<Option<String>>("4.1.4", "null").is_err());
    assert!(read::<String>("4.1.4", "null").is_err());
}

#[test]
fn options_eithers_and_tuples() {
    is("none", &None::<String>);
    is("some", &Some("x".to_owned()));
    is("tuple2", &("a".to_owned(), 1_i32));
    is("left", &Err::<i32, _>("a".to_owned()));
    survives(&(Some(1), None::<i32>, (1, 2, 3, "d".to_owned())));
    survives(&Ok::<i32, String>(5));
}

#[test]
fn lists_and_vectors() {
    is("list", &strings(&["a", "b"]));
    is("nil", &Vec::<String>::new());
    is("vector", &ScalaVector(strings(&["a", "b"])));
    is("vector0", &ScalaVector(Vec::<String>::new()));
    for length in [31, 32, 33, 1024, 1025, 33_000] {
        survives(&ScalaVector((0..length).collect::<Vec<i32>>()));
    }
    survives(&(0..1000).map(i64::from).collect::<Vec<_>>());
}

#[test]
fn every_kind_of_sequence_reads_as_a_list() {
    for version in ["3.5.9", "4.1.4"] {
        means(version, "vector", &strings(&["a", "b"]));
        means(version, "arraybuffer", &strings(&["z"]));
        means(version, "arrayseq", &strings(&["a", "b"]));
        means(version, "set3", &strings(&["e1", "e2", "e3"]));
        means(version, "set0", &strings(&[]));
        means(version, "jarraylist", &strings(&["a"]));
        means(version, "intarray", &vec![1, 2]);
        means(
            version,
            "strarray",
            &vec![Nullable(Some("a".to_owned())), Nullable(None)],
        );
        means(version, "mhashset", &strings(&["a"]));
    }
    means("3.5.9", "range", &vec![0, 1, 2]);
    means("4.1.4", "range", &vec![0, 1, 2]);
    means("4.1.4", "mutarrayseq", &strings(&["a", "b"]));
    means("3.5.9", "mutarrayseq", &strings(&["x"]));
}

#[test]
fn collections_that_are_rarer_read_the_same_in_both_versions() {
    fn means<T: FromJava + PartialEq + Debug>(name: &str, value: &T) {
        for file in ["scala-2.12", "scala-2.13"] {
            let bytes = streams::one(file, name);
            match from_bytes::<T>(&bytes, &Limits::default()) {
                Ok(found) => assert_eq!(&found, value, "{file} {name}"),
                Err(error) => panic!("{file} {name}: {error}"),
            }
        }
    }
    means("listbuffer", &vec![1, 2]);
    means("list-in-buffer", &vec![3]);
    means("arraybuffer", &strings(&["a", "b"]));
    means("vector33", &(0..33).collect::<Vec<_>>());
    means("vector1100", &(0..1100).collect::<Vec<_>>());
    means("pair-of-ints", &(1, 2));
    means("pair-of-int-long", &(1, 2_i64));
    means(
        "linkedhashmap",
        &BTreeMap::from([("k1".to_owned(), 1), ("k2".to_owned(), 2)]),
    );
    means("mutable-hashmap", &BTreeMap::from([("k".to_owned(), 1)]));
    means("linkedhashset", &BTreeSet::from(["e".to_owned()]));
    means("java-list-as-scala", &strings(&["j"]));
    means("java-map-as-scala", &BTreeMap::from([("j".to_owned(), 1)]));
    means("scala-list-as-java", &vec![5]);
    means("wrapped-ints", &vec![7, 8]);
    means("map-with-default", &BTreeMap::from([("k".to_owned(), 1)]));

    // A vector that was changed after it was made: what is new lies beside the tree.
    for file in ["scala-2.12", "scala-2.13"] {
        let all: Vec<Any> = from_bytes(&streams::one(file, "vector-changed"), &Limits::default()).unwrap();
        assert_eq!(all.len(), 38, "{file}");
        assert_eq!(all[1].graph().as_str(all[1].value()), Some("three"), "{file}");

        // The change lies in the second block of 32, which is then the one laid open.
        let all: Vec<Any> = from_bytes(&streams::one(file, "vector-focus"), &Limits::default()).unwrap();
        let text = |at: usize| all[at].to_string();
        assert_eq!(
            (text(3), text(35)),
            (
                "java.lang.Integer {\n  value: 3\n}".to_owned(),
                "\"late\"".to_owned()
            )
        );
    }
}

#[test]
fn sets_of_every_size() {
    is("set0", &BTreeSet::<String>::new());
    let all = ["e1", "e2", "e3", "e4", "e5"];
    for count in 1..=4 {
        is(
            &format!("set{count}"),
            &strings(&all[..count]).into_iter().collect::<BTreeSet<_>>(),
        );
    }
    // Beyond four the order is that of Scala's hashes, so bytes differ.
    for version in ["3.5.9", "4.1.4"] {
        means(
            version,
            "set5",
            &strings(&all).into_iter().collect::<BTreeSet<_>>(),
        );
    }
    survives(&strings(&all).into_iter().collect::<BTreeSet<_>>());
}

#[test]
fn maps_of_every_size() {
    is("map0", &map(&[]));
    let all = [
        ("k1", "v1"),
        ("k2", "v2"),
        ("k3", "v3"),
        ("k4", "v4"),
        ("k5", "v5"),
    ];
    for count in 1..=4 {
        is(&format!("map{count}"), &map(&all[..count]));
    }
    for version in ["3.5.9", "4.1.4"] {
        means(version, "map5", &map(&all));
        means(version, "mhashmap", &map(&[("a", "b")]));
        means(version, "props", &map(&[("a", "b")]));
        means(version, "jhashmap", &map(&[("a", "b")]));
    }
    survives(&map(&all));
    let many: HashMap<i32, String> = (0..1000).map(|number| (number, number.to_string())).collect();
    survives(&many);
}

#[test]
fn java_collections() {
    let bytes = streams::one("jdk-17", "collections");
    let all: Vec<Any> = from_bytes(&bytes, &Limits::default()).unwrap();
    let read = |at: usize| all[at].value();
    let graph = |at: usize| all[at].graph();
    fn of<T: FromJava>(graph: &Graph, value: spark_rpc_javaobj::Value) -> T {
        spark_rpc_javaobj::Decoder::new(graph, &Limits::default())
            .decode(value)
            .unwrap()
    }
    assert_eq!(of::<Vec<i32>>(graph(0), read(0)), [1, 2, 3]);
    assert_eq!(
        of::<BTreeMap<String, String>>(graph(1), read(1)),
        map(&[("k", "v")])
    );
    for (at, element) in [(2, "e"), (3, "l"), (4, "q"), (6, "h"), (8, "s"), (10, "u")] {
        assert_eq!(of::<Vec<String>>(graph(at), read(at)), [element]);
    }
    assert_eq!(of::<BTreeMap<String, i32>>(graph(5), read(5))["t"], 1);
    assert_eq!(of::<BTreeMap<String, i32>>(graph(7), read(7))["a"], 1);
    assert_eq!(of::<Vec<String>>(graph(9), read(9)), ["x", "y"]);
    assert_eq!(of::<BTreeMap<String, i32>>(graph(11), read(11)), BTreeMap::new());

    is("jarraylist", &JavaList(strings(&["a"])));
    survives(&JavaList(vec![1, 2]));

    let read = |name| streams::one("jdk-17", name);
    let limits = Limits::default();
    for sequence in from_bytes::<Vec<Vec<String>>>(&read("sequences"), &limits).unwrap() {
        assert_eq!(
            sequence,
            ["a", "b"],
            "and what a class below the list wrote is none of it"
        );
    }
    let few: Vec<Vec<Any>> = from_bytes(&read("few"), &limits).unwrap();
    let lengths: Vec<_> = few.iter().map(Vec::len).collect();
    assert_eq!(lengths, [0, 1, 1]);
    for entries in from_bytes::<Vec<BTreeMap<String, String>>>(&read("maps"), &limits).unwrap() {
        assert_eq!(entries, map(&[("k", "v")]));
    }
    let by_constant: HashMap<JavaEnum, String> = from_bytes(&read("enum-map"), &limits).unwrap();
    let green = by_constant.keys().next().unwrap();
    assert_eq!((&*green.constant, &*by_constant[green]), ("GREEN", "v"));
}

#[test]
fn arrays() {
    is("intarray", &JavaArray::new(vec![1, 2]));
    let strings = JavaArray::new(vec![Nullable(Some("a".to_owned())), Nullable(None)]);
    for version in ["3.5.9", "4.1.4"] {
        becomes(version, "strarray", &strings);
    }
    fn elements<T: ToJava + FromJava + Clone + PartialEq + Debug, const N: usize>(all: &[T; N]) {
        let bytes = to_bytes(&JavaArray::new(all.to_vec()), &table("4.1.4")).unwrap();
        let array: JavaArray<T> = from_bytes(&bytes.into(), &Limits::default()).unwrap();
        assert_eq!(array.elements, all);
    }
    elements(&[true, false]);
    elements(&[-1_i8, 1]);
    elements(&['a', 'é']);
    elements(&[-1_i16]);
    elements(&[i64::MIN]);
    elements(&[0.5_f32]);
    elements(&[-0.5_f64]);
    elements(&[String::new()]);
    elements(&[Nullable(Some(7)), Nullable(None)]);
    let tuples = JavaArray::of("scala.Tuple2", vec![("a".to_owned(), "b".to_owned())]);
    let bytes = to_bytes(&tuples, &table("4.1.4")).unwrap();
    assert_eq!(
        from_bytes::<JavaArray<(String, String)>>(&bytes.into(), &Limits::default()).unwrap(),
        tuples
    );
}

#[test]
fn durations_dates_and_enums() {
    let name = "finite";
    let two_minutes = FiniteDuration {
        length: 120,
        unit: TimeUnit::Seconds,
    };
    let half_a_minute = FiniteDuration {
        length: 30,
        unit: TimeUnit::Seconds,
    };
    for version in ["3.5.9", "4.1.4"] {
        let found = read::<FiniteDuration>(version, name).unwrap();
        assert!(
            [two_minutes, half_a_minute].contains(&found) || found.length == 0,
            "{found:?}"
        );
        becomes(version, name, &found);
    }
    is("date", &JavaDate { millis: 0 });
    survives(&JavaDate { millis: -1 });
    is("enum-java", &TimeUnit::Seconds);
    is(
        "enum-java",
        &JavaEnum {
            class: "java.util.concurrent.TimeUnit".to_owned(),
            constant: "SECONDS".to_owned(),
        },
    );
    for duration in [0, 1, 1_500_000, 86_400_000_000_000_u64] {
        survives(&Duration::from_nanos(duration));
    }
    let negative = to_bytes(
        &FiniteDuration {
            length: -1,
            unit: TimeUnit::Days,
        },
        &table("4.1.4"),
    )
    .unwrap();
    let error = from_bytes::<Duration>(&negative.into(), &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "-1 DAYS does not fit into Duration");
}

#[test]
fn any_object_is_sent_on_as_it_came() {
    for stream in streams::of("samples-4.1.4")
        .into_iter()
        .chain(streams::of("samples-3.5.9"))
    {
        let any: Any = from_bytes(&stream.bytes, &Limits::default()).unwrap();
        assert!(
            to_bytes(&any, &ClassTable::default()).unwrap() == stream.bytes,
            "{}",
            stream.name
        );
    }
}

#[test]
fn what_does_not_fit_is_said_with_its_place() {
    let error = read::<Vec<i32>>("4.1.4", "list").unwrap_err();
    assert_eq!(
        error.to_string(),
        "java.lang.Integer is expected, not java.lang.String"
    );
    let error = read::<(String, String)>("4.1.4", "tuple2").unwrap_err();
    assert_eq!(
        error.to_string(),
        "in field _2 of scala.Tuple2: java.lang.String is expected, not java.lang.Integer"
    );
    let big: Bytes = to_bytes(&300_i32, &table("4.1.4")).unwrap().into();
    let error = from_bytes::<i8>(&big, &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "300 does not fit into i8");
    assert!(to_bytes(&u64::MAX, &table("4.1.4")).is_err());
    assert!(to_bytes(&'🦀', &table("4.1.4")).is_err());
    assert!(read::<BTreeMap<String, String>>("4.1.4", "list").is_err());
    assert!(read::<Vec<String>>("4.1.4", "int").is_err());
}

/// A type that contains itself, such as a peer could make very large by sharing.
#[derive(Debug)]
struct Nest(#[expect(dead_code, reason = "only its size matters")] Vec<Nest>);

impl FromJava for Nest {
    fn from_java(
        value: spark_rpc_javaobj::Value,
        input: &mut spark_rpc_javaobj::Decoder<'_>,
    ) -> Result<Self, DecodeError> {
        match input.graph().as_str(value) {
            Some(_) => Ok(Self(Vec::new())),
            None => input.decode(value).map(Self),
        }
    }
}

#[test]
fn an_object_that_is_shared_is_paid_for_each_time() {
    let bytes = streams::one("jdk-17", "bomb");
    let limits = Limits {
        memory: 1 << 20,
        ..Limits::default()
    };
    let graph = Graph::read(&bytes, &limits).unwrap();
    match spark_rpc_javaobj::from_graph::<Nest>(&graph, &limits) {
        Err(DecodeError::LimitExceeded { limit, .. }) => {
            assert!(matches!(limit, Limit::Memory | Limit::Depth));
        }
        other => panic!("{other:?}"),
    }
    let deep = Limits {
        depth: 1000,
        ..limits
    };
    match spark_rpc_javaobj::from_graph::<Nest>(&graph, &deep) {
        Err(DecodeError::LimitExceeded { limit, .. }) => assert_eq!(limit, Limit::Memory),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_circle_ends_in_an_error() {
    let bytes = streams::one("jdk-17", "cycle");
    let graph = Graph::read(&bytes, &Limits::default()).unwrap();
    let all = graph
        .instance(graph.root().unwrap())
        .unwrap()
        .field("all")
        .unwrap();
    let mut decoder = spark_rpc_javaobj::Decoder::new(&graph, &Limits::default());
    assert!(decoder.decode::<Nest>(all).is_err());
}
