//! No test waits by the clock: it waits for what it wants to see.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Problem;
use crate::source::{Source, closing, words};

const ALLOW: &str = "tidy: allow(sleep):";
const ALLOW_FILE: &str = "tidy: allow-file(sleep):";
const CALLS: [&str; 2] = ["sleep", "sleep_until"];

pub(super) fn check(sources: &[Source]) -> Vec<Problem> {
    let test_files: HashSet<PathBuf> = sources.iter().flat_map(test_modules_elsewhere).collect();
    sources
        .iter()
        .flat_map(|source| check_source(source, test_files.contains(&source.path)))
        .collect()
}

fn check_source(source: &Source, declared_as_test: bool) -> Vec<Problem> {
    if allows(&source.comments, ALLOW_FILE) {
        return Vec::new();
    }
    let whole = 0..source.code.len();
    let places = if declared_as_test || is_test_file(&source.path) {
        vec![whole]
    } else {
        test_regions(source)
    };
    let lines: Vec<&str> = source.comments.split('\n').collect();
    let mut problems = Vec::new();
    for name in CALLS {
        for at in words(&source.code, name).filter(|at| places.iter().any(|place| place.contains(at))) {
            let line = source.line_of(at);
            let excused = allows(lines[line - 1], ALLOW) || (line > 1 && allows(lines[line - 2], ALLOW));
            if is_sleep(&source.code, at, name) && !excused {
                let text = "a test sleeps: wait for the event, or write `// tidy: allow(sleep): why`";
                problems.push(Problem::at(&source.path, line, text));
            }
        }
    }
    problems.sort_by_key(|problem| problem.line);
    problems
}

/// Whether the comment has the permission, and a reason behind it.
fn allows(comment: &str, permission: &str) -> bool {
    let reason = comment
        .split(permission)
        .nth(1)
        .and_then(|rest| rest.lines().next());
    reason.is_some_and(|reason| !reason.trim().is_empty())
}

/// A call of `sleep`, bare or from a module called `thread` or `time`; no method and no definition.
fn is_sleep(code: &str, at: usize, name: &str) -> bool {
    let called = code[at + name.len()..].trim_start().starts_with('(');
    let before = code[..at].trim_end();
    let defined = before.ends_with("fn") || before.ends_with('.');
    let elsewhere =
        before.ends_with("::") && !["thread::", "time::"].iter().any(|path| before.ends_with(path));
    called && !defined && !elsewhere
}

fn is_test_file(path: &Path) -> bool {
    let folder = path
        .parent()
        .is_some_and(|parent| parent.components().any(|part| part.as_os_str() == "tests"));
    folder
        || path
            .file_stem()
            .is_some_and(|stem| stem == "tests" || stem == "test")
}

/// The items behind `#[cfg(test)]` and the test functions outside of them.
fn test_regions(source: &Source) -> Vec<Range<usize>> {
    let mut regions: Vec<_> = source.tests().into_iter().map(|test| test.extent).collect();
    for end in cfg_tests(source) {
        let rest = &source.code[end..];
        let open = rest
            .find('{')
            .filter(|open| rest.find(';').is_none_or(|semicolon| *open < semicolon));
        if let Some(close) = open.and_then(|open| closing(&source.code, end + open)) {
            regions.push(end..close);
        }
    }
    regions
}

/// The files of `#[cfg(test)] mod name;`.
fn test_modules_elsewhere(source: &Source) -> Vec<PathBuf> {
    let folder = source.path.parent().unwrap_or(Path::new(""));
    let own = source
        .path
        .file_stem()
        .map(|stem| folder.join(stem))
        .unwrap_or_default();
    cfg_tests(source)
        .filter_map(|end| {
            let declaration = source.code[end..].split(['{', ';']).next()?.trim();
            source.code[end..].find(';')?;
            declaration
                .rsplit_once("mod ")
                .map(|(_, name)| name.trim().to_owned())
        })
        .flat_map(|name| {
            let file = format!("{name}.rs");
            [
                folder.join(&file),
                own.join(&file),
                folder.join(&name).join("mod.rs"),
            ]
        })
        .collect()
}

/// Where each `#[cfg(test)]`, or a `cfg` that asks for more beside it, ends.
fn cfg_tests(source: &Source) -> impl Iterator<Item = usize> {
    source
        .attributes()
        .filter(|(_, inside)| inside.starts_with("cfg(") && words(inside, "test").next().is_some())
        .filter(|(_, inside)| !inside.replace(' ', "").contains("not(test"))
        .map(|(range, _)| range.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&[Source::new(path, text)])
            .into_iter()
            .map(|problem| problem.line.unwrap())
            .collect()
    }

    #[test]
    fn sleeping_is_found_in_test_files_modules_and_functions() {
        assert_eq!(
            lines("crates/a/tests/x.rs", "fn f() {\n    std::thread::sleep(d);\n}"),
            [2]
        );
        assert_eq!(
            lines(
                "a/src/tests.rs",
                "tokio::time::sleep(d).await;\nsleep_until(t).await;"
            ),
            [1, 2]
        );
        assert_eq!(
            lines(
                "a/src/x.rs",
                "fn f() { sleep(d) }\n#[cfg(test)]\nmod t {\n    fn g() { sleep(d) }\n}"
            ),
            [4]
        );
        assert_eq!(
            lines(
                "a/src/x.rs",
                "#[test]\nfn f() {\n    time::sleep(d);\n}\nfn g() { sleep(d) }"
            ),
            [3]
        );
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_is_followed() {
        let parent = Source::new("a/src/inbox.rs", "#[cfg(test)]\nmod laws;\n");
        let child = Source::new("a/src/inbox/laws.rs", "fn f() { sleep(d) }");
        assert_eq!(check(&[parent, child]).len(), 1);
    }

    #[test]
    fn the_product_may_sleep() {
        assert_eq!(lines("a/src/x.rs", "fn f() { tokio::time::sleep(d) }"), [0; 0]);
        assert_eq!(
            lines(
                "a/src/x.rs",
                "#[cfg(not(test))]\nfn f() { tokio::time::sleep(d) }"
            ),
            [0; 0]
        );
    }

    #[test]
    fn a_reason_excuses_one_line_or_a_file() {
        let path = "a/tests/x.rs";
        assert_eq!(
            lines(path, "// tidy: allow(sleep): virtual time\nsleep(d);\nsleep(d);"),
            [3]
        );
        assert_eq!(
            lines(
                path,
                "sleep(d); // tidy: allow(sleep): the handler is slow on purpose"
            ),
            [0; 0]
        );
        assert_eq!(
            lines(
                path,
                "// tidy: allow-file(sleep): virtual time\nsleep(d);\n\nsleep(d);"
            ),
            [0; 0]
        );
        assert_eq!(lines(path, "sleep(d); // tidy: allow(sleep):"), [1], "no reason");
    }

    #[test]
    fn other_things_of_that_name_are_left_alone() {
        let text =
            "use std::thread::sleep;\nfn sleep(d: D) {}\nclock.sleep(d);\nsim::sleep(d);\n\"sleep(d)\";\n";
        assert_eq!(lines("a/tests/x.rs", text), [0; 0]);
    }
}
