//! The server process of bulk works: an env that serves the file as a stream, a bare transport that serves it as chunks,
//! and the yardstick.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spark_rpc::transport::wire::{Body, StreamChunkId};
use spark_rpc::transport::{
    FileSegment, Flow, ManagedBuffer, NoRpcHandler, Responder, RpcHandler, StreamManager, TransportClient,
    TransportClientFactory, TransportContext,
};
use spark_rpc::{RpcAddress, RpcEndpointAddress, RpcEndpointRef, RpcEnv, TcpNetwork};

use super::bare::{self, Bare};
use crate::args::BulkServerArgs;
use crate::bench::plan::Plan;
use crate::child::OwnChild;
use crate::exit::{Exit, Failure};
use crate::messages::Usage;
use crate::process::{self, ProcessUsage};
use crate::serve::{Echo, Events, Sink};
use crate::stdin::Lines;
use crate::{output, peer, runtime};

/// Where to find what, in the line behind the env's address.
#[derive(Debug, Serialize, Deserialize)]
struct Places {
    stream: String,
    chunks: u16,
    bare: u16,
}

/// Serves until standard input ends.
pub(crate) fn run(args: &BulkServerArgs) -> Result<Exit, Failure> {
    if let Some(cpu) = args.cpu {
        // Before the runtime, whose threads inherit it.
        process::pin_to(cpu, "--cpu")?;
    }
    let runtime = runtime::full()?;
    let exit = runtime.block_on(serve(args));
    runtime.shutdown_background();
    exit
}

async fn serve(args: &BulkServerArgs) -> Result<Exit, Failure> {
    let conf = args.conf.to_conf()?;
    let file = Arc::new(File::open(&args.file).map_err(Failure::no)?);
    let length = file.metadata().map_err(Failure::no)?.len();

    let builder = RpcEnv::builder("bulk").conf(conf.clone()).bind("127.0.0.1:0");
    let env = builder
        .start()
        .await
        .map_err(|error| args.conf.start_failed(&error))?;
    env.setup_endpoint("echo", Echo).map_err(Failure::no)?;
    let sink = env.setup_endpoint("sink", Sink::new(Events::Nothing));
    sink.map_err(Failure::no)?;
    let stream = env.file_server().add_file(&args.file).await;

    let chunks = Chunks {
        file: Arc::clone(&file),
        length,
    };
    let handlers = move |_: &TransportClient| Box::new(Handler(chunks.clone())) as Box<dyn RpcHandler>;
    let context = TransportContext::new(conf.transport.clone(), Arc::new(TcpNetwork), Arc::new(handlers));
    let server = context.map_err(Failure::no)?;
    let guards = conf.security.server_bootstraps().map_err(Failure::usage)?;
    let server = server.create_server("127.0.0.1", 0, guards).await;
    let server = server.map_err(Failure::no)?;
    let places = Places {
        stream: stream.map_err(Failure::no)?,
        chunks: server.port(),
        bare: bare::serve(file, length, &conf.transport)
            .await
            .map_err(Failure::no)?,
    };

    let address = env.address().expect("an env in server mode has an address");
    output::line(address.to_spark_url());
    output::line(serde_json::to_string(&places).map_err(Failure::no)?);
    let mut input = Lines::of_stdin();
    while input.next().await.is_some() {}
    Ok(Exit::Done)
}

/// Any stream of chunks: its id is the size of a chunk.
#[derive(Clone)]
struct Chunks {
    file: Arc<File>,
    length: u64,
}

impl StreamManager for Chunks {
    fn get_chunk(&self, _: &TransportClient, id: StreamChunkId) -> Result<ManagedBuffer, String> {
        let size = u64::try_from(id.stream_id).unwrap_or(0);
        let offset = u64::try_from(id.chunk_index).unwrap_or(0).saturating_mul(size);
        if size == 0 || offset >= self.length {
            return Err("there is no such chunk".to_owned());
        }
        Ok(ManagedBuffer::file(FileSegment {
            file: Arc::clone(&self.file),
            offset,
            length: size.min(self.length - offset),
        }))
    }
}

/// Answers as it was asked.
struct Handler(Chunks);

impl RpcHandler for Handler {
    fn receive(&mut self, _: &TransportClient, request: Body<'_>, responder: Responder) -> Flow {
        responder.success(&request);
        Flow::Continue
    }

    fn receive_one_way(&mut self, _: &TransportClient, _: Body<'_>) -> Flow {
        Flow::Continue
    }

    fn stream_manager(&self) -> &dyn StreamManager {
        &self.0
    }
}

/// The process, and what this one has to do with it.
pub(crate) struct BulkServer {
    pub(crate) env: RpcEnv,
    address: RpcAddress,
    places: Places,
    sink: RpcEndpointRef,
    /// Ends the process when it is dropped.
    _process: OwnChild,
}

impl BulkServer {
    pub(crate) async fn start(plan: &Plan, file: &Path) -> Result<Self, Failure> {
        let mut arguments = plan.server_arguments(&["bulk-server"]);
        arguments.extend(["--file".into(), file.into()]);
        let mut process = OwnChild::start(&arguments)?;
        let address = process.address().await?;
        let places = process.line(super::LIMIT).await?;
        let places = serde_json::from_str(&places).map_err(Failure::no)?;
        let env = plan.client().await?;
        let sink = env.setup_endpoint_ref_at(&address, "sink").await;
        Ok(Self {
            env,
            address,
            places,
            sink: sink.map_err(|error| peer::lookup_failed(&error))?,
            _process: process,
        })
    }

    pub(crate) fn echo(&self) -> RpcEndpointRef {
        let address = RpcEndpointAddress::new("echo", Some(self.address.clone()));
        self.env.endpoint_ref(address)
    }

    /// The URI of the file.
    pub(crate) fn stream(&self) -> &str {
        &self.places.stream
    }

    /// A connection for chunks. It lives as long as its factory.
    pub(crate) async fn chunks(
        &self,
        plan: &Plan,
    ) -> Result<(TransportClient, TransportClientFactory), Failure> {
        let context = TransportContext::new(
            plan.conf.transport.clone(),
            Arc::new(TcpNetwork),
            Arc::new(NoRpcHandler),
        );
        let guards = plan.conf.security.client_bootstraps().map_err(Failure::usage)?;
        let factory = context.map_err(Failure::no)?.create_client_factory(guards);
        let client = factory.create_client("127.0.0.1", self.places.chunks).await;
        Ok((client.map_err(Failure::no)?, factory))
    }

    pub(crate) async fn bare(&self, plan: &Plan) -> Result<Bare, Failure> {
        Bare::connect(self.places.bare, &plan.conf.transport).await
    }

    /// What its process has used.
    pub(crate) async fn usage(&self) -> Result<ProcessUsage, Failure> {
        let usage = self.sink.ask(Usage).await;
        usage.map_err(|error| peer::ask_failed(&error))
    }
}
