//! From a finished handshake to a connection.

use spark_rpc_auth::engine::{EngineSession, EngineVersion, SessionCipher};
use spark_rpc_auth::sasl::SaslSession;
use spark_rpc_auth::{Decryptor, Encryptor};
use spark_rpc_net::Stream;

use super::gate::Passed;
use super::identity::{AES_CTR, PLAIN_SASL, PeerIdentity, SASL_3DES};
use super::options::{EngineOptions, SaslOptions};
use super::sealed::{Ciphers, SealedStream};

/// What protects a connection from here on.
pub(super) struct Session {
    ciphers: Option<(Encryptor, Decryptor)>,
    version: Option<EngineVersion>,
    weak: Option<&'static str>,
}

impl Session {
    pub(super) fn engine(session: EngineSession, options: &EngineOptions) -> Self {
        Self {
            ciphers: options.cipher.map(|cipher| session.into_ciphers(cipher)),
            version: Some(options.version),
            weak: (options.cipher == Some(SessionCipher::AesCtr)).then_some(AES_CTR),
        }
    }

    pub(super) fn sasl(session: SaslSession, options: &SaslOptions) -> Self {
        let longest = options.max_block.max(SaslSession::DEFAULT_MAX_PEER_BLOCK);
        let ciphers = session.into_ciphers(options.max_block, longest);
        let weak = Some(if ciphers.is_some() { SASL_3DES } else { PLAIN_SASL });
        Self {
            ciphers,
            version: None,
            weak,
        }
    }

    /// Switches the ciphers on: the last byte of the handshake has gone over `stream`, and none behind it.
    pub(super) fn into_passed(self, stream: Box<dyn Stream>, user: &str) -> Passed {
        let encryption = self.ciphers.as_ref().map(|(out, _)| out.name().to_owned());
        let stream = match self.ciphers {
            Some((out, incoming)) => {
                let ciphers = Ciphers::new(out, incoming, self.version);
                Box::new(SealedStream::new(stream, ciphers, Vec::new()))
            }
            None => stream,
        };
        Passed {
            stream,
            identity: PeerIdentity {
                user: Some(user.to_owned()),
                subject: None,
                encryption,
                weak: self.weak,
            },
        }
    }
}
