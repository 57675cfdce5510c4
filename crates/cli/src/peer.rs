//! What the commands that call one endpoint have in common.

use spark_rpc::{AskError, LookupError, RpcEnv, SendError, StartError};

use crate::args::LimitArgs;
use crate::exit::Failure;

/// An env without a listener, whose waits end with the command's own time limit.
pub(crate) async fn client(limit: &LimitArgs) -> Result<RpcEnv, Failure> {
    let mut conf = limit.conf.to_conf()?;
    for timeout in [&mut conf.ask_timeout, &mut conf.lookup_timeout] {
        timeout.duration = limit.timeout;
        timeout.setting = "--timeout".into();
    }
    let started = RpcEnv::builder("spark-rpc")
        .client_mode()
        .conf(conf)
        .start()
        .await;
    started.map_err(|error| match error {
        StartError::Conf(_) | StartError::Transport(_) => Failure::usage(error),
        _ => Failure::no(error),
    })
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
