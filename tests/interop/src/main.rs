//! The suite against a real Spark: each case with a JVM on one side and us on the other, in both directions.
//!
//! `cargo xtask interop` fetches Spark, compiles the harness and runs this with the class path in the environment:
//! `spark-rpc-interop LOG-FOLDER [CASE]`. With `serve ADDRESS [FILE]` it is a peer that can be killed.

mod connections;
mod cutter;
mod files;
mod from_jvm;
mod jvm;
mod master;
mod messages;
mod ours;
mod secure;
mod to_jvm;
mod tools;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jvm::Jvm;
use messages::{Echoes, Lab};
use secure::refusals;
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
    logs: PathBuf,
    /// Why the case that runs has nothing to show with this Spark.
    left_out: Cell<Option<&'static str>>,
}

impl World {
    /// Whether this Spark has an AES-GCM that works. That of 3.4 sticks after one message, also between two JVMs.
    fn has_gcm(&self) -> bool {
        !self.version().starts_with("3.4.")
    }

    /// Whether this Spark has TLS for RPC.
    fn has_tls(&self) -> bool {
        !self.version().starts_with("3.")
    }

    /// Ends a case that has nothing to show with this Spark.
    #[allow(clippy::unnecessary_wraps, reason = "it is what the case returns")]
    fn leave_out(&self, why: &'static str) -> Outcome {
        self.left_out.set(Some(why));
        Ok(())
    }

    /// The version under test, for which the folder of the logs is named.
    fn version(&self) -> &str {
        self.logs
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
    }

    async fn new(logs: &Path) -> Result<Self, String> {
        let server = RpcEnv::builder("interop").bind("127.0.0.1:0").start().await;
        let server = server.map_err(text)?;
        let client = RpcEnv::builder("interop-client").client_mode().start().await;
        let client = client.map_err(text)?;
        server.setup_endpoint("lab", Lab::default()).map_err(text)?;
        server.setup_endpoint("echo", Echoes).map_err(text)?;
        client.setup_endpoint("lab", Lab::default()).map_err(text)?;
        Ok(Self {
            jvm: Jvm::start(&logs.join("jvm.log")).await?,
            server,
            client,
            logs: logs.to_owned(),
            left_out: Cell::new(None),
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
        env.setup_endpoint_ref(&uri).await.map_err(text)
    }

    /// One more JVM, which a case may kill. It is named for its log.
    async fn another_jvm(&self, name: &str) -> Result<Jvm, String> {
        Jvm::start(&self.logs.join(format!("{name}.log"))).await
    }
}

#[allow(clippy::needless_pass_by_value, reason = "made for `map_err`")]
fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
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

/// Tries until it succeeds, for a minute.
async fn eventually<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    what: &str,
    attempt: impl Fn() -> F,
) -> Result<T, String> {
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        match attempt().await {
            Ok(found) => return Ok(found),
            Err(error) if tokio::time::Instant::now() > until => {
                return Err(format!("never: {what}; in the end {error}"));
            }
            // tidy: allow(sleep): between two looks at something that nobody announces.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
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
    if let (Some("serve"), Some(address)) = (logs.to_str(), &only) {
        return match ours::serve(address, args.next().as_deref().map(Path::new)).await {
            Ok(()) => std::process::ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                std::process::ExitCode::FAILURE
            }
        };
    }
    let world = match World::new(&logs).await {
        Ok(world) => world,
        Err(error) => {
            eprintln!("{error}");
            return std::process::ExitCode::FAILURE;
        }
    };
    let (mut passed, mut failed, mut left_out) = (0, 0, 0);
    macro_rules! cases {
        ($($module:ident: $($case:ident)*;)*) => {$($(
            let name = concat!(stringify!($module), "::", stringify!($case));
            if only.as_ref().is_none_or(|only| name.contains(only.as_str())) {
                let began = Instant::now();
                let outcome = tokio::time::timeout(LIMIT, $module::$case(&world)).await;
                match outcome.unwrap_or_else(|_| Err(format!("no end after {} s", LIMIT.as_secs()))) {
                    Ok(()) if let Some(why) = world.left_out.take() => {
                        left_out += 1;
                        println!("  left out {name}: {why}");
                    }
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
            a_reply_that_java_does_not_have_fails_the_ask
            a_missing_endpoint_is_named
            their_timeout_ends_an_ask
            the_sender_is_known_by_its_env_or_its_socket
            references_of_both_modes_are_called_back
            a_reference_to_a_third_env_is_called
            a_reference_to_a_third_jvm_is_called;
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
            a_reference_to_a_third_env_is_used_where_it_came_from
            an_env_begins_in_java_if_told_so;
        connections:
            a_jvm_that_connects_and_stops_is_told_with_both_addresses
            a_jvm_of_no_address_that_connects_and_stops_is_told
            a_jvm_that_we_connect_to_and_that_stops_is_told
            our_env_that_connected_and_stops_is_told_to_a_jvm
            our_env_that_a_jvm_connected_to_and_that_stops_is_told_to_it
            a_cut_connection_fails_our_ask_and_is_made_again
            a_cut_connection_fails_the_ask_of_a_jvm_and_is_made_again
            our_env_that_stops_fails_asks_of_a_jvm_and_a_new_one_is_reached
            our_killed_process_fails_asks_of_a_jvm_and_a_new_one_is_reached
            a_killed_jvm_fails_our_asks_and_a_new_one_is_reached;
        files:
            a_jvm_gets_file_jar_and_folder_from_us
            we_get_file_jar_and_folder_from_a_jvm
            a_jvm_is_told_that_we_do_not_serve_a_file
            we_are_told_that_a_jvm_does_not_serve_a_file
            a_gibibyte_comes_whole_in_both_directions
            a_file_that_a_jvm_does_not_finish_is_no_file
            a_file_that_we_do_not_finish_is_no_file;
        secure:
            auth_engine_1_with_ctr
            auth_engine_1_with_gcm
            auth_engine_2_with_ctr
            auth_engine_2_with_gcm
            sasl_without_encryption
            sasl_with_encryption
            tls_with_key_stores
            tls_with_pem_files_here_and_old_key_stores_there
            tls_with_pem_files_on_both_sides
            sasl_within_tls;
        refusals:
            another_secret_gets_nobody_in
            one_side_without_authentication_is_told_so
            sasl_is_fallen_back_to_where_both_sides_allow_it
            sasl_with_and_without_encryption_do_not_mix
            a_version_or_cipher_of_one_side_only_ends_at_once
            a_file_made_for_spark_works_with_its_defaults
            tls_of_one_side_only_ends_at_once
            a_certificate_that_nobody_vouches_for_is_refused;
        master:
            a_standalone_master_tells_its_state
            a_running_application_is_shown;
        tools:
            doctor_tells_a_jvm_its_version;
    }
    println!("{passed} passed, {failed} failed, {left_out} skipped");
    if failed == 0 && passed + left_out > 0 {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}

/// No case takes nearly as long, on a slow machine either.
const LIMIT: Duration = Duration::from_secs(150);
