//! One connection to a peer that may be anything.

use std::time::Duration;

use bytes::Bytes;
use spark_rpc_auth::tls::{
    NameCheck, SslSettings, TlsClient, TlsClientOptions, TlsConnection, TlsProtocol, TlsVersions, TrustSource,
};
use spark_rpc_auth::{Decryptor, Encryptor};
use spark_rpc_net::{Network, SocketOptions, Stream};
use spark_rpc_wire::{Event, FrameDecoder, Message, RequestId, RpcRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::findings::{TlsFound, Trust};
use super::{ProbeError, Target};

/// A connection, as far as its layers are known.
pub(super) struct Line {
    stream: Box<dyn Stream>,
    tls: Option<TlsConnection>,
    ciphers: Option<(Encryptor, Decryptor)>,
    /// What has come and is not looked at yet, without TLS and cipher.
    received: Vec<u8>,
    requests: i64,
    patience: Duration,
    host: String,
}

/// What a peer answers to a request.
#[derive(Debug)]
pub(super) enum Heard {
    Response(Bytes),
    Failure(String),
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum LineError {
    /// These bytes came, which are no frame.
    Foreign(Vec<u8>),
    /// The peer has hung up.
    Closed,
    /// Nothing came in time.
    Silent,
}

impl Line {
    pub(super) async fn connect(network: &dyn Network, target: &Target) -> Result<Self, ProbeError> {
        let address = &target.address;
        let options = SocketOptions::default();
        let connect = network.connect(&address.host, address.port, &options);
        let stream = tokio::time::timeout(target.patience, connect).await;
        let stream = stream.map_err(|_| ProbeError::TimedOut(target.patience))?;
        Ok(Self {
            stream: stream.map_err(ProbeError::Unreachable)?,
            tls: None,
            ciphers: None,
            received: Vec::new(),
            requests: 0,
            patience: target.patience,
            host: address.host.clone(),
        })
    }

    /// Waits less from here on: who has said nothing at all will hardly say more.
    #[must_use]
    pub(super) fn hurried(mut self) -> Self {
        self.patience = self.patience.min(HURRY);
        self
    }

    /// Shakes hands by TLS, with those that the settings trust or with anybody.
    pub(super) async fn encrypted(
        mut self,
        trust: Option<(&SslSettings, bool)>,
    ) -> Result<(Self, TlsFound), String> {
        let client = client(trust)?;
        let mut tls = client.connect(&self.host).map_err(|error| error.to_string())?;
        let patience = self.patience;
        let shaken = tokio::time::timeout(
            patience,
            shake_hands(&mut *self.stream, &mut tls, &mut self.received),
        );
        shaken.await.map_err(|_| "no answer in time".to_owned())??;
        let certificate = tls.peer();
        let found = TlsFound {
            protocol: tls.protocol().unwrap_or_default().replace("TLSv1_", "TLSv1."),
            subject: certificate
                .as_ref()
                .map(|certificate| certificate.subject.clone()),
            not_after: certificate.map(|certificate| certificate.not_after),
            trust: Trust::NotAsked,
        };
        self.tls = Some(tls);
        Ok((self, found))
    }

    /// Encrypts from here on.
    pub(super) fn encrypt(&mut self, ciphers: (Encryptor, Decryptor)) {
        self.ciphers = Some(ciphers);
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn ask(&mut self, body: Vec<u8>) -> Result<Heard, LineError> {
        self.requests += 1;
        let request = Message::RpcRequest(RpcRequest {
            request_id: RequestId(self.requests),
            body,
        });
        let mut frame = Vec::new();
        request.encode(&mut frame).map_err(|_| LineError::Closed)?;
        let patience = self.patience;
        let answer = tokio::time::timeout(patience, async {
            // What came before it hung up may still be there.
            let _ = self.write(&frame).await;
            self.answer().await
        });
        answer
            .await
            .unwrap_or_else(|_| Err(self.nothing(LineError::Silent)))
    }

    /// Sends bytes as they are. What comes back is in the error.
    pub(super) async fn shout(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        let patience = self.patience;
        let heard = tokio::time::timeout(patience, async {
            let _ = self.write(bytes).await;
            while self.received.len() < LENGTH {
                self.read().await?;
            }
            Err(LineError::Foreign(std::mem::take(&mut self.received)))
        });
        heard
            .await
            .unwrap_or_else(|_| Err(self.nothing(LineError::Silent)))
    }

    async fn answer(&mut self) -> Result<Heard, LineError> {
        loop {
            if let Some(message) = self.message()? {
                match message {
                    Message::RpcResponse(answer) if answer.request_id.0 == self.requests => {
                        return Ok(Heard::Response(answer.body));
                    }
                    Message::RpcFailure(answer) if answer.request_id.0 == self.requests => {
                        return Ok(Heard::Failure(answer.error));
                    }
                    // A peer may want something by itself, or answer late.
                    _ => continue,
                }
            }
            self.read().await?;
        }
    }

    /// Takes a whole message from what has come.
    fn message(&mut self) -> Result<Option<Message<Bytes>>, LineError> {
        let Some(head) = self.received.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = usize::try_from(u64::from_be_bytes(*head)).unwrap_or(usize::MAX);
        if !(LENGTH + 1..=LONGEST).contains(&length) {
            return Err(LineError::Foreign(std::mem::take(&mut self.received)));
        }
        if self.received.len() < length {
            return Ok(None);
        }
        let frame: Vec<u8> = self.received.drain(..length).collect();
        let mut decoder = FrameDecoder::new(LONGEST as u32);
        let message = match decoder.next(&mut &frame[..]) {
            Ok(Some(Event::Frame(frame))) => frame.decode().ok().map(Message::into_owned),
            _ => None,
        };
        message.map(Some).ok_or(LineError::Foreign(frame))
    }

    async fn write(&mut self, plain: &[u8]) -> Result<(), LineError> {
        let mut bytes = plain.to_vec();
        if let Some((encryptor, _)) = &mut self.ciphers {
            let mut sealed = Vec::new();
            encryptor
                .encrypt(&bytes, &mut sealed)
                .map_err(|_| LineError::Closed)?;
            bytes = sealed;
        }
        if let Some(tls) = &mut self.tls {
            let mut sealed = Vec::new();
            tls.send(&bytes, &mut sealed).map_err(|_| LineError::Closed)?;
            bytes = sealed;
        }
        let written = self.stream.write_all(&bytes).await;
        written.map_err(|_| LineError::Closed)?;
        self.stream.flush().await.map_err(|_| LineError::Closed)
    }

    async fn read(&mut self) -> Result<(), LineError> {
        let mut space = [0; 4096];
        let count = self.stream.read(&mut space).await.unwrap_or(0);
        if count == 0 {
            return Err(self.nothing(LineError::Closed));
        }
        let mut bytes = space[..count].to_vec();
        if let Some(tls) = &mut self.tls {
            let mut plain = Vec::new();
            let opened = tls.receive(&mut &bytes[..], &mut plain, usize::MAX);
            opened.map_err(|_| LineError::Closed)?;
            bytes = plain;
        }
        if let Some((_, decryptor)) = &mut self.ciphers {
            let mut plain = Vec::new();
            let opened = decryptor.decrypt(&mut &bytes[..], &mut plain, usize::MAX);
            opened.map_err(|_| LineError::Closed)?;
            bytes = plain;
        }
        self.received.extend_from_slice(&bytes);
        Ok(())
    }

    /// Why there is no answer, unless something came that tells more.
    fn nothing(&mut self, error: LineError) -> LineError {
        if self.received.is_empty() {
            error
        } else {
            LineError::Foreign(std::mem::take(&mut self.received))
        }
    }
}

fn client(trust: Option<(&SslSettings, bool)>) -> Result<TlsClient, String> {
    let mut options = match trust {
        None => TlsClientOptions {
            trust: TrustSource::Anybody,
            names: NameCheck::Off,
            identity: None,
            protocol: TlsProtocol {
                versions: TlsVersions::From12,
                ..TlsProtocol::default()
            },
        },
        Some((settings, _)) => settings
            .client_options(false)
            .map_err(|error| error.to_string())?,
    };
    if let Some((settings, check_names)) = trust {
        if let Some(path) = &settings.trust_store {
            options.trust = TrustSource::File {
                path: path.clone(),
                password: settings.trust_store_password.clone(),
            };
        }
        if check_names {
            options.names = NameCheck::Host;
        }
        options.identity = settings.server_options().ok().map(|options| options.identity);
    }
    TlsClient::new(options).map_err(|error| error.to_string())
}

async fn shake_hands(
    stream: &mut dyn Stream,
    tls: &mut TlsConnection,
    plain: &mut Vec<u8>,
) -> Result<(), String> {
    let mut out = Vec::new();
    let mut space = [0; 4096];
    loop {
        tls.take_output(&mut out);
        if !out.is_empty() {
            stream.write_all(&out).await.map_err(|error| error.to_string())?;
            stream.flush().await.map_err(|error| error.to_string())?;
            out.clear();
        }
        if !tls.is_handshaking() {
            return Ok(());
        }
        let count = stream.read(&mut space).await.map_err(|error| error.to_string())?;
        if count == 0 {
            return Err("it hung up".to_owned());
        }
        if let Err(error) = tls.receive(&mut &space[..count], plain, usize::MAX) {
            // The peer is told why, if it still listens.
            tls.take_output(&mut out);
            let _ = stream.write_all(&out).await;
            return Err(error.to_string());
        }
    }
}

const HURRY: Duration = Duration::from_secs(1);
/// Of a frame's length field.
const LENGTH: usize = 8;
/// A JVM's stack trace takes a few kilobytes.
const LONGEST: usize = 1 << 20;
