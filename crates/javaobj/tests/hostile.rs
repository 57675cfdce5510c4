//! Bytes from somebody who means no good.

mod streams;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use spark_rpc_javaobj::{Graph, Limit, Limits, ReadError, fuzz};

fn read(bytes: &[u8], limits: &Limits) -> Result<Graph, ReadError> {
    Graph::read(bytes, limits)
}

/// The stream that begins with the magic and goes on with `hex`.
fn stream(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    let mut bytes = b"\xac\xed\x00\x05".to_vec();
    bytes.extend(streams::unhex(&hex));
    bytes
}

fn fails(hex: &str) -> ReadError {
    read(&stream(hex), &Limits::default()).expect_err("not acceptable")
}

/// `Object[]`, without its length and elements.
const OBJECT_ARRAY: &str = "75 72 0013 5b4c6a6176612e6c616e672e4f626a6563743b 90ce589f1073296c 02 0000 78 70";
/// Class `A`, serialisable without fields or superclass.
const CLASS_A: &str = "72 0001 41 0000000000000001 02 0000 78 70";

#[test]
fn only_java_streams_are_read() {
    for bytes in [&b""[..], b"\xac\xed", b"GET / HTTP/1.1", b"\xac\xed\x00\x04p"] {
        let found = bytes[..bytes.len().min(4)].to_vec();
        assert_eq!(read(bytes, &Limits::default()), Err(ReadError::NotJava { found }));
    }
}

#[test]
fn every_stream_cut_short_anywhere_is_an_error_or_a_shorter_stream() {
    for stream in streams::of("samples-4.1.4") {
        for end in 4..stream.bytes.len() {
            match read(&stream.bytes[..end], &Limits::default()) {
                Err(ReadError::Truncated { at, .. }) => assert_eq!(at, end, "{}", stream.name),
                Ok(graph) => assert!(graph.root().is_none(), "{} cut at {end}", stream.name),
                Err(error) => panic!("{} cut at {end}: {error}", stream.name),
            }
        }
    }
}

#[test]
fn an_announced_length_alone_reserves_nothing() {
    let limits = Limits {
        memory: 1 << 20,
        ..Limits::default()
    };
    for hex in [
        // A string, a long string, blocks, arrays, a proxy class.
        "74 ffff",
        "7c 0000000003ffffff",
        "7a 7fffffff",
        "75 72 0002 5b42 0000000000000000 02 0000 78 70 07ffffff",
        "75 72 0002 5b4a 0000000000000000 02 0000 78 70 07ffffff",
        &format!("{OBJECT_ARRAY} 07ffffff"),
        "73 7d 7fffffff",
        "73 72 0001 41 0000000000000001 02 ffff",
    ] {
        let error = read(&stream(hex), &limits).expect_err(hex);
        assert!(matches!(error, ReadError::Truncated { .. }), "{hex}: {error}");
    }
}

#[test]
fn each_limit_is_named_when_it_is_passed() {
    let exceeded = |bytes: &[u8], limits: Limits| match read(bytes, &limits) {
        Err(ReadError::LimitExceeded { limit, max, .. }) => (limit, max),
        other => panic!("{other:?}"),
    };
    let limits = Limits::default();
    let list = streams::one("jdk-17", "collections");
    let depth = Limits { depth: 3, ..limits };
    assert_eq!(exceeded(&list, depth), (Limit::Depth, 3));
    let handles = Limits {
        handles: 50,
        ..limits
    };
    assert_eq!(exceeded(&list, handles), (Limit::Handles, 50));
    let memory = Limits {
        memory: 10_000,
        ..limits
    };
    assert_eq!(exceeded(&list, memory), (Limit::Memory, 10_000));
    let string = Limits {
        string_bytes: 65535,
        ..limits
    };
    let long = streams::one("jdk-17", "long-string");
    assert_eq!(exceeded(&long, string), (Limit::StringBytes, 65535));
    let array = Limits {
        array_elements: 11,
        ..limits
    };
    let arrays = streams::one("jdk-17", "arrays");
    assert_eq!(exceeded(&arrays, array), (Limit::ArrayElements, 11));
}

#[test]
fn negative_lengths_are_refused() {
    for (hex, length) in [
        ("7c ffffffffffffffff", -1),
        ("7a 80000000", -0x8000_0000),
        (&format!("{OBJECT_ARRAY} fffffffe"), -2),
        ("73 7d ffffffff", -1),
    ] {
        match fails(hex) {
            ReadError::NegativeLength { length: found, .. } => assert_eq!(found, length),
            other => panic!("{hex}: {other}"),
        }
    }
}

#[test]
fn references_lead_only_to_what_is_there_and_fits() {
    for (hex, text) in [
        ("71 007e0000", "leads to nothing"),
        ("74 0000 71 007dffff", "leads to nothing"),
        // A class that is its own superclass; one that has an object of itself in its annotation.
        (
            "73 72 0001 41 0000000000000001 02 0000 78 71 007e0000",
            "has not ended",
        ),
        (
            "73 72 0001 41 0000000000000001 02 0000 73 71 007e0000",
            "has not ended",
        ),
        // A string as class, a class as field type, an object as field type.
        ("74 0000 73 71 007e0000", "leads to an object"),
        (
            "73 72 0001 41 0000000000000001 02 0001 4c 0001 66 71 007e0000",
            "leads to a class descriptor",
        ),
        (
            &format!("73 {CLASS_A} 73 72 0001 42 0000000000000001 02 0001 4c 0001 66 71 007e0001"),
            "leads to another object",
        ),
        // After a reset.
        ("74 0000 79 71 007e0000", "leads to nothing"),
    ] {
        let error = fails(hex);
        assert!(matches!(error, ReadError::BadReference { .. }), "{hex}: {error}");
        assert!(error.to_string().contains(text), "{hex}: {error}");
    }
}

#[test]
fn classes_are_used_only_for_what_they_are() {
    for hex in [
        // No class; an array of a class that is none, or of an unknown kind; an object of an array's or enum's class.
        "73 70",
        &format!("75 {CLASS_A} 00000000"),
        "75 72 0002 5b58 0000000000000001 02 0000 78 70 00000000",
        "73 72 0002 5b49 0000000000000001 02 0000 78 70",
        "73 72 0001 41 0000000000000001 12 0000 78 70",
        // An enum constant of a class that is none; neither serialisable nor externalisable; both.
        &format!("7e {CLASS_A} 740000"),
        "73 72 0001 41 0000000000000001 00 0000 78 70",
        "73 72 0001 41 0000000000000001 06 0000 78 70",
    ] {
        let error = fails(hex);
        assert!(matches!(error, ReadError::WrongClass { .. }), "{hex}: {error}");
    }
    let old = fails("73 72 0001 41 0000000000000001 04 0000 78 70 01020304");
    assert!(matches!(old, ReadError::Unbounded { .. }), "{old}");
}

#[test]
fn what_may_not_stand_in_a_place_is_refused_there() {
    for hex in [
        "00",
        "78",
        "ff",
        &format!("{OBJECT_ARRAY} 00000001 79"),
        &format!("{OBJECT_ARRAY} 00000001 7700"),
        "73 74 0000",
        "7e 72 0001 41 0000000000000000 12 0000 78 70 70",
        "73 72 0001 41 0000000000000001 02 0001 4c 0001 66 70",
    ] {
        let error = fails(hex);
        assert!(matches!(error, ReadError::UnexpectedTag { .. }), "{hex}: {error}");
    }
    let error = fails("73 72 0001 41 0000000000000001 02 0001 58 0001 66 000000");
    assert_eq!(error, ReadError::BadFieldType { at: 20, code: b'X' });
    assert_eq!(fails("74 0002 61ff"), ReadError::BadString { at: 8 });
    let half_a_pair = "73 72 0003 eda0be 0000000000000001 02 0000 78 70";
    assert_eq!(fails(half_a_pair), ReadError::BadName { at: 6 });
}

#[test]
fn the_deepest_stream_needs_less_than_a_small_stack() {
    // Arrays in arrays, objects in fields, classes' superclasses, and annotations of classes.
    let array = stream(&format!("{OBJECT_ARRAY} 00000001")) // then: 75 71 <class> 1
        .into_iter()
        .chain(streams::unhex("75 71 007e0000 00000001".replace(' ', "").as_str()).repeat(5000))
        .collect::<Vec<_>>();
    let supers = stream("73")
        .into_iter()
        .chain(
            streams::unhex("720001410000000000000001020000")
                .into_iter()
                .chain([0x78])
                .collect::<Vec<_>>()
                .repeat(5000),
        )
        .collect();
    let annotated = stream("")
        .into_iter()
        .chain(streams::unhex("73720001410000000000000001020000").repeat(5000))
        .collect();
    for bytes in [array, supers, annotated] {
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let result = thread
            .spawn(move || Graph::read(&bytes, &Limits::default()))
            .unwrap()
            .join()
            .unwrap();
        let depth = Limits::default().depth;
        match result {
            Err(ReadError::LimitExceeded { limit, max, .. }) => {
                assert_eq!((limit, max), (Limit::Depth, depth));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_hash_set_bomb_is_only_a_small_graph() {
    let bytes = streams::one("jdk-17", "bomb");
    let begin = Instant::now();
    let limits = Limits {
        depth: 300,
        ..Limits::default()
    };
    let graph = read(&bytes, &limits).unwrap();
    assert_eq!(graph.classes().len(), 1);
    let text = graph.to_string();
    assert!(text.contains("@198"), "each set is printed once");
    let mut written = Vec::new();
    graph.write_to(&mut written, 300).unwrap();
    assert!(written == bytes);
    assert!(begin.elapsed() < Duration::from_secs(5), "and not 2^100 steps");
}

#[test]
fn many_resets_cost_little() {
    let mut bytes = stream(&format!("{OBJECT_ARRAY} 00004e20"));
    bytes.extend(streams::unhex("740000").repeat(20_000));
    bytes.extend([0x79].repeat(200_000));
    let begin = Instant::now();
    let graph = read(&bytes, &Limits::default()).unwrap();
    assert!(graph.write().unwrap() == bytes);
    assert!(begin.elapsed() < Duration::from_secs(5), "and not 4 * 10^9 steps");
}

#[test]
fn memory_is_counted_also_where_the_stream_pays_nothing() {
    // 100 classes above each other without fields: each object of six bytes has 100 parts, or if the class is
    // externalizable 100 superclasses to look through.
    for (flags, object) in [("02", "7371007e0002"), ("0c", "7371007e000278")] {
        let mut bytes = stream(OBJECT_ARRAY);
        bytes.extend(50_001_u32.to_be_bytes());
        bytes.push(0x73);
        for _ in 0..100 {
            bytes.extend(streams::unhex(&format!("720001410000000000000001{flags}000078")));
        }
        bytes.push(0x70);
        if flags == "0c" {
            bytes.push(0x78);
        }
        bytes.extend(streams::unhex(object).repeat(50_000));
        let limits = Limits {
            memory: 64 << 20,
            ..Limits::default()
        };
        match read(&bytes, &limits) {
            Err(ReadError::LimitExceeded { limit, .. }) => assert_eq!(limit, Limit::Memory),
            other => panic!("{:?}", other.map(|graph| graph.objects().len())),
        }
    }
}

/// References take five bytes; what they lead to may be long.
#[test]
fn what_is_long_and_mentioned_often_is_not_printed_as_often() {
    let long = "61".repeat(60_000);
    for first in [
        format!("74 ea60 {long} 74 0000"),
        format!("7e 72 0001 41 0000000000000000 12 0000 78 70 74 ea60 {long} 70"),
        format!("76 72 ea60 {long} 0000000000000000 00 0000 78 70 70"),
        format!("73 72 0001 41 0000000000000001 02 0001 42 ea60 {long} 78 70 07 70"),
    ] {
        let references = match &first[..2] {
            "73" => "73 71 007e0002 07".repeat(1000),
            "74" => "71 007e0002".repeat(1000),
            _ => "71 007e0003".repeat(1000),
        };
        let bytes = stream(&format!("{OBJECT_ARRAY} 000003ea {first} {references}"));
        let graph = read(&bytes, &Limits::default()).unwrap();
        for text in [graph.to_string(), format!("{graph:#}")] {
            assert!(text.len() < 1 << 20, "{}: {} bytes", &first[..2], text.len());
        }
    }
}

#[test]
fn recorded_streams_keep_all_promises() {
    for stream in streams::all() {
        fuzz::read_and_write(&stream.bytes);
        fuzz::read_first(&stream.bytes);
        fuzz::print(&stream.bytes);
        fuzz::convert(&stream.bytes);
    }
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let streams: Vec<_> = streams::all()
        .into_iter()
        .filter(|stream| stream.bytes.len() < 20_000)
        .map(|stream| stream.bytes.to_vec())
        .collect();
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    (prop::sample::select(streams), prop::collection::vec(change, 1..8)).prop_map(|(mut bytes, changes)| {
        for (at, byte, kind) in changes {
            let at = 4 + at.index(bytes.len() - 4 + 1);
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => bytes.truncate(at),
                3 if at < bytes.len() => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn mutated_streams_keep_all_promises(bytes in mutated()) {
        fuzz::read_and_write(&bytes);
        fuzz::read_first(&bytes);
        fuzz::print(&bytes);
        fuzz::convert(&bytes);
    }

    #[test]
    fn random_bytes_keep_all_promises(bytes in prop::collection::vec(prop_oneof![0x70..=0x7eu8, any::<u8>(), Just(0)], 0..60)) {
        let bytes = [&b"\xac\xed\x00\x05"[..], &bytes].concat();
        fuzz::read_and_write(&bytes);
        fuzz::read_first(&bytes);
        fuzz::print(&bytes);
        fuzz::convert(&bytes);
    }
}
