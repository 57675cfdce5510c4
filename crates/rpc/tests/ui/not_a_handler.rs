//! Methods that are no handlers, and do not say so.

#![allow(unused_variables)]

use serde::{Deserialize, Serialize};
use spark_rpc::{Reply, RpcCallContext, RpcMessage, rpc_endpoint};

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Count;

struct Hello;

#[rpc_endpoint]
impl Hello {
    async fn no_message(&mut self) {}

    async fn only_a_call(&mut self, call: &RpcCallContext) {}

    async fn by_reference(&mut self, message: &Count) -> u64 {
        1
    }

    async fn own_type(&mut self, message: Vec<Self>) {}

    async fn two_messages(&mut self, one: Count, other: Count) -> u64 {
        1
    }

    async fn two_calls(&mut self, message: u8, one: &RpcCallContext, two: &RpcCallContext) {}

    async fn generic<T>(&mut self, message: T) {}

    async fn any_message(&mut self, message: impl Sized) {}

    async fn reply_and_value(&mut self, message: u16, reply: Reply<u64>) -> u64 {
        1
    }

    fn on_connect(&mut self, address: &str) {}

    unsafe fn dangerous(&mut self, message: u32) -> u64 {
        1
    }
}

fn main() {}
