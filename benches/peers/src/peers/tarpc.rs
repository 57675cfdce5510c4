//! tarpc over TCP: length-delimited frames, bincode in them.

use futures::StreamExt;
use tarpc::client;
use tarpc::context::{self, Context};
use tarpc::serde_transport::{self, Transport};
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio::net::{TcpListener, TcpStream};
use tokio_serde::formats::Bincode;

use crate::Outcome;
use crate::drive::Asker;
use crate::payload::Payload;

#[tarpc::service]
trait Lab {
    async fn ask(payload: Payload) -> Payload;
}

#[derive(Clone)]
struct Service;

impl Lab for Service {
    async fn ask(self, _: Context, payload: Payload) -> Payload {
        payload
    }
}

/// A connection as tarpc wants it; its own `tcp` module gives no way to reach the socket's options.
fn transport<Item, SinkItem>(
    stream: TcpStream,
) -> std::io::Result<Transport<TcpStream, Item, SinkItem, Bincode<Item, SinkItem>>>
where
    Item: for<'de> serde::Deserialize<'de>,
    SinkItem: serde::Serialize,
{
    stream.set_nodelay(true)?;
    let framed = Framed::new(stream, LengthDelimitedCodec::new());
    Ok(serde_transport::new(framed, Bincode::default()))
}

pub(crate) async fn serve() -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(transport) = transport(stream) else {
                continue;
            };
            let requests = BaseChannel::with_defaults(transport).execute(Service.serve());
            tokio::spawn(requests.for_each(async |answer| {
                tokio::spawn(answer);
            }));
        }
    });
    Ok(address)
}

#[derive(Clone)]
pub(crate) struct Client {
    stub: LabClient,
}

pub(crate) async fn connect(address: &str, in_flight: usize) -> Outcome<Client> {
    let mut config = client::Config::default();
    // Its default of 1000 would be the limit of what is measured.
    config.max_in_flight_requests = config.max_in_flight_requests.max(in_flight);
    let transport = transport(TcpStream::connect(address).await?)?;
    Ok(Client {
        stub: LabClient::new(config, transport).spawn(),
    })
}

impl Asker for Client {
    async fn ask(&mut self, payload: &Payload) -> Outcome<Payload> {
        Ok(self.stub.ask(context::current(), payload.clone()).await?)
    }
}
