//! `spark-rpc ask`: one question, one answer.

use spark_rpc::codec::JavaValue;
use spark_rpc_inspect::{Bounds, java_to_json, java_to_text};

use crate::args::{AskArgs, BodyArgs};
use crate::exit::{Exit, Failure};
use crate::java_body::JavaBody;
use crate::messages::Text;
use crate::{output, peer, runtime};

/// Runs the command.
pub(crate) fn run(args: &AskArgs) -> Result<Exit, Failure> {
    let java = args.body.java()?;
    runtime::small()?.block_on(ask(args, java))
}

async fn ask(args: &AskArgs, java: Option<JavaBody>) -> Result<Exit, Failure> {
    let env = peer::client_for(&args.limit, java.is_some()).await?;
    // A missing endpoint is told by the failure of the ask, so it need not be looked up first.
    let endpoint = env.endpoint_ref(args.uri.clone());
    let Some(body) = java else {
        let text = args.body.text.clone().unwrap_or_default();
        let reply = endpoint.ask(Text { text }).await;
        let reply = reply.map_err(|error| peer::ask_failed(&error))?;
        output::line(reply.text);
        return Ok(Exit::Done);
    };
    let reply = endpoint.ask(body).await;
    print(&args.body, &reply.map_err(|error| peer::ask_failed(&error))?);
    Ok(Exit::Done)
}

/// Prints a reply in the form in which the question was typed.
fn print(args: &BodyArgs, reply: &JavaValue) {
    let graph = reply.0.graph();
    if args.json.is_some() {
        output::line(java_to_json(graph, &Bounds::FULL).0);
    } else {
        // What is mentioned often is printed often, which a peer might make use of.
        let bounds = Bounds {
            values: 100_000,
            ..Bounds::FULL
        };
        output::line(java_to_text(graph, &bounds));
    }
}
