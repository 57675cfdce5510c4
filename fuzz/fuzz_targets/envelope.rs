//! The header of an RPC body: what decodes, encodes, and decodes to the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spark_rpc_wire::{Envelope, EnvelopeError};

fuzz_target!(|body: &[u8]| {
    let walked = Envelope::header_len(body);
    match Envelope::decode(body) {
        Ok((envelope, length)) => {
            assert_eq!(walked, Ok(length));
            let mut written = Vec::new();
            match envelope.encode(&mut written) {
                Ok(()) => assert_eq!(Envelope::decode(&written), Ok((envelope, written.len()))),
                // A NUL that came as one byte goes as two.
                Err(EnvelopeError::TooLong { length, .. }) => assert!(length > 65535 && written.is_empty()),
                Err(error) => panic!("{error}"),
            }
        }
        Err(EnvelopeError::NotModifiedUtf8 { .. }) => assert!(walked.is_ok()),
        Err(error) => assert_eq!(walked, Err(error)),
    }
});
