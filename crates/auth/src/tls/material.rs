//! Keys and certificates, from memory and from files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::certificate::CertificateInfo;
use super::error::{MaterialError, TlsError};
use crate::Secret;

/// A private key and the certificates that vouch for it.
#[derive(Clone)]
pub struct TlsIdentity {
    key: Arc<CertifiedKey>,
    certificates: Vec<CertificateInfo>,
}

impl TlsIdentity {
    /// Takes a chain of certificates, the own one first, and a private key, both in PEM. `password` opens a key in
    /// encrypted PKCS#8 and is not looked at for others.
    ///
    /// # Errors
    ///
    /// [`MaterialError`].
    pub fn from_pem(chain: &[u8], key: &[u8], password: Option<&Secret>) -> Result<Self, MaterialError> {
        Self::new(certificates(chain)?, &private_key(key, password)?)
    }

    /// Takes the first private key of a PKCS#12 store, such as the JDK's `keytool` writes.
    ///
    /// # Errors
    ///
    /// [`MaterialError`].
    pub fn from_pkcs12(store: &[u8], password: &Secret) -> Result<Self, MaterialError> {
        let store = open_store(store, Some(password))?;
        let (_, chain) = store.private_key_chain().ok_or(MaterialError::NoKey)?;
        let certificates: Vec<_> = chain
            .certs()
            .iter()
            .map(|certificate| CertificateDer::from(certificate.as_der().to_vec()))
            .collect();
        Self::new(certificates, chain.key().as_der())
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: &[u8]) -> Result<Self, MaterialError> {
        if chain.is_empty() {
            return Err(MaterialError::NoCertificate);
        }
        let infos = infos(&chain)?;
        let provider: CryptoProvider = rustls::crypto::aws_lc_rs::default_provider();
        let der = PrivateKeyDer::try_from(key).map_err(|problem| MaterialError::Key(problem.to_owned()))?;
        // From here on the key lives inside the provider, which wipes it.
        let signing = provider
            .key_provider
            .load_private_key(der.clone_key())
            .map_err(|error| MaterialError::Key(error.to_string()))?;
        let key = CertifiedKey::new(chain, signing);
        match key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => return Err(MaterialError::KeyMismatch),
            Err(error) => return Err(MaterialError::Certificate(error.to_string())),
        }
        Ok(Self {
            key: Arc::new(key),
            certificates: infos,
        })
    }

    /// The certificates, the own one first.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateInfo] {
        &self.certificates
    }

    /// The first of the certificates to expire.
    #[must_use]
    pub fn first_to_expire(&self) -> &CertificateInfo {
        self.certificates
            .iter()
            .min_by_key(|certificate| certificate.not_after)
            .expect("an identity has a certificate")
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity")
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

/// Where an identity comes from. What comes from files can be loaded anew.
#[derive(Clone, Debug)]
pub enum IdentitySource {
    /// It is there.
    Memory(TlsIdentity),
    /// PEM files (`certChain`, `privateKey`, `privateKeyPassword`).
    Pem {
        /// The certificates, the own one first.
        chain: PathBuf,
        /// The private key.
        key: PathBuf,
        /// What opens the key, if it is encrypted.
        password: Option<Secret>,
    },
    /// A PKCS#12 store (`keyStore`, `keyStorePassword`).
    KeyStore {
        /// The file.
        path: PathBuf,
        /// What opens it.
        password: Secret,
    },
}

impl IdentitySource {
    /// Loads the identity; `None` if its files are those that were `seen` last time.
    pub(super) fn load(&self, seen: Option<&Digest>) -> Result<Option<Loaded<TlsIdentity>>, TlsError> {
        match self {
            Self::Memory(identity) => Ok(given(seen, || Ok(identity.clone()))?),
            Self::Pem { chain, key, password } => read([chain, key], seen, |[certificates, key_bytes]| {
                TlsIdentity::from_pem(certificates, key_bytes, password.as_ref()).map_err(|cause| {
                    let path = match cause {
                        MaterialError::NoCertificate | MaterialError::Certificate(_) => chain,
                        _ => key,
                    };
                    in_file(path, cause)
                })
            }),
            Self::KeyStore { path, password } => read([path], seen, |[store]| {
                TlsIdentity::from_pkcs12(store, password).map_err(|cause| in_file(path, cause))
            }),
        }
    }
}

/// Whom to trust. What comes from files can be loaded anew.
#[derive(Clone, Debug)]
pub enum TrustSource {
    /// These certificates and whatever they have signed; in PEM.
    Pem(Vec<u8>),
    /// The same from a file, which may be PEM or PKCS#12 (`trustStore`, `trustStorePassword`).
    File {
        /// The file.
        path: PathBuf,
        /// What opens it, if it is a PKCS#12 store.
        password: Option<Secret>,
    },
    /// Everybody. Encrypts, and authenticates nobody: any machine in between can read along. Spark's clients do this
    /// when they have no trust store.
    Anybody,
}

impl TrustSource {
    /// Loads the trusted certificates; `None` if their file is the one that was `seen` last time.
    pub(super) fn load(&self, seen: Option<&Digest>) -> Result<Option<Loaded<Trusted>>, TlsError> {
        match self {
            Self::Anybody => given(seen, || Ok(None)),
            Self::Pem(bytes) => given(seen, || Ok(Some(certificates(bytes)?))),
            Self::File { path, password } => read([path], seen, |[bytes]| {
                let trusted = trusted(bytes, password.as_ref()).map_err(|cause| in_file(path, cause))?;
                Ok(Some(trusted))
            }),
        }
    }
}

/// Certificates to trust; `None` trusts everybody.
pub(super) type Trusted = Option<Vec<CertificateDer<'static>>>;

/// Says whether files have changed, however they were replaced.
pub(super) type Digest = [u8; 32];

/// What was loaded, and from which bytes.
#[derive(Clone)]
pub(super) struct Loaded<T> {
    pub(super) value: T,
    pub(super) seen: Digest,
}

/// What does not come from files never changes.
fn given<T>(
    seen: Option<&Digest>,
    value: impl FnOnce() -> Result<T, MaterialError>,
) -> Result<Option<Loaded<T>>, TlsError> {
    if seen.is_some() {
        return Ok(None);
    }
    let value = value()?;
    Ok(Some(Loaded { value, seen: [0; 32] }))
}

/// Makes something of the content of files, unless it is what was `seen`: opening a store costs much, reading it little.
fn read<T, const N: usize>(
    paths: [&PathBuf; N],
    seen: Option<&Digest>,
    make: impl FnOnce([&[u8]; N]) -> Result<T, TlsError>,
) -> Result<Option<Loaded<T>>, TlsError> {
    let mut contents = [(); N].map(|()| Zeroizing::new(Vec::new()));
    let mut sha = Sha256::new();
    for (path, content) in paths.iter().zip(&mut contents) {
        *content = read_file(path)?;
        sha.update((content.len() as u64).to_be_bytes());
        sha.update(&**content);
    }
    let now = sha.finalize().into();
    if seen == Some(&now) {
        return Ok(None);
    }
    let value = make(contents.each_ref().map(|content| &***content))?;
    Ok(Some(Loaded { value, seen: now }))
}

/// Reads a regular file: a pipe in its place would be waited for, and a device may never end.
fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let failed = |cause| TlsError::File {
        path: path.to_owned(),
        cause,
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > MOST_BYTES {
        let text = "it is not a regular file of a reasonable size";
        return Err(failed(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            text,
        )));
    }
    std::fs::read(path).map(Zeroizing::new).map_err(failed)
}

/// The certificates of a trust store in PEM or PKCS#12.
pub(crate) fn trusted(
    bytes: &[u8],
    password: Option<&Secret>,
) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    if find(bytes, b"-----BEGIN ").is_some() {
        return certificates(bytes);
    }
    let store = open_store(bytes, password)?;
    let found: Vec<_> = store
        .entries()
        .filter_map(|(_, entry)| match entry {
            KeyStoreEntry::Certificate(certificate) => {
                Some(CertificateDer::from(certificate.as_der().to_vec()))
            }
            _ => None,
        })
        .collect();
    infos(&found)?;
    if found.is_empty() {
        return Err(MaterialError::NoCertificate);
    }
    Ok(found)
}

fn open_store(bytes: &[u8], password: Option<&Secret>) -> Result<KeyStore, MaterialError> {
    if bytes.starts_with(&JKS_MAGIC) {
        return Err(MaterialError::Format(
            "JKS stores are not read; `keytool -importkeystore -deststoretype pkcs12` converts them",
        ));
    }
    let password = password.map_or(Ok(""), |password| {
        std::str::from_utf8(password.expose()).map_err(|_| MaterialError::Password)
    })?;
    use p12_keystore::error::Error;
    KeyStore::from_pkcs12(bytes, password, Pkcs12ImportPolicy::Strict).map_err(|error| match error {
        // A wrong password shows before anything that it protects is read.
        Error::DerError(_) | Error::InvalidVersion | Error::UnsupportedContentType => {
            MaterialError::Format("it is neither PEM nor a whole PKCS#12 store")
        }
        _ => MaterialError::Password,
    })
}

/// All certificates of a PEM text, each of which can be read.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| MaterialError::Certificate(error.to_string()))?;
    if found.is_empty() {
        return Err(MaterialError::NoCertificate);
    }
    infos(&found)?;
    Ok(found)
}

fn infos(chain: &[CertificateDer<'_>]) -> Result<Vec<CertificateInfo>, MaterialError> {
    chain
        .iter()
        .map(|certificate| CertificateInfo::from_der(certificate))
        .collect()
}

/// The first private key of a PEM text, in DER.
pub(crate) fn private_key(
    pem: &[u8],
    password: Option<&Secret>,
) -> Result<Zeroizing<Vec<u8>>, MaterialError> {
    if let Some(encrypted) = encrypted_key(pem) {
        let text = std::str::from_utf8(encrypted).map_err(|error| MaterialError::Key(error.to_string()))?;
        let password = password.ok_or(MaterialError::PasswordMissing)?;
        let (_, document) =
            pkcs8::SecretDocument::from_pem(text).map_err(|error| MaterialError::Key(error.to_string()))?;
        let key = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
            .map_err(|error| MaterialError::Key(error.to_string()))?
            .decrypt(password.expose())
            .map_err(|_| MaterialError::Password)?;
        return Ok(Zeroizing::new(key.as_bytes().to_vec()));
    }
    if find(pem, b"Proc-Type: 4,ENCRYPTED").is_some() {
        return Err(MaterialError::Format(
            "keys in OpenSSL's old encrypted form are not read; `openssl pkcs8 -topk8` converts them",
        ));
    }
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(mut key) => {
            let bytes = Zeroizing::new(key.secret_der().to_vec());
            zeroize::Zeroize::zeroize(&mut key);
            Ok(bytes)
        }
        Err(rustls::pki_types::pem::Error::NoItemsFound) => Err(MaterialError::NoKey),
        Err(error) => Err(MaterialError::Key(error.to_string())),
    }
}

/// The part of a PEM text that holds an encrypted key.
fn encrypted_key(pem: &[u8]) -> Option<&[u8]> {
    const END: &[u8] = b"-----END ENCRYPTED PRIVATE KEY-----";
    let start = find(pem, b"-----BEGIN ENCRYPTED PRIVATE KEY-----")?;
    let length = find(&pem[start..], END)?;
    Some(&pem[start..start + length + END.len()])
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn in_file(path: &Path, cause: MaterialError) -> TlsError {
    TlsError::Content {
        path: path.to_owned(),
        cause,
    }
}

const JKS_MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
/// The JDK's own trust store has less than a fiftieth of it.
const MOST_BYTES: u64 = 16 << 20;
