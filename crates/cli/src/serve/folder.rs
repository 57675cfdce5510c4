//! What `--files` means.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use spark_rpc::FileServer;

use crate::exit::Failure;

/// A folder to be served, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServedFolder {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

impl ServedFolder {
    /// Serves it; returns its URI.
    pub(crate) async fn add_to(&self, files: &FileServer) -> Result<String, Failure> {
        // What was typed is a name, not a part of a URI.
        let base = utf8_percent_encode(&self.name, NOT_OF_A_NAME).to_string();
        let added = files.add_directory(&base, &self.folder).await;
        added.map_err(|error| {
            let Self { name, folder } = self;
            Failure::usage(format_args!("--files {name}={}: {error}", folder.display()))
        })
    }
}

/// Reads `[NAME=]DIR`. The path of a folder may hold equals signs behind a slash.
pub(crate) fn served_folder(text: &str) -> Result<ServedFolder, String> {
    let (name, folder) = match text.split_once('=').filter(|(name, _)| !name.contains('/')) {
        Some((name, folder)) => (Some(name.to_owned()), PathBuf::from(folder)),
        None => (None, PathBuf::from(text)),
    };
    if folder.as_os_str().is_empty() {
        return Err("there is no folder in it; expected DIR or NAME=DIR".to_owned());
    }
    match folder.metadata() {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(format!("{} is not a folder", folder.display())),
        Err(error) => return Err(format!("{}: {error}", folder.display())),
    }
    let name = match name {
        Some(name) => name,
        None => own_name(&folder).ok_or("this folder has no name that can stand in a URI; use NAME=DIR")?,
    };
    if ["", ".", ".."].contains(&&*name) || name.contains('\0') {
        return Err(format!("{name:?} names no folder"));
    }
    Ok(ServedFolder { name, folder })
}

/// The name that was typed, be it that of a link; that of the folder itself where `.` or `..` was typed.
fn own_name(folder: &Path) -> Option<String> {
    let typed = folder.file_name().map(ToOwned::to_owned);
    let name = typed.or_else(|| folder.canonicalize().ok()?.file_name().map(ToOwned::to_owned));
    name?.into_string().ok()
}

/// What means something else in the base URI of a folder.
const NOT_OF_A_NAME: &AsciiSet = &CONTROLS.add(b'%').add(b'/').add(b'?').add(b'#');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_called_by_its_own_name_unless_another_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir_all(at("data/a=b")).unwrap();
        let name = |text: &str| served_folder(text).map(|served| served.name);
        assert_eq!(name(&at("data")).as_deref(), Ok("data"));
        assert_eq!(name(&at("data/")).as_deref(), Ok("data"));
        assert_eq!(name(&at("data/a=b/..")).as_deref(), Ok("data"));
        assert_eq!(name(&at("data/a=b")).as_deref(), Ok("a=b"));
        assert_eq!(name(&format!("100 % x={}", at("data"))).as_deref(), Ok("100 % x"));
        assert_eq!(name("/tmp/.").as_deref(), Ok("tmp"));
        for wrong in [
            at("nope"),
            format!("={}", at("data")),
            format!("..={}", at("data")),
            "/".to_owned(),
            "x=".to_owned(),
            String::new(),
        ] {
            assert!(served_folder(&wrong).is_err(), "{wrong:?}");
        }
        std::fs::write(at("file"), "").unwrap();
        assert!(name(&at("file")).unwrap_err().contains("is not a folder"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_lends_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("current");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        let served = served_folder(link.to_str().unwrap()).unwrap();
        assert_eq!(served.name, "current");
    }
}
