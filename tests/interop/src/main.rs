//! The suite against a real Spark: each case with a JVM on one side and us on the other, in both directions.
//!
//! `cargo xtask interop` fetches Spark, compiles the harness and runs this with the class path in the environment:
//! `spark-rpc-interop LOG-FOLDER [CASE]`.

mod from_jvm;
mod jvm;
mod master;
mod messages;
mod to_jvm;

use std::path::{Path, PathBuf};
use std::time::Instant;

use jvm::Jvm;
use messages::{Echoes, Lab, Log};
use spark_rpc::{RpcEndpointRef, RpcEnv};

/// What a case returns: nothing, or what was wrong.
type Outcome = Result<(), String>;

/// What the cases share.
struct World {
    jvm: Jvm,
    /// Ours, in server mode, with the endpoints `lab` and `echo`.
    server: RpcEnv,
    /// Ours, in client mode, with an endpoint `lab`.
    client: RpcEnv,
    events: Log,
    logs: PathBuf,
}

impl World {
    async fn new(logs: &Path) -> Result<Self, String> {
        let events = Log::default();
        let server = RpcEnv::builder("interop").bind("127.0.0.1:0").start().await;
        let server = server.map_err(|error| error.to_string())?;
        let client = RpcEnv::builder("interop-client").client_mode().start().await;
        let client = client.map_err(|error| error.to_string())?;
        let lab = Lab::with_events(&events);
        server
            .setup_endpoint("lab", lab)
            .map_err(|error| error.to_string())?;
        server
            .setup_endpoint("echo", Echoes)
            .map_err(|error| error.to_string())?;
        client
            .setup_endpoint("lab", Lab::default())
            .map_err(|error| error.to_string())?;
        Ok(Self {
            jvm: Jvm::start(&logs.join("jvm.log")).await?,
            server,
            client,
            events,
            logs: logs.to_owned(),
        })
    }

    /// The URI of an endpoint of ours.
    fn ours(&self, name: &str) -> String {
        let address = self.server.address().map(ToString::to_string).unwrap_or_default();
        format!("spark://{name}@{address}")
    }

    /// A reference of `env` to an endpoint of the JVM's server, looked up.
    async fn theirs(&self, env: &RpcEnv, name: &str) -> Result<RpcEndpointRef, String> {
        let address = self.jvm.run("address server").await?;
        let uri = format!("spark://{name}@{address}");
        env.setup_endpoint_ref(&uri)
            .await
            .map_err(|error| error.to_string())
    }
}

/// Complains unless both are equal.
#[allow(clippy::needless_pass_by_value, reason = "callers make what they compare")]
fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Outcome {
    if found == expected {
        Ok(())
    } else {
        Err(format!("found {found:?}, expected {expected:?}"))
    }
}

/// Complains unless it is an error that contains all of the texts.
fn fails_with<T: std::fmt::Debug>(found: Result<T, String>, texts: &[&str]) -> Outcome {
    match found {
        Err(error) if texts.iter().all(|text| error.contains(text)) => Ok(()),
        other => Err(format!("found {other:?}, expected an error with {texts:?}")),
    }
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(logs) = args.next().map(PathBuf::from) else {
        eprintln!("usage: spark-rpc-interop LOG-FOLDER [CASE]");
        return std::process::ExitCode::from(2);
    };
    let only = args.next();
    let mut world = match World::new(&logs).await {
        Ok(world) => world,
        Err(error) => {
            eprintln!("{error}");
            return std::process::ExitCode::FAILURE;
        }
    };
    let (mut passed, mut failed) = (0, 0);
    macro_rules! cases {
        ($($module:ident: $($case:ident)*;)*) => {$($(
            let name = concat!(stringify!($module), "::", stringify!($case));
            if only.as_ref().is_none_or(|only| name.contains(only.as_str())) {
                let began = Instant::now();
                match $module::$case(&mut world).await {
                    Ok(()) => {
                        passed += 1;
                        println!("  ok      {name} ({} ms)", began.elapsed().as_millis());
                    }
                    Err(error) => {
                        failed += 1;
                        println!("  FAILED  {name}: {error}");
                    }
                }
            }
        )*)*};
    }
    cases! {
        from_jvm:
            a_lookup_finds_what_exists
            a_lookup_misses_what_does_not_exist
            every_kind_of_value_comes_back
            bytes_up_to_32_mib_come_back
            a_class_with_every_kind_of_field_is_read_and_written
            one_way_messages_arrive_in_order
            sixty_four_asks_are_answered_in_reverse
            failures_are_exceptions_with_our_message
            a_missing_endpoint_is_named
            their_timeout_ends_an_ask
            the_sender_is_known_by_its_env_or_its_socket
            references_of_both_modes_are_called_back
            a_reference_to_a_third_env_is_called
            connections_are_told_with_both_addresses
            a_cut_connection_is_made_again;
        to_jvm:
            a_lookup_finds_what_exists
            a_lookup_misses_what_does_not_exist
            every_kind_of_value_comes_back
            bytes_up_to_32_mib_come_back
            a_class_with_every_kind_of_field_is_read_and_written
            one_way_messages_arrive_in_order
            sixty_four_asks_are_answered_in_reverse
            failures_keep_class_and_stack_trace
            a_missing_endpoint_is_named
            our_timeout_ends_an_ask
            the_sender_is_known_by_its_env_or_its_socket
            references_of_both_modes_are_called_back
            a_reference_to_a_third_env_is_called
            an_env_begins_in_java_if_told_so
            a_killed_jvm_fails_asks_and_a_new_one_is_reached;
        master:
            a_standalone_master_tells_its_state;
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}
