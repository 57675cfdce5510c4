//! "Did you mean": the known name that is most like a mistyped one.

/// Returns the candidate with the fewest changed letters, unless even that one is too different to be meant.
/// Letters of either case count as equal.
pub(super) fn closest<'c>(typed: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let typed = letters(typed);
    // A key far longer than any known one is no slip of the finger; comparing it would only cost time.
    if typed.len() > MAX_LETTERS {
        return None;
    }
    let distances = candidates
        .into_iter()
        .map(|candidate| (distance(&typed, &letters(candidate)), candidate));
    let (least, candidate) = distances.min_by_key(|(distance, _)| *distance)?;
    (least <= MAX_CHANGES).then_some(candidate)
}

/// Letters to insert, delete, replace, or swap with their neighbour, to turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    // Three rows of the usual table: two above the current one for the swaps.
    let mut above_that = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(above_that[j - 2] + 1);
            }
        }
        above_that = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

/// More changes than this make another word.
const MAX_CHANGES: usize = 3;

const MAX_LETTERS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn between(a: &str, b: &str) -> usize {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        distance(&letters(a), &letters(b))
    }

    #[test]
    fn every_changed_letter_counts_and_a_swap_counts_once() {
        assert_eq!(between("", ""), 0);
        assert_eq!(between("", "abc"), 3);
        assert_eq!(between("abc", ""), 3);
        assert_eq!(between("timeout", "timout"), 1);
        assert_eq!(between("timeout", "timeotu"), 1);
        assert_eq!(between("kitten", "sitting"), 3);
    }

    #[test]
    fn the_most_similar_name_is_suggested() {
        let names = ["askTimeout", "lookupTimeout", "numRetries"];
        assert_eq!(closest("asktimeout", names), Some("askTimeout"));
        assert_eq!(closest("lokupTimout", names), Some("lookupTimeout"));
        assert_eq!(closest("numRetry", names), Some("numRetries"));
    }

    #[test]
    fn nothing_is_suggested_for_what_resembles_nothing() {
        assert_eq!(closest("zzzzzzzz", ["askTimeout"]), None);
        assert_eq!(closest(&"a".repeat(100_000), ["askTimeout"]), None);
        assert_eq!(closest("a", []), None);
    }
}
