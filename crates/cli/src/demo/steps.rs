//! What the demo's client does, and what it expects.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use spark_rpc::{
    Ask, AskError, EndpointContext, FileError, Handled, LookupError, RpcAddress, RpcEndpointAddress,
    RpcEndpointRef, RpcEnv, rpc_endpoint,
};
use tokio::sync::mpsc;

use super::messages::{
    AskBack, Divide, Note, Notes, SayHi, StopSpare, WaitForever, WhoAreYou, WhoIsConnected,
};
use crate::bench::{Payload, ask_for, send_for};
use crate::exit::Failure;
use crate::output::{count, short, size};

type Outcome = Result<String, spark_rpc::BoxError>;

/// The client's env and what its steps leave for later ones.
pub(crate) struct Steps {
    env: RpcEnv,
    server: RpcAddress,
    greeter: RpcEndpointRef,
    /// What the client's own endpoint is told about connections.
    seen: mpsc::UnboundedReceiver<Seen>,
    own: RpcEndpointRef,
    waits_forever: Option<Ask<()>>,
    server_process: u32,
    folder: Option<PathBuf>,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Connected(RpcAddress),
    Disconnected(RpcAddress),
}

/// The client's own endpoint.
struct Visitor {
    seen: mpsc::UnboundedSender<Seen>,
}

#[rpc_endpoint]
impl Visitor {
    async fn who_are_you(&mut self, _: WhoAreYou) -> String {
        format!("process {}", std::process::id())
    }

    async fn on_connected(&mut self, address: &RpcAddress, _: &EndpointContext) {
        let _ = self.seen.send(Seen::Connected(address.clone()));
    }

    async fn on_disconnected(&mut self, address: &RpcAddress, _: &EndpointContext) {
        let _ = self.seen.send(Seen::Disconnected(address.clone()));
    }
}

impl Steps {
    /// `folder` is what the server serves as `/demo`.
    pub(crate) async fn new(server: &RpcAddress, folder: Option<&Path>) -> Result<Self, Failure> {
        let env = RpcEnv::builder("demo-client").client_mode().start().await;
        let env = env.map_err(Failure::no)?;
        let (send, seen) = mpsc::unbounded_channel();
        let own = env.setup_endpoint("visitor", Visitor { seen: send });
        let own = own.map_err(Failure::no)?;
        let greeter = env.endpoint_ref(RpcEndpointAddress::new("greeter", Some(server.clone())));
        Ok(Self {
            env,
            server: server.clone(),
            greeter,
            seen,
            own,
            waits_forever: None,
            server_process: 0,
            folder: folder.map(Into::into),
        })
    }

    /// Takes the step of this name; says what was seen, or what should not have been.
    pub(crate) async fn take(&mut self, step: &str) -> Outcome {
        match step {
            "connect" => self.connect().await,
            "send" => self.send().await,
            "ask" => self.ask().await,
            "fail" => self.fail().await,
            "call-back" => self.call_back().await,
            "stop-endpoint" => self.stop_endpoint().await,
            "download" => self.download().await,
            "wait-forever" => self.wait_forever().await,
            "lost" => self.lost().await,
            "back" => self.back().await,
            "measure-asks" => self.measure_asks().await,
            "measure-sends" => self.measure_sends().await,
            "end" => self.end().await,
            other => Err(format!("there is no step {other}").into()),
        }
    }

    async fn connect(&mut self) -> Outcome {
        // Looking an endpoint up makes sure that it exists.
        self.greeter = self.env.setup_endpoint_ref_at(&self.server, "greeter").await?;
        self.expect(&Seen::Connected(self.server.clone())).await?;
        let connected = self.greeter.ask(WhoIsConnected).await?;
        match connected.as_slice() {
            [client] => Ok(format!(
                "client: {} connected, server: {client} connected",
                self.server
            )),
            others => Err(format!("the server has seen {others:?}").into()),
        }
    }

    async fn send(&mut self) -> Outcome {
        const NOTES: u64 = 1000;
        for number in 0..NOTES {
            self.greeter.send_wait(Note { number }).await?;
        }
        // The question comes behind the notes, so all of them are there.
        let notes = self.greeter.ask(Notes).await?;
        if !notes.iter().copied().eq(0..NOTES) {
            return Err(format!("{} notes arrived, not all in order", notes.len()).into());
        }
        Ok(format!("{NOTES} one-way messages"))
    }

    async fn ask(&mut self) -> Outcome {
        let name = "demo".to_owned();
        let began = Instant::now();
        let greeting = self.greeter.ask(SayHi { name }).await?;
        let took = short(began.elapsed());
        self.server_process = greeting.process;
        match greeting.text.as_str() {
            "hi demo" => Ok(format!("\"hi demo\" from process {} in {took}", greeting.process)),
            other => Err(format!("the answer is {other:?}").into()),
        }
    }

    async fn fail(&mut self) -> Outcome {
        let ask = |dividend, divisor| self.greeter.ask(Divide { dividend, divisor });
        let error = match ask(7, 0).await {
            Err(AskError::Remote(failure)) => failure.to_string(),
            other => return Err(format!("7 / 0 gives {other:?}").into()),
        };
        if error != "division by zero" {
            return Err(format!("7 / 0 fails with {error:?}").into());
        }
        let quotient = ask(42, 6).await?;
        if quotient != 7 {
            return Err(format!("42 / 6 gives {quotient}").into());
        }
        Ok(format!("7 / 0: \"{error}\"; the endpoint goes on: 42 / 6 = 7"))
    }

    async fn call_back(&mut self) -> Outcome {
        let whom = self.own.clone();
        let answer = self.greeter.ask(AskBack { whom }).await?;
        if answer != format!("process {}", std::process::id()) {
            return Err(format!("the server was told {answer:?}").into());
        }
        Ok(format!("the server asked {} back: \"{answer}\"", self.own))
    }

    async fn stop_endpoint(&mut self) -> Outcome {
        let spare = self.env.setup_endpoint_ref_at(&self.server, "spare").await?;
        spare.ask(WhoAreYou).await?;
        let farewell = self.greeter.ask(StopSpare).await?;
        match spare.ask(WhoAreYou).await {
            Err(AskError::EndpointNotFound { .. }) => {}
            other => return Err(format!("asked after its stop, spare answers {other:?}").into()),
        }
        match self.env.setup_endpoint_ref_at(&self.server, "spare").await {
            Err(LookupError::NotFound { .. }) => {}
            other => return Err(format!("looked up after its stop, spare is {other:?}").into()),
        }
        self.greeter.ask(Notes).await?;
        Ok(format!("spare: {farewell}; asked again: not found"))
    }

    async fn download(&mut self) -> Outcome {
        let folder = self.folder.as_ref().ok_or("no folder is served")?;
        let content: Vec<u8> = (0..DOWNLOADED).map(|i| (i % 251) as u8).collect();
        std::fs::write(folder.join("some bytes"), &content)?;
        let uri = format!("{}/demo/some%20bytes", self.server.to_spark_url());
        let copy = folder.join("copy");
        let began = Instant::now();
        let fetched = self.env.fetch_file(&uri, &copy).await?;
        let took = began.elapsed();
        if std::fs::read(&copy)? != content {
            return Err("what came is not what was served".into());
        }
        if fetched.checksum.is_none() {
            return Err("the server gave no checksum".into());
        }
        let beside = format!("{}/demo/../steps.rs", self.server.to_spark_url());
        match self.env.fetch_file(&beside, &copy).await {
            Err(FileError::NotServed { .. }) => {}
            other => return Err(format!("what lies beside the folder: {other:?}").into()),
        }
        let size = size(fetched.length as f64);
        Ok(format!(
            "{size} in {}, checksum verified; beside it: refused",
            short(took)
        ))
    }

    async fn wait_forever(&mut self) -> Outcome {
        self.waits_forever = Some(self.greeter.ask(WaitForever));
        // Behind the other, so the server has that one in hand when this is answered.
        self.greeter.ask(Notes).await?;
        Ok(String::new())
    }

    async fn lost(&mut self) -> Outcome {
        let ask = self.waits_forever.take().ok_or("nothing waits")?;
        match ask.await {
            Err(AskError::Disconnected(_)) => {}
            other => return Err(format!("the ask that waited ended with {other:?}").into()),
        }
        self.expect(&Seen::Disconnected(self.server.clone())).await?;
        match self.greeter.ask(Notes).await {
            Err(error @ AskError::Connect(_)) if error.handled() == Handled::No => {}
            other => return Err(format!("asked after its death, the server answers {other:?}").into()),
        }
        Ok("the waiting ask failed at once, as did the next".to_owned())
    }

    async fn back(&mut self) -> Outcome {
        let name = "again".to_owned();
        let greeting = self.greeter.ask(SayHi { name }).await?;
        if greeting.process == self.server_process {
            return Err("the answer comes from the process that died".into());
        }
        self.expect(&Seen::Connected(self.server.clone())).await?;
        let reconnects = self.env.stats().reconnects;
        if reconnects == 0 {
            return Err("no reconnect was counted".into());
        }
        Ok(format!("process {}; the same reference works", greeting.process))
    }

    async fn measure_asks(&mut self) -> Outcome {
        let echo = self.env.setup_endpoint_ref_at(&self.server, "echo").await?;
        let payload = Payload::of_size(PAYLOAD);
        let measured = ask_for(&echo, payload, IN_FLIGHT, WARM_UP, MEASURED, async || Ok(None)).await;
        let measured = measured.map_err(|failure| failure.text)?;
        let quantile = |q| short(Duration::from_nanos(measured.latency.value_at_quantile(q)));
        Ok(format!(
            "{}/s, {IN_FLIGHT} in flight, p50 {}, p99 {}",
            count(measured.per_second()),
            quantile(0.5),
            quantile(0.99)
        ))
    }

    async fn measure_sends(&mut self) -> Outcome {
        let sink = self.env.setup_endpoint_ref_at(&self.server, "sink").await?;
        let payload = Payload::of_size(PAYLOAD);
        let sent = send_for(&sink, payload, 1, WARM_UP, MEASURED, async || Ok(None)).await;
        let sent = sent.map_err(|failure| failure.text)?;
        Ok(format!(
            "{}/s of {PAYLOAD} bytes; all {} arrived",
            count(sent.measured.per_second()),
            count(sent.received as f64)
        ))
    }

    async fn end(&mut self) -> Outcome {
        let report = self.env.shutdown().await;
        if !report.is_clean() {
            return Err(format!("the client's shutdown had to cut off: {report:?}").into());
        }
        Ok(format!("the client's shutdown took {}", short(report.took)))
    }

    /// Waits until the client's own endpoint is told this, skipping what else it is told.
    async fn expect(&mut self, event: &Seen) -> Result<(), spark_rpc::BoxError> {
        let arrives = async {
            while let Some(seen) = self.seen.recv().await {
                if seen == *event {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(EVENT_LIMIT, arrives).await {
            Ok(true) => Ok(()),
            _ => Err(format!("no endpoint was told of {event:?}").into()),
        }
    }
}

const EVENT_LIMIT: Duration = Duration::from_secs(5);
const DOWNLOADED: usize = 8 << 20;
const PAYLOAD: usize = 64;
const IN_FLIGHT: usize = 64;
const WARM_UP: Duration = Duration::from_millis(100);
const MEASURED: Duration = Duration::from_millis(500);
