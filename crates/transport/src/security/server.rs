//! The accepting side's authentication.

use std::sync::Arc;

use spark_rpc_auth::Secret;
use spark_rpc_auth::engine::{AuthMessage, Challenge};
use spark_rpc_auth::sasl::{Protection, SaslMessage, SaslMessageError, SaslServer};
use spark_rpc_net::{BoxFuture, Stream};
use spark_rpc_wire::RequestId;

use super::gate::{GateError, Passed, ServerGate};
use super::options::{AuthOptions, EngineOptions, SaslOptions, SecretKeyHolder};
use super::session::Session;
use super::talk::Talk;
use crate::bootstrap::ServerBootstrap;

/// Lets in who knows a secret (Spark's `AuthServerBootstrap` and `SaslServerBootstrap`).
///
/// The first message decides between the auth engine and SASL, each only where the options allow it. A peer that fails is
/// told that it failed, and nothing else.
#[derive(Clone, Debug)]
pub struct AuthServerBootstrap {
    secrets: Arc<dyn SecretKeyHolder>,
    options: AuthOptions,
}

impl AuthServerBootstrap {
    /// Lets in the users whose secrets `secrets` knows.
    #[must_use]
    pub fn new(secrets: Arc<dyn SecretKeyHolder>, options: AuthOptions) -> Self {
        Self { secrets, options }
    }

    async fn authenticate(&self, stream: Box<dyn Stream>) -> Result<Passed, GateError> {
        let mut talk = Talk::serving(stream);
        match self.converse(&mut talk).await {
            Ok((session, user)) => Ok(session.into_passed(talk.into_stream(), &user)),
            Err((error, said)) => {
                if let Some((id, text)) = said {
                    // If he does not even hear it: what he did is worth more in a log.
                    let _ = talk.refuse(id, text).await;
                }
                Err(error)
            }
        }
    }

    async fn converse(&self, talk: &mut Talk) -> Result<(Session, String), Refusal> {
        let mut unlike = None;
        // A client that tries the auth engine first where there is only SASL gets a second try, as in Spark.
        for _ in 0..MOST_TRIES {
            let (id, body) = match talk.challenge().await {
                Ok(challenge) => challenge,
                // He has taken the answer for the end of it.
                Err(GateError::Closed) if unlike.is_some() => break,
                Err(error) => return Err(silently(error)),
            };
            if let Some(engine) = &self.options.engine {
                match Challenge::decode(&body) {
                    Ok(challenge) => return self.engine(talk, id, &challenge, engine).await,
                    Err(_) if self.options.sasl.is_some() => {}
                    Err(_) => return Err((not_allowed(&body), Some((id, NO_CHALLENGE)))),
                }
            }
            let Some(sasl) = &self.options.sasl else {
                let error = GateError::Mechanism("neither the auth engine nor SASL is switched on");
                return Err((error, Some((id, FAILED))));
            };
            match SaslMessage::decode(&body) {
                Ok(first) => return self.sasl(talk, id, &first, sasl).await,
                Err(error @ SaslMessageError::NotOurs { .. }) => {
                    talk.fail(id, &error.to_string()).await.map_err(silently)?;
                    unlike = Some(not_sasl(&body));
                }
                Err(error) => return Err((error.into(), Some((id, FAILED)))),
            }
        }
        Err(silently(unlike.unwrap_or(GateError::Closed)))
    }

    async fn engine(
        &self,
        talk: &mut Talk,
        id: RequestId,
        challenge: &Challenge,
        options: &EngineOptions,
    ) -> Result<(Session, String), Refusal> {
        let failed = |error: GateError| (error, Some((id, FAILED)));
        let user = challenge.app_id();
        let secret = self.secret(user).map_err(failed)?;
        let (session, response) = challenge
            .accept(&secret, options.version)
            .map_err(|error| failed(error.into()))?;
        // The response goes out in the clear; everything after it, in both directions, is encrypted.
        talk.answer(id, response).await.map_err(silently)?;
        Ok((Session::engine(session, options), user.to_owned()))
    }

    async fn sasl(
        &self,
        talk: &mut Talk,
        id: RequestId,
        first: &SaslMessage<'_>,
        options: &SaslOptions,
    ) -> Result<(Session, String), Refusal> {
        let user = first.app_id;
        let least = if options.always_encrypt {
            Protection::Encryption
        } else {
            Protection::Authentication
        };
        let failed = |id| move |error: GateError| (error, Some((id, FAILED)));
        let secret = self.secret(user).map_err(failed(id))?;
        let (server, challenge) =
            SaslServer::start(first.token, user, &secret, least).map_err(|error| failed(id)(error.into()))?;
        talk.answer(id, challenge).await.map_err(silently)?;

        let (id, body) = talk.challenge().await.map_err(|error| match error {
            GateError::Closed if options.always_encrypt => silently(GateError::Mechanism(ONLY_ENCRYPTED)),
            error => silently(error),
        })?;
        let response = SaslMessage::decode(&body).map_err(|error| failed(id)(error.into()))?;
        if response.app_id != user {
            let user = response.app_id.to_owned();
            return Err(failed(id)(GateError::UnknownUser { user }));
        }
        let (session, last) = server
            .finish(response.token)
            .map_err(|error| failed(id)(error.into()))?;
        talk.answer(id, last).await.map_err(silently)?;
        Ok((Session::sasl(session, options), user.to_owned()))
    }

    fn secret(&self, user: &str) -> Result<Secret, GateError> {
        self.secrets.secret(user).ok_or_else(|| GateError::UnknownUser {
            user: user.to_owned(),
        })
    }
}

impl ServerBootstrap for AuthServerBootstrap {
    fn gate(&self) -> Option<&dyn ServerGate> {
        Some(self)
    }
}

impl ServerGate for AuthServerBootstrap {
    fn pass(&self, stream: Box<dyn Stream>) -> BoxFuture<'_, Result<Passed, GateError>> {
        Box::pin(self.authenticate(stream))
    }
}

/// Why somebody is not let in, and what is said to whom who waits for an answer.
type Refusal = (GateError, Option<(RequestId, &'static str)>);

fn silently(error: GateError) -> Refusal {
    (error, None)
}

/// What a peer tried where there is only the auth engine.
fn not_allowed(body: &[u8]) -> GateError {
    GateError::Mechanism(match body.first() {
        Some(&SaslMessage::TAG) => {
            "it wants SASL DIGEST-MD5; set spark.network.crypto.enabled = true there, as is Spark's way to use the auth \
             engine, or allow SASL here by spark.network.crypto.saslFallback = true"
        }
        Some(&AuthMessage::TAG) => "its challenge for the auth engine is malformed",
        _ => NOTHING,
    })
}

/// What a peer tried where there is only SASL.
fn not_sasl(body: &[u8]) -> GateError {
    GateError::Mechanism(match body.first() {
        Some(&AuthMessage::TAG) => {
            "it wants the auth engine and nothing else; set spark.network.crypto.enabled = true here, or allow it SASL by \
             spark.network.crypto.saslFallback = true there"
        }
        _ => NOTHING,
    })
}

const ONLY_ENCRYPTED: &str = "it hung up when it was offered SASL with encryption only; set \
                              spark.authenticate.enableSaslEncryption = true there, or \
                              spark.network.sasl.serverAlwaysEncrypt = false and enableSaslEncryption = false here";
const NOTHING: &str = "it sent a request without authentication; spark.authenticate must be true there, with the same \
                       secret, as it is here";
/// The most requests before SASL has begun.
const MOST_TRIES: usize = 4;
/// What somebody is told who speaks no word of the auth engine, where there is nothing else. It begins as Spark's does.
const NO_CHALLENGE: &str = "Unknown challenge message. This server wants spark.authenticate = true and \
                            spark.network.crypto.enabled = true, with the authEngineVersion and cipher that it has.";
/// All that somebody is told who fails.
const FAILED: &str = "Authentication failed.";
