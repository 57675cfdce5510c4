//! `#[rpc_endpoint]` and `#[derive(RpcMessage)]`: life cycle, delivery, generics, conditions, names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use spark_rpc::{
    AskError, ConcurrentRpcEndpoint, ConnectionError, EndpointContext, EndpointError, Inbound, Reply,
    RpcAddress, RpcEndpoint, RpcEnv, RpcMessage, rpc_endpoint,
};
use spark_rpc_testkit::MemoryNetwork;
use tokio::sync::{Barrier, Semaphore, mpsc};

async fn env_on(net: &MemoryNetwork, host: &str) -> RpcEnv {
    RpcEnv::builder(host)
        .bind(format!("{host}:7077"))
        .network(Arc::new(net.host(host)))
        .start()
        .await
        .unwrap()
}

#[derive(Serialize, Deserialize, RpcMessage)]
struct Note(u64);

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = u64)]
struct Double(u64);

type Lines = mpsc::UnboundedSender<String>;

struct Chronicle(Lines);

#[rpc_endpoint(inbound = pub(crate) Entry)]
impl Chronicle {
    #[rpc(skip)]
    async fn write(&self, line: String) {
        self.0.send(line).unwrap();
    }

    async fn on_start(&mut self, context: &EndpointContext) -> Result<(), std::fmt::Error> {
        let known = context.self_ref().is_some();
        self.write(format!("start {} {known}", context.name())).await;
        Err(std::fmt::Error)
    }

    async fn note(&mut self, Note(value): Note) {
        self.write(format!("note {value}")).await;
    }

    async fn on_stop(&mut self) {
        self.write("stop".to_owned()).await;
    }

    async fn on_error(&mut self, error: EndpointError, context: &EndpointContext) {
        self.write(format!("{}: {error}", context.name())).await;
    }

    async fn on_connected(&mut self, address: &RpcAddress) -> Result<(), String> {
        self.write("connected".to_owned()).await;
        Err(format!("do not like {}", address.host()))
    }

    async fn on_disconnected(&mut self, address: &RpcAddress, context: &EndpointContext) {
        self.write(format!("{} lost {}", context.name(), address.host()))
            .await;
    }

    async fn on_network_error(&mut self, _: &ConnectionError, address: &RpcAddress, _: &EndpointContext) {
        self.write(format!("network error {}", address.host())).await;
    }
}

/// Waits for lines until `last` comes.
async fn until(lines: &mut mpsc::UnboundedReceiver<String>, last: &str) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.last().map(String::as_str) != Some(last) {
        seen.push(lines.recv().await.unwrap());
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn callbacks_are_found_by_their_names() {
    let net = MemoryNetwork::new(1);
    let (server, client) = (env_on(&net, "server").await, env_on(&net, "client").await);
    let (lines, mut seen) = mpsc::unbounded_channel();
    let own = server.setup_endpoint("lab", Chronicle(lines)).unwrap();
    assert_eq!(
        until(
            &mut seen,
            "lab: on_start failed: an error occurred when formatting an argument"
        )
        .await[0],
        "start lab true"
    );

    let far = client.setup_endpoint_ref(&own.to_string()).await.unwrap();
    far.send(Note(1)).unwrap();
    let connected = until(&mut seen, "note 1").await;
    assert!(connected.contains(&"connected".to_owned()), "{connected:?}");
    assert!(
        connected.contains(&"lab: on_connected failed: do not like client".to_owned()),
        "{connected:?}"
    );

    net.cut("client", "server");
    let lost = until(&mut seen, "lab lost client").await;
    assert!(lost.contains(&"network error client".to_owned()), "{lost:?}");

    server.stop(&own);
    until(&mut seen, "stop").await;
    assert_eq!(Entry::Note(Note(1)).message(), "Note");
}

struct Watcher(Lines);

#[rpc_endpoint]
impl Watcher {
    fn on_connected(&mut self) {
        self.0.send("connected".to_owned()).unwrap();
    }
}

struct Conditional;

#[rpc_endpoint]
impl Conditional {
    #[cfg(not(test))]
    async fn on_connected(&mut self, address: &NoSuchType) {}

    #[cfg(test)]
    async fn double(&mut self, Double(value): Double) -> u64 {
        value * 2
    }

    #[cfg(not(test))]
    async fn missing(&mut self, message: NoSuchMessage) -> u64 {
        message.0
    }

    #[cfg(not(test))]
    async fn note(&mut self, note: NoSuchMessage) {}

    #[cfg(test)]
    async fn note(&mut self, Note(_): Note) {}
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_may_have_callbacks_only() {
    let net = MemoryNetwork::new(1);
    let (server, client) = (env_on(&net, "server").await, env_on(&net, "client").await);
    let (lines, mut seen) = mpsc::unbounded_channel();
    let own = server.setup_endpoint("lab", Watcher(lines)).unwrap();
    let far = client.setup_endpoint_ref(&own.to_string()).await.unwrap();
    assert_eq!(seen.recv().await.as_deref(), Some("connected"));
    assert!(matches!(
        far.ask(Double(1)).await,
        Err(AskError::UnknownMessage { message, .. }) if message == "Double"
    ));
}

#[test]
fn connection_events_are_wanted_only_where_a_callback_takes_them() {
    const { assert!(Chronicle::CONNECTION_EVENTS) };
    const { assert!(Watcher::CONNECTION_EVENTS) };
    const { assert!(!Conditional::CONNECTION_EVENTS) };
    const { assert!(!<Gate as RpcEndpoint>::CONNECTION_EVENTS) };
}

#[tokio::test(start_paused = true)]
async fn conditions_of_handlers_hold_for_all_that_is_written_for_them() {
    let net = MemoryNetwork::new(1);
    let server = env_on(&net, "server").await;
    let lab = server.setup_endpoint("lab", Conditional).unwrap();
    assert_eq!(lab.ask(Double(2)).await.unwrap(), 4);
    lab.send(Note(1)).unwrap();
    let all = [ConditionalInbound::Note(Note(1)).message(), Double::NAME];
    assert_eq!(all, ["Note", "Double"]);
}

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = ())]
struct Meet;

/// Whoever meets here waits for two others.
struct Gate {
    barrier: Barrier,
    met: AtomicU64,
}

#[rpc_endpoint]
impl Gate {
    #[rpc(reply = ())]
    async fn meet(&self, _: Meet) {
        self.barrier.wait().await;
        self.met.fetch_add(1, Ordering::Relaxed);
    }

    fn double(&self, Double(value): Double) -> u64 {
        self.met.load(Ordering::Relaxed) + value * 2
    }

    async fn on_start(&self) {
        self.met.store(100, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_whose_methods_share_it_is_a_concurrent_one_and_a_serial_one() {
    fn wanted<E: ConcurrentRpcEndpoint + RpcEndpoint>(endpoint: E) -> E {
        endpoint
    }
    let net = MemoryNetwork::new(1);
    let server = env_on(&net, "server").await;
    let gate = |count| {
        wanted(Gate {
            barrier: Barrier::new(count),
            met: AtomicU64::new(0),
        })
    };
    let concurrent = server.setup_concurrent_endpoint("concurrent", gate(3)).unwrap();
    let (one, two, three) = (concurrent.ask(Meet), concurrent.ask(Meet), concurrent.ask(Meet));
    for ask in [one, two, three] {
        ask.await.unwrap();
    }
    assert_eq!(concurrent.ask(Double(1)).await.unwrap(), 105);

    let serial = server.setup_endpoint("serial", gate(1)).unwrap();
    serial.ask(Meet).await.unwrap();
    assert_eq!(serial.ask(Double(1)).await.unwrap(), 103);
}

/// It shares nothing between threads, so it cannot be concurrent, although no method needs it for itself.
struct Unshared(std::cell::Cell<u64>);

#[rpc_endpoint(serial)]
impl Unshared {
    fn double(&self, Double(value): Double) -> u64 {
        self.0.set(self.0.get() + value);
        self.0.get()
    }
}

#[rpc_endpoint(concurrent)]
impl Explicit {
    async fn double(&self, Double(value): Double) -> u64 {
        value
    }
}

struct Explicit;

#[tokio::test(start_paused = true)]
async fn which_trait_is_written_can_be_said() {
    let net = MemoryNetwork::new(1);
    let server = env_on(&net, "server").await;
    let serial = server
        .setup_endpoint("serial", Unshared(std::cell::Cell::new(1)))
        .unwrap();
    assert_eq!(serial.ask(Double(1)).await.unwrap(), 2);
    let concurrent = server.setup_concurrent_endpoint("concurrent", Explicit).unwrap();
    assert_eq!(concurrent.ask(Double(1)).await.unwrap(), 1);
}

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(name = "Put")]
struct Put<T>(T);

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(reply = Vec<T>)]
struct Take<T, const N: usize>(#[serde(skip)] std::marker::PhantomData<T>);

/// `U` is in no message.
struct Store<T, U, const N: usize> {
    values: Vec<T>,
    _more: Option<U>,
}

#[rpc_endpoint]
impl<T, U: Send + 'static, const N: usize> Store<T, U, N>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    U: PartialEq<T>,
{
    fn new() -> Self {
        Self {
            values: Vec::new(),
            _more: None,
        }
    }

    const AT_ONCE: usize = N;

    async fn put(&mut self, Put(value): Put<T>) {
        self.values.push(value);
    }

    async fn take(&mut self, _: Take<T, N>, reply: Reply<Vec<T>>) {
        let count = self.values.len().min(Self::AT_ONCE);
        reply.send(self.values.drain(..count).collect());
    }
}

#[tokio::test(start_paused = true)]
async fn endpoints_and_messages_may_be_generic() {
    let net = MemoryNetwork::new(1);
    let (server, client) = (env_on(&net, "server").await, env_on(&net, "client").await);
    let own = server
        .setup_endpoint("words", Store::<String, String, 2>::new())
        .unwrap();
    let far = client.setup_endpoint_ref(&own.to_string()).await.unwrap();
    for word in ["to", "be", "or"] {
        far.send(Put(word.to_owned())).unwrap();
    }
    let take = Take::<String, 2>(std::marker::PhantomData);
    assert_eq!(far.ask(take).await.unwrap(), ["to", "be"]);
    let numbers = server
        .setup_endpoint("numbers", Store::<u64, u64, 1>::new())
        .unwrap();
    numbers.send(Put(7_u64)).unwrap();
    let take = Take::<u64, 1>(std::marker::PhantomData);
    assert_eq!(numbers.ask(take).await.unwrap(), [7]);
    let _: StoreInbound<u8, 3> = StoreInbound::Put(Put(1));
}

#[derive(Serialize, Deserialize, RpcMessage)]
#[rpc(control)]
struct Urgent;

#[derive(Serialize, Deserialize, RpcMessage)]
struct Block;

struct Lane {
    blocked: Arc<Semaphore>,
    lines: Lines,
}

#[rpc_endpoint]
impl Lane {
    async fn block(&mut self, _: Block) {
        self.lines.send("block".to_owned()).unwrap();
        self.blocked.acquire().await.unwrap().forget();
    }

    async fn note(&mut self, _: Note) {
        self.lines.send("note".to_owned()).unwrap();
    }

    async fn urgent(&mut self, _: Urgent) {
        self.lines.send("urgent".to_owned()).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn control_messages_pass_others_near_and_far() {
    let net = MemoryNetwork::new(1);
    let (server, client) = (env_on(&net, "server").await, env_on(&net, "client").await);
    let (lines, mut seen) = mpsc::unbounded_channel();
    let blocked = Arc::new(Semaphore::new(0));
    let lane = Lane {
        blocked: Arc::clone(&blocked),
        lines,
    };
    let near = server.setup_endpoint("lab", lane).unwrap();
    let far = client.setup_endpoint_ref(&near.to_string()).await.unwrap();
    for lab in [near, far] {
        lab.send(Block).unwrap();
        assert_eq!(seen.recv().await.as_deref(), Some("block"));
        lab.send(Note(1)).unwrap();
        lab.send(Urgent).unwrap();
        while server.stats().endpoints.iter().all(|stats| stats.queued < 3) {
            tokio::time::advance(std::time::Duration::from_millis(1)).await;
            tokio::task::yield_now().await;
        }
        blocked.add_permits(1);
        assert_eq!(seen.recv().await.as_deref(), Some("urgent"));
        assert_eq!(seen.recv().await.as_deref(), Some("note"));
    }
}

/// Everything that generated code could mean is called something else here.
#[allow(dead_code, non_snake_case)]
mod hostile {
    mod facade {
        pub(super) use spark_rpc as rpc;
    }

    struct Result;
    struct Option;
    struct Future;
    struct Send;
    struct Parcel;
    fn Ok() {}
    fn Some() {}
    #[derive(serde::Serialize, serde::Deserialize, facade::rpc::RpcMessage)]
    #[rpc(reply = u64, crate = facade::rpc)]
    pub(super) struct Inbound(pub(super) u64);

    pub(super) struct Endpoint;

    #[facade::rpc::rpc_endpoint(crate = facade::rpc)]
    impl Endpoint {
        pub(super) async fn handle(&mut self, value: Inbound, call: &facade::rpc::RpcCallContext) -> u64 {
            call.name().len() as u64 + value.0
        }

        #[rpc(reply = ())]
        pub(super) async fn r#match(&mut self, _: super::Meet) {}
    }
}

/// Endpoints may come from macros, whose fragments are grouped.
macro_rules! endpoint {
    ($name:ident, $message:ty, $reply:ty, $answer:expr) => {
        struct $name;

        #[rpc_endpoint]
        impl $name {
            async fn answer(&mut self, message: $message) -> $reply {
                let _ = message;
                $answer
            }
        }
    };
}

endpoint!(FromMacro, Double, Result<u64, std::fmt::Error>, Ok(3));

#[tokio::test(start_paused = true)]
async fn generated_code_meets_no_name_of_the_users() {
    let net = MemoryNetwork::new(1);
    let server = env_on(&net, "server").await;
    let lab = server.setup_endpoint("lab", hostile::Endpoint).unwrap();
    assert_eq!(lab.ask(hostile::Inbound(2)).await.unwrap(), 5);
    lab.ask(Meet).await.unwrap();
    let from_macro = server.setup_endpoint("macro", FromMacro).unwrap();
    assert_eq!(from_macro.ask(Double(2)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_may_be_written_inside_a_function() {
    #[derive(Serialize, Deserialize, RpcMessage)]
    #[rpc(reply = u64)]
    struct Local(u64);

    enum Inner {
        On,
    }

    #[rpc_endpoint]
    impl Inner {
        async fn local(&mut self, Local(value): Local) -> u64 {
            match self {
                Inner::On => value,
            }
        }
    }

    let net = MemoryNetwork::new(1);
    let server = env_on(&net, "server").await;
    let lab = server.setup_endpoint("lab", Inner::On).unwrap();
    assert_eq!(lab.ask(Local(2)).await.unwrap(), 2);
}
