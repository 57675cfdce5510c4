//! Authentication, as far as it takes to find out what is accepted.

use std::hash::{BuildHasher, Hasher, RandomState};

use spark_rpc_auth::Secret;
use spark_rpc_auth::engine::{ClientHandshake, EngineSession, EngineVersion};
use spark_rpc_auth::sasl::{Protection, SaslClient, SaslMessage};

use super::findings::{Authentication, Engine, Proof, Refused};
use super::line::{Heard, Line};

/// A challenge of the auth engine under a secret that nobody has: who has the engine says that it is wrong.
pub(super) fn hopeless_challenge(user: &str) -> Vec<u8> {
    let random = || RandomState::new().build_hasher().finish();
    let secret = Secret::new(format!("{:016x}{:016x}", random(), random())).ok();
    let begun = secret.and_then(|secret| ClientHandshake::start(user, &secret, EngineVersion::V2).ok());
    begun.map(|(_, challenge)| challenge).unwrap_or_default()
}

/// What begins SASL. The server tells what it offers.
pub(super) fn sasl_opening(user: &str) -> Vec<u8> {
    wrap(user, b"")
}

fn wrap(user: &str, token: &[u8]) -> Vec<u8> {
    SaslMessage { app_id: user, token }.encode()
}

/// What a server's SASL offers for the connection: `auth-conf,auth`.
pub(super) fn qop(token: &[u8]) -> String {
    let text = String::from_utf8_lossy(token);
    let value = text
        .split_once("qop=\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    value.map_or_else(String::new, |(value, _)| {
        value.chars().filter(|c| !c.is_control()).collect()
    })
}

/// The ways to prove a secret, the likeliest first.
pub(super) fn attempts(found: &Authentication, inside_tls: bool, engines: &[Engine]) -> Vec<Proof> {
    if found.engine() {
        let inside_tls = inside_tls.then_some(Proof::EngineInsideTls);
        let encrypting = engines.iter().copied().map(Proof::Engine);
        inside_tls.into_iter().chain(encrypting).collect()
    } else if let Some(qop) = found.sasl() {
        vec![Proof::Sasl {
            encrypted: qop.contains("auth-conf"),
        }]
    } else {
        Vec::new()
    }
}

/// Proves the secret, and encrypts from then on as is proposed.
pub(super) async fn prove(
    mut line: Line,
    user: &str,
    secret: &Secret,
    proof: Proof,
) -> Result<Line, Refused> {
    match proof {
        Proof::Engine(engine) => {
            let session = key_exchange(&mut line, user, secret, engine.version).await?;
            line.encrypt(session.into_ciphers(engine.cipher));
        }
        Proof::EngineInsideTls => {
            key_exchange(&mut line, user, secret, EngineVersion::V2).await?;
        }
        Proof::Sasl { encrypted } => {
            let protection = if encrypted {
                Protection::Encryption
            } else {
                Protection::Authentication
            };
            let client = SaslClient::new(user, secret, protection);
            let challenge = token(&mut line, wrap(user, b"")).await?;
            let (proof, response) = client.respond(&challenge).map_err(refused)?;
            let last = token(&mut line, wrap(user, &response)).await?;
            let session = proof.finish(&last).map_err(refused)?;
            if let Some(ciphers) = session.into_ciphers(BLOCK, BLOCK) {
                line.encrypt(ciphers);
            }
        }
    }
    Ok(line)
}

async fn key_exchange(
    line: &mut Line,
    user: &str,
    secret: &Secret,
    version: EngineVersion,
) -> Result<EngineSession, Refused> {
    let (handshake, challenge) = ClientHandshake::start(user, secret, version).map_err(refused)?;
    let response = token(line, challenge).await?;
    handshake.finish(&response).map_err(refused)
}

async fn token(line: &mut Line, body: Vec<u8>) -> Result<bytes::Bytes, Refused> {
    match line.ask(body).await {
        Ok(Heard::Response(token)) => Ok(token),
        Ok(Heard::Failure(text)) => Err(refused(text.lines().next().unwrap_or_default())),
        Err(_) => Err(refused("it hung up")),
    }
}

fn refused(text: impl std::fmt::Display) -> Refused {
    Refused::Secret {
        text: text.to_string(),
    }
}

/// Spark's default for a SASL block.
const BLOCK: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sasl_offers_is_read_out_of_its_challenge() {
        let token = br#"realm="default",nonce="x",qop="auth-conf,auth",charset=utf-8,algorithm=md5-sess"#;
        assert_eq!(qop(token), "auth-conf,auth");
        for other in [&b""[..], b"qop=", b"qop=\"auth", b"\xff"] {
            assert_eq!(qop(other), "", "{other:?}");
        }
    }
}
