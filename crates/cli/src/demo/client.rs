//! The demo's client process.

use std::path::Path;

use serde::{Deserialize, Serialize};
use spark_rpc::RpcAddress;

use super::steps::Steps;
use crate::exit::{Exit, Failure};
use crate::stdin::Lines;
use crate::{output, runtime};

/// How a step went.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StepReport {
    pub(crate) ok: bool,
    pub(crate) detail: String,
}

/// Takes the steps that standard input names, one a line, and reports each on standard output.
pub(crate) fn run(server: &RpcAddress, folder: Option<&Path>) -> Result<Exit, Failure> {
    let runtime = runtime::full()?;
    let exit = runtime.block_on(take_steps(server, folder));
    runtime.shutdown_background();
    exit
}

async fn take_steps(server: &RpcAddress, folder: Option<&Path>) -> Result<Exit, Failure> {
    let mut steps = Steps::new(server, folder).await?;
    output::line("no listener of its own");
    let mut input = Lines::of_stdin();
    while let Some(step) = input.next().await {
        let (ok, detail) = match steps.take(&step).await {
            Ok(detail) => (true, detail),
            Err(error) => (false, error.to_string()),
        };
        let report = StepReport { ok, detail };
        output::line(serde_json::to_string(&report).expect("text can always be written"));
    }
    Ok(Exit::Done)
}
