//! The kinds of work, and one run of one of them.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use tokio::runtime::{Builder, Runtime};

use crate::counter::Counter;
use crate::meter::{Measured, Meter};
use crate::payload::Payload;
use crate::peers::{Peer, kameo, ractor, raw, spark_rpc, tarpc, tonic};
use crate::process::{self, ServerProcess};
use crate::{Outcome, drive};

/// What is done; the names are those of `spark-rpc bench`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Ask a server over TCP
    Ask,
    /// Send one-way messages to a server over TCP
    Send,
    /// Ask within one process
    LocalAsk,
    /// Send one-way messages within one process
    LocalSend,
}

impl Work {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Send => "send",
            Self::LocalAsk => "local-ask",
            Self::LocalSend => "local-send",
        }
    }

    pub(crate) fn is_remote(self) -> bool {
        matches!(self, Self::Ask | Self::Send)
    }

    pub(crate) fn is_one_way(self) -> bool {
        matches!(self, Self::Send | Self::LocalSend)
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) work: Work,
    pub(crate) peer: Peer,
    pub(crate) in_flight: usize,
    pub(crate) size: usize,
    pub(crate) time: Duration,
    pub(crate) server_cpu: Option<usize>,
    pub(crate) client_cpu: Option<usize>,
}

impl Run {
    pub(crate) fn measure(&self) -> Outcome<Measured> {
        if let Some(why) = self.peer.cannot(self.work) {
            return Err(format!("{} {}: {why}", self.work.name(), self.peer.name()).into());
        }
        if self.work.is_one_way() && self.in_flight != 1 {
            return Err(
                "--in-flight: one-way messages have one sender here, and as many under way as fit".into(),
            );
        }
        // The server first: it inherits the CPUs that this process may use.
        let mut server = match self.work.is_remote() {
            true => Some(ServerProcess::start(self.peer, self.server_cpu)?),
            false => None,
        };
        process::pin_to(self.client_cpu)?;
        let runtime = runtime()?;
        let meter = Arc::new(Meter::new());
        let received = Counter::default();
        // A client that is dropped may drop what it has not written yet.
        let _client = match &server {
            Some(server) => runtime.block_on(self.start_remote(&server.address, &meter))?,
            None => runtime.block_on(self.start_local(&received, &meter))?,
        };
        let read = || server.as_mut().map(ServerProcess::read).transpose();
        let measured = meter.measure(self.time, read, |reading| {
            match (self.work.is_one_way(), reading) {
                (true, Some(reading)) => reading.messages,
                (true, None) => received.get(),
                (false, _) => meter.done(),
            }
        })?;
        if self.work.is_one_way() {
            all_arrived(&meter, || match &mut server {
                Some(server) => Ok(server.read()?.messages),
                None => Ok(received.get()),
            })?;
        }
        // What still runs is of no interest; it must not be waited for.
        runtime.shutdown_background();
        Ok(measured)
    }

    /// Connects and starts to work. Returns the client, which must live for as long.
    async fn start_remote(&self, address: &str, meter: &Arc<Meter>) -> Outcome<Box<dyn Any>> {
        let payload = Payload::of_size(self.size);
        let poll = self.peer.poll();
        let asks = self.work == Work::Ask;
        Ok(match self.peer {
            Peer::Raw | Peer::RawPoll if asks => {
                raw::ask(address, poll, payload, self.in_flight, Arc::clone(meter)).await?;
                Box::new(())
            }
            Peer::Raw | Peer::RawPoll => {
                raw::send(address, payload, Arc::clone(meter)).await?;
                Box::new(())
            }
            Peer::SparkRpc | Peer::SparkRpcPoll => {
                let client = spark_rpc::connect(poll, address).await?;
                self.drive(&client, None, meter)
            }
            Peer::Tonic => {
                let client = tonic::connect(address).await?;
                if asks {
                    drive::ask(&client, &tonic::shared(&payload), self.in_flight, meter);
                } else {
                    tonic::send(&client, &payload, Arc::clone(meter));
                }
                Box::new(client)
            }
            Peer::Tarpc => {
                let client = tarpc::connect(address, self.in_flight).await?;
                drive::ask(&client, &payload, self.in_flight, meter);
                Box::new(client)
            }
            Peer::Ractor | Peer::Kameo => unreachable!("they are refused before"),
        })
    }

    async fn start_local(&self, received: &Counter, meter: &Arc<Meter>) -> Outcome<Box<dyn Any>> {
        Ok(match self.peer {
            Peer::Raw => self.drive(&raw::local(received.clone()), Some(received), meter),
            // It has bounds of its own.
            Peer::SparkRpc => self.drive(&spark_rpc::local(received.clone()).await?, None, meter),
            Peer::Ractor => self.drive(&ractor::local(received.clone()).await?, Some(received), meter),
            Peer::Kameo => self.drive(&kameo::local(received.clone()), Some(received), meter),
            Peer::RawPoll | Peer::SparkRpcPoll | Peer::Tonic | Peer::Tarpc => {
                unreachable!("they are refused before")
            }
        })
    }

    fn drive<C: drive::Asker + drive::Sender>(
        &self,
        client: &C,
        paced: Option<&Counter>,
        meter: &Arc<Meter>,
    ) -> Box<dyn Any> {
        let payload = Payload::of_size(self.size);
        if self.work.is_one_way() {
            drive::send(client, &payload, meter, paced);
        } else {
            drive::ask(client, &payload, self.in_flight, meter);
        }
        Box::new(client.clone())
    }
}

/// The server's half of a run, until its standard input ends.
pub(crate) fn serve(peer: Peer, cpu: Option<usize>) -> Outcome<()> {
    process::pin_to(cpu)?;
    let runtime = runtime()?;
    let received = Counter::default();
    let address = runtime.block_on(async {
        match peer {
            Peer::Raw | Peer::RawPoll => raw::serve(peer.poll(), received.clone()).await,
            Peer::SparkRpc | Peer::SparkRpcPoll => spark_rpc::serve(peer.poll(), received.clone()).await,
            Peer::Tonic => tonic::serve(received.clone()).await,
            Peer::Tarpc => tarpc::serve().await,
            Peer::Ractor | Peer::Kameo => Err("has no server here".into()),
        }
    })?;
    let answered = process::answer_readings(&address, &received);
    runtime.shutdown_background();
    answered
}

/// Waits until the receiver has counted all that was sent.
fn all_arrived(meter: &Meter, mut received: impl FnMut() -> Outcome<u64>) -> Outcome<()> {
    let began = Instant::now();
    loop {
        let (received, sent) = (received()?, meter.done());
        if received == sent {
            return Ok(());
        }
        if began.elapsed() > ARRIVAL_LIMIT {
            return Err(format!("{sent} messages were sent, but {received} received").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One thread for each CPU that this process may use.
fn runtime() -> Outcome<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

const ARRIVAL_LIMIT: Duration = Duration::from_secs(5);
