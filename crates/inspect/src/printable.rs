//! Text that others have made, on its way to a terminal.

use std::fmt::{self, Write};

/// How much is printed of what may be long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Lines of one tree or stack trace.
    pub lines: usize,
    /// Bytes of the same.
    pub bytes: usize,
    /// Bytes shown in hex.
    pub hex: usize,
    /// Values in JSON.
    pub values: usize,
    /// Characters of a string in JSON.
    pub chars: usize,
}

impl Bounds {
    /// As much as fits into a terminal window or two.
    pub const BRIEF: Self = Self {
        lines: 120,
        bytes: 32 << 10,
        hex: 32,
        values: 5_000,
        chars: 1_000,
    };

    /// Everything.
    pub const FULL: Self = Self {
        lines: usize::MAX,
        bytes: usize::MAX,
        hex: usize::MAX,
        values: usize::MAX,
        chars: usize::MAX,
    };

    /// Tells whether nothing is left out.
    pub fn is_full(&self) -> bool {
        *self == Self::FULL
    }
}

/// Prints a text of a few words in one line: control characters, which might steer a terminal, are escaped.
pub(crate) struct Clean<'a>(pub(crate) &'a str);

impl fmt::Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            char if is_harmless(char) => f.write_char(char),
            char => write!(f, "{}", char.escape_default()),
        })
    }
}

fn is_harmless(char: char) -> bool {
    // Marks that turn the direction of writing make lines lie.
    !char.is_control() && !matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Prints bytes in hex, and how many are left out.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8], pub(crate) usize);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes, most) = *self;
        for byte in &bytes[..bytes.len().min(most)] {
            write!(f, "{byte:02x}")?;
        }
        if bytes.len() > most {
            f.write_char('…')
        } else {
            Ok(())
        }
    }
}

/// Prints `what` with each line behind the first indented, up to the bounds; returns whether something was left out.
pub(crate) fn bounded(
    out: &mut String,
    indent: usize,
    bounds: &Bounds,
    what: impl FnOnce(&mut dyn Write) -> fmt::Result,
) -> bool {
    let mut gate = Gate {
        out,
        indent,
        lines: bounds.lines,
        bytes: bounds.bytes,
    };
    what(&mut gate).is_err()
}

/// Lets clean text through, until there is too much of it.
struct Gate<'a> {
    out: &'a mut String,
    indent: usize,
    lines: usize,
    bytes: usize,
}

impl Write for Gate<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes = self.bytes.checked_sub(text.len()).ok_or(fmt::Error)?;
        for char in text.chars() {
            match char {
                '\n' => {
                    self.lines = self
                        .lines
                        .checked_sub(1)
                        .filter(|left| *left > 0)
                        .ok_or(fmt::Error)?;
                    self.out.push('\n');
                    self.out.extend(std::iter::repeat_n(' ', self.indent));
                }
                '\t' => self.out.push_str("  "),
                char if is_harmless(char) => self.out.push(char),
                char => self.out.extend(char.escape_default()),
            }
        }
        Ok(())
    }
}

/// A number of bytes with spaces between the thousands.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) && digits.len() > 4 {
                f.write_char(' ')?;
            }
            f.write_char(digit)?;
        }
        f.write_str(if self.0 == 1 { " byte" } else { " bytes" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_does_not_steer_the_terminal() {
        assert_eq!(Clean("a\x1b[2Jb\n").to_string(), "a\\u{1b}[2Jb\\n");
        let mut out = String::new();
        assert!(!bounded(&mut out, 2, &Bounds::BRIEF, |out| out
            .write_str("x\x1b\n\u{202e}y")));
        assert_eq!(out, "x\\u{1b}\n  \\u{202e}y");
    }

    #[test]
    fn long_text_is_cut_after_so_many_lines_and_bytes() {
        let bounds = Bounds {
            lines: 3,
            bytes: 100,
            ..Bounds::BRIEF
        };
        let mut out = String::new();
        assert!(bounded(&mut out, 0, &bounds, |out| (0..9)
            .try_for_each(|line| writeln!(out, "{line}"))));
        assert_eq!(out, "0\n1\n2");
        assert!(bounded(&mut out, 0, &bounds, |out| out.write_str(&"x".repeat(101))));
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(Bytes(1).to_string(), "1 byte");
        assert_eq!(Bytes(1024).to_string(), "1024 bytes");
        assert_eq!(Bytes(33_554_432).to_string(), "33 554 432 bytes");
    }
}
