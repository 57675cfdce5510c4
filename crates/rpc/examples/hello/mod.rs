//! The messages of `hello_server` and `hello_client`.

use serde::{Deserialize, Serialize};
use spark_rpc::RpcMessage;

/// Wants to be greeted.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = String)]
pub(crate) struct SayHi {
    pub(crate) name: String,
}

/// Leaves. There is no reply type, so it can only be sent.
#[derive(Debug, Serialize, Deserialize, RpcMessage)]
pub(crate) struct SayBye {
    pub(crate) name: String,
}
