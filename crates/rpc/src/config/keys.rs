//! The table of all keys that are known, from which the documentation and the suggestions are made.

/// What is known about one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The key.
    pub name: &'static str,
    /// The form of its values; in brackets what a bare number means.
    pub takes: &'static str,
    /// The value that counts when it is not set.
    pub default: &'static str,
    /// Whose key it is.
    pub owner: Owner,
    /// Where its value goes.
    pub effect: Effect,
    /// What it sets, or why it has no effect.
    pub meaning: &'static str,
}

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Apache Spark's; the meaning is Spark's too.
    Spark,
    /// An addition of this crate, which Spark does not know.
    Own,
}

/// Where the value of a key goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Into this field of [`RpcConf`](super::RpcConf).
    Field(&'static str),
    /// Into this field of [`EnvAddresses`](super::EnvAddresses).
    Address(&'static str),
    /// Nowhere: it is accepted, and told by [`RpcConf::ignored`](super::RpcConf::ignored).
    Ignored,
    /// Into [`RpcConf::security`](super::RpcConf::security).
    Security,
}

/// Returns all keys that are known, grouped as in the documentation.
pub fn known_keys() -> &'static [KeyInfo] {
    KEYS
}

const fn spark(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    field: &'static str,
    meaning: &'static str,
) -> KeyInfo {
    KeyInfo {
        name,
        takes,
        default,
        owner: Owner::Spark,
        effect: Effect::Field(field),
        meaning,
    }
}

const fn own(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    field: &'static str,
    meaning: &'static str,
) -> KeyInfo {
    KeyInfo {
        name,
        takes,
        default,
        owner: Owner::Own,
        effect: Effect::Field(field),
        meaning,
    }
}

const fn address(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    field: &'static str,
    meaning: &'static str,
) -> KeyInfo {
    KeyInfo {
        name,
        takes,
        default,
        owner: Owner::Spark,
        effect: Effect::Address(field),
        meaning,
    }
}

const fn authentication(
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    owner: Owner,
    meaning: &'static str,
) -> KeyInfo {
    KeyInfo {
        name,
        takes,
        default,
        owner,
        effect: Effect::Security,
        meaning,
    }
}

const fn ignored(name: &'static str, reason: &'static str) -> KeyInfo {
    KeyInfo {
        name,
        takes: "",
        default: "",
        owner: Owner::Spark,
        effect: Effect::Ignored,
        meaning: reason,
    }
}

const TIME_S: &str = "time (s)";
const TIME_MS: &str = "time (ms)";
const TIME_US: &str = "time (µs)";
const SIZE: &str = "size (bytes)";
const SIZE_MIB: &str = "size (MiB)";
const NUMBER: &str = "whole number";
const SWITCH: &str = "true, false";
const TEXT: &str = "text";

const ONE_RUNTIME: &str =
    "connections run on the runtime that started the env and have no threads of their own";
const BUFFERS: &str = "there is no choice of buffer allocators";
const IO_MODE: &str = "the value is checked, but the runtime decides how it waits for sockets";
const FETCHES: &str = "it governs block fetches, which are no part of an RPC env";
const CHUNKS: &str = "an RPC env serves no shuffle chunks";
const JAVA_STREAM: &str = "each message is a Java object stream of its own, written without it";

#[rustfmt::skip] // A table reads best with one row a line.
const KEYS: &[KeyInfo] = &[
    // RPC
    spark("spark.rpc.askTimeout", TIME_S, "spark.network.timeout", "ask_timeout", "time limit of an ask; whole seconds"),
    spark("spark.rpc.lookupTimeout", TIME_S, "spark.network.timeout", "lookup_timeout", "time limit of looking an endpoint up; whole seconds"),
    spark("spark.network.timeout", TIME_S, "120s", "ask_timeout", "default of the two above and of the connection timeout; whole seconds"),
    spark("spark.rpc.numRetries", NUMBER, "3", "num_retries", "attempts of an ask with retry; read by Spark up to 2.2"),
    spark("spark.rpc.retry.wait", TIME_MS, "3s", "retry_wait", "pause between those attempts; read by Spark up to 2.2"),
    spark("spark.port.maxRetries", NUMBER, "16", "port_max_retries", "further ports tried when the wanted one is taken"),
    spark("spark.testing", TEXT, "–", "port_max_retries", "if set to anything, the default of the row above is 100"),
    spark("spark.rpc.connect.threads", NUMBER, "64", "max_connecting", "outboxes that may be connecting at once"),
    spark("spark.rpc.netty.dispatcher.numThreads", NUMBER, "–", "dispatcher_threads", "own threads for endpoints; unset: they run on the runtime that started the env (Spark: one thread per core, at least 2)"),
    spark("spark.driver.rpc.netty.dispatcher.numThreads", NUMBER, "previous row", "dispatcher_threads", "the same for a driver"),
    spark("spark.executor.rpc.netty.dispatcher.numThreads", NUMBER, "two rows up", "dispatcher_threads", "the same for an executor"),
    spark("spark.executor.id", TEXT, "–", "dispatcher_threads", "chooses between the two above: `driver`, or anything else for an executor; unset: neither"),
    spark("spark.rpc.message.maxSize", SIZE_MIB, "128", "task_message_max_bytes", "largest serialized task or map status a scheduler should send, at most 2047; **not** a limit of the transport"),
    own("spark.rpc.concurrentHandlers", NUMBER, "1024", "concurrent_handlers", "handlers of one concurrent endpoint that may run at once"),
    own("spark.rpc.inbox.maxMessages", NUMBER, "262144", "inbox.max_messages", "messages that may wait in one inbox"),
    own("spark.rpc.inbox.maxBytes", SIZE, "256m", "inbox.max_bytes", "bytes that may wait in one inbox"),
    own("spark.rpc.inbox.whenFull", "wait, reject", "wait", "inbox.when_full", "what happens to a message from the network that finds the inbox full; local sends are always rejected"),
    own("spark.rpc.inbox.waitLimit", TIME_S, "10s", "inbox.when_full", "how long it waits before it is rejected; contradicts `whenFull = reject`"),
    own("spark.rpc.outbox.maxMessages", NUMBER, "262144", "outbox.max_messages", "messages that may wait for a connection to one address"),
    own("spark.rpc.outbox.maxBytes", SIZE, "256m", "outbox.max_bytes", "bytes that may wait for a connection to one address"),
    own("spark.rpc.shutdown.drainLimit", TIME_S, "10s", "drain_limit", "how long a shutdown waits for handlers and answers"),
    own("spark.rpc.files.checksum", SWITCH, "true", "file_checksums", "whether fetched files are verified by the server's checksum, and whether a server gives one"),
    own("spark.rpc.metrics.enabled", SWITCH, "false", "metrics", "whether metrics are recorded"),
    own("spark.rpc.seed", NUMBER, "–", "seed", "start of all randomness, for simulation; unset: from the system"),
    // Transport
    spark("spark.rpc.io.connectionTimeout", TIME_S, "spark.network.timeout", "transport.connection_timeout", "silence after which a connection with outstanding requests is cut; whole seconds, 0 and less: off"),
    spark("spark.rpc.io.connectionCreationTimeout", TIME_S, "spark.rpc.io.connectionTimeout", "transport.connection_creation_timeout", "time limit of connecting; whole seconds, 0 and less: the operating system's"),
    spark("spark.rpc.io.backLog", NUMBER, "-1", "transport.backlog", "connections that may wait for being accepted; 0 and less: the system's choice"),
    spark("spark.rpc.io.receiveBuffer", NUMBER, "-1", "transport.receive_buffer", "bytes of the socket's receive buffer; 0 and less: the system's choice"),
    spark("spark.rpc.io.sendBuffer", NUMBER, "-1", "transport.send_buffer", "bytes of the socket's send buffer; 0 and less: the system's choice"),
    spark("spark.rpc.io.enableTcpKeepAlive", SWITCH, "false", "transport.keep_alive", "TCP keep-alive on accepted connections; opened ones always have it"),
    spark("spark.rpc.io.retryWait", TIME_S, "5s", "transport.retry_wait", "pause between attempts; 95 % of it is the window in which callers that ask for it fail at once after a failed connect; whole seconds"),
    own("spark.rpc.io.congestion", TEXT, "–", "transport.congestion", "name of the TCP congestion control; unset: the system's choice"),
    own("spark.rpc.io.closeIdleConnections", SWITCH, "false", "transport.close_idle_connections", "whether connections with nothing outstanding are closed after the connection timeout as well; contradicts a connection timeout that is off"),
    own("spark.rpc.io.maxFrameSize", SIZE, "2147483646", "transport.max_frame_bytes", "largest frame accepted, 1k up to the default, which is Spark's limit"),
    own("spark.rpc.io.writeQueue.maxBytes", SIZE, "64m, or maxFrameSize if that is set and larger", "transport.write_queue_max_bytes", "bytes that may wait for one socket; not below a `maxFrameSize` that is set"),
    own("spark.rpc.io.writeQueue.maxFrames", NUMBER, "1048576", "transport.write_queue_max_frames", "frames that may wait for one socket"),
    own("spark.rpc.io.readBuffer", SIZE, "256k", "transport.read_buffer", "bytes that one read asks for, 1k to 64m"),
    own("spark.rpc.io.maxPendingRequests", NUMBER, "1048576", "transport.max_pending_requests", "requests that may be outstanding on one connection"),
    own("spark.rpc.io.wakeupsPerBatch", NUMBER, "128", "transport.wakeups_per_batch", "tasks that a reader wakes before it lets them run"),
    own("spark.rpc.io.busyPoll", TIME_US, "0", "transport.busy_poll", "how long a connection keeps trying to read before it sleeps, at most 1s; 0: off"),
    own("spark.rpc.io.maxConnections", NUMBER, "65536", "transport.max_connections", "accepted connections open at once; -1: no bound"),
    spark("spark.shuffle.maxChunksBeingTransferred", NUMBER, "9223372036854775807", "transport.max_bodies_in_transfer", "chunks and streams that may be in transfer at once; a connection that asks for more is closed; the default is no bound"),
    own("spark.rpc.io.maxBytesInTransfer", SIZE, "–", "transport.max_bytes_in_transfer", "bytes of chunks and streams that may be in transfer at once; a connection that asks for more meanwhile is closed; unset: no bound"),
    own("spark.rpc.io.streamWindow", SIZE, "4m", "transport.stream_window", "bytes of an arriving stream that may wait for its reader before the connection stops reading"),
    own("spark.rpc.io.zeroCopy", SWITCH, "true", "transport.zero_copy", "whether the system sends files by itself where it can (sendfile, splice)"),
    own("spark.rpc.io.closeTimeout", TIME_S, "10s", "transport.close_timeout", "how long closing a connection waits for its peer"),
    own("spark.rpc.io.handshakeTimeout", TIME_S, "30s", "transport.handshake_timeout", "how long an accepted connection may take to authenticate"),
    own("spark.rpc.io.maxUnauthenticated", NUMBER, "4096", "transport.max_unauthenticated", "accepted connections that may be about to authenticate at once; further ones are closed"),
    own("spark.rpc.io.maxUnauthenticatedPerAddress", NUMBER, "1024", "transport.max_unauthenticated_per_address", "the same for those from one address"),
    // Authentication and encryption
    authentication("spark.authenticate", SWITCH, "false", Owner::Spark, "whether peers must know a secret"),
    authentication("spark.authenticate.secret", TEXT, "–", Owner::Spark, "the secret; the environment variable `_SPARK_AUTH_SECRET` comes first"),
    authentication("spark.authenticate.secret.file", TEXT, "–", Owner::Spark, "file whose content, in Base64, is the secret; contradicts the row above"),
    authentication("spark.authenticate.secret.driver.file", TEXT, "previous row", Owner::Spark, "the same for a driver"),
    authentication("spark.authenticate.secret.executor.file", TEXT, "two rows up", Owner::Spark, "the same for an executor"),
    authentication("spark.rpc.security.user", TEXT, "sparkSaslUser", Owner::Own, "as whom this env authenticates, and whose secret it is"),
    authentication("spark.rpc.security.defaults", "strong, spark", "strong", Owner::Own, "what counts where the six rows below are not set: what they say, or with `spark` what they say of Spark, so that a file made for Spark means the same here"),
    authentication("spark.network.crypto.enabled", SWITCH, "true with `spark.authenticate`, unless SASL encryption is named", Owner::Spark, "the auth engine; `false` leaves SASL DIGEST-MD5, without encryption unless that is named (Spark: false)"),
    authentication("spark.network.crypto.authEngineVersion", "1, 2", "2", Owner::Spark, "how the session key is made; both sides must agree (Spark: 1)"),
    authentication("spark.network.crypto.cipher", "AES/GCM/NoPadding, AES/CTR/NoPadding", "AES/GCM/NoPadding; none within TLS", Owner::Spark, "what encrypts connections; both sides must agree (Spark: AES/CTR/NoPadding, which nobody notices being altered)"),
    authentication("spark.network.crypto.saslFallback", SWITCH, "false", Owner::Spark, "whether SASL DIGEST-MD5 serves peers that do not know the auth engine (Spark: true)"),
    authentication("spark.authenticate.enableSaslEncryption", SWITCH, "false", Owner::Spark, "SASL with 3DES, and without the auth engine unless `crypto.enabled` is true too (Spark: false, also as fallback)"),
    authentication("spark.network.sasl.serverAlwaysEncrypt", SWITCH, "the row above", Owner::Spark, "whether a server takes nothing less than that (Spark: false)"),
    authentication("spark.network.sasl.maxEncryptedBlockSize", SIZE, "64k", Owner::Spark, "plaintext in one block of SASL encryption"),
    authentication("spark.network.auth.rpcTimeout", TIME_S, "spark.rpc.sasl.timeout", Owner::Spark, "time limit of each answer during authentication, and of a client's TLS handshake"),
    authentication("spark.rpc.sasl.timeout", TIME_S, "30s", Owner::Spark, "default of the row above"),
    authentication("spark.ssl.rpc.enabled", SWITCH, "false", Owner::Spark, "TLS around everything; contradicts `crypto.enabled`. The other keys of `spark.ssl.rpc.` fall back to `spark.ssl.`: `privateKey`, `privateKeyPassword` and `certChain` in PEM, or `keyStore` and `keyStorePassword` in PKCS#12, `trustStore`, `trustStorePassword`, `protocol`, `enabledAlgorithms`"),
    authentication("spark.ssl.rpc.trustStoreReloadingEnabled", SWITCH, "false", Owner::Spark, "whether a trust store that changes is loaded anew; connections that are open live on"),
    authentication("spark.ssl.rpc.trustStoreReloadIntervalMs", NUMBER, "10000", Owner::Spark, "how often it is looked at, in milliseconds"),
    authentication("spark.rpc.security.reloadInterval", TIME_S, "10s", Owner::Own, "how often the files of the own key and certificates are looked at, and loaded anew if they have changed; 0: never"),
    authentication("spark.rpc.security.checkNames", SWITCH, "false", Owner::Own, "whether a server's certificate must name the host that was connected to"),
    authentication("spark.rpc.security.clientCertificates", SWITCH, "false", Owner::Own, "whether clients must show a certificate that the trust store vouches for"),
    authentication("spark.rpc.security.allowUnprotected", SWITCH, "false", Owner::Own, "whether an env may listen beyond loopback with neither a secret nor TLS"),
    // Addresses of a driver
    address("spark.driver.host", TEXT, "the local host name", "advertised_host", "host that others are told"),
    address("spark.driver.bindAddress", TEXT, "spark.driver.host", "bind_host", "host that is bound"),
    address("spark.driver.port", NUMBER, "0", "port", "port that is bound, 1024 to 65535; 0: a free one"),
    // Without effect
    ignored("spark.rpc.io.numConnectionsPerPeer", "an RPC env uses one connection per peer, in Spark too, which keeps messages in order"),
    ignored("spark.rpc.io.threads", ONE_RUNTIME),
    ignored("spark.rpc.io.serverThreads", ONE_RUNTIME),
    ignored("spark.rpc.io.clientThreads", ONE_RUNTIME),
    ignored("spark.driver.rpc.io.serverThreads", ONE_RUNTIME),
    ignored("spark.driver.rpc.io.clientThreads", ONE_RUNTIME),
    ignored("spark.executor.rpc.io.serverThreads", ONE_RUNTIME),
    ignored("spark.executor.rpc.io.clientThreads", ONE_RUNTIME),
    ignored("spark.files.io.threads", ONE_RUNTIME),
    ignored("spark.io.mode.default", IO_MODE),
    ignored("spark.rpc.io.mode", IO_MODE),
    ignored("spark.rpc.io.preferDirectBufs", BUFFERS),
    ignored("spark.network.io.preferDirectBufs", BUFFERS),
    ignored("spark.network.sharedByteBufAllocators.enabled", BUFFERS),
    ignored("spark.rpc.io.enableVerboseMetrics", "it measures the allocators of a library that is not used here"),
    ignored("spark.rpc.io.maxRetries", FETCHES),
    ignored("spark.rpc.io.lazyFD", "there is no choice of when a file is opened"),
    ignored("spark.storage.memoryMapThreshold", "no file is mapped into memory"),
    ignored("spark.shuffle.server.chunkFetchHandlerThreadsPercent", CHUNKS),
    ignored("spark.blockManager.port", "there is no block transfer server"),
    ignored("spark.network.timeoutInterval", "it paces a driver's search for dead executors"),
    ignored("spark.serializer.objectStreamReset", JAVA_STREAM),
    ignored("spark.serializer.extraDebugInfo", "messages are not serialized by reflection, so no field can turn out unserializable"),
];

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
