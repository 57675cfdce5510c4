//! Writes values of every shape for one version of Spark, for a real JVM to read.
//!
//! `cargo xtask javaids --verify` runs it: each line is a stream in hex and, behind a tab, what the JVM should make of it
//! as a text (a stack trace for an exception), with `\n` and `\t` for line breaks and tabs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use spark_rpc_javaobj::{
    CheckExistence, ClassTable, EncodeError, JavaArray, JavaDate, JavaList, JavaObject, Nullable, Profile,
    RpcAddress, RpcEndpointAddress, RpcFailure, Scala, ScalaVector, StackTraceElement, Throwable, ToJava,
    to_bytes,
};

#[derive(JavaObject)]
#[java(scala_enum = "org.apache.spark.deploy.master.WorkerState$")]
enum WorkerState {
    Alive,
    Dead,
}

#[derive(JavaObject)]
#[java(class = "org.apache.spark.deploy.DeployMessages$RequestMasterState$", module)]
struct RequestMasterState;

#[derive(JavaObject)]
#[java(class = "org.apache.spark.deploy.DeployMessages$KillExecutor")]
struct KillExecutor {
    master_url: String,
    app_id: String,
    exec_id: i32,
}

fn main() -> ExitCode {
    let version = std::env::args().nth(1).unwrap_or_default();
    let Some(profile) = Profile::of(&version) else {
        eprintln!("which version of Spark? There are profiles of:");
        Profile::all()
            .iter()
            .for_each(|profile| eprintln!("  {}", profile.spark()));
        return ExitCode::from(2);
    };
    match print_all(&ClassTable::pinned(profile)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print_all(table: &ClassTable) -> Result<(), EncodeError> {
    let print = |value: &dyn Encodable, text: &str| -> Result<(), EncodeError> {
        let bytes = value.bytes(table)?;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{hex}\t{}", text.replace('\n', "\\n").replace('\t', "\\t"));
        Ok(())
    };
    print(&1_i32, "1")?;
    print(&-2_i64, "-2")?;
    print(&1.5_f64, "1.5")?;
    print(&'é', "é")?;
    print(&true, "true")?;
    print(&"é🦀".to_owned(), "é🦀")?;
    print(&(), "()")?;
    print(&Nullable::<String>(None), "null")?;
    print(&(Some(1), None::<i32>, "a".to_owned()), "(Some(1),None,a)")?;
    print(&Ok::<i32, i32>(4), "Right(4)")?;
    print(&Err::<i32, i32>(4), "Left(4)")?;
    let tuples = ((1,), (1, 2, 3, 4), (1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 6));
    print(&tuples, "((1),(1,2,3,4),(1,2,3,4,5),(1,2,3,4,5,6))")?;

    for count in [0, 1, 31, 32, 33, 1025, 33_000] {
        let numbers: Vec<i32> = (0..count).collect();
        let text = numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
        print(&numbers, &format!("List({text})"))?;
        print(&JavaList(numbers.clone()), &format!("[{text}]"))?;
        print(&JavaArray::new(numbers.clone()), &format!("[{text}]"))?;
        print(&ScalaVector(numbers), &format!("Vector({text})"))?;
    }
    for count in 0..=5 {
        let map: BTreeMap<_, _> = (0..count).map(|key| (key, format!("v{key}"))).collect();
        let text: Vec<_> = map
            .iter()
            .map(|(key, value)| format!("{key} -> {value}"))
            .collect();
        // From five on Scala has another class, of which only 2.13 tells; so small numbers stay in order all the same.
        let named = |small, large| {
            if count > 4 && table.scala() == Scala::V2_13 {
                large
            } else {
                small
            }
        };
        print(&map, &format!("{}({})", named("Map", "HashMap"), text.join(", ")))?;
        let set: BTreeSet<_> = (0..count).collect();
        let text: Vec<_> = set.iter().map(i32::to_string).collect();
        print(&set, &format!("{}({})", named("Set", "HashSet"), text.join(", ")))?;
    }
    print(&JavaArray::new(vec!["a".to_owned()]), "[a]")?;
    print(&Duration::from_millis(1500), "1500 milliseconds")?;
    print(
        &Some(JavaDate { millis: 0 }),
        "Some(Thu Jan 01 00:00:00 UTC 1970)",
    )?;

    let states = (WorkerState::Alive, WorkerState::Dead, WorkerState::Alive);
    print(&states, "(ALIVE,DEAD,ALIVE)")?;
    print(&RequestMasterState, "RequestMasterState")?;
    let kill = KillExecutor {
        master_url: "spark://h:1".to_owned(),
        app_id: "app".to_owned(),
        exec_id: 3,
    };
    print(&kill, "KillExecutor(spark://h:1,app,3)")?;
    let address = RpcAddress {
        host: "h".to_owned(),
        port: 1,
    };
    print(&address, "h:1")?;
    print(&RpcEndpointAddress::new("e", Some(address)), "spark://e@h:1")?;
    print(&RpcEndpointAddress::new("e", None), "spark-client://e")?;
    let lookup = CheckExistence {
        name: "Master".to_owned(),
    };
    print(&lookup, "CheckExistence(Master)")?;

    let mut error = Throwable::spark("outer").caused_by(Throwable::new("java.io.IOException", "inner"));
    error.stack_trace.push(StackTraceElement {
        line_number: 7,
        declaring_class: "my::Endpoint".to_owned(),
        method_name: "handle".to_owned(),
        file_name: Some("endpoint.rs".to_owned()),
        ..StackTraceElement::default()
    });
    print(&error, &error.to_string())?;
    let failure = RpcFailure { error };
    print(&failure, "RpcFailure(org.apache.spark.SparkException: outer)")?;
    for class in [
        "org.apache.spark.rpc.RpcEndpointNotFoundException",
        "org.apache.spark.rpc.RpcEnvStoppedException",
        "java.lang.IllegalStateException",
        "java.util.concurrent.TimeoutException",
        "java.lang.OutOfMemoryError",
    ] {
        print(&Throwable::new(class, "m"), &format!("{class}: m"))?;
    }
    print(
        &Throwable::new("my::Error", "m"),
        "org.apache.spark.SparkException: my::Error: m",
    )
}

/// Lets one closure print values of all types.
trait Encodable {
    fn bytes(&self, table: &ClassTable) -> Result<Vec<u8>, EncodeError>;
}

impl<T: ToJava> Encodable for T {
    fn bytes(&self, table: &ClassTable) -> Result<Vec<u8>, EncodeError> {
        to_bytes(self, table)
    }
}
