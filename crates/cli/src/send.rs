//! `spark-rpc send`: one message, no answer.

use crate::args::SendArgs;
use crate::exit::{Exit, Failure};
use crate::java_body::JavaBody;
use crate::messages::Text;
use crate::{peer, runtime};

/// Runs the command.
pub(crate) fn run(args: &SendArgs) -> Result<Exit, Failure> {
    let java = args.body.java()?;
    runtime::small()?.block_on(send(args, java))
}

async fn send(args: &SendArgs, java: Option<JavaBody>) -> Result<Exit, Failure> {
    let env = peer::client_for(&args.limit, java.is_some()).await?;
    let found = env.setup_endpoint_ref(&args.uri.to_string()).await;
    let endpoint = found.map_err(|error| peer::lookup_failed(&error))?;
    let sent = match java {
        Some(body) => endpoint.send_wait(body).await,
        None => {
            let text = args.body.text.clone().unwrap_or_default();
            endpoint.send_wait(Text { text }).await
        }
    };
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
