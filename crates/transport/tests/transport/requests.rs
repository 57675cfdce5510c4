//! Requests, one-way messages and their answers.

use std::sync::Arc;
use std::time::Duration;

use spark_rpc_transport::{ConnectionError, Lane, RequestError, SendError, TransportClient, TransportConf};
use spark_rpc_wire::{OneWayMessage, OpenFrame, RequestId, RpcFailure, RpcRequest};

use crate::support::{
    Handlers, Seen, connect, connect_scripted, context, expect_request, hosts, millis, response, secs,
    settle, soon,
};

async fn ask(client: &TransportClient, text: &str) -> Result<String, String> {
    match soon(client.send_rpc(text.as_bytes(), None)).await {
        Ok(body) => Ok(String::from_utf8(body.to_vec()).unwrap()),
        Err(RequestError::Failed { text }) => Err(text),
        Err(other) => panic!("neither an answer nor a failure: {other}"),
    }
}

/// RPC-01
#[tokio::test(start_paused = true)]
async fn one_request_is_answered_and_so_are_two() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::hello()).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    assert_eq!(ask(&client, "hello/Aaron").await, Ok("Hello, Aaron!".into()));

    let (first, second) = tokio::join!(ask(&client, "hello/Bob"), ask(&client, "hello/Carla"));
    assert_eq!(first, Ok("Hello, Bob!".into()));
    assert_eq!(second, Ok("Hello, Carla!".into()));
    assert_eq!(client.outstanding(), 0);
}

/// RPC-02
#[tokio::test(start_paused = true)]
async fn a_failure_reaches_the_asker_and_so_do_two() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::hello()).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    assert_eq!(ask(&client, "return error/OK").await, Err("Returned: OK".into()));

    let both = tokio::join!(ask(&client, "return error/one"), ask(&client, "return error/two"));
    assert_eq!(both, (Err("Returned: one".into()), Err("Returned: two".into())));
}

/// RPC-03
#[tokio::test(start_paused = true)]
async fn good_and_bad_requests_share_a_connection() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::hello()).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    let answers = tokio::join!(
        ask(&client, "hello/Bob"),
        ask(&client, "return error/uh-oh"),
        ask(&client, "hello/Sue"),
        ask(&client, "return error/oh no"),
    );
    assert_eq!(
        answers,
        (
            Ok("Hello, Bob!".into()),
            Err("Returned: uh-oh".into()),
            Ok("Hello, Sue!".into()),
            Err("Returned: oh no".into()),
        )
    );
    assert_eq!(server.connections(), 1);
}

/// RPC-04
#[tokio::test(start_paused = true)]
async fn a_one_way_message_arrives_once_and_leaves_nothing_outstanding() {
    let hosts = hosts();
    let handlers = Handlers::hello();
    let _server = hosts.serve(&handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    client.send(b"no reply").unwrap();
    assert_eq!(client.outstanding(), 0);

    // A request behind it: when that is answered, the message has been handled.
    ask(&client, "hello/Bob").await.unwrap();
    assert_eq!(handlers.record.one_ways(), [b"no reply"]);
    assert_eq!(client.outstanding(), 0);
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_connection_arrive_in_the_order_in_which_they_were_sent() {
    let hosts = hosts();
    let handlers = Handlers::echo();
    let _server = hosts.serve(&handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    // Small ones are copied together, large ones go by themselves.
    let sizes = [4, 100_000, 8, 40_000, 4, 4, 70_000, 12];
    let sent: Vec<Vec<u8>> = (0u8..).zip(sizes).map(|(n, size)| vec![n; size]).collect();
    for body in &sent {
        client.send(body).unwrap();
    }
    soon(client.send_rpc(b"last", None)).await.unwrap();
    assert_eq!(handlers.record.one_ways(), sent);
}

#[tokio::test(start_paused = true)]
async fn both_sides_ask_and_send_over_one_connection() {
    let hosts = hosts();
    let at_server = Handlers::hello();
    let server = hosts.serve(&at_server).await;
    let at_client = Handlers::hello();
    let client_context = context(&hosts.client, TransportConf::default(), &at_client);
    let factory = client_context.create_client_factory(Vec::new());
    let (back, got_back) = tokio::sync::oneshot::channel();
    let back = std::sync::Mutex::new(Some(back));
    let _other_server = {
        let handlers = Handlers::new(move |client, _, responder| {
            if let Some(back) = back.lock().unwrap().take() {
                assert!(back.send(client.clone()).is_ok());
            }
            drop(responder);
            spark_rpc_transport::Flow::Continue
        });
        context(&hosts.server, TransportConf::default(), &handlers)
            .create_server("server", 7078, Vec::new())
            .await
            .unwrap()
    };
    let there = soon(factory.create_client("server", 7078)).await.unwrap();
    there.send(b"call me").unwrap();
    let back: TransportClient = soon(got_back).await.unwrap();

    assert_eq!(back.peer(), there.local());
    assert_eq!(ask(&back, "hello/client").await, Ok("Hello, client!".into()));
    back.send(b"to the client").unwrap();
    at_client
        .record
        .until_seen(Seen::OneWay(b"to the client".to_vec()))
        .await;
    assert_eq!((server.connections(), factory.connections()), (0, 1));
}

/// RESP-03
#[tokio::test(start_paused = true)]
async fn an_answer_to_another_id_is_ignored_and_counted() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let context = context(&hosts.client, TransportConf::default(), &Handlers::hello());
    let factory = context.create_client_factory(Vec::new());
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;

    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.send_rpc(b"question", None).await }
    });
    let request = expect_request(&mut peer).await;
    assert_eq!(request.body, "question");
    for wrong in [request.request_id.0 + 1, -1, i64::MIN, i64::MAX] {
        peer.send(response(RequestId(wrong), "for somebody else")).await;
    }
    peer.send(RpcFailure {
        request_id: RequestId(request.request_id.0 + 2),
        error: "for somebody else".into(),
    })
    .await;
    peer.send(OneWayMessage { body: "seen".into() }).await;
    settle().await;
    assert_eq!((client.outstanding(), context.counters().late_replies()), (1, 5));

    peer.send(response(request.request_id, "answer")).await;
    assert_eq!(soon(asking).await.unwrap().unwrap(), "answer");
    assert_eq!(client.outstanding(), 0);

    peer.send(response(request.request_id, "again")).await;
    settle().await;
    assert_eq!(
        context.counters().late_replies(),
        6,
        "a second answer is late too"
    );
    assert!(client.is_active());
}

/// RESP-02
#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_fails_what_is_outstanding_and_nothing_else() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let pending: Vec<_> = ["one", "two", "three"]
        .map(|body| {
            let client = client.clone();
            tokio::spawn(async move { client.send_rpc(body.as_bytes(), None).await })
        })
        .into_iter()
        .collect();
    let first = expect_request(&mut peer).await;
    for _ in 0..2 {
        expect_request(&mut peer).await;
    }
    peer.send(response(first.request_id, "answer")).await;
    settle().await;
    assert_eq!(client.outstanding(), 2);
    hosts.net.cut("client", "server");

    let mut outcomes = Vec::new();
    for asking in pending {
        outcomes.push(soon(asking).await.unwrap());
    }
    assert_eq!(outcomes[0].as_ref().unwrap(), "answer");
    for failed in &outcomes[1..] {
        match failed {
            Err(RequestError::Connection(cause)) => {
                assert!(matches!(**cause, ConnectionError::Socket { .. }), "{cause}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(client.outstanding(), 0);
    assert!(!client.is_active());
}

/// RESP-05
#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_fails_whoever_waits_at_once() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.send_rpc(b"question", Some(secs(3600))).await }
    });
    expect_request(&mut peer).await;
    let before = tokio::time::Instant::now();
    peer.close();
    let error = soon(asking).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "Connection from server:7077 closed");
    assert!(before.elapsed() < secs(1));

    let error = client.send(b"more").unwrap_err();
    assert!(matches!(error, SendError::Closed(_)), "{error}");
    let error = client.send_rpc(b"more", None).await.unwrap_err();
    assert!(
        matches!(error, RequestError::NotSent(SendError::Closed(_))),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_in_the_middle_of_an_answer_fails_the_request() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let asking = tokio::spawn(async move { client.send_rpc(b"question", None).await });
    let request = expect_request(&mut peer).await;
    peer.send_part(response(request.request_id, "an answer"), 25)
        .await;
    peer.close();
    let error = soon(asking).await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::Connection(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn answers_that_came_before_the_peer_closed_still_count() {
    let hosts = hosts();
    let mut listener = hosts.listen().await;
    let factory = hosts.factory();
    let (client, mut peer) = connect_scripted(&factory, &mut *listener).await;
    let asking = tokio::spawn(async move { client.send_rpc(b"question", None).await });
    let request = expect_request(&mut peer).await;
    peer.send(response(request.request_id, "answer")).await;
    peer.close();
    assert_eq!(soon(asking).await.unwrap().unwrap(), "answer");
}

#[tokio::test(start_paused = true)]
async fn a_request_times_out_by_itself_and_its_late_answer_is_counted() {
    let hosts = hosts();
    let (handlers, kept) = Handlers::keeping();
    let _server = hosts.serve(&handlers).await;
    let context = context(&hosts.client, TransportConf::default(), &Handlers::hello());
    let factory = context.create_client_factory(Vec::new());
    let client = connect(&factory).await;
    let before = tokio::time::Instant::now();
    let error = soon(client.send_rpc(b"question", Some(millis(250))))
        .await
        .unwrap_err();
    let took = before.elapsed();
    assert_eq!(error.to_string(), "no reply from server:7077 within 250 ms");
    assert!(took >= millis(250) && took < millis(300), "{took:?}");
    assert_eq!(client.outstanding(), 0);
    assert!(
        client.is_active(),
        "a request's own limit is not the connection's"
    );

    kept.take_first().success(b"too late");
    settle().await;
    assert_eq!(context.counters().late_replies(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_frees_its_place_at_once() {
    let hosts = hosts();
    let (handlers, kept) = Handlers::keeping();
    let _server = hosts.serve(&handlers).await;
    let conf = TransportConf {
        max_pending_requests: 1,
        ..TransportConf::default()
    };
    let context = context(&hosts.client, conf, &Handlers::hello());
    let factory = context.create_client_factory(Vec::new());
    let client = connect(&factory).await;
    let asking = tokio::time::timeout(millis(50), client.send_rpc(b"one", None));
    assert!(asking.await.is_err());
    assert_eq!(client.outstanding(), 0);

    let second = tokio::spawn({
        let client = client.clone();
        async move { client.send_rpc(b"two", None).await }
    });
    handlers.record.until_seen(Seen::Request(b"two".to_vec())).await;
    kept.take_first().success(b"to the one that was dropped");
    kept.take_first().success(b"to the second");
    assert_eq!(soon(second).await.unwrap().unwrap(), "to the second");
    assert_eq!(context.counters().late_replies(), 1);
}

#[tokio::test(start_paused = true)]
async fn more_requests_than_allowed_are_refused_and_not_sent() {
    let hosts = hosts();
    let handlers = Handlers::silent();
    let _server = hosts.serve(&handlers).await;
    let factory = hosts.factory_with(TransportConf {
        max_pending_requests: 2,
        ..TransportConf::default()
    });
    let client = connect(&factory).await;
    let request = |body: &[u8]| {
        let mut frame = Vec::new();
        let open = OpenFrame::rpc_request(&mut frame, RequestId(0));
        frame.extend_from_slice(body);
        open.finish(&mut frame).unwrap();
        client.request_frame(Lane::Normal, &mut frame, None)
    };
    let first = request(b"1").unwrap();
    let _second = request(b"2").unwrap();
    let refused = request(b"3").unwrap_err();
    assert!(
        matches!(refused, SendError::TooManyRequests { max: 2 }),
        "{refused}"
    );

    drop(first);
    let _fourth = request(b"4").unwrap();
    handlers.record.until_seen(Seen::Request(b"4".to_vec())).await;
    assert_eq!(handlers.record.count(|seen| matches!(seen, Seen::Request(_))), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_responder_fails_the_request_at_once() {
    let hosts = hosts();
    let handlers = Handlers::new(|_, _, responder| {
        drop(responder);
        spark_rpc_transport::Flow::Continue
    });
    let _server = hosts.serve(&handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    let before = tokio::time::Instant::now();
    assert_eq!(
        ask(&client, "anything").await,
        Err("the request was dropped without an answer".into())
    );
    assert!(before.elapsed() < secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_request_may_be_answered_later_from_elsewhere_in_any_order() {
    let hosts = hosts();
    let (handlers, kept) = Handlers::keeping();
    let _server = hosts.serve(&handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    let asking = tokio::spawn(async move { tokio::join!(ask(&client, "one"), ask(&client, "two")) });
    handlers.record.until_seen(Seen::Request(b"two".to_vec())).await;
    let (one, two) = (kept.take_first(), kept.take_first());
    std::thread::spawn(move || {
        two.success(b"answer two");
        one.failure("failure one");
    })
    .join()
    .unwrap();
    assert_eq!(
        soon(asking).await.unwrap(),
        (Err("failure one".into()), Ok("answer two".into()))
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_writer_fails_can_still_become_a_failure() {
    let hosts = hosts();
    let handlers = Handlers::new(|_, _, responder| {
        let refused = responder.unwrap().try_success_with(|out| {
            out.extend_from_slice(b"half an ans");
            Err("no more")
        });
        let (responder, why) = refused.unwrap_err();
        responder.failure(why);
        spark_rpc_transport::Flow::Continue
    });
    let _server = hosts.serve(&handlers).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    assert_eq!(ask(&client, "anything").await, Err("no more".into()));
}

#[tokio::test(start_paused = true)]
async fn any_request_id_is_answered_also_negative_and_repeated_ones() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo()).await;
    let mut peer = hosts.raw_client().await;
    for id in [0, -1, i64::MIN, i64::MAX, 7, 7] {
        let request = RpcRequest {
            request_id: RequestId(id),
            body: "x".into(),
        };
        peer.send(request).await;
        assert_eq!(peer.expect_frame().await, response(RequestId(id), "x").into());
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_of_every_size_come_back_as_they_were() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::echo()).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    for size in [0, 1, 64, 32 * 1024 - 22, 32 * 1024, 64 * 1024, 300_000, 3_000_000] {
        let body: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let answer = soon(client.send_rpc(&body, None)).await.unwrap();
        assert!(
            answer == body,
            "{size} bytes came back as {} other bytes",
            answer.len()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_tasks_share_a_connection_and_each_gets_its_own_answer() {
    let hosts = hosts();
    let server = hosts.serve(&Handlers::echo()).await;
    let factory = Arc::new(hosts.factory());
    let client = connect(&factory).await;
    let tasks: Vec<_> = (0..100u32)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                for n in 0..20u32 {
                    let body = (task * 1000 + n).to_be_bytes();
                    assert_eq!(client.send_rpc(&body, Some(secs(60))).await.unwrap(), body[..]);
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
    assert_eq!((client.outstanding(), server.connections()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_beyond_every_clock_is_no_limit() {
    let hosts = hosts();
    let _server = hosts.serve(&Handlers::hello()).await;
    let factory = hosts.factory();
    let client = connect(&factory).await;
    let answer = client.send_rpc(b"hello/Bob", Some(Duration::MAX)).await.unwrap();
    assert_eq!(answer, "Hello, Bob!");
}
