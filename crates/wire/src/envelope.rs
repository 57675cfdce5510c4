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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(host: &str, port: i32) -> Address<'static> {
        Address {
            host: Cow::Owned(host.to_owned()),
            port,
        }
    }

    fn envelope(
        sender: Option<Address<'static>>,
        receiver: Option<Address<'static>>,
        name: &str,
    ) -> Envelope<'static> {
        Envelope {
            sender,
            receiver,
            name: Cow::Owned(name.to_owned()),
        }
    }

    /// NENV-03
    #[test]
    fn sender_receiver_name_and_content_survive() {
        let (sender, receiver) = (
            Some(address("localhost", 12345)),
            Some(address("localhost", 54321)),
        );
        for (sender, receiver, content) in [
            (sender.clone(), receiver.clone(), &b"foo"[..]),
            (None, receiver.clone(), b"foo"),
            (sender.clone(), None, b"foo"),
            (None, None, b"foo"),
            (sender, receiver, b"\x70"), // a null in a Java stream
            (None, None, b""),
        ] {
            let written = envelope(sender, receiver, "foo");
            let mut body = Vec::new();
            written.encode(&mut body).unwrap();
            let header = body.len();
            body.extend_from_slice(content);

            let (read, length) = Envelope::decode(&body).unwrap();
            assert_eq!((&read, length), (&written, header));
            assert_eq!(&body[length..], content);
            assert_eq!(Envelope::header_len(&body), Ok(header));
        }
    }

    #[test]
    fn bytes_lie_as_spark_puts_them() {
        let mut out = Vec::new();
        envelope(None, Some(address("127.0.0.1", 38853)), "lab")
            .encode(&mut out)
            .unwrap();
        assert_eq!(out, b"\x00\x01\x00\x09127.0.0.1\x00\x00\x97\xc5\x00\x03lab");
    }

    #[test]
    fn strings_without_specials_are_borrowed() {
        let body = b"\x01\x00\x01h\x00\x00\x00\x01\x00\x00\x03lab";
        let (envelope, _) = Envelope::decode(body).unwrap();
        assert!(matches!(envelope.name, Cow::Borrowed("lab")));
        assert!(matches!(envelope.sender.unwrap().host, Cow::Borrowed("h")));
    }

    #[test]
    fn any_presence_byte_but_zero_means_present() {
        let (envelope, length) = Envelope::decode(b"\xff\x00\x01h\x00\x00\x00\x01\x00\x00\x00").unwrap();
        assert_eq!((envelope.sender, length), (Some(address("h", 1)), 11));
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused_wherever_it_ends() {
        let mut body = Vec::new();
        envelope(Some(address("a", 1)), Some(address("b", 2)), "c")
            .encode(&mut body)
            .unwrap();
        for n in 0..body.len() {
            let error = Envelope::decode(&body[..n]).unwrap_err();
            assert!(
                matches!(error, EnvelopeError::Truncated { .. }),
                "{n} bytes: {error:?}"
            );
            assert_eq!(Envelope::header_len(&body[..n]), Err(error));
        }
    }

    #[test]
    fn a_name_of_65535_bytes_is_written_and_one_more_is_refused() {
        let mut out = b"before".to_vec();
        envelope(None, None, &"x".repeat(65535)).encode(&mut out).unwrap();
        assert_eq!(Envelope::header_len(&out[6..]), Ok(out.len() - 6));

        let mut out = b"before".to_vec();
        // A NUL takes two bytes in modified UTF-8.
        let refused = envelope(None, None, &("\0".to_owned() + &"x".repeat(65534))).encode(&mut out);
        assert_eq!(
            refused,
            Err(EnvelopeError::TooLong {
                field: "endpoint's name",
                length: 65536
            })
        );
        assert_eq!(out, b"before");
    }

    #[test]
    fn a_name_that_is_not_modified_utf8_is_refused() {
        let refused = Envelope::decode(b"\x00\x00\x00\x02a\xff");
        assert_eq!(
            refused,
            Err(EnvelopeError::NotModifiedUtf8 {
                field: "endpoint's name",
                at: 1
            })
        );
    }

    fn any_address() -> impl Strategy<Value = Option<Address<'static>>> {
        proptest::option::of((any::<String>(), any::<i32>()).prop_map(|(host, port)| address(&host, port)))
    }

    proptest! {
        #[test]
        fn every_envelope_survives(
            sender in any_address(),
            receiver in any_address(),
            name in any::<String>(),
            content in any::<Vec<u8>>(),
        ) {
            let written = envelope(sender, receiver, &name);
            let mut body = Vec::new();
            written.encode(&mut body).unwrap();
            let header = body.len();
            body.extend_from_slice(&content);
            prop_assert_eq!(Envelope::header_len(&body), Ok(header));
            prop_assert_eq!(Envelope::decode(&body), Ok((written, header)));
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(body in any::<Vec<u8>>()) {
            if let Ok((envelope, length)) = Envelope::decode(&body) {
                prop_assert_eq!(Envelope::header_len(&body), Ok(length));
                let mut again = Vec::new();
                envelope.encode(&mut again).unwrap();
                prop_assert_eq!(Envelope::decode(&again), Ok((envelope, again.len())));
            }
        }
    }
}
