//! What `cargo metadata` says about this workspace.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::process;

/// The parts of `cargo metadata --format-version 1` that the checks read.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    pub(crate) target_directory: PathBuf,
    resolve: Resolve,
}

/// One crate, ours or another's.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

/// A line of a `[dependencies]` table, of any of the three kinds.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl Workspace {
    /// Asks cargo about the workspace of the current directory.
    pub(crate) fn load() -> Result<Self, String> {
        let mut command = process::cargo(["metadata", "--format-version", "1"]);
        let output = command
            .args(process::locked())
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
        if !output.status.success() {
            return Err("cargo metadata failed".to_owned());
        }
        Self::parse(&output.stdout)
    }

    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| format!("cannot read cargo metadata: {error}"))
    }

    /// The crates of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Whether a crate of this workspace builds a program.
    pub(crate) fn has_program(&self, package: &str) -> bool {
        self.members().any(|member| {
            member.name == package
                && member
                    .targets
                    .iter()
                    .any(|target| target.kind.iter().any(|kind| kind == "bin"))
        })
    }

    /// How `package` comes to be linked with the crate `wanted`, dev-dependencies aside; outermost first.
    pub(crate) fn path_to(&self, package: &Package, wanted: &str) -> Option<Vec<String>> {
        let mut trail = vec![package.id.as_str()];
        let mut seen = std::collections::HashSet::new();
        if !self.walk(wanted, &mut trail, &mut seen) {
            return None;
        }
        Some(trail.into_iter().map(|id| self.name_of(id).to_owned()).collect())
    }

    fn walk<'a>(
        &'a self,
        wanted: &str,
        trail: &mut Vec<&'a str>,
        seen: &mut std::collections::HashSet<&'a str>,
    ) -> bool {
        let Some(&here) = trail.last() else { return false };
        let Some(node) = self.resolve.nodes.iter().find(|node| node.id == here) else {
            return false;
        };
        for edge in &node.deps {
            let dev_only = edge
                .dep_kinds
                .iter()
                .all(|kind| kind.kind.as_deref() == Some("dev"));
            if dev_only || !seen.insert(&edge.pkg) {
                continue;
            }
            trail.push(&edge.pkg);
            if self.name_of(&edge.pkg) == wanted || self.walk(wanted, trail, seen) {
                return true;
            }
            trail.pop();
        }
        false
    }

    fn name_of(&self, id: &str) -> &str {
        self.packages
            .iter()
            .find(|package| package.id == id)
            .map_or("?", |package| &package.name)
    }
}

impl Package {
    /// The folder of the crate.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }
}

impl Dependency {
    /// Whether only the crate's tests, examples and benchmarks see it.
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

/// Builds the metadata of a workspace for the tests of the rules: name, then `dependency` or `dev:dependency`.
#[cfg(test)]
pub(crate) fn sample(members: &[(&str, &[&str])], outside: &[(&str, &[&str])]) -> Workspace {
    use serde_json::json;
    let kind = |name: &str| {
        if name.starts_with("dev:") {
            json!("dev")
        } else {
            json!(null)
        }
    };
    let bare = |name: &str| name.trim_start_matches("dev:").to_owned();
    let all = || members.iter().chain(outside);
    let packages: Vec<_> = all()
        .map(|(name, deps)| {
            let deps: Vec<_> = deps
                .iter()
                .map(|dep| json!({"name": bare(dep), "kind": kind(dep)}))
                .collect();
            let folder = name.trim_start_matches("spark-rpc-");
            let manifest = format!("/w/crates/{folder}/Cargo.toml");
            json!({"id": name, "name": name, "manifest_path": manifest, "dependencies": deps,
                   "targets": [{"kind": ["bin"]}]})
        })
        .collect();
    let nodes: Vec<_> = all()
        .map(|(name, deps)| {
            let deps: Vec<_> = deps
                .iter()
                .map(|dep| json!({"pkg": bare(dep), "dep_kinds": [{"kind": kind(dep)}]}))
                .collect();
            json!({"id": name, "deps": deps})
        })
        .collect();
    let ids: Vec<_> = members.iter().map(|(name, _)| name).collect();
    let value = json!({"packages": packages, "workspace_members": ids, "workspace_root": "/w",
                       "target_directory": "/w/target", "resolve": {"nodes": nodes}});
    Workspace::parse(value.to_string().as_bytes()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_of_a_dependency_is_found_with_the_way_to_it() {
        let workspace = sample(
            &[("spark-rpc-engine", &["a"])],
            &[("a", &["b", "tokio"]), ("b", &["a"]), ("tokio", &[])],
        );
        let engine = workspace.members().next().unwrap();
        assert_eq!(
            workspace.path_to(engine, "tokio").unwrap(),
            ["spark-rpc-engine", "a", "tokio"]
        );
        assert_eq!(workspace.path_to(engine, "mio"), None);
    }

    #[test]
    fn what_only_tests_link_is_no_dependency() {
        let workspace = sample(&[("spark-rpc-engine", &["dev:tokio"])], &[("tokio", &[])]);
        let engine = workspace.members().next().unwrap();
        assert_eq!(workspace.path_to(engine, "tokio"), None);
    }

    #[test]
    fn only_members_count_as_programs_of_ours() {
        let workspace = sample(&[("spark-rpc-sim", &[])], &[("other", &[])]);
        assert!(workspace.has_program("spark-rpc-sim"));
        assert!(!workspace.has_program("other"));
    }
}
