//! Resources beside cores and memory, such as GPUs, and how much of each an application wants.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spark_rpc_javaobj::JavaObject;

use crate::Array;

/// Some pieces of a resource, by their addresses: the GPUs `0` and `1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.resource.ResourceInformation")]
pub struct ResourceInformation {
    /// The resource's name.
    pub name: String,
    /// The addresses.
    pub addresses: Array<String>,
}

/// The pieces of a resource that a worker has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.deploy.master.WorkerResourceInfo")]
pub struct WorkerResource {
    /// The resource's name.
    pub name: String,
    /// The addresses of all pieces, used or not.
    pub addresses: Vec<String>,
}

/// How many pieces of a resource a driver wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.resource.ResourceRequirement")]
pub struct ResourceRequirement {
    /// The resource's name.
    pub resource_name: String,
    /// How many.
    pub amount: i32,
    /// Into how many parts a piece is divided.
    pub num_parts: i32,
}

/// What an executor of an application needs, and what a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.resource.ResourceProfile")]
pub struct ResourceProfile {
    /// The profile's number; 0 is the default one.
    #[java(name = "_id")]
    pub id: i32,
    /// By the resource's name: `cores`, `memory` and `offHeap` in MiB, others in pieces.
    pub executor_resources: BTreeMap<String, ExecutorResourceRequest>,
    /// By the resource's name.
    pub task_resources: BTreeMap<String, TaskResourceRequest>,
    /// What Spark has worked out from the others, if it has.
    #[java(name = "_executorResourceSlotsPerAddr")]
    pub executor_resource_slots_per_addr: Option<BTreeMap<String, i32>>,
    /// Which resource bounds the number of tasks.
    #[java(name = "_limitingResource")]
    pub limiting_resource: Option<String>,
    /// How many tasks an executor runs at a time.
    #[java(name = "_maxTasksPerExecutor")]
    pub max_tasks_per_executor: Option<i32>,
    /// Whether cores bound the number of tasks.
    #[java(name = "_coresLimitKnown")]
    pub cores_limit_known: bool,
}

impl ResourceProfile {
    /// The memory of an executor in MiB, if the profile says one.
    pub fn executor_memory(&self) -> Option<i64> {
        self.executor_resources
            .get("memory")
            .map(|request| request.amount)
    }

    /// The cores of an executor, if the profile says a number; else it takes all that its worker gives.
    pub fn executor_cores(&self) -> Option<i64> {
        self.executor_resources.get("cores").map(|request| request.amount)
    }
}

/// How much of a resource an executor needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.resource.ExecutorResourceRequest")]
pub struct ExecutorResourceRequest {
    /// The resource's name.
    pub resource_name: String,
    /// How much.
    pub amount: i64,
    /// The program that finds the resource, if any.
    pub discovery_script: String,
    /// Who makes it, if that matters.
    pub vendor: String,
}

/// How much of a resource a task needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.resource.TaskResourceRequest")]
pub struct TaskResourceRequest {
    /// The resource's name.
    pub resource_name: String,
    /// How much; a part of a piece may suffice.
    pub amount: f64,
}
