//! The derive macro: structs and enums as classes, objects and constants, in both dialects.

mod streams;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use spark_rpc_javaobj::{
    Any, CheckExistence, ClassDesc, ClassFlags, ClassTable, Content, DecodeError, Decoder, FromJava, Graph,
    Instance, JavaObject, Limits, NettyRpcEndpointRef, Object, Part, Profile, RpcAddress, ToJava, Value,
    from_bytes, to_bytes, to_graph,
};

const VERSIONS: [&str; 2] = ["3.5.9", "4.1.4"];

fn table(version: &str) -> ClassTable {
    ClassTable::pinned(Profile::of(version).unwrap())
}

fn read<T: FromJava>(bytes: &Bytes) -> Result<T, DecodeError> {
    from_bytes(bytes, &Limits::default())
}

fn write<T: ToJava>(value: &T, version: &str) -> Bytes {
    to_bytes(value, &table(version)).unwrap().into()
}

#[derive(Debug, PartialEq, JavaObject)]
#[java(class = "org.apache.spark.deploy.DeployMessages$Heartbeat")]
struct Heartbeat {
    worker_id: String,
    worker: NettyRpcEndpointRef,
}

#[derive(Debug, PartialEq, JavaObject)]
#[java(class = "org.apache.spark.deploy.DeployMessages$RequestMasterState$", module)]
struct RequestMasterState;

#[derive(Debug, PartialEq, Clone, Copy, JavaObject)]
#[java(scala_enum = "org.apache.spark.deploy.master.WorkerState$")]
enum WorkerState {
    Alive,
    Dead,
    Decommissioned,
    Unknown,
}

#[derive(Debug, PartialEq, Clone, Copy, JavaObject)]
#[java(java_enum = "java.util.concurrent.TimeUnit")]
enum Unit {
    Seconds,
    #[java(name = "DAYS")]
    WholeDays,
}

/// A case class that only the recordings have.
#[derive(Debug, PartialEq, JavaObject)]
#[java(class = "org.apache.spark.rpc.lab.Sample")]
struct Sample {
    i: i32,
    m: BTreeMap<String, i32>,
    o: Option<String>,
    s: String,
    seq: Vec<String>,
}

#[derive(Debug, PartialEq, JavaObject)]
#[java(ty = "Lorg/apache/spark/deploy/DeployMessage;")]
enum DeployMessage {
    #[java(transparent)]
    Heartbeat(Heartbeat),
    #[java(class = "org.apache.spark.deploy.DeployMessages$RequestMasterState$", module)]
    RequestMasterState,
    #[java(class = "org.apache.spark.deploy.DeployMessages$KillExecutor")]
    KillExecutor {
        master_url: String,
        app_id: String,
        exec_id: i32,
    },
    #[java(class = "org.apache.spark.deploy.DeployMessages$ReconnectWorker")]
    ReconnectWorker(#[java(name = "masterUrl")] String),
    #[java(other)]
    Other(Any),
}

#[test]
fn a_struct_is_an_object_of_its_class() {
    for version in VERSIONS {
        let bytes = streams::one(&format!("samples-{version}"), "heartbeat");
        let heartbeat: Heartbeat = read(&bytes).unwrap();
        assert_eq!(heartbeat.worker_id, "worker-1");
        assert_eq!(heartbeat.worker.to_string(), "spark://ep@host1:1234");
        assert_eq!(write(&heartbeat, version), bytes, "{version}");
    }
}

#[test]
fn a_unit_struct_can_be_a_scala_object() {
    for version in VERSIONS {
        let bytes = streams::one(&format!("samples-{version}"), "requestmasterstate");
        assert_eq!(read::<RequestMasterState>(&bytes), Ok(RequestMasterState));
        assert_eq!(write(&RequestMasterState, version), bytes, "{version}");
        let other = streams::one(&format!("samples-{version}"), "boundports");
        let error = read::<RequestMasterState>(&other).unwrap_err();
        assert!(error.to_string().ends_with("BoundPortsRequest$"), "{error}");
    }
}

#[test]
fn an_enum_can_be_a_scala_enumeration() {
    for version in VERSIONS {
        let bytes = streams::one(&format!("samples-{version}"), "workerstate");
        assert_eq!(read::<WorkerState>(&bytes), Ok(WorkerState::Alive), "{version}");
        for state in [
            WorkerState::Alive,
            WorkerState::Dead,
            WorkerState::Decommissioned,
            WorkerState::Unknown,
        ] {
            assert_eq!(read::<WorkerState>(&write(&state, version)), Ok(state));
        }
    }
    let bytes = streams::one("samples-4.1.4", "workerstate");
    assert_eq!(write(&WorkerState::Alive, "4.1.4"), bytes);
    // Scala 2.12 sends the whole enumeration along, which its reader throws away for its own.
    assert!(write(&WorkerState::Alive, "3.5.9").len() < streams::one("samples-3.5.9", "workerstate").len());
}

#[test]
fn an_enum_can_be_a_java_enum() {
    for version in VERSIONS {
        let bytes = streams::one(&format!("samples-{version}"), "enum-java");
        assert_eq!(read::<Unit>(&bytes), Ok(Unit::Seconds));
        assert_eq!(write(&Unit::Seconds, version), bytes);
        assert_eq!(
            read::<Unit>(&write(&Unit::WholeDays, version)),
            Ok(Unit::WholeDays)
        );
    }
    let hours = spark_rpc_javaobj::TimeUnit::Hours;
    assert!(read::<Unit>(&write(&hours, "4.1.4")).is_err());
}

#[test]
fn an_enum_can_be_several_classes() {
    for version in VERSIONS {
        let bytes = streams::one(&format!("samples-{version}"), "heartbeat");
        let message: DeployMessage = read(&bytes).unwrap();
        assert!(matches!(&message, DeployMessage::Heartbeat(heartbeat) if heartbeat.worker_id == "worker-1"));
        assert_eq!(write(&message, version), bytes);

        let bytes = streams::one(&format!("samples-{version}"), "requestmasterstate");
        assert_eq!(
            read::<DeployMessage>(&bytes),
            Ok(DeployMessage::RequestMasterState)
        );
        assert_eq!(write(&DeployMessage::RequestMasterState, version), bytes);

        for message in [
            DeployMessage::KillExecutor {
                master_url: "spark://h:1".to_owned(),
                app_id: "app".to_owned(),
                exec_id: 3,
            },
            DeployMessage::ReconnectWorker("spark://h:1".to_owned()),
        ] {
            assert_eq!(read::<DeployMessage>(&write(&message, version)), Ok(message));
        }

        let bytes = streams::one(&format!("samples-{version}"), "rpcaddress");
        let message: DeployMessage = read(&bytes).unwrap();
        assert!(
            matches!(&message, DeployMessage::Other(any) if any.class_name().unwrap().ends_with("RpcAddress"))
        );
        assert_eq!(write(&message, version), bytes, "sent on as it came");
    }
}

#[test]
fn messages_of_a_real_cluster_are_understood() {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for stream in streams::all() {
        if !stream.name.contains("/standalone-") {
            continue;
        }
        let name = match read::<DeployMessage>(&stream.bytes).unwrap() {
            DeployMessage::Heartbeat(heartbeat) => {
                assert!(heartbeat.worker_id.starts_with("worker-"));
                "heartbeat"
            }
            DeployMessage::KillExecutor {
                master_url, app_id, ..
            } => {
                assert!(master_url.starts_with("spark://") && app_id.starts_with("app-"));
                "kill"
            }
            _ => "other",
        };
        *seen.entry(name).or_default() += 1;
    }
    assert!(seen["heartbeat"] > 1 && seen["kill"] > 1, "{seen:?}");
}

#[test]
fn an_unknown_class_is_answered_with_the_id_that_it_came_with() {
    for version in VERSIONS {
        for name in [
            "ask-caseclass-0-client-1",
            "ask-caseclass-0-server-1",
            "ask-caseclass-empty-0-server-1",
        ] {
            let bytes = streams::one(&format!("recorded-{version}"), name);
            let graph = Graph::read(&bytes, &Limits::default()).unwrap();
            let sample: Sample = read(&bytes).unwrap();
            assert!(
                sample.s.starts_with("seven") || sample.s.is_empty() || sample.i != 0,
                "{sample:?}"
            );

            // Begins with the other version, to see that it adapts.
            let mut table = ClassTable::new(Profile::of("4.3.0").unwrap());
            table.observe(&graph);
            assert_eq!(table.scala(), Profile::of(version).unwrap().scala(), "{name}");
            let written = to_bytes(&sample, &table).unwrap();
            let again = Graph::read(&written, &Limits::default()).unwrap();
            assert_eq!(again.to_string(), graph.to_string(), "{version} {name}");
            assert_eq!(written, bytes, "{version} {name}");
        }
    }
}

#[derive(Debug, PartialEq, JavaObject)]
#[java(class = "a.Base", extends = "a.Middle", extends = "a.Top")]
struct Base<T> {
    value: T,
}

#[derive(Debug, PartialEq, JavaObject)]
#[java(class = "a.Derived", uid = -7, write_object)]
struct Derived {
    #[java(superclass)]
    base: Base<i64>,
    #[java(name = "value")]
    own: String,
    #[java(ty = "Ljava/lang/Object;")]
    boxed: i32,
    #[java(nullable)]
    address: Option<RpcAddress>,
    #[java(nullable)]
    limit: Option<i32>,
    #[java(default)]
    added_later: Vec<String>,
}

#[test]
fn classes_that_no_table_knows_are_described_by_the_struct() {
    let derived = Derived {
        base: Base { value: 5 },
        own: "mine".to_owned(),
        boxed: 6,
        address: None,
        limit: None,
        added_later: vec!["x".to_owned()],
    };
    for version in VERSIONS {
        let bytes = write(&derived, version);
        assert_eq!(read::<Derived>(&bytes).as_ref(), Ok(&derived));
        assert_eq!(
            read::<Base<i64>>(&bytes),
            Ok(Base { value: 5 }),
            "seen as its superclass"
        );
    }
    let graph = Graph::read(&write(&derived, "4.1.4"), &Limits::default()).unwrap();
    let object = graph.instance(graph.root().unwrap()).unwrap();
    let hierarchy: Vec<_> = object.parts().map(|(desc, _)| desc.name()).collect();
    assert_eq!(hierarchy, ["a.Top", "a.Middle", "a.Base", "a.Derived"]);
    assert_eq!(object.class().uid(), -7);
    assert_eq!(object.class().flags(), ClassFlags::WRITE_OBJECT);
    let fields: Vec<_> = object
        .class()
        .fields()
        .iter()
        .map(|field| format!("{} {}", graph.field_type(field).unwrap(), field.name))
        .collect();
    assert_eq!(
        fields,
        [
            "Lscala/collection/immutable/Seq; addedLater",
            "Lorg/apache/spark/rpc/RpcAddress; address",
            "Ljava/lang/Object; boxed",
            "Ljava/lang/Integer; limit",
            "Ljava/lang/String; value",
        ]
    );
    assert_eq!(object.field_of("a.Base", "value"), Some(Value::Long(5)));
    let boxed = object.field("boxed").unwrap();
    assert_eq!(graph.class_name(boxed), Some("java.lang.Integer"));
}

#[derive(Debug, PartialEq, JavaObject)]
#[java(class = "org.apache.spark.rpc.RpcAddress")]
struct NewerAddress {
    host: String,
    #[java(default)]
    rack: String,
    port: i64,
}

#[test]
fn fields_that_a_version_lacks_are_left_out_and_filled_in() {
    let address = NewerAddress {
        host: "h".to_owned(),
        rack: "r".to_owned(),
        port: 7,
    };
    // The table says that the class has an int and no rack.
    let bytes = write(
        &RpcAddress {
            host: "h".to_owned(),
            port: 7,
        },
        "4.1.4",
    );
    assert_eq!(
        read::<NewerAddress>(&bytes),
        Ok(NewerAddress {
            rack: String::new(),
            ..address
        })
    );
}

#[test]
fn numbers_take_the_width_that_the_version_has() {
    let mut address = NewerAddress {
        host: "h".to_owned(),
        rack: "r".to_owned(),
        port: 7,
    };
    let bytes = write(&address, "4.1.4");
    assert_eq!(read::<RpcAddress>(&bytes).unwrap().port, 7);

    address.port = 1 << 40;
    assert_eq!(
        to_bytes(&address, &ClassTable::default())
            .unwrap_err()
            .to_string(),
        "the field port of org.apache.spark.rpc.RpcAddress has the type Int and cannot hold Long(1099511627776)"
    );
}

#[test]
fn what_a_field_of_the_version_cannot_hold_is_an_error() {
    #[derive(JavaObject)]
    #[java(class = "org.apache.spark.rpc.RpcAddress")]
    struct Wrong {
        host: String,
        port: String,
    }
    let wrong = Wrong {
        host: "h".to_owned(),
        port: "7".to_owned(),
    };
    assert_eq!(
        to_bytes(&wrong, &ClassTable::default()).unwrap_err().to_string(),
        "the field port of org.apache.spark.rpc.RpcAddress has the type Int and cannot hold java.lang.String"
    );
}

#[test]
fn errors_name_class_and_field() {
    #[derive(Debug, PartialEq, JavaObject)]
    #[java(class = "org.apache.spark.rpc.RpcAddress")]
    struct Wrong {
        host: i32,
    }
    #[derive(Debug, PartialEq, JavaObject)]
    #[java(class = "org.apache.spark.rpc.RpcAddress")]
    struct More {
        rack: String,
    }
    let bytes = write(
        &RpcAddress {
            host: "h".to_owned(),
            port: 1,
        },
        "4.1.4",
    );
    assert_eq!(
        read::<Wrong>(&bytes).unwrap_err().to_string(),
        "in field host of org.apache.spark.rpc.RpcAddress: java.lang.Integer is expected, not java.lang.String"
    );
    assert_eq!(
        read::<More>(&bytes).unwrap_err().to_string(),
        "org.apache.spark.rpc.RpcAddress has no field rack"
    );
    assert_eq!(
        read::<Heartbeat>(&bytes).unwrap_err().to_string(),
        "org.apache.spark.deploy.DeployMessages$Heartbeat is expected, not org.apache.spark.rpc.RpcAddress"
    );
}

/// A stream with an object whose class has these classes above it, the nearest first.
fn hierarchy(classes: &[&str]) -> Graph {
    let mut graph = Graph::new();
    let mut parts = Vec::new();
    for name in classes.iter().rev() {
        let mut desc = ClassDesc::new(*name, 1, ClassFlags::SERIALIZABLE);
        desc.super_class = parts.last().map(|part: &Part| part.class);
        parts.push(Part {
            class: graph.add_class(desc),
            fields: Vec::new(),
            annotation: Vec::new(),
        });
    }
    let class = parts.last().unwrap().class;
    let id = graph.add(Object::Instance(Instance { class, parts }));
    graph.push(Content::Value(Value::Object(id)));
    graph
}

#[test]
fn a_peer_that_teaches_nonsense_gets_nonsense_and_does_no_harm() {
    let base = Base { value: 1_i64 };
    // Two streams that contradict each other make a class its own superclass.
    let mut table = ClassTable::default();
    table.observe(&hierarchy(&["a.Base", "a.Other"]));
    table.observe(&hierarchy(&["a.Other", "a.Base"]));
    table.observe(&hierarchy(&["a.Other2", "a.Other"]));
    let bytes = to_bytes(&base, &table).unwrap();
    assert!(Graph::read(&bytes, &Limits::default()).is_ok());

    // A very high tower of classes, built a few at a time.
    let mut table = ClassTable::default();
    for at in (0..2000).rev() {
        let (lower, upper) = (format!("a.C{at}"), format!("a.C{}", at + 1));
        table.observe(&hierarchy(&[&lower, &upper]));
    }
    table.observe(&hierarchy(&["a.Base", "a.C0"]));
    let bytes = to_bytes(&base, &table).unwrap();
    assert!(Graph::read(&bytes, &Limits::default()).is_ok());
}

#[derive(Debug, PartialEq, JavaObject)]
#[java(transparent)]
struct Wrapped(String);

#[test]
fn a_transparent_struct_has_the_class_of_what_is_in_it() {
    let bytes: Bytes = to_bytes(&Wrapped("x".to_owned()), &ClassTable::default())
        .unwrap()
        .into();
    assert_eq!(from_bytes::<String>(&bytes, &Limits::default()).unwrap(), "x");
    assert_eq!(
        from_bytes::<Wrapped>(&bytes, &Limits::default()).unwrap(),
        Wrapped("x".to_owned())
    );
}

#[test]
fn a_type_tells_whether_a_value_is_meant_for_it() {
    let table = ClassTable::default();
    let lookup = to_graph(&CheckExistence { name: "x".to_owned() }, &table).unwrap();
    let text = to_graph(&"x".to_owned(), &table).unwrap();
    let limits = Limits::default();
    let matches = |graph: &Graph| {
        let (input, root) = (Decoder::new(graph, &limits), graph.root().unwrap());
        (
            CheckExistence::matches(root, &input),
            Wrapped::matches(root, &input),
            String::matches(root, &input),
            i32::matches(root, &input),
            Any::matches(root, &input),
        )
    };
    assert_eq!(matches(&lookup), (true, false, false, false, true));
    assert_eq!(matches(&text), (false, true, true, false, true));
}
