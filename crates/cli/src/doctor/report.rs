//! What was found, for programs.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use spark_rpc_inspect::probe::{EngineVersion, Findings, Listening, Mechanism, Peer, Proof, Refused, Trust};

/// The one object that `--json` prints. What is not known is null.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    address: String,
    connect_us: u64,
    listening: &'static str,
    said: Option<String>,
    tls: Option<Tls<'a>>,
    authentication: Authentication<'a>,
    peer: Option<&'static str>,
    spark: Option<&'a [&'static str]>,
    scala: Option<&'static str>,
    class_ids: Option<std::collections::BTreeMap<&'a str, i64>>,
    endpoints: Option<std::collections::BTreeMap<&'static str, bool>>,
    round_trip_us: Option<RoundTrip>,
    advice: &'a [String],
}

#[derive(Debug, Serialize)]
struct Tls<'a> {
    protocol: &'a str,
    subject: Option<&'a str>,
    not_after_s: Option<u64>,
    trusted: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Authentication<'a> {
    wanted: Option<bool>,
    mechanisms: Vec<&'static str>,
    sasl_qop: Option<&'a str>,
    succeeded: Option<String>,
    refused: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct RoundTrip {
    min: u64,
    median: u64,
}

impl<'a> Report<'a> {
    pub(super) fn new(found: &'a Findings, advice: &'a [String]) -> Self {
        let (spark, scala, class_ids) = match &found.peer {
            Some(Peer::Jvm { versions, scala, ids }) => {
                let ids = ids.iter().map(|(class, id)| (&**class, *id)).collect();
                (Some(&**versions), *scala, Some(ids))
            }
            _ => (None, None, None),
        };
        let endpoints = found
            .endpoints
            .iter()
            .map(|endpoint| (endpoint.name, endpoint.exists));
        Self {
            address: format!("{}:{}", found.address.host, found.address.port),
            connect_us: us(found.connected_in),
            listening: kind(&found.listening),
            said: match &found.listening {
                Listening::Transport { text } => Some(text.clone()),
                Listening::Unknown { first } => Some(first.escape_ascii().to_string()),
                _ => None,
            },
            tls: found.tls.as_ref().map(|tls| Tls {
                protocol: &tls.protocol,
                subject: tls.subject.as_deref(),
                not_after_s: tls
                    .not_after
                    .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
                    .map(|time| time.as_secs()),
                trusted: match &tls.trust {
                    Trust::NotAsked => None,
                    Trust::Trusted => Some(true),
                    Trust::Refused(_) => Some(false),
                },
            }),
            authentication: Authentication {
                wanted: found.authentication.wanted,
                mechanisms: found
                    .authentication
                    .mechanisms
                    .iter()
                    .filter_map(mechanism)
                    .collect(),
                sasl_qop: found.authentication.sasl(),
                succeeded: found.authentication.proof.map(proof),
                refused: found
                    .authentication
                    .refused
                    .as_ref()
                    .map(|refused| match refused {
                        Refused::Secret { text } => &**text,
                        Refused::NotShown => "not shown: only SASL is accepted",
                        _ => "no version and cipher of the engine fits",
                    }),
            },
            peer: match &found.peer {
                Some(Peer::Jvm { .. }) => Some("jvm"),
                Some(Peer::Rust) => Some("spark-rpc"),
                _ => None,
            },
            spark,
            scala,
            class_ids,
            endpoints: (!found.endpoints.is_empty()).then(|| endpoints.collect()),
            round_trip_us: super::view::min_and_median(&found.round_trips).map(|(min, median)| RoundTrip {
                min: us(min),
                median: us(median),
            }),
            advice,
        }
    }
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn kind(listening: &Listening) -> &'static str {
    use spark_rpc_inspect::probe::ForeignProtocol;
    match listening {
        Listening::Spark => "spark",
        Listening::Transport { .. } => "spark_transport",
        Listening::Tls => "tls",
        Listening::Other(ForeignProtocol::Http1 | ForeignProtocol::Http2) => "http",
        Listening::Other(ForeignProtocol::Ssh) => "ssh",
        Listening::Closes => "closes",
        Listening::Silent => "silent",
        _ => "unknown",
    }
}

fn mechanism(mechanism: &Mechanism) -> Option<&'static str> {
    match mechanism {
        Mechanism::Engine => Some("auth_engine"),
        Mechanism::Sasl { .. } => Some("sasl_digest_md5"),
        _ => None,
    }
}

/// A proof in a word.
pub(super) fn proof(proof: Proof) -> String {
    match proof {
        Proof::Engine(engine) => {
            format!(
                "auth engine {}, {}",
                match engine.version {
                    EngineVersion::V1 => 1,
                    EngineVersion::V2 => 2,
                },
                engine.cipher.spark_name()
            )
        }
        Proof::EngineInsideTls => "auth engine inside of TLS".to_owned(),
        Proof::Sasl { encrypted: true } => "SASL DIGEST-MD5, encrypted".to_owned(),
        Proof::Sasl { encrypted: false } => "SASL DIGEST-MD5, in the clear".to_owned(),
        _ => "in a way of its own".to_owned(),
    }
}
