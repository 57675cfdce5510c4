//! How much text of a stream is printed, however often it is mentioned there.

use spark_rpc_javaobj::{Graph, Object};

/// Room for the texts of a stream.
///
/// A reference takes five bytes and may lead to megabytes of text, so that what is printed for each mention has no
/// bound by the length of the stream alone.
#[derive(Debug)]
pub(crate) struct Room {
    left: usize,
}

/// What may be printed again because several places lead to it, in bytes.
const REPEATED: usize = 16 << 20;
/// Characters that a class's or field's name may have as a matter of course; they need no room.
const USUAL_NAME: usize = 100;
/// Characters of a name that are printed; real ones are never so long.
const NAME: usize = 500;

impl Room {
    /// Room for each text once, and for some of them again; but not for more than `most` bytes.
    pub(crate) fn of(graph: &Graph, most: usize) -> Self {
        let once: usize = graph
            .objects()
            .iter()
            .map(|object| match object {
                Object::String(string) => string.as_str().map_or(0, str::len),
                _ => 0,
            })
            .sum();
        Self {
            left: most.min(once.saturating_add(REPEATED)),
        }
    }

    /// Takes as much of a text as there is room for, at most so many characters; tells whether that is all.
    pub(crate) fn take<'t>(&mut self, text: &'t str, chars: usize) -> (&'t str, bool) {
        let mut end = text.char_indices().nth(chars).map_or(text.len(), |(end, _)| end);
        if end > self.left {
            end = self.left;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            self.left = 0;
        } else {
            self.left -= end;
        }
        (&text[..end], end == text.len())
    }

    /// The same for the name of a class or field. Names stand at each object, so that only long ones take room.
    pub(crate) fn name(&mut self, name: &str) -> (String, bool) {
        let Some((usual, _)) = name.char_indices().nth(USUAL_NAME) else {
            return (name.to_owned(), true);
        };
        let (begin, rest) = name.split_at(usual);
        match self.take(rest, NAME - USUAL_NAME) {
            (_, true) => (name.to_owned(), true),
            (more, false) => (format!("{begin}{more}…"), false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_when_there_is_no_more_room() {
        let mut room = Room { left: 8 };
        assert_eq!(room.take("añb", 2), ("añ", false));
        assert_eq!(room.take("añb", 3), ("añb", true));
        assert_eq!(room.take("ñ", 9), ("", false));
        assert_eq!(room.take("", 9), ("", true));
        assert_eq!(
            room.take("x", 9),
            ("", false),
            "and nothing comes behind what was cut"
        );
    }
    #[test]
    fn usual_names_are_there_whatever_the_room() {
        let mut room = Room { left: 0 };
        let usual = "n".repeat(USUAL_NAME);
        assert_eq!(room.name(&usual), (usual.clone(), true));
        assert_eq!(room.name(&format!("{usual}x")), (format!("{usual}…"), false));
        let mut room = Room { left: usize::MAX };
        let longest = "n".repeat(NAME);
        assert_eq!(room.name(&longest), (longest.clone(), true));
        assert_eq!(room.name(&format!("{longest}x")), (format!("{longest}…"), false));
    }
}
