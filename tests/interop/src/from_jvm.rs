//! A JVM asks, we answer.

use spark_rpc::RpcEnv;

use crate::{Outcome, World, fails_with, same};

pub(crate) async fn a_lookup_finds_what_exists(world: &World) -> Outcome {
    for mode in ["client", "server"] {
        let uri = world.ours("lab");
        let found = world.jvm.run(&format!("lookup {mode} {uri}")).await?;
        same(found, format!("NettyRpcEndpointRef({uri})"))?;
    }
    Ok(())
}

pub(crate) async fn a_lookup_misses_what_does_not_exist(world: &World) -> Outcome {
    let uri = world.ours("nobody");
    let found = world.jvm.run(&format!("lookup client {uri}")).await;
    let expected = format!("org.apache.spark.rpc.RpcEndpointNotFoundException: Cannot find endpoint: {uri}");
    same(found, Err(expected))
}

pub(crate) async fn every_kind_of_value_comes_back(world: &World) -> Outcome {
    let uri = world.ours("echo");
    for kind in [
        "string",
        "empty",
        "int",
        "long",
        "boolean",
        "double",
        "unit",
        "null",
        "none",
        "some",
        "list",
        "vector",
        "map",
        "set",
        "tuple",
        "nest",
        "everything",
        "long-string:70000",
    ] {
        let found = world.jvm.run(&format!("echo client {uri} {kind}")).await;
        same(found, Ok("same".to_owned())).map_err(|error| format!("{kind}: {error}"))?;
    }
    Ok(())
}

pub(crate) async fn bytes_up_to_32_mib_come_back(world: &World) -> Outcome {
    let uri = world.ours("echo");
    for size in [0, 1, 1 << 10, 1 << 20, 32 << 20] {
        let found = world.jvm.run(&format!("echo client {uri} bytes:{size}")).await;
        same(found, Ok("same".to_owned())).map_err(|error| format!("{size} bytes: {error}"))?;
    }
    Ok(())
}

pub(crate) async fn a_class_with_every_kind_of_field_is_read_and_written(world: &World) -> Outcome {
    let uri = world.ours("lab");
    let found = world.jvm.run(&format!("everything client {uri}")).await?;
    same(found, "same".to_owned())
}

pub(crate) async fn one_way_messages_arrive_in_order(world: &World) -> Outcome {
    let uri = world.ours("lab");
    let found = world.jvm.run(&format!("notes client {uri} 1000")).await?;
    let expected: Vec<_> = (1..=1000).map(|n| n.to_string()).collect();
    same(found, expected.join(","))
}

pub(crate) async fn sixty_four_asks_are_answered_in_reverse(world: &World) -> Outcome {
    let uri = world.ours("lab");
    let found = world.jvm.run(&format!("gather client {uri} 64")).await?;
    let expected: Vec<_> = (0..64).map(|n| (n * n).to_string()).collect();
    same(found, expected.join(","))
}

pub(crate) async fn failures_are_exceptions_with_our_message(world: &World) -> Outcome {
    let uri = world.ours("lab");
    for (text, expected) in [
        ("throw", ": thrown by the handler"),
        ("typed", "java.lang.IllegalStateException: not in this state"),
        ("drop", ": the request was dropped without an answer by lab"),
        ("panic", ": the handler panicked: in lab; its log has the text"),
    ] {
        let found = world.jvm.run(&format!("ask client {uri} {text}")).await;
        // Never as something that could not be read.
        if format!("{found:?}").contains("InvalidClass") {
            return Err(format!("{found:?}"));
        }
        fails_with(found, &[expected]).map_err(|error| format!("{text}: {error}"))?;
    }
    let found = world.jvm.run(&format!("ask-value client {uri} double")).await;
    fails_with(found, &["Unsupported message java.lang.Double for lab"])
}

pub(crate) async fn a_reply_that_java_does_not_have_fails_the_ask(world: &World) -> Outcome {
    let uri = world.ours("lab");
    let found = world.jvm.run(&format!("ask-value client {uri} char")).await;
    fails_with(found, &["😀", "does not fit into java.lang.Character"])?;
    // Only this one.
    let found = world.jvm.run(&format!("gather client {uri} 1")).await;
    same(found, Ok("0".to_owned()))
}

pub(crate) async fn a_missing_endpoint_is_named(world: &World) -> Outcome {
    // A reference that was looked up, and whose endpoint has stopped since.
    let soon_gone = world.server.setup_endpoint("soon-gone", crate::Echoes);
    let soon_gone = soon_gone.map_err(|error| error.to_string())?;
    let uri = world.ours("soon-gone");
    world.jvm.run(&format!("lookup client {uri}")).await?;
    world.server.stop(&soon_gone);
    let found = world.jvm.run(&format!("ask client {uri} x")).await;
    fails_with(found, &["Cannot find endpoint", "soon-gone"])
}

pub(crate) async fn their_timeout_ends_an_ask(world: &World) -> Outcome {
    let uri = world.ours("lab");
    let found = world
        .jvm
        .run(&format!("ask-within client {uri} 300 silent"))
        .await;
    fails_with(found, &["RpcTimeoutException", "interop.timeout"])?;
    // Our answer comes late and hurts nobody.
    let found = world.jvm.run(&format!("ask client {uri} release")).await;
    same(found, Ok("1 released".to_owned()))?;
    let found = world.jvm.run(&format!("gather client {uri} 3")).await;
    same(found, Ok("0,1,4".to_owned()))
}

pub(crate) async fn the_sender_is_known_by_its_env_or_its_socket(world: &World) -> Outcome {
    let uri = world.ours("lab");
    let found = world.jvm.run(&format!("who server {uri}")).await?;
    same(found, world.jvm.run("address server").await?)?;
    let found = world.jvm.run(&format!("who client {uri}")).await?;
    same(found.starts_with("127.0.0.1:"), true)
}

pub(crate) async fn references_of_both_modes_are_called_back(world: &World) -> Outcome {
    let uri = world.ours("lab");
    for mode in ["client", "server"] {
        let found = world.jvm.run(&format!("carry {mode} {uri}")).await;
        let expected = "called back: asked by Rust: note, 41".to_owned();
        same(found, Ok(expected)).map_err(|error| format!("{mode}: {error}"))?;
    }
    Ok(())
}

pub(crate) async fn a_reference_to_a_third_env_is_called(world: &World) -> Outcome {
    let third = RpcEnv::builder("third").bind("127.0.0.1:0").start().await;
    let third = third.map_err(|error| error.to_string())?;
    let callback = third.setup_endpoint("callback", crate::messages::Callback::default());
    let callback = callback.map_err(|error| error.to_string())?;
    let uri = world.ours("lab");
    let found = world.jvm.run(&format!("forward client {uri} {callback}")).await?;
    third.shutdown().await;
    same(found, "called back: asked by Rust: third, 41".to_owned())
}

pub(crate) async fn a_reference_to_a_third_jvm_is_called(world: &World) -> Outcome {
    let uri = world.ours("lab");
    let third = world.jvm.run("callback server-third callback").await?;
    let found = world.jvm.run(&format!("forward client {uri} {third}")).await;
    same(found, Ok("called back: asked by Rust: third, 41".to_owned()))
}
