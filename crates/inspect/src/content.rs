//! What stands in the body of a message.

use bytes::Bytes;
use spark_rpc_javaobj::{Graph, Limits, ReadError};
use spark_rpc_wire::primitive::Reader;

/// The content of a message or reply, by what its first bytes say about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Content {
    /// No bytes at all.
    Empty,
    /// A Java object stream.
    Java(Java),
    /// Content of the native codec. Its value cannot be read without the Rust type.
    Native {
        /// The message's name: empty for a reply, `!` for a failure.
        name: String,
        /// The value in postcard form.
        body: Bytes,
    },
    /// A step of Spark's auth engine.
    AuthEngine {
        /// For which application.
        app_id: String,
        /// How many bytes of salt and of cipher text there are.
        lengths: [usize; 2],
    },
    /// A step of SASL.
    Sasl {
        /// For which application; replies do not say.
        app_id: Option<String>,
        /// The token.
        token: Bytes,
    },
    /// Something else: a chunk, block transfer, or content of an unknown codec.
    Raw {
        /// What it may be.
        guess: Option<&'static str>,
        /// The bytes.
        bytes: Bytes,
    },
}

/// A Java object stream, as far as it could be read.
#[derive(Debug)]
pub struct Java {
    /// The objects.
    pub graph: Graph,
    /// How many bytes were read.
    pub read: usize,
    /// How many there are.
    pub length: usize,
    /// Why not all was read.
    pub error: Option<ReadError>,
}

/// The first byte of a message of Spark's auth engine.
pub(crate) const AUTH_ENGINE: u8 = 0xfb;
/// The first byte of a SASL message.
pub(crate) const SASL: u8 = 0xea;
const NATIVE: u8 = 1;
const JAVA: [u8; 2] = [0xac, 0xed];

impl Content {
    /// Reads content that has a codec: that of a message behind its envelope, or a reply. `None` if no codec is recognised.
    pub(crate) fn of_codec(bytes: &Bytes, limits: &Limits) -> Option<Self> {
        if bytes.starts_with(&JAVA) {
            return Some(Self::Java(Java::read(bytes, limits, true)));
        }
        native(bytes)
    }

    /// Reads a message of an authentication, which stands in place of an envelope.
    pub(crate) fn of_handshake(bytes: &Bytes) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let mut reader = Reader::new("handshake", rest);
        match *kind {
            AUTH_ENGINE => {
                let app_id = String::from_utf8_lossy(reader.byte_array("app id").ok()?).into_owned();
                let salt = reader.byte_array("salt").ok()?.len();
                let text = reader.byte_array("cipher text").ok()?.len();
                Some(Self::AuthEngine {
                    app_id,
                    lengths: [salt, text],
                })
            }
            SASL => {
                let app_id = String::from_utf8_lossy(reader.byte_array("app id").ok()?).into_owned();
                reader.i32("length").ok()?;
                Some(Self::Sasl {
                    app_id: Some(app_id),
                    token: bytes.slice(1 + reader.position()..),
                })
            }
            _ => None,
        }
    }

    /// Reads what answers a request.
    pub(crate) fn of_reply(bytes: &Bytes, limits: &Limits) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        if let Some(content) = Self::of_codec(bytes, limits).or_else(|| Self::of_handshake(bytes)) {
            return content;
        }
        // The server's half of SASL comes without any wrapping.
        if bytes.starts_with(b"realm=") || bytes.starts_with(b"rspauth=") {
            return Self::Sasl {
                app_id: None,
                token: bytes.clone(),
            };
        }
        Self::Raw {
            guess: block_transfer(bytes),
            bytes: bytes.clone(),
        }
    }

    /// The class of the Java object, or the native message's name.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Java(java) => java.class_name(),
            Self::Native { name, .. } if name == "!" => Some("failure"),
            Self::Native { name, .. } if name.is_empty() => None,
            Self::Native { name, .. } => Some(name),
            Self::AuthEngine { .. } => Some("auth engine's handshake"),
            Self::Sasl { .. } => Some("SASL handshake"),
            Self::Raw { guess, .. } => *guess,
            Self::Empty => None,
        }
    }
}

impl Java {
    /// Reads a stream as far as it goes; with `first` only to the end of the first object.
    pub fn read(bytes: &Bytes, limits: &Limits, first: bool) -> Self {
        let (graph, read, error) = Graph::read_leniently(bytes, limits, first);
        Self {
            graph,
            read,
            length: bytes.len(),
            error,
        }
    }

    /// The class of the object; that of a case object is the one that its proxy stands for.
    pub fn class_name(&self) -> Option<&str> {
        let root = self.graph.root()?;
        let module = self
            .graph
            .instance(root)
            .filter(|proxy| proxy.class_name() == "scala.runtime.ModuleSerializationProxy")
            .and_then(|proxy| proxy.field("moduleClass"))
            .and_then(|class| match self.graph.object(class)? {
                spark_rpc_javaobj::Object::Class(class) => Some(self.graph[*class].name()),
                _ => None,
            });
        module.or_else(|| self.graph.class_name(root))
    }
}

fn native(bytes: &Bytes) -> Option<Content> {
    let (version, rest) = bytes.split_first()?;
    if *version != NATIVE {
        return None;
    }
    let mut length = 0;
    for (at, byte) in rest.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let name = rest.get(at + 1..at + 1 + length)?;
            return Some(Content::Native {
                name: std::str::from_utf8(name).ok()?.to_owned(),
                body: bytes.slice(at + 2 + length..),
            });
        }
    }
    None
}

/// What a body without an envelope may be: the messages of Spark's block transfer begin with a number.
pub(crate) fn block_transfer(bytes: &[u8]) -> Option<&'static str> {
    const NAMES: [&str; 20] = [
        "block transfer: OpenBlocks",
        "block transfer: UploadBlock",
        "block transfer: RegisterExecutor",
        "block transfer: StreamHandle",
        "block transfer: RegisterDriver",
        "block transfer: ShuffleServiceHeartbeat",
        "block transfer: UploadBlockStream",
        "block transfer: RemoveBlocks",
        "block transfer: BlocksRemoved",
        "block transfer: FetchShuffleBlocks",
        "block transfer: GetLocalDirsForExecutors",
        "block transfer: LocalDirsForExecutors",
        "block transfer: PushBlockStream",
        "block transfer: FinalizeShuffleMerge",
        "block transfer: MergeStatuses",
        "block transfer: FetchShuffleBlockChunks",
        "block transfer: DiagnoseCorruption",
        "block transfer: CorruptionCause",
        "block transfer: BlockPushReturnCode",
        "block transfer: RemoveShuffleMerge",
    ];
    // Most begin with an application's id: a length, and text.
    let length = bytes.get(1..5).and_then(<[u8]>::first_chunk)?;
    let length = i32::from_be_bytes(*length);
    let stands_alone = matches!(bytes[0], 3 | 8 | 11 | 14 | 17 | 18);
    let is_text = usize::try_from(length).is_ok_and(|length| {
        let text = bytes.get(5..5 + length.min(16));
        length > 0 && text.is_some_and(|text| text.iter().all(u8::is_ascii_graphic))
    });
    if !stands_alone && !is_text {
        return None;
    }
    NAMES.get(usize::from(bytes[0])).copied()
}
