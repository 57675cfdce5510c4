//! The minimum supported Rust version, tried out.

use std::process::Command;

use crate::process;
use crate::report::Outcome;
use crate::walk;
use crate::workspace::Workspace;

/// Builds the workspace with its `rust-version`, where such a toolchain is installed.
pub(super) fn check(workspace: &Workspace) -> Result<Outcome, String> {
    let manifest: toml::Table = walk::read(&workspace.root, "Cargo.toml".as_ref())?
        .parse()
        .map_err(|error| format!("cannot read Cargo.toml: {error}"))?;
    let version = manifest
        .get("workspace")
        .and_then(|table| table.get("package")?.get("rust-version")?.as_str())
        .ok_or("Cargo.toml declares no rust-version")?;
    let Some(list) = process::output_of(Command::new("rustup").args(["toolchain", "list"])) else {
        return Ok(Outcome::LeftOut(format!(
            "rustup is not installed; Rust {version} was not tried"
        )));
    };
    let Some(toolchain) = installed(&list, version) else {
        let hint = format!("Rust {version} is not installed; `rustup toolchain install {version}` adds it");
        return Ok(Outcome::LeftOut(hint));
    };
    let mut command = Command::new("rustup");
    command
        .args(["run", toolchain, "cargo", "check", "--workspace"])
        .args(process::locked());
    command
        .arg("--target-dir")
        .arg(workspace.target_directory.join("msrv"))
        .current_dir(&workspace.root);
    Ok(match process::run(&mut command)? {
        true => Outcome::Passed(format!("Rust {version}")),
        false => Outcome::Failed(format!("Rust {version} does not build the workspace")),
    })
}

/// The toolchain in `rustup toolchain list` that is of `version`, patch releases included.
fn installed<'a>(list: &'a str, version: &str) -> Option<&'a str> {
    list.lines()
        .filter_map(|line| line.split_whitespace().next())
        .find(|name| {
            name.strip_prefix(version)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_is_found_by_its_version_alone() {
        let list =
            "stable-x86_64-unknown-linux-gnu (active, default)\n1.8-x\n1.88.0-x86_64-unknown-linux-gnu\n";
        assert_eq!(installed(list, "1.88"), Some("1.88.0-x86_64-unknown-linux-gnu"));
        assert_eq!(installed(list, "1.88.0"), Some("1.88.0-x86_64-unknown-linux-gnu"));
        assert_eq!(installed(list, "1.89"), None);
        assert_eq!(installed("1.881-x\n", "1.88"), None);
    }
}
