//! A process of ours, which can be killed.

use std::path::Path;
use std::process::Stdio;

use spark_rpc::RpcEnv;
use spark_rpc::config::RpcConf;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::messages::Lab;
use crate::{Outcome, text};

/// This program once more, as a server. It is killed when this is dropped.
pub(crate) struct Ours {
    child: Child,
}

impl Ours {
    /// Starts one that serves `lab` at `address`, and a file if one is given; returns the address that it got, or the
    /// file's URI.
    pub(crate) async fn start(address: &str, file: Option<&Path>) -> Result<(Self, String), String> {
        let program = std::env::current_exe().map_err(text)?;
        let mut child = Command::new(program)
            .args(["serve", address])
            .args(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(text)?;
        let output = child.stdout.take().ok_or("no stdout")?;
        let line = BufReader::new(output).lines().next_line().await.map_err(text)?;
        Ok((Self { child }, line.ok_or("our process does not serve")?))
    }

    /// Ends the process as a power failure would.
    pub(crate) async fn kill(&mut self) -> Outcome {
        self.child.kill().await.map_err(text)
    }
}

/// What such a process does, until its input ends.
pub(crate) async fn serve(address: &str, file: Option<&Path>) -> Outcome {
    let env = RpcEnv::builder("serving")
        .conf(RpcConf::default().with_port_max_retries(0))
        .bind(address)
        .start()
        .await
        .map_err(text)?;
    env.setup_endpoint("lab", Lab::default()).map_err(text)?;
    match file {
        Some(file) => println!("{}", env.file_server().add_file(file).await.map_err(text)?),
        None => println!("{}", env.address().map(ToString::to_string).unwrap_or_default()),
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(_)) = lines.next_line().await {}
    Ok(())
}
