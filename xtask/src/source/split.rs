//! Tells code from comments and literals, byte by byte.

use super::is_word;

/// Returns the code and the comments of `text`, each with blanks for what is not its own.
pub(super) fn split(text: &str) -> (String, String) {
    let blank = blank(text.as_bytes());
    let mut split = Split {
        bytes: text.as_bytes(),
        at: 0,
        code: blank.clone(),
        comments: blank,
    };
    split.run();
    // Parts are copied whole, from one ASCII delimiter to the next, so both stay UTF-8.
    let utf8 = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (utf8(&split.code), utf8(&split.comments))
}

/// The state of taking a text apart.
struct Split<'a> {
    bytes: &'a [u8],
    at: usize,
    code: Vec<u8>,
    comments: Vec<u8>,
}

impl Split<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'/' if self.peek(1) == Some(b'/') => self.line_comment(),
                b'/' if self.peek(1) == Some(b'*') => self.block_comment(),
                b'"' => self.string(),
                b'\'' => self.quote(),
                _ if is_word(char::from(byte)) || !byte.is_ascii() => self.word(),
                _ => self.keep(1),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    /// Copies `count` bytes to the code.
    fn keep(&mut self, count: usize) {
        let end = (self.at + count).min(self.bytes.len());
        self.code[self.at..end].copy_from_slice(&self.bytes[self.at..end]);
        self.at = end;
    }

    fn comment_until(&mut self, end: usize) {
        self.comments[self.at..end].copy_from_slice(&self.bytes[self.at..end]);
        self.at = end;
    }

    fn line_comment(&mut self) {
        let length = self.bytes[self.at..].iter().position(|byte| *byte == b'\n');
        self.comment_until(length.map_or(self.bytes.len(), |length| self.at + length));
    }

    fn block_comment(&mut self) {
        let (mut end, mut depth) = (self.at, 0);
        while end < self.bytes.len() {
            let step = match &self.bytes[end..] {
                [b'/', b'*', ..] => 1,
                [b'*', b'/', ..] => -1,
                _ => 0,
            };
            depth += step;
            end += if step == 0 { 1 } else { 2 };
            if depth == 0 {
                break;
            }
        }
        self.comment_until(end);
    }

    /// An identifier, keyword or number; `r"…"`, `br#"…"#` and the like are raw strings.
    fn word(&mut self) {
        let start = self.at;
        while self
            .peek(0)
            .is_some_and(|byte| is_word(char::from(byte)) || !byte.is_ascii())
        {
            self.keep(1);
        }
        if matches!(&self.bytes[start..self.at], b"r" | b"br" | b"cr") {
            let hashes = self.bytes[self.at..]
                .iter()
                .take_while(|byte| **byte == b'#')
                .count();
            if self.peek(hashes) == Some(b'"') {
                self.raw_string(hashes);
            }
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        self.keep(hashes + 1);
        let close: Vec<u8> = std::iter::once(b'"')
            .chain(std::iter::repeat_n(b'#', hashes))
            .collect();
        let length = self.bytes[self.at..]
            .windows(close.len())
            .position(|window| window == close);
        self.at = length.map_or(self.bytes.len(), |length| self.at + length);
        self.keep(close.len());
    }

    fn string(&mut self) {
        self.keep(1);
        loop {
            match self.peek(0) {
                Some(b'"') => return self.keep(1),
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return self.at = self.bytes.len(),
            }
        }
    }

    /// A character, or the tick of a lifetime.
    fn quote(&mut self) {
        let escaped = self.peek(1) == Some(b'\\');
        let width = match self.peek(1) {
            Some(byte) if byte >= 0xF0 => 4,
            Some(byte) if byte >= 0xE0 => 3,
            Some(byte) if byte >= 0xC0 => 2,
            _ => 1,
        };
        self.keep(1);
        if escaped {
            self.at += 2;
            while self.peek(0).is_some_and(|byte| byte != b'\'') {
                self.at += 1;
            }
        } else if self.peek(width) == Some(b'\'') {
            self.at += width;
        } else {
            return;
        }
        self.at = self.at.min(self.bytes.len());
        self.keep(1);
    }
}

fn blank(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .map(|byte| if *byte == b'\n' { b'\n' } else { b' ' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String) {
        let (code, comments) = split(text);
        assert_eq!((code.len(), comments.len()), (text.len(), text.len()));
        let squeeze = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
        (squeeze(&code), squeeze(&comments))
    }

    #[test]
    fn comments_and_code_are_told_apart() {
        assert_eq!(
            parts("let a = 1; // why\nlet b;"),
            ("let a = 1; let b;".into(), "// why".into())
        );
        assert_eq!(
            parts("a /* x /* y */ z */ b"),
            ("a b".into(), "/* x /* y */ z */".into())
        );
    }

    #[test]
    fn the_insides_of_literals_belong_to_neither() {
        assert_eq!(parts(r#"f("a // b \" {", 'x')"#).0, r#"f(" ", ' ')"#);
        assert_eq!(
            parts("g(r##\"a \"# // b\"##, b'\\'', '\\u{1F600}', 'é')").0,
            "g(r##\" \"##, b' ', ' ', ' ')"
        );
        assert_eq!(parts("\"// no\" // yes").1, "// yes");
    }

    #[test]
    fn lifetimes_open_no_literal() {
        assert_eq!(parts("fn f<'a>(x: &'a str) {} // c").0, "fn f<'a>(x: &'a str) {}");
    }

    #[test]
    fn unfinished_literals_reach_to_the_end_without_harm() {
        for text in ["\"abc", "\"abc\\", "r#\"abc", "'\\", "'", "/* abc", "b'é"] {
            let (code, comments) = split(text);
            assert_eq!((code.len(), comments.len()), (text.len(), text.len()), "{text}");
        }
    }
}
