//! Types that cannot be messages.

use serde::{Deserialize, Serialize};
use spark_rpc::RpcMessage;

#[derive(RpcMessage)]
struct Unserialized;

struct Opaque;

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = Opaque)]
struct Ask;

fn main() {}
