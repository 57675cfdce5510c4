//! The connecting side's authentication.

use std::sync::Arc;

use spark_rpc_auth::Secret;
use spark_rpc_auth::engine::ClientHandshake;
use spark_rpc_auth::sasl::{Protection, SaslClient, SaslMessage};
use spark_rpc_net::{BoxFuture, Stream};

use super::gate::{ClientGate, GateError, Passed};
use super::options::{AuthOptions, EngineOptions, SaslOptions, SecretKeyHolder};
use super::session::Session;
use super::talk::Talk;
use crate::bootstrap::ClientBootstrap;

/// Authenticates on each connection that this side opens (Spark's `AuthClientBootstrap` and `SaslClientBootstrap`).
///
/// Both sides prove that they know the user's secret. With the auth engine everything afterwards is encrypted. If the
/// server refuses the engine, SASL follows on the same connection where the options allow it, and only there.
#[derive(Clone, Debug)]
pub struct AuthClientBootstrap {
    user: String,
    secrets: Arc<dyn SecretKeyHolder>,
    options: AuthOptions,
}

impl AuthClientBootstrap {
    /// Authenticates as `user`, which is `sparkSaslUser` between `RpcEnv`s.
    #[must_use]
    pub fn new(user: impl Into<String>, secrets: Arc<dyn SecretKeyHolder>, options: AuthOptions) -> Self {
        Self {
            user: user.into(),
            secrets,
            options,
        }
    }

    async fn authenticate(&self, stream: Box<dyn Stream>) -> Result<Passed, GateError> {
        let secret = self
            .secrets
            .secret(&self.user)
            .ok_or_else(|| GateError::UnknownUser {
                user: self.user.clone(),
            })?;
        let mut talk = Talk::connecting(stream);
        let with_sasl = self.options.sasl.is_some();
        let mut refused = None;
        if let Some(engine) = &self.options.engine {
            match self.engine(&mut talk, &secret, engine).await {
                Ok(session) => return Ok(session.into_passed(talk.into_stream(), &self.user)),
                Err(error @ GateError::Refused { .. }) if with_sasl => {
                    tracing::info!(%error, "the server refuses the auth engine; trying SASL");
                    refused = Some(error);
                }
                Err(GateError::Refused { text }) => {
                    return Err(explained(
                        text,
                        Tried::Engine {
                            tls: engine.cipher.is_none(),
                        },
                    ));
                }
                Err(error) => return Err(error),
            }
        }
        let Some(sasl) = &self.options.sasl else {
            return Err(GateError::Mechanism(
                "neither the auth engine nor SASL is switched on",
            ));
        };
        match self.sasl(&mut talk, &secret, sasl).await {
            Ok(session) => Ok(session.into_passed(talk.into_stream(), &self.user)),
            // A server that refuses a secret hangs up: the reason is what it said before.
            Err(error @ (GateError::Closed | GateError::Socket(_))) => match refused {
                Some(GateError::Refused { text }) => Err(explained(text, Tried::Both)),
                _ => Err(error),
            },
            Err(GateError::Refused { text }) if refused.is_some() => Err(explained(text, Tried::Both)),
            Err(GateError::Refused { text }) => Err(explained(text, Tried::Sasl)),
            Err(error) => Err(error),
        }
    }

    async fn engine(
        &self,
        talk: &mut Talk,
        secret: &Secret,
        options: &EngineOptions,
    ) -> Result<Session, GateError> {
        let (handshake, challenge) = ClientHandshake::start(&self.user, secret, options.version)?;
        let response = self.limited(talk.ask(challenge)).await?;
        let session = handshake.finish(&response)?;
        Ok(Session::engine(session, options))
    }

    async fn sasl(
        &self,
        talk: &mut Talk,
        secret: &Secret,
        options: &SaslOptions,
    ) -> Result<Session, GateError> {
        let protection = if options.encrypt {
            Protection::Encryption
        } else {
            Protection::Authentication
        };
        let wrap = |token: &[u8]| {
            let app_id = &self.user;
            SaslMessage { app_id, token }.encode()
        };
        let client = SaslClient::new(&self.user, secret, protection);
        let challenge = self.limited(talk.ask(wrap(b""))).await?;
        let (proof, response) = client.respond(&challenge)?;
        let last = self.limited(talk.ask(wrap(&response))).await?;
        Ok(Session::sasl(proof.finish(&last)?, options))
    }

    async fn limited<T>(&self, work: impl Future<Output = Result<T, GateError>>) -> Result<T, GateError> {
        let limit = self.options.timeout;
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(GateError::TimedOut {
                limit,
                setting: "spark.network.auth.rpcTimeout".to_owned(),
            })
        })
    }
}

/// What this side has tried when it was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tried {
    /// `tls`: within TLS, and without a cipher of its own.
    Engine {
        tls: bool,
    },
    Sasl,
    Both,
}

/// Says which settings to look at. Nothing but the texts of servers, JVMs and our own, tells why they refuse.
fn explained(text: String, tried: Tried) -> GateError {
    let says = |words: &str| text.contains(words);
    let advice = if says("Authentication failed") || says("digest response format violation") {
        "most likely the secret there is another one"
    } else if says("Expected SaslMessage") && tried == (Tried::Engine { tls: true }) {
        "it speaks SASL only, as JVMs do within TLS: set spark.network.crypto.enabled = false here too, or \
         spark.rpc.security.defaults = spark"
    } else if says("Expected SaslMessage") && matches!(tried, Tried::Engine { .. }) {
        "it speaks SASL only, as JVMs do that have spark.authenticate and not spark.network.crypto.enabled: set that to \
         true there, with the authEngineVersion and cipher of this side; or allow SASL here, by \
         spark.network.crypto.saslFallback = true or spark.rpc.security.defaults = spark"
    } else if says("Unknown challenge message") && tried == Tried::Sasl {
        "it speaks the auth engine only: set spark.network.crypto.enabled = true here, or allow SASL there by \
         spark.network.crypto.saslFallback = true"
    } else {
        "it may not authenticate at all: spark.authenticate must be true on both sides, or on neither"
    };
    GateError::Unlike { text, advice }
}

impl ClientBootstrap for AuthClientBootstrap {
    fn name(&self) -> &'static str {
        "authentication"
    }

    fn gate(&self) -> Option<&dyn ClientGate> {
        Some(self)
    }
}

impl ClientGate for AuthClientBootstrap {
    fn pass<'a>(
        &'a self,
        stream: Box<dyn Stream>,
        _host: &'a str,
    ) -> BoxFuture<'a, Result<Passed, GateError>> {
        Box::pin(self.authenticate(stream))
    }
}
