//! How served files are named in URIs.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::address::{InvalidAddress, RpcAddress};

/// Where a served file is, and what it is called there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileUri {
    pub(crate) address: RpcAddress,
    /// The decoded path, which is the name of the stream.
    pub(crate) stream: String,
}

impl FileUri {
    pub(crate) fn parse(uri: &str) -> Result<Self, &'static str> {
        let rest = uri
            .strip_prefix("spark://")
            .ok_or("it does not begin with spark://")?;
        if rest.contains(|c: char| c.is_ascii_control() || c == ' ') {
            return Err(
                "it contains blanks or control characters, which are to be written as %20 and the like",
            );
        }
        if rest.contains(['?', '#']) {
            return Err(
                "it has a query or fragment; these characters of a name are to be written as %3F and %23",
            );
        }
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of a bare address in brackets belong to it.
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, ""),
        };
        if host.is_empty() {
            return Err("Host name must be defined.");
        }
        if port.is_empty() {
            return Err("Port must be defined.");
        }
        let address: RpcAddress = authority
            .parse()
            .map_err(|_: InvalidAddress| "what follows spark:// is not HOST:PORT")?;
        if address.port() == 0 {
            return Err("Port must be defined.");
        }
        if path.is_empty() {
            return Err("Path must be defined.");
        }
        Ok(Self {
            address,
            stream: decode(path)?,
        })
    }
}

/// Writes a name as one segment of a path.
pub(crate) fn encode_segment(name: &str) -> String {
    utf8_percent_encode(name, ESCAPED).to_string()
}

/// Brings the base of a folder into its one form, the decoded segment.
pub(crate) fn normalise_base(base: &str) -> Result<String, &'static str> {
    if base.contains(['?', '#']) {
        return Err("a query or fragment has no place in it");
    }
    let mut segments = Vec::new();
    for segment in base.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop().ok_or("it leads out of the root")?;
            }
            name => segments.push(name),
        }
    }
    let [segment] = segments[..] else {
        return Err("it must be a single segment, such as /classes");
    };
    let name = decode(segment)?;
    match &*name {
        "." | ".." => Err("it leads out of the root"),
        name if name.contains(['/', '\0']) => Err("it must be a single segment, such as /classes"),
        _ => Ok(name),
    }
}

fn decode(text: &str) -> Result<String, &'static str> {
    let is_hex = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    if text
        .match_indices('%')
        .any(|(at, _)| !is_hex(at + 1) || !is_hex(at + 2))
    {
        return Err("two hexadecimal digits must follow each %");
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| "its escapes are not UTF-8")
}

/// What may not stand in a path (RFC 3986 §3.3), nor be a slash, which would end the segment.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_survives_the_way_through_a_uri() {
        for name in [
            "a b",
            "100%",
            "%2e%2e",
            "ä€",
            "q?x#y",
            "a+b;c=d&e",
            "[1]{2}|\\^`\"<>",
            "\u{1}",
        ] {
            let uri = format!("spark://h:1/files/{}", encode_segment(name));
            let parsed = FileUri::parse(&uri).unwrap();
            assert_eq!(parsed.stream, format!("/files/{name}"), "{uri}");
        }
        assert_eq!(encode_segment("a b+c"), "a%20b+c");
    }

    #[test]
    fn what_names_no_file_is_refused_with_the_reason() {
        for (uri, reason) in [
            ("http://h:1/files/a", "spark://"),
            ("spark:///files/a", "Host name must be defined."),
            ("spark://:1/files/a", "Host name must be defined."),
            ("spark://h/files/a", "Port must be defined."),
            ("spark://[::1]/files/a", "Port must be defined."),
            ("spark://h:0/files/a", "Port must be defined."),
            ("spark://h:1", "Path must be defined."),
            ("spark://h:70000/files/a", "HOST:PORT"),
            ("spark://user@h:1/files/a", "HOST:PORT"),
            ("spark://h:1/files/a b", "blanks"),
            ("spark://h:1/files/a?b", "query"),
            ("spark://h:1/files/%4", "hexadecimal"),
            ("spark://h:1/files/%4ä", "hexadecimal"),
            ("spark://h:1/files/%ff", "UTF-8"),
        ] {
            let error = FileUri::parse(uri).unwrap_err();
            assert!(error.contains(reason), "{uri}: {error}");
        }
        let parsed = FileUri::parse("spark://[::1]:7/x").unwrap();
        assert_eq!(parsed.address, RpcAddress::new("::1", 7));
    }

    #[test]
    fn bases_have_one_form() {
        for base in [
            "dir",
            "/dir",
            "/dir/",
            "//dir//",
            "/./dir/.",
            "/a/../dir",
            "/dir/x/..",
            "/%64ir",
        ] {
            assert_eq!(normalise_base(base).as_deref(), Ok("dir"), "{base}");
        }
        for base in [
            "", "/", "/..", "/../dir", "/a/b", "/a%2fb", "/%2e%2e", "/%2e", "/%0", "/a?b", "/a%00",
        ] {
            assert!(normalise_base(base).is_err(), "{base}");
        }
    }
}
