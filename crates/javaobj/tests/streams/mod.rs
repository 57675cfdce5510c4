//! The recorded streams, by name.

// Each test program uses some of these.
#![allow(dead_code)]

use bytes::Bytes;

pub(crate) const FILES: [(&str, &str); 7] = [
    ("samples-3.5.9", include_str!("../data/samples-3.5.9.txt")),
    ("samples-4.1.4", include_str!("../data/samples-4.1.4.txt")),
    ("recorded-3.5.9", include_str!("../data/recorded-3.5.9.txt")),
    ("recorded-4.1.4", include_str!("../data/recorded-4.1.4.txt")),
    ("scala-2.12", include_str!("../data/scala-2.12.txt")),
    ("scala-2.13", include_str!("../data/scala-2.13.txt")),
    ("jdk-17", include_str!("../data/jdk-17.txt")),
];

/// A stream that a JVM wrote.
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
}

/// All streams of all files.
pub(crate) fn all() -> Vec<Stream> {
    FILES.iter().flat_map(|(file, _)| of(file)).collect()
}

/// The streams of one file.
pub(crate) fn of(file: &str) -> Vec<Stream> {
    let (_, text) = FILES
        .iter()
        .find(|(name, _)| *name == file)
        .expect("a known file");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, hex) = line.split_once(' ').expect("a name and hex");
            Stream {
                name: format!("{file}/{name}"),
                bytes: unhex(hex).into(),
            }
        })
        .collect()
}

/// One stream.
pub(crate) fn one(file: &str, name: &str) -> Bytes {
    let full = format!("{file}/{name}");
    let stream = of(file).into_iter().find(|stream| stream.name == full);
    stream.unwrap_or_else(|| panic!("no stream {full}")).bytes
}

pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}
