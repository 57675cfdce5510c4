//! Writes the gRPC client and server. No `.proto` file, so nobody needs `protoc`.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type("crate::peers::tonic::Message")
            .output_type("crate::peers::tonic::Message")
            .codec_path("tonic_prost::ProstCodec")
    };
    let service = Service::builder()
        .name("Lab")
        .package("lab")
        .method(method("ask", "Ask").build())
        .method(method("send", "Send").client_streaming().build())
        .build();
    Builder::new().compile(&[service]);
    println!("cargo::rerun-if-changed=build.rs");
}
