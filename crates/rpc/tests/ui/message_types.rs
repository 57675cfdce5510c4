//! Types that cannot be messages.

use spark_rpc::RpcMessage;

#[derive(RpcMessage)]
struct Borrowing<'a> {
    text: &'a str,
}

#[derive(RpcMessage)]
union Either {
    one: u8,
    other: i8,
}

fn main() {}
