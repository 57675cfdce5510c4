//! Java content that was made to crash, choke or flood whoever looks at it.

use std::time::{Duration, Instant};

use spark_rpc_inspect::{Bounds, Style, decode};

/// The stream that begins with the magic and goes on with `hex`.
fn stream(hex: &str) -> Vec<u8> {
    let hex = format!("aced0005{hex}");
    spark_rpc_inspect::from_hex(hex.as_bytes()).unwrap()
}

/// What is printed of it in all the ways there are; how much that was.
fn told(bytes: &[u8]) -> usize {
    let bytes = bytes.to_vec().into();
    let mut length = 0;
    for json in [false, true] {
        for bounds in [Bounds::BRIEF, Bounds::FULL] {
            let style = Style {
                json,
                bounds,
                ..Style::default()
            };
            decode(&bytes, style, &mut |told| {
                length += told.head.len() + told.details.len();
            });
        }
    }
    let (graph, ..) = spark_rpc_javaobj::Graph::read_leniently(&bytes, &Style::default().limits, false);
    let full = Bounds {
        values: 100_000,
        ..Bounds::FULL
    };
    length + spark_rpc_inspect::java_to_text(&graph, &full).len()
}

const OBJECT_ARRAY: &str = "75 72 0013 5b4c6a6176612e6c616e672e4f626a6563743b 90ce589f1073296c 02 0000 78 70";

/// `scala.runtime.ModuleSerializationProxy`, whose only field is the proxy itself.
#[test]
fn a_module_that_stands_for_itself_comes_to_an_end() {
    let name: String = b"scala.runtime.ModuleSerializationProxy"
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let class =
        format!("72 0026 {name} 0000000000000001 02 0001 4c 000b 6d6f64756c65436c617373 740000 78 70");
    told(&stream(&format!("73 {class} 71 007e0002")));
    // Two that stand for each other.
    told(&stream(&format!("73 {class} 73 71 007e0000 71 007e0002")));
}

/// References take five bytes; what they lead to may be long.
#[test]
fn a_long_name_that_is_mentioned_often_is_not_printed_as_often() {
    const MENTIONED: usize = 600;
    const LENGTH: usize = 60_000;
    let begun = Instant::now();
    let name = "61".repeat(LENGTH);
    let class = |flags: &str| format!("72 {LENGTH:04x} {name} 0000000000000000 {flags} 0000 78 70");
    for first in [
        // A constant, a class, a class's descriptor, an object, and one with a field.
        format!("7e 72 0001 41 0000000000000000 12 0000 78 70 74 {LENGTH:04x} {name}"),
        format!("76 {}", class("00")),
        class("00"),
        format!("73 {}", class("02")),
        format!("73 72 0001 41 0000000000000001 02 0001 42 {LENGTH:04x} {name} 78 70 07"),
        format!("74 {LENGTH:04x} {name}"),
    ] {
        // Objects themselves are printed once; new ones of the same class are not.
        let more = match &first[..2] {
            "73" if first.ends_with("07") => "73 71 007e0002 07",
            "73" => "73 71 007e0002",
            "72" | "74" => "71 007e0002",
            _ => "71 007e0003",
        }
        .repeat(MENTIONED - 1);
        let bytes = stream(&format!("{OBJECT_ARRAY} {MENTIONED:08x} {first} {more}"));
        assert!(spark_rpc_javaobj::Graph::read(&bytes, &Style::default().limits).is_ok());
        let length = told(&bytes);
        assert!(length < 64 << 20, "{}: {length} bytes", &first[..2]);
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_tuple_with_too_many_fields_takes_no_longer_than_others() {
    let begun = Instant::now();
    let fields: String = (1..=40_000)
        .map(|place: u16| {
            let name = format!("_{place}");
            let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("49 {:04x} {hex}", name.len())
        })
        .collect();
    let class: String = b"scala.Tuple2".iter().map(|byte| format!("{byte:02x}")).collect();
    let class = format!("72 000c {class} 0000000000000001 02 9c40 {fields} 78 70");
    told(&stream(&format!("73 {class} {}", "00000001".repeat(40_000))));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
