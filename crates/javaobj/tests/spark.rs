//! Spark's own RPC classes, against what real JVMs make of them.

mod streams;

use std::fmt::Debug;
use std::time::Duration;

use spark_rpc_javaobj::{
    CheckExistence, ClassTable, FromJava, Graph, JavaObject, Limits, NettyRpcEndpointRef, Profile, Refusal,
    RpcAddress, RpcFailure, StackTraceElement, Throwable, ToJava, from_bytes, to_bytes,
};

const VERSIONS: [&str; 2] = ["3.5.9", "4.1.4"];

fn table(version: &str) -> ClassTable {
    ClassTable::pinned(Profile::of(version).unwrap())
}

/// Checks that the samples of both versions mean the value, and that the value becomes the samples.
fn is<T: ToJava + FromJava + PartialEq + Debug>(name: &str, value: &T) {
    for version in VERSIONS {
        let bytes = streams::one(&format!("samples-{version}"), name);
        assert_eq!(
            &from_bytes::<T>(&bytes, &Limits::default()).unwrap(),
            value,
            "{version} {name}"
        );
        let written = to_bytes(value, &table(version)).unwrap();
        let tree = |bytes: &[u8]| Graph::read(bytes, &Limits::default()).unwrap().to_string();
        assert_eq!(tree(&written), tree(&bytes), "{version} {name}");
        assert!(
            written == bytes,
            "{version} {name}: the same tree, but other bytes"
        );
    }
}

fn address() -> RpcAddress {
    RpcAddress {
        host: "host1".to_owned(),
        port: 1234,
    }
}

#[test]
fn addresses_references_and_lookups_are_as_spark_writes_them() {
    is("rpcaddress", &address());
    is(
        "checkexistence",
        &CheckExistence {
            name: "foo".to_owned(),
        },
    );
    let timeout = Duration::from_secs(120);
    is("ref", &NettyRpcEndpointRef::new("ep", Some(address()), timeout));
    is("ref-client", &NettyRpcEndpointRef::new("ep", None, timeout));
}

#[test]
fn a_failure_is_read_with_its_message_cause_and_stack_trace() {
    for version in VERSIONS {
        let read = |name| {
            let bytes = streams::one(&format!("samples-{version}"), name);
            from_bytes::<RpcFailure>(&bytes, &Limits::default())
                .unwrap()
                .error
        };
        let error = read("rpcfailure");
        assert_eq!(error.class, "org.apache.spark.SparkException");
        assert_eq!(error.message.as_deref(), Some("Oops"));
        assert_eq!(error.stack_trace.len(), 1);
        assert!(
            error
                .to_string()
                .starts_with("org.apache.spark.SparkException: Oops\n\tat Mk.main(Mk.java:")
        );

        let error = read("rpcfailure-runtime");
        let cause = error.cause.as_ref().unwrap();
        assert_eq!(error.class, "java.lang.RuntimeException");
        assert_eq!(cause.class, "java.io.IOException");
        assert_eq!(cause.cause, None, "a cause that was never set is no circle");
        let text = error.to_string();
        assert!(
            text.contains("\nCaused by: java.io.IOException: inner\n\tat Mk.main(Mk.java:"),
            "{text}"
        );
    }
}

#[test]
fn suppressed_exceptions_and_native_calls_are_read() {
    let bytes = streams::one("jdk-17", "exception");
    let error: Throwable = from_bytes(&bytes, &Limits::default()).unwrap();
    assert_eq!(error.suppressed[0].message.as_deref(), Some("beside"));
    assert_eq!(
        error.to_string(),
        "java.lang.RuntimeException: outer\n\tat C.run(C.java:3)\n\tat C.main(Native Method)\n\
         Caused by: java.lang.IllegalStateException: inner\n\tat C.run(C.java:3)\n\tat C.main(Native Method)"
    );
}

#[test]
fn a_failure_is_written_as_spark_writes_it() {
    for version in VERSIONS {
        let bytes = streams::one(&format!("samples-{version}"), "rpcfailure");
        let failure: RpcFailure = from_bytes(&bytes, &Limits::default()).unwrap();
        let written = to_bytes(&failure, &table(version)).unwrap();
        let tree = |bytes: &[u8]| Graph::read(bytes, &Limits::default()).unwrap().to_string();
        assert_eq!(tree(&written), tree(&bytes), "{version}");
    }
}

#[test]
fn exceptions_survive_with_all_they_have() {
    let line = StackTraceElement {
        line_number: 7,
        declaring_class: "my::Endpoint".to_owned(),
        file_name: Some("endpoint.rs".to_owned()),
        method_name: "handle".to_owned(),
        ..StackTraceElement::default()
    };
    let mut error = Throwable::spark("outer").caused_by(Throwable::new("java.io.IOException", "inner"));
    error.stack_trace.push(line);
    error
        .suppressed
        .push(Throwable::new("java.lang.IllegalStateException", "beside"));
    for version in VERSIONS {
        let bytes = to_bytes(&error, &table(version)).unwrap().into();
        assert_eq!(
            from_bytes::<Throwable>(&bytes, &Limits::default()).unwrap(),
            error,
            "{version}"
        );
    }
}

#[test]
fn an_exception_that_the_peer_cannot_know_becomes_one_that_it_does() {
    for class in ["my::Error", "java.lang.Integer"] {
        let error = Throwable::new(class, "boom");
        let bytes = to_bytes(&RpcFailure { error }, &table("4.1.4")).unwrap().into();
        let error = from_bytes::<RpcFailure>(&bytes, &Limits::default())
            .unwrap()
            .error;
        assert_eq!(error, Throwable::spark(format!("{class}: boom")));
    }
}

#[test]
fn causes_in_a_circle_come_to_an_end() {
    let error = Throwable::spark("a").caused_by(Throwable::spark("b"));
    let mut graph = spark_rpc_javaobj::to_graph(&error, &table("4.1.4")).unwrap();
    let outer = graph.root().unwrap();
    let inner = graph.instance(outer).unwrap().field("cause").unwrap();
    let spark_rpc_javaobj::Value::Object(inner) = inner else {
        panic!("{inner:?}")
    };
    let spark_rpc_javaobj::Object::Instance(mut instance) = graph[inner].clone() else {
        panic!()
    };
    instance.parts[0].fields[0] = outer;
    graph.set(inner, spark_rpc_javaobj::Object::Instance(instance));
    let bytes = graph.write().unwrap();
    let error: Throwable = from_bytes(&bytes.into(), &Limits::default()).unwrap();
    let count = std::iter::successors(Some(&error), |error| error.cause.as_deref()).count();
    assert_eq!(count, 65);
}

#[test]
fn every_version_has_its_own_ids() {
    for profile in Profile::all() {
        let bytes = to_bytes(&address(), &ClassTable::pinned(profile)).unwrap();
        let graph = Graph::read(&bytes, &Limits::default()).unwrap();
        assert_eq!(profile.compare(&graph), (1, 0));
    }
    let uid = |version| table(version).class(RpcAddress::CLASS).unwrap().uid;
    assert_ne!(uid("3.5.9"), uid("4.1.4"));
}

#[test]
fn a_refusal_leads_to_the_right_id() {
    let mut old = ClassTable::new(Profile::of("3.4.4").unwrap());
    let real = table("4.1.4").class(RpcAddress::CLASS).unwrap().uid;
    let sent = old.class(RpcAddress::CLASS).unwrap().uid;
    let text = format!(
        "java.io.InvalidClassException: org.apache.spark.rpc.RpcAddress; local class incompatible: stream classdesc \
         serialVersionUID = {sent}, local class serialVersionUID = {real}\n\
         \tat java.base/java.io.ObjectStreamClass.initNonProxy(ObjectStreamClass.java:597)"
    );
    assert!(old.learn(&Refusal::find(&text).unwrap()));
    let graph = Graph::read(&to_bytes(&address(), &old).unwrap(), &Limits::default()).unwrap();
    assert_eq!(graph.classes()[0].uid(), real);
}
