//! What can be wrong with keys, certificates and their files.

use std::path::PathBuf;

/// Why a server or client cannot be set up, or its files cannot be loaded anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        cause: std::io::Error,
    },
    /// What stands in files is not usable.
    #[error("{}: {cause}", path.display())]
    Content {
        /// The file, or the first of them.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: MaterialError,
    },
    /// What was given in memory is not usable.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// Keys, trust, versions and cipher suites do not go together.
    #[error("this TLS configuration is impossible: {0}")]
    Configuration(#[from] rustls::Error),
}

/// Why bytes give no key or certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// No certificate is in it.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// No private key is in it.
    #[error("there is no private key in it")]
    NoKey,
    /// A certificate cannot be read.
    #[error("a certificate cannot be read: {0}")]
    Certificate(String),
    /// The key cannot be read or used.
    #[error("the private key cannot be used: {0}")]
    Key(String),
    /// The key is encrypted, and no password was given.
    #[error("the private key is encrypted, and there is no password for it")]
    PasswordMissing,
    /// The password does not open the key or the store.
    #[error("the password is wrong, or the encryption is not a known one")]
    Password,
    /// The key does not belong to the certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// A format that is not read.
    #[error("{0}")]
    Format(&'static str),
}
