//! Java object streams: what can be read can be written, printed and converted, all within limits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spark_rpc_javaobj::fuzz;

fuzz_target!(|input: &[u8]| {
    // Nothing else begins a stream, so the fuzzer need not find that out.
    let bytes = [&b"\xac\xed\x00\x05"[..], input].concat();
    fuzz::read_and_write(&bytes);
    fuzz::read_first(&bytes);
    fuzz::print(&bytes);
    fuzz::convert(&bytes);
});
