//! The tokens of DIGEST-MD5: lists of `name=value` and `name="value"`.

use super::SaslError;
use super::message::SaslMessage;

/// A token's directives, in their order, with quotes and escapes taken away.
#[derive(Debug)]
pub(super) struct Directives(Vec<(String, String)>);

impl Directives {
    /// Reads a token. Only `realm` and directives that nobody knows may come more than once.
    pub(super) fn parse(token: &[u8]) -> Result<Self, SaslError> {
        if token.len() > SaslMessage::MAX_TOKEN_LEN {
            return Err(SaslError::Syntax("it is too long"));
        }
        let text = std::str::from_utf8(token).map_err(|_| SaslError::Syntax("it is not UTF-8"))?;
        let mut rest = text.trim_matches(is_space);
        let mut found: Vec<(String, String)> = Vec::new();
        while !rest.is_empty() {
            // RFC 2831 allows empty elements in the list.
            if let Some(after) = rest.strip_prefix(',') {
                rest = after.trim_start_matches(is_space);
                continue;
            }
            let (name, after) = rest
                .split_once('=')
                .ok_or(SaslError::Syntax("a directive has no value"))?;
            let name = name.trim_end_matches(is_space).to_ascii_lowercase();
            if name.is_empty() || !name.bytes().all(is_name_byte) {
                return Err(SaslError::Syntax("a directive has no proper name"));
            }
            let (value, after) = value(after.trim_start_matches(is_space))?;
            rest = after.trim_start_matches(is_space);
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(SaslError::Syntax("no comma between two directives"));
            }
            if SINGLE.contains(&&*name) && found.iter().any(|(other, _)| *other == name) {
                return Err(SaslError::Syntax("a directive comes twice"));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    /// The value of the first directive called `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| &**value)
    }

    /// The value of `name`, which must be there.
    pub(super) fn require(&self, name: &'static str) -> Result<&str, SaslError> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .ok_or(SaslError::Missing(name))
    }

    /// Tells whether `item` is in the list that is the value of `name`, or in `default` if that is missing.
    pub(super) fn offers(&self, name: &str, item: &str, default: &str) -> bool {
        self.get(name)
            .unwrap_or(default)
            .split(',')
            .any(|offered| offered.trim_matches(is_space).eq_ignore_ascii_case(item))
    }
}

/// Writes a value in quotes.
pub(super) fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

fn value(rest: &str) -> Result<(String, &str), SaslError> {
    let Some(body) = rest.strip_prefix('"') else {
        let end = rest.find(|c: char| c == ',' || is_space(c)).unwrap_or(rest.len());
        let (value, after) = rest.split_at(end);
        if value.contains('"') {
            return Err(SaslError::Syntax("a quote stands within a value"));
        }
        return Ok((value.to_owned(), after));
    };
    let mut out = String::new();
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, &body[at + 1..])),
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            other => out.push(other),
        }
    }
    Err(SaslError::Syntax("a quote is not closed"))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte)
}

const SINGLE: [&str; 16] = [
    "nonce",
    "cnonce",
    "nc",
    "qop",
    "cipher",
    "algorithm",
    "charset",
    "maxbuf",
    "username",
    "digest-uri",
    "response",
    "authzid",
    "rspauth",
    "stale",
    "servername",
    "serv-type",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<(String, String)>, SaslError> {
        Directives::parse(text.as_bytes()).map(|directives| directives.0)
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn bare_and_quoted_values_with_spaces_around_are_read() {
        assert_eq!(
            parse(r#" realm="a, b" , Nonce = x==,,qop="auth,auth-conf",e="\"\\z" "#),
            Ok(owned(&[
                ("realm", "a, b"),
                ("nonce", "x=="),
                ("qop", "auth,auth-conf"),
                ("e", "\"\\z"),
            ]))
        );
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(parse("a="), Ok(owned(&[("a", "")])));
    }

    #[test]
    fn a_quoted_value_is_read_back() {
        for value in ["", "plain", "a\"b\\c", "line\nbreak", "ü,="] {
            let text = format!("x={}", quoted(value));
            assert_eq!(parse(&text), Ok(owned(&[("x", value)])));
        }
    }

    #[test]
    fn text_that_is_no_list_of_directives_is_refused() {
        for text in [
            "x",
            "=1",
            "a b=1",
            "a=\"1",
            "a=\"1\\",
            "a=\"1\"b=2",
            "a=1 2",
            "a=1\"2\"",
        ] {
            assert!(matches!(parse(text), Err(SaslError::Syntax(_))), "{text}");
        }
        assert!(matches!(
            Directives::parse(b"a=\xff"),
            Err(SaslError::Syntax("it is not UTF-8"))
        ));
        assert!(parse(&"a=1,".repeat(1025)).is_err());
    }

    #[test]
    fn what_decides_may_not_come_twice() {
        assert_eq!(
            parse("qop=auth-conf,qop=auth"),
            Err(SaslError::Syntax("a directive comes twice"))
        );
        assert!(parse("realm=a,realm=b,new=1,new=2").is_ok());
    }
}
