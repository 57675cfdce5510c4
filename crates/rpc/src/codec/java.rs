//! The Java codec: what JVMs speak.

use std::sync::Arc;

use bytes::Bytes;
use spark_rpc_javaobj::{ClassTable, Decoder, Graph, Limits, Profile, Refusal, Value};

use super::{Codec, JavaForm, Opened, PeerMemory, java_failure};
use crate::error::{DecodeError, EncodeError, Failure};
use crate::message::{Decodable, Encodable};

/// Java object streams, as Spark's JVMs write and read them.
///
/// A message type takes part with `#[rpc(java)]`; see [`JavaForm`]. Every env reads and answers Java content; an env to
/// whose factory this codec was [given](crate::RpcEnvFactory::codec) also begins in it.
///
/// The ids of most of Spark's classes differ between its versions. This codec accepts any, and answers each peer with the
/// ids that the peer uses. As long as a peer has shown none, it is taken for the newest version known, or for the one given
/// to [`assume`](Self::assume), until it refuses that.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use spark_rpc::codec::JavaCodec;
/// use spark_rpc::{RpcEnv, RpcEnvFactory};
///
/// // Without the codec this env would find out by itself, one round trip later.
/// let java = JavaCodec::new().assume("3.5.9").unwrap();
/// let factory = RpcEnvFactory::new().codec(Arc::new(java));
/// let env = RpcEnv::builder("for-jvms").factory(factory).client_mode().start().await?;
/// # env.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct JavaCodec {
    assumed: Arc<ClassTable>,
    limits: Limits,
}

impl JavaCodec {
    /// Takes peers for the newest version of Spark until they show otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes peers for this version of Spark until they show otherwise; `None` if nothing is known of its line.
    #[must_use]
    pub fn assume(mut self, spark: &str) -> Option<Self> {
        self.assumed = Arc::new(ClassTable::assumed(Profile::of(spark)?));
        Some(self)
    }

    /// Takes peers for this version of Spark whatever they show; `None` if nothing is known of its line.
    #[must_use]
    pub fn pin(mut self, spark: &str) -> Option<Self> {
        self.assumed = Arc::new(ClassTable::pinned(Profile::of(spark)?));
        Some(self)
    }

    /// Bounds what is read.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl Default for JavaCodec {
    fn default() -> Self {
        Self {
            assumed: Arc::new(ClassTable::default()),
            limits: Limits::default(),
        }
    }
}

impl Codec for JavaCodec {
    fn name(&self) -> &'static str {
        NAME
    }

    #[inline]
    fn recognizes(&self, content: &[u8]) -> bool {
        content.starts_with(&MAGIC)
    }

    fn encode(&self, value: &dyn Encodable, peer: &PeerMemory, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        value.write_java(&peer.classes(&self.assumed), out)
    }

    fn encode_failure(&self, failure: &Failure, peer: &PeerMemory, out: &mut Vec<u8>) -> bool {
        let table = peer.classes(&self.assumed);
        java_failure::write(failure, &table, out)
    }

    fn open<'a>(&self, content: &'a [u8], peer: &PeerMemory) -> Result<Opened<'a>, DecodeError> {
        // Large arrays share the copy.
        let bytes = Bytes::copy_from_slice(content);
        let (graph, _) = Graph::read_first(&bytes, &self.limits).map_err(|error| DecodeError::Value {
            reason: error.to_string(),
        })?;
        peer.observe(&graph, &self.assumed);
        let root = graph.root().ok_or(DecodeError::Truncated)?;
        let java = JavaContent {
            graph,
            root,
            limits: self.limits,
        };
        Ok(Opened {
            name: "",
            body: content,
            java: Some(Arc::new(java)),
        })
    }

    fn decode(&self, opened: &Opened<'_>, place: &mut dyn Decodable) -> Result<(), DecodeError> {
        place.read_java(content_of(opened)?)
    }

    fn decode_failure(&self, opened: &Opened<'_>) -> Result<Option<Failure>, DecodeError> {
        java_failure::read(content_of(opened)?)
    }

    fn learn(&self, refusal: &str, peer: &PeerMemory) -> bool {
        Refusal::find(refusal).is_some_and(|refusal| peer.learn(&refusal, &self.assumed))
    }

    fn learns(&self) -> bool {
        true
    }
}

/// Java content that has been read, but not yet made into the Rust type that somebody wants.
#[derive(Debug)]
pub struct JavaContent {
    graph: Graph,
    root: Value,
    limits: Limits,
}

impl JavaContent {
    /// The class of the object; `null` if it is none.
    pub(crate) fn class_name(&self) -> &str {
        match self.root {
            Value::Null => "null",
            root => self.graph.class_name(root).unwrap_or("an object"),
        }
    }

    /// Whether the object is what a type stands for.
    pub(crate) fn is<T>(&self, form: &JavaForm<T>) -> bool {
        (form.matches)(self.root, &Decoder::new(&self.graph, &self.limits))
    }

    /// Makes the Rust value.
    pub(crate) fn read<T>(&self, form: Option<&JavaForm<T>>) -> Result<T, DecodeError> {
        let form = form.ok_or(DecodeError::UnsupportedType { codec: NAME })?;
        (form.read)(&self.graph, &self.limits).map_err(|error| DecodeError::Value {
            reason: error.to_string(),
        })
    }
}

fn content_of<'a>(opened: &'a Opened<'_>) -> Result<&'a JavaContent, DecodeError> {
    opened.java.as_deref().ok_or(DecodeError::UnknownCodec)
}

/// Appends a value in Java form.
pub(crate) fn write<T>(
    name: &str,
    value: &T,
    form: Option<&JavaForm<T>>,
    table: &ClassTable,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let error = |reason: String| EncodeError {
        name: name.to_owned(),
        reason,
    };
    let form = form.ok_or_else(|| error("it has no Java form, see `#[rpc(java)]`".to_owned()))?;
    let bytes = (form.write)(value, table).map_err(|reason| error(reason.to_string()))?;
    out.extend_from_slice(&bytes);
    Ok(())
}

/// Whether a JVM says that what it got is no Java object stream at all. It says so before it looks at the message.
pub(crate) fn is_refused_by_a_jvm(text: &str) -> bool {
    text.starts_with("java.io.StreamCorruptedException: invalid stream header")
}

/// The codec's name.
pub(crate) const NAME: &str = "java";
/// How every Java object stream begins.
const MAGIC: [u8; 2] = [0xac, 0xed];
