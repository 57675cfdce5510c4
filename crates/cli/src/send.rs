//! `spark-rpc send`: one message, no answer.

use crate::args::SendArgs;
use crate::exit::{Exit, Failure};
use crate::messages::Text;
use crate::{peer, runtime};

/// Runs the command.
pub(crate) fn run(args: &SendArgs) -> Result<Exit, Failure> {
    runtime::small()?.block_on(send(args))
}

async fn send(args: &SendArgs) -> Result<Exit, Failure> {
    let env = peer::client(&args.limit).await?;
    let found = env.setup_endpoint_ref(&args.uri.to_string()).await;
    let endpoint = found.map_err(|error| peer::lookup_failed(&error))?;
    let text = args.text.clone();
    let sent = endpoint.send_wait(Text { text }).await;
    sent.map_err(|error| peer::send_failed(&error))?;
    // The message is only queued until the connection has been closed in order.
    let report = env.shutdown().await;
    if report.connections_aborted > 0 || report.messages_dropped > 0 {
        return Err(Failure::unreachable(format_args!(
            "{}: the message was not written in time",
            args.uri
        )));
    }
    Ok(Exit::Done)
}
