//! The demo's server process.

use std::path::Path;

use spark_rpc::{RpcEnv, SetupError};
use tokio::sync::oneshot;

use super::greeter::Greeter;
use super::spare::Spare;
use crate::exit::{Exit, Failure};
use crate::serve::{Echo, Events, Sink};
use crate::stdin::Lines;
use crate::{output, runtime};

/// Serves at `port` of 127.0.0.1, and what is below `folder`, until standard input ends.
pub(crate) fn run(port: u16, folder: Option<&Path>) -> Result<Exit, Failure> {
    let runtime = runtime::full()?;
    let exit = runtime.block_on(serve(port, folder));
    runtime.shutdown_background();
    exit
}

async fn serve(port: u16, folder: Option<&Path>) -> Result<Exit, Failure> {
    let mut builder = RpcEnv::builder("demo-server").bind(format!("127.0.0.1:{port}"));
    if port != 0 {
        // It has to be this one, where the client looks for the server.
        builder = builder.conf(spark_rpc::config::RpcConf::default().with_port_max_retries(0));
    }
    let env = builder.start().await.map_err(Failure::no)?;
    setup(&env).map_err(Failure::no)?;
    if let Some(folder) = folder {
        let added = env.file_server().add_directory("/demo", folder).await;
        added.map_err(Failure::no)?;
    }
    let address = env.address().expect("an env in server mode has an address");
    output::line(address.to_spark_url());
    let mut input = Lines::of_stdin();
    while input.next().await.is_some() {}
    let report = env.shutdown().await;
    Ok(if report.is_clean() { Exit::Done } else { Exit::No })
}

fn setup(env: &RpcEnv) -> Result<(), SetupError> {
    let (say_farewell, farewell) = oneshot::channel();
    let spare = env.setup_endpoint("spare", Spare::new(say_farewell))?;
    env.setup_endpoint("greeter", Greeter::new(spare, farewell))?;
    env.setup_endpoint("echo", Echo)?;
    env.setup_endpoint("sink", Sink::new(Events::Nothing))?;
    Ok(())
}
