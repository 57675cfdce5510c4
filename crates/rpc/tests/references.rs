//! References as values: equality, text, and what becomes of them inside messages.

mod support;

use std::collections::HashSet;

use spark_rpc::config::RpcConf;
use spark_rpc::{AskError, Handled, RpcEndpointRef, RpcEnv, SendError};
use support::lab::Lab;
use support::messages::*;
use support::{Pair, client, server, settle};

/// ENV-02
#[tokio::test(start_paused = true)]
async fn a_reference_travels_inside_a_message_and_can_be_asked() {
    let pair = Pair::new().await;
    let lab = pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let received = pair.far("lab").await.ask(WhoAmI()).await.unwrap();
    assert_eq!(received, lab);
    assert!(!received.is_local());
    assert_eq!(received.ask(Echo("Echo".into())).await.unwrap(), "Echo");

    let own = lab.ask(WhoAmI()).await.unwrap();
    assert!(own.is_local());
    assert_eq!(own.ask(Echo("Echo".into())).await.unwrap(), "Echo");
}

#[tokio::test(start_paused = true)]
async fn a_reference_into_a_client_mode_env_works_over_the_connection_it_came_on() {
    let pair = Pair::new().await;
    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let own = pair.client.setup_endpoint("own", Lab::default()).unwrap();
    let far = pair.far("lab").await;
    let echoed = far.ask(EchoThrough(own, "there and back".into())).await.unwrap();
    assert_eq!(echoed.unwrap(), "there and back");
    let opened = |env: &RpcEnv| env.stats().transport.connections_opened();
    assert_eq!(
        (opened(&pair.client), opened(&pair.server)),
        (1, 1),
        "one connection serves both ways"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reference_into_a_client_mode_env_ends_with_its_connection() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let own_lab = Lab::default();
    let own = pair.client.setup_endpoint("own", own_lab.clone()).unwrap();
    pair.far("lab").await.send(Remember(own)).unwrap();
    lab.log.has("remembered").await;
    let back = lab.remembered.lock().unwrap().remove(0);
    assert_eq!(back.to_string(), "spark-client://own");
    back.send(Note(1)).unwrap();
    own_lab.log.has("note 1").await;

    pair.net.cut("client", "server");
    settle().await;
    assert!(matches!(
        back.send(Note(2)).unwrap_err(),
        SendError::Disconnected(_)
    ));
    let error = back.ask(Sum()).await.unwrap_err();
    assert!(matches!(error, AskError::Disconnected(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reference_that_comes_home_is_local_again() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let own_lab = Lab::default();
    let own = pair.client.setup_endpoint("own", own_lab.clone()).unwrap();
    let far = pair.far("lab").await;
    far.send(Remember(own.clone())).unwrap();
    lab.log.has("remembered").await;
    let back = lab.remembered.lock().unwrap().remove(0);

    // The server sends the client's own reference back to it, and one to itself.
    back.send(Remember(back.clone())).unwrap();
    back.send(Remember(
        pair.server.setup_endpoint("other", Lab::default()).unwrap(),
    ))
    .unwrap();
    own_lab
        .log
        .until(|entries| entries.iter().filter(|e| *e == "remembered").count() == 2)
        .await;
    let [home, other] =
        <[RpcEndpointRef; 2]>::try_from(std::mem::take(&mut *own_lab.remembered.lock().unwrap())).unwrap();
    assert!(home.is_local());
    assert_eq!(home, own);
    assert!(!other.is_local());
    assert_eq!(
        other.ask(Echo("to the server".into())).await.unwrap(),
        "to the server"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reference_to_a_third_env_leads_to_that_env() {
    let pair = Pair::new().await;
    let third = server(&pair.net.host("third"), 7077, RpcConf::default()).await;
    let third_lab = third.setup_endpoint("lab", Lab::default()).unwrap();
    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    // The client knows the third env and tells the server of it.
    let known = pair
        .client
        .setup_endpoint_ref(&third_lab.to_string())
        .await
        .unwrap();
    known.ask(Echo("before".into())).await.unwrap();
    let far = pair.far("lab").await;
    let asked = far
        .ask(EchoThrough(known, "through the server".into()))
        .await
        .unwrap();
    assert_eq!(asked.unwrap(), "through the server");
    let stats = third.stats();
    assert_eq!(
        stats.transport.connections_opened(),
        2,
        "from the client, and from the server"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reference_into_somebody_elses_client_mode_env_leads_nowhere_and_says_so() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let own = pair.client.setup_endpoint("own", Lab::default()).unwrap();
    pair.far("lab").await.send(Remember(own.clone())).unwrap();
    lab.log.has("remembered").await;
    let held = lab.remembered.lock().unwrap().remove(0);

    // Another client gets it from the server, and has an endpoint of the same name, too.
    let other = client(&pair.net.host("other"), RpcConf::default()).await;
    let other_lab = Lab::default();
    other.setup_endpoint("own", other_lab.clone()).unwrap();
    let keeper = Lab::default();
    let keeper_ref = other.setup_endpoint("keeper", keeper.clone()).unwrap();
    let server_lab = other.setup_endpoint_ref("spark://lab@server:7077").await.unwrap();
    server_lab.send(Remember(keeper_ref)).unwrap();
    lab.log
        .until(|entries| entries.iter().filter(|e| *e == "remembered").count() == 2)
        .await;
    lab.remembered.lock().unwrap()[0]
        .send(Remember(held.clone()))
        .unwrap();
    keeper.log.has("remembered").await;

    let stray = keeper.remembered.lock().unwrap().remove(0);
    let error = stray.send(Note(1)).unwrap_err();
    assert!(matches!(error, SendError::NoRoute { .. }), "{error:?}");
    let text = "Cannot send message to client endpoint with no listen address: spark-client://own";
    assert_eq!(error.to_string(), text);
    let error = stray.ask(Sum()).await.unwrap_err();
    assert!(matches!(error, AskError::NoRoute { .. }), "{error:?}");
    assert_eq!(error.handled(), Handled::No);
    settle().await;
    assert_eq!(
        other_lab.log.count("note 1"),
        0,
        "it must not end at the endpoint of the same name"
    );
    assert_eq!(stray, own, "it still names the same endpoint");
}

#[tokio::test(start_paused = true)]
async fn references_are_equal_when_they_name_the_same_endpoint_of_the_same_env() {
    let pair = Pair::new().await;
    let near = pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let other = pair.server.setup_endpoint("other", Lab::default()).unwrap();
    let far = pair.far("lab").await;
    assert_eq!(near, far);
    assert_eq!(near, near.clone());
    assert_ne!(near, other);
    assert_eq!(
        HashSet::from([near.clone(), far, other.clone()]),
        HashSet::from([near, other])
    );

    let own = pair.client.setup_endpoint("lab", Lab::default()).unwrap();
    let second = client(&pair.net.host("second"), RpcConf::default()).await;
    let foreign = second.setup_endpoint("lab", Lab::default()).unwrap();
    assert_eq!(own.to_string(), foreign.to_string());
    assert_ne!(own, foreign, "their text is the same, their envs are not");
}

#[tokio::test(start_paused = true)]
async fn the_text_of_a_reference_is_its_uri_and_leads_back_to_it() {
    let pair = Pair::new().await;
    let near = pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    assert_eq!(near.to_string(), "spark://lab@server:7077");
    assert_eq!(format!("{near:?}"), "RpcEndpointRef(spark://lab@server:7077)");
    assert_eq!(near.name(), "lab");
    assert_eq!(near.address().to_string().parse(), Ok(near.address().clone()));
    let far = pair.client.setup_endpoint_ref(&near.to_string()).await.unwrap();
    assert_eq!(far, near);
}

#[tokio::test(start_paused = true)]
async fn a_reference_that_is_read_outside_of_an_env_can_be_looked_at() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    let near = pair.server.setup_endpoint("lab", lab).unwrap();
    let bytes = postcard::to_stdvec(&near).unwrap();
    let read: RpcEndpointRef = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(read, near);
    assert_eq!(read.to_string(), near.to_string());
    assert!(matches!(
        read.send(Note(1)).unwrap_err(),
        SendError::NoRoute { .. }
    ));
    let error = tokio::time::timeout(std::time::Duration::from_secs(1), read.ask(Sum()))
        .await
        .unwrap();
    assert!(matches!(error.unwrap_err(), AskError::NoRoute { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_handler_learns_who_asks() {
    let net = spark_rpc_testkit::MemoryNetwork::new(1);
    let (a, b) = (net.host("a"), net.host("b"));
    let a = server(&a, 7077, RpcConf::default()).await;
    let b = server(&b, 7077, RpcConf::default()).await;
    let near = a.setup_endpoint("lab", Lab::default()).unwrap();
    assert_eq!(near.ask(WhoAsks()).await.unwrap(), None);

    let from_server = b.setup_endpoint_ref("spark://lab@a:7077").await.unwrap();
    assert_eq!(from_server.ask(WhoAsks()).await.unwrap().unwrap(), "b:7077");

    let c = client(&net.host("c"), RpcConf::default()).await;
    let from_client = c.setup_endpoint_ref("spark://lab@a:7077").await.unwrap();
    let socket = from_client.ask(WhoAsks()).await.unwrap().unwrap();
    assert!(socket.starts_with("c:") && socket != "c:7077", "{socket}");
}

#[tokio::test(start_paused = true)]
async fn a_reference_outlives_its_endpoint_and_finds_the_next_of_the_name() {
    let pair = Pair::new().await;
    let near = pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let far = pair.far("lab").await;
    far.ask(Sum()).await.unwrap();
    pair.server.stop(&near);
    assert!(matches!(
        far.ask(Sum()).await.unwrap_err(),
        AskError::EndpointNotFound { .. }
    ));
    let next = Lab::default();
    pair.server.setup_endpoint("lab", next.clone()).unwrap();
    for reference in [near, far] {
        reference.send(Note(5)).unwrap();
    }
    next.log
        .until(|entries| entries.iter().filter(|e| *e == "note 5").count() == 2)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_reference_keeps_working_after_its_peer_has_restarted() {
    let pair = Pair::new().await;
    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let far = pair.far("lab").await;
    far.ask(Sum()).await.unwrap();
    pair.net.crash("server", spark_rpc_testkit::Crash::PROCESS);
    settle().await;
    let error = far.ask(Sum()).await.unwrap_err();
    assert!(matches!(error, AskError::Connect(_)), "{error:?}");
    assert_eq!(error.handled(), Handled::No);

    let again = server(&pair.net.restart("server"), 7077, RpcConf::default()).await;
    again.setup_endpoint("lab", Lab::default()).unwrap();
    assert_eq!(far.ask(Echo("again".into())).await.unwrap(), "again");
}

#[tokio::test]
async fn a_client_mode_reference_is_called_back_over_tcp() {
    let server = RpcEnv::builder("server")
        .bind("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let lab = server.setup_endpoint("lab", Lab::default()).unwrap();
    let client = RpcEnv::builder("client").client_mode().start().await.unwrap();
    let own = client.setup_endpoint("own", Lab::default()).unwrap();
    let far = client.setup_endpoint_ref(&lab.to_string()).await.unwrap();
    let echoed = far.ask(EchoThrough(own, "back".into())).await.unwrap();
    assert_eq!(echoed.unwrap(), "back");
}
