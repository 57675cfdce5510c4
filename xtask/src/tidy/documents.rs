//! The documents that a newcomer meets exist, and lead to all the others.

use std::collections::HashSet;
use std::path::Path;

use super::Problem;
use super::markdown::Page;

const REQUIRED: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"];
const ENTRANCES: [&str; 2] = ["README.md", "ARCHITECTURE.md"];

pub(super) fn check(pages: &[Page]) -> Vec<Problem> {
    let find = |name: &str| pages.iter().find(|page| page.path == Path::new(name));
    let missing = REQUIRED.iter().filter(|name| find(name).is_none());
    let mut problems: Vec<_> = missing
        .map(|name| Problem::in_file(*name, "does not exist"))
        .collect();
    let linked: HashSet<_> = ENTRANCES
        .iter()
        .filter_map(|name| find(name))
        .flat_map(Page::linked)
        .collect();
    for page in pages {
        if page.path.parent() == Some(Path::new("docs")) && !linked.contains(&page.path) {
            problems.push(Problem::in_file(
                &page.path,
                "not linked from README.md or ARCHITECTURE.md",
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(pages: &[(&str, &str)]) -> Vec<String> {
        let pages: Vec<_> = pages
            .iter()
            .map(|(path, text)| Page::new(Path::new(path), text))
            .collect();
        check(&pages).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_main_documents_must_exist() {
        assert_eq!(
            problems(&[("README.md", "")]),
            ["ARCHITECTURE.md: does not exist", "CHANGELOG.md: does not exist"]
        );
    }

    #[test]
    fn every_page_of_docs_is_linked_from_an_entrance() {
        let entrances = [
            ("README.md", "[a](docs/a.md)"),
            ("ARCHITECTURE.md", "[b](docs/b.md#x)"),
            ("CHANGELOG.md", ""),
        ];
        let with = |more: &[(&'static str, &'static str)]| problems(&[&entrances[..], more].concat());
        assert_eq!(with(&[("docs/a.md", ""), ("docs/b.md", "")]), [""; 0]);
        assert_eq!(
            with(&[("docs/c.md", "")]),
            ["docs/c.md: not linked from README.md or ARCHITECTURE.md"]
        );
        assert_eq!(with(&[("crates/a/notes.md", "")]), [""; 0]);
    }
}
