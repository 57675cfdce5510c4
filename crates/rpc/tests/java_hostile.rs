//! Java content that no JVM would send: every ask is answered, every answer ends the ask, and the connection stays.

mod support;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spark_rpc::codec::{JavaCodec, JavaValue};
use spark_rpc::config::RpcConf;
use spark_rpc::javaobj::JavaObject;
use spark_rpc::{Network, RpcEndpointRef, RpcEnv, RpcEnvFactory, RpcMessage, SocketOptions, rpc_endpoint};
use spark_rpc_testkit::{MemoryNetwork, ScriptedPeer};
use spark_rpc_wire::{Address, Envelope, Message, RequestId, RpcRequest, RpcResponse};
use support::{network, server};

#[derive(Clone, Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(reply = Sample, java)]
#[java(class = "org.apache.spark.rpc.lab.Sample")]
struct Sample {
    i: i32,
    s: String,
    seq: Vec<String>,
    m: BTreeMap<String, i32>,
    o: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(reply = CarryRef, java)]
#[java(class = "org.apache.spark.rpc.lab.CarryRef")]
struct CarryRef {
    #[java(name = "ref", ty = "Lorg/apache/spark/rpc/RpcEndpointRef;")]
    reference: RpcEndpointRef,
    note: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(reply = JavaValue, java)]
#[java(transparent)]
struct Whatever(JavaValue);

struct Lab;

#[rpc_endpoint]
impl Lab {
    async fn sample(&mut self, sample: Sample) -> Sample {
        sample
    }

    async fn carry(&mut self, carry: CarryRef) -> CarryRef {
        carry
    }

    async fn whatever(&mut self, Whatever(value): Whatever) -> JavaValue {
        value
    }
}

/// What JVMs of two versions were recorded to send, the short ones.
fn recorded() -> impl Iterator<Item = Vec<u8>> {
    let all = [
        include_str!("../../javaobj/tests/data/recorded-3.5.9.txt"),
        include_str!("../../javaobj/tests/data/recorded-4.1.4.txt"),
    ];
    let lines = all.into_iter().flat_map(str::lines);
    let hex = lines.filter_map(|line| Some(line.split_once(' ')?.1).filter(|hex| hex.starts_with("aced")));
    hex.filter(|hex| hex.len() < 2400).map(|hex| {
        (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
            .collect()
    })
}

/// The recorded content with one thing wrong, in several ways; the same ones in each run.
fn broken() -> impl Iterator<Item = Vec<u8>> {
    let mut state = 1_u32;
    let mut below = move |limit: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % limit
    };
    recorded().flat_map(move |good| {
        (0..12)
            .map(|way| {
                let mut content = good.clone();
                // The magic stays, by which it is known for Java.
                let at = 4 + below(content.len() - 4);
                match way % 4 {
                    0 => content[at] ^= 1 << below(8),
                    1 => content[at] = below(256) as u8,
                    2 => content.truncate(at),
                    _ => content.insert(at, below(256) as u8),
                }
                content
            })
            .collect::<Vec<_>>()
    })
}

#[tokio::test(start_paused = true)]
async fn every_ask_in_broken_java_is_answered() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, RpcConf::default()).await;
    env.setup_endpoint("lab", Lab).unwrap();
    let mut jvm = ScriptedPeer::connect(&net.host("jvm"), "server", 7077).await;
    let mut header = Vec::new();
    let envelope = Envelope {
        sender: None,
        receiver: Some(Address {
            host: "server".into(),
            port: 7077,
        }),
        name: "lab".into(),
    };
    envelope.encode(&mut header).unwrap();
    let (mut values, mut errors) = (0, 0);
    for (id, content) in (1..).zip(broken()) {
        let request_id = RequestId(id);
        let body = [&header[..], &content].concat().into();
        jvm.send(RpcRequest { request_id, body }).await;
        match jvm.expect_frame().await {
            Message::RpcResponse(response) => {
                assert_eq!(response.request_id, request_id);
                values += 1;
            }
            Message::RpcFailure(failure) => {
                assert_eq!(failure.request_id, request_id);
                assert!(
                    failure.error.contains("could not be decoded"),
                    "{}",
                    failure.error
                );
                errors += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(
        values > 100 && errors > 100,
        "{values} were values, {errors} were not"
    );
}

#[tokio::test(start_paused = true)]
async fn every_answer_in_broken_java_ends_the_ask() {
    let net = MemoryNetwork::new(1);
    let options = SocketOptions::default();
    let mut listener = net.host("jvm").bind("jvm", 7077, &options).await.unwrap();
    let factory = RpcEnvFactory::new()
        .codec(std::sync::Arc::new(JavaCodec::new()))
        .network(network(&net.host("client")));
    let env = RpcEnv::builder("client").factory(factory).client_mode();
    let env = env.start().await.unwrap();
    let lab = env.endpoint_ref("spark://lab@jvm:7077".parse().unwrap());
    let mut jvm = None;
    let (mut values, mut errors) = (0, 0);
    for content in broken() {
        let sample = Sample {
            i: 1,
            s: String::new(),
            seq: Vec::new(),
            m: BTreeMap::new(),
            o: None,
        };
        let asked = tokio::spawn(lab.ask(sample));
        let jvm = match &mut jvm {
            Some(jvm) => jvm,
            none => none.insert(ScriptedPeer::accept(&mut *listener).await),
        };
        let Message::RpcRequest(request) = jvm.expect_frame().await else {
            panic!("expected the ask");
        };
        jvm.send(RpcResponse {
            request_id: request.request_id,
            body: content.into(),
        })
        .await;
        match asked.await.unwrap() {
            Ok(_) => values += 1,
            Err(spark_rpc::AskError::BadReply(_) | spark_rpc::AskError::Remote(_)) => errors += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(
        values > 10 && errors > 100,
        "{values} were values, {errors} were not"
    );
}
