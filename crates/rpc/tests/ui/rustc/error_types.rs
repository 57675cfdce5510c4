//! Errors that cannot be told to anybody.

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Count;

#[derive(Serialize, Deserialize, RpcMessage)]
struct Note;

struct NoError;

struct Hello;

#[rpc_endpoint]
impl Hello {
    async fn count(&mut self, _: Count) -> Result<u64, NoError> {
        Err(NoError)
    }

    async fn note(&mut self, _: Note) -> Result<(), NoError> {
        Err(NoError)
    }
}

fn main() {}
