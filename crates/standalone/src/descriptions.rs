//! What is asked of a Master: to run an application or a driver.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spark_rpc_javaobj::JavaObject;

use crate::{ResourceProfile, ResourceRequirement, Uri};

/// An application, as it registers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.deploy.ApplicationDescription")]
pub struct ApplicationDescription {
    /// Its name.
    pub name: String,
    /// How many cores it takes at most.
    pub max_cores: Option<i32>,
    /// How to start an executor of it.
    pub command: Command,
    /// Where its web pages are.
    pub app_ui_url: String,
    /// What its executors need, unless a stage says otherwise.
    pub default_profile: ResourceProfile,
    /// Where it writes its events.
    pub event_log_dir: Option<Uri>,
    /// How they are compressed.
    pub event_log_codec: Option<String>,
    /// How many executors it wants at first.
    pub initial_executor_limit: Option<i32>,
    /// Who runs it.
    pub user: String,
}

/// How to start a JVM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.deploy.Command")]
pub struct Command {
    /// The class to run.
    pub main_class: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// What comes onto the class path.
    pub class_path_entries: Vec<String>,
    /// What comes onto the path of native libraries.
    pub library_path_entries: Vec<String>,
    /// Options of the JVM.
    pub java_opts: Vec<String>,
}

/// A driver, as it is submitted to run in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.deploy.DriverDescription")]
pub struct DriverDescription {
    /// The program.
    pub jar_url: String,
    /// Memory in MiB.
    pub mem: i32,
    /// Cores.
    pub cores: i32,
    /// Whether it is started again when it fails.
    pub supervise: bool,
    /// How to start it.
    pub command: Command,
    /// Other resources that it wants.
    pub resource_reqs: Vec<ResourceRequirement>,
}

impl DriverDescription {
    /// The class of the program itself, where the command starts it through Spark's own wrapper.
    pub fn main_class(&self) -> &str {
        let command = &self.command;
        let wrapped = command.main_class == "org.apache.spark.deploy.worker.DriverWrapper";
        match command.arguments.get(2) {
            Some(class) if wrapped => class,
            _ => &command.main_class,
        }
    }
}
