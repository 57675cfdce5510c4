//! A real standalone Master with a real Worker, and our tools beside them.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use spark_rpc::RpcEnv;
use spark_rpc_standalone::{RecoveryState, RequestMasterState};
use tokio::process::{Child, Command};

use crate::{Outcome, World, eventually, same};

pub(crate) async fn a_standalone_master_tells_its_state(world: &World) -> Outcome {
    let port = free_port()?;
    let url = format!("spark://127.0.0.1:{port}");
    let number = port.to_string();
    let own = ["--host", "127.0.0.1", "--port", &number, "--webui-port", "0"];
    let _master = start("master.Master", &own, &world.logs, "master.log")?;
    let uri = format!("spark://Master@127.0.0.1:{port}");
    // An env that knows nothing of JVMs.
    let env = RpcEnv::builder("beside").client_mode().start().await;
    let env = env.map_err(|error| error.to_string())?;
    let master = eventually("a Master that answers", || env.setup_endpoint_ref(&uri)).await?;

    let work = world.logs.join("work");
    let work = work.to_string_lossy();
    let own = [
        "--host",
        "127.0.0.1",
        "--webui-port",
        "0",
        "--cores",
        "1",
        "--memory",
        "512m",
        "--work-dir",
        &work,
        &url,
    ];
    let _worker = start("worker.Worker", &own, &world.logs, "worker.log")?;
    let state = eventually("a Worker", || async {
        let state = master
            .ask(RequestMasterState)
            .await
            .map_err(|error| error.to_string())?;
        if state.workers.0.is_empty() {
            Err(format!("{state:?}"))
        } else {
            Ok(state)
        }
    });
    let state = state.await?;
    same((&*state.host, state.port), ("127.0.0.1", i32::from(port)))?;
    same(state.status, RecoveryState::Alive)?;
    same(state.active_apps.0.len() + state.completed_apps.0.len(), 0)?;
    let worker = &state.workers.0[0];
    same((worker.cores, worker.memory, state.workers.0.len()), (1, 512, 1))?;
    same(worker.id.starts_with("worker-"), true)?;
    // The reference that came inside the reply leads to the Worker itself, which is a third env.
    same(
        worker.endpoint.to_string(),
        format!("spark://Worker@{}:{}", worker.host, worker.port),
    )?;
    let found = env.setup_endpoint_ref(&worker.endpoint.to_string()).await;
    found.map_err(|error| error.to_string())?;

    if let Some(program) = std::env::var_os("SPARK_RPC_CLI") {
        let output = Command::new(program)
            .args(["ping", "--count", "2", &uri])
            .output()
            .await;
        let output = output.map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("ping: {output:?}"));
        }
    }
    env.shutdown().await;
    Ok(())
}

/// Starts a program of Spark's standalone mode. It is killed when what this returns is dropped.
fn start(class: &str, args: &[&str], logs: &Path, log: &str) -> Result<Child, String> {
    let log = std::fs::File::create(logs.join(log)).map_err(|error| error.to_string())?;
    let other = log.try_clone().map_err(|error| error.to_string())?;
    Command::new("java")
        .args(["-Xmx512m", "-XX:TieredStopAtLevel=1"])
        .args(crate::jvm::opened())
        .arg(format!("org.apache.spark.deploy.{class}"))
        .args(args)
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        .env("SPARK_LOCAL_HOSTNAME", "127.0.0.1")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(other)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot run java: {error}"))
}

/// A port that is free now.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener
        .local_addr()
        .map(|address| address.port())
        .map_err(|error| error.to_string())
}
