//! Spark's standalone cluster, as an application on [`spark_rpc`].
//!
//! So far this crate holds what one says to a Master from outside, as types that JVMs of Spark 3.4 to 4.3 exchange:
//! [`RequestMasterState`] and what it brings, [`BoundPortsRequest`], [`RequestDriverStatus`]. A Master and a Worker of our own
//! will speak the same types.
//!
//! ```no_run
//! use spark_rpc::RpcEnv;
//! use spark_rpc_standalone::{MASTER, RequestMasterState};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let env = RpcEnv::builder("onlooker").client_mode().start().await?;
//! let master = env.setup_endpoint_ref(&format!("spark://{MASTER}@10.0.0.1:7077")).await?;
//! let state = master.ask(RequestMasterState).await?;
//! for worker in &state.workers.0 {
//!     println!("{}: {} cores, {} MiB", worker.id, worker.cores, worker.memory);
//! }
//! # env.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What a Master does not say
//!
//! A Master answers with its own bookkeeping objects, and Spark leaves out of them what it keeps for itself: the state of
//! each worker, application and driver, the cores and the memory in use, the time of the last heartbeat. What is known by
//! RPC is what there is, what it was asked for, and whether the Master counts it among the active or the completed. A
//! driver's state can be asked for by itself ([`RequestDriverStatus`]); the rest stands on the pages of the Master's web
//! server, whose port [`BoundPortsRequest`] tells.

#![forbid(unsafe_code)]

mod descriptions;
mod info;
mod messages;
mod resources;
mod states;
mod values;

pub use descriptions::{ApplicationDescription, Command, DriverDescription};
pub use info::{ApplicationInfo, DriverInfo, WorkerInfo};
pub use messages::{
    BoundPorts, BoundPortsRequest, DriverStatus, MasterState, RequestDriverStatus, RequestMasterState,
};
pub use resources::{
    ExecutorResourceRequest, ResourceInformation, ResourceProfile, ResourceRequirement, TaskResourceRequest,
    WorkerResource,
};
pub use states::{ApplicationState, DriverState, RecoveryState, WorkerState};
pub use values::{Array, Exception, Timestamp, Uri};

/// The name of a Master's endpoint.
pub const MASTER: &str = "Master";
/// The name of a Worker's endpoint.
pub const WORKER: &str = "Worker";
