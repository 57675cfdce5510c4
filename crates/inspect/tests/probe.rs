//! A JVM's answers, played from a script: what they are taken for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use spark_rpc_inspect::probe::{Findings, Listening, Peer, Target, advice, examine};
use spark_rpc_javaobj::{ClassTable, Profile, to_bytes};
use spark_rpc_net::{SocketName, TcpNetwork};
use spark_rpc_wire::{Envelope, Event, FrameDecoder, Message, RequestId, RpcFailure, RpcResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers one connection as a JVM with `profile` does, which has the endpoints named; notes what it is asked.
async fn jvm(
    mut stream: TcpStream,
    profile: &'static Profile,
    shift: i64,
    endpoints: &[&str],
    heard: Arc<Mutex<Vec<String>>>,
) {
    let table = ClassTable::pinned(profile);
    let mut decoder = FrameDecoder::new(1 << 20);
    let mut space = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut space).await {
        let mut input = &space[..count];
        let mut out = Vec::new();
        while let Some(Event::Frame(frame)) = decoder.next(&mut input).expect("frames") {
            let Message::RpcRequest(request) = frame.decode().expect("a message").into_owned() else {
                panic!("only requests are asked")
            };
            let (envelope, at) = Envelope::decode(&request.body).expect("an envelope");
            assert_eq!(envelope.name, "endpoint-verifier");
            let content = &request.body[at..];
            // Behind magic, object and class descriptor: the class's name and id.
            let length = usize::from(u16::from_be_bytes([content[6], content[7]]));
            let class = String::from_utf8(content[8..8 + length].to_vec()).unwrap();
            let id = i64::from_be_bytes(content[8 + length..16 + length].try_into().unwrap());
            let own = profile
                .class(&class)
                .map(|info| info.uid.wrapping_add(shift))
                .expect("a class of Spark's");
            let answer = if id == own {
                // The name is the last thing, a string behind its length.
                let named =
                    |name: &&str| content.ends_with(&[&[0, name.len() as u8], name.as_bytes()].concat());
                let name = endpoints.iter().copied().find(named);
                Message::RpcResponse(RpcResponse {
                    request_id: request.request_id,
                    body: to_bytes(&name.is_some(), &table).unwrap(),
                })
            } else {
                heard.lock().unwrap().push(class.clone());
                Message::RpcFailure(RpcFailure {
                    request_id: request.request_id,
                    error: format!(
                        "java.io.InvalidClassException: {class}; local class incompatible: stream classdesc \
                         serialVersionUID = {id}, local class serialVersionUID = {own}\n\tat java.base/java.io"
                    ),
                })
            };
            answer.encode(&mut out).unwrap();
        }
        stream.write_all(&out).await.unwrap();
    }
}

/// What is found at a JVM, and what that had to refuse.
async fn examined(version: &str, shift: i64) -> (Findings, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let profile = Profile::of(version).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heard);
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        jvm(stream, profile, shift, &["Master"], noted).await;
    });
    let target = Target::new(SocketName::new("127.0.0.1", port), Duration::from_secs(10));
    let found = examine(&TcpNetwork, &target).await.unwrap();
    server.await.unwrap();
    let heard = heard.lock().unwrap().clone();
    (found, heard)
}

#[tokio::test]
async fn a_jvm_tells_its_version_and_endpoints_over_one_connection_and_few_refusals() {
    for (version, refusals) in [("3.5.9", 1), ("4.1.4", 1), ("4.2.1", 2), ("4.3.0", 2)] {
        let (found, heard) = examined(version, 0).await;
        assert_eq!(found.listening, Listening::Spark, "{version}");
        assert_eq!(found.authentication.wanted, Some(false));
        let Some(Peer::Jvm { versions, scala, .. }) = &found.peer else {
            panic!("{version}: {found:?}")
        };
        assert_eq!(versions, &[version]);
        assert_eq!(
            *scala,
            Some(if version.starts_with('3') { "2.12" } else { "2.13" })
        );
        let there = found.endpoints.iter().filter(|endpoint| endpoint.exists);
        let there: Vec<_> = there.map(|endpoint| endpoint.name).collect();
        assert_eq!(there, ["Master"], "{version}");
        assert_eq!(found.round_trips.len(), found.endpoints.len());
        assert_eq!(
            heard.len(),
            refusals,
            "each is a stack trace in its log: {version} {heard:?}"
        );
    }
}

#[tokio::test]
async fn a_version_that_nobody_knows_is_asked_for_its_endpoints_all_the_same() {
    let (found, heard) = examined("4.3.0", 1).await;
    let Some(Peer::Jvm { versions, scala, ids }) = &found.peer else {
        panic!("{found:?}")
    };
    assert_eq!((versions.len(), *scala), (0, None));
    assert_eq!(ids[0].0, "org.apache.spark.SparkException");
    assert!(
        found
            .endpoints
            .iter()
            .any(|endpoint| endpoint.name == "Master" && endpoint.exists)
    );
    assert_eq!(heard.len(), 2, "the question itself is learnt, once: {heard:?}");
    assert!(
        advice(&found)
            .iter()
            .any(|text| text.contains("no version that is known"))
    );
}

#[tokio::test]
async fn a_server_of_frames_that_is_no_env_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut space = [0; 4096];
        let mut id = 0;
        while let Ok(1..) = stream.read(&mut space).await {
            id += 1;
            let answer: Message<Vec<u8>> = Message::RpcFailure(RpcFailure {
                request_id: RequestId(id),
                error: "java.lang.IllegalArgumentException: Unknown message type: 0\n\tat a.B.c".to_owned(),
            });
            let mut out = Vec::new();
            answer.encode(&mut out).unwrap();
            stream.write_all(&out).await.unwrap();
        }
    });
    let target = Target::new(SocketName::new("127.0.0.1", port), Duration::from_secs(10));
    let found = examine(&TcpNetwork, &target).await.unwrap();
    let text = "java.lang.IllegalArgumentException: Unknown message type: 0".to_owned();
    assert_eq!(found.listening, Listening::Transport { text });
    assert_eq!((found.peer.is_none(), found.endpoints.len()), (true, 0));
}
