//! Which crate may depend on which; the table of `ARCHITECTURE.md` as data.

use super::Problem;
use crate::workspace::{Package, Workspace};

/// A crate of ours by its folder, and the crates of ours that it may depend on.
struct Layer {
    name: &'static str,
    may_use: &'static [&'static str],
    /// Whether it stays free of the async runtime, directly and through others.
    runtime_free: bool,
}

const fn layer(name: &'static str, may_use: &'static [&'static str]) -> Layer {
    Layer {
        name,
        may_use,
        runtime_free: false,
    }
}

const fn pure(name: &'static str, may_use: &'static [&'static str]) -> Layer {
    Layer {
        name,
        may_use,
        runtime_free: true,
    }
}

/// From the bottom to the top. A crate that does not exist yet does no harm here.
const LAYERS: [Layer; 16] = [
    pure("wire", &[]),
    pure("javaobj-derive", &[]),
    pure("javaobj", &["javaobj-derive"]),
    pure("auth", &[]),
    pure("macros", &[]),
    pure("engine", &["wire"]),
    layer("net", &[]),
    layer("transport", &["net", "wire", "auth", "engine"]),
    layer(
        "rpc",
        &["net", "transport", "engine", "wire", "javaobj", "macros"],
    ),
    layer("standalone", &["rpc", "javaobj"]),
    layer("inspect", &["net", "wire", "javaobj", "auth"]),
    layer("cli", &["rpc", "standalone", "inspect"]),
    layer("testkit", &["net", "wire"]),
    layer("sim", &["rpc", "testkit", "transport", "net"]),
    layer("interop", &["rpc", "javaobj", "standalone", "transport", "wire"]),
    layer("xtask", &[]),
];

/// Crates that only tests may use, and the crates that are tests as a whole.
const TESTS_ONLY: &str = "testkit";
const TESTS_THROUGHOUT: [&str; 1] = ["sim"];

const RUNTIME: &str = "tokio";

pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    workspace
        .members()
        .flat_map(|member| check_member(workspace, member))
        .collect()
}

fn check_member(workspace: &Workspace, member: &Package) -> Vec<Problem> {
    let manifest = member
        .manifest_path
        .strip_prefix(&workspace.root)
        .unwrap_or(&member.manifest_path);
    let problem = |text: String| Problem::in_file(manifest, text);
    let name = short(&member.name);
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
        return vec![problem(format!(
            "`{name}` has no place in the table of xtask/src/tidy/layers.rs"
        ))];
    };
    let mut problems = Vec::new();
    if !member.folder().ends_with(name) {
        problems.push(problem(format!(
            "the folder of `{}` should be called `{name}`",
            member.name
        )));
    }
    let ours = |dependency: &str| workspace.members().any(|member| member.name == dependency);
    for dependency in member
        .dependencies
        .iter()
        .filter(|dependency| !dependency.is_dev() && ours(&dependency.name))
    {
        let used = short(&dependency.name);
        if used == TESTS_ONLY && !TESTS_THROUGHOUT.contains(&name) {
            problems.push(problem(format!(
                "`{used}` is for tests: make it a dev-dependency"
            )));
        } else if !layer.may_use.contains(&used) {
            problems.push(problem(format!(
                "`{name}` must not know `{used}`; it may use {:?}",
                layer.may_use
            )));
        }
    }
    if layer.runtime_free
        && let Some(way) = workspace.path_to(member, RUNTIME)
    {
        problems.push(problem(format!(
            "`{name}` must do without {RUNTIME}: {}",
            way.join(" -> ")
        )));
    }
    problems
}

/// The name of a crate without the project's prefix; the crate of that name itself is `rpc`.
fn short(package: &str) -> &str {
    if package == "spark-rpc" {
        "rpc"
    } else {
        package.strip_prefix("spark-rpc-").unwrap_or(package)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::sample;

    fn texts(members: &[(&str, &[&str])], outside: &[(&str, &[&str])]) -> Vec<String> {
        check(&sample(members, outside))
            .into_iter()
            .map(|problem| problem.text)
            .collect()
    }

    #[test]
    fn the_layers_as_drawn_are_accepted() {
        let members: &[(&str, &[&str])] = &[
            ("spark-rpc-wire", &["bytes", "dev:spark-rpc-testkit"]),
            ("spark-rpc-engine", &["spark-rpc-wire"]),
            ("spark-rpc-net", &["tokio"]),
            ("spark-rpc-transport", &["spark-rpc-net", "spark-rpc-engine"]),
            ("spark-rpc-testkit", &["spark-rpc-wire", "tokio"]),
            ("spark-rpc-sim", &["spark-rpc-testkit"]),
        ];
        assert_eq!(texts(members, &[("bytes", &[]), ("tokio", &[])]), [""; 0]);
    }

    #[test]
    fn a_layer_must_not_reach_up_or_sideways() {
        let found = texts(
            &[
                ("spark-rpc-wire", &["spark-rpc-engine"]),
                ("spark-rpc-engine", &[]),
            ],
            &[],
        );
        assert_eq!(found, ["`wire` must not know `engine`; it may use []"]);
        let found = texts(
            &[("spark-rpc-auth", &["spark-rpc-wire"]), ("spark-rpc-wire", &[])],
            &[],
        );
        assert_eq!(found, ["`auth` must not know `wire`; it may use []"]);
    }

    #[test]
    fn the_runtime_is_found_behind_other_crates() {
        let found = texts(
            &[("spark-rpc-engine", &["helper"])],
            &[("helper", &["tokio"]), ("tokio", &[])],
        );
        assert_eq!(
            found,
            ["`engine` must do without tokio: spark-rpc-engine -> helper -> tokio"]
        );
    }

    #[test]
    fn test_helpers_stay_out_of_the_product() {
        let found = texts(
            &[("spark-rpc", &["spark-rpc-testkit"]), ("spark-rpc-testkit", &[])],
            &[],
        );
        // The sample's folder is named after the package, so the face's own folder is reported too.
        assert!(
            found.contains(&"`testkit` is for tests: make it a dev-dependency".to_owned()),
            "{found:?}"
        );
    }

    #[test]
    fn a_crate_without_a_layer_is_reported() {
        let found = texts(&[("spark-rpc-common", &[])], &[]);
        assert_eq!(
            found,
            ["`common` has no place in the table of xtask/src/tidy/layers.rs"]
        );
    }

    #[test]
    fn the_table_names_only_crates_below() {
        for (at, layer) in LAYERS.iter().enumerate() {
            for used in layer.may_use {
                let below = LAYERS[..at].iter().any(|lower| lower.name == *used);
                assert!(below, "{} uses {used}", layer.name);
            }
        }
    }
}
