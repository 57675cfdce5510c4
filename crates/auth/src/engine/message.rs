//! The one message of the auth engine; both directions have the same layout.

/// A sealed public key, with what is needed to open it (Spark's `AuthMessage`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthMessage {
    /// The application whose secret is used; `sparkSaslUser` between `RpcEnv`s.
    pub app_id: String,
    /// Salt of the key that seals.
    pub salt: [u8; Self::SALT_LEN],
    /// A nonce, the encrypted public key, and a tag.
    pub sealed: [u8; Self::SEALED_LEN],
}

impl AuthMessage {
    /// The first byte, by which a server tells this protocol from SASL.
    pub const TAG: u8 = 0xfb;

    /// The longest application id that is read or written, in bytes.
    pub const MAX_APP_ID_LEN: usize = 1024;

    pub(crate) const SALT_LEN: usize = 16;
    pub(crate) const SEALED_LEN: usize = 12 + 32 + 16;

    /// The longest message: nothing longer needs to be kept for a peer that has not authenticated.
    pub const MAX_LEN: usize = 1 + 4 + Self::MAX_APP_ID_LEN + 4 + Self::SALT_LEN + 4 + Self::SEALED_LEN;

    /// Writes the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::MAX_LEN - Self::MAX_APP_ID_LEN + self.app_id.len());
        out.push(Self::TAG);
        for field in [self.app_id.as_bytes(), &self.salt, &self.sealed] {
            // Applications' ids come from settings and are checked by `start`; the others are short.
            out.extend_from_slice(&(field.len() as u32).to_be_bytes());
            out.extend_from_slice(field);
        }
        out
    }

    /// Reads a message that is exactly `bytes`.
    ///
    /// # Errors
    ///
    /// [`AuthMessageError`]; with [`NotOurs`](AuthMessageError::NotOurs) the peer speaks something else, perhaps SASL.
    pub fn decode(bytes: &[u8]) -> Result<Self, AuthMessageError> {
        let mut rest = bytes;
        match rest.split_off_first() {
            Some(&Self::TAG) => {}
            first => {
                return Err(AuthMessageError::NotOurs {
                    first: first.copied(),
                });
            }
        }
        let app_id = field(&mut rest, "app id")?;
        if app_id.len() > Self::MAX_APP_ID_LEN {
            return Err(AuthMessageError::Length {
                field: "app id",
                announced: app_id.len() as i64,
            });
        }
        let app_id = std::str::from_utf8(app_id)
            .map_err(|_| AuthMessageError::AppIdNotUtf8)?
            .to_owned();
        let salt = fixed(&mut rest, "salt")?;
        let sealed = fixed(&mut rest, "ciphertext")?;
        if !rest.is_empty() {
            return Err(AuthMessageError::Trailing { bytes: rest.len() });
        }
        Ok(Self { app_id, salt, sealed })
    }
}

fn field<'a>(rest: &mut &'a [u8], field: &'static str) -> Result<&'a [u8], AuthMessageError> {
    let length = rest
        .split_off(..4)
        .and_then(|bytes| bytes.try_into().ok())
        .map(i32::from_be_bytes)
        .ok_or(AuthMessageError::Truncated { field })?;
    usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_off(..length))
        .ok_or(AuthMessageError::Length {
            field,
            announced: i64::from(length),
        })
}

fn fixed<const N: usize>(rest: &mut &[u8], name: &'static str) -> Result<[u8; N], AuthMessageError> {
    let bytes = field(rest, name)?;
    bytes.try_into().map_err(|_| AuthMessageError::Length {
        field: name,
        announced: bytes.len() as i64,
    })
}

/// Why bytes are no [`AuthMessage`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthMessageError {
    /// The first byte belongs to another protocol.
    #[error("expected a message of the auth engine, but its first byte is {first:02x?}")]
    NotOurs {
        /// What came instead, if anything came.
        first: Option<u8>,
    },
    /// The message ends before a field.
    #[error("the message ends before the length of its {field}")]
    Truncated {
        /// The field that is missing.
        field: &'static str,
    },
    /// A field cannot have the length that is announced for it.
    #[error("the {field} cannot be {announced} bytes long")]
    Length {
        /// The field.
        field: &'static str,
        /// What the message says.
        announced: i64,
    },
    /// The application id is no text.
    #[error("the app id is not valid UTF-8")]
    AppIdNotUtf8,
    /// Bytes follow the last field.
    #[error("{bytes} bytes follow the end of the message")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> AuthMessage {
        AuthMessage {
            app_id: "app-ü".to_owned(),
            salt: [7; 16],
            sealed: [9; 60],
        }
    }

    /// ENGINE-07
    #[test]
    fn a_message_survives_encoding() {
        let bytes = sample().encode();
        assert_eq!(bytes.len(), 89 + "app-ü".len());
        assert_eq!(AuthMessage::decode(&bytes), Ok(sample()));
    }

    /// ENGINE-07
    #[test]
    fn another_first_byte_belongs_to_another_protocol() {
        let mut bytes = sample().encode();
        bytes[0] = 0xea;
        let first = Some(0xea);
        assert_eq!(
            AuthMessage::decode(&bytes),
            Err(AuthMessageError::NotOurs { first })
        );
        assert_eq!(
            AuthMessage::decode(&[]),
            Err(AuthMessageError::NotOurs { first: None })
        );
    }

    #[test]
    fn every_shorter_or_longer_message_is_refused() {
        let mut bytes = sample().encode();
        for length in 0..bytes.len() {
            assert!(AuthMessage::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        bytes.push(0);
        assert_eq!(
            AuthMessage::decode(&bytes),
            Err(AuthMessageError::Trailing { bytes: 1 })
        );
    }

    #[test]
    fn announced_lengths_are_not_believed() {
        let good = sample().encode();
        for at in [1, 5 + "app-ü".len(), 9 + "app-ü".len() + 16] {
            for announced in [-1, i32::MIN, i32::MAX, 1 << 20, 0] {
                let mut bytes = good.clone();
                bytes[at..at + 4].copy_from_slice(&announced.to_be_bytes());
                assert!(AuthMessage::decode(&bytes).is_err(), "{announced} at offset {at}");
            }
        }
        let long = AuthMessage {
            app_id: "x".repeat(AuthMessage::MAX_APP_ID_LEN + 1),
            ..sample()
        };
        assert!(matches!(
            AuthMessage::decode(&long.encode()),
            Err(AuthMessageError::Length { field: "app id", .. })
        ));
    }
}
