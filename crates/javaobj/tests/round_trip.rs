//! Streams that a JVM wrote come out again as they were.

mod streams;

use spark_rpc_javaobj::{Content, Elements, Graph, Item, Limits, Object, ReadError, Value};

fn read(bytes: &[u8]) -> Graph {
    Graph::read(bytes, &Limits::default()).unwrap()
}

#[test]
fn every_recorded_stream_is_written_as_it_was_read() {
    let mut count = 0;
    for stream in streams::all() {
        if stream.name == "jdk-17/given-up" {
            continue;
        }
        let graph = Graph::read(&stream.bytes, &Limits::default())
            .unwrap_or_else(|error| panic!("{}: {error}", stream.name));
        assert!(graph.write().unwrap() == stream.bytes, "{}", stream.name);
        let shared = Graph::read_shared(&stream.bytes, &Limits::default()).unwrap();
        assert!(shared.write().unwrap() == stream.bytes, "{}, shared", stream.name);
        count += 1;
    }
    assert_eq!(
        count,
        51 + 52 + 128 + 129 + 17 + 17 + 30,
        "no stream was lost on the way here"
    );
}

#[test]
fn a_copy_into_another_graph_is_the_same_stream() {
    for stream in streams::all() {
        let Ok(graph) = Graph::read(&stream.bytes, &Limits::default()) else {
            continue;
        };
        let ([Content::Value(value)], true) = (graph.contents(), stream.name != "jdk-17/reset") else {
            continue;
        };
        let mut copy = Graph::new();
        copy.add_string("so that all ids differ");
        let value = copy.import(&graph, *value);
        copy.push(Content::Value(value));
        assert!(copy.write().unwrap() == stream.bytes, "{}", stream.name);
    }
}

#[test]
fn the_first_object_ends_where_the_next_begins() {
    let mut bytes = streams::one("samples-4.1.4", "rpcaddress").to_vec();
    let length = bytes.len();
    bytes.extend_from_slice(b"whatever follows");
    let (graph, used) = Graph::read_first(&bytes.into(), &Limits::default()).unwrap();
    assert_eq!(used, length);
    let address = graph.instance(graph.root().unwrap()).unwrap();
    assert_eq!(address.field("port"), Some(Value::Int(1234)));

    let nothing = b"\xac\xed\x00\x05\x77\x01\x00".to_vec().into();
    assert_eq!(
        Graph::read_first(&nothing, &Limits::default()),
        Err(ReadError::Empty)
    );
}

#[test]
fn each_class_of_the_hierarchy_keeps_its_own_fields() {
    let graph = read(&streams::one("jdk-17", "hidden-field"));
    let object = graph.instance(graph.root().unwrap()).unwrap();
    assert_eq!(object.class_name(), "JdkSamples$Below");
    assert!(object.is_a("JdkSamples$Primitives"));
    assert_eq!(object.class().uid(), 3);
    let lower = object.field("c").unwrap();
    assert_eq!(graph.as_str(lower), Some("the same name one level below"));
    let upper = |name| object.field_of("JdkSamples$Primitives", name).unwrap();
    assert_eq!(upper("c"), Value::Char(0xffff));
    assert_eq!(upper("z"), Value::Boolean(true));
    assert_eq!(upper("b"), Value::Byte(-1));
    assert_eq!(upper("s"), Value::Short(-2));
    assert_eq!(upper("i"), Value::Int(-3));
    assert_eq!(upper("j"), Value::Long(-4));
    assert_eq!(upper("f"), Value::Float(1.5));
    assert_eq!(upper("d"), Value::Double(-2.5));
    assert_eq!(object.field("lost"), None, "transient");
}

/// Its superclasses stand in the descriptor, but have no data of their own in the stream.
#[test]
fn an_externalizable_class_writes_for_those_above_it() {
    let graph = read(&streams::one("jdk-17", "external-below"));
    let [
        Content::Value(below),
        Content::Value(below_external),
        Content::Value(after),
    ] = graph.contents()
    else {
        panic!("{:?}", graph.contents())
    };
    let below = graph.instance(*below).unwrap();
    assert!(below.is_a("JdkSamples$Primitives"));
    assert_eq!(below.parts().count(), 1);
    assert_eq!(below.field("i"), None);
    let [Item::Block(number), Item::Value(text)] = below.annotation() else {
        panic!("{:?}", below.annotation())
    };
    assert_eq!(&number[..], [0, 0, 0, 9]);
    assert_eq!(graph.as_str(*text), Some("by hand"));
    let below_external = graph.instance(*below_external).unwrap();
    assert!(below_external.is_a("JdkSamples$External"));
    assert_eq!(below_external.annotation().len(), 3);
    assert_eq!(graph.as_str(*after), Some("after"));
}

#[test]
fn what_a_class_writes_by_hand_stands_beside_its_fields() {
    let graph = read(&streams::one("jdk-17", "blocks"));
    let root = graph.root().unwrap();
    let object = graph.instance(root).unwrap();
    assert_eq!(object.field("kept"), Some(Value::Int(7)));
    let pieces: Vec<_> = object
        .annotation()
        .iter()
        .map(|item| match item {
            Item::Block(bytes) => bytes.len().to_string(),
            Item::Value(value) if *value == root => "this".to_owned(),
            Item::Value(Value::Null) => "null".to_owned(),
            Item::Value(value) => graph.as_str(*value).unwrap().to_owned(),
        })
        .collect();
    assert_eq!(
        pieces.join(" "),
        "4 between 255 this 256 null 1024 1024 957",
        "blocks end where the JVM's did"
    );
}

#[test]
fn a_circle_leads_back_to_the_same_object() {
    let graph = read(&streams::one("jdk-17", "cycle"));
    let root = graph.root().unwrap();
    let next = graph.instance(root).unwrap().field("next").unwrap();
    assert_eq!(graph.instance(next).unwrap().field("next"), Some(root));
    let all = graph.instance(root).unwrap().field("all").unwrap();
    let Some(Object::Array(array)) = graph.object(all) else {
        panic!("an array")
    };
    assert_eq!(array.elements, Elements::Object(vec![root, all]));
}

#[test]
fn after_a_reset_nothing_refers_back() {
    let graph = read(&streams::one("jdk-17", "reset"));
    let [
        Content::Value(first),
        Content::Value(second),
        Content::Reset,
        Content::Value(third),
    ] = graph.contents()
    else {
        panic!("{:?}", graph.contents())
    };
    assert_eq!(first, second);
    assert_ne!(first, third);

    // The same object again after the reset is written in full, as a JVM does.
    let mut again = graph.clone();
    again.push(Content::Reset);
    again.push(Content::Value(*third));
    let bytes = again.write().unwrap();
    let tail = &graph.write().unwrap()[4..][..93];
    assert!(bytes.ends_with(tail));
}

#[test]
fn strings_are_read_whatever_their_length_and_characters() {
    let text = |name| {
        let graph = read(&streams::one("jdk-17", name));
        match graph.object(graph.root().unwrap()) {
            Some(Object::String(string)) => string.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(text("nul-and-pairs").as_str(), Some("a\0bé€🦀"));
    assert_eq!(text("half-pair").as_str(), None);
    assert_eq!(text("half-pair").to_string_lossy(), "x\u{fffd}y");
    assert_eq!(text("long-string").as_str().unwrap(), "é".repeat(32768));
    assert_eq!(text("longest-short-string").as_str().unwrap().len(), 65535);
}

#[test]
fn a_writer_that_gave_up_is_reported_with_its_exception() {
    let error =
        Graph::read(&streams::one("jdk-17", "given-up"), &Limits::default()).expect_err("half an object");
    assert_eq!(
        error.to_string(),
        "byte 116: the writer gave up in the middle of an object: java.io.NotSerializableException: java.lang.Object"
    );

    // Between objects the exception is content like any other.
    let mut bytes = b"\xac\xed\x00\x05\x74\x00\x01a\x7b".to_vec();
    bytes.extend_from_slice(&streams::one("jdk-17", "exception")[4..]);
    bytes.extend_from_slice(b"\x74\x00\x01b");
    let graph = read(&bytes);
    assert!(matches!(
        graph.contents(),
        [Content::Value(_), Content::Exception(_), Content::Value(_)]
    ));
    assert_eq!(graph.write().unwrap(), bytes);
}
