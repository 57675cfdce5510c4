//! The derive and attribute macros of spark-rpc, which re-exports them.

mod endpoint;
mod keys;
mod message;

use proc_macro::TokenStream;

/// Makes a type a message.
#[proc_macro_derive(RpcMessage, attributes(rpc))]
pub fn rpc_message(input: TokenStream) -> TokenStream {
    message::expand(input.into())
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}

/// Makes an `impl` block that of an endpoint.
#[proc_macro_attribute]
pub fn rpc_endpoint(options: TokenStream, item: TokenStream) -> TokenStream {
    endpoint::expand(options.into(), &item.into()).into()
}
