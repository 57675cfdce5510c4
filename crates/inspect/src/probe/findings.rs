//! What a look at a peer has found.

use std::time::{Duration, SystemTime};

use spark_rpc_auth::engine::{EngineVersion, SessionCipher};
use spark_rpc_javaobj::Profile;
use spark_rpc_net::SocketName;
use spark_rpc_wire::ForeignProtocol;

/// What a look at a peer has found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Findings {
    /// Where.
    pub address: SocketName,
    /// How long the first connect took, name resolution included.
    pub connected_in: Duration,
    /// What is there.
    pub listening: Listening,
    /// The TLS around everything else, if there is any.
    pub tls: Option<TlsFound>,
    /// Whether and how one proves who one is.
    pub authentication: Authentication,
    /// Who it is, if that could be asked.
    pub peer: Option<Peer>,
    /// The well-known endpoints, if they could be asked for.
    pub endpoints: Vec<Endpoint>,
    /// How long each of these questions took.
    pub round_trips: Vec<Duration>,
}

impl Findings {
    pub(super) fn new(address: &SocketName, connected_in: Duration, secret_given: bool) -> Self {
        Self {
            address: address.clone(),
            connected_in,
            listening: Listening::Silent,
            tls: None,
            authentication: Authentication {
                secret_given,
                ..Authentication::default()
            },
            peer: None,
            endpoints: Vec::new(),
            round_trips: Vec::new(),
        }
    }
}

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listening {
    /// An env that speaks Spark's RPC.
    Spark,
    /// Something that speaks in Spark's frames and is no env, such as a shuffle service.
    Transport {
        /// What it said.
        text: String,
    },
    /// TLS, inside of which nothing of Spark was found.
    Tls,
    /// A server of another protocol.
    Other(ForeignProtocol),
    /// Something that answers with bytes that nobody here knows.
    Unknown {
        /// The first of them.
        first: Vec<u8>,
    },
    /// Something that hangs up.
    Closes,
    /// Something that says nothing.
    Silent,
}

impl Listening {
    pub(super) fn of(first: &[u8]) -> Self {
        match ForeignProtocol::recognise(first) {
            Some(ForeignProtocol::Tls) => Self::Tls,
            Some(other) => Self::Other(other),
            // A TLS alert: what a TLS server says to other protocols.
            None if first.starts_with(&[0x15, 0x03]) => Self::Tls,
            None => Self::Unknown {
                first: first[..first.len().min(16)].to_vec(),
            },
        }
    }
}

/// TLS that was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsFound {
    /// Such as `TLSv1.3`, and the cipher suite.
    pub protocol: String,
    /// Whom the certificate names.
    pub subject: Option<String>,
    /// Until when it is valid.
    pub not_after: Option<SystemTime>,
    /// Whether the caller trusts it.
    pub trust: Trust,
}

/// Whether a certificate is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nobody has said whom to trust.
    NotAsked,
    /// It is.
    Trusted,
    /// It is not.
    Refused(String),
}

/// Whether and how one proves who one is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Authentication {
    /// Whether that is wanted; `None` if it could not be found out.
    pub wanted: Option<bool>,
    /// What the server accepts for it.
    pub mechanisms: Vec<Mechanism>,
    /// Whether a secret was given.
    pub secret_given: bool,
    /// What has worked with the given secret.
    pub proof: Option<Proof>,
    /// What has not.
    pub refused: Option<Refused>,
}

impl Authentication {
    /// What SASL offers, if it is accepted.
    pub fn sasl(&self) -> Option<&str> {
        self.mechanisms.iter().find_map(|mechanism| match mechanism {
            Mechanism::Sasl { qop } => Some(&**qop),
            Mechanism::Engine => None,
        })
    }

    /// Whether the auth engine is accepted.
    pub fn engine(&self) -> bool {
        self.mechanisms.contains(&Mechanism::Engine)
    }

    pub(super) fn set_qop(&mut self, found: &str) {
        for mechanism in &mut self.mechanisms {
            if let Mechanism::Sasl { qop } = mechanism {
                found.clone_into(qop);
            }
        }
    }
}

/// A way to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// Spark's auth engine. Its version and the cipher are not announced.
    Engine,
    /// SASL DIGEST-MD5.
    Sasl {
        /// What it offers: `auth` leaves the connection in the clear, `auth-conf` encrypts it. Empty if it did not say.
        qop: String,
    },
}

/// A version of the auth engine and the cipher after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engine {
    /// The version.
    pub version: EngineVersion,
    /// The cipher.
    pub cipher: SessionCipher,
}

impl Engine {
    /// All that there are: Spark's default, then the best, then the others.
    pub const ALL: [Self; 4] = [
        Self::of(EngineVersion::V1, SessionCipher::AesCtr),
        Self::of(EngineVersion::V2, SessionCipher::AesGcm),
        Self::of(EngineVersion::V1, SessionCipher::AesGcm),
        Self::of(EngineVersion::V2, SessionCipher::AesCtr),
    ];

    /// A version with a cipher.
    #[must_use]
    pub const fn of(version: EngineVersion, cipher: SessionCipher) -> Self {
        Self { version, cipher }
    }
}

/// How the given secret was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// By the auth engine, which encrypts afterwards.
    Engine(Engine),
    /// By the auth engine inside of TLS, which encrypts already.
    EngineInsideTls,
    /// By SASL, with encryption or without.
    Sasl {
        /// Whether the connection is encrypted afterwards.
        encrypted: bool,
    },
}

/// Why the given secret did not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The peer says no: the secret is another one.
    Secret {
        /// What it said.
        text: String,
    },
    /// There is only SASL for it, and the caller does not want that.
    NotShown,
    /// The handshakes succeeded, but no version and cipher of the engine was understood afterwards.
    NothingFits,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Peer {
    /// A JVM with Spark.
    Jvm {
        /// The versions that have the ids that it has shown; none if that is a version of which nothing is known.
        versions: Vec<&'static str>,
        /// Its line of Scala, if all of these agree on it.
        scala: Option<&'static str>,
        /// The ids that it has shown.
        ids: Vec<(String, i64)>,
    },
    /// An env of this project.
    Rust,
}

impl Peer {
    pub(super) fn scala_of(profiles: &[&Profile]) -> Option<&'static str> {
        let name = |profile: &&Profile| match profile.scala() {
            spark_rpc_javaobj::Scala::V2_12 => "2.12",
            spark_rpc_javaobj::Scala::V2_13 => "2.13",
        };
        let first = profiles.first().map(name)?;
        profiles
            .iter()
            .all(|profile| name(profile) == first)
            .then_some(first)
    }
}

/// A well-known endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its name.
    pub name: &'static str,
    /// Which process has it.
    pub role: &'static str,
    /// Whether it is there.
    pub exists: bool,
}
