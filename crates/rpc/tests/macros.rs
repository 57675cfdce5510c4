//! `#[rpc_endpoint]` and `#[derive(RpcMessage)]`: every form of a handler, near and far.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spark_rpc::{
    AskError, BoxError, EndpointContext, EndpointError, Inbound, Raw, Reply, RpcAddress, RpcCallContext,
    RpcEndpoint, RpcEndpointRef, RpcEnv, RpcMessage, rpc_endpoint,
};
use spark_rpc_testkit::MemoryNetwork;
use tokio::sync::mpsc;

/// Two envs on an in-memory network; the first one has a listener.
async fn two_envs() -> (RpcEnv, RpcEnv) {
    let net = MemoryNetwork::new(1);
    let server = RpcEnv::builder("server")
        .bind("server:7077")
        .network(Arc::new(net.host("server")));
    let client = RpcEnv::builder("client")
        .client_mode()
        .network(Arc::new(net.host("client")));
    (server.start().await.unwrap(), client.start().await.unwrap())
}

/// References to one endpoint from its own env and from another one. The envs live as long as the test.
async fn near_and_far(endpoint: impl RpcEndpoint) -> (Vec<RpcEndpointRef>, [RpcEnv; 2]) {
    let (server, client) = two_envs().await;
    let near = server.setup_endpoint("lab", endpoint).unwrap();
    let far = client.setup_endpoint_ref(&near.to_string()).await.unwrap();
    (vec![near, far], [server, client])
}

#[derive(Debug, PartialEq)]
struct TooMuch(u64);

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is too much", self.0)
    }
}

impl std::error::Error for TooMuch {}

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Double(u64);

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Halve {
    value: u64,
}

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
enum Compute {
    Zero,
    Sum(u64, u64),
    Fail,
}

struct Calculator;

#[rpc_endpoint]
impl Calculator {
    async fn double(&mut self, Double(value): Double) -> u64 {
        tokio::task::yield_now().await;
        value * 2
    }

    fn halve(&mut self, message: Halve) -> u64 {
        message.value / 2
    }

    async fn compute(&mut self, message: Compute) -> Result<u64, TooMuch> {
        match message {
            Compute::Zero => Ok(0),
            Compute::Sum(a, b) if a + b > 100 => Err(TooMuch(a + b)),
            Compute::Sum(a, b) => Ok(a + b),
            Compute::Fail => Err(TooMuch(1)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_returns_is_the_reply() {
    let (refs, _envs) = near_and_far(Calculator).await;
    for lab in refs {
        assert_eq!(lab.ask(Double(4)).await.unwrap(), 8);
        assert_eq!(lab.ask(Halve { value: 8 }).await.unwrap(), 4);
        assert_eq!(lab.ask(Compute::Zero).await.unwrap(), 0);
        assert_eq!(lab.ask(Compute::Sum(40, 2)).await.unwrap(), 42);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_a_handler_returns_is_the_askers() {
    let (refs, _envs) = near_and_far(Calculator).await;
    for lab in refs {
        for (message, text) in [
            (Compute::Sum(99, 2), "101 is too much"),
            (Compute::Fail, "1 is too much"),
        ] {
            let Err(AskError::Remote(failure)) = lab.ask(message).await else {
                panic!("it should fail");
            };
            assert_eq!(failure.message(), text);
            let local = failure
                .local_error()
                .and_then(|error| error.downcast_ref::<TooMuch>());
            assert_eq!(local.is_some(), lab.is_local());
        }
    }
}

#[tokio::test]
async fn handlers_are_methods_that_can_be_tested_without_an_env() {
    assert_eq!(Calculator.double(Double(4)).await, 8);
    assert_eq!(Calculator.halve(Halve { value: 8 }), 4);
    assert_eq!(Calculator.compute(Compute::Sum(100, 1)).await, Err(TooMuch(101)));
}

#[derive(Serialize, Deserialize, RpcMessage)]
struct Note(u64);

#[derive(Serialize, Deserialize, RpcMessage)]
struct Check(u64);

#[derive(Serialize, Deserialize, RpcMessage)]
struct Boxed(u64);

#[derive(Serialize, Deserialize, RpcMessage)]
struct Plain(u64);

struct Diary(mpsc::UnboundedSender<String>);

#[rpc_endpoint]
impl Diary {
    async fn note(&mut self, note: Note) {
        self.write(format!("noted {}", note.0));
    }

    async fn check(&mut self, check: Check) -> Result<(), TooMuch> {
        if check.0 > 100 {
            return Err(TooMuch(check.0));
        }
        self.write(format!("checked {}", check.0));
        Ok(())
    }

    fn boxed(&mut self, boxed: Boxed) -> Result<(), BoxError> {
        Err(format!("boxed {}", boxed.0).into())
    }

    fn plain(&mut self, plain: Plain) -> fmt::Result {
        self.write(format!("plain {}", plain.0));
        Err(fmt::Error)
    }

    fn on_error(&mut self, error: EndpointError) {
        self.write(error.to_string());
    }

    #[rpc(skip)]
    fn write(&self, line: String) {
        self.0.send(line).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn one_way_handlers_return_nothing_or_an_error_for_on_error() {
    let (lines, mut written) = mpsc::unbounded_channel();
    let (refs, _envs) = near_and_far(Diary(lines)).await;
    for lab in refs {
        lab.send(Note(1)).unwrap();
        lab.send(Check(2)).unwrap();
        lab.send(Check(200)).unwrap();
        lab.send(Boxed(3)).unwrap();
        lab.send(Plain(4)).unwrap();
        for line in [
            "noted 1",
            "checked 2",
            "the handler of Check failed: 200 is too much",
            "the handler of Boxed failed: boxed 3",
            "plain 4",
            "the handler of Plain failed: an error occurred when formatting an argument",
        ] {
            assert_eq!(written.recv().await.as_deref(), Some(line));
        }
    }
}

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Later(u64);

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Never;

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = String)]
struct Both;

struct Deferring {
    kept: Option<(u64, Reply<u64>)>,
    failures: mpsc::UnboundedSender<String>,
}

#[rpc_endpoint]
impl Deferring {
    /// Answers the one before.
    async fn later(&mut self, Later(value): Later, reply: Reply<u64>) {
        if let Some((kept, reply)) = self.kept.replace((value, reply)) {
            tokio::spawn(async move { reply.send(kept) });
        }
    }

    fn never(&mut self, _: Never, reply: Reply<u64>) -> Result<(), TooMuch> {
        drop(reply);
        Err(TooMuch(7))
    }

    async fn both(&mut self, _: Both, reply: spark_rpc::Reply<String>, call: &RpcCallContext) {
        reply.send(call.name().to_owned());
    }

    async fn on_error(&mut self, error: EndpointError, context: &EndpointContext) {
        self.failures
            .send(format!("{}: {error}", context.name()))
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_the_reply_answers_when_it_likes() {
    let (failures, mut seen) = mpsc::unbounded_channel();
    let (refs, _envs) = near_and_far(Deferring { kept: None, failures }).await;
    for lab in refs {
        let first = lab.ask(Later(1));
        let second = lab.ask(Later(2));
        assert_eq!(first.await.unwrap(), 1);
        assert_eq!(lab.ask(Both).await.unwrap(), "lab");
        assert!(matches!(lab.ask(Never).await, Err(AskError::Unanswered { .. })));
        assert_eq!(
            seen.recv().await.as_deref(),
            Some("lab: the handler of Never failed: 7 is too much")
        );
        let third = lab.ask(Later(3));
        assert_eq!(second.await.unwrap(), 2);
        drop(third);
    }
}

type Answer = Result<u64, TooMuch>;

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = ())]
struct Flush;

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = ())]
struct Sync(bool);

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = Result<u64, String>)]
struct Typed(bool);

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Aliased(u64);

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Renamed;

struct Unusual;

#[rpc_endpoint]
impl Unusual {
    #[rpc(reply = ())]
    async fn flush(&mut self, _: Flush) {}

    #[rpc(reply = ())]
    async fn sync(&mut self, Sync(works): Sync) -> Result<(), TooMuch> {
        if works { Ok(()) } else { Err(TooMuch(9)) }
    }

    #[rpc(reply = Result<u64, String>)]
    fn typed(&mut self, Typed(works): Typed) -> Result<u64, String> {
        if works { Ok(1) } else { Err("no".to_owned()) }
    }

    #[rpc(reply = u64)]
    fn aliased(&mut self, Aliased(value): Aliased) -> Answer {
        if value < 10 {
            Ok(value)
        } else {
            Err(TooMuch(value))
        }
    }

    fn renamed(&mut self, _: Renamed) -> Result<u64, std::io::Error> {
        Ok(5)
    }
}

#[tokio::test(start_paused = true)]
async fn the_type_of_the_reply_can_be_given_where_the_signature_does_not_tell() {
    let (refs, _envs) = near_and_far(Unusual).await;
    for lab in refs {
        lab.ask(Flush).await.unwrap();
        lab.ask(Sync(true)).await.unwrap();
        assert!(matches!(lab.ask(Sync(false)).await, Err(AskError::Remote(_))));
        assert_eq!(lab.ask(Typed(true)).await.unwrap(), Ok(1));
        assert_eq!(lab.ask(Typed(false)).await.unwrap(), Err("no".to_owned()));
        assert_eq!(lab.ask(Aliased(1)).await.unwrap(), 1);
        assert!(matches!(lab.ask(Aliased(10)).await, Err(AskError::Remote(_))));
        assert_eq!(lab.ask(Renamed).await.unwrap(), 5);
    }
}

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = (String, Option<RpcAddress>))]
struct WhoAmI;

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = bool)]
struct Alone;

struct Porter;

#[rpc_endpoint]
impl Porter {
    async fn who_am_i(&mut self, _: WhoAmI, call: &RpcCallContext) -> (String, Option<RpcAddress>) {
        (call.name().to_owned(), call.sender_address().cloned())
    }

    /// What all calls share is enough here.
    async fn alone(&mut self, _: Alone, context: &EndpointContext) -> bool {
        context.self_ref().is_some_and(|own| own.is_local())
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_are_told_about_the_call() {
    let (refs, _envs) = near_and_far(Porter).await;
    for lab in refs {
        let (name, sender) = lab.ask(WhoAmI).await.unwrap();
        assert_eq!(name, "lab");
        assert_eq!(sender.is_none(), lab.is_local());
        assert!(lab.ask(Alone).await.unwrap());
    }
}

struct Bridge(mpsc::UnboundedSender<usize>);

#[rpc_endpoint]
impl Bridge {
    /// Stands first and is asked last.
    #[rpc(raw)]
    async fn anything(&mut self, raw: Raw, call: &RpcCallContext) {
        assert_eq!(call.name(), "lab");
        self.0.send(raw.content.len()).unwrap();
        if let Some(reply) = raw.reply {
            // In the native codec: a reply, and the number 3.
            reply.send(&[1, 0, 3]);
        }
    }

    async fn double(&mut self, Double(value): Double) -> u64 {
        value * 2
    }
}

#[tokio::test(start_paused = true)]
async fn a_raw_handler_gets_what_no_other_handler_takes() {
    let (lengths, mut seen) = mpsc::unbounded_channel();
    let (refs, _envs) = near_and_far(Bridge(lengths)).await;
    for lab in refs {
        assert_eq!(lab.ask(Double(21)).await.unwrap(), 42);
        assert_eq!(lab.ask(Halve { value: 1 }).await.unwrap(), 3);
        assert_eq!(seen.recv().await, Some("__Halve_".len()));
        lab.send(Note(1)).unwrap();
        assert_eq!(seen.recv().await, Some("__Note_".len()));
    }
}

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = Vec<u8>, name = "lab.v1.Large")]
struct Large([u64; 32]);

struct Sizes;

impl Sizes {
    async fn measured(message: Large) -> Vec<u8> {
        tokio::task::yield_now().await;
        vec![0; message.0.len()]
    }
}

#[rpc_endpoint(serial)]
impl Sizes {
    async fn large(&mut self, message: Large) -> Vec<u8> {
        Self::measured(message).await
    }

    async fn note(&mut self, note: Note) {
        tokio::task::yield_now().await;
        assert_eq!(note.0, 1);
    }
}

#[test]
fn handling_keeps_the_message_once_beside_the_handlers_own_future() {
    fn size_of_result<A, F>(_: impl Fn(&'static mut Sizes, A) -> F) -> usize {
        size_of::<F>()
    }
    let handler = size_of_result(Sizes::large);
    let handle = size_of_result(|endpoint, message| {
        // Never called; only its type counts.
        let call: &'static RpcCallContext = unreachable(());
        RpcEndpoint::handle(endpoint, message, call)
    });
    let parts = handler + size_of::<SizesInbound>() + size_of::<Reply<Vec<u8>>>();
    assert!(handle <= parts + 32, "{handle} bytes for {parts}");
}

fn unreachable<T>((): ()) -> T {
    unreachable!()
}

#[test]
fn messages_are_known_by_their_names() {
    assert_eq!(Large::NAME, "lab.v1.Large");
    assert_eq!(Note::NAME, "Note");
    assert_eq!(SizesInbound::Note(Note(1)).message(), "Note");
}
