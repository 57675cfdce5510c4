//! A Rust source taken apart into its code and its comments, so that a rule about one is not misled by the other.

mod split;

use std::ops::Range;
use std::path::PathBuf;

/// One `.rs` file. `code` and `comments` have the length and the lines of `text`; what is not theirs is blank.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// Everything but comments and the insides of literals.
    pub(crate) code: String,
    /// Comments of every kind, with their slashes.
    pub(crate) comments: String,
}

/// A function with a `#[test]`-like attribute.
#[derive(Debug)]
pub(crate) struct TestFn {
    pub(crate) name: String,
    /// From the first comment line above it to its closing brace.
    pub(crate) extent: Range<usize>,
    pub(crate) ignored: bool,
}

impl Source {
    pub(crate) fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let text = text.into();
        let (code, comments) = split::split(&text);
        Self {
            path: path.into(),
            text,
            code,
            comments,
        }
    }

    /// The line number, from 1, of a byte offset.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1
    }

    /// Every outer attribute: the range of `#[…]`, and where the text inside begins and ends.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (Range<usize>, &str)> {
        self.code.match_indices("#[").filter_map(|(start, _)| {
            let end = closing(&self.code, start + 1)?;
            Some((start..end, self.code[start + 2..end - 1].trim()))
        })
    }

    /// All test functions, in order.
    pub(crate) fn tests(&self) -> Vec<TestFn> {
        self.attributes()
            .filter(|(_, inside)| is_test_attribute(inside))
            .filter_map(|(range, _)| self.test_at(&range))
            .collect()
    }

    fn test_at(&self, attribute: &Range<usize>) -> Option<TestFn> {
        let keyword = attribute.end + words(&self.code[attribute.end..], "fn").next()?;
        let after = self.code[keyword + 2..].trim_start();
        let name: String = after.chars().take_while(|c| is_word(*c)).collect();
        let open = keyword + self.code[keyword..].find('{')?;
        let end = closing(&self.code, open)?;
        let start = self.start_of_item(attribute.start);
        let ignored = self
            .attributes()
            .filter(|(range, _)| (start..keyword).contains(&range.start))
            .any(|(_, inside)| words(inside, "ignore").next().is_some());
        Some(TestFn {
            name,
            extent: start..end,
            ignored,
        })
    }

    /// Goes up from `offset` over the lines of comments and attributes that stand directly above it.
    fn start_of_item(&self, offset: usize) -> usize {
        let mut start = self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        while start > 0 {
            let above = self.text[..start - 1]
                .rfind('\n')
                .map_or(0, |newline| newline + 1);
            let line = self.text[above..start].trim();
            let belongs = (line.starts_with("//") && !line.starts_with("//!")) || line.starts_with("#[");
            if !belongs {
                break;
            }
            start = above;
        }
        start
    }
}

/// Where `word` stands in `text` and is not part of a longer one.
pub(crate) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The offset behind the bracket that closes the one at `open`.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `test`, `tokio::test(…)` and the like: the last part of the path is `test`.
fn is_test_attribute(inside: &str) -> bool {
    let path = inside.split(['(', '=']).next().unwrap_or_default().trim();
    path.rsplit("::").next() == Some("test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_reaches_from_its_comment_to_its_brace() {
        let text = "fn helper() {}\n\n/// ENV-01\n#[tokio::test(start_paused = true)]\n\
                    async fn works() { let x = \"}\"; }\nfn other() {}\n";
        let source = Source::new("x.rs", text);
        let tests = source.tests();
        assert_eq!(tests.len(), 1);
        assert_eq!(tests[0].name, "works");
        assert!(!tests[0].ignored);
        assert_eq!(
            &text[tests[0].extent.clone()],
            &text[16..text.len() - "\nfn other() {}\n".len()]
        );
    }

    #[test]
    fn an_ignored_test_is_known_as_such() {
        let source = Source::new(
            "x.rs",
            "#[test]\n#[ignore = \"needs a JVM\"]\nfn a() {}\n#[test]\nfn b() {}",
        );
        let ignored: Vec<_> = source.tests().iter().map(|test| test.ignored).collect();
        assert_eq!(ignored, [true, false]);
    }

    #[test]
    fn a_word_is_not_found_inside_a_longer_one() {
        assert_eq!(
            words("sleep asleep sleep_until sleep", "sleep").collect::<Vec<_>>(),
            [0, 25]
        );
    }
}
