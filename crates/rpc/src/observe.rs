//! What is measured when somebody listens: the `metrics` facade, per endpoint and message type.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{Counter, Histogram};

/// The metrics of one endpoint. Made only when the setting `spark.rpc.metrics.enabled` is on; without it no clock is
/// read for them.
///
/// | Metric | Kind | Labels |
/// | --- | --- | --- |
/// | `spark_rpc_queue_wait_seconds` | histogram | `env`, `endpoint`, `message` |
/// | `spark_rpc_handling_seconds` | histogram | `env`, `endpoint`, `message` |
/// | `spark_rpc_messages_total` | counter | `env`, `endpoint`, `message` |
/// | `spark_rpc_queue_length` | gauge, in [`RpcEnv::publish_metrics`](crate::RpcEnv::publish_metrics) | `env`, `endpoint` |
pub(crate) struct Observed {
    env: String,
    endpoint: Arc<str>,
    messages: Mutex<BTreeMap<&'static str, MessageMetrics>>,
}

#[derive(Clone)]
struct MessageMetrics {
    wait: Histogram,
    handling: Histogram,
    count: Counter,
}

impl Observed {
    pub(crate) fn new(env: &str, endpoint: &Arc<str>) -> Self {
        Self {
            env: env.to_owned(),
            endpoint: Arc::clone(endpoint),
            messages: Mutex::default(),
        }
    }

    pub(crate) fn record(&self, message: &'static str, wait: Duration, handling: Duration) {
        let metrics = {
            let mut messages = self
                .messages
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            messages
                .entry(message)
                .or_insert_with(|| MessageMetrics::new(&self.env, &self.endpoint, message))
                .clone()
        };
        metrics.wait.record(wait);
        metrics.handling.record(handling);
        metrics.count.increment(1);
    }
}

impl MessageMetrics {
    fn new(env: &str, endpoint: &str, message: &'static str) -> Self {
        let labels = [
            ("env", env.to_owned()),
            ("endpoint", endpoint.to_owned()),
            ("message", message.to_owned()),
        ];
        Self {
            wait: metrics::histogram!("spark_rpc_queue_wait_seconds", &labels),
            handling: metrics::histogram!("spark_rpc_handling_seconds", &labels),
            count: metrics::counter!("spark_rpc_messages_total", &labels),
        }
    }
}
