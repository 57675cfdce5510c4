//! Which entries the tests name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::entries::{Entry, Status, is_id};
use crate::source::Source;

/// The state of all groups, in the order of the catalogue.
#[derive(Debug)]
pub(super) struct Coverage {
    groups: Vec<Group>,
    /// What is wrong beside entries without a test, one line each.
    problems: Vec<String>,
}

#[derive(Debug, Default)]
struct Group {
    name: String,
    covered: Vec<String>,
    uncovered: Vec<String>,
    later: usize,
    never: usize,
}

/// Where an id was seen.
#[derive(Debug, Default)]
struct Seen {
    /// `file:line` of tests that run.
    tests: Vec<String>,
    /// `file:line` of everything else: prose, helpers, ignored tests.
    elsewhere: Vec<String>,
}

pub(super) fn measure(entries: &[Entry], sources: &[Source]) -> Coverage {
    let seen = scan(entries, sources);
    let mut coverage = Coverage {
        groups: Vec::new(),
        problems: Vec::new(),
    };
    for entry in entries {
        let nothing = Seen::default();
        let seen = seen.get(entry.id.as_str()).unwrap_or(&nothing);
        let known = coverage
            .groups
            .iter()
            .position(|group| group.name == entry.group());
        let at = known.unwrap_or_else(|| {
            coverage.groups.push(Group {
                name: entry.group().to_owned(),
                ..Group::default()
            });
            coverage.groups.len() - 1
        });
        let group = &mut coverage.groups[at];
        match entry.status {
            Status::Test if seen.tests.is_empty() => {
                if let Some(place) = seen.elsewhere.first() {
                    let text = format!("{}: {place} mentions it, but is no test that runs", entry.id);
                    coverage.problems.push(text);
                }
                group.uncovered.push(entry.id.clone());
            }
            Status::Test => group.covered.push(entry.id.clone()),
            Status::Later => group.later += 1,
            Status::Never => group.never += 1,
        }
        if entry.status != Status::Test
            && let Some(place) = seen.tests.first()
        {
            coverage
                .problems
                .push(format!("{}: has a test at {place}; change its status", entry.id));
        }
    }
    let known: BTreeSet<_> = entries.iter().map(|entry| entry.id.as_str()).collect();
    for (id, seen) in seen.iter().collect::<BTreeMap<_, _>>() {
        if let (false, Some(place)) = (known.contains(id.as_str()), seen.tests.first()) {
            coverage
                .problems
                .push(format!("{id}: {place} names it, the catalogue does not"));
        }
    }
    coverage
}

/// Collects every id of the known groups from comments and the names of tests.
fn scan(entries: &[Entry], sources: &[Source]) -> HashMap<String, Seen> {
    let groups: BTreeSet<_> = entries.iter().map(Entry::group).collect();
    let mut all: HashMap<String, Seen> = HashMap::new();
    for source in sources {
        let tests = source.tests();
        let place = |at| format!("{}:{}", source.path.display(), source.line_of(at));
        for (at, id) in ids_in_comments(&source.comments, &groups) {
            let test = tests.iter().find(|test| test.extent.contains(&at));
            let seen = all.entry(id).or_default();
            let list = if test.is_some_and(|test| !test.ignored) {
                &mut seen.tests
            } else {
                &mut seen.elsewhere
            };
            list.push(place(at));
        }
        for test in &tests {
            for id in ids_in_name(&test.name, &groups) {
                let seen = all.entry(id).or_default();
                let list = if test.ignored {
                    &mut seen.elsewhere
                } else {
                    &mut seen.tests
                };
                list.push(place(test.extent.start));
            }
        }
    }
    all
}

fn ids_in_comments(comments: &str, groups: &BTreeSet<&str>) -> Vec<(usize, String)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut found = Vec::new();
    let mut start = 0;
    for piece in comments.split_inclusive(|c| !is_part(c)) {
        let word = piece.trim_end_matches(|c| !is_part(c));
        if is_id(word) && groups.contains(word.split('-').next().unwrap_or_default()) {
            found.push((start, word.to_owned()));
        }
        start += piece.len();
    }
    found
}

/// Two neighbouring parts of a name make an id: letters, then digits.
fn ids_in_name(name: &str, groups: &BTreeSet<&str>) -> Vec<String> {
    let parts: Vec<_> = name.split('_').collect();
    let pairs = parts
        .windows(2)
        .map(|pair| format!("{}-{}", pair[0].to_uppercase(), pair[1]));
    pairs
        .filter(|id| is_id(id) && groups.contains(id.split('-').next().unwrap_or_default()))
        .collect()
}

impl Coverage {
    /// Whether there is nothing to do.
    pub(super) fn is_complete(&self) -> bool {
        self.problems.is_empty() && self.groups.iter().all(|group| group.uncovered.is_empty())
    }

    /// The totals in one line.
    pub(super) fn summary(&self) -> String {
        let sum = |count: fn(&Group) -> usize| self.groups.iter().map(count).sum::<usize>();
        let covered = sum(|group| group.covered.len());
        let wanted = covered + sum(|group| group.uncovered.len());
        let (later, never) = (sum(|group| group.later), sum(|group| group.never));
        format!("{covered} of {wanted} entries covered, {later} come later, {never} do not apply")
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in &self.groups {
            let wanted = group.covered.len() + group.uncovered.len();
            write!(f, "{:<9}", group.name)?;
            if wanted > 0 {
                write!(f, " {:>2} of {wanted:>2} covered", group.covered.len())?;
            }
            if group.later > 0 {
                write!(f, " {:>2} later", group.later)?;
            }
            if group.never > 0 {
                write!(f, " {:>2} never", group.never)?;
            }
            if !group.uncovered.is_empty() {
                write!(f, "  not covered: {}", group.uncovered.join(" "))?;
            }
            writeln!(f)?;
        }
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::entries::parse;
    use super::*;

    const PAGE: &str = "| ENV-01 | a | test |\n| ENV-02 | b | later: files |\n| RPC-01 | c | never: none |";

    fn measured(text: &str) -> Coverage {
        measure(&parse(PAGE).unwrap(), &[Source::new("a.rs", text)])
    }

    fn problems(text: &str) -> Vec<String> {
        measured(text).problems
    }

    #[test]
    fn a_test_covers_what_its_comments_and_its_name_say() {
        assert_eq!(problems("/// Sends. ENV-01\n#[test]\nfn sends() {}"), [""; 0]);
        assert_eq!(
            problems("#[tokio::test]\nasync fn sends() {\n    // ENV-01: far\n}"),
            [""; 0]
        );
        assert_eq!(problems("#[test]\nfn env_01_sends() {}"), [""; 0]);
    }

    #[test]
    fn an_entry_without_a_test_is_a_problem() {
        let coverage = measured("fn f() {}");
        assert_eq!(coverage.problems, [""; 0]);
        assert!(!coverage.is_complete());
        assert!(measured("/// ENV-01\n#[test]\nfn f() {}").is_complete());
    }

    #[test]
    fn a_mention_outside_of_a_running_test_covers_nothing() {
        let hint = ["ENV-01: a.rs:1 mentions it, but is no test that runs"];
        assert_eq!(problems("/// ENV-01\nfn helper() {}"), hint);
        assert_eq!(
            problems("/// ENV-01\n#[test]\n#[ignore = \"slow\"]\nfn f() {}"),
            hint
        );
        assert!(!measured("#[test]\nfn f() { g(\"ENV-01\") }").is_complete());
    }

    #[test]
    fn a_stale_waiver_is_a_problem() {
        let found = problems("/// ENV-01, ENV-02 and RPC-01\n#[test]\nfn f() {}");
        assert_eq!(
            found,
            [
                "ENV-02: has a test at a.rs:1; change its status",
                "RPC-01: has a test at a.rs:1; change its status"
            ]
        );
    }

    #[test]
    fn an_id_that_does_not_exist_is_a_problem_and_foreign_words_are_none() {
        let found = problems("/// ENV-01 ENV-77 AES-12 XENV-01 ENV-01-x\n#[test]\nfn f() {}");
        assert_eq!(found, ["ENV-77: a.rs:1 names it, the catalogue does not"]);
    }

    #[test]
    fn groups_are_counted_apart() {
        let coverage = measure(&parse(PAGE).unwrap(), &[Source::new("a.rs", "")]);
        assert_eq!(
            coverage.summary(),
            "0 of 1 entries covered, 1 come later, 1 do not apply"
        );
        let text = coverage.to_string();
        assert!(
            text.starts_with(
                "ENV        0 of  1 covered  1 later  not covered: ENV-01\nRPC        1 never\n"
            ),
            "{text}"
        );
    }
}
