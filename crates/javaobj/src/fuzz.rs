//! What fuzzers and property tests call: each function takes any bytes and panics when a promise is broken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use crate::graph::Graph;
use crate::ids::Profile;
use crate::limits::Limits;
use crate::read_error::ReadError;
use crate::{
    Any, ClassTable, FromJava, JavaDate, NettyRpcEndpointRef, Nullable, RpcFailure, ScalaEnum, ScalaVector,
    Throwable, TimeUnit, ToJava, from_bytes, from_graph, to_bytes,
};

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

/// Makes Rust values of the bytes, of many types; what could be made can be written for each version of Scala, and for
/// a peer that taught us these bytes, and the first two read the same again.
pub fn convert(bytes: &[u8]) {
    let Ok(graph) = Graph::read(bytes, &LIMITS) else {
        return;
    };
    let mut learned = ClassTable::default();
    learned.observe(&graph);
    let tables = Tables {
        fixed: ["3.5.9", "4.1.4"]
            .map(|version| ClassTable::pinned(Profile::of(version).expect("it has a data file"))),
        learned,
    };
    tables.check::<bool>(&graph);
    tables.check::<i64>(&graph);
    tables.check::<char>(&graph);
    tables.check::<()>(&graph);
    tables.check::<String>(&graph);
    tables.check::<(Nullable<i32>, Nullable<String>)>(&graph);
    tables.check::<Option<Vec<String>>>(&graph);
    tables.check::<Vec<i32>>(&graph);
    tables.check::<Vec<String>>(&graph);
    tables.check::<ScalaVector<i64>>(&graph);
    tables.check::<BTreeSet<String>>(&graph);
    tables.check::<BTreeMap<String, String>>(&graph);
    tables.check::<BTreeMap<i32, Nullable<String>>>(&graph);
    tables.check::<Result<String, String>>(&graph);
    tables.check::<TimeUnit>(&graph);
    tables.check::<ScalaEnum>(&graph);
    tables.check::<JavaDate>(&graph);
    tables.check::<NettyRpcEndpointRef>(&graph);
    // A duration of more than 292 years is cut when it is written.
    let _ = from_graph::<Duration>(&graph, &LIMITS);
    for table in &tables.fixed {
        if let Ok(error) = from_graph::<Throwable>(&graph, &LIMITS)
            && let Ok(bytes) = to_bytes(&error, table)
        {
            // Classes that the table does not know change, the number of causes does not.
            let again: Throwable = from_bytes(&bytes.into(), &LIMITS).expect("what was written can be read");
            assert_eq!(causes(&again), causes(&error));
        }
        if let Ok(any) = from_graph::<Vec<Any>>(&graph, &LIMITS) {
            let _ = to_bytes(&any, table);
        }
    }
    if let Ok(failure) = from_graph::<RpcFailure>(&graph, &LIMITS) {
        let _ = to_bytes(&failure, &tables.learned);
    }
}

fn causes(error: &Throwable) -> usize {
    std::iter::successors(Some(error), |error| error.cause.as_deref()).count()
}

struct Tables {
    fixed: [ClassTable; 2],
    /// What the bytes taught, which may be any nonsense.
    learned: ClassTable,
}

impl Tables {
    fn check<T: FromJava + ToJava + PartialEq + Debug>(&self, graph: &Graph) {
        let Ok(value) = from_graph::<T>(graph, &LIMITS) else {
            return;
        };
        for table in &self.fixed {
            let bytes = to_bytes(&value, table).expect("what was read can be written");
            // Writing may take more room than reading did, where the peer shared objects.
            let limits = Limits::default();
            assert_eq!(from_bytes::<T>(&bytes.into(), &limits).as_ref(), Ok(&value));
        }
        let _ = to_bytes(&value, &self.learned);
    }
}
