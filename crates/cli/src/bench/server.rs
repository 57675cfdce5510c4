//! The server of a remote work: a process of our own, or one that runs already.

use std::ffi::OsString;

use spark_rpc::{RpcAddress, RpcEndpointAddress, RpcEndpointRef, RpcEnv};

use super::plan::Plan;
use crate::child::OwnChild;
use crate::exit::Failure;
use crate::messages::Usage;
use crate::peer;
use crate::process::ProcessUsage;

/// A server, and this process's env that calls it.
pub(crate) struct Server {
    pub(crate) env: RpcEnv,
    pub(crate) address: RpcAddress,
    sink: RpcEndpointRef,
    /// Ends the process when it is dropped.
    _process: Option<OwnChild>,
}

impl Server {
    pub(crate) async fn of(plan: &Plan) -> Result<Self, Failure> {
        Self::with(plan, &[]).await
    }

    /// One whose own process gets further arguments.
    pub(crate) async fn with(plan: &Plan, arguments: &[OsString]) -> Result<Self, Failure> {
        let (process, address) = match &plan.connect {
            Some(address) => (None, address.clone()),
            None => {
                let arguments = [&plan.serve_arguments(), arguments].concat();
                let mut process = OwnChild::start(&arguments)?;
                let address = process.address().await?;
                (Some(process), address)
            }
        };
        let env = plan.client().await?;
        let found = env.setup_endpoint_ref_at(&address, "sink").await;
        let sink = found.map_err(|error| peer::lookup_failed(&error))?;
        Ok(Self {
            env,
            address,
            sink,
            _process: process,
        })
    }

    /// A reference to one of its endpoints.
    pub(crate) fn endpoint(&self, name: &str) -> RpcEndpointRef {
        let address = RpcEndpointAddress::new(name, Some(self.address.clone()));
        self.env.endpoint_ref(address)
    }

    pub(crate) fn sink(&self) -> &RpcEndpointRef {
        &self.sink
    }

    /// What the server's process has used; `None` if it does not know the question.
    pub(crate) async fn usage(&self) -> Result<Option<ProcessUsage>, Failure> {
        match self.sink.ask(Usage).await {
            Ok(usage) => Ok(Some(usage)),
            Err(spark_rpc::AskError::UnknownMessage { .. }) => Ok(None),
            Err(error) => Err(peer::ask_failed(&error)),
        }
    }
}
