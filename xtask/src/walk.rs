//! The files of the project, without what builds and tools leave behind.

use std::fs;
use std::path::{Path, PathBuf};

/// All files below `root` whose name ends in `.{extension}`, relative to it and sorted.
///
/// Leaves out `target` folders and hidden ones.
pub(crate) fn files(root: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    collect(root, root, extension, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(root: &Path, folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let unreadable = |error| format!("cannot read {}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            if name != "target" && !name.to_string_lossy().starts_with('.') {
                collect(root, &path, extension, found)?;
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
        }
    }
    Ok(())
}

/// The text of a file below `root`; bytes that are not UTF-8 are an error.
pub(crate) fn read(root: &Path, relative: &Path) -> Result<String, String> {
    fs::read_to_string(root.join(relative))
        .map_err(|error| format!("cannot read {}: {error}", relative.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_all_folders_but_hidden_ones_and_target() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let found = files(root, "rs").unwrap();
        assert!(found.contains(&PathBuf::from("xtask/src/walk.rs")));
        assert!(found.iter().all(|path| !path.starts_with("target")));
        assert!(found.is_sorted());
        assert_eq!(
            files(root, "toml")
                .unwrap()
                .iter()
                .filter(|path| path.starts_with(".config"))
                .count(),
            0
        );
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_named() {
        let error = files(Path::new("no/such/folder"), "rs").unwrap_err();
        assert!(error.contains("no/such/folder"), "{error}");
    }
}
