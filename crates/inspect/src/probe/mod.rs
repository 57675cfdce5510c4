//! Finds out what listens at an address, from outside and without disturbing it.
//!
//! [`examine`] asks a few questions, each of which a healthy peer answers by itself, before any endpoint's own code:
//!
//! | Question | Answer | What the peer notices |
//! | --- | --- | --- |
//! | a request to `endpoint-verifier` whose object has a class id that no version has | a JVM names the id that it has, and that tells its version; one that wants authentication says so; other protocols show themselves | a JVM logs one error with a stack trace |
//! | the same natively: does `endpoint-verifier` exist? Only to those that are no JVM | yes, from an env of ours | nothing |
//! | TLS, to those that hang up at, or answer with an alert to, anything else | a certificate; the questions are asked again inside | a handshake |
//! | a challenge of the auth engine under a secret that nobody has | whether the engine is there | one failed authentication in its log |
//! | a SASL exchange that is not gone on with | what SASL offers | nothing |
//! | with a secret, a handshake under it, and a question | whether the secret is right; which version and cipher of the engine fit, which no server announces | one connection for each combination that does not fit, at most four |
//! | does an endpoint of this name exist? For each of [`WELL_KNOWN`] | what the peer is; the time of a round trip | nothing |
//! | `GET /`, to those that say nothing | an HTTP server | a request |
//!
//! A second object with a wrong id is sent where the first leaves a choice between versions. There is at most one
//! connection at a time, no message reaches an endpoint other than the verifier, and every wait has a limit.

mod advice;
mod findings;
mod line;
mod question;
mod session;
mod version;

use std::time::{Duration, Instant};

use spark_rpc_auth::Secret;
use spark_rpc_auth::tls::SslSettings;
use spark_rpc_net::{Network, SocketName};

pub use advice::advice;
pub use findings::{
    Authentication, Endpoint, Engine, Findings, Listening, Mechanism, Peer, Proof, Refused, TlsFound, Trust,
};
pub use spark_rpc_auth::engine::{EngineVersion, SessionCipher};
pub use spark_rpc_wire::ForeignProtocol;

use line::{Heard, Line, LineError};
use question::Answer;
use version::Versions;

/// Where to look, and how long and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// Host and port.
    pub address: SocketName,
    /// How long each connect, handshake and answer may take.
    pub patience: Duration,
    /// The secret, if the peer's is known.
    pub secret: Option<Secret>,
    /// Who knows the secret; `sparkSaslUser` between envs.
    pub user: String,
    /// Which versions and ciphers of the engine to try, the likeliest first.
    pub engines: Vec<Engine>,
    /// Whether to prove the secret by SASL, too, where there is nothing better. Who listens in or plays the server can then
    /// try out secrets at leisure.
    pub sasl: bool,
    /// Whom to trust with TLS. Certificates are looked at without it, too.
    pub tls: Option<SslSettings>,
    /// Whether a certificate must name the host.
    pub check_names: bool,
}

impl Target {
    /// Looks without a secret.
    #[must_use]
    pub fn new(address: SocketName, patience: Duration) -> Self {
        Self {
            address,
            patience,
            secret: None,
            user: "sparkSaslUser".to_owned(),
            engines: Engine::ALL.to_vec(),
            sasl: false,
            tls: None,
            check_names: false,
        }
    }
}

/// Why nothing was found out at all.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nobody could be connected to.
    Unreachable(std::io::Error),
    /// Nobody could be connected to in time.
    TimedOut(Duration),
}

impl std::fmt::Display for ProbeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "nothing listens there: {error}"),
            Self::TimedOut(limit) => write!(f, "no connection within {} ms", limit.as_millis()),
        }
    }
}

impl std::error::Error for ProbeError {}

/// Names of endpoints that Spark's own processes have, and in which.
pub const WELL_KNOWN: [(&str, &str); 16] = [
    ("Master", "standalone Master"),
    ("Worker", "standalone Worker"),
    ("AppClient", "driver of an application of a standalone cluster"),
    ("client", "client that submits a driver to a standalone cluster"),
    ("CoarseGrainedScheduler", "driver with executors"),
    ("LocalSchedulerBackendEndpoint", "driver in local mode"),
    ("HeartbeatReceiver", "driver"),
    ("BlockManagerMaster", "driver"),
    ("BlockManagerMasterHeartbeat", "driver"),
    ("MapOutputTracker", "driver"),
    ("OutputCommitCoordinator", "driver"),
    ("StateStoreCoordinator", "driver with streaming queries"),
    ("YarnScheduler", "driver on YARN"),
    ("YarnAM", "YARN application master"),
    ("Executor", "executor"),
    ("WorkerWatcher", "process that a standalone Worker has started"),
];

/// Finds out what listens at an address.
///
/// # Errors
///
/// [`ProbeError`], when there is nobody.
///
/// # Cancel safety
///
/// Dropping the future closes the connection that is open.
pub async fn examine(network: &dyn Network, target: &Target) -> Result<Findings, ProbeError> {
    let began = Instant::now();
    let line = Line::connect(network, target).await?;
    let mut probe = Probe {
        network,
        target,
        findings: Findings::new(&target.address, began.elapsed(), target.secret.is_some()),
        versions: Versions::default(),
    };
    match probe.greet(line).await? {
        Some(line) => probe.look_around(line).await?,
        None => probe.authenticate().await?,
    }
    probe.findings.peer = match probe.findings.peer.take() {
        None if probe.versions.seen() => Some(probe.versions.peer()),
        peer => peer,
    };
    Ok(probe.findings)
}

struct Probe<'a> {
    network: &'a dyn Network,
    target: &'a Target,
    findings: Findings,
    versions: Versions,
}

impl Probe<'_> {
    /// Asks the first question. What comes back may be talked to at once; without it there is more to find out before.
    async fn greet(&mut self, mut line: Line) -> Result<Option<Line>, ProbeError> {
        let question = question::refusable(&self.target.address, self.versions.next());
        match line.ask(question).await {
            Ok(heard) => Ok(self.first_answer(line, heard).await),
            Err(error) => {
                drop(line);
                self.no_frame(error).await
            }
        }
    }

    async fn first_answer(&mut self, mut line: Line, heard: Heard) -> Option<Line> {
        match Answer::of(&heard) {
            Answer::Refusal(refusal) => {
                self.findings.listening = Listening::Spark;
                self.versions.learn(&refusal);
                return Some(line);
            }
            Answer::WantsSasl => self.wants(true),
            Answer::WantsEngine => self.wants(false),
            Answer::Yes | Answer::No | Answer::Other(_) => {
                let native = question::native_check(&self.target.address);
                match line.ask(native).await.map(|heard| Answer::of(&heard)) {
                    Ok(Answer::Yes) => {
                        self.findings.listening = Listening::Spark;
                        self.findings.peer = Some(Peer::Rust);
                        return Some(line);
                    }
                    _ => {
                        let text = match Answer::of(&heard) {
                            Answer::Other(text) => text,
                            _ => String::new(),
                        };
                        self.findings.listening = Listening::Transport { text };
                    }
                }
            }
        }
        None
    }

    fn wants(&mut self, sasl: bool) {
        self.findings.listening = Listening::Spark;
        let authentication = &mut self.findings.authentication;
        authentication.wanted = Some(true);
        if sasl {
            authentication
                .mechanisms
                .push(Mechanism::Sasl { qop: String::new() });
        }
    }

    /// The peer does not speak in frames, or not at all.
    async fn no_frame(&mut self, error: LineError) -> Result<Option<Line>, ProbeError> {
        let inside = self.findings.tls.is_some();
        let (listening, worth_tls) = match error {
            LineError::Foreign(first) => {
                let listening = Listening::of(&first);
                (listening.clone(), listening == Listening::Tls)
            }
            LineError::Closed | LineError::Silent if inside => (Listening::Tls, false),
            LineError::Closed => (Listening::Closes, true),
            LineError::Silent => (Listening::Silent, true),
        };
        self.findings.listening = listening;
        if inside || !worth_tls {
            return Ok(None);
        }
        let silent = self.findings.listening == Listening::Silent;
        if let Some((line, found)) = self.try_tls(silent).await? {
            self.findings.listening = Listening::Tls;
            self.findings.tls = Some(found);
            // Whom the caller does not trust is not asked on.
            return match line {
                Some(line) => Box::pin(self.greet(line)).await,
                None => Ok(None),
            };
        }
        if silent {
            let mut line = Line::connect(self.network, self.target).await?.hurried();
            if let Err(LineError::Foreign(first)) = line.shout(b"GET / HTTP/1.0\r\n\r\n").await {
                self.findings.listening = Listening::of(&first);
            }
        }
        Ok(None)
    }

    /// Shakes hands with anybody to see the certificate, then, if the caller says whom it trusts, with those only.
    async fn try_tls(&mut self, silent: bool) -> Result<Option<(Option<Line>, TlsFound)>, ProbeError> {
        let mut line = Line::connect(self.network, self.target).await?;
        if silent {
            line = line.hurried();
        }
        let Ok((line, mut found)) = line.encrypted(None).await else {
            return Ok(None);
        };
        let Some(settings) = &self.target.tls else {
            return Ok(Some((Some(line), found)));
        };
        drop(line);
        let line = Line::connect(self.network, self.target).await?;
        let line = match line.encrypted(Some((settings, self.target.check_names))).await {
            Ok((line, _)) => {
                found.trust = Trust::Trusted;
                Some(line)
            }
            Err(reason) => {
                found.trust = Trust::Refused(reason);
                None
            }
        };
        Ok(Some((line, found)))
    }

    /// A new connection, inside of TLS where the peer wants that.
    async fn connect(&self) -> Result<Option<Line>, ProbeError> {
        let line = Line::connect(self.network, self.target).await?;
        let trust = match &self.findings.tls {
            None => return Ok(Some(line)),
            Some(found) if found.trust == Trust::Trusted => self.target.tls.as_ref(),
            Some(_) => None,
        };
        let trust = trust.map(|settings| (settings, self.target.check_names));
        Ok(line.encrypted(trust).await.ok().map(|(line, _)| line))
    }

    /// Finds out how the peer wants to be proven who one is, and proves it.
    async fn authenticate(&mut self) -> Result<(), ProbeError> {
        if self.findings.authentication.wanted != Some(true) {
            return Ok(());
        }
        if let Some(mut line) = self.connect().await? {
            let answer = line.ask(session::hopeless_challenge(&self.target.user)).await;
            if let Ok(heard) = answer
                && Answer::refuses_a_secret(&heard)
            {
                self.findings
                    .authentication
                    .mechanisms
                    .insert(0, Mechanism::Engine);
            }
        }
        let offers_sasl = self.findings.authentication.sasl().is_some();
        if offers_sasl
            && let Some(mut line) = self.connect().await?
            && let Ok(Heard::Response(token)) = line.ask(session::sasl_opening(&self.target.user)).await
        {
            self.findings.authentication.set_qop(&session::qop(&token));
        }
        let Some(secret) = &self.target.secret else {
            return Ok(());
        };
        if !self.findings.authentication.engine() && !self.target.sasl {
            self.findings.authentication.refused = Some(Refused::NotShown);
            return Ok(());
        }
        let inside_tls = self.findings.tls.is_some();
        for proof in session::attempts(&self.findings.authentication, inside_tls, &self.target.engines) {
            let Some(line) = self.connect().await? else {
                break;
            };
            match session::prove(line, &self.target.user, secret, proof).await {
                Ok(mut line) => {
                    let question = question::refusable(&self.target.address, self.versions.next());
                    // Whether version and cipher fit shows in the first answer only.
                    let Ok(heard) = line.ask(question).await else {
                        continue;
                    };
                    self.findings.authentication.proof = Some(proof);
                    if let Some(line) = self.first_answer(line, heard).await {
                        self.look_around(line).await?;
                    }
                    return Ok(());
                }
                Err(refused) => {
                    self.findings.authentication.refused = Some(refused);
                    return Ok(());
                }
            }
        }
        self.findings.authentication.refused = Some(Refused::NothingFits);
        Ok(())
    }

    /// Asks for what can be asked of a peer that answers.
    async fn look_around(&mut self, mut line: Line) -> Result<(), ProbeError> {
        if self.findings.authentication.wanted.is_none() {
            self.findings.authentication.wanted = Some(false);
        }
        while self.versions.seen() && self.versions.worth_another() {
            let question = question::refusable(&self.target.address, self.versions.next());
            match line.ask(question).await.map(|heard| Answer::of(&heard)) {
                Ok(Answer::Refusal(refusal)) => self.versions.learn(&refusal),
                _ => self.versions.give_up(),
            }
        }
        let native = self.findings.peer == Some(Peer::Rust);
        for (name, role) in WELL_KNOWN {
            let Some((exists, took)) = self.exists(&mut line, name, native).await else {
                break;
            };
            self.findings.round_trips.push(took);
            self.findings.endpoints.push(Endpoint { name, role, exists });
        }
        Ok(())
    }

    async fn exists(&mut self, line: &mut Line, name: &str, native: bool) -> Option<(bool, Duration)> {
        // The peer may have another id for the question itself than is known of its version.
        for _ in 0..2 {
            let question = if native {
                question::native_existence(&self.target.address, name)
            } else {
                question::existence(&self.target.address, name, self.versions.table())
            };
            let began = Instant::now();
            let heard = line.ask(question).await.ok()?;
            let took = began.elapsed();
            match Answer::of(&heard) {
                Answer::Yes => return Some((true, took)),
                Answer::No => return Some((false, took)),
                Answer::Refusal(refusal) => self.versions.learn(&refusal),
                _ => return None,
            }
        }
        None
    }
}
