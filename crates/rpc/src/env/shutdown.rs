//! How an env ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::EnvShared;
use super::shared::lock;

/// How an env ended, see [`RpcEnv::shutdown`](crate::RpcEnv::shutdown).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How long it took.
    pub took: Duration,
    /// Endpoints that had not finished within the limit and were ended as they were, their handlers dropped.
    pub endpoints_aborted: Vec<String>,
    /// Messages that those endpoints had taken and not begun to handle. Of these, asks have been failed.
    pub messages_unhandled: u64,
    /// Connections that had not written everything within the limit.
    pub connections_aborted: usize,
    /// One-way messages that waited for a connection and were dropped.
    pub messages_dropped: u64,
}

impl ShutdownReport {
    /// Whether everything came to its end by itself.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.endpoints_aborted.is_empty() && self.connections_aborted == 0 && self.messages_dropped == 0
    }
}

impl EnvShared {
    pub(super) async fn shutdown(self: &Arc<Self>, limit: Duration) -> ShutdownReport {
        let mut done = self.report.subscribe();
        if !self.stopped.swap(true, Ordering::AcqRel) {
            // A task of its own: whoever began it may be cut off with its endpoint, or wait no longer.
            let env = Arc::clone(self);
            self.runtime.spawn(async move { env.run_shutdown(limit).await });
        }
        match done.wait_for(Option::is_some).await {
            Ok(report) => report.clone().unwrap_or_default(),
            Err(_) => ShutdownReport::default(),
        }
    }

    async fn run_shutdown(&self, limit: Duration) {
        let began = tokio::time::Instant::now();
        let until = began + limit;
        tracing::debug!(env = %self.name, limit_ms = limit.as_millis(), "shutting down");
        if let Some(server) = &*lock(&self.server) {
            server.stop_accepting();
        }
        let dropped_before = self.dropped.load(Ordering::Relaxed);

        self.dispatcher.stop_all();
        let mut endpoints_aborted = Vec::new();
        let mut messages_unhandled = 0;
        for mailbox in self.dispatcher.running() {
            let stopped = std::future::poll_fn(|cx| mailbox.poll_stopped(cx));
            if tokio::time::timeout_at(until, stopped).await.is_err() {
                let stats = mailbox.stats();
                messages_unhandled += stats.posted.saturating_sub(stats.handled);
                endpoints_aborted.push(stats.name);
            }
        }
        self.dispatcher.abort_all();

        self.seal();
        let left = until
            .saturating_duration_since(tokio::time::Instant::now())
            .max(SHORTEST_FLUSH);
        let server = lock(&self.server).take();
        let closing_server = async {
            match &server {
                Some(server) => server.close(left).await,
                None => 0,
            }
        };
        let (incoming, outgoing, downloads) = futures_util::future::join3(
            closing_server,
            self.factory.close(left),
            self.downloads.close(left),
        )
        .await;
        if let Some(tls) = &self.tls {
            // A disk that hangs holds no shutdown up; the task then ends by itself.
            let _ = tokio::time::timeout(left, tls.stop()).await;
        }
        self.end_tasks();

        let report = ShutdownReport {
            took: began.elapsed(),
            endpoints_aborted,
            messages_unhandled,
            connections_aborted: incoming + outgoing + downloads,
            messages_dropped: self.dropped.load(Ordering::Relaxed) - dropped_before,
        };
        if report.is_clean() {
            tracing::debug!(env = %self.name, took_ms = report.took.as_millis(), "shut down");
        } else {
            tracing::warn!(env = %self.name, ?report, "shut down, but not everything had finished");
        }
        self.report.send_replace(Some(report));
    }

    /// Ends everything at once.
    pub(super) fn abort(&self) {
        self.stopped.store(true, Ordering::Release);
        self.dispatcher.abort_all();
        self.seal();
        if let Some(server) = lock(&self.server).take() {
            server.abort();
        }
        self.factory.abort();
        self.downloads.abort();
        self.end_tasks();
        self.report.send_if_modified(|report| {
            let first = report.is_none();
            report.get_or_insert_default();
            first
        });
    }

    fn end_tasks(&self) {
        self.timers.stop();
        if let Some(tls) = &self.tls {
            tls.abort();
        }
        for task in std::mem::take(&mut *lock(&self.tasks)) {
            task.abort();
        }
        if let Some(threads) = lock(&self.endpoint_threads).take() {
            threads.shutdown_background();
        }
    }
}

/// Even when the limit has passed, sockets get this long to write what is queued.
const SHORTEST_FLUSH: Duration = Duration::from_millis(100);
