//! Connections that begin, end, are cut and made again, and what both sides are told of it.

use spark_rpc::config::RpcConf;
use spark_rpc::{AskError, RpcEnv};

use crate::cutter::Cutter;
use crate::messages::{AskText, Lab, Log, Note};
use crate::ours::Ours;
use crate::{Outcome, World, eventually, fails_with, same, text};

pub(crate) async fn a_jvm_that_connects_and_stops_is_told_with_both_addresses(world: &World) -> Outcome {
    let (env, events, ours) = env("accepting").await?;
    let theirs = world.jvm.run("address server-connecting").await?;
    world
        .jvm
        .run(&format!("lookup server-connecting spark://lab@{ours}"))
        .await?;
    // They see the address that they dialled.
    they_see(world, &format!("connected {ours}")).await?;
    // We see their socket's first, then their env's; and both again at the end.
    let events_here = we_see(&events, &format!("connected {theirs}")).await?;
    let socket = events_here[0].clone();
    same(socket.starts_with("connected 127.0.0.1:"), true).map_err(|_| socket.clone())?;
    same(&events_here[1..], &[format!("connected {theirs}")])?;
    world.jvm.run("stop server-connecting").await?;
    let events_here = we_see(&events, &format!("disconnected {theirs}")).await?;
    let all = [
        socket.clone(),
        format!("connected {theirs}"),
        format!("dis{socket}"),
        format!("disconnected {theirs}"),
    ];
    env.shutdown().await;
    same(events_here, all.to_vec())
}

pub(crate) async fn a_jvm_of_no_address_that_connects_and_stops_is_told(world: &World) -> Outcome {
    let (env, events, ours) = env("accepting").await?;
    world
        .jvm
        .run(&format!("lookup client-connecting spark://lab@{ours}"))
        .await?;
    let connected = we_see(&events, "connected 127.0.0.1:").await?[0].clone();
    world.jvm.run("stop client-connecting").await?;
    let disconnected = format!("dis{connected}");
    let events = we_see(&events, &disconnected).await?;
    env.shutdown().await;
    same(events, vec![connected, disconnected])
}

pub(crate) async fn a_jvm_that_we_connect_to_and_that_stops_is_told(world: &World) -> Outcome {
    let theirs = world.jvm.run("address server-accepting").await?;
    let (env, events, ours) = env("connecting").await?;
    let uri = format!("spark://lab@{theirs}");
    let lab = env.setup_endpoint_ref(&uri).await.map_err(text)?;
    lab.ask(AskText("notes".to_owned())).await.map_err(text)?;
    we_see(&events, &format!("connected {theirs}")).await?;
    they_see(world, &format!("connected {ours}")).await?;
    world.jvm.run("stop server-accepting").await?;
    let events = we_see(&events, &format!("disconnected {theirs}")).await?;
    env.shutdown().await;
    // Nothing but the address that we dialled, once.
    same(
        events,
        vec![format!("connected {theirs}"), format!("disconnected {theirs}")],
    )
}

pub(crate) async fn our_env_that_connected_and_stops_is_told_to_a_jvm(world: &World) -> Outcome {
    let (env, _, ours) = env("connecting").await?;
    let lab = world.theirs(&env, "lab").await?;
    lab.ask(AskText("notes".to_owned())).await.map_err(text)?;
    they_see(world, &format!("connected {ours}")).await?;
    env.shutdown().await;
    they_see(world, &format!("disconnected {ours}")).await
}

pub(crate) async fn our_env_that_a_jvm_connected_to_and_that_stops_is_told_to_it(world: &World) -> Outcome {
    let (env, _, ours) = env("accepting").await?;
    world
        .jvm
        .run(&format!("lookup client spark://lab@{ours}"))
        .await?;
    they_see(world, &format!("connected {ours}")).await?;
    env.shutdown().await;
    they_see(world, &format!("disconnected {ours}")).await
}

pub(crate) async fn a_cut_connection_fails_our_ask_and_is_made_again(world: &World) -> Outcome {
    let cutter = Cutter::before(&world.jvm.run("address server").await?).await?;
    let uri = format!("spark://lab@{}", cutter.address);
    let (env, events, _) = env("cut").await?;
    let lab = env.setup_endpoint_ref(&uri).await.map_err(text)?;
    for _ in 0..3 {
        let silent = tokio::spawn(lab.ask(AskText("silent".to_owned())));
        // Behind the first one on the same connection, so that one has arrived.
        lab.ask(AskText("notes".to_owned())).await.map_err(text)?;
        cutter.cut();
        let found = silent.await.map_err(text)?;
        if !matches!(found, Err(AskError::Disconnected(_))) {
            return Err(format!("{found:?}"));
        }
        lab.send(Note { n: 5 }).map_err(text)?;
        let found = lab.ask(AskText("notes".to_owned())).await.map_err(text)?;
        same(found.ends_with('5'), true).map_err(|_| found)?;
    }
    let cut = &cutter.address;
    let told: Vec<_> = (0..3)
        .flat_map(|_| [format!("connected {cut}"), format!("disconnected {cut}")])
        .chain([format!("connected {cut}")])
        .collect();
    // The last event may be on its way to the endpoint.
    let seen = eventually("all events", || async {
        match events.entries() {
            seen if seen.len() < told.len() => Err(format!("{seen:?}")),
            seen => Ok(seen),
        }
    });
    let seen = seen.await;
    env.shutdown().await;
    same(seen?, told)
}

pub(crate) async fn a_cut_connection_fails_the_ask_of_a_jvm_and_is_made_again(world: &World) -> Outcome {
    let (env, _, ours) = env("cut").await?;
    let cutter = Cutter::before(&ours).await?;
    let uri = format!("spark://lab@{}", cutter.address);
    world.jvm.run(&format!("keep cut client {uri}")).await?;
    for _ in 0..3 {
        let before = handled(&env);
        let (asked, ()) = tokio::join!(world.jvm.run("ask client kept:cut silent"), async {
            until_handled(&env, before + 1).await;
            cutter.cut();
        });
        fails_with(asked, &["java.io.IOException: "])?;
        // Through the same reference.
        let found = world.jvm.run("notes client kept:cut 3").await;
        same(found, Ok("1,2,3".to_owned()))?;
    }
    env.shutdown().await;
    Ok(())
}

pub(crate) async fn our_env_that_stops_fails_asks_of_a_jvm_and_a_new_one_is_reached(
    world: &World,
) -> Outcome {
    let (env, _, ours) = env("mortal").await?;
    world
        .jvm
        .run(&format!("keep mortal client spark://lab@{ours}"))
        .await?;
    let (asked, ()) = tokio::join!(world.jvm.run("ask client kept:mortal silent"), async {
        until_handled(&env, 1).await;
        env.shutdown().await;
    });
    // Held by a handler that ends with its endpoint, the ask is answered, or else its connection ends.
    if asked.is_ok() {
        return Err(format!("the ask ended with {asked:?}"));
    }
    they_see(world, &format!("disconnected {ours}")).await?;
    let found = world.jvm.run("ask client kept:mortal notes").await;
    fails_with(found, &["Failed to connect to"])?;
    let again = eventually("the same port", || {
        RpcEnv::builder("again")
            .conf(RpcConf::default().with_port_max_retries(0))
            .bind(&*ours)
            .start()
    });
    let again = again.await?;
    again.setup_endpoint("lab", Lab::default()).map_err(text)?;
    let found = world.jvm.run("notes client kept:mortal 3").await;
    again.shutdown().await;
    same(found, Ok("1,2,3".to_owned()))
}

pub(crate) async fn our_killed_process_fails_asks_of_a_jvm_and_a_new_one_is_reached(
    world: &World,
) -> Outcome {
    let (mut ours, address) = Ours::start("127.0.0.1:0", None).await?;
    world
        .jvm
        .run(&format!("keep killed client spark://lab@{address}"))
        .await?;
    // Held until the process dies. A second ask that is answered has come behind it on the same connection.
    let silent = "ask client kept:killed silent";
    let (asked, killed) = tokio::join!(world.jvm.run(silent), async {
        eventually("an ask that is held", || async {
            match world.jvm.run("ask client kept:killed held").await {
                Ok(held) if held == "1" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await?;
        ours.kill().await
    });
    killed?;
    fails_with(asked, &["java.io.IOException: "])?;
    let again = eventually("the same port", || Ours::start(&address, None));
    let (again, _) = again.await?;
    let found = world.jvm.run("notes client kept:killed 3").await;
    drop(again);
    same(found, Ok("1,2,3".to_owned()))
}

pub(crate) async fn a_killed_jvm_fails_our_asks_and_a_new_one_is_reached(world: &World) -> Outcome {
    let mut mortal = world.another_jvm("mortal").await?;
    let address = mortal.run("address server").await?;
    let uri = format!("spark://lab@{address}");
    let (env, events, _) = env("survivor").await?;
    let lab = env.setup_endpoint_ref(&uri).await.map_err(text)?;
    let silent = tokio::spawn(lab.ask(AskText("silent".to_owned())));
    // Behind the first one on the same connection, so that one has arrived.
    lab.ask(AskText("notes".to_owned())).await.map_err(text)?;
    mortal.kill().await?;
    let found = silent.await.map_err(text)?;
    if !matches!(found, Err(AskError::Disconnected(_))) {
        return Err(format!("{found:?}"));
    }
    we_see(&events, &format!("disconnected {address}")).await?;
    let refused = lab.ask(AskText("notes".to_owned())).await;
    if !matches!(refused, Err(AskError::Connect(_))) {
        return Err(format!("{refused:?}"));
    }
    let port = address.rsplit(':').next().unwrap_or_default();
    let again = world.another_jvm("again").await?;
    let command = format!("address server@{port}");
    let found = eventually("the same port", || again.run(&command)).await?;
    same(&found, &address)?;
    // Through the same reference.
    lab.send(Note { n: 6 }).map_err(text)?;
    let found = lab.ask(AskText("notes".to_owned())).await;
    env.shutdown().await;
    same(found.map_err(text)?, "6".to_owned())
}

/// An env of ours in server mode with an endpoint `lab`, what that is told, and the env's address.
async fn env(name: &str) -> Result<(RpcEnv, Log, String), String> {
    let env = RpcEnv::builder(name).bind("127.0.0.1:0").start().await;
    let env = env.map_err(text)?;
    let events = Log::default();
    env.setup_endpoint("lab", Lab::with_events(&events))
        .map_err(text)?;
    let address = env.address().map(ToString::to_string).unwrap_or_default();
    Ok((env, events, address))
}

/// How many messages the endpoint `lab` has handled.
fn handled(env: &RpcEnv) -> u64 {
    let lab = env
        .stats()
        .endpoints
        .into_iter()
        .find(|endpoint| endpoint.name == "lab");
    lab.map_or(0, |lab| lab.handled)
}

async fn until_handled(env: &RpcEnv, count: u64) {
    while handled(env) < count {
        // tidy: allow(sleep): between two looks at something that nobody announces.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Waits until our endpoint has been told an event that begins so; all that it has been told.
async fn we_see(events: &Log, event: &str) -> Result<Vec<String>, String> {
    eventually("an event here", || async {
        let events = events.entries();
        if events.iter().any(|seen| seen.starts_with(event)) {
            Ok(events)
        } else {
            Err(format!("{events:?} is without {event}"))
        }
    })
    .await
}

/// Waits until an endpoint of the JVM has been told the event.
async fn they_see(world: &World, event: &str) -> Outcome {
    eventually("an event there", || async {
        let events = world.jvm.run("events").await?;
        if events.split(',').any(|seen| seen == event) {
            Ok(())
        } else {
            Err(format!("{events} is without {event}"))
        }
    })
    .await
}
