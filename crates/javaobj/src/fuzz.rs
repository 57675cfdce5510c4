//! What fuzzers and property tests call: each function takes any bytes and panics when a promise is broken.

use crate::graph::Graph;
use crate::limits::Limits;
use crate::read_error::ReadError;

/// Limits under which nothing takes long or much.
pub const LIMITS: Limits = Limits {
    depth: 100,
    handles: 10_000,
    string_bytes: 1 << 20,
    array_elements: 1 << 20,
    memory: 16 << 20,
};

/// Reads the bytes; what could be read can be written, and reads the same again.
pub fn read_and_write(bytes: &[u8]) {
    let Ok(graph) = Graph::read(bytes, &LIMITS) else {
        return;
    };
    let mut written = Vec::new();
    graph
        .write_to(&mut written, LIMITS.depth + 1)
        .expect("what was read can be written");
    let again = Graph::read(&written, &LIMITS).expect("what was written can be read");
    let mut twice = Vec::new();
    again
        .write_to(&mut twice, LIMITS.depth + 1)
        .expect("what was read can be written");
    assert_eq!(written, twice);
}

/// Prints what the bytes hold; a tree never takes more than its limits and its bytes allow.
pub fn print(bytes: &[u8]) {
    if let Ok(graph) = Graph::read(bytes, &LIMITS) {
        let text = graph.to_string();
        // Indentation is the most that an object can cost: two blanks a level.
        let most = (LIMITS.depth + 1) * 600 * (bytes.len() + 1);
        assert!(
            text.len() <= most,
            "{} bytes print as {}",
            bytes.len(),
            text.len()
        );
    }
}

/// Reads the first object only; it is the first of those that reading everything finds.
pub fn read_first(bytes: &[u8]) {
    let shared = bytes::Bytes::copy_from_slice(bytes);
    match Graph::read_first(&shared, &LIMITS) {
        Ok((graph, used)) => {
            assert!(used <= bytes.len());
            assert_eq!(
                Graph::read(&bytes[..used], &LIMITS).map(|whole| whole.contents().len()),
                Ok(graph.contents().len())
            );
        }
        Err(ReadError::Empty) => {}
        Err(_) => assert!(Graph::read(bytes, &LIMITS).is_err()),
    }
}
