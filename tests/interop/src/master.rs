//! A real standalone Master with a real Worker and a running application, and our tools beside them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use spark_rpc::{RpcEndpointRef, RpcEnv};
use spark_rpc_standalone::{MasterState, RecoveryState, RequestMasterState};
use tokio::process::{Child, Command};

use crate::{Outcome, World, eventually, same, text, tools};

pub(crate) async fn a_standalone_master_tells_its_state(world: &World) -> Outcome {
    let cluster = Cluster::start(&world.logs.join("idle")).await?;
    let state = cluster.with_a_worker().await?;
    same(&*state.host, "127.0.0.1")?;
    same(cluster.url.ends_with(&format!(":{}", state.port)), true)?;
    same(state.status, RecoveryState::Alive)?;
    same(state.active_apps.0.len() + state.completed_apps.0.len(), 0)?;
    let worker = &state.workers.0[0];
    same((worker.cores, worker.memory, state.workers.0.len()), (1, 1024, 1))?;
    same(worker.id.starts_with("worker-"), true)?;
    // The reference that came inside the reply leads to the Worker itself, which is a third env.
    let uri = worker.endpoint.to_string();
    same(&uri, &format!("spark://Worker@{}:{}", worker.host, worker.port))?;
    cluster.env.setup_endpoint_ref(&uri).await.map_err(text)?;
    tools::output(&["ping", "--count", "2", &cluster.master.to_string()]).await?;
    cluster.env.shutdown().await;
    Ok(())
}

pub(crate) async fn a_running_application_is_shown(world: &World) -> Outcome {
    let cluster = Cluster::start(&world.logs.join("running")).await?;
    cluster.with_a_worker().await?;
    let driver = world.another_jvm("driver").await?;
    // What it counts is counted by an executor that the Worker has started.
    let url = &cluster.url;
    let started = driver.run(&format!("application-start {url} interop")).await?;
    let (id, count) = started.split_once(' ').unwrap_or_default();
    same(count, "1000")?;

    let state = cluster.state().await?;
    same(state.active_apps.0.len(), 1)?;
    let app = &state.active_apps.0[0];
    same(&*app.id, id)?;
    same((&*app.desc.name, app.desc.max_cores), ("interop", Some(1)))?;
    same(
        &*app.desc.command.main_class,
        "org.apache.spark.executor.CoarseGrainedExecutorBackend",
    )?;
    same((state.workers.0.len(), state.completed_apps.0.len()), (1, 0))?;
    // While all of them are at work, our tools reach the Master, the Worker and the driver.
    same(app.driver.name(), "AppClient")?;
    let at_driver = app
        .driver
        .to_string()
        .replace("AppClient", "CoarseGrainedScheduler");
    let worker = state.workers.0[0].endpoint.to_string();
    for uri in [cluster.master.to_string(), worker, at_driver] {
        tools::output(&["ping", "--count", "2", &uri]).await?;
    }
    tools::status_shows_a_running_application(&cluster.url, id).await?;
    tools::is_recognised(&cluster.url, &["Master"]).await?;
    if let Some(driver) = app.driver.address().address() {
        let driver_has = [
            "AppClient",
            "CoarseGrainedScheduler",
            "BlockManagerMaster",
            "MapOutputTracker",
        ];
        tools::is_recognised(&driver.to_string(), &driver_has).await?;
    }

    driver.run("application-stop").await?;
    let state = eventually("the end of the application", || async {
        let state = cluster.state().await?;
        match state.completed_apps.0.is_empty() {
            true => Err(format!("{state:?}")),
            false => Ok(state),
        }
    });
    let state = state.await?;
    same(state.active_apps.0.len(), 0)?;
    same(&*state.completed_apps.0[0].id, id)?;
    cluster.env.shutdown().await;
    Ok(())
}

/// A Master and a Worker, which are killed when this is dropped, and an env of ours that knows nothing of JVMs.
struct Cluster {
    /// As applications and Workers want it.
    url: String,
    env: RpcEnv,
    master: RpcEndpointRef,
    _processes: [Child; 2],
}

impl Cluster {
    /// Starts them; what they log, and the folders of their work, are in `folder`.
    async fn start(folder: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(text)?;
        let own = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"];
        let (master, log) = start("master.Master", &own, folder)?;
        let url = eventually("a Master", || async { address_in(&log) }).await?;
        let work = folder.join("work");
        let own = [
            "--host",
            "127.0.0.1",
            "--webui-port",
            "0",
            "--cores",
            "1",
            "--memory",
            "1g",
            "--work-dir",
            &work.to_string_lossy(),
            &url,
        ];
        let (worker, _) = start("worker.Worker", &own, folder)?;
        let env = RpcEnv::builder("beside").client_mode().start().await;
        let env = env.map_err(text)?;
        let uri = url.replace("spark://", "spark://Master@");
        Ok(Self {
            master: env.setup_endpoint_ref(&uri).await.map_err(text)?,
            url,
            env,
            _processes: [master, worker],
        })
    }

    async fn state(&self) -> Result<MasterState, String> {
        self.master.ask(RequestMasterState).await.map_err(text)
    }

    /// The state once the Worker has registered.
    async fn with_a_worker(&self) -> Result<MasterState, String> {
        eventually("a Worker", || async {
            let state = self.state().await?;
            match state.workers.0.is_empty() {
                true => Err(format!("{state:?}")),
                false => Ok(state),
            }
        })
        .await
    }
}

/// Starts a program of Spark's standalone mode; returns where it logs, too. It is killed when the child is dropped.
fn start(class: &str, args: &[&str], folder: &Path) -> Result<(Child, PathBuf), String> {
    let path = folder.join(class).with_extension("log");
    let log = std::fs::File::create(&path).map_err(text)?;
    let other = log.try_clone().map_err(text)?;
    let child = Command::new("java")
        .args(["-Xmx512m", "-XX:TieredStopAtLevel=1"])
        .args(crate::jvm::opened())
        .arg(format!("org.apache.spark.deploy.{class}"))
        .args(args)
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        .env("SPARK_LOCAL_HOSTNAME", "127.0.0.1")
        // Only has to be there: where the jars are is said by SPARK_HOME.
        .env("SPARK_SCALA_VERSION", "any")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(other)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot run java: {error}"))?;
    Ok((child, path))
}

/// Where a Master that took any port says that it listens.
fn address_in(log: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(log).map_err(text)?;
    let after = text.split_once("Starting Spark master at ");
    let line = after.and_then(|(_, rest)| rest.split_once('\n'));
    let (address, _) = line.ok_or_else(|| format!("{} does not say where it is", log.display()))?;
    Ok(address.trim().to_owned())
}
