//! Unknown and repeated keys.

use serde::{Deserialize, Serialize};
use spark_rpc::{RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(replay = String)]
struct Unknown;

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = String, name = "a")]
#[rpc(name = "b")]
struct Repeated;

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(name = "")]
struct Nameless;

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(control = true)]
struct Flag;

#[derive(Serialize, Deserialize, RpcMessage)]
struct Note;

struct Hello;

#[rpc_endpoint(parallel)]
impl Hello {
    #[rpc(ignore)]
    async fn note(&mut self, _: Note) {}
}

struct Torn;

#[rpc_endpoint(serial, concurrent)]
impl Torn {
    #[rpc(skip, reply = u64)]
    async fn note(&self, _: Note) {}
}

fn main() {}
