//! Rules about single lines of Rust.

use super::Problem;
use crate::source::{Source, words};

/// Marks of unfinished work in comments.
const MARKS: [&str; 3] = ["TODO", "FIXME", "XXX"];
/// Macros that stand for unfinished work.
const MACROS: [&str; 2] = ["todo", "unimplemented"];

pub(super) fn check(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (line, text) in source.text.split('\n').enumerate() {
        let mut problem = |text: &str| problems.push(Problem::at(&source.path, line + 1, text));
        if text.contains('\t') {
            problem("a tab");
        }
        if text.ends_with([' ', '\r']) {
            problem("white space at the end of the line");
        }
    }
    let mut problem =
        |at: usize, text: String| problems.push(Problem::at(&source.path, source.line_of(at), text));
    for mark in MARKS {
        for at in words(&source.comments, mark) {
            problem(
                at,
                format!("`{mark}`: finish it, or say in a sentence why it is so"),
            );
        }
    }
    for name in MACROS {
        for at in words(&source.code, name).filter(|at| source.code[at + name.len()..].starts_with('!')) {
            problem(at, format!("`{name}!`: finish it"));
        }
    }
    for (range, inside) in source.attributes() {
        let bare =
            words(inside, "ignore").any(|at| !inside[at + "ignore".len()..].trim_start().starts_with('='));
        let names_tests = inside.starts_with("ignore") || inside.starts_with("cfg_attr");
        if bare && names_tests {
            problem(
                range.start,
                "an ignored test says why: `#[ignore = \"runs when …\"]`".to_owned(),
            );
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let problems = check(&Source::new("a.rs", text));
        problems
            .into_iter()
            .map(|problem| (problem.line.unwrap(), problem.text))
            .collect()
    }

    #[test]
    fn clean_lines_are_accepted() {
        assert_eq!(found("//! What it does.\n\nfn f() {\n    g();\n}\n"), []);
    }

    #[test]
    fn tabs_and_trailing_spaces_are_reported_with_their_line() {
        assert_eq!(found("a;\n\tb;\n"), [(2, "a tab".into())]);
        assert_eq!(found("a; \nb;\r\n").len(), 2);
    }

    #[test]
    fn unfinished_work_is_reported_wherever_it_hides() {
        assert_eq!(found("// TODO: later\n").len(), 1);
        assert_eq!(found("/// See (FIXME).\nfn f() {}\n").len(), 1);
        assert_eq!(
            found("fn f() {\n    todo!()\n}\n"),
            [(2, "`todo!`: finish it".into())]
        );
        assert_eq!(found("fn f() { std::unimplemented!(\"x\") }\n").len(), 1);
    }

    #[test]
    fn words_that_only_look_like_marks_are_accepted() {
        assert_eq!(
            found("let s = \"TODO\"; // a todo list, TODOS\nlet todo = 1;\n"),
            []
        );
    }

    #[test]
    fn an_ignored_test_needs_a_reason() {
        assert_eq!(found("#[test]\n#[ignore]\nfn f() {}\n").len(), 1);
        assert_eq!(found("#[cfg_attr(miri, ignore)]\nfn f() {}\n").len(), 1);
        assert_eq!(
            found("#[ignore = \"needs a JVM; CI runs it nightly\"]\nfn f() {}\n"),
            []
        );
        assert_eq!(found("#[cfg_attr(miri, ignore = \"sockets\")]\nfn f() {}\n"), []);
        assert_eq!(found("// not an #[ignore]\n#[serde(ignore)]\nstruct S;\n"), []);
    }
}
