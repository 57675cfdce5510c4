//! The header that an `RpcEnv` puts in front of the content of a request or one-way message.

use std::borrow::Cow;

use crate::modified_utf8;

/// The address of an `RpcEnv` that listens (Spark's `RpcAddress`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address<'a> {
    /// Host name or address, as the env calls itself.
    pub host: Cow<'a, str>,
    /// Port. Spark writes an `i32` and checks nothing.
    pub port: i32,
}

/// Who sends a message to which endpoint (the header of Spark's `RequestMessage`).
///
/// It stands at the front of the body of an `RpcRequest` or `OneWayMessage`; the content follows it without a length of
/// its own. Replies have no such header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Envelope<'a> {
    /// The sending env; absent when that env does not listen.
    pub sender: Option<Address<'a>>,
    /// The receiving env as the sender knows it; absent when that env does not listen. Messages are
    /// dispatched by `name` alone.
    pub receiver: Option<Address<'a>>,
    /// The endpoint.
    pub name: Cow<'a, str>,
}

/// A header that cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The body ends inside the header.
    #[error("the message ends inside the {field}: {needed} bytes needed, {available} available")]
    Truncated {
        /// The part that is cut off.
        field: &'static str,
        /// Bytes which the part needs.
        needed: usize,
        /// Bytes which are left.
        available: usize,
    },
    /// A string is not modified UTF-8.
    #[error("the {field} is not modified UTF-8 at byte {at}")]
    NotModifiedUtf8 {
        /// The string's name.
        field: &'static str,
        /// Where in the string.
        at: usize,
    },
    /// A string is too long to be written.
    #[error("the {field} takes {length} bytes, more than {limit}", limit = modified_utf8::MAX_LEN)]
    TooLong {
        /// The string's name.
        field: &'static str,
        /// Bytes it takes in modified UTF-8.
        length: usize,
    },
}

impl<'a> Envelope<'a> {
    /// Decodes the header at the front of `body`, and returns its length too: the content begins there.
    ///
    /// The strings are borrowed unless they contain NUL or characters beyond U+FFFF.
    ///
    /// # Errors
    ///
    /// Returns [`EnvelopeError::Truncated`] or [`EnvelopeError::NotModifiedUtf8`]. Spark answers a request with
    /// such a header with an `RpcFailure` and keeps the connection.
    pub fn decode(body: &'a [u8]) -> Result<(Envelope<'a>, usize), EnvelopeError> {
        let mut walk = Walk { body, at: 0 };
        let sender = walk.address("sender's presence", "sender's host", "sender's port")?;
        let receiver = walk.address("receiver's presence", "receiver's host", "receiver's port")?;
        let name = walk.string("endpoint's name")?;
        Ok((
            Envelope {
                sender: text_of(sender)?,
                receiver: text_of(receiver)?,
                name: name.text()?,
            },
            walk.at,
        ))
    }

    /// Returns the header's length without looking at its strings: a few nanoseconds, for whoever keeps decoded headers by
    /// their raw bytes.
    ///
    /// # Errors
    ///
    /// Returns [`EnvelopeError::Truncated`] if `body` ends before the header does.
    #[inline]
    pub fn header_len(body: &[u8]) -> Result<usize, EnvelopeError> {
        let mut walk = Walk { body, at: 0 };
        walk.address("sender's presence", "sender's host", "sender's port")?;
        walk.address("receiver's presence", "receiver's host", "receiver's port")?;
        walk.string("endpoint's name")?;
        Ok(walk.at)
    }

    /// Appends the header to `out`.
    ///
    /// # Errors
    ///
    /// Returns [`EnvelopeError::TooLong`] if a string takes more than 65535 bytes; `out` is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EnvelopeError> {
        let start = out.len();
        put_address(out, self.sender.as_ref(), "sender's host")
            .and_then(|()| put_address(out, self.receiver.as_ref(), "receiver's host"))
            .and_then(|()| put_string(out, &self.name, "endpoint's name"))
            .inspect_err(|_| out.truncate(start))
    }

    /// Gives the strings owners of their own.
    pub fn into_owned(self) -> Envelope<'static> {
        Envelope {
            sender: self.sender.map(Address::into_owned),
            receiver: self.receiver.map(Address::into_owned),
            name: Cow::Owned(self.name.into_owned()),
        }
    }
}

impl Address<'_> {
    /// Gives the host's name an owner of its own.
    pub fn into_owned(self) -> Address<'static> {
        Address {
            host: Cow::Owned(self.host.into_owned()),
            port: self.port,
        }
    }
}

/// Goes over a header by its lengths.
struct Walk<'a> {
    body: &'a [u8],
    at: usize,
}

/// A string of the header that has not been looked into.
struct Raw<'a> {
    field: &'static str,
    bytes: &'a [u8],
}

impl<'a> Raw<'a> {
    fn text(self) -> Result<Cow<'a, str>, EnvelopeError> {
        modified_utf8::decode(self.bytes).map_err(|error| EnvelopeError::NotModifiedUtf8 {
            field: self.field,
            at: error.at,
        })
    }
}

fn text_of(address: Option<(Raw<'_>, i32)>) -> Result<Option<Address<'_>>, EnvelopeError> {
    address
        .map(|(host, port)| {
            Ok(Address {
                host: host.text()?,
                port,
            })
        })
        .transpose()
}

impl<'a> Walk<'a> {
    #[inline]
    fn address(
        &mut self,
        presence: &'static str,
        host: &'static str,
        port: &'static str,
    ) -> Result<Option<(Raw<'a>, i32)>, EnvelopeError> {
        if self.take(1, presence)? == [0] {
            return Ok(None);
        }
        let host = self.string(host)?;
        let port = self.take(4, port)?;
        Ok(Some((
            host,
            i32::from_be_bytes([port[0], port[1], port[2], port[3]]),
        )))
    }

    #[inline]
    fn string(&mut self, field: &'static str) -> Result<Raw<'a>, EnvelopeError> {
        let length = self.take(2, field)?;
        let length = u16::from_be_bytes([length[0], length[1]]);
        Ok(Raw {
            field,
            bytes: self.take(usize::from(length), field)?,
        })
    }

    #[inline]
    fn take(&mut self, needed: usize, field: &'static str) -> Result<&'a [u8], EnvelopeError> {
        let rest = &self.body[self.at..];
        let Some((bytes, _)) = rest.split_at_checked(needed) else {
            return Err(EnvelopeError::Truncated {
                field,
                needed,
                available: rest.len(),
            });
        };
        self.at += needed;
        Ok(bytes)
    }
}

fn put_address(
    out: &mut Vec<u8>,
    address: Option<&Address<'_>>,
    field: &'static str,
) -> Result<(), EnvelopeError> {
    let Some(address) = address else {
        out.push(0);
        return Ok(());
    };
    out.push(1);
    put_string(out, &address.host, field)?;
    out.extend_from_slice(&address.port.to_be_bytes());
    Ok(())
}

fn put_string(out: &mut Vec<u8>, text: &str, field: &'static str) -> Result<(), EnvelopeError> {
    let length = modified_utf8::encoded_len(text);
    let announced = u16::try_from(length).map_err(|_| EnvelopeError::TooLong { field, length })?;
    out.extend_from_slice(&announced.to_be_bytes());
    modified_utf8::encode(text, out);
    Ok(())
}

#[cfg(test)]
mod tests;
