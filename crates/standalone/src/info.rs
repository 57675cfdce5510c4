//! A Master's records of workers, applications and drivers, as far as they travel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spark_rpc::RpcEndpointRef;
use spark_rpc_javaobj::JavaObject;

use crate::{ApplicationDescription, DriverDescription, ResourceInformation, Timestamp, WorkerResource};

/// A worker that has registered.
#[derive(Clone, Debug, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.deploy.master.WorkerInfo")]
pub struct WorkerInfo {
    /// `worker-yyyyMMddHHmmss-host-port`, the time of its start by its own clock.
    pub id: String,
    /// The host, as the worker names itself.
    pub host: String,
    /// The port of its env.
    pub port: i32,
    /// Cores that it offers, used or not.
    pub cores: i32,
    /// Memory that it offers in MiB, used or not.
    pub memory: i32,
    /// Its endpoint.
    pub endpoint: RpcEndpointRef,
    /// Where its web pages are.
    pub web_ui_address: String,
    /// Other resources that it offers, by name.
    pub resources: BTreeMap<String, WorkerResource>,
}

/// An application that has registered.
#[derive(Clone, Debug, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.deploy.master.ApplicationInfo")]
pub struct ApplicationInfo {
    /// `app-yyyyMMddHHmmss-NNNN`.
    pub id: String,
    /// What it has registered with.
    pub desc: ApplicationDescription,
    /// When it has registered, by the Master's clock.
    pub submit_date: Timestamp,
    /// The same as milliseconds.
    pub start_time: i64,
    /// Its driver's endpoint.
    pub driver: RpcEndpointRef,
    /// How many cores the Master gives an application that says no number.
    pub default_cores: i32,
    /// How many cores it wants; [`i32::MAX`] if as many as there are.
    pub requested_cores: i32,
    /// How many of its executors failed in a row.
    #[java(name = "_retryCount")]
    pub retry_count: i32,
}

/// A driver that was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.deploy.master.DriverInfo")]
pub struct DriverInfo {
    /// `driver-yyyyMMddHHmmss-NNNN`.
    pub id: String,
    /// What was submitted.
    pub desc: DriverDescription,
    /// When, by the Master's clock.
    pub submit_date: Timestamp,
    /// The same as milliseconds.
    pub start_time: i64,
    /// Other resources that it was given, by name.
    #[java(name = "_resources")]
    pub resources: BTreeMap<String, ResourceInformation>,
}
