//! Links inside the project's Markdown lead to something that exists.

use std::path::{Component, Path, PathBuf};

use super::Problem;
use crate::walk;

/// A Markdown file: its links and what can be linked to.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) path: PathBuf,
    links: Vec<Link>,
    anchors: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Link {
    line: usize,
    target: String,
}

/// Reads all Markdown files below `root`.
pub(super) fn pages(root: &Path) -> Result<Vec<Page>, String> {
    let paths = walk::files(root, "md")?;
    paths
        .into_iter()
        .map(|path| Ok(Page::new(&path, &walk::read(root, &path)?)))
        .collect()
}

/// Checks files by looking below `root` and headings by looking at `pages`.
pub(super) fn check(root: &Path, pages: &[Page]) -> Vec<Problem> {
    check_with(pages, |path| root.join(path).exists())
}

fn check_with(pages: &[Page], exists: impl Fn(&Path) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for page in pages {
        for link in page.links.iter().filter(|link| !link.is_outside()) {
            let mut problem = |text| problems.push(Problem::at(&page.path, link.line, text));
            let Some(path) = page.resolve(link) else {
                problem(format!("`{}` leaves the project", link.target));
                continue;
            };
            let anchor = link.target.split_once('#').map(|(_, anchor)| anchor);
            let other = pages.iter().find(|other| other.path == path);
            match (other, anchor) {
                (Some(other), Some(anchor)) if !other.anchors.iter().any(|known| known == anchor) => {
                    problem(format!("`{}` has no heading `#{anchor}`", path.display()));
                }
                (None, _) if !exists(&path) => problem(format!("`{}` does not exist", link.target)),
                _ => {}
            }
        }
    }
    problems
}

impl Page {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        let mut page = Self {
            path: path.to_owned(),
            links: Vec::new(),
            anchors: Vec::new(),
        };
        let mut fence: Option<&str> = None;
        for (number, line) in text.lines().enumerate() {
            let bare = line.trim_start();
            match fence {
                Some(mark) if bare.starts_with(mark) => fence = None,
                Some(_) => continue,
                None => fence = ["```", "~~~"].into_iter().find(|mark| bare.starts_with(mark)),
            }
            if fence.is_none() {
                page.read_line(number + 1, bare);
            }
        }
        page
    }

    /// The pages and files that this one links to.
    pub(super) fn linked(&self) -> impl Iterator<Item = PathBuf> {
        self.links
            .iter()
            .filter(|link| !link.is_outside())
            .filter_map(|link| self.resolve(link))
    }

    fn read_line(&mut self, line: usize, text: &str) {
        let heading = text.trim_start_matches('#');
        if heading.len() < text.len() && heading.starts_with(' ') {
            let slug = slug(heading.trim());
            let numbered = |count: usize| {
                if count == 0 {
                    slug.clone()
                } else {
                    format!("{slug}-{count}")
                }
            };
            let free = (0..).map(numbered).find(|name| !self.anchors.contains(name));
            self.anchors.extend(free);
        }
        let text = without_code(text);
        for mark in ["id=\"", "name=\""] {
            self.anchors.extend(quoted(&text, mark));
        }
        let targets = inline_targets(&text).into_iter().chain(reference_target(&text));
        let html = ["href=\"", "src=\""]
            .into_iter()
            .flat_map(|mark| quoted(&text, mark));
        self.links
            .extend(targets.chain(html).map(|target| Link { line, target }));
    }

    /// The path from the root of the project; `None` when it leads outside.
    fn resolve(&self, link: &Link) -> Option<PathBuf> {
        let file = link.target.split('#').next().unwrap_or_default();
        if file.is_empty() {
            return Some(self.path.clone());
        }
        let base = if file.starts_with('/') {
            Path::new("")
        } else {
            self.path.parent()?
        };
        let mut path = PathBuf::new();
        for part in base.join(file.trim_start_matches('/')).components() {
            match part {
                Component::Normal(name) => path.push(name),
                Component::ParentDir if !path.pop() => return None,
                _ => {}
            }
        }
        Some(path)
    }
}

impl Link {
    fn is_outside(&self) -> bool {
        self.target.contains("://") || self.target.starts_with("mailto:")
    }
}

/// Blanks `code spans`.
fn without_code(text: &str) -> String {
    let closed = text.matches('`').count() / 2 * 2;
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 1 && at <= closed { " " } else { part })
        .collect()
}

/// The targets of `[text](target)` and `[text](<target> "title")`.
fn inline_targets(text: &str) -> Vec<String> {
    text.match_indices("](")
        .filter_map(|(at, _)| {
            let end = crate::source::closing(text, at + 1)?;
            Some(target_of(&text[at + 2..end - 1]))
        })
        .collect()
}

/// The target of `[name]: target`.
fn reference_target(text: &str) -> Option<String> {
    let (name, rest) = text.strip_prefix('[')?.split_once("]: ")?;
    (!name.contains(']')).then(|| target_of(rest))
}

fn target_of(text: &str) -> String {
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .trim_start_matches('<')
        .trim_end_matches('>')
        .to_owned()
}

fn quoted(text: &str, mark: &str) -> Vec<String> {
    text.split(mark)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

/// The anchor that GitHub gives to a heading.
fn slug(heading: &str) -> String {
    let mut shown = String::new();
    let mut rest = heading;
    while let Some(at) = rest.find("](") {
        shown += &rest[..at];
        rest = crate::source::closing(rest, at + 1).map_or("", |end| &rest[end..]);
    }
    shown += rest;
    shown
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(pages: &[(&str, &str)]) -> Vec<String> {
        let pages: Vec<_> = pages
            .iter()
            .map(|(path, text)| Page::new(Path::new(path), text))
            .collect();
        let exists = |path: &Path| path == Path::new("LICENSE") || path == Path::new("crates");
        check_with(&pages, exists)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_accepted() {
        let readme =
            "[l](LICENSE) [c](crates/) [d](docs/a.md#two-words) [w](https://example.org/x)\n[r]: docs/a.md\n";
        let docs = "# Two words\n[up](../README.md) [own](#two-words) [root](/LICENSE)\n";
        assert_eq!(problems(&[("README.md", readme), ("docs/a.md", docs)]), [""; 0]);
    }

    #[test]
    fn a_missing_file_is_reported_with_its_line() {
        assert_eq!(
            problems(&[("README.md", "a\n[x](gone.md)")]),
            ["README.md:2: `gone.md` does not exist"]
        );
        assert_eq!(problems(&[("README.md", "[r]: gone.md")]).len(), 1);
        assert_eq!(problems(&[("README.md", "<img src=\"gone.png\">")]).len(), 1);
        assert_eq!(
            problems(&[("README.md", "[x](../other)")]),
            ["README.md:1: `../other` leaves the project"]
        );
    }

    #[test]
    fn a_missing_heading_is_reported() {
        assert_eq!(
            problems(&[("a.md", "# One\n[x](#two)")]),
            ["a.md:2: `a.md` has no heading `#two`"]
        );
    }

    #[test]
    fn code_is_not_searched_for_links() {
        assert_eq!(
            problems(&[(
                "a.md",
                "`[x](gone)`\n```text\n[x](gone)\n# no\n```\n~~~\n[y](gone)\n~~~"
            )]),
            [""; 0]
        );
        assert_eq!(
            problems(&[("a.md", "```text\n```\n[x](gone)")]).len(),
            1,
            "behind the code"
        );
    }

    #[test]
    fn headings_become_the_anchors_of_github() {
        assert_eq!(
            slug("The life of a `message`, in short"),
            "the-life-of-a-message-in-short"
        );
        assert_eq!(slug("[Spark](https://x.y) & us"), "spark--us");
        let page = Page::new(Path::new("a.md"), "# A\n## A\n## A\n#hashtag\n");
        assert_eq!(page.anchors, ["a", "a-1", "a-2"]);
    }
}
