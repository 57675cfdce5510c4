//! One TLS connection: bytes in, bytes out.

use std::fmt;
use std::io::{Read, Write};

use rustls::Connection;

use super::certificate::CertificateInfo;
use super::jdk_name;

/// The TLS state of one connection. It has no socket: its owner carries the bytes.
///
/// Whoever owns it gives it what comes in by [`receive`](Self::receive), and writes out what
/// [`take_output`](Self::take_output) hands over after each call, also after one that failed: the peer is told why.
pub struct TlsConnection {
    inner: Connection,
    dead: bool,
}

impl TlsConnection {
    pub(super) fn new(mut inner: Connection) -> Self {
        // What is encrypted is handed over within the same call.
        inner.set_buffer_limit(None);
        Self { inner, dead: false }
    }

    /// Takes bytes from the front of `input`, and appends at most `room` bytes of plaintext to `plain`.
    ///
    /// Returns when `input` is used up or `room` bytes have come out. Then there may be more inside, which further
    /// calls hand out, with no input too; inside there are never more than a few records.
    ///
    /// # Errors
    ///
    /// [`TlsConnectionError`]; further calls fail too. Plaintext of records before the bad one is in `plain`.
    pub fn receive(
        &mut self,
        input: &mut &[u8],
        plain: &mut Vec<u8>,
        room: usize,
    ) -> Result<(), TlsConnectionError> {
        if self.dead {
            return Err(TlsConnectionError::Dead);
        }
        let limit = plain.len().saturating_add(room);
        let result = self.receive_until(input, plain, limit);
        self.dead = result.is_err();
        result
    }

    fn receive_until(
        &mut self,
        input: &mut &[u8],
        plain: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), TlsConnectionError> {
        loop {
            self.hand_out(plain, limit);
            if plain.len() >= limit || input.is_empty() {
                return Ok(());
            }
            let taken = self
                .inner
                .read_tls(input)
                .map_err(|error| rustls::Error::General(error.to_string()))?;
            if let Err(error) = self.inner.process_new_packets() {
                self.hand_out(plain, limit);
                return Err(error.into());
            }
            // After the peer's farewell nothing more is taken; what follows it was not written by the peer.
            if taken == 0 {
                *input = &[];
            }
        }
    }

    fn hand_out(&mut self, plain: &mut Vec<u8>, limit: usize) {
        let room = limit.saturating_sub(plain.len()) as u64;
        // The reader says that nothing is there by an error, which is no error here.
        let _ = self.inner.reader().take(room).read_to_end(plain);
    }

    /// Encrypts `plain` and appends it to `out`, behind whatever else was waiting.
    ///
    /// # Errors
    ///
    /// [`TlsConnectionError::Handshaking`] before the handshake is over: nothing is kept for later.
    pub fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), TlsConnectionError> {
        if self.dead {
            return Err(TlsConnectionError::Dead);
        }
        if self.inner.is_handshaking() {
            return Err(TlsConnectionError::Handshaking);
        }
        self.inner
            .writer()
            .write_all(plain)
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        self.take_output(out);
        Ok(())
    }

    /// Appends what must be written to the peer: parts of the handshake, alerts, key updates.
    pub fn take_output(&mut self, out: &mut Vec<u8>) {
        while self.inner.wants_write() {
            self.inner
                .write_tls(out)
                .expect("a vector takes everything that is written to it");
        }
    }

    /// Tells whether the handshake is still going on.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    /// Says farewell: the peer then knows that nothing was cut off.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        self.inner.send_close_notify();
        self.take_output(out);
    }

    /// Says that the peer's bytes have ended.
    ///
    /// # Errors
    ///
    /// [`TlsConnectionError::Truncated`] if the peer did not say farewell: it was cut off, or never does.
    pub fn finish(&mut self) -> Result<(), TlsConnectionError> {
        let said_farewell = self
            .inner
            .process_new_packets()
            .is_ok_and(|state| state.peer_has_closed());
        if said_farewell {
            Ok(())
        } else {
            Err(TlsConnectionError::Truncated)
        }
    }

    /// What the peer's certificate says, once the handshake has got that far and if it showed one.
    #[must_use]
    pub fn peer(&self) -> Option<CertificateInfo> {
        let certificate = self.inner.peer_certificates()?.first()?;
        CertificateInfo::from_der(certificate).ok()
    }

    /// Version and cipher suite, for logs: `TLSv1_3 TLS_AES_256_GCM_SHA384`.
    #[must_use]
    pub fn protocol(&self) -> Option<String> {
        let version = self.inner.protocol_version()?;
        let suite = self.inner.negotiated_cipher_suite()?;
        Some(format!("{version:?} {}", jdk_name(suite.suite())))
    }
}

impl fmt::Debug for TlsConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnection")
            .field("handshaking", &self.is_handshaking())
            .field("protocol", &self.protocol())
            .field("dead", &self.dead)
            .finish_non_exhaustive()
    }
}

/// Why a TLS connection cannot go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConnectionError {
    /// The handshake or a record failed; the text says whose doing it was.
    #[error("TLS: {0}")]
    Failed(#[from] rustls::Error),
    /// Bytes of the application before the handshake is over.
    #[error("TLS: the handshake is not over")]
    Handshaking,
    /// The peer's bytes ended without its farewell.
    #[error("TLS: the peer's bytes ended without a farewell")]
    Truncated,
    /// The host is neither a name nor an address, so that no certificate can name it.
    #[error("TLS: {host:?} is neither a host name nor an address")]
    Host {
        /// What was given.
        host: String,
    },
    /// An earlier error has ended the connection.
    #[error("TLS: the connection was ended by an earlier error")]
    Dead,
}
