//! The Java codec, against what JVMs of two Spark versions were recorded to send.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use spark_rpc::codec::{Codec, JavaCodec, NativeCodec, PeerMemory};
use spark_rpc::config::RpcConf;
use spark_rpc::javaobj::{
    ClassTable, Graph, JavaObject, Limits, NettyRpcEndpointRef, Profile, RpcFailure, Throwable, from_bytes,
    to_bytes,
};
use spark_rpc::{
    AskError, BoxError, Failure, Network, RpcEndpointRef, RpcEnv, RpcEnvFactory, RpcMessage, SocketOptions,
    rpc_endpoint,
};
use spark_rpc_testkit::{MemoryNetwork, ScriptedPeer};
use spark_rpc_wire::{
    Address, Envelope, Message, RequestId, RpcFailure as FailureFrame, RpcRequest, RpcResponse,
};
use support::{Log, network, server, settle};
use tokio::sync::Semaphore;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(reply = Text, java)]
#[java(transparent)]
struct Text(String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JavaObject, RpcMessage)]
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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(java)]
#[java(transparent)]
struct Callback(String);

#[derive(Clone, Debug, Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct OnlyNative;

/// Passes others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(java, control)]
#[java(class = "org.apache.spark.rpc.lab.Beat")]
struct Beat {
    number: i32,
}

/// Writes down what comes, once it is let go.
struct Slow(Arc<Semaphore>, Log);

#[rpc_endpoint]
impl Slow {
    async fn callback(&mut self, Callback(text): Callback) {
        self.1.push(text);
        let _ = self.0.acquire().await;
    }

    async fn beat(&mut self, beat: Beat) {
        self.1.push(format!("beat {}", beat.number));
    }
}

struct Lab;

#[rpc_endpoint]
impl Lab {
    async fn text(&mut self, Text(text): Text) -> Result<Text, BoxError> {
        match text.as_str() {
            "boom" => Err("boom from endpoint".into()),
            "typed" => Err(Box::new(Throwable::new(
                "java.lang.IllegalStateException",
                "not now",
            ))),
            "panic" => panic!("went off"),
            _ => Ok(Text(text.to_uppercase())),
        }
    }

    async fn sample(&mut self, sample: Sample) -> Sample {
        Sample {
            i: sample.i + 1,
            ..sample
        }
    }

    async fn native(&mut self, _: OnlyNative) -> u64 {
        1
    }

    async fn carry(&mut self, carry: CarryRef) -> Result<CarryRef, BoxError> {
        carry
            .reference
            .send(Callback(format!("callback:{}", carry.note)))?;
        Ok(CarryRef {
            note: "back".to_owned(),
            ..carry
        })
    }
}

#[tokio::test(start_paused = true)]
async fn control_messages_of_jvms_pass_others_too() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, RpcConf::default()).await;
    let (gate, log) = (Arc::new(Semaphore::new(0)), Log::default());
    env.setup_endpoint("slow", Slow(Arc::clone(&gate), log.clone()))
        .unwrap();
    let factory = RpcEnvFactory::new()
        .network(network(&net.host("jvm")))
        .codec(Arc::new(JavaCodec::new()));
    let builder = RpcEnv::builder("jvm").factory(factory).client_mode();
    let jvm = builder.start().await.unwrap();
    let slow = jvm.setup_endpoint_ref("spark://slow@server:7077").await.unwrap();
    for text in ["first", "second"] {
        slow.send(Callback(text.to_owned())).unwrap();
        settle().await;
    }
    slow.send(Beat { number: 1 }).unwrap();
    settle().await;
    assert_eq!(log.entries(), ["first"]);
    gate.add_permits(2);
    assert_eq!(log.len(3).await, ["first", "beat 1", "second"]);
}

const VERSIONS: [&str; 2] = ["3.5.9", "4.1.4"];

/// What the JVM of a version was recorded to send.
fn recorded(version: &str, name: &str) -> Vec<u8> {
    let all = match version {
        "3.5.9" => include_str!("../../javaobj/tests/data/recorded-3.5.9.txt"),
        _ => include_str!("../../javaobj/tests/data/recorded-4.1.4.txt"),
    };
    let hex = all
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let hex = hex.unwrap_or_else(|| panic!("there is no recording {name} of {version}"));
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

/// A JVM's client that has looked up `lab` on a server of ours.
struct Jvm {
    peer: ScriptedPeer,
    _env: RpcEnv,
}

impl Jvm {
    async fn new(version: &str) -> Self {
        let mut jvm = Self::without_lookup().await;
        let exists = jvm
            .ask("endpoint-verifier", &recorded(version, "ask-boolean-0-client-0"))
            .await;
        let Message::RpcResponse(response) = exists else {
            panic!("{exists:?}");
        };
        assert_eq!(from_bytes(&response.body, &Limits::default()), Ok(true));
        jvm
    }

    async fn without_lookup() -> Self {
        let net = MemoryNetwork::new(1);
        let env = server(&net.host("server"), 7077, RpcConf::default()).await;
        env.setup_endpoint("lab", Lab).unwrap();
        let peer = ScriptedPeer::connect(&net.host("jvm"), "server", 7077).await;
        Self { peer, _env: env }
    }

    async fn ask(&mut self, endpoint: &'static str, content: &[u8]) -> Message<Bytes> {
        let request = request(endpoint, content);
        self.peer.send(request).await;
        self.peer.expect_frame().await
    }

    async fn reply(&mut self, content: &[u8]) -> Bytes {
        match self.ask("lab", content).await {
            Message::RpcResponse(response) => response.body,
            other => panic!("{other:?}"),
        }
    }

    async fn exception(&mut self, text: &str) -> Throwable {
        let content = to_bytes(&text.to_owned(), &ClassTable::default()).unwrap();
        let reply = self.reply(&content).await;
        from_bytes::<RpcFailure>(&reply, &Limits::default())
            .unwrap()
            .error
    }
}

fn request(endpoint: &'static str, content: &[u8]) -> RpcRequest<Bytes> {
    let mut body = Vec::new();
    let address = Some(Address {
        host: "server".into(),
        port: 7077,
    });
    let envelope = Envelope {
        sender: None,
        receiver: address,
        name: endpoint.into(),
    };
    envelope.encode(&mut body).unwrap();
    body.extend_from_slice(content);
    RpcRequest {
        request_id: RequestId(7),
        body: body.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_jvm_is_answered_byte_for_byte_as_by_its_own_kind() {
    for version in VERSIONS {
        let mut jvm = Jvm::new(version).await;
        for case in ["ask-string", "ask-caseclass"] {
            let reply = jvm.reply(&recorded(version, &format!("{case}-0-client-1"))).await;
            assert_eq!(
                reply,
                recorded(version, &format!("{case}-0-server-1")),
                "{case} of {version}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reference_of_a_jvm_in_client_mode_leads_back_over_its_connection() {
    for version in VERSIONS {
        let mut jvm = Jvm::new(version).await;
        let callback = jvm
            .ask("lab", &recorded(version, "ref-client-mode-0-client-1"))
            .await;
        let Message::OneWayMessage(message) = callback else {
            panic!("{callback:?}");
        };
        let (envelope, len) = Envelope::decode(&message.body).unwrap();
        assert_eq!((&*envelope.name, envelope.receiver), ("cb", None));
        assert_eq!(envelope.sender.unwrap().port, 7077);
        assert_eq!(
            message.body[len..],
            recorded(version, "ref-client-mode-0-server-1")
        );
        let Message::RpcResponse(reply) = jvm.peer.expect_frame().await else {
            panic!("expected the reply");
        };
        assert_eq!(
            reply.body,
            recorded(version, "ref-client-mode-0-server-2"),
            "{version}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn failures_reach_a_jvm_as_exceptions_of_its_own_version() {
    for version in VERSIONS {
        let mut jvm = Jvm::new(version).await;
        let error = jvm.exception("boom").await;
        assert_eq!(
            error.class, "java.lang.RuntimeException",
            "the lookup alone does not tell the patch"
        );
        assert_eq!(error.message.as_deref(), Some("boom from endpoint"));
        let error = jvm.exception("typed").await;
        assert_eq!(error.class, "java.lang.IllegalStateException");
        assert_eq!(error.message.as_deref(), Some("not now"));
        let error = jvm.exception("panic").await;
        assert!(error.message.unwrap().contains("panicked"));

        // A type that nobody handles.
        let reply = jvm.reply(&recorded(version, "ask-unhandled-0-client-1")).await;
        let failure = from_bytes::<RpcFailure>(&reply, &Limits::default()).unwrap();
        let text = failure.error.message.unwrap();
        assert_eq!(text, "Unsupported message java.lang.Double for lab");

        // Once the peer has shown its own, ours is one of the same class.
        jvm.reply(&recorded(version, "ask-unhandled-0-server-1")).await;
        let error = jvm.exception("boom").await;
        assert_eq!(error.class, "org.apache.spark.SparkException", "{version}");
        assert_eq!(error.message.as_deref(), Some("boom from endpoint"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_jvm_whose_version_is_unknown_gets_failures_as_text() {
    let mut jvm = Jvm::without_lookup().await;
    let answer = jvm.ask("lab", &recorded("4.1.4", "ask-throws-0-client-1")).await;
    let Message::RpcFailure(failure) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(
        failure.error,
        "org.apache.spark.SparkException: boom from endpoint"
    );
}

#[tokio::test(start_paused = true)]
async fn what_spark_leaves_to_the_transport_is_left_to_it() {
    let mut jvm = Jvm::new("4.1.4").await;
    let content = recorded("4.1.4", "ask-string-0-client-1");
    let broken = &content[..content.len() - 2];
    for (endpoint, content, text) in [
        (
            "nobody",
            &content[..],
            "org.apache.spark.SparkException: Could not find nobody.",
        ),
        ("lab", broken, "content could not be decoded by lab"),
        ("lab", &content[..4], "content could not be decoded by lab"),
    ] {
        let answer = jvm.ask(endpoint, content).await;
        let Message::RpcFailure(failure) = answer else {
            panic!("{answer:?}");
        };
        assert!(failure.error.contains(text), "{}", failure.error);
    }
    let alive = jvm.reply(&content).await;
    assert_eq!(alive, recorded("4.1.4", "ask-string-0-server-1"));
}

#[tokio::test(start_paused = true)]
async fn a_field_that_is_wrong_is_an_error_of_the_message_and_not_another_message() {
    let mut jvm = Jvm::new("4.1.4").await;
    #[derive(JavaObject)]
    #[java(class = "org.apache.spark.rpc.lab.Sample")]
    struct Other {
        i: String,
    }
    let content = to_bytes(&Other { i: "x".to_owned() }, &ClassTable::default()).unwrap();
    let answer = jvm.ask("lab", &content).await;
    let Message::RpcFailure(failure) = answer else {
        panic!("{answer:?}");
    };
    assert!(
        failure.error.contains("Sample could not be decoded by lab"),
        "{}",
        failure.error
    );
}

/// The address of a scripted JVM, and a client of ours.
async fn client_of_a_jvm(factory: RpcEnvFactory) -> (Box<dyn spark_rpc::Listener>, RpcEnv, RpcEndpointRef) {
    let net = MemoryNetwork::new(1);
    let options = SocketOptions::default();
    let listener = net.host("jvm").bind("jvm", 7077, &options).await.unwrap();
    let builder = RpcEnv::builder("client").factory(factory.network(network(&net.host("client"))));
    let env = builder.client_mode().start().await.unwrap();
    let lab = env.endpoint_ref("spark://lab@jvm:7077".parse().unwrap());
    (listener, env, lab)
}

/// Takes the next request, and returns its content.
async fn next_request(peer: &mut ScriptedPeer) -> (RequestId, Bytes) {
    let frame = peer.expect_frame().await;
    let Message::RpcRequest(request) = frame else {
        panic!("{frame:?}");
    };
    let len = Envelope::header_len(&request.body).unwrap();
    (request.request_id, request.body.slice(len..))
}

async fn refuse(peer: &mut ScriptedPeer, request_id: RequestId, text: &str) {
    let error = text.to_owned();
    peer.send(FailureFrame { request_id, error }).await;
}

async fn answer(peer: &mut ScriptedPeer, request_id: RequestId, body: Vec<u8>) {
    peer.send(RpcResponse {
        request_id,
        body: body.into(),
    })
    .await;
}

fn prefers_java() -> RpcEnvFactory {
    RpcEnvFactory::new().codec(std::sync::Arc::new(JavaCodec::new()))
}

/// What a JVM says to a message in the native codec.
const NO_STREAM: &str = "java.io.StreamCorruptedException: invalid stream header: 01045465\n\tat java.base/x";

#[tokio::test(start_paused = true)]
async fn a_peer_that_turns_out_to_be_a_jvm_is_asked_again_in_java() {
    let (mut listener, env, lab) = client_of_a_jvm(RpcEnvFactory::new()).await;
    let lookup = tokio::spawn({
        let env = env.clone();
        async move { env.setup_endpoint_ref("spark://lab@jvm:7077").await }
    });
    let mut jvm = ScriptedPeer::accept(&mut *listener).await;
    let (id, content) = next_request(&mut jvm).await;
    assert!(NativeCodec.recognizes(&content), "the env prefers its own codec");
    refuse(&mut jvm, id, NO_STREAM).await;

    let (id, content) = next_request(&mut jvm).await;
    assert!(JavaCodec::new().recognizes(&content));
    let newest = Profile::newest();
    let name = "org.apache.spark.rpc.netty.RpcEndpointVerifier$CheckExistence";
    let sent = newest.class(name).unwrap().uid;
    let wants = Profile::of("3.5.9").unwrap().class(name).unwrap().uid;
    let text = format!(
        "java.io.InvalidClassException: {name}; local class incompatible: stream classdesc serialVersionUID = {sent}, \
         local class serialVersionUID = {wants}\n\tat java.base/x"
    );
    refuse(&mut jvm, id, &text).await;

    let (id, content) = next_request(&mut jvm).await;
    assert_eq!(
        content,
        recorded("3.5.9", "ask-boolean-0-client-0"),
        "now as a JVM of that version asks"
    );
    answer(&mut jvm, id, recorded("3.5.9", "ask-boolean-0-server-1")).await;
    // The recorded reply is `false`.
    let error = lookup.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "Cannot find endpoint: spark://lab@jvm:7077");

    // From now on the first try is right, also for one-way messages.
    lab.send(Callback("x".to_owned())).unwrap();
    let Message::OneWayMessage(message) = jvm.expect_frame().await else {
        panic!("expected the message");
    };
    let (_, len) = Envelope::decode(&message.body).unwrap();
    assert_eq!(&message.body[len..], b"\xac\xed\0\x05t\0\x01x");
}

#[tokio::test(start_paused = true)]
async fn refusals_that_teach_nothing_end_the_ask() {
    let (mut listener, _env, lab) = client_of_a_jvm(prefers_java()).await;
    let asked = tokio::spawn(lab.ask(Text("x".to_owned())));
    let mut jvm = ScriptedPeer::accept(&mut *listener).await;
    for _ in 0..2 {
        let (id, _) = next_request(&mut jvm).await;
        let text = "java.io.InvalidClassException: a.B; local class incompatible: stream classdesc \
                    serialVersionUID = 1, local class serialVersionUID = 2";
        refuse(&mut jvm, id, text).await;
    }
    jvm.expect_silence(Duration::from_secs(1)).await;
    let error = asked.await.unwrap().unwrap_err();
    assert!(matches!(error, AskError::Refused { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_exception_of_a_jvm_keeps_class_message_and_stack_trace() {
    for version in VERSIONS {
        let (mut listener, _env, lab) = client_of_a_jvm(prefers_java()).await;
        let asked = tokio::spawn(lab.ask(Text("boom".to_owned())));
        let mut jvm = ScriptedPeer::accept(&mut *listener).await;
        let (id, content) = next_request(&mut jvm).await;
        assert_eq!(content, recorded(version, "ask-throws-0-client-1"));
        answer(&mut jvm, id, recorded(version, "ask-throws-0-server-1")).await;
        let error = asked.await.unwrap().unwrap_err();
        let AskError::Remote(failure) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(failure.class(), Some("java.lang.IllegalStateException"));
        assert_eq!(failure.message(), "boom from endpoint");
        let trace = failure.stack_trace().unwrap();
        assert!(
            trace.starts_with("java.lang.IllegalStateException: boom from endpoint\n\tat "),
            "{trace}"
        );
        assert!(trace.contains("LabEndpoint"), "{trace}");
        assert_eq!(
            error.to_string(),
            "java.lang.IllegalStateException: boom from endpoint"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_java_form_is_not_sent_to_a_jvm() {
    let (_listener, _env, lab) = client_of_a_jvm(prefers_java()).await;
    let error = lab.ask(OnlyNative).await.unwrap_err();
    let AskError::Unencodable(reason) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(reason.name, "OnlyNative");
    assert!(reason.reason.contains("#[rpc(java)]"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn rust_callers_are_served_in_either_codec() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, RpcConf::default()).await;
    env.setup_endpoint("lab", Lab).unwrap();
    for (name, factory) in [("native", RpcEnvFactory::new()), ("java", prefers_java())] {
        let builder = RpcEnv::builder(name).factory(factory.network(network(&net.host(name))));
        let client = builder.client_mode().start().await.unwrap();
        let lab = client
            .setup_endpoint_ref("spark://lab@server:7077")
            .await
            .unwrap();
        assert_eq!(lab.ask(Text("x".to_owned())).await.unwrap(), Text("X".to_owned()));
        let error = lab.ask(Text("boom".to_owned())).await.unwrap_err();
        assert!(
            matches!(&error, AskError::Remote(failure) if failure.message() == "boom from endpoint"),
            "{error:?}"
        );
        let error = lab.ask(Text("typed".to_owned())).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "java.lang.IllegalStateException: not now",
            "{name}"
        );
        let sample = Sample {
            i: 1,
            s: "s".to_owned(),
            seq: vec!["a".to_owned()],
            m: BTreeMap::new(),
            o: None,
        };
        assert_eq!(lab.ask(sample.clone()).await.unwrap(), Sample { i: 2, ..sample });
    }
}

/// What a JVM of this version sends when it passes on a reference to `lab` of the env at this address.
fn carries(version: &str, host: &str, port: i32) -> Vec<u8> {
    let mut table = ClassTable::assumed(Profile::of(version).unwrap());
    let recorded = Bytes::from(recorded(version, "ref-client-mode-0-client-1"));
    table.observe(&Graph::read(&recorded, &Limits::default()).unwrap());
    let address = spark_rpc::javaobj::RpcAddress {
        host: host.to_owned(),
        port,
    };
    let carry = JavaCarry {
        reference: NettyRpcEndpointRef::new("lab", Some(address), Duration::from_secs(120)),
        note: "third".to_owned(),
    };
    to_bytes(&carry, &table).unwrap()
}

#[derive(Clone, Debug, JavaObject)]
#[java(class = "org.apache.spark.rpc.lab.CarryRef")]
struct JavaCarry {
    #[java(name = "ref", ty = "Lorg/apache/spark/rpc/RpcEndpointRef;")]
    reference: NettyRpcEndpointRef,
    note: String,
}

#[tokio::test(start_paused = true)]
async fn a_third_env_that_a_jvm_refers_to_is_taken_for_a_jvm() {
    for version in VERSIONS {
        let net = MemoryNetwork::new(1);
        let env = server(&net.host("server"), 7077, RpcConf::default()).await;
        env.setup_endpoint("lab", Lab).unwrap();
        let options = SocketOptions::default();
        let mut third = net.host("third").bind("third", 7078, &options).await.unwrap();
        let mut jvm = ScriptedPeer::connect(&net.host("jvm"), "server", 7077).await;
        jvm.send(request("lab", &carries(version, "third", 7078))).await;
        // A one-way message cannot be sent again in another form.
        let mut third = ScriptedPeer::accept(&mut *third).await;
        let message = third.expect_frame().await;
        let Message::OneWayMessage(message) = message else {
            panic!("{message:?}");
        };
        let (_, len) = Envelope::decode(&message.body).unwrap();
        assert_eq!(&message.body[len..], b"\xac\xed\0\x05t\0\x0ecallback:third");
    }
}

#[tokio::test(start_paused = true)]
async fn a_third_env_of_ours_that_a_jvm_refers_to_gets_what_has_no_java_form() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, RpcConf::default()).await;
    let third = server(&net.host("third"), 7078, RpcConf::default()).await;
    env.setup_endpoint("lab", Keeper::default()).unwrap();
    third.setup_endpoint("lab", Lab).unwrap();
    let mut jvm = ScriptedPeer::connect(&net.host("jvm"), "server", 7077).await;
    jvm.send(request("lab", &carries("4.1.4", "third", 7078))).await;
    let answer = jvm.expect_frame().await;
    assert!(matches!(answer, Message::RpcResponse(_)), "{answer:?}");
    let keeper = env.endpoint_ref("spark://lab@server:7077".parse().unwrap());
    let counts = keeper.ask(OnlyNative).await.unwrap();
    assert_eq!(counts, 3, "both of what it was asked, in both forms");
}

/// Keeps a reference, and asks it when it is asked.
#[derive(Default)]
struct Keeper(Option<RpcEndpointRef>);

#[rpc_endpoint]
impl Keeper {
    async fn carry(&mut self, carry: CarryRef) -> CarryRef {
        self.0 = Some(carry.reference.clone());
        carry
    }

    async fn native(&mut self, _: OnlyNative) -> Result<u64, BoxError> {
        let kept = self.0.as_ref().ok_or("nothing is kept")?;
        let text = kept.ask(Text("x".to_owned())).await?;
        let native = kept.ask(OnlyNative).await?;
        let again = kept.ask(Text("y".to_owned())).await?;
        Ok(native + (text.0.len() + again.0.len()) as u64)
    }
}

#[test]
fn a_pinned_version_stays() {
    let java = JavaCodec::new().pin("3.5.9").unwrap();
    let mut content = Vec::new();
    let failure = Failure::Handler {
        message: "x".to_owned(),
    };
    assert!(java.encode_failure(&failure, &PeerMemory::default(), &mut content));
    let opened = java.open(&content, &PeerMemory::default()).unwrap();
    assert_eq!(opened.name(), "org.apache.spark.rpc.netty.RpcFailure");
    let read = java.decode_failure(&opened).unwrap().unwrap();
    assert!(matches!(read, Failure::Exception { class, .. } if class == "org.apache.spark.SparkException"));
    assert!(JavaCodec::new().assume("2.4.0").is_none());
    // Nobody has said which version the newest one is a guess for.
    assert!(!JavaCodec::new().encode_failure(&failure, &PeerMemory::default(), &mut content));
}
