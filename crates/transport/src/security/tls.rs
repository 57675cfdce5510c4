//! TLS around everything else.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use spark_rpc_auth::tls::{TlsClient, TlsConnection, TlsConnectionError, TlsServer};
use spark_rpc_net::{BoxFuture, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::gate::{ClientGate, GateError, Passed, ServerGate};
use super::identity::PeerIdentity;
use super::sealed::{Seal, SealedStream, broken};
use crate::bootstrap::{ClientBootstrap, ServerBootstrap};

/// Speaks TLS on each connection that this side opens. It stands before other bootstraps with gates, which then speak
/// inside of TLS.
#[derive(Clone, Debug)]
pub struct TlsClientBootstrap {
    client: Arc<TlsClient>,
    timeout: Duration,
}

impl TlsClientBootstrap {
    /// `timeout` is the limit of the handshake.
    #[must_use]
    pub fn new(client: Arc<TlsClient>, timeout: Duration) -> Self {
        Self { client, timeout }
    }
}

impl ClientBootstrap for TlsClientBootstrap {
    fn name(&self) -> &'static str {
        "TLS"
    }

    fn gate(&self) -> Option<&dyn ClientGate> {
        Some(self)
    }
}

impl ClientGate for TlsClientBootstrap {
    fn pass<'a>(
        &'a self,
        stream: Box<dyn Stream>,
        host: &'a str,
    ) -> BoxFuture<'a, Result<Passed, GateError>> {
        Box::pin(async move {
            let connection = self.client.connect(host)?;
            let limit = self.timeout;
            tokio::time::timeout(limit, shake_hands(stream, connection))
                .await
                .unwrap_or_else(|_| {
                    Err(GateError::TimedOut {
                        limit,
                        setting: "spark.network.auth.rpcTimeout".to_owned(),
                    })
                })
        })
    }
}

/// Wants TLS of each connection that this side accepts.
#[derive(Clone, Debug)]
pub struct TlsServerBootstrap {
    server: Arc<TlsServer>,
}

impl TlsServerBootstrap {
    /// Serves with the keys of `server`.
    #[must_use]
    pub fn new(server: Arc<TlsServer>) -> Self {
        Self { server }
    }
}

impl ServerBootstrap for TlsServerBootstrap {
    fn gate(&self) -> Option<&dyn ServerGate> {
        Some(self)
    }
}

impl ServerGate for TlsServerBootstrap {
    fn pass(&self, stream: Box<dyn Stream>) -> BoxFuture<'_, Result<Passed, GateError>> {
        Box::pin(async move {
            let connection = self.server.accept()?;
            shake_hands(stream, connection).await
        })
    }
}

async fn shake_hands(
    mut stream: Box<dyn Stream>,
    mut connection: TlsConnection,
) -> Result<Passed, GateError> {
    let (mut plain, mut out) = (Vec::new(), Vec::new());
    let mut space = vec![0; PIECE];
    loop {
        connection.take_output(&mut out);
        if !out.is_empty() {
            stream.write_all(&out).await?;
            stream.flush().await?;
            out.clear();
        }
        if !connection.is_handshaking() {
            break;
        }
        let n = stream.read(&mut space).await?;
        if n == 0 {
            return Err(GateError::Closed);
        }
        if let Err(error) = connection.receive(&mut &space[..n], &mut plain, usize::MAX) {
            // The peer is told why, if it still listens.
            connection.take_output(&mut out);
            if stream.write_all(&out).await.is_ok() {
                let _ = stream.shutdown().await;
            }
            return Err(error.into());
        }
    }
    let identity = PeerIdentity {
        subject: connection.peer().map(|certificate| certificate.subject),
        encryption: connection.protocol(),
        ..PeerIdentity::unknown()
    };
    Ok(Passed {
        stream: Box::new(SealedStream::new(stream, connection, plain)),
        identity,
    })
}

impl Seal for TlsConnection {
    fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.send(plain, out).map_err(broken)
    }

    fn open(&mut self, mut input: &[u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<()> {
        let result = self.receive(&mut input, plain, usize::MAX);
        self.take_output(out);
        result.map_err(broken)
    }

    fn ended(&mut self) -> io::Result<()> {
        match self.finish() {
            // Many peers never say farewell. Frames have lengths, so that a cut within one is noticed anyway.
            Ok(()) | Err(TlsConnectionError::Truncated) => Ok(()),
            Err(error) => Err(broken(error)),
        }
    }

    fn farewell(&mut self, out: &mut Vec<u8>) {
        self.close(out);
    }
}

/// Read at once during the handshake.
const PIECE: usize = 4 * 1024;
