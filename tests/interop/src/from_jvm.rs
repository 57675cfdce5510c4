//! A JVM asks, we answer.

use spark_rpc::RpcEnv;

use crate::{Outcome, World, fails_with, same};

pub(crate) async fn a_lookup_finds_what_exists(world: &mut World) -> Outcome {
    for mode in ["client", "server"] {
        let uri = world.ours("lab");
        let found = world.jvm.run(&format!("lookup {mode} {uri}")).await?;
        same(found, format!("NettyRpcEndpointRef({uri})"))?;
    }
    Ok(())
}

pub(crate) async fn a_lookup_misses_what_does_not_exist(world: &mut World) -> Outcome {
    let uri = world.ours("nobody");
    let found = world.jvm.run(&format!("lookup client {uri}")).await;
    let expected = format!("org.apache.spark.rpc.RpcEndpointNotFoundException: Cannot find endpoint: {uri}");
    same(found, Err(expected))
}

pub(crate) async fn every_kind_of_value_comes_back(world: &mut World) -> Outcome {
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

pub(crate) async fn bytes_up_to_32_mib_come_back(world: &mut World) -> Outcome {
    let uri = world.ours("echo");
    for size in [0, 1, 1 << 10, 1 << 20, 32 << 20] {
        let found = world.jvm.run(&format!("echo client {uri} bytes:{size}")).await;
        same(found, Ok("same".to_owned())).map_err(|error| format!("{size} bytes: {error}"))?;
    }
    Ok(())
}

pub(crate) async fn a_class_with_every_kind_of_field_is_read_and_written(world: &mut World) -> Outcome {
    let uri = world.ours("lab");
    let found = world.jvm.run(&format!("everything client {uri}")).await?;
    same(found, "same".to_owned())
}

pub(crate) async fn one_way_messages_arrive_in_order(world: &mut World) -> Outcome {
    let uri = world.ours("lab");
    let found = world.jvm.run(&format!("notes client {uri} 1000")).await?;
    let expected: Vec<_> = (1..=1000).map(|n| n.to_string()).collect();
    same(found, expected.join(","))
}

pub(crate) async fn sixty_four_asks_are_answered_in_reverse(world: &mut World) -> Outcome {
    let uri = world.ours("lab");
    let found = world.jvm.run(&format!("gather client {uri} 64")).await?;
    let expected: Vec<_> = (0..64).map(|n| (n * n).to_string()).collect();
    same(found, expected.join(","))
}

pub(crate) async fn failures_are_exceptions_with_our_message(world: &mut World) -> Outcome {
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
    let found = world.jvm.run(&format!("ask-double client {uri}")).await;
    fails_with(found, &["Unsupported message java.lang.Double for lab"])
}

pub(crate) async fn a_missing_endpoint_is_named(world: &mut World) -> Outcome {
    // A reference that was looked up, and whose endpoint has stopped since.
    let soon_gone = world.server.setup_endpoint("soon-gone", crate::Echoes);
    let soon_gone = soon_gone.map_err(|error| error.to_string())?;
    let uri = world.ours("soon-gone");
    world.jvm.run(&format!("lookup client {uri}")).await?;
    world.server.stop(&soon_gone);
    let found = world.jvm.run(&format!("ask client {uri} x")).await;
    fails_with(found, &["Cannot find endpoint", "soon-gone"])
}

pub(crate) async fn their_timeout_ends_an_ask(world: &mut World) -> Outcome {
    let uri = world.ours("lab");
    let found = world
        .jvm
        .run(&format!("ask-within client {uri} 300 silent"))
        .await;
    fails_with(found, &["RpcTimeoutException", "interop.timeout"])
}

pub(crate) async fn the_sender_is_known_by_its_env_or_its_socket(world: &mut World) -> Outcome {
    let uri = world.ours("lab");
    let found = world.jvm.run(&format!("who server {uri}")).await?;
    same(found, world.jvm.run("address server").await?)?;
    let found = world.jvm.run(&format!("who client {uri}")).await?;
    same(found.starts_with("127.0.0.1:"), true)
}

pub(crate) async fn references_of_both_modes_are_called_back(world: &mut World) -> Outcome {
    let uri = world.ours("lab");
    for mode in ["client", "server"] {
        let found = world.jvm.run(&format!("carry {mode} {uri}")).await;
        let expected = "called back: asked by Rust: note, 41".to_owned();
        same(found, Ok(expected)).map_err(|error| format!("{mode}: {error}"))?;
    }
    Ok(())
}

pub(crate) async fn a_reference_to_a_third_env_is_called(world: &mut World) -> Outcome {
    let third = RpcEnv::builder("third").bind("127.0.0.1:0").start().await;
    let third = third.map_err(|error| error.to_string())?;
    let callback = third.setup_endpoint("callback", crate::messages::Callback::default());
    let callback = callback.map_err(|error| error.to_string())?;
    let uri = world.ours("lab");
    let found = world.jvm.run(&format!("forward client {uri} {callback}")).await?;
    third.shutdown().await;
    same(found, "called back: asked by Rust: third, 41".to_owned())
}

pub(crate) async fn connections_are_told_with_both_addresses(world: &mut World) -> Outcome {
    let uri = world.ours("lab");
    let theirs = world.jvm.run("address server-of-events").await?;
    world.jvm.run(&format!("lookup server-of-events {uri}")).await?;
    let ours = world
        .server
        .address()
        .map(ToString::to_string)
        .unwrap_or_default();
    // They see the address that they dialled, once.
    let seen = world.jvm.run("events").await?;
    if !seen.contains(&format!("connected {ours}")) {
        return Err(format!("they saw {seen}, not {ours}"));
    }
    // We see their socket's first, then their env's; and both again at the end.
    let connected = format!("connected {theirs}");
    let events = until(world, &connected).await?;
    let at = events.iter().position(|event| *event == connected).unwrap_or(0);
    let socket = events[..at]
        .iter()
        .rfind(|event| event.starts_with("connected 127.0.0.1:"));
    let socket = socket
        .ok_or_else(|| format!("no socket's address before {connected}: {events:?}"))?
        .clone();
    world.jvm.run("stop server-of-events").await?;
    let events = until(world, &format!("dis{connected}")).await?;
    same(events.contains(&format!("dis{socket}")), true)
}

/// Waits until our endpoint has been told an event.
async fn until(world: &World, event: &str) -> Result<Vec<String>, String> {
    for _ in 0..200 {
        let events = world.events.entries();
        if events.iter().any(|known| known == event) {
            return Ok(events);
        }
        // tidy: allow(sleep): between two looks at something that nobody announces.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Err(format!("we never saw {event}, only {:?}", world.events.entries()))
}

pub(crate) async fn a_cut_connection_is_made_again(world: &mut World) -> Outcome {
    let env = RpcEnv::builder("mortal").bind("127.0.0.1:0").start().await;
    let env = env.map_err(|error| error.to_string())?;
    env.setup_endpoint("lab", crate::Lab::default())
        .map_err(|error| error.to_string())?;
    let address = env.address().map(ToString::to_string).unwrap_or_default();
    let uri = format!("spark://lab@{address}");
    world.jvm.run(&format!("lookup client {uri}")).await?;
    let ask = format!("ask-within client {uri} 20000 silent");
    let (asked, ()) = tokio::join!(world.jvm.run(&ask), async {
        while env
            .stats()
            .endpoints
            .iter()
            .all(|endpoint| endpoint.name != "lab" || endpoint.handled == 0)
        {
            // tidy: allow(sleep): between two looks at something that nobody announces.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        env.shutdown_within(std::time::Duration::from_millis(500)).await;
    });
    // Held by a handler that ends with its endpoint, the ask is answered, or else its connection ends.
    if asked.is_ok() {
        return Err(format!("the ask ended with {asked:?}"));
    }
    let again = RpcEnv::builder("again")
        .bind(&*address)
        .start()
        .await
        .map_err(|error| error.to_string())?;
    again
        .setup_endpoint("lab", crate::Lab::default())
        .map_err(|error| error.to_string())?;
    // The JVM notices the end of its connection when it uses it, so the first tries may fail.
    let mut found = Ok(String::new());
    for _ in 0..20 {
        found = world.jvm.run(&format!("notes client {uri} 3")).await;
        if found.is_ok() {
            break;
        }
    }
    again.shutdown().await;
    same(found, Ok("1,2,3".to_owned()))
}
