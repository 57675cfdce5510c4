//! What is known of a Master, for programs (`--json`) and for the tables.

use serde::Serialize;
use spark_rpc_standalone::{
    ApplicationInfo, DriverInfo, DriverState, DriverStatus, MasterState, RecoveryState, WorkerInfo,
};

use super::web::Web;

/// The one object that `--json` prints. What is not known is null.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(super) master: Master,
    pub(super) workers: Vec<Worker>,
    pub(super) applications: Vec<Application>,
    pub(super) drivers: Vec<Driver>,
}

#[derive(Debug, Serialize)]
pub(super) struct Master {
    pub(super) url: String,
    pub(super) state: &'static str,
    pub(super) web_ui_port: Option<i32>,
    pub(super) rest_port: Option<i32>,
    /// Whether the Master's web server has told what is not told by RPC.
    pub(super) web_ui_answered: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Worker {
    pub(super) id: String,
    pub(super) host: String,
    pub(super) port: i32,
    pub(super) state: Option<String>,
    pub(super) cores: i32,
    pub(super) cores_used: Option<i64>,
    pub(super) memory_mib: i32,
    pub(super) memory_used_mib: Option<i64>,
    pub(super) resources: std::collections::BTreeMap<String, Vec<String>>,
    pub(super) web_ui: String,
    pub(super) last_heartbeat_ms: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Application {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) user: String,
    pub(super) active: bool,
    pub(super) state: Option<String>,
    /// Null if it takes as many as there are.
    pub(super) cores_wanted: Option<i32>,
    pub(super) cores_used: Option<i64>,
    pub(super) memory_per_executor_mib: Option<i64>,
    pub(super) submitted_ms: i64,
    pub(super) duration_ms: Option<i64>,
    pub(super) driver: String,
    pub(super) web_ui: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Driver {
    pub(super) id: String,
    pub(super) main_class: String,
    pub(super) jar: String,
    pub(super) active: bool,
    pub(super) state: Option<String>,
    pub(super) worker: Option<String>,
    pub(super) error: Option<String>,
    pub(super) cores: i32,
    pub(super) memory_mib: i32,
    pub(super) supervised: bool,
    pub(super) submitted_ms: i64,
}

impl Report {
    /// Puts together what RPC and the web server have told; `statuses` are those of the drivers, active ones first.
    pub(super) fn new(
        state: &MasterState,
        statuses: &[Option<DriverStatus>],
        web_ui_port: Option<i32>,
        web: Option<&Web>,
    ) -> Self {
        let both = |active: usize, all: usize| {
            std::iter::repeat_n(true, active).chain(std::iter::repeat_n(false, all))
        };
        let apps = state.active_apps.0.iter().chain(&state.completed_apps.0);
        let drivers = state.active_drivers.0.iter().chain(&state.completed_drivers.0);
        Self {
            master: Master {
                url: format!("spark://{}:{}", state.host, state.port),
                state: recovery(state.status),
                web_ui_port,
                rest_port: state.rest_port,
                web_ui_answered: web.is_some(),
            },
            workers: state
                .workers
                .0
                .iter()
                .map(|worker| Worker::new(worker, web))
                .collect(),
            applications: apps
                .zip(both(state.active_apps.0.len(), state.completed_apps.0.len()))
                .map(|(app, active)| Application::new(app, active, web))
                .collect(),
            drivers: drivers
                .zip(both(
                    state.active_drivers.0.len(),
                    state.completed_drivers.0.len(),
                ))
                .enumerate()
                .map(|(at, (driver, active))| {
                    let status = statuses.get(at).and_then(Option::as_ref);
                    Driver::new(driver, active, status, web)
                })
                .collect(),
        }
    }
}

impl Worker {
    fn new(worker: &WorkerInfo, web: Option<&Web>) -> Self {
        let told = web.and_then(|web| web.workers.iter().find(|told| told.id == worker.id));
        let resources = worker.resources.iter();
        Self {
            id: worker.id.clone(),
            host: worker.host.clone(),
            port: worker.port,
            state: told.map(|told| told.state.to_lowercase()),
            cores: worker.cores,
            cores_used: told.map(|told| told.coresused),
            memory_mib: worker.memory,
            memory_used_mib: told.map(|told| told.memoryused),
            resources: resources
                .map(|(name, resource)| (name.clone(), resource.addresses.clone()))
                .collect(),
            web_ui: worker.web_ui_address.clone(),
            last_heartbeat_ms: told.map(|told| told.lastheartbeat),
        }
    }
}

impl Application {
    fn new(app: &ApplicationInfo, active: bool, web: Option<&Web>) -> Self {
        let told = web.and_then(|web| {
            let mut all = web.activeapps.iter().chain(&web.completedapps);
            all.find(|told| told.id == app.id)
        });
        let profile = &app.desc.default_profile;
        Self {
            id: app.id.clone(),
            name: app.desc.name.clone(),
            user: app.desc.user.clone(),
            active,
            state: told.map(|told| told.state.to_lowercase()),
            cores_wanted: (app.requested_cores != i32::MAX).then_some(app.requested_cores),
            cores_used: told.map(|told| told.cores),
            memory_per_executor_mib: profile.executor_memory(),
            submitted_ms: app.submit_date.millis,
            duration_ms: told.map(|told| told.duration),
            driver: app.driver.to_string(),
            web_ui: app.desc.app_ui_url.clone(),
        }
    }
}

impl Driver {
    fn new(driver: &DriverInfo, active: bool, status: Option<&DriverStatus>, web: Option<&Web>) -> Self {
        let told = web.and_then(|web| {
            let mut all = web.activedrivers.iter().chain(&web.completeddrivers);
            all.find(|told| told.id == driver.id)
        });
        let by_rpc = status.and_then(|status| status.state).map(driver_state);
        let exception = status.and_then(|status| status.exception.as_ref());
        Self {
            id: driver.id.clone(),
            main_class: driver.desc.main_class().to_owned(),
            jar: driver.desc.jar_url.clone(),
            active,
            state: by_rpc.or_else(|| told.map(|told| told.state.to_lowercase())),
            worker: status.and_then(|status| status.worker_id.clone()),
            error: exception.map(|error| error.message.clone().unwrap_or_else(|| error.class.clone())),
            cores: driver.desc.cores,
            memory_mib: driver.desc.mem,
            supervised: driver.desc.supervise,
            submitted_ms: driver.submit_date.millis,
        }
    }
}

fn recovery(state: RecoveryState) -> &'static str {
    match state {
        RecoveryState::Standby => "standby",
        RecoveryState::Alive => "alive",
        RecoveryState::Recovering => "recovering",
        RecoveryState::CompletingRecovery => "completing_recovery",
    }
}

fn driver_state(state: DriverState) -> String {
    format!("{state:?}").to_lowercase()
}
