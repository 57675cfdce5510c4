//! tonic: unary calls and client streaming over one HTTP/2 connection.

use std::sync::Arc;

use bytes::Bytes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::Outcome;
use crate::counter::Counter;
use crate::drive::{Asker, BURST};
use crate::meter::Meter;
use crate::payload::Payload;

/// What `build.rs` has written.
mod generated {
    #![allow(unreachable_pub)]
    include!(concat!(env!("OUT_DIR"), "/lab.Lab.rs"));
}

use generated::lab_client::LabClient;
use generated::lab_server::{Lab, LabServer};

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Message {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) content: Bytes,
}

struct Service {
    received: Counter,
}

#[tonic::async_trait]
impl Lab for Service {
    async fn ask(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn send(&self, request: Request<Streaming<Message>>) -> Result<Response<Message>, Status> {
        let mut messages = request.into_inner();
        while let Some(message) = messages.message().await? {
            std::hint::black_box(message);
            self.received.add(1);
        }
        Ok(Response::new(Message::default()))
    }
}

pub(crate) async fn serve(received: Counter) -> Outcome<String> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())?.with_nodelay(Some(true));
    let address = incoming.local_addr()?.to_string();
    let server = Server::builder()
        // Its default of 200 would be the limit of what is measured.
        .max_concurrent_streams(1 << 20)
        .add_service(LabServer::new(Service { received }));
    tokio::spawn(server.serve_with_incoming(incoming));
    Ok(address)
}

#[derive(Clone)]
pub(crate) struct Client {
    stub: LabClient<Channel>,
}

pub(crate) async fn connect(address: &str) -> Outcome<Client> {
    let channel = Channel::from_shared(format!("http://{address}"))?
        .tcp_nodelay(true)
        .connect()
        .await?;
    Ok(Client {
        stub: LabClient::new(channel),
    })
}

impl Asker for Client {
    async fn ask(&mut self, payload: &Payload) -> Outcome<Payload> {
        let Payload::Shared(content) = payload else {
            return Err("its payload must be shared".into());
        };
        let reply = self
            .stub
            .ask(Message {
                content: content.clone(),
            })
            .await?;
        Ok(Payload::Shared(reply.into_inner().content))
    }
}

/// The payload in the form that costs this peer least.
pub(crate) fn shared(payload: &Payload) -> Payload {
    Payload::Shared(Bytes::copy_from_slice(payload.as_slice()))
}

/// Starts a stream that lasts until the meter says that it is over.
pub(crate) fn send(client: &Client, payload: &Payload, meter: Arc<Meter>) {
    let content = Bytes::copy_from_slice(payload.as_slice());
    let counting = Arc::clone(&meter);
    let mut left = 0;
    let messages = std::iter::from_fn(move || {
        if left == 0 {
            if counting.is_over() {
                return None;
            }
            counting.add(BURST);
            left = BURST;
        }
        left -= 1;
        Some(Message {
            content: content.clone(),
        })
    });
    let mut stub = client.stub.clone();
    tokio::spawn(async move {
        let sent = stub.send(futures::stream::iter(messages)).await;
        meter.ended(sent.map(drop).map_err(Into::into));
    });
}
