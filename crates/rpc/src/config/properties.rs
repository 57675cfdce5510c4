//! Java's properties format, as `java.util.Properties.load` reads it.

use std::iter::Peekable;
use std::str::Chars;

/// One property; a part that is no Unicode text, or has a broken `\u` escape, is `None`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
    /// The line on which it begins, counted from 1.
    pub(super) line: usize,
}

/// Reads the properties of `text` one after the other, repeated ones too.
pub(super) fn parse(text: &str) -> impl Iterator<Item = Property> {
    let mut lines = natural_lines(text);
    // A backslash alone on its line, continued by a blank one, leaves nothing to read.
    let logical = std::iter::from_fn(move || next_logical(&mut lines)).filter(|(_, line)| !line.is_empty());
    logical.map(|(line, logical)| {
        let (key, value) = split(&logical);
        Property {
            key: unescape(key),
            value: unescape(value),
            line,
        }
    })
}

/// Drops blanks and control characters at both ends, but keeps line ends, which can only have come from
/// escapes. Spark's `Utils.trimExceptCRLF`.
pub(super) fn trim_blanks(value: &str) -> &str {
    value.trim_matches(|c: char| c <= ' ' && c != '\r' && c != '\n')
}

/// The lines of `text` with their numbers; `\n`, `\r` and `\r\n` each end one.
fn natural_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = Some(text);
    let lines = std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\r', '\n']) else {
            rest = None;
            return Some(text);
        };
        let after = &text[end..];
        rest = Some(after.strip_prefix("\r\n").unwrap_or(&after[1..]));
        Some(&text[..end])
    });
    (1..).zip(lines)
}

/// Joins continued lines; skips blank lines and comments, where a property could begin.
fn next_logical<'t>(lines: &mut impl Iterator<Item = (usize, &'t str)>) -> Option<(usize, String)> {
    let (number, first) = lines
        .map(|(number, line)| (number, line.trim_start_matches(BLANKS)))
        .find(|(_, line)| !line.is_empty() && !line.starts_with(['#', '!']))?;
    let mut logical = first.to_owned();
    while logical.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1 {
        logical.pop();
        let Some((_, next)) = lines.next() else { break };
        logical.push_str(next.trim_start_matches(BLANKS));
    }
    Some((number, logical))
}

/// Splits a logical line at the first blank, `=` or `:` that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (BLANKS.contains(&c) || c == '=' || c == ':');
        escaped = c == '\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(BLANKS);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(BLANKS))
}

/// Resolves escapes. Works in UTF-16 because two `\u` escapes can make one character.
fn unescape(text: &str) -> Option<String> {
    let mut units = Vec::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let unit = match c {
            '\\' => match chars.next() {
                Some('u') => {
                    units.push(four_digits(&mut chars)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
                None => break,
            },
            plain => plain,
        };
        units.extend_from_slice(unit.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).ok()
}

fn four_digits(chars: &mut Peekable<Chars<'_>>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = chars.next_if(char::is_ascii_hexdigit)?.to_digit(16)?;
        unit = unit << 4 | u16::try_from(digit).ok()?;
    }
    Some(unit)
}

/// What the format counts as white space.
const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text)
            .map(|p| (p.key.expect("a key"), p.value.expect("a value")))
            .collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut all = pairs(text);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn a_key_ends_at_blank_equals_sign_or_colon() {
        for text in ["k v", "k\tv", "k=v", "k:v", "k = v", "  k \t:  v", "k\u{c}v"] {
            assert_eq!(one(text), pair("k", "v"), "{text:?}");
        }
        assert_eq!(one("k==v"), pair("k", "=v"), "only one separator is taken");
        assert_eq!(one("k v = w"), pair("k", "v = w"));
        assert_eq!(one("k"), pair("k", ""));
        assert_eq!(one("=v"), pair("", "v"));
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        let text = "# one\n  ! two\n\n \t\nk v # not a comment\n#ends with \\\nl w";
        assert_eq!(pairs(text), [pair("k", "v # not a comment"), pair("l", "w")]);
    }

    #[test]
    fn a_backslash_at_the_end_continues_the_line() {
        assert_eq!(one("k a,\\\n    b,\\\r\n\tc"), pair("k", "a,b,c"));
        assert_eq!(
            one("k a\\\n# b"),
            pair("k", "a# b"),
            "a continuation is no comment"
        );
        assert_eq!(
            pairs("k a\\\n\nl b"),
            [pair("k", "a"), pair("l", "b")],
            "a blank line ends it"
        );
        assert_eq!(
            pairs("k a\\\\\nl b"),
            [pair("k", "a\\"), pair("l", "b")],
            "an escaped backslash does not"
        );
        assert_eq!(one("k a\\"), pair("k", "a"), "nothing follows");
        assert_eq!(
            one("\\\n\nk a"),
            pair("k", "a"),
            "nothing was continued by nothing"
        );
    }

    #[test]
    fn every_line_end_ends_a_line() {
        assert_eq!(
            pairs("a 1\nb 2\rc 3\r\nd 4"),
            ["a1", "b2", "c3", "d4"].map(|p| pair(&p[..1], &p[1..]))
        );
        let lines: Vec<_> = parse("a 1\r\n\r\n# c\rb\\\n2\nc 3").map(|p| p.line).collect();
        assert_eq!(lines, [1, 4, 6]);
    }

    #[test]
    fn escapes_stand_for_their_characters() {
        assert_eq!(one(r"a\ b\=c\:d v"), pair("a b=c:d", "v"));
        assert_eq!(one(r"k \t\n\r\f\\\q\u0041\u00e9"), pair("k", "\t\n\r\u{c}\\qAé"));
        assert_eq!(
            one(r"k \ud83d\ude00"),
            pair("k", "😀"),
            "two halves make one character"
        );
        assert_eq!(one("k é😀"), pair("k", "é😀"));
    }

    #[test]
    fn a_broken_escape_is_reported() {
        for value in [r"\u12", r"\u12g4", r"\u", r"\ud83d", r"\ude00x", r"\u+123"] {
            let text = format!("k {value}");
            assert_eq!(parse(&text).next().expect("a property").value, None, "{value}");
        }
        assert_eq!(parse(r"\uzzzz v").next().expect("a property").key, None);
    }

    #[test]
    fn any_text_can_be_read() {
        let letters = ['k', '=', '\\', 'u', '0', '\n', '\r', '#', ' ', 'é'];
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            texts = texts
                .iter()
                .flat_map(|text| letters.map(|letter| format!("{text}{letter}")))
                .collect();
        }
        for text in texts {
            let properties = parse(&text).count();
            assert!(properties <= natural_lines(&text).count(), "{text:?}");
        }
    }

    #[test]
    fn blanks_around_a_value_go_and_line_ends_stay() {
        assert_eq!(trim_blanks(" \t v w \u{c} "), "v w");
        assert_eq!(trim_blanks(" \n v\r "), "\n v\r");
        assert_eq!(trim_blanks("  "), "");
    }
}
