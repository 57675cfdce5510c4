//! We ask, a JVM answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spark_rpc::codec::JavaCodec;
use spark_rpc::{AskError, LookupError, RpcEnv, RpcEnvFactory};

use crate::messages::*;
use crate::{Outcome, World, fails_with, same, text};

pub(crate) async fn a_lookup_finds_what_exists(world: &World) -> Outcome {
    for env in [&world.client, &world.server] {
        let found = world.theirs(env, "lab").await?;
        same(found.name(), "lab")?;
    }
    Ok(())
}

pub(crate) async fn a_lookup_misses_what_does_not_exist(world: &World) -> Outcome {
    let address = world.jvm.run("address server").await?;
    let uri = format!("spark://nobody@{address}");
    match world.client.setup_endpoint_ref(&uri).await {
        Err(LookupError::NotFound { uri: found }) => same(found.to_string(), uri),
        other => Err(format!("{other:?}")),
    }
}

pub(crate) async fn every_kind_of_value_comes_back(world: &World) -> Outcome {
    let echo = world.theirs(&world.client, "echo").await?;
    same(
        echo.ask(AskText("grüße 😀".to_owned())).await.map_err(text)?,
        "grüße 😀".to_owned(),
    )?;
    same(
        echo.ask(AskText("x".repeat(70_000))).await.map_err(text)?.len(),
        70_000,
    )?;
    same(echo.ask(AskInt(-42)).await.map_err(text)?, -42)?;
    same(echo.ask(AskLong(1 << 40)).await.map_err(text)?, 1 << 40)?;
    same(echo.ask(AskBoolean(true)).await.map_err(text)?, true)?;
    same(echo.ask(AskDouble(0.5)).await.map_err(text)?, 0.5)?;
    echo.ask(AskUnit(())).await.map_err(text)?;
    same(echo.ask(AskNone(None)).await.map_err(text)?, None)?;
    same(echo.ask(AskNone(Some(3))).await.map_err(text)?, Some(3))?;
    let list: Vec<_> = ["a", "b", "c"].map(str::to_owned).into();
    same(echo.ask(AskList(list.clone())).await.map_err(text)?, list)?;
    let map: BTreeMap<_, _> = (0..10).map(|n| (format!("k{n}"), n)).collect();
    same(echo.ask(AskMap(map.clone())).await.map_err(text)?, map)?;
    let tuple = (1, "b".to_owned(), Some(2));
    same(echo.ask(AskTuple(tuple.clone())).await.map_err(text)?, tuple)?;
    let null = spark_rpc::javaobj::Graph::read(b"\xac\xed\0\x05p", &Default::default()).map_err(text)?;
    let null = spark_rpc::javaobj::Any::of(null).ok_or("null is a value")?;
    let back = echo
        .ask(Echo(spark_rpc::codec::JavaValue(null)))
        .await
        .map_err(text)?;
    same(back.to_string(), "null".to_owned())
}

pub(crate) async fn bytes_up_to_32_mib_come_back(world: &World) -> Outcome {
    let echo = world.theirs(&world.client, "echo").await?;
    for size in [0, 1, 1 << 10, 1 << 20, 32 << 20] {
        let bytes: Bytes = (0..size).map(|n: usize| (n * 31) as u8).collect();
        let back = echo.ask(AskBytes(bytes.clone())).await.map_err(text)?;
        same(back.0 == bytes, true).map_err(|error| format!("{size} bytes: {error}"))?;
    }
    Ok(())
}

pub(crate) async fn a_class_with_every_kind_of_field_is_read_and_written(world: &World) -> Outcome {
    // An env that has never met a JVM: whatever it guesses, it is told what is right.
    let env = RpcEnv::builder("fresh")
        .client_mode()
        .start()
        .await
        .map_err(text)?;
    let lab = world.theirs(&env, "lab").await?;
    let back = lab.ask(Everything::sample()).await.map_err(text)?;
    env.shutdown().await;
    same(back, Everything::sample().one_more())
}

pub(crate) async fn one_way_messages_arrive_in_order(world: &World) -> Outcome {
    let lab = world.theirs(&world.client, "lab").await?;
    for n in 1..=1000 {
        lab.send_wait(Note { n }).await.map_err(text)?;
    }
    let found = lab.ask(AskText("notes".to_owned())).await.map_err(text)?;
    let expected: Vec<_> = (1..=1000).map(|n| n.to_string()).collect();
    let found = found.trim_start_matches("41,");
    same(found, &expected.join(","))
}

pub(crate) async fn sixty_four_asks_are_answered_in_reverse(world: &World) -> Outcome {
    let lab = world.theirs(&world.client, "lab").await?;
    let asks: Vec<_> = (0..64)
        .map(|index| lab.ask(Gather { index, of: 64 }))
        .map(tokio::spawn)
        .collect();
    for (n, ask) in (0..).zip(asks) {
        let found = ask.await.map_err(text)?.map_err(text)?;
        same(found, n * n)?;
    }
    Ok(())
}

pub(crate) async fn failures_keep_class_and_stack_trace(world: &World) -> Outcome {
    let lab = world.theirs(&world.client, "lab").await?;
    for (what, class, message) in [
        (
            "throw",
            "java.lang.IllegalStateException",
            "thrown by the handler",
        ),
        ("fail", "org.apache.spark.SparkException", "an explicit failure"),
        (
            "unserialisable",
            "java.io.NotSerializableException",
            "java.lang.Thread",
        ),
    ] {
        let error = lab.ask(AskText(what.to_owned())).await.unwrap_err();
        let AskError::Remote(failure) = &error else {
            return Err(format!("{what}: {error:?}"));
        };
        same(failure.class(), Some(class))?;
        same(failure.message().contains(message), true).map_err(|_| failure.message().to_owned())?;
        let trace = failure.stack_trace().unwrap_or_default();
        same(trace.contains("\tat org.apache.spark.rpc.interop.Lab"), true).map_err(|_| trace.to_owned())?;
        if what == "fail" {
            same(
                trace.contains("\nCaused by: java.io.IOException: its cause"),
                true,
            )
            .map_err(|_| trace.to_owned())?;
        }
    }
    let unhandled = lab.ask(AskDouble(0.5)).await.map_err(text);
    fails_with(
        unhandled,
        &["org.apache.spark.SparkException: Unsupported message"],
    )
}

pub(crate) async fn a_missing_endpoint_is_named(world: &World) -> Outcome {
    let address = world.jvm.run("address server").await?;
    let uri = format!("spark://nobody@{address}").parse().map_err(text)?;
    let nobody = world.client.endpoint_ref(uri);
    match nobody.ask(AskText("x".to_owned())).await {
        Err(AskError::EndpointNotFound { endpoint }) => same(endpoint, "nobody".to_owned()),
        other => Err(format!("{other:?}")),
    }
}

pub(crate) async fn our_timeout_ends_an_ask(world: &World) -> Outcome {
    let lab = world.theirs(&world.client, "lab").await?;
    let silent = lab
        .ask_within(AskText("silent".to_owned()), Duration::from_millis(300))
        .await;
    if !matches!(silent, Err(AskError::Timeout(_))) {
        return Err(format!("{silent:?}"));
    }
    // Their answer comes late and hurts nobody.
    let release = lab.ask(AskText("release".to_owned())).await.map_err(text)?;
    same(release, "1 released".to_owned())?;
    same(lab.ask(Gather { index: 3, of: 1 }).await.map_err(text)?, 9)
}

pub(crate) async fn the_sender_is_known_by_its_env_or_its_socket(world: &World) -> Outcome {
    let lab = world.theirs(&world.server, "lab").await?;
    let found = lab.ask(WhoAsks).await.map_err(text)?;
    let ours = world
        .server
        .address()
        .map(ToString::to_string)
        .unwrap_or_default();
    same(format!("{}:{}", found.host, found.port), ours.clone())?;
    let lab = world.theirs(&world.client, "lab").await?;
    let found = lab.ask(WhoAsks).await.map_err(text)?;
    same(found.host, "127.0.0.1".to_owned())?;
    // Their endpoint was told of our env's address when it heard it first.
    let events = world.jvm.run("events").await?;
    same(events.contains(&format!("connected {ours}")), true).map_err(|_| events)
}

pub(crate) async fn references_of_both_modes_are_called_back(world: &World) -> Outcome {
    for env in [&world.client, &world.server] {
        let callback = env
            .setup_endpoint("callback", Callback::default())
            .map_err(text)?;
        let lab = world.theirs(env, "lab").await?;
        let note = "note".to_owned();
        let found = lab
            .ask(Carry {
                reference: callback.clone(),
                note,
            })
            .await;
        env.stop(&callback);
        same(
            found.map_err(text)?,
            "called back: asked by a JVM: note, 41".to_owned(),
        )?;
    }
    Ok(())
}

pub(crate) async fn a_reference_to_a_third_env_is_used_where_it_came_from(world: &World) -> Outcome {
    // The client passes the server's reference on.
    let callback = world
        .server
        .setup_endpoint("third", Callback::default())
        .map_err(text)?;
    let reference = world
        .client
        .setup_endpoint_ref(&callback.to_string())
        .await
        .map_err(text)?;
    let lab = world.theirs(&world.client, "lab").await?;
    let note = "third".to_owned();
    let found = lab.ask(Carry { reference, note }).await;
    world.server.stop(&callback);
    // Spark uses the connection on which a reference came for every reference, also one to a third env; so the message
    // ends at the client, which has no such endpoint.
    match found {
        Err(AskError::Remote(failure)) => {
            let trace = failure.stack_trace().unwrap_or_default();
            same(trace.contains("Could not find third"), true).map_err(|_| trace.to_owned())
        }
        other => Err(format!("{other:?}")),
    }
}

pub(crate) async fn an_env_begins_in_java_if_told_so(world: &World) -> Outcome {
    let factory = RpcEnvFactory::new().codec(Arc::new(JavaCodec::new()));
    let env = RpcEnv::builder("java")
        .factory(factory)
        .client_mode()
        .start()
        .await
        .map_err(text)?;
    let address = world.jvm.run("address server").await?;
    let uri = format!("spark://echo@{address}").parse().map_err(text)?;
    let found = env.endpoint_ref(uri).ask(AskInt(5)).await.map_err(text)?;
    env.shutdown().await;
    same(found, 5)
}
