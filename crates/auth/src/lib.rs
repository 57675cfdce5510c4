//! Handshakes and ciphers as values: Spark's auth engine, SASL DIGEST-MD5 and TLS, without IO.
//!
//! Nothing here knows sockets, clocks or tasks. A handshake takes the peer's bytes and returns the bytes to send; what
//! it leaves behind when it succeeds is an [`Encryptor`] for what goes out and a [`Decryptor`] for what comes in.
//! Everything that a peer sends is checked before it is believed, and no memory is reserved for a length that was only
//! announced.
//!
//! | Module | What | When |
//! | --- | --- | --- |
//! | [`engine`] | Spark's own key exchange: X25519 under a shared secret | between ours and modern Spark |
//! | [`sasl`] | DIGEST-MD5 as the JDK speaks it | only for JVM peers that know nothing else |
//! | [`tls`] | TLS 1.3, as a value too | everywhere else, and with Spark 4 |
//!
//! This is the only crate of the workspace that names a cryptographic library. Spark's protocols are put together from
//! the RustCrypto crates and, for AES-GCM, AWS-LC, which TLS uses too; no primitive is written here.
//!
//! # Examples
//!
//! The exchange of the auth engine, both sides in one place:
//!
//! ```
//! use spark_rpc_auth::Secret;
//! use spark_rpc_auth::engine::{Challenge, ClientHandshake, EngineVersion, SessionCipher};
//!
//! let secret = Secret::new("a shared secret")?;
//! let (client, challenge) = ClientHandshake::start("sparkSaslUser", &secret, EngineVersion::V2)?;
//!
//! let challenge = Challenge::decode(&challenge)?;
//! let (server, response) = challenge.accept(&secret, EngineVersion::V2)?;
//! let client = client.finish(&response)?;
//!
//! let (mut encryptor, _) = client.into_ciphers(SessionCipher::AesGcm);
//! let (_, mut decryptor) = server.into_ciphers(SessionCipher::AesGcm);
//! let (mut wire, mut plain) = (Vec::new(), Vec::new());
//! encryptor.encrypt(b"hello", &mut wire)?;
//! decryptor.decrypt(&mut &wire[..], &mut plain, usize::MAX)?;
//! assert_eq!(plain, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod cipher;
pub mod engine;
mod entropy;
#[doc(hidden)]
pub mod fuzz;
pub mod sasl;
mod secret;
#[cfg(test)]
mod testing;
pub mod tls;

pub use cipher::{CipherError, Decryptor, Encryptor};
pub use entropy::NoRandomness;
pub use secret::{Secret, SecretError};
