//! The command beside real Spark: `doctor` and `status`, as somebody at a terminal runs them.

use serde_json::{Value, json};
use tokio::process::Command;

use crate::{Outcome, World, same, text};

pub(crate) async fn doctor_tells_a_jvm_its_version(world: &World) -> Outcome {
    let address = world.jvm.run("address server").await?;
    let Some(report) = run(&["doctor", &address, "--json"]).await? else {
        return Ok(());
    };
    same(
        (&report["listening"], &report["peer"]),
        (&json!("spark"), &json!("jvm")),
    )?;
    let version = world.version();
    let line = |version: &str| version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    let found = report["spark"].as_array().cloned().unwrap_or_default();
    let found: Vec<_> = found.iter().filter_map(Value::as_str).map(line).collect();
    same(found, vec![line(version)])?;
    let scala = if version.starts_with('3') { "2.12" } else { "2.13" };
    same(&report["scala"], &json!(scala))?;
    same(&report["authentication"]["wanted"], &json!(false))?;
    same(&report["endpoints"]["Master"], &json!(false))
}

/// Checks that `doctor` takes the env at a `spark://` URL for what it is.
pub(crate) async fn is_recognised(url: &str, endpoints: &[&str]) -> Outcome {
    let Some(report) = run(&["doctor", url, "--json"]).await? else {
        return Ok(());
    };
    for name in endpoints {
        if report["endpoints"][name] != true {
            return Err(format!("no {name} in {report}"));
        }
    }
    Ok(())
}

/// Checks that `status` shows a Master's one worker and its one application, which runs.
pub(crate) async fn status_shows_a_running_application(url: &str, id: &str) -> Outcome {
    let Some(report) = run(&["status", url, "--json"]).await? else {
        return Ok(());
    };
    same(&report["master"]["state"], &json!("alive"))?;
    let worker = &report["workers"][0];
    same(
        (&worker["state"], &worker["cores_used"]),
        (&json!("alive"), &json!(1)),
    )?;
    let app = &report["applications"][0];
    same(
        (&app["id"], &app["active"], &app["state"]),
        (&json!(id), &json!(true), &json!("running")),
    )
}

/// Runs the command and reads the JSON that it prints; nothing if the suite was not told where it is.
async fn run(args: &[&str]) -> Result<Option<Value>, String> {
    let Some(printed) = output(args).await? else {
        return Ok(None);
    };
    serde_json::from_str(&printed).map(Some).map_err(text)
}

/// Runs the command and returns what it prints; nothing if the suite was not told where it is.
pub(crate) async fn output(args: &[&str]) -> Result<Option<String>, String> {
    let Some(program) = std::env::var_os("SPARK_RPC_CLI") else {
        return Ok(None);
    };
    let output = Command::new(program).args(args).output().await.map_err(text)?;
    if output.status.success() {
        Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
    } else {
        Err(format!("{args:?}: {output:?}"))
    }
}
