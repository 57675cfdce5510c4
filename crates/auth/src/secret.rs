//! The secret that both sides share, and where it may come from.

use std::ffi::OsStr;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::entropy::{Entropy, NoRandomness};

/// A shared secret: never empty, never printed, wiped when dropped, compared in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The environment variable by which Spark hands the secret to the processes it starts.
    pub const SPARK_ENVIRONMENT_VARIABLE: &'static str = "_SPARK_AUTH_SECRET";

    /// The longest secret that is taken from a file.
    pub const MAX_FILE_LEN: usize = 64 * 1024;

    /// Takes over `bytes` as they are. Spark's secrets are the UTF-8 bytes of a string.
    ///
    /// # Errors
    ///
    /// [`SecretError::Empty`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, SecretError> {
        let bytes = Zeroizing::new(bytes.into());
        if bytes.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(Self(bytes))
    }

    /// Makes a secret of `bits` random bits, rounded up to whole bytes and written in hexadecimal as Spark does
    /// (`spark.authenticate.secretBitLength`).
    ///
    /// # Errors
    ///
    /// [`SecretError::Empty`] for no bits, [`SecretError::Randomness`] if the operating system gives none.
    pub fn generate(bits: usize) -> Result<Self, SecretError> {
        let mut raw = Zeroizing::new(vec![0; bits.div_ceil(8)]);
        Entropy::System.fill(&mut raw)?;
        Self::new(hex(&raw))
    }

    /// Reads a file that holds the secret as text; one line end at the end of the file does not belong to it.
    ///
    /// # Errors
    ///
    /// [`SecretError::File`] and [`SecretError::FileTooLong`] name the file, [`SecretError::Empty`] if nothing is in it.
    pub fn from_text_file(path: &Path) -> Result<Self, SecretError> {
        let mut bytes = read(path)?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        Self::new(std::mem::take(&mut *bytes))
    }

    /// Reads a file as Spark does for `spark.authenticate.secret.file`: the secret is the Base64 form of all its bytes,
    /// a line end included.
    ///
    /// # Errors
    ///
    /// As [`from_text_file`](Self::from_text_file).
    pub fn from_spark_file(path: &Path) -> Result<Self, SecretError> {
        Self::new(STANDARD.encode(&*read(path)?))
    }

    /// Takes the value of an environment variable, such as
    /// [`SPARK_ENVIRONMENT_VARIABLE`](Self::SPARK_ENVIRONMENT_VARIABLE); `None` if it is not set.
    ///
    /// # Errors
    ///
    /// [`SecretError::Empty`] if it is set to nothing, [`SecretError::NotUtf8`] if it is no text.
    pub fn from_environment_value(value: Option<&OsStr>) -> Result<Option<Self>, SecretError> {
        value
            .map(|value| Self::new(value.to_str().ok_or(SecretError::NotUtf8)?))
            .transpose()
    }

    /// The bytes, for a protocol that needs them.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It has no bytes.
    #[error("the secret is empty")]
    Empty,
    /// An environment variable holds no text.
    #[error("the secret is not valid UTF-8")]
    NotUtf8,
    /// The file cannot be read.
    #[error("cannot read the secret from {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        cause: std::io::Error,
    },
    /// The file is too long to be a secret.
    #[error("{} is longer than {limit} bytes, which is no secret", path.display())]
    FileTooLong {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: usize,
    },
    /// No random bytes to make one from.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let failed = |cause| SecretError::File {
        path: path.to_owned(),
        cause,
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(Secret::MAX_FILE_LEN + 1));
    // The buffer never grows, which would leave an unwiped copy behind.
    std::fs::File::open(path)
        .map_err(failed)?
        .take(Secret::MAX_FILE_LEN as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > Secret::MAX_FILE_LEN {
        return Err(SecretError::FileTooLong {
            path: path.to_owned(),
            limit: Secret::MAX_FILE_LEN,
        });
    }
    Ok(bytes)
}

/// The lower-case hexadecimal form of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("swordfish").unwrap();
        for text in [
            format!("{secret:?}"),
            format!("{secret:#?}"),
            format!("{:?}", Some(&secret)),
        ] {
            assert!(!text.contains("swordfish"), "{text}");
            assert!(!text.contains("115, 119"), "{text}");
        }
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert!(matches!(Secret::new(""), Err(SecretError::Empty)));
        assert!(matches!(Secret::generate(0), Err(SecretError::Empty)));
        assert!(matches!(
            Secret::from_environment_value(Some(OsStr::new(""))),
            Err(SecretError::Empty)
        ));
    }

    #[test]
    fn an_unset_variable_gives_no_secret() {
        assert_eq!(Secret::from_environment_value(None).unwrap(), None);
        let found = Secret::from_environment_value(Some(OsStr::new("abc"))).unwrap();
        assert_eq!(found, Some(Secret::new("abc").unwrap()));
    }

    #[test]
    fn a_generated_secret_is_hexadecimal_and_never_the_same() {
        let (one, two) = (Secret::generate(256).unwrap(), Secret::generate(256).unwrap());
        assert_ne!(one, two);
        assert_eq!(one.expose().len(), 64);
        assert!(one.expose().iter().all(u8::is_ascii_hexdigit));
    }

    #[test]
    fn a_text_file_loses_one_line_end_and_sparks_form_keeps_it() {
        let folder = crate::testing::Folder::new();
        let path = folder.write("secret", b"tr\xc3\xbcb \n\n");
        assert_eq!(Secret::from_text_file(&path).unwrap().expose(), b"tr\xc3\xbcb \n");
        assert_eq!(Secret::from_spark_file(&path).unwrap().expose(), b"dHLDvGIgCgo=");
    }

    #[test]
    fn a_file_that_holds_no_secret_is_named() {
        let folder = crate::testing::Folder::new();
        let missing = folder.path().join("missing");
        let error = Secret::from_text_file(&missing).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
        let long = folder.write("long", &vec![b'x'; Secret::MAX_FILE_LEN + 1]);
        assert!(matches!(
            Secret::from_text_file(&long),
            Err(SecretError::FileTooLong { .. })
        ));
        let empty = folder.write("empty", b"\n");
        assert!(matches!(Secret::from_text_file(&empty), Err(SecretError::Empty)));
    }
}
