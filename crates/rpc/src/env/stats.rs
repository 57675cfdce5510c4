//! What an env has done so far, and its metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use spark_rpc_transport::TransportCounters;

use super::shared::lock;
use super::{EnvShared, RpcEnv};
use crate::mailbox::{EndedEndpoints, EndpointStats};
use crate::tls_task::TlsStats;

/// What an env has done so far.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EnvStats {
    /// Its endpoints, in the order of their registration.
    pub endpoints: Vec<EndpointStats>,
    /// Those that have ended, together.
    pub ended: EndedEndpoints,
    /// One-way messages dropped: no such endpoint, no handler, no room, no connection.
    pub dropped: u64,
    /// Messages whose envelope could not be read, so that it is not known for which endpoint they were.
    pub unreadable: u64,
    /// Connections made again to an address that had been connected before.
    pub reconnects: u64,
    /// Bytes, frames and connections.
    pub transport: Arc<TransportCounters>,
    /// Certificates and their files, where TLS is on.
    pub tls: Option<TlsStats>,
}

impl RpcEnv {
    /// Sets the gauges of the [`metrics`] facade to what they are now: queue lengths, connections, bytes, drops, how
    /// long certificates are still valid. Call it before each scrape.
    pub fn publish_metrics(&self) {
        let env = self.name().to_owned();
        let stats = self.stats();
        for endpoint in &stats.endpoints {
            let labels = [("env", env.clone()), ("endpoint", endpoint.name.clone())];
            metrics::gauge!("spark_rpc_queue_length", &labels).set(endpoint.queued as f64);
            metrics::gauge!("spark_rpc_queue_bytes", &labels).set(endpoint.queued_bytes as f64);
            metrics::counter!("spark_rpc_posted_total", &labels).absolute(endpoint.posted);
            metrics::counter!("spark_rpc_rejected_total", &labels).absolute(endpoint.rejected);
            metrics::counter!("spark_rpc_unreadable_total", &labels).absolute(endpoint.unreadable);
            metrics::counter!("spark_rpc_errors_total", &labels).absolute(endpoint.errors);
        }
        let labels = [("env", env)];
        let transport = &stats.transport;
        metrics::gauge!("spark_rpc_connections", &labels).set(transport.connections_open() as f64);
        metrics::counter!("spark_rpc_connections_opened_total", &labels)
            .absolute(transport.connections_opened());
        metrics::counter!("spark_rpc_connections_refused_total", &labels)
            .absolute(transport.connections_refused());
        metrics::counter!("spark_rpc_handshakes_failed_total", &labels)
            .absolute(transport.handshakes_failed());
        metrics::counter!("spark_rpc_handshakes_refused_total", &labels)
            .absolute(transport.handshakes_refused());
        metrics::counter!("spark_rpc_weak_sessions_total", &labels).absolute(transport.weak_sessions());
        if let Some(tls) = &stats.tls {
            tls.publish(&labels);
        }
        metrics::counter!("spark_rpc_files_unopened_total", &labels).absolute(transport.files_unopened());
        metrics::counter!("spark_rpc_endpoints_ended_total", &labels).absolute(stats.ended.endpoints);
        metrics::counter!("spark_rpc_reconnects_total", &labels).absolute(stats.reconnects);
        metrics::counter!("spark_rpc_bytes_read_total", &labels).absolute(transport.bytes_read());
        metrics::counter!("spark_rpc_bytes_written_total", &labels).absolute(transport.bytes_written());
        metrics::counter!("spark_rpc_dropped_total", &labels).absolute(stats.dropped);
        metrics::counter!("spark_rpc_late_replies_total", &labels).absolute(transport.late_replies());
        metrics::counter!("spark_rpc_frames_unwritten_total", &labels).absolute(transport.frames_unwritten());
    }
}

impl EnvShared {
    pub(super) fn stats(&self) -> EnvStats {
        let reconnects = lock(&self.peers)
            .values()
            .map(|peer| peer.connects().saturating_sub(1))
            .sum();
        EnvStats {
            endpoints: self.dispatcher.stats(),
            ended: self.dispatcher.ended_stats(),
            dropped: self.dropped.load(Ordering::Relaxed),
            unreadable: self.unreadable.load(Ordering::Relaxed),
            reconnects,
            transport: Arc::clone(self.context.counters()),
            tls: self.tls.as_ref().map(|tls| TlsStats::of(&tls.watch)),
        }
    }
}
