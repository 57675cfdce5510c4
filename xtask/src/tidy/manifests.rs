//! What the manifests inherit: each fact about the project stands once, in the workspace's own.

use std::path::Path;

use toml::{Table, Value};

use super::Problem;
use crate::walk;
use crate::workspace::Workspace;

const INHERITED: [&str; 4] = ["version", "edition", "rust-version", "license"];
const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Problem>, String> {
    let root = &workspace.root;
    let read = |path: &Path| -> Result<Table, String> {
        let text = walk::read(root, path)?;
        text.parse()
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let mut problems = check_root(&read(Path::new("Cargo.toml"))?);
    for member in workspace.members() {
        let path = member
            .manifest_path
            .strip_prefix(root)
            .unwrap_or(&member.manifest_path);
        problems.extend(check_member(path, &read(path)?));
    }
    for file in ["clippy.toml", ".clippy.toml"] {
        if root.join(file).exists() && read(Path::new(file))?.contains_key("msrv") {
            problems.push(Problem::in_file(
                file,
                "the minimum Rust version stands in Cargo.toml alone",
            ));
        }
    }
    Ok(problems)
}

fn check_root(manifest: &Table) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |text: String| problems.push(Problem::in_file("Cargo.toml", text));
    for key in INHERITED {
        if at(manifest, &["workspace", "package", key])
            .and_then(Value::as_str)
            .is_none()
        {
            problem(format!("[workspace.package] lacks `{key}`"));
        }
    }
    let unsafe_code = at(manifest, &["workspace", "lints", "rust", "unsafe_code"]);
    let level = unsafe_code.map(|lint| lint.get("level").unwrap_or(lint));
    if level.and_then(Value::as_str) != Some("forbid") {
        problem("[workspace.lints.rust] must forbid `unsafe_code`".to_owned());
    }
    problems
}

fn check_member(path: &Path, manifest: &Table) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |text: String| problems.push(Problem::in_file(path, text));
    for key in INHERITED {
        if !inherits(at(manifest, &["package", key])) {
            problem(format!("write `{key}.workspace = true`"));
        }
    }
    if !inherits(manifest.get("lints")) {
        problem("write `[lints] workspace = true`".to_owned());
    }
    let targets = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flatten();
    let places = std::iter::once(manifest).chain(targets.filter_map(|(_, target)| target.as_table()));
    for table in places.flat_map(|place| {
        DEPENDENCY_TABLES
            .iter()
            .filter_map(|name| place.get(*name)?.as_table())
    }) {
        for (name, dependency) in table {
            if !inherits(Some(dependency)) {
                problem(format!(
                    "the version of `{name}` belongs into [workspace.dependencies]"
                ));
            }
        }
    }
    problems
}

fn inherits(value: Option<&Value>) -> bool {
    value
        .and_then(|value| value.get("workspace"))
        .and_then(Value::as_bool)
        == Some(true)
}

fn at<'a>(manifest: &'a Table, keys: &[&str]) -> Option<&'a Value> {
    let (first, rest) = keys.split_first()?;
    rest.iter()
        .try_fold(manifest.get(*first)?, |value, key| value.get(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
        [package]
        name = 'a'
        version.workspace = true
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        [dependencies]
        bytes.workspace = true
        tokio = { workspace = true, features = ['rt'] }
        [lints]
        workspace = true
    ";

    fn member(text: &str) -> Vec<String> {
        let table = text.parse().unwrap();
        check_member(Path::new("crates/a/Cargo.toml"), &table)
            .into_iter()
            .map(|problem| problem.text)
            .collect()
    }

    fn root(text: &str) -> Vec<String> {
        check_root(&text.parse().unwrap())
            .into_iter()
            .map(|problem| problem.text)
            .collect()
    }

    #[test]
    fn a_manifest_that_inherits_everything_is_accepted() {
        assert_eq!(member(GOOD), [""; 0]);
    }

    #[test]
    fn a_minimum_rust_version_of_its_own_is_refused() {
        let own = GOOD.replace("rust-version.workspace = true", "rust-version = '1.80'");
        assert_eq!(member(&own), ["write `rust-version.workspace = true`"]);
        assert_eq!(
            member(&GOOD.replace("license.workspace = true", "")),
            ["write `license.workspace = true`"]
        );
    }

    #[test]
    fn lints_must_be_inherited() {
        let own = GOOD.replace(
            "[lints]\n        workspace = true",
            "[lints.rust]\n unsafe_code = 'allow'",
        );
        assert_eq!(member(&own), ["write `[lints] workspace = true`"]);
    }

    #[test]
    fn a_dependency_version_of_its_own_is_refused_in_every_table() {
        let own = format!(
            "{GOOD}\n[dev-dependencies]\nrand = '0.9'\n[target.'cfg(unix)'.dependencies]\nlibc = '0.2'"
        );
        let found = member(&own);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("`rand`") && found[1].contains("`libc`"),
            "{found:?}"
        );
    }

    #[test]
    fn the_workspace_forbids_unsafe_code_and_names_each_fact_once() {
        let good = "[workspace.package]\nversion = '1'\nedition = '2024'\nrust-version = '1.88'\nlicense = 'MIT'\n\
                    [workspace.lints.rust]\nunsafe_code = 'forbid'";
        assert_eq!(root(good), [""; 0]);
        assert_eq!(
            root(&good.replace("'forbid'", "{ level = 'forbid', priority = 1 }")),
            [""; 0]
        );
        let lax = root(&good.replace("forbid", "deny"));
        assert_eq!(lax, ["[workspace.lints.rust] must forbid `unsafe_code`"]);
        assert_eq!(
            root(&good.replace("rust-version = '1.88'", "")),
            ["[workspace.package] lacks `rust-version`"]
        );
    }
}
