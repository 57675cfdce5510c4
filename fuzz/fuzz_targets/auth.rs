//! Handshakes, encrypted records, certificates: everything that `spark-rpc-auth` reads from a peer.
//!
//! The first byte chooses what the others are for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spark_rpc_auth::fuzz::TARGETS;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let (_, target) = TARGETS[usize::from(*choice) % TARGETS.len()];
    target(bytes);
});
