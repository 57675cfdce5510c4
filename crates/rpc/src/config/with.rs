//! Settings changed in a chain.

use std::time::Duration;

use spark_rpc_transport::TransportConf;
use spark_rpc_transport::auth::Secret;
use spark_rpc_transport::auth::tls::SslSettings;

use super::bounds::{OutboxBounds, QueueBounds};
use super::rpc_conf::RpcConf;
use super::security::SecurityConf;
use super::timeout::RpcTimeout;

/// Each method changes the field of its name; `validate` checks the result.
impl RpcConf {
    /// Sets the time limit of an ask.
    #[must_use]
    pub fn with_ask_timeout(mut self, limit: Duration) -> Self {
        self.ask_timeout = RpcTimeout::new(limit, "spark.rpc.askTimeout");
        self
    }

    /// Sets the time limit of looking an endpoint up.
    #[must_use]
    pub fn with_lookup_timeout(mut self, limit: Duration) -> Self {
        self.lookup_timeout = RpcTimeout::new(limit, "spark.rpc.lookupTimeout");
        self
    }

    /// Sets the attempts of an `ask_with_retry` and the pause between them.
    #[must_use]
    pub fn with_retries(mut self, attempts: u32, pause: Duration) -> Self {
        self.num_retries = attempts;
        self.retry_wait = pause;
        self
    }

    /// Sets how many further ports are tried when the wanted one is taken.
    #[must_use]
    pub fn with_port_max_retries(mut self, ports: u32) -> Self {
        self.port_max_retries = ports;
        self
    }

    /// Sets how many outboxes may be connecting at once.
    #[must_use]
    pub fn with_max_connecting(mut self, outboxes: usize) -> Self {
        self.max_connecting = outboxes;
        self
    }

    /// Gives the endpoints `threads` threads of their own.
    #[must_use]
    pub fn with_dispatcher_threads(mut self, threads: usize) -> Self {
        self.dispatcher_threads = Some(threads);
        self
    }

    /// Sets how many handlers of one concurrent endpoint may run at once.
    #[must_use]
    pub fn with_concurrent_handlers(mut self, handlers: usize) -> Self {
        self.concurrent_handlers = handlers;
        self
    }

    /// Sets the bounds of each inbox.
    #[must_use]
    pub fn with_inbox(mut self, bounds: QueueBounds) -> Self {
        self.inbox = bounds;
        self
    }

    /// Sets the bounds of each outbox.
    #[must_use]
    pub fn with_outbox(mut self, bounds: OutboxBounds) -> Self {
        self.outbox = bounds;
        self
    }

    /// Sets how long a shutdown waits before it cuts off.
    #[must_use]
    pub fn with_drain_limit(mut self, limit: Duration) -> Self {
        self.drain_limit = limit;
        self
    }

    /// Switches the checksums of files on or off, of those that are fetched and of those that are served.
    #[must_use]
    pub fn with_file_checksums(mut self, checked: bool) -> Self {
        self.file_checksums = checked;
        self
    }

    /// Switches metrics on or off.
    #[must_use]
    pub fn with_metrics(mut self, recorded: bool) -> Self {
        self.metrics = recorded;
        self
    }

    /// Makes all randomness start from `seed`.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Lets in only who knows `secret`, and encrypts with AES-GCM.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.security.secret = Some(secret);
        self
    }

    /// Speaks TLS on all connections. What it carries is not encrypted a second time.
    #[must_use]
    pub fn with_tls(mut self, settings: SslSettings) -> Self {
        self.security.ssl = Some(settings);
        if let Some(engine) = &mut self.security.auth.engine {
            engine.cipher = None;
        }
        self
    }

    /// Sets who may connect, and how connections are protected.
    #[must_use]
    pub fn with_security(mut self, security: SecurityConf) -> Self {
        self.security = security;
        self
    }

    /// Sets the transport's settings.
    #[must_use]
    pub fn with_transport(mut self, transport: TransportConf) -> Self {
        self.transport = transport;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::WhenFull;

    #[test]
    fn each_method_changes_its_field_and_nothing_else() {
        let seconds = Duration::from_secs;
        let inbox = QueueBounds {
            max_messages: 1,
            max_bytes: 2,
            when_full: WhenFull::Reject,
        };
        let outbox = OutboxBounds {
            max_messages: 3,
            max_bytes: 4,
        };
        let transport = TransportConf {
            keep_alive: true,
            ..TransportConf::default()
        };
        let chained = RpcConf::default()
            .with_ask_timeout(seconds(1))
            .with_lookup_timeout(seconds(2))
            .with_retries(5, seconds(3))
            .with_port_max_retries(6)
            .with_max_connecting(7)
            .with_dispatcher_threads(8)
            .with_concurrent_handlers(9)
            .with_inbox(inbox)
            .with_outbox(outbox)
            .with_drain_limit(seconds(4))
            .with_file_checksums(false)
            .with_metrics(true)
            .with_seed(10)
            .with_transport(transport.clone());
        let expected = RpcConf {
            ask_timeout: RpcTimeout::new(seconds(1), "spark.rpc.askTimeout"),
            lookup_timeout: RpcTimeout::new(seconds(2), "spark.rpc.lookupTimeout"),
            num_retries: 5,
            retry_wait: seconds(3),
            port_max_retries: 6,
            max_connecting: 7,
            dispatcher_threads: Some(8),
            concurrent_handlers: 9,
            inbox,
            outbox,
            drain_limit: seconds(4),
            file_checksums: false,
            metrics: true,
            seed: Some(10),
            transport,
            ..RpcConf::default()
        };
        assert_eq!(chained, expected);
    }
}
