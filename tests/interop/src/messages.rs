//! The messages of the harness, and our endpoint that takes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use spark_rpc::codec::JavaValue;
use spark_rpc::javaobj::{JavaArray, JavaObject};
use spark_rpc::{
    BoxError, ConnectionError, EndpointContext, Reply, RpcAddress, RpcCallContext, RpcEndpointRef,
    RpcMessage, rpc_endpoint,
};

type Longs = Vec<i64>;

/// Has a field of every kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(reply = Everything, java)]
#[java(class = "org.apache.spark.rpc.interop.Everything")]
pub(crate) struct Everything {
    z: bool,
    b: i8,
    c: char,
    s: i16,
    i: i32,
    l: i64,
    f: f32,
    d: f64,
    text: String,
    #[java(nullable)]
    nothing: Option<String>,
    #[serde(skip)]
    bytes: Bytes,
    #[serde(skip, default = "nothing")]
    numbers: JavaArray<i32>,
    seq: Vec<String>,
    set: BTreeSet<i32>,
    map: BTreeMap<String, i32>,
    option: Option<i64>,
    none: Option<String>,
    pair: (String, i32),
    triple: (i32, bool, String),
    nest: Vec<BTreeMap<String, (i32, Option<Longs>)>>,
    duration: Duration,
}

fn nothing() -> JavaArray<i32> {
    JavaArray::new(Vec::new())
}

impl Everything {
    /// What the endpoints of both sides make of it.
    pub(crate) fn one_more(self) -> Self {
        Self {
            i: self.i + 1,
            ..self
        }
    }

    /// The same as the harness has.
    pub(crate) fn sample() -> Self {
        let text = |text: &str| text.to_owned();
        Self {
            z: true,
            b: -1,
            c: 'ß',
            s: -300,
            i: 1 << 20,
            l: -(1 << 40),
            f: 1.5,
            d: -2.25,
            text: text("grüße \u{0} 😀"),
            nothing: None,
            bytes: Bytes::from_static(&[1, 0xfe, 3]),
            numbers: JavaArray::new(vec![4, 5]),
            seq: vec![text("a"), text("b")],
            set: (1..=6).collect(),
            map: BTreeMap::from([(text("x"), 1), (text("y"), 2)]),
            option: Some(7),
            none: None,
            pair: (text("p"), 8),
            triple: (9, false, text("t")),
            nest: vec![
                BTreeMap::from([(text("k"), (10, Some(vec![11, 12])))]),
                BTreeMap::new(),
            ],
            duration: Duration::from_millis(1500),
        }
    }
}

macro_rules! messages {
    ($($(#[$attribute:meta])* $name:ident($($ty:ty),*) $(-> $reply:ty)?;)*) => {$(
        #[derive(Clone, Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
        #[rpc(java $(, reply = $reply)?)]
        $(#[$attribute])*
        pub(crate) struct $name($(pub(crate) $ty),*);
    )*};
}

messages! {
    /// Whatever it is, it comes back.
    #[java(transparent)]
    Echo(JavaValue) -> JavaValue;
    #[java(transparent)]
    AskText(String) -> String;
    #[java(transparent)]
    AskInt(i32) -> i32;
    #[java(transparent)]
    AskLong(i64) -> i64;
    #[java(transparent)]
    AskBoolean(bool) -> bool;
    #[java(transparent)]
    AskUnit(()) -> ();
    #[java(transparent)]
    AskDouble(f64) -> f64;
    /// A reply outside of Unicode's first plane is no `char` of Java's.
    #[java(transparent)]
    AskChar(char) -> char;
    #[java(transparent)]
    AskNone(Option<i32>) -> Option<i32>;
    #[java(transparent)]
    AskList(Vec<String>) -> Vec<String>;
    #[java(transparent)]
    AskMap(BTreeMap<String, i32>) -> BTreeMap<String, i32>;
    #[java(transparent)]
    AskTuple((i32, String, Option<i64>)) -> (i32, String, Option<i64>);
}

/// Bytes, which serde does not know in this form.
#[derive(Clone, Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(java, reply = AskBytes)]
#[java(transparent)]
pub(crate) struct AskBytes(#[serde(with = "plain_bytes")] pub(crate) Bytes);

mod plain_bytes {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        bytes[..].serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        Vec::deserialize(deserializer).map(Bytes::from)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(java)]
#[java(class = "org.apache.spark.rpc.interop.Note", uid = 7)]
pub(crate) struct Note {
    pub(crate) n: i32,
}

#[derive(Clone, Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(java, reply = i32)]
#[java(class = "org.apache.spark.rpc.interop.Gather")]
pub(crate) struct Gather {
    pub(crate) index: i32,
    pub(crate) of: i32,
}

#[derive(Clone, Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(java, reply = String)]
#[java(class = "org.apache.spark.rpc.interop.Carry")]
pub(crate) struct Carry {
    #[java(name = "ref", ty = "Lorg/apache/spark/rpc/RpcEndpointRef;")]
    pub(crate) reference: RpcEndpointRef,
    pub(crate) note: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JavaObject, RpcMessage)]
#[rpc(java, reply = Address)]
#[java(class = "org.apache.spark.rpc.interop.WhoAsks$", module)]
pub(crate) struct WhoAsks;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JavaObject)]
#[java(class = "org.apache.spark.rpc.RpcAddress")]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: i32,
}

/// Answers with what it is asked.
pub(crate) struct Echoes;

#[rpc_endpoint]
impl Echoes {
    async fn echo(&mut self, Echo(value): Echo) -> JavaValue {
        value
    }
}

/// What has happened, for the cases to look at.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn push(&self, text: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The counterpart of the harness's `Lab`.
#[derive(Default)]
pub(crate) struct Lab {
    events: Log,
    notes: Vec<String>,
    held: Vec<Reply<String>>,
    gathered: Vec<(i32, Reply<i32>)>,
}

impl Lab {
    /// Tells its connection events to `events`.
    pub(crate) fn with_events(events: &Log) -> Self {
        Self {
            events: events.clone(),
            ..Self::default()
        }
    }
}

#[rpc_endpoint]
impl Lab {
    async fn text(&mut self, AskText(text): AskText, reply: Reply<String>) {
        match text.as_str() {
            "throw" => reply.fail("thrown by the handler"),
            "typed" => reply.fail(Box::new(spark_rpc::javaobj::Throwable::new(
                "java.lang.IllegalStateException",
                "not in this state",
            )) as BoxError),
            "silent" => self.held.push(reply),
            "held" => reply.send(self.held.len().to_string()),
            "release" => {
                reply.send(format!("{} released", self.held.len()));
                for held in self.held.drain(..) {
                    held.send("late".to_owned());
                }
            }
            "drop" => drop(reply),
            "panic" => panic!("the handler went off"),
            "notes" => reply.send(std::mem::take(&mut self.notes).join(",")),
            other => reply.fail(format!("what is {other}?")),
        }
    }

    async fn char(&mut self, AskChar(_): AskChar) -> char {
        '😀'
    }

    fn note(&mut self, note: Note) {
        self.notes.push(note.n.to_string());
    }

    async fn everything(&mut self, everything: Everything) -> Result<Everything, BoxError> {
        if everything != Everything::sample() {
            return Err(format!("not what was expected: {everything:?}").into());
        }
        Ok(everything.one_more())
    }

    async fn gather(&mut self, Gather { index, of }: Gather, reply: Reply<i32>) {
        self.gathered.push((index, reply));
        if self.gathered.len() == of as usize {
            // The last one first.
            for (index, reply) in self.gathered.drain(..).rev() {
                reply.send(index * index);
            }
        }
    }

    async fn carry(&mut self, Carry { reference, note }: Carry) -> Result<String, BoxError> {
        reference.send(Note { n: 41 })?;
        Ok(reference.ask(AskText(format!("asked by Rust: {note}"))).await?)
    }

    async fn who_asks(&mut self, _: WhoAsks, call: &RpcCallContext) -> Result<Address, BoxError> {
        let address = call.sender_address().ok_or("it was sent from here")?;
        Ok(Address {
            host: address.host().to_owned(),
            port: address.port().into(),
        })
    }

    fn on_connected(&mut self, address: &RpcAddress, _: &EndpointContext) {
        self.events.push(format!("connected {address}"));
    }

    fn on_disconnected(&mut self, address: &RpcAddress, _: &EndpointContext) {
        self.events.push(format!("disconnected {address}"));
    }

    fn on_network_error(&mut self, _: &ConnectionError, address: &RpcAddress, _: &EndpointContext) {
        self.events.push(format!("error {address}"));
    }
}

/// What a JVM calls back.
#[derive(Default)]
pub(crate) struct Callback(Vec<String>);

#[rpc_endpoint]
impl Callback {
    fn note(&mut self, note: Note) {
        self.0.push(note.n.to_string());
    }

    async fn text(&mut self, AskText(text): AskText) -> String {
        format!("called back: {text}, {}", self.0.join(","))
    }
}
