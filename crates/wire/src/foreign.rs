//! Recognises peers that speak something else.

use std::fmt;

/// A protocol that is often spoken to the wrong port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignProtocol {
    /// A request or answer of HTTP/1.x.
    Http1,
    /// HTTP/2 in the clear.
    Http2,
    /// A TLS handshake: perhaps a Spark peer with RPC encryption by TLS turned on.
    Tls,
    /// SSH.
    Ssh,
}

impl ForeignProtocol {
    /// Tells what protocol begins with `first`, the first bytes of a connection.
    ///
    /// A few bytes are enough. No legal frame begins like any of these, since each of these needs a non-zero first byte
    /// and a frame of less than 4 GiB has none.
    pub fn recognise(first: &[u8]) -> Option<ForeignProtocol> {
        const HTTP1: [&[u8]; 10] = [
            b"GET ",
            b"HEAD ",
            b"POST ",
            b"PUT ",
            b"DELETE ",
            b"CONNECT ",
            b"OPTIONS ",
            b"TRACE ",
            b"PATCH ",
            b"HTTP/",
        ];
        if first.starts_with(b"PRI * HT") {
            Some(ForeignProtocol::Http2)
        } else if HTTP1.iter().any(|start| first.starts_with(start)) {
            Some(ForeignProtocol::Http1)
        } else if first.starts_with(&[0x16, 0x03]) {
            Some(ForeignProtocol::Tls)
        } else if first.starts_with(b"SSH-") {
            Some(ForeignProtocol::Ssh)
        } else {
            None
        }
    }
}

impl fmt::Display for ForeignProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ForeignProtocol::Http1 => "HTTP/1",
            ForeignProtocol::Http2 => "HTTP/2",
            ForeignProtocol::Tls => "TLS",
            ForeignProtocol::Ssh => "SSH",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_first_bytes_are_recognised() {
        for (first, protocol) in [
            (&b"GET / HTTP/1.1\r\n"[..], ForeignProtocol::Http1),
            (b"POST /api", ForeignProtocol::Http1),
            (b"OPTIONS ", ForeignProtocol::Http1),
            (b"HTTP/1.1 400", ForeignProtocol::Http1),
            (b"PRI * HTTP/2.0\r\n", ForeignProtocol::Http2),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01", ForeignProtocol::Tls),
            (b"SSH-2.0-", ForeignProtocol::Ssh),
        ] {
            assert_eq!(ForeignProtocol::recognise(first), Some(protocol), "{first:?}");
        }
    }

    #[test]
    fn a_frame_is_not_taken_for_another_protocol() {
        assert_eq!(ForeignProtocol::recognise(&[0, 0, 0, 0, 0, 0, 0, 21]), None);
        assert_eq!(
            ForeignProtocol::recognise(&(i64::from(i32::MAX) + 7).to_be_bytes()),
            None
        );
        assert_eq!(ForeignProtocol::recognise(b""), None);
        assert_eq!(ForeignProtocol::recognise(b"GE"), None);
    }
}
