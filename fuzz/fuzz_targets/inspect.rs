//! What `spark-rpc decode` and `tap` are made to look at: conversations, recordings, Java objects.
//!
//! The first byte chooses what the others are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spark_rpc_inspect::fuzz::TARGETS;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let (_, target) = TARGETS[usize::from(*choice) % TARGETS.len()];
    target(bytes);
});
