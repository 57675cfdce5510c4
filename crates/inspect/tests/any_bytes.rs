//! Any bytes, and good bytes with something wrong, told in all the ways there are.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use proptest::prelude::*;
use spark_rpc_inspect::{from_hex, fuzz};
use spark_rpc_javaobj::{
    ClassTable, JavaEnum, NettyRpcEndpointRef, Profile, RpcAddress, RpcFailure, ScalaEnum, Throwable, ToJava,
    to_bytes,
};

/// Beginnings that get an input past the first checks: conversations, and Java objects of all shapes without the beginning
/// that all have.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let mut samples: Vec<_> = [
            &include_bytes!("golden/3.5.9-ref-client-mode-server.hex")[..],
            include_bytes!("golden/3.5.9-sasl-enc-client.hex"),
            include_bytes!("golden/3.5.9-transport-upload-client.hex"),
            include_bytes!("golden/4.1.4-ask-caseclass-client.hex"),
        ]
        .iter()
        .map(|hex| {
            let mut bytes = from_hex(hex).unwrap();
            bytes.truncate(3000);
            bytes
        })
        .collect();
        for version in ["3.5.9", "4.1.4"] {
            let table = ClassTable::new(Profile::of(version).unwrap());
            let address = RpcAddress {
                host: "h".to_owned(),
                port: 7077,
            };
            let cause = Throwable::new("java.io.IOException", "disk\nfull");
            let error = Throwable::spark("boom").caused_by(cause);
            let unit = JavaEnum {
                class: "java.util.concurrent.TimeUnit".to_owned(),
                constant: "DAYS".to_owned(),
            };
            let alive = ScalaEnum {
                module: "org.apache.spark.deploy.master.WorkerState$".to_owned(),
                id: 0,
            };
            let map: BTreeMap<_, _> = (0..6).map(|number| (number, Some(number.to_string()))).collect();
            let values: [&dyn Fn() -> Vec<u8>; 5] = [
                &|| java(&RpcFailure { error: error.clone() }, &table),
                &|| java(&(map.clone(), vec!["a".to_owned()]), &table),
                &|| java(&(unit.clone(), alive.clone(), None::<i32>), &table),
                &|| java(&(1.5_f64, 'x', true, ()), &table),
                &|| {
                    let reference = NettyRpcEndpointRef::new("Master", Some(address.clone()), Duration::from_secs(1));
                    java(&(reference, address.clone()), &table)
                },
            ];
            samples.extend(values.iter().map(|value| value()));
        }
        samples.push(
            b"{\"connection\":1,\"at_us\":1,\"event\":\"opened\",\"from\":\"a\",\"to\":\"b\"}\n\
            {\"connection\":1,\"at_us\":2,\"event\":\"frame\",\"direction\":\"to-server\",\"offset\":0,\"length\":15,\
            \"data\":\"09000000026869\"}\n"
                .to_vec(),
        );
        samples
    })
}

fn java<T: ToJava>(value: &T, table: &ClassTable) -> Vec<u8> {
    to_bytes(value, table).unwrap().split_off(4)
}

fn feed(bytes: &[u8]) {
    for (_, target) in fuzz::TARGETS {
        target(bytes);
    }
}

/// A sample, cut off, with a few bytes overwritten, and perhaps with a reference put into it.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 0..4);
    let end = prop::option::of(any::<prop::sample::Index>());
    (prop::sample::select(samples().to_vec()), edits, end).prop_map(|(mut bytes, edits, end)| {
        for (at, byte, refer) in edits {
            let at = at.index(bytes.len());
            match bytes.get_mut(at..at + 5) {
                Some(space) if refer => space.copy_from_slice(&[0x71, 0, 0x7e, 0, byte & 31]),
                _ => bytes[at] = byte,
            }
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 1000 }))]

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        feed(&bytes);
    }

    #[test]
    fn damaged_conversations_and_objects_do_no_harm(bytes in damaged()) {
        feed(&bytes);
    }
}

#[test]
fn samples_as_they_are_do_no_harm() {
    samples().iter().for_each(|sample| feed(sample));
    feed(&[]);
}
