//! What one may ask a Master.

use serde::{Deserialize, Serialize};
use spark_rpc::RpcMessage;
use spark_rpc_javaobj::JavaObject;

use crate::{ApplicationInfo, Array, DriverInfo, DriverState, Exception, RecoveryState, WorkerInfo};

/// Asks a Master what it knows; its web pages ask the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(java, reply = MasterState)]
#[java(class = "org.apache.spark.deploy.DeployMessages$RequestMasterState$", module)]
pub struct RequestMasterState;

/// What a Master knows.
#[derive(Clone, Debug, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.deploy.DeployMessages$MasterStateResponse")]
pub struct MasterState {
    /// The Master's host, as it names itself.
    pub host: String,
    /// The port of its env.
    pub port: i32,
    /// The port of its submission server, if that runs.
    pub rest_port: Option<i32>,
    /// All workers, also those that are gone, for a while.
    pub workers: Array<WorkerInfo>,
    /// Applications that wait or run.
    pub active_apps: Array<ApplicationInfo>,
    /// Applications that have ended, the last ones.
    pub completed_apps: Array<ApplicationInfo>,
    /// Drivers that wait or run.
    pub active_drivers: Array<DriverInfo>,
    /// Drivers that have ended, the last ones.
    pub completed_drivers: Array<DriverInfo>,
    /// Whether it leads.
    pub status: RecoveryState,
}

/// Asks a Master which ports it listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(java, reply = BoundPorts)]
#[java(
    class = "org.apache.spark.deploy.master.MasterMessages$BoundPortsRequest$",
    module
)]
pub struct BoundPortsRequest;

/// The ports that a Master listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.deploy.master.MasterMessages$BoundPortsResponse")]
pub struct BoundPorts {
    /// Of its env.
    pub rpc_endpoint_port: i32,
    /// Of its web pages.
    #[java(name = "webUIPort")]
    pub web_ui_port: i32,
    /// Of its submission server, if that runs.
    pub rest_port: Option<i32>,
}

/// Asks a Master for the state of a driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(java, reply = DriverStatus)]
#[java(class = "org.apache.spark.deploy.DeployMessages$RequestDriverStatus")]
pub struct RequestDriverStatus {
    /// Its id.
    pub driver_id: String,
}

/// The state of a driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.deploy.DeployMessages$DriverStatusResponse")]
pub struct DriverStatus {
    /// Whether the Master knows the driver.
    pub found: bool,
    /// The state, if it does.
    pub state: Option<DriverState>,
    /// The worker that runs it.
    pub worker_id: Option<String>,
    /// Where that worker is, `host:port`.
    pub worker_host_port: Option<String>,
    /// Why it could not be started, or why the Master does not say: one that does not lead does not.
    pub exception: Option<Exception>,
}
