//! Java content, as envs meet it: whatever a JVM asks is answered, and whatever it answers ends the ask.

#![no_main]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};
use spark_rpc::codec::{JavaCodec, JavaValue};
use spark_rpc::javaobj::{JavaObject, fuzz::LIMITS};
use spark_rpc::{
    Listener, Network, Request, RpcEndpointRef, RpcEnv, RpcEnvFactory, RpcMessage, SocketOptions,
    rpc_endpoint,
};
use spark_rpc_testkit::{MemoryNetwork, ScriptedPeer};
use spark_rpc_wire::{Address, Envelope, Message, RequestId, RpcRequest, RpcResponse};
use tokio::runtime::Runtime;

#[derive(Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(reply = String, java)]
#[java(transparent)]
struct Text(String);

#[derive(Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(reply = JavaValue, java)]
#[java(transparent)]
struct Whatever(JavaValue);

#[derive(Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(reply = Sample, java)]
#[java(class = "org.apache.spark.rpc.lab.Sample")]
struct Sample {
    i: i32,
    s: String,
    seq: Vec<String>,
    m: BTreeMap<String, i32>,
    o: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(reply = CarryRef, java)]
#[java(class = "org.apache.spark.rpc.lab.CarryRef")]
struct CarryRef {
    #[java(name = "ref", ty = "Lorg/apache/spark/rpc/RpcEndpointRef;")]
    reference: RpcEndpointRef,
    note: String,
}

#[derive(Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(java)]
#[java(transparent)]
struct Callback(String);

/// Takes some types, and fails some asks.
struct Lab;

#[rpc_endpoint]
impl Lab {
    async fn text(&mut self, Text(text): Text) -> Result<String, String> {
        if text.len() % 2 == 0 { Ok(text) } else { Err(text) }
    }

    async fn sample(&mut self, sample: Sample) -> Sample {
        sample
    }

    async fn carry(&mut self, carry: CarryRef) -> CarryRef {
        // It may lead nowhere.
        let _ = carry.reference.send(Callback(carry.note.clone()));
        carry
    }
}

/// Takes everything.
struct Echo;

#[rpc_endpoint]
impl Echo {
    async fn echo(&mut self, Whatever(value): Whatever) -> JavaValue {
        value
    }
}

/// A server of ours, and a port at which a JVM seems to be.
struct World {
    net: MemoryNetwork,
    _server: RpcEnv,
    jvm: Box<dyn Listener>,
}

impl World {
    async fn new() -> Self {
        let net = MemoryNetwork::new(1);
        let server = RpcEnv::builder("server")
            .factory(factory(&net, "server"))
            .bind("server:7077");
        let server = server.start().await.unwrap();
        server.setup_endpoint("lab", Lab).unwrap();
        server.setup_endpoint("echo", Echo).unwrap();
        let options = SocketOptions::default();
        let jvm = net.host("jvm").bind("jvm", 7077, &options).await.unwrap();
        Self {
            net,
            _server: server,
            jvm,
        }
    }

    /// Asks as a JVM would; something must be the answer.
    async fn ask(&self, endpoint: &'static str, content: &[u8]) {
        let mut jvm = ScriptedPeer::connect(&self.net.host("stranger"), "server", 7077).await;
        let mut body = Vec::new();
        let envelope = Envelope {
            sender: None,
            receiver: Some(Address {
                host: "server".into(),
                port: 7077,
            }),
            name: endpoint.into(),
        };
        envelope.encode(&mut body).unwrap();
        body.extend_from_slice(content);
        // Twice, for the second meets what was learned from the first.
        for id in [7, 8] {
            let request_id = RequestId(id);
            jvm.send(RpcRequest {
                request_id,
                body: body.clone().into(),
            })
            .await;
            loop {
                match jvm.expect_frame().await {
                    Message::RpcResponse(response) if response.request_id == request_id => break,
                    Message::RpcFailure(failure) if failure.request_id == request_id => break,
                    // A reference came, and is used.
                    Message::OneWayMessage(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// Answers as a JVM would; the ask must end with it.
    async fn answer<M: Request>(&mut self, message: M, content: &[u8]) {
        let env = RpcEnv::builder("client")
            .factory(factory(&self.net, "client").codec(Arc::new(java())))
            .client_mode();
        let env = env.start().await.unwrap();
        let lab = env.endpoint_ref("spark://lab@jvm:7077".parse().unwrap());
        let asked = tokio::spawn(lab.ask(message));
        let mut jvm = ScriptedPeer::accept(&mut *self.jvm).await;
        let frame = jvm.expect_frame().await;
        let Message::RpcRequest(request) = frame else {
            panic!("{frame:?}");
        };
        jvm.send(RpcResponse {
            request_id: request.request_id,
            body: content.to_vec().into(),
        })
        .await;
        // A value or an error: both are fine.
        let _ = asked.await.unwrap();
        env.shutdown().await;
    }
}

fn java() -> JavaCodec {
    JavaCodec::new().limits(LIMITS)
}

fn factory(net: &MemoryNetwork, host: &str) -> RpcEnvFactory {
    RpcEnvFactory::new()
        .network(Arc::new(net.host(host)))
        .java(java())
}

/// Runs the work in a world that is made once, as is the runtime.
fn run(work: impl AsyncFnOnce(&mut World)) {
    thread_local! {
        static WORLD: RefCell<(Runtime, World)> = {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().start_paused(true).build().unwrap();
            let world = runtime.block_on(World::new());
            RefCell::new((runtime, world))
        };
    }
    WORLD.with_borrow_mut(|(runtime, world)| runtime.block_on(work(world)));
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, content)) = input.split_first() else {
        return;
    };
    // Nothing else begins a Java object stream, so the fuzzer need not find that out.
    let content = [&b"\xac\xed\x00\x05"[..], content].concat();
    let text = || "x".to_owned();
    match choice % 6 {
        0 => run(async |world| world.ask("lab", &content).await),
        1 => run(async |world| world.ask("echo", &content).await),
        2 => run(async |world| world.ask("endpoint-verifier", &content).await),
        3 => run(async |world| world.answer(Text(text()), &content).await),
        4 => run(async |world| {
            let sample = Sample {
                i: 1,
                s: text(),
                seq: Vec::new(),
                m: BTreeMap::new(),
                o: None,
            };
            world.answer(sample, &content).await;
        }),
        _ => run(async |world| {
            let reference = somewhere();
            let note = text();
            world.answer(CarryRef { reference, note }, &content).await;
        }),
    }
});

/// A reference that leads nowhere.
fn somewhere() -> RpcEndpointRef {
    let text = "spark://x@y:1".to_owned().into_deserializer();
    let text: Result<_, serde::de::value::Error> = RpcEndpointRef::deserialize(text);
    text.unwrap()
}
