//! The task of an env that watches over the files of TLS.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use spark_rpc_transport::auth::tls::CertificateInfo;
use spark_rpc_transport::security::TlsWatch;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What an env's files of TLS have been through.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TlsStats {
    /// The first of the own certificates to expire, if there is one.
    pub first_to_expire: Option<CertificateInfo>,
    /// Seconds until it does, negative afterwards.
    pub seconds_left: Option<f64>,
    /// How often changed files were taken into use.
    pub reloads: u64,
    /// How often files were looked at that could not be used.
    pub reload_failures: u64,
}

impl TlsStats {
    pub(crate) fn of(watch: &TlsWatch) -> Self {
        Self {
            first_to_expire: watch.first_to_expire(),
            seconds_left: watch.seconds_left(SystemTime::now()),
            reloads: watch.reloads(),
            reload_failures: watch.failures(),
        }
    }

    pub(crate) fn publish(&self, labels: &[(&'static str, String)]) {
        if let Some(seconds) = self.seconds_left {
            metrics::gauge!("spark_rpc_certificate_remaining_seconds", labels).set(seconds);
        }
        metrics::counter!("spark_rpc_tls_reloads_total", labels).absolute(self.reloads);
        metrics::counter!("spark_rpc_tls_reload_failures_total", labels).absolute(self.reload_failures);
    }
}

/// A watch, and the task that runs it.
pub(crate) struct TlsTask {
    pub(crate) watch: Arc<TlsWatch>,
    running: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl TlsTask {
    pub(crate) fn start(watch: TlsWatch, runtime: &Handle) -> Self {
        let watch = Arc::new(watch);
        let (stop, stopped) = oneshot::channel();
        let run = Arc::clone(&watch).run(async move {
            // Also when the sender is dropped.
            let _ = stopped.await;
        });
        let task = runtime.spawn(run);
        Self {
            watch,
            running: Mutex::new(Some((stop, task))),
        }
    }

    /// Ends it when no file is being read, and waits for that.
    pub(crate) async fn stop(&self) {
        if let Some((stop, task)) = self.take() {
            drop(stop);
            let _ = task.await;
        }
    }

    pub(crate) fn abort(&self) {
        if let Some((_, task)) = self.take() {
            task.abort();
        }
    }

    fn take(&self) -> Option<(oneshot::Sender<()>, JoinHandle<()>)> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
