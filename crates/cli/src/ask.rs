//! `spark-rpc ask`: one question, one answer.

use crate::args::AskArgs;
use crate::exit::{Exit, Failure};
use crate::messages::Text;
use crate::{output, peer, runtime};

/// Runs the command.
pub(crate) fn run(args: &AskArgs) -> Result<Exit, Failure> {
    runtime::small()?.block_on(ask(args))
}

async fn ask(args: &AskArgs) -> Result<Exit, Failure> {
    let env = peer::client(&args.limit).await?;
    // A missing endpoint is told by the failure of the ask, so it need not be looked up first.
    let endpoint = env.endpoint_ref(args.uri.clone());
    let text = args.text.clone();
    let reply = endpoint.ask(Text { text }).await;
    let reply = reply.map_err(|error| peer::ask_failed(&error))?;
    output::line(reply.text);
    Ok(Exit::Done)
}
