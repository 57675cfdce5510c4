//! What the commands that call one endpoint have in common.

use std::sync::Arc;
use std::time::Duration;

use spark_rpc::codec::JavaCodec;
use spark_rpc::config::{RpcConf, RpcTimeout};
use spark_rpc::{AskError, LookupError, RpcEnv, RpcEnvFactory, SendError};

use crate::args::LimitArgs;
use crate::exit::Failure;

/// An env without a listener, whose waits end with `--timeout`. Without it what the settings say counts; but Spark's own
/// default of two minutes is too long for somebody at a terminal.
pub(crate) async fn client(limit: &LimitArgs) -> Result<RpcEnv, Failure> {
    client_for(limit, false).await
}

/// The same, which speaks Java from the beginning if that is wanted.
pub(crate) async fn client_for(limit: &LimitArgs, java: bool) -> Result<RpcEnv, Failure> {
    let mut conf = limit.conf.to_conf()?;
    if let Some(limit) = limit.typed_or_short(&conf) {
        for timeout in [&mut conf.ask_timeout, &mut conf.lookup_timeout] {
            *timeout = RpcTimeout::new(limit, "--timeout");
        }
        conf.drain_limit = limit;
    }
    let factory = RpcEnvFactory::new();
    let factory = if java {
        factory.codec(Arc::new(JavaCodec::new()))
    } else {
        factory
    };
    let started = RpcEnv::builder("spark-rpc")
        .factory(factory)
        .client_mode()
        .conf(conf)
        .start()
        .await;
    started.map_err(|error| limit.conf.start_failed(&error))
}

impl LimitArgs {
    /// How long to wait for an answer.
    pub(crate) fn patience(&self, conf: &RpcConf) -> Duration {
        self.typed_or_short(conf).unwrap_or(conf.ask_timeout.duration)
    }

    /// What was typed, or a short time where the settings say nothing either.
    fn typed_or_short(&self, conf: &RpcConf) -> Option<Duration> {
        let unset = conf.ask_timeout == RpcConf::default().ask_timeout;
        self.timeout.or(unset.then_some(PATIENCE))
    }
}

/// Whose fault it is that an ask has no reply: nobody answered, or the answer is no.
pub(crate) fn ask_failed(error: &AskError) -> Failure {
    match error {
        AskError::Connect(_) | AskError::Disconnected(_) | AskError::Timeout(_) | AskError::EnvStopped => {
            Failure::unreachable(error)
        }
        _ => Failure::no(error),
    }
}

pub(crate) fn lookup_failed(error: &LookupError) -> Failure {
    match error {
        LookupError::Uri(_) => Failure::usage(error),
        LookupError::Ask { source, .. } => ask_failed(source),
        _ => Failure::no(error),
    }
}

pub(crate) fn send_failed(error: &SendError) -> Failure {
    match error {
        SendError::Disconnected(_) | SendError::EnvStopped => Failure::unreachable(error),
        _ => Failure::no(error),
    }
}

/// How long somebody at a terminal waits.
const PATIENCE: Duration = Duration::from_secs(5);
