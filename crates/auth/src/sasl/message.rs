//! The wrapping of a client's tokens.

/// A client's SASL token, with the application for which it wants to authenticate (Spark's `SaslMessage`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaslMessage<'a> {
    /// The application, or `sparkSaslUser` between `RpcEnv`s. Anybody can claim anything.
    pub app_id: &'a str,
    /// The token.
    pub token: &'a [u8],
}

impl<'a> SaslMessage<'a> {
    /// The first byte, by which a server tells this protocol from the auth engine.
    pub const TAG: u8 = 0xea;

    /// The longest application id that is read, in bytes.
    pub const MAX_APP_ID_LEN: usize = 1024;

    /// The longest token that is read; the JDK takes no longer one either.
    pub const MAX_TOKEN_LEN: usize = 4096;

    /// The longest message: nothing longer needs to be kept for a peer that has not authenticated.
    pub const MAX_LEN: usize = 1 + 4 + Self::MAX_APP_ID_LEN + 4 + Self::MAX_TOKEN_LEN;

    /// Writes the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![Self::TAG];
        for field in [self.app_id.as_bytes(), self.token] {
            out.extend_from_slice(&(field.len() as u32).to_be_bytes());
            out.extend_from_slice(field);
        }
        out
    }

    /// Reads a message that is exactly `bytes`. The token is what follows, whatever its length says, as for Spark.
    ///
    /// # Errors
    ///
    /// [`SaslMessageError`]; Spark's text for [`NotOurs`](SaslMessageError::NotOurs) is what its users know.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, SaslMessageError> {
        let mut rest = bytes;
        match rest.split_off_first() {
            Some(&Self::TAG) => {}
            first => {
                return Err(SaslMessageError::NotOurs {
                    first: first.copied(),
                });
            }
        }
        let length = length(&mut rest)?;
        let app_id = usize::try_from(length)
            .ok()
            .filter(|length| *length <= Self::MAX_APP_ID_LEN)
            .and_then(|length| rest.split_off(..length))
            .ok_or(SaslMessageError::AppIdLength { announced: length })?;
        let app_id = std::str::from_utf8(app_id).map_err(|_| SaslMessageError::AppIdNotUtf8)?;
        self::length(&mut rest)?;
        if rest.len() > Self::MAX_TOKEN_LEN {
            return Err(SaslMessageError::TokenTooLong { bytes: rest.len() });
        }
        Ok(Self { app_id, token: rest })
    }
}

fn length(rest: &mut &[u8]) -> Result<i32, SaslMessageError> {
    rest.split_off(..4)
        .and_then(|bytes| bytes.try_into().ok())
        .map(i32::from_be_bytes)
        .ok_or(SaslMessageError::Truncated)
}

/// Why bytes are no [`SaslMessage`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaslMessageError {
    /// The first byte belongs to something else.
    #[error("Expected SaslMessage, received something else (maybe your client does not have SASL enabled?)")]
    NotOurs {
        /// What came instead, if anything came.
        first: Option<u8>,
    },
    /// The message ends before a length.
    #[error("the SASL message ends early")]
    Truncated,
    /// The application id cannot have the announced length.
    #[error("the app id of a SASL message cannot be {announced} bytes long")]
    AppIdLength {
        /// What the message says.
        announced: i32,
    },
    /// The application id is no text.
    #[error("the app id of a SASL message is not valid UTF-8")]
    AppIdNotUtf8,
    /// The token is too long.
    #[error("a SASL token of {bytes} bytes is longer than {}", SaslMessage::MAX_TOKEN_LEN)]
    TokenTooLong {
        /// Its length.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: SaslMessage<'static> = SaslMessage {
        app_id: "app-ü",
        token: b"token",
    };

    #[test]
    fn a_message_survives_encoding() {
        assert_eq!(SaslMessage::decode(&SAMPLE.encode()), Ok(SAMPLE));
        let empty = SaslMessage { token: b"", ..SAMPLE };
        assert_eq!(SaslMessage::decode(&empty.encode()), Ok(empty));
    }

    #[test]
    fn a_message_that_ends_before_its_token_is_refused() {
        let bytes = SAMPLE.encode();
        for length in 0..bytes.len() - SAMPLE.token.len() {
            assert!(SaslMessage::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn another_first_byte_is_refused_in_sparks_words() {
        let error = SaslMessage::decode(&[0, 1, 2]).unwrap_err();
        assert_eq!(error, SaslMessageError::NotOurs { first: Some(0) });
        assert!(error.to_string().starts_with("Expected SaslMessage, received"));
    }

    #[test]
    fn announced_lengths_are_not_believed() {
        for announced in [-1, i32::MIN, i32::MAX, 1025, 100] {
            let mut bytes = SAMPLE.encode();
            bytes[1..5].copy_from_slice(&announced.to_be_bytes());
            assert_eq!(
                SaslMessage::decode(&bytes),
                Err(SaslMessageError::AppIdLength { announced })
            );
        }
        let token = vec![0; SaslMessage::MAX_TOKEN_LEN + 1];
        let long = SaslMessage {
            app_id: "",
            token: &token,
        }
        .encode();
        assert_eq!(
            SaslMessage::decode(&long),
            Err(SaslMessageError::TokenTooLong { bytes: token.len() })
        );
    }
}
