//! The table rows of `docs/catalogue.md`.

/// One behaviour.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) status: Status,
}

/// What is expected of the tests.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// A test must name the entry.
    Test,
    /// Other work brings it; no test may name it before its status changes.
    Later,
    /// It makes no sense here; no test may name it.
    Never,
}

impl Entry {
    /// The letters before the dash.
    pub(super) fn group(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }
}

/// Reads all rows `| ID | title | status |`, and nothing else of the page.
pub(super) fn parse(page: &str) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in page.lines().enumerate() {
        let wrong = |what: &str| format!("docs/catalogue.md:{}: {what}", number + 1);
        let cells: Vec<_> = line.trim().split('|').map(str::trim).collect();
        let [_, id, title, status, _] = cells[..] else {
            let first = cells.get(1).is_some_and(|cell| is_id(cell));
            if first {
                return Err(wrong("a row has three cells: id, title, status"));
            }
            continue;
        };
        if !is_id(id) {
            continue;
        }
        if title.is_empty() {
            return Err(wrong("the title is missing"));
        }
        if entries.iter().any(|entry| entry.id == id) {
            return Err(wrong(&format!("{id} stands here for the second time")));
        }
        let status = parse_status(status).map_err(|what| wrong(&what))?;
        entries.push(Entry {
            id: id.to_owned(),
            status,
        });
    }
    if entries.is_empty() {
        Err("docs/catalogue.md has no entries".to_owned())
    } else {
        Ok(entries)
    }
}

fn parse_status(text: &str) -> Result<Status, String> {
    let (word, reason) = text.split_once(':').unwrap_or((text, ""));
    match (word.trim(), reason.trim()) {
        ("test", _) => Ok(Status::Test),
        ("later" | "never", "") => Err(format!("`{text}` says no reason")),
        ("later", _) => Ok(Status::Later),
        ("never", _) => Ok(Status::Never),
        _ => Err(format!(
            "`{text}` is no status: test, later: issue, never: reason"
        )),
    }
}

/// Capital letters, a dash, two digits.
pub(super) fn is_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(group, number)| {
        group.len() >= 2
            && group.bytes().all(|byte| byte.is_ascii_uppercase())
            && number.len() == 2
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_entries_and_the_rest_of_the_page_is_prose() {
        let page = "# T\n\n| id | behaviour | status |\n| --- | --- | --- |\n| ENV-01 | a | test |\n\
                    | ENV-02 | b | later: files |\n| RPC-01 | c | never: no such thing |\n| RPC-02 | d | test: half |\n";
        let found: Vec<_> = parse(page)
            .unwrap()
            .into_iter()
            .map(|entry| (entry.id, entry.status))
            .collect();
        let expected = [
            ("ENV-01", Status::Test),
            ("ENV-02", Status::Later),
            ("RPC-01", Status::Never),
            ("RPC-02", Status::Test),
        ];
        assert_eq!(found, expected.map(|(id, status)| (id.to_owned(), status)));
    }

    #[test]
    fn a_waiver_needs_a_reason() {
        assert_eq!(
            parse("| ENV-01 | a | later |"),
            Err("docs/catalogue.md:1: `later` says no reason".to_owned())
        );
        assert!(parse("| ENV-01 | a | never: |").is_err());
        assert!(parse("| ENV-01 | a | maybe: so |").is_err());
    }

    #[test]
    fn malformed_rows_are_refused_rather_than_lost() {
        assert!(parse("| ENV-01 | a |").is_err());
        assert!(parse("| ENV-01 | | test |").is_err());
        assert!(parse("| ENV-01 | a | test |\n| ENV-01 | b | test |").is_err());
        assert!(parse("nothing").is_err());
    }

    #[test]
    fn ids_have_letters_a_dash_and_two_digits() {
        assert!(is_id("ENV-01") && is_id("NENV-12"));
        assert!(
            !is_id("ENV-1") && !is_id("env-01") && !is_id("ENV-012") && !is_id("AES-128") && !is_id("E-01")
        );
    }
}
