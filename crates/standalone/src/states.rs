//! What can be with a Master, a worker, an application and a driver: Spark's enumerations.

use serde::{Deserialize, Serialize};
use spark_rpc_javaobj::JavaObject;

/// Whether a Master leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JavaObject)]
#[java(scala_enum = "org.apache.spark.deploy.master.RecoveryState$")]
pub enum RecoveryState {
    /// Another Master leads.
    Standby,
    /// This one leads.
    Alive,
    /// It has just taken over and waits for workers and applications to report.
    Recovering,
    /// It gives up those that have not reported.
    CompletingRecovery,
}

/// What a Master thinks of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JavaObject)]
#[java(scala_enum = "org.apache.spark.deploy.master.WorkerState$")]
pub enum WorkerState {
    /// It is connected and sends heartbeats.
    Alive,
    /// It has gone or fallen silent.
    Dead,
    /// It finishes what it runs and gets nothing new.
    Decommissioned,
    /// A Master that has just taken over has not heard of it yet.
    Unknown,
}

/// What a Master thinks of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JavaObject)]
#[java(scala_enum = "org.apache.spark.deploy.master.ApplicationState$")]
pub enum ApplicationState {
    /// No worker had room for it yet.
    Waiting,
    /// It has executors.
    Running,
    /// It has ended by itself.
    Finished,
    /// Its executors failed too often.
    Failed,
    /// Somebody ended it.
    Killed,
    /// A Master that has just taken over has not heard of it yet.
    Unknown,
}

/// What a Master thinks of a driver that runs in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JavaObject)]
#[java(scala_enum = "org.apache.spark.deploy.master.DriverState$")]
pub enum DriverState {
    /// No worker had room for it yet.
    Submitted,
    /// A worker runs it.
    Running,
    /// It has ended by itself, with success.
    Finished,
    /// Its worker was lost, and it is being started elsewhere.
    Relaunching,
    /// A Master that has just taken over has not heard of it yet.
    Unknown,
    /// Somebody ended it.
    Killed,
    /// It has ended by itself, without success.
    Failed,
    /// It could not be started.
    Error,
}
