//! What the demo's processes tell each other.

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcEndpointRef, RpcMessage};

/// Asks for a greeting.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = Greeting)]
pub(crate) struct SayHi {
    pub(crate) name: String,
}

/// The greeting, and the process that it comes from.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Greeting {
    pub(crate) text: String,
    pub(crate) process: u32,
}

/// A one-way message with its place in a row.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
pub(crate) struct Note {
    pub(crate) number: u64,
}

/// Asks which notes have arrived.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = Vec<u64>)]
pub(crate) struct Notes;

/// Asks for a quotient. Fails for the divisor 0.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
pub(crate) struct Divide {
    pub(crate) dividend: u64,
    pub(crate) divisor: u64,
}

/// Asks the server to ask the endpoint behind `whom` in turn.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = String)]
pub(crate) struct AskBack {
    pub(crate) whom: RpcEndpointRef,
}

/// What the server asks then.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = String)]
pub(crate) struct WhoAreYou;

/// Asks for the addresses whose connections the server has been told of.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = Vec<String>)]
pub(crate) struct WhoIsConnected;

/// Stops the endpoint `spare` of the server and waits until it has stopped; answers with what its `on_stop` has said.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = String)]
pub(crate) struct StopSpare;

/// Never answered.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = ())]
pub(crate) struct WaitForever;
