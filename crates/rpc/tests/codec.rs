//! Messages that cannot be understood: typed errors for askers, one count and one log line for the rest.

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spark_rpc::codec::{Codec, NativeCodec, Opened, PeerMemory};
use spark_rpc::config::RpcConf;
use spark_rpc::{
    AskError, BoxError, Decodable, DecodeError, Encodable, EncodeError, Failure, Handled, Inbound, Parcel,
    Raw, RpcCallContext, RpcEndpoint, RpcEndpointAddress, RpcEnv, RpcEnvFactory, SendError,
};
use spark_rpc_testkit::{MemoryNetwork, ScriptedPeer};
use spark_rpc_wire::{Address, Envelope, Message, OneWayMessage, RequestId, RpcRequest};
use support::lab::{Gate, Lab};
use support::messages::*;
use support::observe::capture;
use support::{Pair, network, server, settle};

#[tokio::test(start_paused = true)]
async fn a_message_without_a_handler_fails_its_asker_with_its_name() {
    let pair = Pair::new().await;
    let near = pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let far = pair.far("lab").await;
    for reference in [&near, &far] {
        let began = tokio::time::Instant::now();
        let error = reference.ask(NobodyAnswers()).await.unwrap_err();
        let AskError::UnknownMessage { endpoint, message } = &error else {
            panic!("{error:?}");
        };
        assert_eq!((endpoint.as_str(), message.as_str()), ("lab", "NobodyAnswers"));
        assert_eq!(error.handled(), Handled::No);
        assert!(began.elapsed() < Duration::from_secs(1));
    }
    let error = near.send(NobodyListens()).unwrap_err();
    assert!(
        matches!(
            error,
            SendError::UnknownMessage {
                message: "NobodyListens",
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_is_asked_or_sent_as_it_was_declared_or_not_at_all() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, RpcConf::default()).await;
    let lab = Lab::default();
    env.setup_endpoint("lab", lab.clone()).unwrap();
    let mut peer = ScriptedPeer::connect(&net.host("peer"), "server", 7077).await;
    // Note has no reply, yet this peer wants one.
    peer.send(request(1, "lab", b"\x01\x04Note\x07")).await;
    let failure = failure_of(peer.expect_frame().await);
    let expected = Failure::UnknownMessage {
        endpoint: "lab".into(),
        message: "Note".into(),
    };
    assert_eq!(failure, expected);
    assert_eq!(lab.log.count("note 7"), 0);
}

#[tokio::test(start_paused = true)]
async fn content_that_is_not_the_named_message_fails_its_asker_with_the_reason() {
    let pair = Pair::new().await;
    pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let far = pair.far("lab").await;
    let error = far.ask(FakeEcho::CUT_OFF).await.unwrap_err();
    let AskError::Undecodable {
        endpoint,
        message,
        reason,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((endpoint.as_str(), message.as_str()), ("lab", "Echo"));
    assert!(!reason.is_empty());
    assert_eq!(error.handled(), Handled::No);

    let error = far.ask(FakeEcho([1, b'x', b'y'])).await.unwrap_err();
    assert!(error.to_string().contains("1 bytes after the value"), "{error}");
    assert_eq!(far.ask(Sum()).await.unwrap(), 0, "the connection lives on");
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_another_type_is_an_error_that_says_the_message_was_handled() {
    let pair = Pair::new().await;
    let near = pair.server.setup_endpoint("lab", Lab::default()).unwrap();
    let far = pair.far("lab").await;
    let error = far.ask(EchoForNumbers("text".into())).await.unwrap_err();
    assert!(matches!(error, AskError::BadReply(_)), "{error:?}");
    assert_eq!(error.handled(), Handled::Yes);
    // Near, types are compared, not names.
    let error = near.ask(EchoForNumbers("text".into())).await.unwrap_err();
    assert!(matches!(error, AskError::UnknownMessage { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn content_of_no_codec_is_answered_with_the_transports_own_failure() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, RpcConf::default()).await;
    env.setup_endpoint("lab", Lab::default()).unwrap();
    let mut peer = ScriptedPeer::connect(&net.host("peer"), "server", 7077).await;
    for content in [&b""[..], b"\xac\xee\x00\x05", b"\x02"] {
        peer.send(request(1, "lab", content)).await;
        let Message::RpcFailure(failure) = peer.expect_frame().await else {
            panic!("expected a failure");
        };
        assert!(
            failure.error.contains("no codec recognises it"),
            "{}",
            failure.error
        );
    }
    // Native by its first byte, and broken behind it.
    for content in [&b"\x01"[..], b"\x01\x09cut", b"\x01\x02\xff\xff"] {
        peer.send(request(1, "lab", content)).await;
        let failure = failure_of(peer.expect_frame().await);
        assert!(matches!(failure, Failure::Undecodable { .. }), "{failure:?}");
    }
    peer.send(request(1, "lab", b"\x01\x03Sum")).await;
    let Message::RpcResponse(response) = peer.expect_frame().await else {
        panic!("expected an answer");
    };
    assert_eq!(response.body, &b"\x01\x00\x00"[..], "the connection lives on");
}

#[tokio::test(start_paused = true)]
async fn a_malformed_envelope_is_answered_and_counted_and_the_connection_lives_on() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, RpcConf::default()).await;
    env.setup_endpoint("lab", Lab::default()).unwrap();
    let (events, _guard) = capture();
    let mut peer = ScriptedPeer::connect(&net.host("peer"), "server", 7077).await;
    let mut long = Vec::new();
    let host = "x".repeat(300).into();
    let sender = Some(Address { host, port: 7078 });
    let receiver = None;
    let name = "lab".into();
    let envelope = Envelope {
        sender,
        receiver,
        name,
    };
    envelope.encode(&mut long).unwrap();
    for body in [
        &b""[..],
        b"\x01\x00",
        b"\x00\x00\xff\xff",
        b"\x00\x00\x00\x02\xff\xff",
        &long,
    ] {
        peer.send(OneWayMessage {
            body: body.to_vec().into(),
        })
        .await;
        let request_id = RequestId(3);
        peer.send(RpcRequest {
            request_id,
            body: body.to_vec().into(),
        })
        .await;
        let Message::RpcFailure(failure) = peer.expect_frame().await else {
            panic!("expected a failure");
        };
        assert_eq!(failure.request_id, request_id);
        assert!(failure.error.contains("malformed envelope"), "{}", failure.error);
    }
    assert_eq!(env.stats().unreadable, 10);
    assert_eq!(events.count("a message has a malformed envelope"), 1);
    peer.send(request(4, "lab", b"\x01\x03Sum")).await;
    assert!(matches!(peer.expect_frame().await, Message::RpcResponse(_)));
}

#[tokio::test(start_paused = true)]
async fn one_way_messages_that_cannot_be_delivered_are_counted_each_and_logged_once() {
    let pair = Pair::new().await;
    let lab = Lab::default();
    pair.server.setup_endpoint("lab", lab.clone()).unwrap();
    let far = pair.far("lab").await;
    let (events, _guard) = capture();
    let nobody = pair
        .client
        .endpoint_ref(RpcEndpointAddress::new("nobody", pair.server.address().cloned()));
    for _ in 0..3 {
        nobody.send(Note(1)).unwrap();
    }
    settle().await;
    assert_eq!(pair.server.stats().dropped, 3);
    let said = "a message cannot be delivered; later ones are only counted";
    assert_eq!(events.count(said), 1);
    assert!(events.text().contains("nobody") && events.text().contains("Could not find nobody."));

    for _ in 0..3 {
        far.send(NobodyListens()).unwrap();
        far.send(FakeNote([0xff; 3])).unwrap();
    }
    settle().await;
    assert_eq!(pair.server.stats().dropped, 9);
    assert_eq!(events.count(said), 2, "once for each endpoint");
    let stats = pair.server.stats();
    let lab = stats
        .endpoints
        .iter()
        .find(|endpoint| endpoint.name == "lab")
        .unwrap();
    assert_eq!(lab.unreadable, 6);
}

/// NENV-03
#[tokio::test(start_paused = true)]
async fn a_request_arrives_with_and_without_sender_receiver_and_content() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, RpcConf::default()).await;
    env.setup_endpoint("raw", Echoes).unwrap();
    let mut peer = ScriptedPeer::connect(&net.host("peer"), "server", 7077).await;
    let address = |host: &'static str| {
        Some(Address {
            host: host.into(),
            port: 12345,
        })
    };
    for sender in [None, address("localhost")] {
        for receiver in [None, address("elsewhere")] {
            for content in [&b""[..], b"\x01\x03foo", b"\xac\xed\x00\x05pwhatever"] {
                let envelope = Envelope {
                    sender: sender.clone(),
                    receiver: receiver.clone(),
                    name: "raw".into(),
                };
                peer.send(enveloped(9, &envelope, content)).await;
                match peer.expect_frame().await {
                    Message::RpcResponse(response) => assert_eq!(response.body, content),
                    // Only content that some codec of the env recognises reaches an endpoint.
                    Message::RpcFailure(_) => assert!(content.first() != Some(&1)),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

/// Answers with what it was asked, byte for byte.
struct Echoes;

struct RawInbound(Raw);

impl Inbound for RawInbound {
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(parcel.raw()?.map(Self))
    }

    fn message(&self) -> &'static str {
        "raw"
    }
}

impl RpcEndpoint for Echoes {
    type Inbound = RawInbound;

    async fn handle(&mut self, RawInbound(raw): RawInbound, _: &RpcCallContext) -> Result<(), BoxError> {
        if let Some(reply) = raw.reply {
            match &raw.content[..] {
                b"\x01\x09Misbehave\x02" => drop(reply),
                b"\x01\x09Misbehave\x00" => reply.fail("Oops!"),
                content => reply.send(content),
            }
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_can_take_content_as_it_is_and_answer_in_kind() {
    let pair = Pair::new().await;
    let near = pair.server.setup_endpoint("raw", Echoes).unwrap();
    let far = pair.far("raw").await;
    for reference in [near, far] {
        // The message itself comes back; a tuple struct of one field is written like the field.
        assert_eq!(reference.ask(Echo("x".into())).await.unwrap(), "x");
        let error = reference.ask(Misbehave(How::Drop)).await.unwrap_err();
        assert!(matches!(error, AskError::Unanswered { .. }), "{error:?}");
        let error = reference.ask(Misbehave(How::Error)).await.unwrap_err();
        assert!(matches!(error, AskError::Remote(_)), "{error:?}");
        reference.send(Note(1)).unwrap();
    }
}

/// The native codec turned inside out, under a first byte of its own.
#[derive(Debug)]
struct Inverted;

impl Codec for Inverted {
    fn name(&self) -> &'static str {
        "inverted"
    }

    fn recognizes(&self, content: &[u8]) -> bool {
        content.first() == Some(&0xfe)
    }

    fn encode(&self, value: &dyn Encodable, _: &PeerMemory, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(0xfe);
        out.push(value.name().len() as u8);
        out.extend_from_slice(value.name().as_bytes());
        let start = out.len();
        value.write_postcard(out)?;
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
        Ok(())
    }

    fn encode_failure(&self, _: &Failure, _: &PeerMemory, _: &mut Vec<u8>) -> bool {
        false
    }

    fn open<'a>(&self, content: &'a [u8], _: &PeerMemory) -> Result<Opened<'a>, DecodeError> {
        let (len, rest) = content[1..].split_first().ok_or(DecodeError::Truncated)?;
        let (name, body) = rest
            .split_at_checked(usize::from(*len))
            .ok_or(DecodeError::Truncated)?;
        let name = std::str::from_utf8(name).map_err(|_| DecodeError::NameNotUtf8)?;
        Ok(Opened::new(name, body))
    }

    fn decode(&self, opened: &Opened<'_>, place: &mut dyn Decodable) -> Result<(), DecodeError> {
        let body: Vec<u8> = opened.body().iter().map(|byte| !byte).collect();
        place.read_postcard(&body)
    }

    fn decode_failure(&self, _: &Opened<'_>) -> Result<Option<Failure>, DecodeError> {
        Ok(None)
    }
}

#[tokio::test(start_paused = true)]
async fn an_env_answers_in_the_codec_that_it_was_asked_in() {
    let net = MemoryNetwork::new(1);
    let both = RpcEnvFactory::new().codec(Arc::new(Inverted));
    let builder = RpcEnv::builder("server").factory(both.clone().network(network(&net.host("server"))));
    let server = builder.bind("server:7077").start().await.unwrap();
    let lab = Lab::default();
    server.setup_endpoint("lab", lab.clone()).unwrap();

    let builder = RpcEnv::builder("inverted").factory(both.network(network(&net.host("inverted"))));
    let inverted = builder.client_mode().start().await.unwrap();
    let native = support::client(&net.host("native"), RpcConf::default()).await;
    for env in [inverted, native] {
        let far = env.setup_endpoint_ref("spark://lab@server:7077").await.unwrap();
        assert_eq!(far.ask(Echo("codec".into())).await.unwrap(), "codec");
        far.send(Note(1)).unwrap();
        assert_eq!(far.ask(Sum()).await.unwrap(), lab.log.count("note 1") as u64);
    }
    assert_eq!(lab.log.count("note 1"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_codec_without_a_form_for_failures_leaves_them_to_the_transport() {
    let net = MemoryNetwork::new(1);
    let both = RpcEnvFactory::new().codec(Arc::new(Inverted));
    let builder = RpcEnv::builder("server").factory(both.clone().network(network(&net.host("server"))));
    let server = builder.bind("server:7077").start().await.unwrap();
    server.setup_endpoint("lab", Lab::default()).unwrap();
    let builder = RpcEnv::builder("client").factory(both.network(network(&net.host("client"))));
    let client = builder.client_mode().start().await.unwrap();

    let far = client
        .setup_endpoint_ref("spark://lab@server:7077")
        .await
        .unwrap();
    let error = far.ask(Misbehave(How::Error)).await.unwrap_err();
    assert!(
        matches!(&error, AskError::Refused { text } if text.contains("Oops!")),
        "{error:?}"
    );
    let nobody = client.endpoint_ref("spark://nobody@server:7077".parse().unwrap());
    let error = nobody.ask(Sum()).await.unwrap_err();
    assert!(
        matches!(&error, AskError::EndpointNotFound { endpoint } if endpoint == "nobody"),
        "{error:?}"
    );
}

/// A chain of boxes, which is as deep as its bytes say.
#[derive(serde::Serialize, serde::Deserialize, spark_rpc::RpcMessage)]
#[rpc(reply = usize)]
enum Chain {
    End,
    Link(Box<Chain>),
}

struct Measure;

#[spark_rpc::rpc_endpoint]
impl Measure {
    async fn chain(&mut self, chain: Chain) -> usize {
        std::iter::successors(Some(&chain), |chain| match chain {
            Chain::End => None,
            Chain::Link(next) => Some(&**next),
        })
        .count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_nested_without_end_fails_its_asker_and_ends_no_process() {
    let net = MemoryNetwork::new(1);
    let env = server(&net.host("server"), 7077, RpcConf::default()).await;
    env.setup_endpoint("measure", Measure).unwrap();
    let mut peer = ScriptedPeer::connect(&net.host("peer"), "server", 7077).await;
    let chain = |links| [b"\x01\x05Chain".as_slice(), &vec![1; links], &[0]].concat();
    for links in [1_000_000, 128] {
        peer.send(request(1, "measure", &chain(links))).await;
        let Failure::Undecodable { reason, .. } = failure_of(peer.expect_frame().await) else {
            panic!("{links} links");
        };
        assert_eq!(reason, "it is nested deeper than 128 levels");
    }
    peer.send(request(2, "measure", &chain(127))).await;
    let Message::RpcResponse(reply) = peer.expect_frame().await else {
        panic!("the connection lives on");
    };
    assert_eq!(reply.body[..], [1, 0, 128, 1], "128, as a varint behind the head");
}

/// A value whose reading panics.
#[derive(Debug, serde::Serialize)]
struct Bomb;

impl<'de> serde::Deserialize<'de> for Bomb {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("it went off")
    }
}

impl spark_rpc::RpcMessage for Bomb {
    const NAME: &'static str = "Bomb";
}

impl spark_rpc::Request for Bomb {
    type Reply = u64;
}

enum BombInbound {
    Bomb,
    Echo(Echo, spark_rpc::Reply<String>),
}

impl Inbound for BombInbound {
    fn accept(parcel: &mut Parcel<'_>) -> Result<Option<Self>, DecodeError> {
        if let Some((_, reply)) = parcel.request::<Bomb>()? {
            reply.send(0);
            return Ok(Some(Self::Bomb));
        }
        Ok(parcel.request()?.map(|(echo, reply)| Self::Echo(echo, reply)))
    }

    fn message(&self) -> &'static str {
        "any"
    }
}

/// Waits at its gate when it is told to wait.
#[derive(Default)]
struct Minefield(Gate);

impl RpcEndpoint for Minefield {
    type Inbound = BombInbound;

    async fn handle(&mut self, message: BombInbound, _: &RpcCallContext) -> Result<(), BoxError> {
        if let BombInbound::Echo(Echo(text), reply) = message {
            if text == "wait" {
                self.0.0.acquire().await?.forget();
            }
            reply.send(text);
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_reading_panics_ends_neither_endpoint_nor_env() {
    let mut conf = RpcConf::default();
    conf.inbox.max_messages = 1;
    let pair = Pair::with_conf(conf).await;
    let gate = Gate::default();
    pair.server
        .setup_endpoint("mines", Minefield(gate.clone()))
        .unwrap();
    let far = pair.far("mines").await;
    let is_undecodable =
        |error: &AskError| matches!(error, AskError::Undecodable { message, .. } if message == "Bomb");
    let error = far.ask(Bomb).await.unwrap_err();
    assert!(is_undecodable(&error), "{error:?}");
    assert_eq!(far.ask(Echo("alive".into())).await.unwrap(), "alive");

    // Nor when it is read after it has waited for room.
    let waiting = far.ask(Echo("wait".into()));
    let error = far.ask(Bomb);
    settle().await;
    gate.open(1);
    assert_eq!(waiting.await.unwrap(), "wait");
    let error = error.await.unwrap_err();
    assert!(is_undecodable(&error), "{error:?}");
    assert_eq!(far.ask(Echo("alive".into())).await.unwrap(), "alive");
    assert_eq!(pair.server.stats().transport.connections_opened(), 1);
}

fn request(id: i64, name: &'static str, content: &[u8]) -> RpcRequest<Bytes> {
    let envelope = Envelope {
        sender: None,
        receiver: None,
        name: name.into(),
    };
    enveloped(id, &envelope, content)
}

fn enveloped(id: i64, envelope: &Envelope<'_>, content: &[u8]) -> RpcRequest<Bytes> {
    let mut body = Vec::new();
    envelope.encode(&mut body).unwrap();
    body.extend_from_slice(content);
    RpcRequest {
        request_id: RequestId(id),
        body: body.into(),
    }
}

fn failure_of(message: Message<Bytes>) -> Failure {
    let Message::RpcResponse(response) = message else {
        panic!("expected a failure in the codec's own form, got {message:?}");
    };
    let opened = NativeCodec.open(&response.body, &PeerMemory::default()).unwrap();
    NativeCodec.decode_failure(&opened).unwrap().expect("a failure")
}
