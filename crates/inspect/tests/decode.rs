//! What real Spark has said, told; and any other bytes.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value as Json;
use spark_rpc_inspect::{Bounds, Kind, Story, Style, decode, decode_from, from_hex, unhex};

/// Bytes that went one way between two JVMs.
fn golden(name: &str) -> Bytes {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let text = std::fs::read(format!("{folder}/{name}.hex")).expect("the file is there");
    from_hex(&text).expect("digits").into()
}

fn told(bytes: &Bytes, style: Style) -> (Vec<String>, String, Story) {
    let (mut heads, mut all) = (Vec::new(), String::new());
    let story = decode(bytes, style, &mut |told| {
        all += &format!("{}\n{}", told.head, told.details);
        heads.push(told.head);
    });
    (heads, all, story)
}

fn json(bytes: &Bytes) -> Vec<Json> {
    let style = Style {
        json: true,
        ..Style::default()
    };
    let lines = told(bytes, style).0;
    let lines = lines.iter().map(|line| serde_json::from_str(line).expect("JSON"));
    lines.collect()
}

fn brief(name: &str) -> (Vec<String>, u64) {
    let style = Style {
        brief: true,
        ..Style::default()
    };
    let (heads, _, story) = told(&golden(name), style);
    (heads, story.problems())
}

#[test]
fn requests_are_told_with_envelope_and_objects() {
    let (heads, all, story) = told(&golden("3.5.9-ref-client-mode-client"), Style::default());
    assert_eq!(
        heads,
        [
            "at 0: RpcRequest 8593353680255513431, 173 bytes: RpcEndpointVerifier$CheckExistence to endpoint-verifier",
            "at 173: RpcRequest 6218543506135077734, 968 bytes: CarryRef to lab",
        ]
    );
    for line in [
        "to lab at 127.0.0.1:41965 from a client without an address",
        "name: \"lab\"",
        "note: \"with-ref\"",
    ] {
        assert!(all.contains(line), "{line}: {all}");
    }
    assert_eq!(story.problems(), 0);
}

#[test]
fn json_has_the_same_facts() {
    let all = json(&golden("3.5.9-ref-client-mode-server"));
    assert_eq!(all.len(), 3);
    assert_eq!(all[0]["content"]["value"]["fields"]["value"], true);
    assert_eq!(all[1]["type"], "OneWayMessage");
    assert_eq!(all[1]["endpoint"], "cb");
    assert_eq!(all[1]["receiver"], Json::Null);
    assert_eq!(all[1]["content"]["value"], "callback:with-ref");
    assert_eq!(all[2]["request_id"], "6218543506135077734");
    assert_eq!(all[2]["offset"], 126);
    assert_eq!(all[2]["content"]["class"], "org.apache.spark.rpc.lab.CarryRef");
}

#[test]
fn streams_and_uploads_are_announced_and_their_bodies_counted() {
    assert_eq!(
        brief("3.5.9-stream-dir-server"),
        (
            vec![
                "at 0: StreamResponse /dir/small.txt, 35 bytes".to_owned(),
                "at 35: body of 470 bytes".to_owned()
            ],
            0
        )
    );
    let (heads, problems) = brief("3.5.9-transport-upload-client");
    assert_eq!(heads[1], "at 38: body of 18 bytes");
    assert!(heads[2].starts_with("at 56: RpcRequest"), "{heads:?}");
    assert_eq!(problems, 0);
}

#[test]
fn what_follows_an_agreed_encryption_is_said_to_be_encrypted_and_no_error() {
    for (name, at, how) in [
        ("3.5.9-sasl-enc-client", 367, "SASL, auth-conf"),
        ("3.5.9-sasl-enc-server", 236, "SASL, auth-conf"),
        ("3.5.9-auth-v1-gcm-client", 123, "auth engine"),
        ("3.5.9-auth-v1-gcm-server", 123, "auth engine"),
        ("4.1.4-auth-v1-ctr-client", 123, "auth engine"),
        ("4.1.4-auth-v1-ctr-server", 123, "auth engine"),
    ] {
        let (heads, problems) = brief(name);
        let expected = format!("at {at}: encrypted from here ({how})");
        assert_eq!(
            (heads.last(), problems),
            (Some(&expected), 0),
            "{name}: {heads:?}"
        );
    }
}

#[test]
fn what_stays_readable_after_a_handshake_is_read() {
    for name in [
        "3.5.9-sasl-noenc-client",
        "3.5.9-sasl-noenc-server",
        "3.5.9-mix-crypto-client-sasl-server-client",
        "3.5.9-mix-crypto-client-sasl-server-server",
    ] {
        let (heads, problems) = brief(name);
        let last = heads.last().unwrap();
        assert!(
            last.ends_with("String to lab") || last.ends_with("String"),
            "{name}: {heads:?}"
        );
        assert_eq!(problems, 0);
    }
}

#[test]
fn the_proofs_of_a_handshake_are_not_printed() {
    let (_, all, _) = told(&golden("3.5.9-sasl-enc-client"), Style::default());
    assert!(all.contains("response=(left out)"), "{all}");
    assert!(!all.contains("5b6149c5bc870c33a62102ea73611e2c"), "{all}");
}

#[test]
fn failures_are_told_with_their_stack_trace() {
    let (heads, all, _) = told(&golden("3.5.9-ask-unknown-endpoint-server"), Style::default());
    assert!(heads.iter().any(|head| head.contains("RpcFailure")), "{heads:?}");
    assert!(all.contains("Could not find"), "{all}");
    assert!(all.contains("at org.apache.spark.rpc.netty.Dispatcher"), "{all}");
}

#[test]
fn every_recorded_direction_makes_sense_to_its_end() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = from_hex(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        assert_eq!(told(&bytes.into(), Style::default()).2.problems(), 0);
        count += 1;
    }
    assert!(count > 20);
}

#[test]
fn a_frame_that_is_cut_off_is_told_as_far_as_it_goes() {
    let bytes = golden("3.5.9-ref-client-mode-client").slice(..500);
    let (heads, all, story) = told(&bytes, Style::default());
    assert!(heads[1].contains("only 327 bytes of it are there"), "{heads:?}");
    assert!(heads[1].contains("CarryRef to lab"), "{heads:?}");
    assert!(all.contains("note: \"with-ref\""), "{all}");
    assert_eq!(story.problems(), 1);
}

#[test]
fn a_broken_object_is_told_up_to_the_break_with_its_place() {
    let mut bytes = golden("3.5.9-ref-client-mode-client").to_vec();
    // The string "with-ref" begins with the tag 0x74; there is no tag 0x99.
    let at = bytes
        .windows(11)
        .position(|window| window == b"t\0\x08with-ref")
        .unwrap();
    bytes[at] = 0x99;
    let (_, all, story) = told(&bytes.into(), Style::default());
    assert!(
        all.contains(&format!(
            "at {at}: the Java object stream that begins at 216 is broken: "
        )),
        "{all}"
    );
    assert!(all.contains("CarryRef {"), "{all}");
    assert_eq!(story.problems(), 1);
}

#[test]
fn streams_bodies_and_native_content_are_recognised_without_a_frame() {
    let request = golden("3.5.9-ref-client-mode-client");
    let body = request.slice(21..173);
    assert_eq!(Kind::of(&body), Kind::Body);
    let (_, all, story) = told(&body, Style::default());
    assert!(all.contains("to endpoint-verifier at 127.0.0.1:41965"), "{all}");
    assert_eq!(story.problems(), 0);

    let content = request.slice(21 + 36..173);
    assert_eq!(Kind::of(&content), Kind::Java);
    let (_, all, story) = told(&content, Style::default());
    assert!(all.contains("name: \"lab\""), "{all}");
    assert_eq!(story.problems(), 0);

    let native = Bytes::from_static(b"\x01\x04Text\x02hi");
    assert_eq!(Kind::of(&native), Kind::Native);
    let (_, all, _) = told(&native, Style::default());
    assert!(all.contains("native: Text, 3 bytes"), "{all}");
}

#[test]
fn other_protocols_are_named() {
    for (bytes, name) in [(&b"GET / HTTP/1.1\r\n"[..], "HTTP/1"), (b"SSH-2.0-x", "SSH")] {
        let (heads, _, story) = told(&bytes.into(), Style::default());
        assert!(heads[0].contains(name), "{heads:?}");
        assert_eq!(story.problems(), 1);
    }
    let (heads, _, story) = told(
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..].into(),
        Style::default(),
    );
    assert!(heads[0].contains("encrypted from here (TLS)"), "{heads:?}");
    assert_eq!(story.problems(), 0, "it may well be what was meant");
}

#[test]
fn much_is_cut_unless_everything_is_wanted() {
    use spark_rpc_javaobj::{ClassTable, to_bytes};
    let many: Vec<String> = (0..5000).map(|number| format!("number {number}")).collect();
    let bytes: Bytes = to_bytes(&many, &ClassTable::default()).unwrap().into();
    let (_, all, _) = told(&bytes, Style::default());
    assert!(all.lines().count() < 200, "{}", all.lines().count());
    assert!(all.contains("left out"), "{all}");
    let full = Style {
        bounds: Bounds::FULL,
        ..Style::default()
    };
    let (_, all, _) = told(&bytes, full);
    assert!(all.contains("number 4999"));
}

/// Gives one byte at a time, and does not end before it has to.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, space: &mut [u8]) -> std::io::Result<usize> {
        let length = space.len().min(1);
        self.0.read(&mut space[..length])
    }
}

#[test]
fn what_is_still_to_be_read_is_told_as_what_is_there() {
    let frames = golden("3.5.9-ref-client-mode-client");
    let recording = b"{\"spark-rpc-recording\":1,\"to\":\"x\"}\n\n{\"connection\":1,\"at_us\":1,\"event\":\"closed\"}\nnonsense";
    for bytes in [
        frames.clone(),
        frames.repeat(200).into(),
        frames.slice(..400),
        frames.slice(21..173),
        frames.slice(57..173),
        Bytes::from_static(recording),
        Bytes::from_static(b"00000000 0000000f 09 00000002 6869"),
        Bytes::new(),
        Bytes::from_static(&[0; 3]),
    ] {
        let expected = told(&unhex(bytes.clone()).unwrap(), Style::default());
        let mut heads = Vec::new();
        let story = decode_from(Dripping(&bytes), Style::default(), &mut |told| {
            heads.push(told.head);
        });
        assert_eq!(heads, expected.0);
        assert_eq!(story.unwrap().problems(), expected.2.problems());
    }
    let error = decode_from(&b"0a0b0c0d 0x"[..], Style::default(), &mut |_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "at 10: no hexadecimal digit, though it begins with some"
    );
}

#[test]
fn frames_are_told_before_the_input_ends() {
    /// Fails when it is read too far.
    struct Fails;

    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("it breaks here"))
        }
    }

    let frames = golden("3.5.9-ref-client-mode-client").repeat(200);
    let mut count = 0;
    let error = decode_from((&frames[..]).chain(Fails), Style::default(), &mut |_| count += 1).unwrap_err();
    assert_eq!(error.to_string(), "it breaks here");
    assert_eq!(count, 400);
}

const BEGINNINGS: &[&[u8]] = &[
    b"",
    b"\xac\xed\0\x05",
    b"\xac\xed\0\x05sr\0\x01A\0\0\0\0\0\0\0\0\x02\0\x01L\0\x01at\0\x01L",
    b"\0\0\0\0\0\0\0\x40\x03",
    b"\0\0\0\0\0\0\0\x40\x04\0\0\0\0\0\0\0\x01\0\0\0\x05\xfb",
    b"\0\0\0\0\0\0\0\x20\x07\0\0\0\x01a",
    b"{\"spark-rpc-recording\":1,\"to\":\"x\"}\n",
    b"\x01\x04",
    b"\0\0\0\0\0\0\0\x40\x09\0\0\0\x20\0\0\0\x03lab\xac\xed\0\x05",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 3000 }))]

    /// Any bytes, some behind a beginning that leads deeper.
    #[test]
    fn any_bytes_are_told_within_bounds(
        begin in prop::sample::select(BEGINNINGS),
        tail in prop::collection::vec(any::<u8>(), 0..300),
        as_json in any::<bool>(),
    ) {
        let bytes = Bytes::from([begin, &tail[..]].concat());
        let style = Style { json: as_json, ..Style::default() };
        let (_, all, _) = told(&bytes, style);
        prop_assert!(all.len() < 200_000);
        prop_assert!(as_json || all.chars().all(|char| char == '\n' || !char.is_control()), "{all:?}");
    }

    /// What Spark wrote, with a few bytes changed.
    #[test]
    fn damaged_conversations_are_told(changes in prop::collection::vec((0_usize..1100, any::<u8>()), 1..8)) {
        let mut bytes = golden("3.5.9-ref-client-mode-server").to_vec();
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        told(&bytes.into(), Style::default());
    }
}
